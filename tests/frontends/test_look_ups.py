"""Look-ups read the rows that are looked up, each time, and own their table; sums by hand, in bytes of DRAM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto
from torch import Tensor, nn
from torch.nn import functional

from squeezesim import Accelerator, Network, simulate
from squeezesim.frontends.elements import Ledger, Use
from squeezesim.frontends.torch.trace import trace
from tests.frontends.onnx.graphs import model, network, node, weights

TOKENS, ROWS, WIDTH = 128, 30_000, 768
IDS = torch.zeros(1, TOKENS, dtype=torch.int64)


class Table(nn.Module):
    """A table, a function of places and of it, and a linear layer on what that gives."""

    def __init__(self, look_up: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.table, self.look_up = nn.Parameter(torch.zeros(ROWS, WIDTH)), look_up
        self.fc = nn.Linear(WIDTH, 8)

    def forward(self, ids: Tensor) -> Tensor:
        return torch.as_tensor(self.fc(self.look_up(ids, self.table)))


def gathered(ids: Tensor, table: Tensor) -> Tensor:
    return table.gather(0, ids.reshape(-1, 1).expand(-1, WIDTH))


LOOK_UPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "embedding": functional.embedding,
    "of what is made of the table": lambda ids, table: functional.embedding(ids, table * 2),
    "bag": lambda ids, table: functional.embedding_bag(ids, table, mode="sum"),
    "index": lambda ids, table: table[ids],
    "transposed": lambda ids, table: table.t()[:, ids[0]].t(),
    "index_select": lambda ids, table: table.index_select(0, ids.flatten()),
    "gather": gathered,
}


def traffic(found: Network, number: int) -> list[int]:
    """Bytes of inputs, weights and outputs that a layer moves where no map stays in the buffer."""
    on = Accelerator.named("ws_32x32").replace({"memory.placement": "layer"})
    sums: list[int] = simulate(found, on).tally.dram[number, :3].tolist()
    return sums


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_look_up_reads_the_rows_that_are_looked_up(name: str) -> None:
    found = trace(Table(LOOK_UPS[name]), inputs=[IDS])
    outputs = WIDTH if name == "bag" else TOKENS * WIDTH
    assert traffic(found, 0) == [TOKENS, TOKENS * WIDTH, outputs]
    assert (found.layers[0].params, found.unread_params) == (ROWS * WIDTH, 0)


def test_a_row_is_read_each_time() -> None:
    found = trace(nn.Sequential(nn.Embedding(4, 16), nn.Linear(16, 8)), inputs=[IDS])
    assert traffic(found, 0) == [TOKENS, TOKENS * 16, TOKENS * 16]
    assert found.params == 4 * 16 + 16 * 8 + 8


class Language(nn.Module):
    """Tokens and places, a layer, and a head with the weights of the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(1000, 64), nn.Embedding(2048, 64)
        self.fc, self.head = nn.Linear(64, 64), nn.Linear(64, 1000, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: Tensor) -> Tensor:
        at = torch.arange(ids.shape[1], device=ids.device)
        return torch.as_tensor(self.head(self.fc(self.tokens(ids) + self.places(at))))


@pytest.mark.parametrize("length", [128, 2000])
def test_a_language_model_reads_rows_of_both_tables(length: int) -> None:
    """Places that are known are no look-up: their rows are added."""
    module = Language()
    found = trace(module, inputs=[torch.zeros(1, length, dtype=torch.int64)])
    values = length * 64
    assert [layer.op for layer in found.layers] == ["embedding", "add", "linear", "linear"]
    assert traffic(found, 0) == [length, values, values]
    assert traffic(found, 1) == [values, values, values]
    assert [layer.weight_elements for layer in found.layers[2:]] == [64 * 64, 1000 * 64]
    assert found.params == sum(parameter.numel() for parameter in module.parameters())
    assert (found.layers[0].params, found.layers[3].params) == (1000 * 64, 0)
    assert found.layers[3].shared == ("tokens",)


class Picks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        return torch.as_tensor(self.head(functional.embedding(ids, self.fc(x))))


def test_a_look_up_among_activations_reads_what_it_picks() -> None:
    found = trace(Picks(), inputs=[torch.zeros(500, 16), IDS[0, :3]])
    assert found.layers[1].op == "embedding"
    assert (found.layers[1].input_elements, found.layers[1].weight_elements) == (3 + 3 * 16, 0)


def graph(*nodes: onnx.NodeProto, ids: tuple[int, ...], table: tuple[int, ...]) -> onnx.ModelProto:
    made = model(
        [*nodes, node("MatMul", ["e", "w"])], {"ids": ids}, [weights("t", table), weights("w", (8, 4))]
    )
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return made


@pytest.mark.parametrize(
    ("made", "places", "rows"),
    [
        (graph(node("Gather", ["t", "ids"], "e"), ids=(2, 5), table=(100, 8)), 10, 10),
        (graph(node("Gather", ["t", "ids"], "e", axis=1), ids=(8,), table=(5, 100)), 8, 5),
        (graph(node("GatherElements", ["t", "ids"], "e"), ids=(6, 8), table=(100, 8)), 48, 6),
        (graph(node("GatherND", ["t", "ids"], "e"), ids=(3, 2), table=(10, 10, 8)), 6, 3),
    ],
    ids=["Gather", "Gather along rows", "GatherElements", "GatherND"],
)
def test_a_look_up_of_an_onnx_file_reads_its_rows(
    made: onnx.ModelProto, places: int, rows: int, tmp_path: Path
) -> None:
    found = network(tmp_path, made)
    assert traffic(found, 0) == [places, rows * 8, rows * 8]
    table = made.graph.initializer[0]
    assert (found.layers[0].params, found.params) == (
        torch.Size(table.dims).numel(),
        found.layers[0].params + 32,
    )


def test_what_is_made_of_parameters_alone_is_read_as_it_is_made() -> None:
    ledger = Ledger()
    first, second = ledger.enter(24), ledger.enter(10)
    summed = Use.whole(first, (4, 6)).scattered((6,))
    assert ledger.read([summed]) == 6
    assert ledger.read([Use.whole(first, (4, 6)), summed]) == 24
    assert ledger.read([summed, Use.whole(second, (10,)).broadcast((4, 10))]) == 6 + 10
