"""Activations that exporters write as several nodes, found by the tensors between them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from onnx import (
    GraphProto,
)

if TYPE_CHECKING:
    from onnx import GraphProto


PART = ""
"""What a node becomes whose work a later one does."""


_GATES = {"silu": ("Sigmoid",), "hardswish": ("HardSigmoid",), "mish": ("Softplus", "Tanh")}
"""x times these functions of x, the first one first."""


def composed(graph: GraphProto) -> dict[int, str]:
    """Return what nodes become, by their place in the graph: the last node of an activation all of it, others ``PART``.

    ``Mul(x, Sigmoid(x))`` is silu, and so for hardswish and mish; a product of x, a constant and 1 + Erf(x / √2) is
    gelu. Nothing else may read what lies in between.
    """
    found: dict[int, str] = {}
    tensors = _Tensors(graph)
    for last, node in enumerate(graph.node):
        if node.op_type == "Mul" and not node.domain and len(node.input) == 2:
            op, parts = tensors.gate(*node.input) or tensors.gelu(*node.input) or ("", [])
            if op:
                found.update(dict.fromkeys(parts, PART))
                found[last] = op
    return found


class _Tensors:
    """What makes the tensors of a graph, and how often they are read."""

    def __init__(self, graph: GraphProto):
        self._nodes = graph.node
        self._makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
        self._readers = Counter(name for node in graph.node for name in node.input)
        self._readers.update(value.name for value in graph.output)
        self._constants = {tensor.name for tensor in graph.initializer}
        self._constants.update(
            node.output[0] for node in graph.node if node.op_type == "Constant" and node.output
        )

    def gate(self, first: str, second: str) -> tuple[str, list[int]] | None:
        """The activation whose last product has these factors, and the nodes before that product."""
        for source, gate in ((first, second), (second, first)):
            for op, functions in _GATES.items():
                parts: list[int] = []
                tensor = gate
                for function in reversed(functions):
                    index = self._made_by(tensor, function)
                    if index is None:
                        break
                    parts.append(index)
                    tensor = self._nodes[index].input[0]
                if len(parts) == len(functions) and tensor == source:
                    return op, parts
        return None

    def gelu(self, first: str, second: str) -> tuple[str, list[int]] | None:
        """The same for gelu, whose three factors make two products in any order."""
        inner = [index for name in (first, second) if (index := self._made_by(name, "Mul")) is not None]
        for product in inner:
            outer = second if self._nodes[product].output[0] == first else first
            factors = [outer, *self._nodes[product].input]
            for factor in factors:
                source, parts = self._error_function(factor)
                others = [name for name in factors if name != factor]
                if source in others and self._one_constant([name for name in others if name != source]):
                    return "gelu", [product, *parts]
        return None

    def _error_function(self, name: str) -> tuple[str, list[int]]:
        """The x of 1 + Erf(x · constant) and its nodes."""
        added = self._made_by(name, "Add")
        if added is not None:
            for term in self._nodes[added].input:
                error = self._made_by(term, "Erf")
                scaled = None if error is None else self._scaled(self._nodes[error].input[0])
                if error is not None and scaled is not None:
                    source = next(
                        tensor for tensor in self._nodes[scaled].input if tensor not in self._constants
                    )
                    return source, [added, error, scaled]
        return "", []

    def _scaled(self, name: str) -> int | None:
        """The node that multiplies or divides a tensor by a constant."""
        for op in ("Div", "Mul"):
            index = self._made_by(name, op)
            if (
                index is not None
                and sum(tensor in self._constants for tensor in self._nodes[index].input) == 1
            ):
                return index
        return None

    def _one_constant(self, names: list[str]) -> bool:
        return len(names) == 1 and names[0] in self._constants

    def _made_by(self, name: str, op: str) -> int | None:
        """The node that makes a tensor for one reader alone, if it is that operator."""
        index = self._makers.get(name)
        if index is None or self._readers[name] != 1:
            return None
        node = self._nodes[index]
        return index if node.op_type == op and not node.domain and len(node.input) > 0 else None
