"""Three counts side by side, and the words for where they differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from squeezesim.frontends.torch.crosscheck import CrossCheck, cross_check
from tests.frontends.torch.test_exactness import Function


class Net(nn.Module):
    """A module for every kind of difference."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3)
        self.lstm = nn.LSTM(8, 5)
        self.attention = nn.MultiheadAttention(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.lstm(self.conv(x))[0].sum() + torch.mv(self.conv(x)[0], torch.ones(8, device=x.device))
        return self.attention(y[None], y[None], y[None], need_weights=False)[0]


def test_what_agrees_needs_no_words() -> None:
    rows = cross_check(nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2)), [(3, 8)])
    assert rows == [CrossCheck("0", 96, 96, 96), CrossCheck("2", 24, 24, 24)]
    assert all(row.agrees for row in rows)


def test_every_difference_is_said_in_words() -> None:
    rows = {row.module: row for row in cross_check(Net(), [(2, 4, 10)])}
    assert rows["conv"] == CrossCheck("conv", 2 * 2 * 8 * 6 * 12, 2 * 2 * 8 * 6 * 12, 2 * 2 * 8 * 6 * 12)
    lstm = 2 * 6 * 20 * (8 + 5)
    assert rows["lstm"] == CrossCheck("lstm", lstm, 0, lstm, "fvcore has no rule for lstm")
    assert rows[""] == CrossCheck("", 48, 0, 0, "fvcore has no rule for mv; torch has no rule for mv")
    products = 2 * 2 * 3  # two heads of one token with three features: q·k and weights·v
    assert rows["attention"].macs == rows["attention"].torch_macs == 4 * 36 + products
    assert rows["attention"].fvcore_macs == 4 * 36
    assert rows["attention"].why == "fvcore has no rule for scaled_dot_product_attention"
    assert [row.module for row in rows.values() if row.agrees] == ["conv"]


def test_a_difference_without_a_known_reason_has_no_words(monkeypatch: Any) -> None:
    monkeypatch.setattr("squeezesim.frontends.torch.crosscheck._FVCORE_LACKS", frozenset())
    (row,) = cross_check(nn.LSTM(4, 6), [(3, 2, 4)])
    assert (row.agrees, row.why) == (False, "")


def test_a_model_that_fvcore_cannot_run_has_two_counts() -> None:
    class KeywordOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 5)

        def forward(self, *, x: Tensor) -> Tensor:
            return self.linear(x)

    (row,) = cross_check(KeywordOnly(), {"x": (3, 8)})
    assert (row.module, row.macs, row.fvcore_macs, row.torch_macs) == ("linear", 120, None, 120)
    assert row.agrees
    assert row.why == "fvcore cannot run the model: it takes no keyword arguments, such as x"


def test_inputs_by_name() -> None:
    class Two(nn.Module):
        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            return left @ right

    (row,) = cross_check(Two(), {"right": (4, 5), "left": (3, 4)})
    assert (row.macs, row.fvcore_macs, row.torch_macs) == (60, 60, 60)


def test_the_module_is_as_before() -> None:
    module = Net().train()
    cross_check(module, [(2, 4, 10)])
    assert all(parameter.requires_grad for parameter in module.parameters())
    assert all(part.training for part in module.modules())


def test_a_parameter_that_is_passed_to_a_module() -> None:
    class Passed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 8))
            self.linear = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(self.token.expand(3, -1)) + x

    (row,) = cross_check(Passed(), [(3, 5)])
    assert (row.macs, row.torch_macs) == (120, 120)


def test_an_unregistered_function_is_the_models_own() -> None:
    (row,) = cross_check(Function(lambda x: x @ x), [(3, 3)])
    assert (row.module, row.macs, row.agrees) == ("", 27, True)


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:  # noqa: ARG004
        return left @ right


def test_an_autograd_function_is_closed_to_fvcore() -> None:
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(4, 5))
            self.linear = nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(Product.apply(x, self.weight))

    rows = {row.module: row for row in cross_check(nn.Sequential(Custom()), [(3, 4)])}
    assert rows["0"] == CrossCheck("0", 60, 0, 60, "fvcore does not look into autograd functions: Product")
    assert rows["0.linear"] == CrossCheck("0.linear", 30, 30, 30)
