"""From a name, a path or a module to a Network: a file for each way in."""

from squeezesim.load.dispatch import cross_check, load, load_module, trained_module
from squeezesim.load.shapes import parse_named_shapes, parse_shape
from squeezesim.zoo.registry import models

__all__ = [
    "cross_check",
    "load",
    "load_module",
    "models",
    "parse_named_shapes",
    "parse_shape",
    "trained_module",
]
