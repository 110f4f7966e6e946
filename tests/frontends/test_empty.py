"""Tensors without elements are nothing to do; networks without a layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import squeezesim as sq
from squeezesim.frontends.torch.trace import trace
from tests.frontends.onnx.graphs import integers, model, network, node, weights


class Joined(nn.Module):
    """A mask on data selects nothing, and a constant is joined to it, as graph networks add self-loops."""

    def __init__(self) -> None:
        super().__init__()
        self.k = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        picked = torch.ones(edges.shape[1], device=x.device)[edges[0] != edges[1]]
        return torch.cat([picked, torch.ones(4, device=x.device)])[:, None].sum() * self.k(x)


def test_an_empty_part_of_a_concat() -> None:
    edges = torch.zeros((2, 50), dtype=torch.int64)
    found = trace(Joined(), inputs={"x": (20, 16), "edges": edges})
    assert (found.macs, found.params) == (20 * 16 * 16, 16 * 16 + 16)
    assert all(layer.c >= 1 for layer in found.layers)


class Reads(nn.Module):
    """What *function* makes of no rows, then a layer."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.fc = nn.Linear(4, 4, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x) + self.function(x[:0]).sum()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum(0),
        lambda x: x.t() @ x,
        lambda x: torch.einsum("ij,ik->jk", x, x),
        lambda x: torch.addmm(torch.zeros(4, 4, device=x.device), x.t(), x),
        lambda x: x.relu().softmax(-1),
        lambda x: torch.nn.functional.conv1d(
            x[:, :, None].expand(0, 4, 5), torch.zeros(2, 4, 3, device=x.device)
        ),
        lambda x: torch.cat([x, x]).cumsum(0),
        lambda x: torch.zeros(3, 4, device=x.device).index_put(
            (torch.zeros(0, dtype=torch.int64, device=x.device),), x
        ),
        lambda x: torch.bmm(x[None].transpose(1, 2), x[None]),
        lambda x: torch.stack([x, x]).mean((0, 1)),
    ],
)
def test_operators_that_read_nothing(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    found = trace(Reads(function), (3, 4))
    assert found.macs == 3 * 16


@pytest.mark.parametrize(
    "nodes",
    [
        [node("ReduceSum", ["e"], "y")],
        [node("Transpose", ["e"], "t"), node("MatMul", ["t", "e"], "y")],
        [node("Concat", ["e", "c"], "y", axis=0)],
        [node("Concat", ["e", "e"], "y", axis=0)],
        [node("Relu", ["e"], "y")],
    ],
)
def test_nodes_that_read_nothing(tmp_path: Path, nodes: list[onnx.NodeProto]) -> None:
    sliced = node("Slice", ["x", "zero", "zero"], "e")
    made = model(
        [sliced, *nodes, node("MatMul", ["x", "w"], "o")],
        {"x": (3, 4)},
        [integers("zero", [0]), weights("c", (2, 4)), weights("w", (4, 4))],
    )
    found = network(tmp_path, made)
    assert found.macs == 3 * 16
    assert not found.unmodelled


def test_a_network_without_a_layer_in_python(tmp_path: Path) -> None:
    made = model([node("Identity", ["x"], "y")], {"x": (1, 4)})
    found = network(tmp_path, made)
    found.save(tmp_path / "net.graph.json")
    assert sq.load(tmp_path / "net.graph.json") == found
    assert (found.layers, found.macs, found.fused.layers) == ((), 0, ())
    assert not len(found.to_frame())
    assert "0 layers" in str(found)


@pytest.mark.parametrize(
    ("stated", "given", "keys"),
    [
        (0, None, 3),
        (0, (1, 2, 0, 8), 3),
        ("past", (1, 2, 0, 8), 3),
        (None, (1, 2, 0, 8), 3),
        (0, (1, 2, 5, 8), 8),
        ("past", (1, 2, 5, 8), 8),
    ],
)
def test_a_decoder_with_an_empty_past(
    tmp_path: Path, stated: int | str | None, given: tuple[int, ...] | None, keys: int
) -> None:
    nodes = [
        node("MatMul", ["x", "w"], "k0"),
        node("Reshape", ["k0", "s"], "k1"),
        node("Concat", ["pk", "k1"], "k", axis=2),
        node("Transpose", ["k"], "kt", perm=[0, 1, 3, 2]),
        node("MatMul", ["k1", "kt"], "y"),
        node("Relu", ["pk"], "of_the_past"),
    ]
    made = model(
        nodes,
        {"x": (1, 3, 16), "pk": (1, 2, stated, 8)},
        [weights("w", (16, 16)), integers("s", (1, 2, 3, 8))],
    )
    found = network(tmp_path, made, input_shapes={} if given is None else {"pk": given})
    assert (found.macs, found.params) == (3 * 16 * 16 + 2 * 3 * keys * 8, 256)
    assert [layer.op for layer in found.layers if layer.kind == "vector"] == ["relu"] * (keys > 3)
    assert not found.unmodelled
    assert len(found.notes) == (given is None)


def test_a_batch_of_zero_that_a_file_states_is_open(tmp_path: Path) -> None:
    made = model([node("MatMul", ["x", "w"])], {"x": (0, 4)}, [weights("w", (4, 8))])
    with pytest.raises(sq.ModelError, match=r"dimension 0, .*is open; give its shape"):
        network(tmp_path, made)
    assert network(tmp_path, made, batch=3).macs == 3 * 4 * 8
    assert network(tmp_path, made, input_shapes={"x": (0, 4)}).layers == ()


def test_inputs_of_size_zero() -> None:
    for inputs in ({"input": (0, 16)}, {"input": (2, 0, 16)}):
        assert sq.load(nn.Linear(16, 4), inputs=inputs).layers == ()
    with pytest.raises(sq.UsageError, match="batch: sizes must be integers from 1"):
        sq.load(nn.Linear(16, 4), input_shape="16", batch=0)
