"""LSTM, GRU and RNN: a product for the inputs of all steps, then for each step its recurrent product and its gates."""

from __future__ import annotations

from dataclasses import replace

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx.node import Node, Part, Rule
from squeezesim.network import ops
from squeezesim.network.checks import show

MAX_STEPS = 20_000
"""Most steps of one operator, all directions together."""

_SOURCE, _WEIGHT, _RECURRENT, _BIAS = range(4)  # then come states, and the peepholes of an LSTM


def _recurrent(op: str, gates: int, work: int) -> Rule:
    """An operator of *gates* matrices, with *work* vector operations for each hidden value and step beside biases.

    With T steps of B rows, I inputs and H hidden values each direction has T · B · gates · H · (I + H) MACs.
    """

    def rule(node: Node) -> list[Part]:
        source = node.operand(_SOURCE).shape
        weight, recurrent = node.operand(_WEIGHT).shape, node.operand(_RECURRENT).shape
        if not len(source) == len(weight) == len(recurrent) == 3:
            raise ModelError(f"an input of {show(source)} with weights of {show(weight)} is not modelled")
        batch, steps, inputs = source if node.integer("layout", 0) else (source[1], source[0], source[2])
        directions, hidden = weight[0], recurrent[-1]
        if weight != (directions, gates * hidden, inputs) or recurrent != (
            directions,
            gates * hidden,
            hidden,
        ):
            raise ModelError(
                f"weights of {show(weight)} and {show(recurrent)} do not fit an input of {show(source)}"
            )
        if steps * directions > MAX_STEPS:
            raise ModelError(f"has {steps * directions} steps, more than {MAX_STEPS}")
        bias = node.optional(_BIAS) is not None
        states = tuple(range(_BIAS + 1, len(node.inputs)))
        entering = Part(
            ops.linear((steps, batch, inputs), gates * hidden, bias=bias), (_SOURCE, _WEIGHT, _BIAS)
        )
        product = ops.linear((batch, hidden), gates * hidden, bias=bias)
        cell = ops.elementwise(op, (batch, hidden), [(batch, gates * hidden)] * 2)
        cell = replace(cell, vector_ops=work * batch * hidden)
        parts: list[Part] = []
        cells: list[int] = []
        for _ in range(directions):
            start = len(parts)
            before = (start + 2,) if steps > 1 else ()
            parts.append(entering)
            parts.append(Part(product.repeated(steps), (_RECURRENT, *states), carried=before))
            parts.append(Part(cell.repeated(steps), (), (start, start + 1)))
            cells.append(start + 2)
        if steps * directions > 1:
            joined = ops.view(
                "concat", (batch, steps * directions * hidden), [(batch, hidden)] * (steps * directions)
            )
            parts.append(Part(joined, (), tuple(cells)))
        return parts

    return rule


RULES: dict[str, Rule] = {
    # The sum of both products and a function for each gate, then the state and the output that they make.
    "GRU": _recurrent("gru_cell", 3, 10),
    "LSTM": _recurrent("lstm_cell", 4, 13),
    "RNN": _recurrent("rnn_cell", 1, 2),
}
