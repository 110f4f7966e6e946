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
from tests.frontends.onnx_graphs import integers, model, network, node, weights


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
