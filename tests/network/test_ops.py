from math import prod

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from squeezesim.network import ops

size = st.integers(1, 5)


@given(st.data(), st.integers(1, 3))
def test_a_convolution_of_any_dimension_has_pytorch_s_macs(data, dimensions):
    """MACs: every output element takes one for each weight of its channel. Unit weights and inputs count them."""
    draw = data.draw
    groups, n = draw(size), draw(st.integers(1, 2))
    c, k = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    stride = [draw(st.integers(1, 2)) for _ in range(dimensions)]
    source = torch.ones(n, c, *[draw(st.integers(f, 6)) for f in kernel])
    weight = torch.ones(k, c // groups, *kernel)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[dimensions - 1]
    result = convolve(source, weight, stride=stride, groups=groups)
    layer = ops.convolution(
        tuple(source.shape), tuple(weight.shape), tuple(result.shape),
        stride=stride, padding=[0] * dimensions, dilation=[1] * dimensions, groups=groups,
    )  # fmt: skip
    assert layer.macs == int(result.sum())
    assert layer.n * layer.g * layer.k * layer.oy * layer.ox == layer.output_elements == result.numel()
    assert (layer.input_elements, layer.weight_elements) == (source.numel(), weight.numel())


CONVOLVE = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)


@given(st.data(), st.integers(1, 3))
def test_a_transposed_convolution_has_pytorch_s_macs(data, dimensions):
    draw = data.draw
    groups, n = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    c, k = groups * draw(st.integers(1, 4)), groups * draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 5)) for _ in range(dimensions)]
    stride = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    dilation = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    source = torch.ones(n, c, *[draw(st.integers(1, 4)) for _ in kernel])
    weight = torch.ones(c, k // groups, *kernel)
    result = CONVOLVE[dimensions - 1](source, weight, stride=stride, groups=groups, dilation=dilation)
    layer = ops.transposed_convolution(
        tuple(source.shape),
        tuple(weight.shape),
        tuple(result.shape),
        stride=stride,
        dilation=dilation,
        groups=groups,
        bias=True,
    )
    assert layer.macs == int(result.sum())  # without padding nothing that is multiplied is cut off
    assert layer.g * layer.k * layer.c * layer.fy * layer.fx == layer.weight_elements == weight.numel()
    assert layer.vector_ops == layer.output_elements == result.numel()


@given(st.data(), st.integers(1, 3))
def test_a_transposed_convolution_writes_each_output_once(data, dimensions):
    """Where the output is as many times the input as the stride, and the stride divides the filter, along each axis.

    Phase r along an axis holds the taps f with (f·d) mod s = r, where d is 1: s phases of F/s taps each.
    """
    draw = data.draw
    groups, n, c, k = (draw(st.integers(1, 3)) for _ in range(4))
    stride = [draw(st.integers(1, 4)) for _ in range(dimensions)]
    kernel = [draw(st.integers(1, 3)) * step for step in stride]
    sizes = [draw(st.integers(4, 7)) for _ in kernel]
    source = torch.zeros(n, groups * c, *sizes)
    weight = torch.zeros(groups * c, k, *kernel)
    cut = [size - step for size, step in zip(kernel, stride, strict=True)]
    padding, more = [-(-size // 2) for size in cut], [size % 2 for size in cut]
    allowed = all(extra < step or not extra for extra, step in zip(more, stride, strict=True))
    assume(allowed)
    result = CONVOLVE[dimensions - 1](
        source, weight, stride=stride, groups=groups, padding=padding, output_padding=more
    )
    assert list(result.shape[2:]) == [size * step for size, step in zip(sizes, stride, strict=True)]
    layer = ops.transposed_convolution(
        tuple(source.shape),
        tuple(weight.shape),
        tuple(result.shape),
        stride=stride,
        dilation=[1] * dimensions,
        groups=groups,
    )
    phases = prod(len({tap % step for tap in range(size)}) for size, step in zip(kernel, stride, strict=True))
    assert layer.k == k * phases
    assert layer.n * layer.g * layer.k * layer.oy * layer.ox == layer.output_elements == result.numel()
    planes = kernel[0] // stride[0] if dimensions == 3 else 1
    taps = [size // step for size, step in zip(kernel, stride, strict=True)][-2:]
    assert (layer.c, [layer.fy, layer.fx][-len(taps) :]) == (c * planes, taps)
    assert layer.n * layer.g * layer.c * layer.iy * layer.ix == source.numel() * planes


@pytest.mark.parametrize(
    ("kernel", "stride", "channels", "expected"),
    [
        (4, 2, 64, (256, 64, 2, 2)),
        (2, 2, 64, (256, 64, 1, 1)),
        (3, 1, 64, (64, 64, 3, 3)),
        (3, 2, 64, (256, 72, 1, 2)),  # 4, 2, 2 and 1 taps: 9/4 · 64 products on average
        (5, 2, 64, (256, 80, 1, 5)),
        (3, 2, 1, (192, 1, 1, 3)),  # 9/4 is no integer: three outputs of three products
        (1, 2, 64, (64, 64, 1, 1)),  # three phases have no tap
    ],
)
def test_phases_of_a_transposed_convolution(kernel, stride, channels, expected):
    layer = ops.transposed_convolution(
        (1, channels, 7, 7),
        (channels, 64, kernel, kernel),
        (1, 64, 7 * stride, 7 * stride),
        stride=(stride, stride),
        dilation=(1, 1),
    )
    assert (layer.k, layer.c, layer.fy, layer.fx) == expected
    assert layer.macs == 49 * channels * 64 * kernel**2


@given(st.tuples(st.integers(1, 7), st.integers(1, 7)), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_adaptive_pooling_reads_pytorch_s_windows(source, target):
    """Of images with a single one, the non-zero averages are the windows that read that element."""
    pixels = source[0] * source[1]
    pooled = functional.adaptive_avg_pool2d(torch.eye(pixels).reshape(pixels, 1, *source), target)
    layer = ops.adaptive_pooling("avg_pool", (1, 2, *source), (1, 2, *target), 2)
    assert layer.vector_ops == 2 * int((pooled != 0).sum())


def test_pooling_counts_each_window_whole():
    layer = ops.pooling("max_pool", (1, 64, 111, 111), (1, 64, 55, 55), kernel=(3, 3), stride=(2, 2))
    assert layer.vector_ops == 64 * 55 * 55 * 9
    assert (layer.k, layer.oy, layer.ox, layer.iy, layer.fy, layer.stride) == (64, 55, 55, 111, 3, (2, 2))
    row = ops.pooling("avg_pool", (2, 4, 10), (2, 4, 5), kernel=(2,))
    assert (row.n, row.k, row.oy, row.ox, row.fy, row.fx, row.stride) == (2, 4, 1, 5, 1, 2, (1, 2))


@pytest.mark.parametrize(
    ("source", "n", "rows", "features"),
    [((5,), 1, 1, 5), ((2, 5), 2, 1, 5), ((2, 3, 5), 2, 3, 5), ((2, 3, 4, 5), 2, 12, 5)],
)
def test_linear_knows_batch_and_rows(source, n, rows, features):
    layer = ops.linear(source, 7, bias=True)
    assert (layer.n, layer.oy, layer.c, layer.k) == (n, rows, features, 7)
    assert layer.macs == n * rows * features * 7
    assert layer.vector_ops == layer.output_elements == n * rows * 7


def test_a_reduction_costs_its_input_and_a_view_nothing():
    assert ops.reduction("sum", (2, 3, 4), (2, 3)).vector_ops == 24
    concat = ops.view("concat", (1, 8, 4, 4), [(1, 4, 4, 4)] * 2)
    assert (concat.kind, concat.vector_ops, concat.input_elements, concat.k) == ("view", 0, 128, 8)
