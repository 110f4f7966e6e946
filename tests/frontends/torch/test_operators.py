"""One operator at a time: the layer that it becomes."""

from math import prod

import pytest
import torch
from torch import nn
from torch.nn import functional

from squeezesim.frontends.torch import operators
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Network


def run(function, *shapes: tuple[int, ...]) -> Network:
    class Run(nn.Module):
        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            return function(*tensors)

    return trace(Run(), inputs=shapes)


@pytest.mark.parametrize(
    ("module", "op"),
    [
        (nn.ReLU(), "relu"),
        (nn.ReLU6(), "relu6"),
        (nn.Hardtanh(), "hardtanh"),
        (nn.LeakyReLU(), "leaky_relu"),
        (nn.PReLU(4), "prelu"),
        (nn.ELU(), "elu"),
        (nn.SELU(), "elu"),
        (nn.GELU(), "gelu"),
        (nn.SiLU(), "silu"),
        (nn.Mish(), "mish"),
        (nn.Sigmoid(), "sigmoid"),
        (nn.Tanh(), "tanh"),
        (nn.Softplus(), "softplus"),
        (nn.Hardswish(), "hardswish"),
        (nn.Hardsigmoid(), "hardsigmoid"),
        (nn.Softmax(dim=1), "softmax"),
        (nn.LogSoftmax(dim=1), "log_softmax"),
        (nn.BatchNorm2d(4), "batch_norm"),
        (nn.InstanceNorm2d(4, affine=True), "instance_norm"),
        (nn.GroupNorm(2, 4), "group_norm"),
        (nn.LayerNorm([4, 6, 6]), "layer_norm"),
    ],
)
def test_modules_of_one_operator_cost_one_for_each_element(module, op):
    network = trace(module, (2, 4, 6, 6))
    (layer,) = network.layers
    assert (layer.op, layer.kind, layer.vector_ops, layer.inputs) == (op, "vector", 2 * 4 * 36, ("input",))
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.unread_params == 0


@pytest.mark.parametrize(
    ("module", "shape", "vector_ops"),
    [
        (nn.MaxPool2d(3, stride=2), (1, 4, 9, 9), 4 * 16 * 9),
        (nn.MaxPool2d(3, stride=2, ceil_mode=True), (1, 4, 10, 10), 4 * 25 * 9),
        (nn.AvgPool2d(2), (1, 4, 8, 8), 4 * 16 * 4),
        (nn.AvgPool1d(2), (1, 4, 8), 4 * 4 * 2),
        (nn.MaxPool1d(2), (1, 4, 8), 4 * 4 * 2),
        (nn.MaxPool3d(2), (1, 4, 8, 8, 8), 4 * 64 * 8),
        (nn.AvgPool3d(2), (1, 4, 8, 8, 8), 4 * 64 * 8),
        (nn.AdaptiveAvgPool2d(1), (1, 4, 7, 7), 4 * 49),
        (nn.AdaptiveAvgPool2d(2), (1, 4, 7, 7), 4 * 4 * 16),
        (nn.AdaptiveMaxPool2d(3), (1, 4, 6, 6), 4 * 36),
        (nn.AdaptiveAvgPool1d(2), (1, 4, 7), 4 * 2 * 4),
    ],
)
def test_pooling_costs_one_for_each_window_element(module, shape, vector_ops):
    (layer,) = trace(module, shape).layers
    assert layer.vector_ops == vector_ops
    assert layer.op in ("max_pool", "avg_pool")
    assert layer.output_elements == prod(module(torch.zeros(shape)).shape)


@pytest.mark.parametrize(
    ("function", "op", "vector_ops"),
    [
        (lambda x: x + 1, "add", 24),
        (lambda x: x - x * 2, "sub", 24),
        (lambda x: x / 3, "div", 24),
        (lambda x: x.mean(), "mean", 24),
        (lambda x: x.sum(dim=1), "sum", 24),
        (lambda x: x.amax(dim=(0, 2)), "max", 24),
        (lambda x: x.max(dim=1).values, "max", 24),
        (lambda x: x.clamp(0, 1), "clamp", 24),
        (lambda x: torch.where(x > 0, x, -x), "where", 24),
        (lambda x: x.masked_fill(torch.ones(4, dtype=torch.bool, device=x.device), 0), "masked_fill", 24),
        (lambda x: functional.interpolate(x, scale_factor=2), "upsample", 48),
        (torch.rsqrt, "rsqrt", 24),
        (lambda x: x.pow(2), "pow", 24),
    ],
)
def test_functions_cost_their_output_and_reductions_their_input(function, op, vector_ops):
    last = run(function, (2, 3, 4)).layers[-1]
    assert (last.op, last.vector_ops) == (op, vector_ops)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.reshape(4, 6),
        lambda x: x.transpose(0, 1).contiguous(),
        lambda x: x.permute(2, 0, 1).flatten(),
        lambda x: x[:, 1:].chunk(2, dim=1)[0],
        lambda x: x.clone().double(),
        lambda x: functional.pad(x, (1, 1)),
        lambda x: functional.dropout(x, training=False),
        lambda x: x.expand(5, 2, 3, 4).repeat(1, 2, 1, 1),
        lambda x: torch.roll(x, 1),
        lambda x: functional.pixel_shuffle(x.reshape(1, 4, 2, 3), 2),
        lambda x: functional.channel_shuffle(x.reshape(1, 4, 2, 3), 2),
    ],
)
def test_what_moves_data_only_is_no_layer(function):
    """The layer that reads the result reads the input."""
    network = run(lambda x: function(x).exp(), (2, 3, 4))
    assert [(layer.op, layer.inputs) for layer in network.layers] == [("exp", ("input",))]
    assert network.unmodelled == ()


@pytest.mark.parametrize("join", [torch.cat, torch.stack])
def test_joins_are_free_views_that_read_all(join):
    network = run(lambda a, b: join([a, b, a]), (2, 3), (2, 3))
    (layer,) = network.layers
    assert (layer.kind, layer.vector_ops, layer.output_elements) == ("view", 0, 18)
    assert layer.inputs == tuple(name for name, _ in network.inputs)


def eight_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    one = torch.ones((), device=a.device)
    return torch._scaled_mm(a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).T, one, one)


@pytest.mark.parametrize(
    ("function", "shapes", "macs", "activations"),
    [
        (torch.matmul, ((5, 4), (4, 3)), 60, True),
        (torch.matmul, ((2, 5, 4), (2, 4, 3)), 120, True),
        (torch.matmul, ((2, 7, 5, 4), (2, 7, 4, 3)), 14 * 60, True),
        (torch.mv, ((5, 4), (4,)), 20, True),
        (torch.dot, ((4,), (4,)), 4, True),
        (torch.vdot, ((4,), (4,)), 4, True),
        (
            lambda a: torch._int_mm(a.to(torch.int8), a.T.contiguous().to(torch.int8)),
            ((32, 16),),
            32 * 16 * 32,
            True,
        ),
        (lambda a: eight_bits(a, a), ((32, 16),), 32 * 16 * 32, True),
        (torch.baddbmm, ((2, 5, 3), (2, 5, 4), (2, 4, 3)), 120, True),
        (torch.addmm, ((3,), (5, 4), (4, 3)), 60, True),
        (lambda a, b: torch.einsum("bij,bkj->bik", a, b), ((2, 5, 4), (2, 3, 4)), 120, True),
        (lambda a: a @ torch.ones(4, 3, device=a.device), ((5, 4),), 60, False),
        (lambda a: torch.ones(3, 4, device=a.device) @ a, ((4, 5),), 60, False),
        (lambda a: torch.ones(2, 3, 4, device=a.device) @ a, ((2, 4, 5),), 120, False),
    ],
)
def test_products(function, shapes, macs, activations):
    network = run(function, *shapes)
    (layer,) = [layer for layer in network.layers if layer.kind == "mac"]
    assert layer.macs == macs
    assert layer.weights_are_activations == activations
    assert layer.output_elements == prod(function(*map(torch.ones, shapes)).shape)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(4, 6, 3, padding=1, groups=2), (2, 4, 9)),
        (nn.Conv3d(2, 4, 3, stride=2), (1, 2, 7, 7, 7)),
        (nn.ConvTranspose1d(4, 6, 3), (1, 4, 5)),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (1, 4, 5, 5)),
        (nn.Conv2d(3, 4, 2, padding="same"), (1, 3, 5, 5)),
        (nn.Conv2d(3, 4, 3), (3, 5, 5)),
        (nn.LSTM(4, 6, num_layers=2), (3, 2, 4)),
        (nn.GRU(4, 6, bidirectional=True), (3, 2, 4)),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    ],
)
def test_modules_with_weights_are_modelled_whole(module, shape):
    network = trace(module, shape)
    assert network.unmodelled == ()
    assert network.unread_params == 0
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.macs > 0


def test_a_bag_reads_and_adds_what_it_looks_up():
    network = trace(nn.EmbeddingBag(100, 6), inputs=[torch.zeros(2, 5, dtype=torch.int64)])
    (layer,) = network.layers
    assert (layer.op, layer.vector_ops, layer.weight_elements) == ("embedding_bag", 2 * 5 * 6, 2 * 5 * 6)
    assert (layer.output_elements, layer.params) == (2 * 6, 100 * 6)


def test_an_lstm_is_its_products_step_by_step():
    """3 steps, batch 2, 4 inputs, 6 hidden: every step takes 24 gates of 4 inputs and 6 hidden values."""
    assert trace(nn.LSTM(4, 6), (3, 2, 4)).macs == 3 * 2 * 24 * (4 + 6)


def test_a_bias_that_is_added_apart_is_called_so():
    network = run(lambda x: x + torch.nn.Parameter(torch.zeros(4, device=x.device)), (2, 4))
    assert [layer.op for layer in network.layers] == ["bias"]


def test_the_tables_do_not_overlap():
    tables = [
        table.keys()
        for table in (
            operators.PRODUCT_RULES,
            operators.POOLING_RULES,
            operators.REDUCTION_RULES,
            operators.ELEMENTWISE_RULES,
            operators.MOVEMENT_RULES,
        )
    ]
    tables.append(operators.FREE)
    assert sum(map(len, tables)) == len(set().union(*tables))
