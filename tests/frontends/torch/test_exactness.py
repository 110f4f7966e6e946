"""MACs where counters that read modules go wrong: beside PyTorch's own count of what it dispatches, and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from squeezesim.frontends.torch.run import decomposed, undisturbed
from squeezesim.frontends.torch.trace import trace


def dispatched(module: nn.Module, *args: Any, **kwargs: Any) -> int:
    """MACs that PyTorch counts while *module* runs on the CPU."""
    module = module.eval().requires_grad_(False)
    with undisturbed(), decomposed(), FlopCounterMode(display=False) as counter:
        module(*args, **kwargs)
    return int(counter.get_total_flops()) // 2


class Functional(nn.Module):
    """Convolutions without a module, their weights bare parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 3, 3, 3))
        self.matrix = nn.Parameter(torch.zeros(6, 5))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.conv2d(x, self.weight, stride=2, padding=1)
        return y.mean((2, 3)) @ self.matrix


class Dicts(nn.Module):
    """A dict in, a dict out."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Conv2d(3, 4, 3)
        self.text = nn.Linear(8, 5)

    def forward(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"image": self.image(batch["image"]), "more": [self.text(batch["text"])]}


class KeywordOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 5)

    def forward(self, *, x: Tensor, scale: float = 1.0) -> Tensor:
        return self.linear(x) * scale


class Shared(nn.Module):
    """One module under two names, which runs three times."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(4, 4, 3, padding=1)
        self.two = self.one

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(self.one(x)))


class ForwardCalled(nn.Module):
    """Submodules whose forward is called directly, past all hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv.forward(x)


class Unregistered(nn.Module):
    """Modules in a plain list, which PyTorch does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = [nn.Conv2d(3, 3, 1) for _ in range(2)]

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x)
        return x


class Attention(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Double(torch.autograd.Function):
    """An autograd function: a product and a doubling."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return 2 * (x @ weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class Autograd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return Double.apply(x, self.weight)


class Branch(nn.Module):
    """A branch that the data decides: an input of zeros takes the small one."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Linear(8, 2)
        self.large = nn.Linear(8, 200)

    def forward(self, x: Tensor) -> Tensor:
        return self.large(x) if x.sum() > 0 else self.small(x)


class InPlace(nn.Module):
    """A product that is written to a part of a tensor, an activation in place, a product into a given tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, :3] = self.linear(x)[:, :3]
        return torch.mm(y.relu_(), self.linear.weight, out=torch.empty_like(x))


class Function(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.function(*tensors)


def function(function: Callable[..., Tensor]) -> nn.Module:
    return Function(function)


def experts(tokens: Tensor, weights: Tensor) -> Tensor:
    """Two experts: the first two tokens go to one, the other four to the other."""
    ends = torch.tensor([2, 6], dtype=torch.int32, device=tokens.device)
    return functional.grouped_mm(tokens.bfloat16(), weights.bfloat16(), offs=ends)


CASES: dict[str, tuple[nn.Module, tuple[tuple[int, ...], ...], int]] = {
    "functional convolution, bare parameters": (Functional(), ((2, 3, 8, 8),), 2 * (16 * 6 * 3 * 9 + 30)),
    "shared module": (Shared(), ((1, 4, 6, 6),), 3 * 36 * 4 * 4 * 9),
    "forward called directly": (ForwardCalled(), ((1, 3, 8, 8),), 36 * 4 * 27),
    "modules that are not registered": (Unregistered(), ((1, 3, 8, 8),), 2 * 64 * 9),
    "grouped": (nn.Conv2d(8, 12, 3, groups=4), ((1, 8, 6, 6),), 16 * 12 * 2 * 9),
    "depthwise": (nn.Conv2d(8, 16, 3, groups=8), ((1, 8, 6, 6),), 16 * 16 * 9),
    "dilated": (nn.Conv2d(3, 4, 3, dilation=2), ((1, 3, 9, 9),), 25 * 4 * 27),
    "asymmetric": (
        nn.Conv2d(3, 4, (1, 5), stride=(2, 3), padding=(0, 2)),
        ((1, 3, 9, 9),),
        5 * 3 * 4 * 15,
    ),
    "padded as text": (nn.Conv2d(3, 4, (2, 4), padding="same"), ((1, 3, 9, 9),), 81 * 4 * 24),
    "circular padding": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), ((1, 3, 9, 9),), 81 * 108),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), ((1, 4, 5, 5),), 25 * 4 * 6 * 9),
    "transposed, grouped": (
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        ((2, 4, 5, 5),),
        2 * 25 * 4 * 3 * 9,
    ),
    "one dimension": (nn.Conv1d(4, 6, 5, stride=2, groups=2), ((2, 4, 11),), 2 * 4 * 6 * 2 * 5),
    "three dimensions": (nn.Conv3d(2, 4, (1, 3, 2)), ((1, 2, 4, 6, 6),), 4 * 4 * 5 * 4 * 2 * 6),
    "three dimensions, transposed": (nn.ConvTranspose3d(2, 4, 2), ((1, 2, 3, 3, 3),), 27 * 2 * 4 * 8),
    "without a batch": (nn.Conv2d(3, 4, 3), ((3, 6, 6),), 16 * 108),
    "multi-head attention": (Attention(), ((3, 5, 8),), 3 * (4 * 5 * 64 + 2 * 25 * 8)),
    "attention, keys of their own": (
        Attention(add_bias_kv=True, kdim=8, vdim=8),
        ((3, 5, 8),),
        3 * (4 * 5 * 64 + 2 * 5 * 6 * 8),
    ),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3),
        ((2, 5, 8),),
        3 * 2 * (4 * 5 * 64 + 2 * 25 * 8 + 2 * 5 * 8 * 16),
    ),
    "transformer": (
        nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
        ((2, 5, 8), (2, 3, 8)),
        2 * (4 * 5 * 64 + 2 * 25 * 8 + 2 * 5 * 128)
        + 2 * (4 * 3 * 64 + 2 * 9 * 8 + 2 * 3 * 64 + 2 * 5 * 64 + 2 * 15 * 8 + 2 * 3 * 128),
    ),
    "scaled dot-product attention": (
        function(lambda q, k: functional.scaled_dot_product_attention(q, k, k, is_causal=True)),
        ((2, 3, 5, 4), (2, 3, 5, 4)),
        2 * 2 * 3 * 25 * 4,
    ),
    "attention, grouped queries": (
        function(lambda q, k: functional.scaled_dot_product_attention(q, k, k, enable_gqa=True)),
        ((2, 6, 5, 4), (2, 3, 7, 4)),
        2 * 2 * 6 * 35 * 4,
    ),
    "einsum": (
        function(lambda a, b: torch.einsum("bhid,bhjd->bhij", a, b)),
        ((2, 3, 5, 4), (2, 3, 7, 4)),
        2 * 3 * 5 * 7 * 4,
    ),
    "einsum of three": (
        function(lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c)),
        ((2, 3), (3, 4), (4, 5)),
        24 + 40,
    ),
    "einsum with an outer product": (
        function(lambda a, b: torch.einsum("bi,bj->bij", a, b)),
        ((2, 3), (2, 4)),
        0,  # nothing is accumulated
    ),
    "tensordot": (
        function(lambda a, b: torch.tensordot(a, b, 2)),
        ((2, 3, 4), (3, 4, 5)),
        2 * 12 * 5,
    ),
    "broadcast product": (function(torch.matmul), ((4, 5), (2, 3, 5, 6)), 6 * 4 * 5 * 6),
    "RNN": (nn.RNN(4, 6), ((3, 2, 4),), 3 * 2 * 6 * 10),
    "LSTM": (nn.LSTM(4, 6, num_layers=2), ((3, 2, 4),), 3 * 2 * 24 * (10 + 12)),
    "LSTM, projected": (nn.LSTM(4, 6, proj_size=3), ((3, 2, 4),), 3 * 2 * (24 * 7 + 18)),
    "GRU, both ways": (nn.GRU(4, 6, bidirectional=True, batch_first=True), ((2, 3, 4),), 2 * 6 * 18 * 10),
    "LSTM cell": (nn.LSTMCell(4, 6), ((2, 4),), 2 * 24 * 10),
    "autograd function": (Autograd(), ((2, 8),), 2 * 40),
    "data-dependent branch": (Branch(), ((3, 8),), 3 * 16),
    "in place": (InPlace(), ((3, 8),), 2 * 3 * 64),
}


@pytest.mark.parametrize("case", CASES)
def test_macs_are_what_is_dispatched_and_what_is_counted_by_hand(case: str) -> None:
    module, shapes, by_hand = CASES[case]
    network = trace(module, inputs=shapes)
    assert network.macs == dispatched(module, *map(torch.zeros, shapes)) == by_hand
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.unmodelled == ()


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, ...]]:
    """A convolution of any kind with an input that it accepts."""
    dimensions, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dimensions))

    transposed = draw(st.booleans())
    kinds = (
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
        if transposed
        else (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    )
    channels = groups * draw(st.integers(1, 3))
    module = kinds[dimensions - 1](
        channels,
        groups * draw(st.integers(1, 3)),
        sizes(1, 3),
        stride=sizes(1, 3),
        padding=sizes(0, 0 if transposed else 2),
        dilation=sizes(1, 2),
        groups=groups,
        bias=draw(st.booleans()),
    )
    return module, (draw(st.integers(1, 2)), channels, *sizes(5, 8))


@given(convolutions())
def test_any_convolution(case: tuple[nn.Module, tuple[int, ...]]) -> None:
    module, shape = case
    network = trace(module, shape)
    assert network.macs == dispatched(module, torch.zeros(shape))
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.layers[-1].output_elements == module(torch.zeros(shape)).numel()


def test_dicts_in_and_out() -> None:
    module, batch = Dicts(), {"image": torch.zeros(2, 3, 8, 8), "text": torch.zeros(2, 8)}
    network = trace(module, inputs=(batch,))
    assert network.macs == dispatched(module, batch) == 2 * (36 * 4 * 27 + 40)
    assert [name for name, _ in network.inputs] == ["batch['image']", "batch['text']"]


def test_keyword_only_inputs() -> None:
    module = KeywordOnly()
    network = trace(module, inputs={"x": (3, 8)}, kwargs={"scale": 2.0})
    assert network.macs == dispatched(module, x=torch.zeros(3, 8)) == 120


def test_a_branch_follows_the_values_of_the_input() -> None:
    assert trace(Branch(), inputs=(torch.ones(3, 8),)).macs == 3 * 8 * 200


@pytest.mark.parametrize(
    ("module", "shapes", "by_hand"),
    [
        (function(lambda a, b: torch.mv(a, b) * torch.dot(b, b)), ((3, 4), (4,)), 12 + 4),
        (function(lambda a, b: torch.zeros_like(a).addmm_(a, b)), ((3, 3), (3, 3)), 27),
        (function(lambda a, b: torch.zeros_like(a).baddbmm_(a, b)), ((2, 3, 3), (2, 3, 3)), 54),
        (nn.Bilinear(3, 4, 5), ((2, 3), (2, 4)), 2 * 5 * 12),
        (function(experts), ((6, 8), (2, 8, 16)), 6 * 8 * 16),
    ],
)
def test_products_that_pytorch_does_not_count(
    module: nn.Module, shapes: tuple[tuple[int, ...], ...], by_hand: int
) -> None:
    """``FlopCounterMode`` has no rule for products with vectors and those in place."""
    network = trace(module, inputs=shapes)
    assert (network.macs, dispatched(module, *map(torch.zeros, shapes))) == (by_hand, 0)
    assert network.unmodelled == ()
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
