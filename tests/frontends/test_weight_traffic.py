"""Weights that are stored dense and stay nowhere are read from DRAM at least once for each product that uses them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper
from torch import Tensor, nn

from squeezesim import Accelerator, Network, simulate
from squeezesim.cost.costs import OPERANDS
from squeezesim.frontends.torch.trace import trace
from squeezesim.hardware import DATAFLOWS
from tests.frontends.onnx.graphs import integers, model, network, node, weights

WEIGHTS = list(OPERANDS).index("weights")


class Product(nn.Module):
    """A function of a parameter."""

    def __init__(self, shape: tuple[int, ...], function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.w, self.function = nn.Parameter(torch.zeros(shape)), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.w)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.m(x, x[:, :3], x[:, :3], need_weights=False)[0])


def chosen(x: Tensor, w: Tensor) -> Tensor:
    return torch.bmm(x, w.index_select(0, torch.tensor([1, 3, 6], device=x.device)))


def grouped(x: Tensor, w: Tensor) -> Tensor:
    ends = torch.tensor([3, 3, 8, 12], dtype=torch.int32, device=x.device)
    return torch._grouped_mm(x.bfloat16(), w.bfloat16(), offs=ends)


# The module, its input, and the elements of weights that its products use, by hand.
MODULES: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    "bmm": (Product((4, 24, 40), torch.bmm), (4, 5, 24), 4 * 24 * 40),
    "baddbmm": (Product((4, 24, 24), lambda x, w: torch.baddbmm(x, x, w)), (4, 24, 24), 4 * 24 * 24),
    "einsum": (
        Product((4, 24, 40), lambda x, w: torch.einsum("bik,bkj->bij", x, w)),
        (4, 5, 24),
        4 * 24 * 40,
    ),
    "einsum of one": (Product((24, 40), lambda x, w: torch.einsum("bik,kj->bij", x, w)), (4, 5, 24), 24 * 40),
    "expanded": (Product((24, 40), lambda x, w: torch.bmm(x, w.expand(4, 24, 40))), (4, 5, 24), 24 * 40),
    "broadcast": (Product((1, 4, 24, 40), torch.matmul), (3, 4, 5, 24), 4 * 24 * 40),
    "broadcast columns": (
        Product((4, 24, 1), lambda x, w: torch.bmm(x, w.expand(4, 24, 7))),
        (4, 5, 24),
        4 * 24 * 7,
    ),
    "experts": (Product((8, 24, 40), chosen), (3, 5, 24), 3 * 24 * 40),
    "groups": (Product((4, 32, 16), grouped), (12, 32), 3 * 32 * 16),
    "convolution": (nn.Conv2d(8, 16, 3, groups=2, bias=False), (3, 8, 9, 9), 16 * 4 * 9),
    "transposed": (nn.ConvTranspose2d(8, 4, 2, 2), (1, 8, 5, 5), 8 * 4 * 4),
    "attention": (Attention(), (1, 5, 16), 4 * 16 * 16),
}
ON = [("eyeriss" if flow == "rs" else "squeezelerator_8x8", flow) for flow in DATAFLOWS]


def hardware(name: str, flow: str, objective: str) -> Accelerator:
    return Accelerator.named(name).replace({"array.dataflows": (flow,), "mapper.objective": objective})


def check(found: Network, used: int, on: Accelerator) -> None:
    report = simulate(found, on)
    products = [
        layer for layer in report.network.layers if layer.kind == "mac" and not layer.weights_are_activations
    ]
    assert sum(layer.weight_elements for layer in products) == used
    for number, layer in enumerate(report.network.layers):
        if layer.kind == "mac":
            read = report.tally.dram[number, WEIGHTS]
            assert read >= -(-layer.weight_elements * layer.repeat * on.precision.weight_bits // 8)


@pytest.mark.parametrize("name", MODULES)
def test_a_traced_layer_reads_its_weights(name: str) -> None:
    module, shape, used = MODULES[name]
    found = trace(module, shape)
    for on in ON:
        for objective in ("latency", "energy"):
            check(found, used, hardware(*on, objective))


GRAPHS: dict[str, tuple[list[onnx.NodeProto], tuple[int, ...], tuple[int, ...], int]] = {
    "stack": ([node("MatMul", ["x", "w"])], (4, 5, 24), (4, 24, 40), 4 * 24 * 40),
    "broadcast": ([node("MatMul", ["x", "w"])], (3, 4, 5, 24), (4, 24, 40), 4 * 24 * 40),
    "expanded": (
        [node("Expand", ["w", "sizes"], "e"), node("MatMul", ["x", "e"])],
        (4, 5, 24),
        (24, 40),
        24 * 40,
    ),
    "einsum": ([node("Einsum", ["x", "w"], equation="bik,bkj->bij")], (4, 5, 24), (4, 24, 40), 4 * 24 * 40),
    "split": (
        [
            helper.make_node("Split", ["w"], ["a", "b"], axis=1, num_outputs=2),
            node("MatMul", ["x", "a"], "y"),
            node("MatMul", ["x", "b"], "z"),
            node("Add", ["y", "z"], "o"),
        ],
        (5, 24),
        (24, 40),
        24 * 40,
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_layer_of_an_onnx_file_reads_its_weights(name: str, tmp_path: Path) -> None:
    nodes, shape, param, used = GRAPHS[name]
    sizes = [integers("sizes", [4, 24, 40])]
    found = network(tmp_path, model(nodes, {"x": shape}, [weights("w", param), *sizes]))
    assert found.params == used
    for on in ON:
        check(found, used, hardware(*on, "latency"))
