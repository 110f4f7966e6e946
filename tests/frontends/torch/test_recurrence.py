"""Recurrences as layers that repeat, beside every step of PyTorch's own operators recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import nn

from squeezesim.frontends.scalesim import export
from squeezesim.frontends.torch import trace as tracing
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Layer, Network
from squeezesim.simulate import simulate
from tests.report.cases import accelerator


def step_by_step(module: nn.Module, shape: tuple[int, ...]) -> Network:
    """The network with every step as it ran: no operator caught, nothing folded."""

    class Nothing:
        def __init__(self, recorder: object) -> None: ...
        def __enter__(self) -> None: ...
        def __exit__(self, *args: object) -> None: ...

    with patch.object(tracing, "Recurrences", Nothing), patch.object(tracing, "folded", list):
        return trace(module, shape)


def work(network: Network) -> Counter[Layer]:
    """Every step of every layer, without its place."""
    found: Counter[Layer] = Counter()
    for layer in network.layers:
        step = replace(
            layer,
            name="layer",
            module="",
            stage="",
            inputs=(),
            carried=(),
            shared=(),
            params=0,
            weight_params=None,
            constant_elements=layer.constants,
        )
        found[replace(step, repeat=1, vector_ops=step.vector_ops // layer.repeat)] += layer.repeat
    return found


def check(module: nn.Module, shape: tuple[int, ...]) -> Network:
    """Check that the network of *module* does the work of its steps, before and after fusing; return it."""
    network, apart = trace(module, shape), step_by_step(module, shape)
    assert work(network) == work(apart)
    assert work(network.fused) == work(apart.fused)
    assert work(network.unrolled()) == work(apart)
    assert (network.params, network.macs, network.vector_ops) == (apart.params, apart.macs, apart.vector_ops)
    assert network.unread_params == apart.unread_params
    assert network.unmodelled == apart.unmodelled
    return network


@pytest.mark.parametrize("steps", [1, 4, 6])
@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (nn.LSTM, {}),
        (nn.LSTM, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        (nn.LSTM, {"proj_size": 3, "num_layers": 2, "bias": False}),
        (nn.GRU, {"num_layers": 2, "bidirectional": True}),
        (nn.GRU, {"bias": False, "batch_first": True}),
        (nn.RNN, {"bidirectional": True}),
        (nn.RNN, {"nonlinearity": "relu", "num_layers": 2}),
    ],
)
def test_operators_are_their_steps(module: type[nn.Module], settings: dict[str, Any], steps: int) -> None:
    made = module(6, 8, **settings)
    shape = (2, steps, 6) if settings.get("batch_first") else (steps, 2, 6)
    network = check(made, shape)
    directions = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    if steps > 4:
        assert max(layer.repeat for layer in network.layers) in (steps - 1, steps)
        assert len(network.layers) <= 31 * directions


@pytest.mark.parametrize("steps", [2, 9])
@pytest.mark.parametrize(("module", "gates"), [(nn.LSTM, "ifgo"), (nn.GRU, "rzn"), (nn.RNN, ())])
def test_layers_and_directions_are_modules_and_gates_have_names(
    module: type[nn.Module], gates: str, steps: int
) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep = module(6, 8, 2, bidirectional=True)
            self.plain = module(16, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.plain(self.deep(x)[0])[0]

    network = trace(Tagger(), (steps, 2, 6))
    parts = ["deep.l0.forward", "deep.l0.reverse", "deep.l1.forward", "deep.l1.reverse", "plain.l0"]
    own = [layer for layer in network.layers if layer.kind != "view"]
    assert list(dict.fromkeys(layer.module for layer in own)) == parts
    names = {layer.name for layer in network.layers}
    assert names >= {f"{part}/linear_{which}" for part in parts for which in ("ih", "hh")}
    assert all(
        any(name.startswith(f"{part}/") and name.endswith(f"_{gate}") for name in names)
        for part in parts
        for gate in gates
    )
    assert network.stages == ("deep", "plain")
    assert network.with_stages("deep.*", "plain").stages == ("deep.l0", "deep.l1", "plain")
    assert trace(module(6, 8, 3), (steps, 2, 6)).stages == ("l0", "l1", "l2")


class Loop(nn.Module):
    """Cells in a Python loop, one or two on each other, and a head on the last state or on all of them."""

    def __init__(self, cell: type[nn.Module], *, deep: bool, every: bool) -> None:
        super().__init__()
        self.cell = cell(6, 8)
        self.second = cell(8, 8) if deep else None
        self.every = every
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, above, outputs = None, None, []
        for step in x.unbind(1):
            state = self.cell(step, state)
            hidden = state[0] if isinstance(state, tuple) else state
            if self.second is not None:
                above = self.second(hidden, above)
                hidden = above[0] if isinstance(above, tuple) else above
            outputs.append(hidden)
        return self.head(torch.stack(outputs, 1) if self.every else hidden)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("every", [False, True])
def test_cells_in_a_loop_fold(cell: type[nn.Module], deep: bool, every: bool) -> None:
    network = check(Loop(cell, deep=deep, every=every), (2, 7, 6))
    assert max(layer.repeat for layer in network.layers) >= 5
    assert len(network.layers) < len(step_by_step(Loop(cell, deep=deep, every=every), (2, 7, 6)).layers) / 2


class Written(nn.Module):
    """h = relu(W·h + x) by hand, from a learnt state."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(8, 8))
        self.start = nn.Parameter(torch.zeros(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.start.expand(x.shape[0], 8)
        for step in range(x.shape[1]):
            hidden = torch.relu(hidden @ self.w + x[:, step])
        return hidden


def test_a_recurrence_by_hand_folds() -> None:
    network = check(Written(), (2, 6, 8))
    assert [layer.repeat for layer in network.fused.layers] in ([6, 6], [1, 1, 5, 5])


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(6, 8, bidirectional=True, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.tensor([9, 5, 5][: x.shape[0]], device="cpu")
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


def test_packed_sequences_fold_where_steps_are_as_wide() -> None:
    network = check(Packed(), (3, 9, 6))
    assert {layer.repeat for layer in network.layers} >= {1, 4}


class Blocks(nn.Module):
    """Equal residual blocks, each with its own weights, or one block again and again."""

    def __init__(self, *, shared: bool) -> None:
        super().__init__()
        blocks = [nn.Linear(8, 8) for _ in range(1 if shared else 6)]
        self.blocks = nn.ModuleList(blocks * 6 if shared else blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return x


def test_blocks_with_their_own_weights_do_not_fold() -> None:
    assert {layer.repeat for layer in check(Blocks(shared=False), (2, 8)).layers} == {1}
    assert [layer.repeat for layer in check(Blocks(shared=True), (2, 8)).layers] == [6, 6, 6]


class Pools(nn.Module):
    """As spatial pyramids do: three equal poolings, of one another, without parameters."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [x]
        for _ in range(3):
            found.append(nn.functional.max_pool2d(found[-1], 5, 1, 2))
        return torch.cat(found, 1)


def test_a_few_steps_without_parameters_do_not_fold() -> None:
    assert {layer.repeat for layer in check(Pools(), (1, 2, 9, 9)).layers} == {1}


class Scan(nn.Module):
    """A state-space scan: no parameters in its steps, and a product for each."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(4, 4)
        self.leave = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.sigmoid(self.enter(x)), self.leave(x)
        state = torch.zeros(x.shape[0], 4, device=x.device)
        outputs = []
        for step in range(x.shape[1]):
            state = a[:, step] * state + b[:, step]
            outputs.append(state @ state.T)
        return torch.stack(outputs)


def test_a_scan_without_parameters_folds() -> None:
    network = check(Scan(), (2, 12, 4))
    assert [layer.op for layer in network.layers if layer.repeat == 11] == ["mul", "add", "matmul"]


def test_pytorchs_recurrence_in_steps_gets_costs_of_all() -> None:
    """What is printed of a network with recurrences is what the network of its steps costs."""
    made, apart = trace(nn.GRU(6, 8, 2), (7, 2, 6)), step_by_step(nn.GRU(6, 8, 2), (7, 2, 6))
    on = accelerator({"mapper.residency": "order"})  # nothing stays from step to step
    whole, each = simulate(made, on), simulate(apart, on)
    for name, value in each.totals.items():
        assert whole.totals[name] == (value if value is None else pytest.approx(value, rel=1e-12)), name
    assert (whole.tally.losses.sum(axis=0) == each.tally.losses.sum(axis=0)).all()
    assert sorted(rows(export(made).text)) == sorted(rows(export(apart).text))


def rows(text: str) -> list[str]:
    """The rows of a topology without their names."""
    return [line.partition(",")[2] for line in text.splitlines()]
