"""Units of an array: which loops each runs in space, and what stays in its PEs.

    array:
      units:
        conv:      {unroll: {c: 16, k: 16, x: 8}, stationary: outputs, output_words: 16}
        depthwise: {unroll: {g: 16, x: 4}, runs: [depthwise]}

What a layer costs on a unit is in ``squeezesim.cost.dataflow.unit``.
"""

from __future__ import annotations

import re
from math import prod
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from squeezesim.errors import nearest
from squeezesim.hardware.part import WHOLE, FrozenDict, Integer, Part, unique

Loop = Literal["n", "g", "k", "c", "y", "x", "fy", "fx", "t", "p"]
LOOPS: dict[Loop, str] = {
    "n": "image{s}",
    "g": "group{s}",
    "k": "output channel{s}",
    "c": "input channel{s}",
    "y": "output row{s}",
    "x": "output column{s}",
    "fy": "filter row{s}",
    "fx": "filter column{s}",
    "t": "filter tap{s}",
    "p": "output pixel{s}",
}
"""Loops that a unit can unroll, and what an iteration of each is; ``t`` is fy·fx, ``p`` is n·y·x."""

FLAT: dict[str, tuple[str, ...]] = {"t": ("fy", "fx"), "p": ("n", "y", "x")}
"""Loops that are others in one, and those that they exclude."""

Stationary = Literal["outputs", "weights", "inputs"]
Kind = Literal["conv", "depthwise", "grouped", "matmul"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a unit can run: convolutions of one group, of one input channel a group, other groups; matrix products."""

MOST_PES = 1 << 24
_MOST = 65536

Factor = Annotated[int, Field(strict=True, ge=1, le=_MOST), WHOLE]
Words = Annotated[int, Field(strict=True, ge=1, le=_MOST), WHOLE]


def _some(values: tuple[Kind, ...]) -> tuple[Kind, ...]:
    if not values:
        raise PydanticCustomError("too_short", "allowed: one or more")
    return values


class Unit(Part):
    """A part of the array that computes by itself: loops in space, the others in time.

    Example:
        >>> Unit(unroll={"c": 16, "k": 16, "x": 8}).pes
        2048
    """

    unroll: Annotated[dict[Loop, Factor], AfterValidator(FrozenDict)] = Field(
        min_length=1,
        description="loops that run in space, with how many iterations of each at once; the others run in time",
    )
    stationary: Stationary = Field("outputs", description="operand that stays in the PEs while others pass")
    runs: Annotated[tuple[Kind, ...], AfterValidator(unique), AfterValidator(_some)] = Field(
        KINDS, description="layers that the unit can run"
    )
    interval: Integer = Field(
        1, ge=1, le=_MOST, description="cycles of a step", json_schema_extra={"unit": "cycles"}
    )
    ports: Words | None = Field(
        None,
        description="words per cycle in which weights or inputs that stay arrive; null: never limiting",
        json_schema_extra={"unit": "words/cycle"},
    )
    preload_cycles: Integer = Field(
        0,
        ge=0,
        le=_MOST,
        description="least cycles in which the weights or inputs of a block arrive",
        json_schema_extra={"unit": "cycles"},
    )
    output_words: Words | None = Field(
        None,
        description="outputs or partial sums per cycle that leave the unit; null: never limiting",
        json_schema_extra={"unit": "words/cycle"},
    )
    latency: Annotated[int, Field(strict=True, ge=0, le=_MOST), WHOLE] | None = Field(
        None,
        description="cycles of the unit's pipeline, once for each tile; null: one for the product, one for each level "
        "of the tree that adds the loops in space that are summed up, one for the sum",
        json_schema_extra={"unit": "cycles"},
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for flat, parts in FLAT.items():
            both = [loop for loop in parts if loop in self.unroll]
            if flat in self.unroll and both:
                raise ValueError(
                    f"unrolls {flat} and {both[0]}; allowed: {flat}, which is {' · '.join(parts)}, or these"
                )
        size = prod(self.unroll.values())
        if size > MOST_PES:
            raise ValueError(f"unrolls {size:,} iterations; allowed: up to {MOST_PES:,} in all")
        if size % self.interval:
            raise ValueError(
                f"unrolls {size:,} iterations in {self.interval} cycles; allowed: a multiple of interval, "
                "so that a whole number of PEs does them"
            )
        if self.stationary == "outputs" and (self.ports is not None or self.preload_cycles):
            key = "ports" if self.ports is not None else "preload_cycles"
            raise ValueError(
                f"has {key}, though outputs stay and nothing is preloaded; allowed: stationary weights or inputs"
            )
        return self

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        return {key: value for key, value in handler(self).items() if value != defaults[key]}

    @property
    def pes(self) -> int:
        """Processing elements: iterations in space / cycles of a step."""
        return prod(self.unroll.values()) // self.interval

    @property
    def pipeline(self) -> int:
        """Cycles of the pipeline: ``latency``, or 2 + ⌈log2 of the summed iterations in space⌉.

        Example:
            >>> Unit(unroll={"c": 16, "k": 16}).pipeline
            6
        """
        if self.latency is not None:
            return self.latency
        summed = prod(count for loop, count in self.unroll.items() if loop in ("c", "fy", "fx", "t"))
        return 2 + (summed - 1).bit_length()

    def __str__(self) -> str:
        unrolled = " × ".join(f"{loop} {count}" for loop, count in self.unroll.items())
        paced = f" in {self.interval} cycles" if self.interval > 1 else ""
        only = "" if self.runs == KINDS else f", runs {' '.join(self.runs)}"
        return f"{unrolled}{paced}, {self.stationary} stationary{only}"


def is_leaf(path: str) -> bool:
    """Whether the dotted *path* below ``array.units`` names a single value: ``conv.unroll.k``, ``conv.ports``.

    Example:
        >>> is_leaf("conv.unroll.k"), is_leaf("conv.unroll"), is_leaf("conv")
        (True, False, False)
    """
    _, *below = path.split(".")
    return below[:1] != ["unroll"] if len(below) == 1 else len(below) == 2 and below[0] == "unroll"


def is_path(path: str) -> bool:
    """Whether the dotted *path* below ``array.units`` names something that a unit has."""
    _, *below = path.split(".")
    return not below or (
        below[0] in Unit.model_fields
        and (len(below) == 1 or (len(below) == 2 and below[0] == "unroll" and below[1] in LOOPS))
    )


def paths() -> tuple[str, ...]:
    """Return what a unit has, as dotted paths below its name.

    Example:
        >>> paths()[:2]
        ('unroll.n', 'unroll.g')
    """
    return tuple(f"unroll.{loop}" for loop in LOOPS) + tuple(
        key for key in Unit.model_fields if key != "unroll"
    )


def choices(path: str) -> tuple[str, ...]:
    """Return the words that the value at the dotted *path* below ``array.units`` may be; () where it is no choice."""
    words: dict[str, tuple[str, ...]] = {"stationary": get_args(Stationary), "runs": KINDS}
    return words.get(re.sub(r"\[\d+\]$", "", path.partition(".")[2]), ())


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys of the section at the dotted *path* below ``array.units``; () where there is no section."""
    _, *below = path.split(".")
    return tuple(Unit.model_fields) if not below else tuple(LOOPS) if below == ["unroll"] else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at the dotted *path* below ``array.units`` may be.

    Example:
        >>> allowed_text("conv.unroll.k"), allowed_text("conv.stationary")
        ('an integer from 1 to 65536', 'one of outputs, weights, inputs')
    """
    if keys := keys_of(path):
        return f"a mapping with {'one or more' if path.endswith('.unroll') else 'any'} of {', '.join(keys)}"
    key = re.sub(r"\[\d+\]$", "", path.split(".")[1])
    if key in ("stationary", "runs"):
        words = ", ".join(get_args(Stationary) if key == "stationary" else KINDS)
        return (
            f"one of {words}"
            if key == "stationary" or path.endswith("]")
            else f"a list of one or more of {words}"
        )
    least = 0 if key in ("preload_cycles", "latency") else 1
    return f"an integer from {least} to {_MOST}" + (
        " or null" if key in ("ports", "output_words", "latency") else ""
    )


def misnamed(name: str, taken: tuple[str, ...]) -> str:
    """Say why a unit cannot be called *name*; nothing where it can. *taken* are dataflows."""
    if name in taken or name == "best":
        return f"{name!r}, a dataflow's name; allowed: another one"
    if not re.fullmatch(r"[A-Za-z]\w{0,49}", name, re.ASCII):
        return f"{name!r}, no name of a unit; allowed: up to 50 letters, digits and _, the first a letter"
    return ""


def unknown(name: str, units: tuple[str, ...]) -> str:
    """The message for a unit that there is not, with the nearest one."""
    return f"no unit {name!r}; allowed: {', '.join(units) or 'none here'}{nearest(name, units)}"
