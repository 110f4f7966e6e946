"""Constraints on the mapper: by layer and operation what may be chosen: dataflows, loop orders, tile sizes, what stays.

    mapper:
      constraints:
        - {layers: "stage1.*", op: conv2d, dataflow: ws, order: PKC, tile: {k: 16, c: {max: 64}, x: {multiple_of: 8}}}
        - {op: linear, stays: weights}

What they do to a search is in ``squeezesim.cost.constraints``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from squeezesim.errors import nearest
from squeezesim.hardware import dataflows
from squeezesim.hardware.part import WHOLE, Part, integer, unique
from squeezesim.network.checks import MAX_TEXT

AXES = ("n", "y", "x", "g", "k", "c")
"""Axes of a tile: images, rows and columns of outputs, groups, output and input channels of a group."""

ORDERS = ("PKC", "PCK", "KCP", "NKCP")
"""Orders of the loops over tiles, outermost first: pixels P, output channels K, input channels C, images N alone."""

OPERANDS = ("inputs", "weights", "outputs")
"""What a layer reads and writes."""

OPERATIONS = (
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "linear",
    "matmul",
)
"""Operations of layers that have MACs."""

KINDS = ("depthwise", "grouped", "pointwise")
"""Kinds of convolutions: of one input channel in each group, of several, of a 1×1 filter without groups."""

MOST = 10**12
"""Largest size that a constraint names."""


@dataclass(frozen=True)
class OneOrMore:
    """Marks a field that is one of *names* or a list of them; it holds the list.

    Where *others* may be names too, such as those of units, who knows these checks them.
    """

    names: Callable[[], tuple[str, ...]]
    others: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema, handler
        one: dict[str, Any] = {"enum": list(self.names()), "type": "string"}
        if self.others:
            one = {"examples": one["enum"], "type": "string"}
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}]}

    def _check(self, value: object) -> tuple[str, ...]:
        allowed = self.names()
        values = (value,) if not isinstance(value, list | tuple) else tuple(value)
        text = f"allowed: one or more of {', '.join(allowed)}"
        if not values:
            raise ValueError(f"is []; {text}")
        for each in values:
            if not isinstance(each, str) or (each not in allowed and not self.others):
                hint = nearest(each, allowed) if isinstance(each, str) else ""
                shown = repr(each) if isinstance(each, str | int | float) else "no name"
                raise ValueError(
                    f"{'has' if isinstance(value, list | tuple) else 'is'} {shown}; {text}{hint}"
                )
        return unique(
            tuple(allowed[allowed.index(each)] if each in allowed else str(each) for each in values)
        )


Size = Annotated[int, Field(strict=True, ge=1, le=MOST), WHOLE]
_SIZE = f"an integer from 1 to {MOST:.0e}".replace("e+", "e")


class SizeBounds(Part):
    """What a tile's size along an axis may be; an integer is the only size."""

    min: Size | None = Field(None, description="the smallest size; the whole axis where that is shorter")
    max: Size | None = Field(None, description="the largest size")
    multiple_of: Size | None = Field(None, description="sizes are multiples of it, or the whole axis")

    @model_validator(mode="before")
    @classmethod
    def _only_size(cls, value: object) -> object:
        size = integer(value)
        if not isinstance(size, int) or isinstance(size, bool):
            return value
        if not 1 <= size <= MOST:
            raise ValueError(f"is {size}; allowed: {_SIZE}")
        return {"min": size, "max": size}

    @model_validator(mode="after")
    def _some_size(self) -> Self:
        if self.min is self.max is self.multiple_of is None:
            raise ValueError("bounds nothing; allowed: any of min, max, multiple_of, or a size")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"has min {self.min}, above max {self.max}; allowed: min up to max")
        return self

    @model_serializer(mode="plain", return_type=int | dict[str, int])
    def _brief(self) -> int | dict[str, int]:
        if self.min is not None and self.min == self.max and self.multiple_of is None:
            return self.min
        return {key: value for key, value in self if value is not None}

    def text(self, axis: str) -> str:
        """Return it in words, as ``8 ≤ x ≤ 32, x a multiple of 8``."""
        low = "" if self.min is None else f"{self.min} ≤ "
        high = "" if self.max is None else f" ≤ {self.max}"
        text = f"{axis} {self.min}" if self.min == self.max else f"{low}{axis}{high}"
        multiple = "" if self.multiple_of is None else f"{axis} a multiple of {self.multiple_of}"
        return ", ".join(filter(None, [text if low or high else "", multiple]))


class TileBounds(Part):
    """Sizes of a tile, fixed or bounded, along the axes of a layer."""

    n: SizeBounds | None = Field(None, description="images")
    y: SizeBounds | None = Field(None, description="rows of outputs")
    x: SizeBounds | None = Field(None, description="columns of outputs; all pixels of a matrix product")
    g: SizeBounds | None = Field(None, description="groups")
    k: SizeBounds | None = Field(None, description="output channels of a group")
    c: SizeBounds | None = Field(None, description="input channels of a group")

    @model_validator(mode="after")
    def _some_axis(self) -> Self:
        if all(bounds is None for _, bounds in self):
            raise ValueError(f"bounds nothing; allowed: a mapping with any of {', '.join(AXES)}")
        return self

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


Operations = Annotated[tuple[str, ...], OneOrMore(lambda: OPERATIONS + KINDS)]
Flows = Annotated[tuple[str, ...], OneOrMore(dataflows.names, others=True)]
Orders = Annotated[tuple[str, ...], OneOrMore(lambda: ORDERS)]
Operands = Annotated[tuple[str, ...], OneOrMore(lambda: OPERANDS)]


class Constraint(Part):
    """What the mapper may choose for the layers with MACs that it is about; all that are about a layer hold together.

    Example:
        >>> str(Constraint(layers="stage1.*", op="conv2d", tile={"k": 16, "c": {"max": 64}}))
        'layers stage1.*, op conv2d: k 16, c ≤ 64'
    """

    layers: Annotated[str, Field(strict=True, min_length=1, max_length=MAX_TEXT)] = Field(
        "*", description="pattern of layer names: * any text, ? a character, [ab] one of these"
    )
    op: Operations | None = Field(None, description="operations or kinds of convolutions; null: all")
    dataflow: Flows | None = Field(
        None, description="dataflows and units that may be chosen; null: all of the array"
    )
    order: Orders | None = Field(None, description="loop orders that may be chosen; null: all")
    stays: Operands | None = Field(
        None, description="operands that are loaded once; of outputs sums never leave; null: none"
    )
    tile: TileBounds | None = Field(None, description="sizes that tiles may have; null: all")

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if all(each is None for each in (self.dataflow, self.order, self.stays, self.tile)):
            raise ValueError("constrains nothing; allowed: any of dataflow, order, stays, tile")
        return self

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    def bounds(self) -> Iterator[tuple[str, SizeBounds]]:
        """Yield each axis whose sizes are bounded, with its bounds."""
        for axis, bounds in self.tile or ():
            if bounds is not None:
                yield axis, bounds

    def __str__(self) -> str:
        who = [f"layers {self.layers}"] * (self.layers != "*" or not self.op)
        who += [f"op {' or '.join(self.op)}"] if self.op else []
        what = [
            f"{key} {' or '.join(words)}"
            for key, words in (("dataflow", self.dataflow), ("order", self.order))
            if words
        ]
        what += [f"stays {' and '.join(self.stays)}"] if self.stays else []
        return f"{', '.join(who)}: {', '.join([*what, *(each.text(axis) for axis, each in self.bounds())])}"


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys of the section at *path* within a constraint; () where there is no section.

    Example:
        >>> keys_of("tile.k"), keys_of("order")
        (('min', 'max', 'multiple_of'), ())
    """
    if path in ("", "tile"):
        return tuple((TileBounds if path else Constraint).model_fields)
    return tuple(SizeBounds.model_fields) if path in {f"tile.{axis}" for axis in AXES} else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at *path* within a constraint may be.

    Example:
        >>> allowed_text("tile.k.max")
        'an integer from 1 to 1e12'
    """
    if path == "layers":
        return f"a pattern of layer names, of up to {MAX_TEXT} characters"
    section = f"a mapping with any of {', '.join(keys_of(path))}"
    if path.count(".") == 1:
        return f"{_SIZE} or {section}"
    return section if keys_of(path) else _SIZE
