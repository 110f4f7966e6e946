"""Rules that are added: for an operator of PyTorch, for one of another library."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch import library as operators

import squeezesim as sq
from squeezesim.errors import ModelError, UsageError
from squeezesim.frontends.torch import operators as torch_operators
from squeezesim.frontends.torch import rules as torch_rules
from squeezesim.frontends.torch.operators import Call
from squeezesim.network import Layer
from tests.frontends.torch import models


@pytest.fixture(autouse=True)
def _no_rules_stay() -> Iterator[None]:
    yield
    torch_rules._registered.clear()


def sort(call: Call) -> Layer:
    """n·log₂ n comparisons along the last dimension."""
    size = call["self"].shape[-1]
    return Layer.vector("sort", op="sort", k=prod(call.output) * (size - 1).bit_length())


@pytest.mark.parametrize("name", ["sort", "aten::sort"])
def test_an_operator_of_pytorch(name: str) -> None:
    assert [item.op for item in sq.load(models.Sorting(), input_shape=(3, 4)).unmodelled] == ["sort"]
    sq.register_operator(name, sort)
    network = sq.load(models.Sorting(), input_shape=(3, 4))
    assert network.unmodelled == ()
    (layer,) = [layer for layer in network.layers if layer.op == "sort"]
    assert (layer.name, layer.inputs, layer.vector_ops) == ("sort", ("first",), 3 * 6 * 3)
    assert network.layers[-1].inputs == ("sort",)


def test_a_shape_beside_the_layer_is_that_of_the_result() -> None:
    sq.register_operator("sort", lambda call: (sort(call), call.output))
    assert sq.load(models.Sorting(), input_shape=(3, 4)).unmodelled == ()
    sq.register_operator("sort", lambda call: (sort(call), (3, 7)))
    with pytest.raises(ModelError, match="sort says that the result is 3x7, the model that it is 3x6, "):
        sq.load(models.Sorting(), input_shape=(3, 4))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 6))

    def forward(self, x: Tensor) -> Tensor:
        product: Tensor = torch.ops.squeezesim_test.product(x, self.weight)
        return product


@pytest.fixture(scope="module")
def _library() -> None:
    @operators.custom_op("squeezesim_test::product", mutates_args=())
    def product(x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight

    @product.register_fake
    def _(x: Tensor, weight: Tensor) -> Tensor:
        return x.new_empty(x.shape[0], weight.shape[1])


@pytest.mark.usefixtures("_library")
def test_an_operator_of_another_library_counts_its_weights() -> None:
    before = sq.load(Scaled(), input_shape=(3, 4))
    assert [item.op for item in before.unmodelled] == ["squeezesim_test.product"]

    def product(call: Call) -> Layer:
        (rows, reduced), columns = call["x"].shape, call["weight"].shape[1]
        return Layer.matmul("product", m=rows, n=columns, k=reduced)

    sq.register_operator("squeezesim_test::product", product)
    network = sq.load(Scaled(), input_shape=(3, 4))
    assert (network.macs, network.params, network.unmodelled) == (72, 24, ())


def test_a_rule_replaces_what_is_built_in() -> None:
    sq.register_operator("exp", lambda call: Layer.vector("exp", op="exp", k=10 * prod(call.output)))
    sq.register_operator("clone", lambda call: Layer.vector("clone", op="clone", k=prod(call.output)))

    class Exp(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.exp().clone()

    assert [layer.vector_ops for layer in sq.load(Exp(), input_shape=(2, 3)).layers] == [60, 6]


def test_traces_with_a_rule_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: tmp_path)
    sq.register_operator("relu", lambda call: Layer.vector("relu", op="relu", k=7 * prod(call.output)))
    more = sq.load("tiny_darknet", batch=2).vector_ops
    sq.register_operator("leaky_relu", lambda call: Layer.vector("relu", op="relu", k=7 * prod(call.output)))
    assert sq.load("tiny_darknet", batch=2).vector_ops > more
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "rule", "message"),
    [
        ("", sort, "an operator is named as 'sort' or 'library.operator', found ''"),
        ("not a name", sort, "found 'not a name'"),
        (3, sort, "found 3"),
        ("sort", "elementwise", "the rule of sort must be a function of a call, found str"),
    ],
)
def test_what_is_no_rule(name: str, rule: torch_operators.Rule, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sq.register_operator(name, rule)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda _: None, "the rule of sort must return a Layer, found NoneType"),
        (
            lambda call: call["nothing"],
            f"the rule of sort raised KeyError: 'nothing', {__file__}:LINE; the call has self, dim, descending",
        ),
        (
            lambda call: len(call.name) / 0,
            f"the rule of sort raised ZeroDivisionError: division by zero, {__file__}:LINE",
        ),
        (
            lambda _: Layer.vector("sort", op="sort", k=0),
            "the rule of sort raised ModelError: layer 'sort': k must be an integer from 1",
        ),
    ],
)
def test_a_rule_that_fails_is_named(rule: torch_operators.Rule, message: str) -> None:
    sq.register_operator("sort", rule)
    with pytest.raises(ModelError) as caught:
        sq.load(models.Sorting(), input_shape=(3, 4))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(message.replace("LINE", str(rule.__code__.co_firstlineno)))


def test_the_example_of_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    (example,) = (block for block in page.split("```python\n")[1:] if "register_operator" in block)
    exec(example.partition("```")[0], {})
    network = sq.load(models.Sorting(), input_shape=(3, 4))
    assert [layer.vector_ops for layer in network.layers if layer.op == "sort"] == [3 * 6 * 3]
