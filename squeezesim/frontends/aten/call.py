"""A call of an operator, as the rules see it: shapes and settings, no tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an operator reads: its shape, and whether it depends on the network's input."""

    shape: Shape
    is_activation: bool = True
    rows: Shape | None = None  # its shape before its leading dimensions were flattened, as ``linear`` does
    values: tuple[int, ...] | None = None  # of a small constant of integers, where they are known


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator: its arguments by the names of its schema, tensors as operands."""

    name: str
    arguments: Mapping[str, Any]
    output: Shape

    def __getitem__(self, argument: str) -> Any:
        return self.arguments[argument]

    def get(self, argument: str, default: Any = None) -> Any:
        """Return the argument, or *default* where the operator has none or it is None."""
        value = self.arguments.get(argument)
        return default if value is None else value

    @property
    def operands(self) -> list[Operand]:
        """All tensors among the arguments, those in lists included."""
        found: list[Operand] = []
        for value in self.arguments.values():
            items = value if isinstance(value, (list, tuple)) else (value,)
            found.extend(item for item in items if isinstance(item, Operand))
        return found

    @property
    def activations(self) -> list[Shape]:
        """Shapes of the operands that depend on the network's input, of all operands if none does."""
        operands = self.operands
        return [item.shape for item in operands if item.is_activation] or [item.shape for item in operands]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the layers of an operator that is several.

    Attributes:
        layer: the layer.
        reads: of an argument, which slices along its first dimension the layer reads; all of the others.
        assumes: what was assumed, as a note of the network.
    """

    layer: Layer
    reads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    assumes: str = ""


Rule = Callable[[Call], Layer]
"""What an operator becomes. The tracer adds name, module, edges and params to the layer."""

SplitRule = Callable[[Call], list[Part]]
"""What an operator becomes that is several layers."""
