import pytest
import torch
from hypothesis import given
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


@given(st.data(), st.integers(1, 3))
def test_a_transposed_convolution_has_pytorch_s_macs(data, dimensions):
    draw = data.draw
    groups, n = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    c, k = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = [draw(st.integers(1, 3)) for _ in range(dimensions)]
    stride = [draw(st.integers(1, 2)) for _ in range(dimensions)]
    source = torch.ones(n, c, *[draw(st.integers(1, 4)) for _ in kernel])
    weight = torch.ones(c, k // groups, *kernel)
    convolve = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)
    result = convolve[dimensions - 1](source, weight, stride=stride, groups=groups)
    layer = ops.transposed_convolution(
        tuple(source.shape), tuple(weight.shape), tuple(result.shape), groups=groups, bias=True
    )
    assert layer.macs == int(result.sum())  # without padding nothing that is multiplied is cut off
    assert layer.vector_ops == layer.macs // layer.c + result.numel()
    assert layer.output_elements == result.numel()


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
