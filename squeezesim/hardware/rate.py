"""Rates: MACs that a PE does in a cycle where its operands have two given widths.

    precision:
      rates: [{weights: 4, activations: 8, macs: 2}, {weights: 16, activations: 16, macs: 0.25}]

An entry may also be a text, ``w4a8:2``. What a rate does to cycles is in ``squeezesim.cost.dataflow``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_serializer, model_validator
from pydantic_core import PydanticCustomError

from squeezesim.hardware.part import Integer, Part, Real

MOST = 64
"""MACs of a PE in a cycle, and cycles of one MAC."""

TEXT = r"^w([0-9]{1,2})a([0-9]{1,2}):([0-9]{1,9}|[0-9]{0,9}\.[0-9]{1,9})$"
"""What an entry looks like as a text."""

_MACS = f"an integer from 1 to {MOST}, or 0.5, 0.333, 0.25, … for a MAC in 2, 3, 4, … cycles"


def pace(macs: float) -> tuple[int, int]:
    """Return *macs* in a cycle as (MACs, cycles that they take), one of which is 1; (0, 0): it is no such number.

    Example:
        >>> pace(2), pace(0.25), pace(0.333), pace(1.5)
        ((2, 1), (1, 4), (1, 3), (0, 0))
    """
    if macs >= 1:
        return (int(macs), 1) if macs <= MOST and macs == int(macs) else (0, 0)
    cycles = round(1 / max(macs, 1e-9))
    return (1, cycles) if cycles <= MOST and abs(macs * cycles - 1) <= 0.002 else (0, 0)


def _possible(macs: float) -> float:
    if pace(macs) == (0, 0):
        raise PydanticCustomError("pace", "allowed: {expected}", {"expected": _MACS})
    return macs


class MacRate(Part):
    """MACs that a PE does in a cycle where weights and activations have these widths.

    Example:
        >>> rate = MacRate(weights=4, activations=8, macs=2)
        >>> str(rate), rate == MacRate.model_validate("w4a8:2")
        ('w4a8:2', True)
    """

    weights: Integer = Field(ge=1, le=64, description="width of a weight", json_schema_extra={"unit": "bits"})
    activations: Integer = Field(
        ge=1, le=64, description="width of an input activation", json_schema_extra={"unit": "bits"}
    )
    macs: Annotated[Real, AfterValidator(_possible)] = Field(
        gt=0,
        le=MOST,
        description="MACs that a PE does in a cycle: an integer, or below 1 one MAC in so many cycles",
        json_schema_extra={"unit": "MACs/cycle"},
    )

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = re.match(TEXT, value.strip())
        if match is None:
            raise ValueError(f"is {value[:40]!r}; allowed: {allowed_text('')}")
        return {"weights": int(match[1]), "activations": int(match[2]), "macs": float(match[3])}

    @model_serializer(mode="plain", return_type=dict[str, Any])
    def _brief(self) -> dict[str, Any]:
        macs = int(self.macs) if self.macs == int(self.macs) else self.macs
        return {"weights": self.weights, "activations": self.activations, "macs": macs}

    @property
    def pair(self) -> tuple[int, int]:
        """Width of weights and of activations."""
        return self.weights, self.activations

    @property
    def pace(self) -> tuple[int, int]:
        """MACs, and the cycles that they take in a PE."""
        return pace(self.macs)

    def __str__(self) -> str:
        return f"w{self.weights}a{self.activations}:{self.macs:g}"


def once(rates: tuple[MacRate, ...]) -> tuple[MacRate, ...]:
    """Return *rates*.

    Raises:
        ValueError: a pair of widths stands twice.
    """
    pairs = [rate.pair for rate in rates]
    repeated = next((pair for pair in pairs if pairs.count(pair) > 1), None)
    if repeated:
        raise ValueError(
            f"has weights {repeated[0]} and activations {repeated[1]} twice; allowed: each pair once"
        )
    return rates


def text(rates: Sequence[MacRate]) -> str:
    """Return *rates* as ``--set`` takes them: ``w4a8:2+w4a4:4``; ``none`` where there are none."""
    return "+".join(map(str, rates)) or "none"


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys of the section at *path* within an entry; () where there is no section."""
    return () if path else tuple(MacRate.model_fields)


def allowed_text(path: str) -> str:
    """Return in words what the value at *path* within an entry may be.

    Example:
        >>> allowed_text("weights")
        'an integer from 1 to 64'
    """
    words = {"": f"a mapping of {', '.join(MacRate.model_fields)}, or a text such as w4a8:2", "macs": _MACS}
    return words.get(path, "an integer from 1 to 64")
