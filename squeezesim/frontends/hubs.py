"""Models of other libraries by name: torchvision, timm, pytorchcv. Nothing is downloaded."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import torch

from squeezesim.errors import ModelError

# torchvision's wheel on PyPI is built for CUDA: beside a CPU torch its compiled operators are not loaded, and its
# import fails where it describes the shapes of these two.
_TORCHVISION_OPERATORS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


def import_torchvision() -> ModuleType:
    """Return the module ``torchvision``, also where its wheel and torch are built for different devices.

    Models import and run then; non-maximum suppression, which only exists compiled, does not.

    Raises:
        ModelError: torchvision is not installed.
    """
    try:
        return _import("torchvision")
    except RuntimeError as error:  # operator torchvision::nms does not exist
        if not any(name in str(error) for name in _TORCHVISION_OPERATORS):
            raise
    for name, schema in _TORCHVISION_OPERATORS.items():
        torch.library.define(name, schema)
    return _import("torchvision")


def _import(package: str) -> ModuleType:
    """Import an optional library, which is also the name of the extra that installs it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ModelError(f"{package} is not installed: pip install 'squeezesim[{package}]'") from error
