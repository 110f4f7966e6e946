"""Models of other libraries by name: torchvision, timm, pytorchcv, transformers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import library as operators
from torch import nn

from squeezesim.errors import ModelError, nearest, pip_install
from squeezesim.frontends.hub_names import is_named
from squeezesim.frontends.torch.run import undisturbed
from squeezesim.network.checks import show

Shape = tuple[int, ...]

# torchvision's wheel on PyPI is built for CUDA: beside a CPU torch its compiled operators are not loaded, and its
# import fails where it describes the shapes of these two. The first is what its detection models need to run.
_TORCHVISION_OPERATORS = {
    "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# Arguments that fetch or unpickle weights, of any of the libraries.
_WEIGHTS = ("pretrained", "weights", "weights_backbone", "checkpoint_path", "root", "pretrained_cfg")

_IMAGE: Shape = (3, 224, 224)
_FLOW: Shape = (3, 512, 512)  # at which torchvision states the operations of its optical flow models
_FRAMES = 16  # at which it states those of its video models


@dataclass(frozen=True, slots=True)
class Hub:
    """A library of models: their names, how one is made, the inputs that it is published for, batch excluded."""

    names: Callable[[], Collection[str]]
    make: Callable[[str, Mapping[str, Any]], nn.Module]
    inputs: Callable[[str, nn.Module], tuple[Shape, ...]]


def import_torchvision() -> ModuleType:
    """Return the module ``torchvision``, also where its wheel and torch are built for different devices.

    Models import and run then, those of detection with a non-maximum suppression of our own. Other operators that only
    exist compiled, as deformable convolution, do not.

    Raises:
        ModelError: torchvision is not installed, or cannot be imported for another reason.
    """
    try:
        return _import("torchvision")
    except ModelError as error:
        if not lacks_operators(error):
            raise
    for name, schema in _TORCHVISION_OPERATORS.items():
        operators.define(name, schema)
    operators.impl("torchvision::nms", "CPU", _suppress)
    library = _import("torchvision")
    library.ops.boxes._assert_has_ops = lambda: None  # of nms alone
    return library


def _suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Boxes (x1, y1, x2, y2), best scores first, without those that overlap a better one by more than the threshold."""
    order = scores.argsort(descending=True, stable=True)
    low, high = boxes[order, :2], boxes[order, 2:]
    areas = (high - low).prod(1)
    stays = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if stays[place]:
            after = slice(place + 1, None)
            sides = torch.minimum(high[place], high[after]) - torch.maximum(low[place], low[after])
            shared = sides.clamp(min=0).prod(1)
            stays[after] &= shared <= iou_threshold * (areas[place] + areas[after] - shared)
    return order[stays]


def lacks_operators(error: BaseException | None) -> bool:
    """Return whether *error* came from importing torchvision without its compiled operators, which can be mended."""
    while error is not None:
        if any(f"operator {name} does not exist" in str(error) for name in _TORCHVISION_OPERATORS):
            return True
        error = error.__cause__ or error.__context__
    return False


def model_names(library: str) -> list[str]:
    """Return the names of the models of *library*, one of ``HUBS``.

    Raises:
        ModelError: the library is not installed.
    """
    return sorted(HUBS[library].names())


def make_model(
    library: str, name: str, arguments: Mapping[str, object], *, device: str = "cpu"
) -> tuple[nn.Module, tuple[Shape, ...]]:
    """Return the model *name* of *library* with random weights, and the shapes of its inputs, batch excluded.

    Raises:
        ModelError: the library is not installed, has no such model, or rejects an argument.

    Example:
        >>> module, inputs = make_model("torchvision", "resnet18", {"num_classes": 10})
        >>> inputs
        ((3, 224, 224),)
    """
    hub = HUBS[library]
    if not is_named(library, name, hub.names()):
        raise ModelError(f"{library} has no model {show(name)}{nearest(name, hub.names())}")
    if banned := [key for key in arguments if key in _WEIGHTS]:
        raise ModelError(f"{library}:{name}: {banned[0]} is not allowed, for weights are never loaded")
    with undisturbed(), torch.device(device):
        try:
            module = hub.make(name, arguments)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{library}:{name}: {type(error).__name__}: {reason}") from error
        return module, hub.inputs(name, module)


def _torchvision_names() -> Collection[str]:
    names: list[str] = import_torchvision().models.list_models()
    return names


def _torchvision_model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    models = import_torchvision().models
    parameters = inspect.signature(models.get_model_builder(name)).parameters
    backbone = {"weights_backbone": None} if "weights_backbone" in parameters else {}
    module: nn.Module = models.get_model(name, weights=None, **backbone, **arguments)
    return module


def _torchvision_inputs(name: str, module: nn.Module) -> tuple[Shape, ...]:
    """What torchvision crops images to, the smallest where it has weights for several sizes."""
    kind = type(module).__module__.split(".")
    if "optical_flow" in kind:
        return (_FLOW, _FLOW)
    presets = [weights.transforms() for weights in import_torchvision().models.get_model_weights(name)]
    crops = [getattr(preset, "crop_size", None) or getattr(preset, "resize_size", None) for preset in presets]
    sizes = min((tuple(crop) for crop in crops if crop), default=_IMAGE[1:])
    height, width = sizes[0], sizes[-1]
    return ((3, _FRAMES, height, width) if "video" in kind else (3, height, width),)


def _timm() -> ModuleType:
    import_torchvision()  # which timm imports
    return _import("timm")


def _timm_names() -> Collection[str]:
    names: list[str] = _timm().list_models()
    return names


def _timm_model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    module: nn.Module = _timm().create_model(name, pretrained=False, **arguments)
    return module


def _timm_inputs(name: str, module: nn.Module) -> tuple[Shape, ...]:
    del name
    settings: Any = getattr(module, "pretrained_cfg", {})
    return (tuple(settings.get("input_size") or _IMAGE),)


def _pytorchcv() -> ModuleType:
    import_torchvision()  # which some of its models import
    return _import("pytorchcv.model_provider")


def _pytorchcv_names() -> Collection[str]:
    models: Mapping[str, object] = _pytorchcv()._models
    return models.keys()


def _pytorchcv_model(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    module: nn.Module = _pytorchcv().get_model(name, pretrained=False, **arguments)
    return module


def _pytorchcv_inputs(name: str, module: nn.Module) -> tuple[Shape, ...]:
    del name
    return ((3, *getattr(module, "in_size", _IMAGE[1:])),)


def _import(name: str) -> ModuleType:
    """Import an optional library, or a module of it."""
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        what = "is not installed" if missing else f"cannot be imported ({' '.join(str(error).split())[:200]})"
        raise ModelError(f"{package} {what}: {pip_install(package)}") from error


HUBS: Mapping[str, Hub] = {
    "torchvision": Hub(_torchvision_names, _torchvision_model, _torchvision_inputs),
    "timm": Hub(_timm_names, _timm_model, _timm_inputs),
    "pytorchcv": Hub(_pytorchcv_names, _pytorchcv_model, _pytorchcv_inputs),
}
"""The libraries in the order in which a bare name is looked up."""
