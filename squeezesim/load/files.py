"""Files that list layers, which are read, and files that are refused."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from squeezesim.errors import ModelError, UsageError, nearest, pip_install
from squeezesim.load.runnable import Asked
from squeezesim.load.shapes import Array, Shape, Values, check_sizes
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.zoo.registry import catalogue

_FIXED = {".graph.json": "traced network", ".csv": "topology"}
_EXPORTED = {".onnx": "ONNX graph", ".pt2": "exported program"}  # which may leave sizes of inputs open
_KINDS = _FIXED | _EXPORTED
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
_NO_NAMES = (".json", ".yaml", ".yml", ".txt", ".safetensors")
_TENSORFLOW = {".tflite": "--tflite", ".h5": "--keras", ".keras": "--keras", ".pb": "--graphdef"}
"""Files of TensorFlow, and the options by which tf2onnx takes them."""

_WAYS_IN = (
    "a built-in name, torchvision:, timm: or pytorchcv: with a name, file.py:factory, an .onnx, .pt2 or "
    ".graph.json file, or a .csv topology of SCALE-Sim"
)


def kind_of(path: str) -> str:
    """Return what a path's ending says it lists, empty for no such file."""
    return next((what for ending, what in _KINDS.items() if path.endswith(ending)), "")


def read(path: str, asked: Asked, options: Mapping[str, object]) -> Network:
    """Return the network that the file *path* lists.

    Raises:
        ModelError: there is no such file, or it is malformed.
        UsageError: an input or an option is given that the file has fixed.
    """
    if options or asked.kwargs or (path.endswith(tuple(_FIXED)) and not asked.says_nothing):
        raise UsageError(f"{show(path)} is a {kind_of(path)}: its input and options are fixed")
    existing(path)
    if path.endswith(".csv"):
        from squeezesim.frontends import scalesim

        return scalesim.read(path)
    if path.endswith(".onnx"):
        from squeezesim.frontends.onnx import file

        shapes, values = _given(asked)
        return file.read(path, input_shapes=shapes, values=values, batch=asked.batch)
    if path.endswith(".pt2"):
        from squeezesim.frontends.torch import exported

        shapes, values = _given(asked)
        if values:
            raise UsageError(
                f"inputs of a .pt2 archive are shapes, found a value for {show(next(iter(values)))}"
            )
        return exported.read(path, input_shapes=shapes, batch=asked.batch)
    return Network.load(path)


def _given(asked: Asked) -> tuple[dict[str, Shape], dict[str, Array]]:
    """The shapes of inputs by name, for the dimensions that a file leaves open, and the values of inputs."""
    shapes: dict[str, Shape] = {}
    values: dict[str, Array] = {}
    if asked.inputs is None and asked.input_shape is None:
        return shapes, values
    if not isinstance(asked.inputs, Mapping):
        raise UsageError("inputs of a file are given by name, batch included, such as input=1x3x224x224")
    given: Mapping[str, Any] = asked.inputs
    for name, value in given.items():
        if isinstance(value, Values):
            values[name] = value.array
        elif isinstance(value, (bool, int, float)):
            values[name] = np.asarray(value)
        else:
            shape = getattr(value, "shape", value)
            if not isinstance(shape, Sequence):
                raise UsageError(
                    f"input {name!r} of a file is a shape, a tensor or a number, found {show(value)}"
                )
            if len(shape) == 0 and hasattr(value, "item"):
                values[name] = np.asarray(value.item())
                continue
            shapes[name] = tuple(shape)
            check_sizes(shapes[name], f"input {name!r}")
    return shapes, values


def existing(path: str) -> Path:
    """Return the file *path*.

    Raises:
        ModelError: there is none, or it is no regular file; the nearest name in its folder.
    """
    file = Path(path)
    try:
        if file.is_file():
            return file
        if file.exists():
            raise ModelError(f"{_quoted(path)} is {'a directory' if file.is_dir() else 'no regular file'}")
        siblings = [entry.name for entry in os.scandir(file.parent)] if file.parent.is_dir() else []
    except (OSError, ValueError) as error:  # a name too long, a zero byte
        raise ModelError(
            f"cannot read {_quoted(path)}: {getattr(error, 'strerror', None) or error}"
        ) from error
    raise ModelError(f"there is no file {_quoted(path)}{nearest(file.name, siblings)}")


def _quoted(path: str) -> str:
    """A path for an error message: whole, unless it is no real one."""
    return repr(path) if path.isprintable() and len(path) <= 300 else show(path)


def refuse(text: str) -> None:
    """Check that *text*, which has no ending that is known, may be the name of a network.

    Raises:
        ModelError: it is a path; says what a model is, or that there is no such file.
    """
    name = text.partition("@")[0]
    suffix = Path(name).suffix.lower()
    if suffix in _PICKLED:
        raise ModelError(
            f"{_quoted(text)} is refused: a pickled file runs the code in it when it is loaded; "
            "give the function that builds the model, as file.py:factory, or export it to .onnx or .pt2"
        )
    if suffix in _TENSORFLOW:
        existing(name)
        target = shlex.quote(str(Path(name).with_suffix(".onnx")))
        command = f"python -m tf2onnx.convert {_TENSORFLOW[suffix]} {shlex.quote(name)} --output {target}"
        raise ModelError(
            f"{_quoted(text)} is a model of TensorFlow: convert it to ONNX, "
            f"{pip_install('tf2onnx')} and {command if name.isprintable() else 'its tf2onnx.convert'}"
        )
    if os.sep in name or suffix in _NO_NAMES or exists(name):
        found = "is a directory" if exists(name) and Path(name).is_dir() else "is no model that can be read"
        raise ModelError(f"{_quoted(text)} {found}; a model is {_WAYS_IN}{nearest(name, catalogue())}")


def exists(name: str) -> bool:
    """Return whether there is a file or folder of this *name*, whatever text it is."""
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # a name too long, a zero byte
        return False
