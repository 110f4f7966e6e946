"""Declarations of dataflows: what an accelerator file may name, and how each lays a layer on the array.

What a declared dataflow costs is in ``squeezesim.cost.dataflow``, which enters both (``register``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

LOOPS = ("G", "K", "C", "N", "Y", "X", "FY", "FX", "P")


class SpatialMap(NamedTuple):
    """Loops that the rows and the columns of the array run in space.

    Loops are G groups, K and C channels of a group, N images, Y and X output pixels, FY and FX filter taps, and P for
    the flattened pixels N·Y·X.
    """

    rows: tuple[str, ...]
    cols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a dataflow is called and what it does with the array.

    Attributes:
        name: as in ``array.dataflows``.
        spatial: what rows and columns stand for.
        stationary: what stays in the PEs: inputs, weights, outputs or filter rows.
        skips_zeros: whether it can leave out zero weights.
        packs: whether its PEs can hold only the weights that a pattern N:M of input channels keeps.
        ports: whether words come through ``array.ports``, and how many at once: none, one for each PE at most, or any.
        rates: whether ``precision.rates`` can give its PEs several MACs in a cycle, or one in several cycles.
        family: what dataflows share that one array could offer together, for they take the same parameters; empty where
            there is none.

    Raises:
        ValueError: a name that files and options could not have, or loops that no layer has.
    """

    name: str
    spatial: SpatialMap
    stationary: str
    skips_zeros: bool = False
    packs: bool = False
    ports: Literal["none", "pes", "any"] = "any"
    rates: bool = False
    family: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z]\w*", self.name, re.ASCII) or self.name == "best":
            raise ValueError(
                f"name is {self.name!r}; allowed: letters, digits and _, the first a letter, and not 'best'"
            )
        unknown = [loop for loop in (*self.spatial.rows, *self.spatial.cols) if loop not in LOOPS]
        if unknown:
            raise ValueError(f"spatial has the loop {unknown[0]!r}; allowed: {', '.join(LOOPS)}")


def _declared(*entries: Declaration) -> dict[str, Declaration]:
    return {entry.name: entry for entry in entries}


DECLARED = _declared(
    Declaration(
        *("ws", SpatialMap(("C",), ("K",)), "weights"),
        packs=True,
        ports="pes",
        rates=True,
        family="squeezelerator",
    ),
    Declaration(
        *("os", SpatialMap(("Y",), ("X",)), "outputs"),
        skips_zeros=True,
        rates=True,
        family="squeezelerator",
    ),
    Declaration("rs", SpatialMap(("FY", "C"), ("Y",)), "filter rows", ports="none", rates=True),
    Declaration("scalesim_os", SpatialMap(("P",), ("K",)), "outputs", ports="none", family="scalesim"),
    Declaration(
        "scalesim_ws", SpatialMap(("FY", "FX", "C"), ("K",)), "weights", ports="none", family="scalesim"
    ),
    Declaration(
        "scalesim_is", SpatialMap(("FY", "FX", "C"), ("P",)), "inputs", ports="none", family="scalesim"
    ),
)
"""Every dataflow, by name."""


def names() -> tuple[str, ...]:
    """Return the names of all dataflows.

    Example:
        >>> names()[:3]
        ('ws', 'os', 'rs')
    """
    return tuple(DECLARED)


def skipping() -> tuple[str, ...]:
    """Return the names of those that can leave out zero weights.

    Example:
        >>> skipping()
        ('os',)
    """
    return tuple(name for name, entry in DECLARED.items() if entry.skips_zeros)


def packing() -> tuple[str, ...]:
    """Return the names of those whose PEs can hold only the weights that a pattern keeps.

    Example:
        >>> packing()
        ('ws',)
    """
    return tuple(name for name, entry in DECLARED.items() if entry.packs)


@dataclass(frozen=True)
class OneOf:
    """Marks a text of a pydantic model that is one of *names*, which may become more at run time."""

    names: Callable[[], tuple[str, ...]]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self._check, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema, handler
        allowed = self.names()
        return (
            {"const": allowed[0], "type": "string"}
            if len(allowed) == 1
            else {"enum": list(allowed), "type": "string"}
        )

    def _check(self, value: object) -> str:
        allowed = self.names()
        if not isinstance(value, str) or value not in allowed:
            raise PydanticCustomError(
                "literal_error", "allowed: {expected}", {"expected": ", ".join(allowed)}
            )
        return allowed[allowed.index(value)]  # a plain text, where numpy's or an enumeration's equals it
