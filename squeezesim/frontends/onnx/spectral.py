"""Fourier transforms: vector work of the fast algorithm, 5 · n · ⌈log₂ n⌉ operations for n complex values.

Of real values it is half of that: the count by which such transforms are compared, Frigo and Johnson, The Design and
Implementation of FFTW3, 2005, https://www.fftw.org/speed/method.html.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx.node import Node, Rule, UnmodelledError
from squeezesim.network import ops
from squeezesim.network.checks import MAX_SIZE, show
from squeezesim.network.layer import Layer

_AXIS_INPUT, _AXIS_IS_INPUT = 2, 20  # of DFT, from this operator set on; before it is an attribute


def transform_ops(size: int, *, is_real: bool) -> int:
    """Return the operations of one transform of *size* values.

    Example:
        >>> transform_ops(1024, is_real=False)
        51200
    """
    operations = 5 * size * (size - 1).bit_length()
    return operations // 2 if is_real else operations


def _dft(node: Node) -> Layer:
    """A transform along one axis for each of the other values; the last axis holds real and imaginary parts."""
    source = node.operand(0).shape
    given = node.constant(_AXIS_INPUT)
    if given is None and node.optional(_AXIS_INPUT) is not None:
        raise UnmodelledError("its axis is data")
    default = 1 if node.version < _AXIS_IS_INPUT else -2
    axis = node.integer("axis", default) if given is None else int(given.reshape(-1)[0])
    axis += len(source) if axis < 0 else 0
    if not 0 <= axis < len(source) - 1 or source[-1] not in (1, 2):
        raise ModelError(f"a transform of {show(source)} along axis {axis} does not fit")
    length = node.constant(1)
    to_real = bool(node.integer("onesided", 0) and node.integer("inverse", 0))
    size = 2 * (source[axis] - 1) if to_real else source[axis]
    if length is not None:
        size = int(length.reshape(-1)[0])
    if not 1 <= size <= MAX_SIZE:
        raise ModelError(f"a transform of {size} values does not fit")
    count = prod(source[:axis]) * prod(source[axis + 1 : -1])
    is_real = to_real or source[-1] == 1
    layer = ops.elementwise("fft", node.output, [source])
    return replace(layer, vector_ops=count * transform_ops(size, is_real=is_real))


def _stft(node: Node) -> Layer:
    """A window of values times a function, and its transform, for each frame."""
    source, window = node.operand(0).shape, node.optional(2)
    length = node.constant(3)
    if length is not None:
        size = int(length.reshape(-1)[0])
    elif window is not None and len(window.shape) == 1:
        size = window.shape[0]
    else:
        raise UnmodelledError("the length of its frames is not known")
    if not 1 <= size <= MAX_SIZE:
        raise ModelError(f"a transform of {size} values does not fit")
    frames = prod(node.output[:2])
    work = frames * transform_ops(size, is_real=len(source) < 3 or source[-1] == 1)
    if window is not None:
        work += frames * size
    return replace(ops.elementwise("stft", node.output, [source]), vector_ops=work)


RULES: dict[str, Rule] = {"DFT": _dft, "STFT": _stft}
