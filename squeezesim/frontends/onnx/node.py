"""A node of an ONNX graph, as the rules see it: shapes and attributes, no tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx.values import Array
from squeezesim.frontends.torch.operators import Operand
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


class UnmodelledError(Exception):
    """A form of an operator that its rule does not cover: the node is listed as not modelled."""


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of an operator that is several: which inputs of the node and which parts before it it reads.

    Each step of a part that repeats reads also what the step before made of the parts ``carried``. Of weights that are
    stacked along their first axis it reads those at ``at`` alone. Those of a recurrence say their ``direction``, empty
    where there is one, and their ``role``, such as the weights of a product.
    """

    layer: Layer
    inputs: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    carried: tuple[int, ...] = ()
    at: int | None = None
    direction: str | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator with the shapes of what it reads and makes.

    Attributes:
        op: its name.
        attributes: its attributes by name.
        inputs: its inputs in order, None for one that is left out.
        constants: the values of the inputs that are small constants.
        outputs: shapes of its outputs, None where it is not known.
        version: the operator set that it is of.
    """

    op: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Operand | None]
    constants: Sequence[Array | None]
    outputs: Sequence[Shape | None]
    version: int = 0

    def operand(self, index: int) -> Operand:
        """Return an input that must be there.

        Raises:
            ModelError: it is left out.
        """
        found = self.optional(index)
        if found is None:
            raise ModelError(f"input {index} is missing")
        return found

    def optional(self, index: int) -> Operand | None:
        """Return an input, None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def constant(self, index: int) -> Array | None:
        """Return the values of an input that is a small constant, None for any other."""
        return self.constants[index] if index < len(self.constants) else None

    @property
    def output(self) -> Shape:
        """The shape of the first output."""
        shape = self.outputs[0]
        assert shape is not None
        return shape

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        value = self.attributes.get(name, default)
        if type(value) is not int:
            raise ModelError(f"attribute {name} must be an integer, found {show(value)}")
        return value

    def integers(self, name: str, default: Sequence[int]) -> list[int]:
        """Return a list attribute of as many integers as *default* has."""
        value = self.sizes(name) or list(default)
        if len(value) != len(default):
            raise ModelError(f"attribute {name} must be {len(default)} integers, found {show(value)}")
        return value

    def sizes(self, name: str) -> list[int]:
        """Return a list attribute of any number of integers."""
        value = list(self.attributes.get(name) or [])
        if any(type(item) is not int for item in value):
            raise ModelError(f"attribute {name} must be integers, found {show(value)}")
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return a text attribute."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


Rule = Callable[[Node], "Layer | list[Part]"]
Stated = list[tuple[Shape, int]]
"""The shape of each output that an operator may have, and the number of the input whose type it has."""
