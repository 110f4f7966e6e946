"""Operators as layers: from the shapes of tensors to loop sizes, operand sizes and vector operations.

Every function returns a layer that is named after its operator; the caller says where it stands in a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import gcd, log, prod

from squeezesim.network.checks import derive
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]

ACTIVATIONS = frozenset(
    {
        "celu",
        "clamp",
        "elu",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "log_sigmoid",
        "mish",
        "prelu",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softplus",
        "tanh",
    }
)
"""Functions of one element each, which hardware applies on the way out of the array."""


def convolution(
    source: Shape,
    weight: Shape,
    output: Shape,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
    bias: bool = False,
) -> Layer:
    """Return a convolution of 1, 2 or 3 dimensions: (N, C, …) with (K, C/G, …) to (N, K, …).

    One dimension is a row (oy = 1). Of three, the output planes are folded into n and the planes of the
    filter into c: N·OZ images of (C/G)·FZ channels, which leaves the MACs exact.
    """
    oz, oy, ox = _volume(output)
    fz, fy, fx = _volume(weight)
    _, iy, ix = _volume(source)
    elements = prod(output)
    return Layer(
        name=(op := f"conv{len(weight) - 2}d"),
        op=op,
        kind="mac",
        n=output[0] * oz,
        g=groups,
        k=weight[0] // groups,
        c=weight[1] * fz,
        oy=oy,
        ox=ox,
        fy=fy,
        fx=fx,
        iy=iy,
        ix=ix,
        stride=_last_two(stride, 1),
        dilation=_last_two(dilation, 1),
        padding=_last_two(padding, 0),
        input_elements=prod(source),
        weight_elements=prod(weight),
        output_elements=elements,
        vector_ops=elements if bias else 0,
        fused=("bias",) if bias else (),
    )


def transposed_convolution(
    source: Shape,
    weight: Shape,
    output: Shape,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
    bias: bool = False,
) -> Layer:
    """Return a transposed convolution of (N, C, …) with (C, K/G, …) as the convolution that computes its phases.

    Outputs whose places differ by multiples of the stride S, a phase, are a convolution of the input with every S-th
    tap of the filter: S phases of F/S taps along an axis. All phases are output channels of one convolution: for each
    input pixel it makes K·SY·SX values of C·(FY/SY)·(FX/SX) products each, sums included. So each output is made once,
    and MACs are N·IZ·IY·IX · C/G · K · FZ·FY·FX, as many as without phases. Where S does not divide F, or the output is
    not S times the input, the loops are the nearest of which that holds: MACs and weights are exact.
    A layer then reads or stores a little more than its operands (docs/counting.md).

    Source: the sub-pixel convolution of Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
    arXiv 1609.07009.

    Example:
        >>> shapes = (1, 64, 28, 28), (64, 64, 4, 4), (1, 64, 56, 56)
        >>> layer = transposed_convolution(*shapes, stride=(2, 2), dilation=(1, 1))
        >>> layer.k * layer.oy * layer.ox, (layer.c, layer.fy, layer.fx), layer.macs
        (200704, (64, 2, 2), 51380224)
    """
    iz, iy, ix = _volume(source)
    taps, channels = _volume(weight), weight[0] // groups
    steps = _volume((1, 1, *stride))
    elements = prod(output)
    made = elements / (source[0] * groups * iz * iy * ix)  # of a group, for each input pixel
    k, c, fy, fx = _phases(weight[1], channels, taps, steps, made)
    gaps = [gap // gcd(gap, step) for gap, step in zip(_last_two(dilation, 1), steps[1:], strict=True)]
    return Layer(
        name=(op := f"conv_transpose{len(weight) - 2}d"),
        op=op,
        kind="mac",
        n=source[0] * iz,
        g=groups,
        k=k,
        c=c,
        oy=iy,
        ox=ix,
        fy=fy,
        fx=fx,
        iy=iy,
        ix=ix,
        dilation=(gaps[0], gaps[1]),
        padding=((fy - 1) * gaps[0] // 2, (fx - 1) * gaps[1] // 2),
        input_elements=prod(source),
        weight_elements=prod(weight),
        output_elements=elements,
        vector_ops=elements if bias else 0,
        fused=("bias",) if bias else (),
    )


@lru_cache(maxsize=4096)
def _phases(
    filters: int, channels: int, taps: tuple[int, ...], stride: tuple[int, ...], made: float
) -> tuple[int, int, int, int]:
    """Loops (k, c, fy, fx) of a transposed convolution, whose product is its weights K·C·FZ·FY·FX.

    Those of all phases are k = *made*, the outputs for each input pixel, and c = C·FZ/SZ. Taken are the nearest, by
    their ratios to both, with no fewer channels, so that no input is left out; of equal ones those with taps nearest to
    F/S. More outputs than there are weigh three times as much as fewer, which cost idle steps and no traffic.
    """
    least = channels * max(taps[0] / stride[0], 1)
    total, products = filters * channels * prod(taps), _divisors((filters, channels, *taps))
    wanted = [tap / step for tap, step in zip(taps[1:], stride[1:], strict=True)]

    def away(loops: tuple[int, int, int, int]) -> tuple[float, float, float]:
        k, c, fy, fx = loops
        of_outputs = max(3 * log(k / made), log(made / k))
        of_taps = abs(log(fy / wanted[0])) + abs(log(fx / wanted[1]))
        return round(of_outputs + log(c / least), 9), round(of_outputs, 9), of_taps

    found = (
        (k, total // (k * fy * fx), fy, fx)
        for fy in products
        if fy <= taps[1]
        for fx in products
        if fx <= taps[2]
        for k in products
        if total % (k * fy * fx) == 0 and total >= least * k * fy * fx
    )
    return min(found, key=away)


def _divisors(factors: Iterable[int]) -> set[int]:
    """All divisors of the product of *factors*."""
    found = {1}
    for factor in factors:
        left, prime = factor, 2
        while left > 1:
            if left % prime == 0:
                left //= prime
                found |= {one * prime for one in found}
            else:
                prime = prime + 1 if prime * prime <= left else left
    return found


def linear(source: Shape, outputs: int, *, bias: bool = False) -> Layer:
    """Return (B, …, F) times a matrix of F×*outputs*: n = B, oy = the product of the dimensions between."""
    batch, rows = (source[0], prod(source[1:-1])) if len(source) > 1 else (1, 1)
    features = source[-1]
    elements = batch * rows * outputs
    return Layer(
        name="linear",
        op="linear",
        kind="mac",
        n=batch,
        k=outputs,
        c=features,
        oy=rows,
        iy=rows,
        input_elements=prod(source),
        weight_elements=features * outputs,
        output_elements=elements,
        vector_ops=elements if bias else 0,
        fused=("bias",) if bias else (),
    )


def matmul(
    batch: int, rows: int, reduced: int, columns: int, *, learnt: bool = False, add: bool = False
) -> Layer:
    """Return *batch* products of rows×reduced by reduced×columns, each with its own second operand.

    The second operands are activations (as in attention) unless *learnt*; *add* says that a third is added.
    """
    elements = batch * rows * columns
    return Layer(
        name="matmul",
        op="matmul",
        kind="mac",
        g=batch,
        k=columns,
        c=reduced,
        oy=rows,
        iy=rows,
        input_elements=batch * rows * reduced,
        weight_elements=batch * reduced * columns,
        output_elements=elements,
        vector_ops=elements if add else 0,
        weights_are_activations=not learnt,
        fused=("add",) if add else (),
    )


def pooling(
    op: str,
    source: Shape,
    output: Shape,
    *,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (),
    dilation: Sequence[int] = (),
) -> Layer:
    """Return a pooling: a vector operation for each element of each window, those at the border whole."""
    dimensions = len(kernel)
    layer = elementwise(op, _image(output, dimensions), (_image(source, dimensions),), window=kernel)
    strides = stride or kernel
    return replace(
        layer,
        stride=_last_two(strides, 1),
        padding=_last_two(padding or (0,), 0),
        dilation=_last_two(dilation or (1,), 1),
        vector_ops=prod(output) * prod(kernel),
    )


def adaptive_pooling(op: str, source: Shape, output: Shape, dimensions: int) -> Layer:
    """Return a pooling to a given size: window i of an axis covers ⌊i·in/out⌋ to ⌈(i+1)·in/out⌉ − 1."""
    reads, kernel = prod(output[:-dimensions]), []
    for size, count in zip(source[-dimensions:], output[-dimensions:], strict=True):
        windows = [-(-(i + 1) * size // count) - i * size // count for i in range(count)]
        reads *= sum(windows)
        kernel.append(max(windows))
    strides = [
        max(1, size // count) for size, count in zip(source[-dimensions:], output[-dimensions:], strict=True)
    ]
    layer = pooling(op, source, output, kernel=kernel, stride=strides)
    return replace(layer, vector_ops=reads)


def reduction(op: str, source: Shape, output: Shape) -> Layer:
    """Return a sum, mean or maximum over dimensions: one vector operation for each input element."""
    return replace(elementwise(op, output, (source,)), vector_ops=prod(source))


def elementwise(
    op: str,
    output: Shape,
    sources: Sequence[Shape],
    *,
    window: Sequence[int] = (),
) -> Layer:
    """Return an operator with one vector operation for each output element, whatever it computes there."""
    n, k, oy, ox = _layout(output)
    _, c, iy, ix = _layout(sources[0] if len(sources) == 1 else output)
    fy, fx = _last_two(window or (1,), 1)
    return Layer(
        name=op,
        op=op,
        kind="vector",
        n=n,
        k=k,
        c=c,
        oy=oy,
        ox=ox,
        fy=fy,
        fx=fx,
        iy=iy,
        ix=ix,
        input_elements=sum(prod(source) for source in sources),
        output_elements=prod(output),
        vector_ops=prod(output),
    )


def view(op: str, output: Shape, sources: Sequence[Shape]) -> Layer:
    """Return a free rearrangement that joins several tensors, such as a concat."""
    layer = elementwise(op, output, sources)
    return derive(layer, kind="view", vector_ops=0)


def _volume(shape: Shape) -> tuple[int, int, int]:
    """The last up to three dimensions after the first two, filled up with ones."""
    spatial = shape[2:]
    return (1,) * (3 - len(spatial)) + spatial  # type: ignore[return-value]


def _last_two(values: Sequence[int], fill: int) -> tuple[int, int]:
    """(vertical, horizontal) of a value for each dimension; one alone is horizontal."""
    return (values[-2] if len(values) > 1 else fill, values[-1])


def _image(shape: Shape, dimensions: int) -> Shape:
    """(N, C, …, Y, X) of a tensor that may lack the batch or, with one dimension, the rows."""
    batched = (1,) * (dimensions + 2 - len(shape)) + shape
    return batched if dimensions > 1 else (*batched[:-1], 1, batched[-1])


def _layout(shape: Shape) -> tuple[int, int, int, int]:
    """(n, channels, oy, ox): (N, C, …, Y, X) from four dimensions on, below channels last: (B, T, F)."""
    if len(shape) >= 4:
        return shape[0], shape[1], prod(shape[2:-1]), shape[-1]
    n, rows, channels = (1,) * (3 - len(shape)) + shape
    if len(shape) == 2:
        n, rows = rows, 1
    return n, channels, rows, 1
