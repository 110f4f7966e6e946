"""Recurrent operators of PyTorch, a step at a time: what they are made of, with equal steps recorded once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from squeezesim.frontends.torch.fold import FEWEST
from squeezesim.frontends.torch.recorder import Recorder

States = list[torch.Tensor]
_Weights = Sequence[torch.Tensor | None]  # of the input, of the state, the biases of both, of a projection
_Role = Callable[[str], AbstractContextManager[None]]  # names what is recorded meanwhile
_Cell = Callable[[torch.Tensor, States, _Weights, _Role], States]


class Recurrences(TorchFunctionMode):
    """While it is active, ``lstm``, ``gru``, ``rnn_tanh`` and ``rnn_relu`` on meta run one step for all equal ones.

    The layers are those that PyTorch's own operators take apart into, in their order (ATen/native/RNN.cpp). Those of a
    layer and direction stand in a module ``l0``, ``l0.forward`` or ``l0.reverse`` below the operator's, and have the
    names of their weights and gates. Sequences that are packed and those with values run as PyTorch runs them, and
    are folded then.
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run *func*, or in place of it the steps that it is made of."""
        del types
        cell = _CELLS.get(str(getattr(func, "__name__", "")).removesuffix(".input"))
        if cell is None or kwargs or len(args) != 9 or not isinstance(args[3], bool) or not args[0].is_meta:
            return func(*args, **(kwargs or {}))
        source, states, weights, has_biases, layers, _, _, bidirectional, batch_first = args
        sequence = source.transpose(0, 1) if batch_first else source
        if not len(sequence):
            return func(*args)
        starts = [state.unbind(0) for state in ([states] if isinstance(states, torch.Tensor) else states)]
        places = layers * (1 + bidirectional)
        each = len(weights) // places
        ends: list[States] = []
        for layer in range(layers):
            outputs = []
            for backward in (False, True) if bidirectional else (False,):
                place = len(ends)
                own = list(weights[place * each : (place + 1) * each])
                own[2:2] = [] if has_biases else [None, None]
                part = f"l{layer}" + (".reverse" if backward else ".forward") * bidirectional
                with self._recorder.inside(part):
                    output, last = self._run(
                        cell, sequence, [state[place] for state in starts], own, backward
                    )
                outputs.append(output)
                ends.append(last)
            sequence = torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0]
        output = sequence.transpose(0, 1) if batch_first else sequence
        return output, *(torch.stack(list(finals), 0) for finals in zip(*ends, strict=True))

    def _run(
        self, cell: _Cell, sequence: torch.Tensor, states: States, weights: _Weights, backward: bool
    ) -> tuple[torch.Tensor, States]:
        """Run a layer in one direction; its outputs and the states after the last step."""
        steps, source = len(sequence), sequence[0]

        def step(before: States) -> States:
            return cell(source, before, weights, self._recorder.role)

        if steps <= FEWEST:
            made = [states := step(states) for _ in range(steps)]
            stepwise = [state[0] for state in made]
            return torch.stack(stepwise[::-1] if backward else stepwise), states
        first, last = self._recorder.repeat(step, states, steps)
        outputs = [first[0].unsqueeze(0), last[0].expand(steps - 1, *last[0].shape)]
        return torch.cat(outputs[::-1] if backward else outputs), last


def _lstm(source: torch.Tensor, states: States, weights: _Weights, role: _Role) -> States:
    hidden, cell = states
    gates = _recurred(hidden, weights, role).add_(_entered(source, weights, role))
    entering, forgetting, value, leaving = gates.unsafe_chunk(4, 1)
    for gate, of in ((entering, "i"), (forgetting, "f"), (value, "g"), (leaving, "o")):
        with role(of):
            gate.tanh_() if gate is value else gate.sigmoid_()
    cell = (forgetting * cell).add_(entering * value)
    hidden = leaving * cell.tanh()
    projection = weights[4] if len(weights) > 4 else None
    if projection is not None:
        with role("hr"):
            hidden = linear(hidden, projection)
    return [hidden, cell]


def _gru(source: torch.Tensor, states: States, weights: _Weights, role: _Role) -> States:
    (hidden,) = states
    entered = _entered(source, weights, role).unsafe_chunk(3, 1)
    recurred = _recurred(hidden, weights, role).unsafe_chunk(3, 1)
    with role("r"):
        reset = recurred[0].add_(entered[0]).sigmoid_()
    with role("z"):
        update = recurred[1].add_(entered[1]).sigmoid_()
    with role("n"):
        new = entered[2].add(recurred[2].mul_(reset)).tanh_()
    return [(hidden - new).mul_(update).add_(new)]


def _rnn(activation: Callable[[torch.Tensor], torch.Tensor]) -> _Cell:
    def run(source: torch.Tensor, states: States, weights: _Weights, role: _Role) -> States:
        return [activation(_recurred(states[0], weights, role).add_(_entered(source, weights, role)))]

    return run


def _entered(source: torch.Tensor, weights: _Weights, role: _Role) -> torch.Tensor:
    with role("ih"):
        return linear(source, weights[0], weights[2])  # type: ignore[arg-type]


def _recurred(hidden: torch.Tensor, weights: _Weights, role: _Role) -> torch.Tensor:
    with role("hh"):
        return linear(hidden, weights[1], weights[3])  # type: ignore[arg-type]


_CELLS: dict[str, _Cell] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _rnn(torch.tanh),
    "rnn_relu": _rnn(torch.relu),
}
