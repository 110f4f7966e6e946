"""Memories beside DRAM, each with a port of its own to the buffer.

memory:
  dram: {bandwidth_gb_s: 3.2}
  stores:
    sram:  {size_kib: 2048, bandwidth_gb_s: 12.8, latency_cycles: 16, holds: [activations]}
    flash: {bandwidth_gb_s: 0.5, latency_ns: 500, holds: [weights], access: 100}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from squeezesim.errors import nearest
from squeezesim.hardware.buffer_part import NAME
from squeezesim.hardware.part import FINITE, WHOLE, Part, Real, unique

Held = Literal["weights", "activations"]
HELD: tuple[Held, ...] = get_args(Held)
"""What a memory can hold; what none holds lives in DRAM. The second operand of a product of activations is a weight."""

_LEVELS = ("dram", "mac", "register_file", "inter_pe", "buffer", "vector", "leakage")
TAKEN = (*_LEVELS, "compute", "edge", "zeros", "fill", "startup", "setup")
"""Names of what else cycles and energy go to."""

_MOST_KIB = 1 << 30
_Cycles = Annotated[int, Field(strict=True, ge=0, le=10**9), WHOLE]
_Size = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=_MOST_KIB), FINITE]
_Nanoseconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e6), FINITE]
_Energy = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e9), FINITE]


class Port(Part):
    """A memory's port to the buffer."""

    bandwidth_gb_s: Real = Field(
        ge=0.001, le=1e6, description="peak bandwidth, 1 GB = 1e9 bytes", json_schema_extra={"unit": "GB/s"}
    )
    usable_fraction: Real = Field(
        1.0,
        ge=0.001,
        le=1,
        description="share of the peak that long transfers reach",
        json_schema_extra={"unit": "1"},
    )
    latency_cycles: _Cycles | None = Field(
        None,
        description="cycles until a transfer that nothing prefetches begins; excludes `latency_ns`",
        json_schema_extra={"unit": "cycles"},
    )
    latency_ns: _Nanoseconds | None = Field(
        None,
        description="the same as a time, so that it follows the clock; excludes `latency_cycles`; neither: 0",
        json_schema_extra={"unit": "ns"},
    )

    @model_validator(mode="after")
    def _one_latency(self) -> Self:
        if self.latency_cycles is not None and self.latency_ns is not None:
            raise ValueError(
                "has both latency_cycles and latency_ns; allowed: one of them (null takes one away)"
            )
        return self


class Store(Port):
    """A memory beside DRAM."""

    holds: Annotated[tuple[Held, ...], AfterValidator(unique)] = Field(
        min_length=1, description="what lives there instead of in DRAM"
    )
    size_kib: _Size | None = Field(
        None,
        description="capacity, which all weights, or all activations that are alive at once, must fit; null: no limit",
        json_schema_extra={"unit": "KiB"},
    )
    access: _Energy | None = Field(
        None,
        description="energy of a 16-bit access; null: that of a buffer of this size, without a size DRAM's",
        json_schema_extra={"unit": "the table's unit"},
    )

    def __str__(self) -> str:
        size = "" if self.size_kib is None else f"{self.size_kib:g} KiB, "
        return f"{size}{self.bandwidth_gb_s:g} GB/s, for {' and '.join(self.holds)}"


def mistake(stores: Mapping[str, Store]) -> str:
    """Say what is wrong with *stores* together; nothing where they can be."""
    for name in stores:
        if name in TAKEN:
            return f"has a store {name!r}; allowed: another name than {', '.join(TAKEN)}"
        if not re.fullmatch(NAME, name, re.ASCII):
            return f"has a store {name!r}; allowed: up to 50 letters, digits and _, the first a letter"
    for held in HELD:
        holding = [name for name, store in stores.items() if held in store.holds]
        if len(holding) > 1:
            return f"has {len(holding)} stores that hold {held} ({', '.join(holding)}); allowed: one"
    return ""


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys of the section at the dotted *path* below the stores; () where there is no section."""
    return () if "." in path else tuple(Store.model_fields)


def is_leaf(path: str) -> bool:
    """Whether the dotted *path* below the stores names a single value, as ``sram.size_kib``."""
    return path.count(".") == 1


def is_path(path: str) -> bool:
    """Whether the dotted *path* below the stores names something that a store has."""
    _, *below = path.split(".")
    return not below or (len(below) == 1 and below[0] in Store.model_fields)


def choices(path: str) -> tuple[str, ...]:
    """Return the words that the value at the dotted *path* below the stores may be; () where it is no choice."""
    return HELD if re.sub(r"\[\d+\]$", "", path.partition(".")[2]) == "holds" else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at the dotted *path* below the stores may be.

    Example:
        >>> allowed_text("sram.latency_cycles")
        'an integer from 0 to 1000000000 or null'
    """
    key = re.sub(r"\[\d+\]$", "", path.partition(".")[2])
    words = ", ".join(HELD)
    return {
        "": f"a mapping with any of {', '.join(Store.model_fields)}",
        "holds": f"one of {words}" if path.endswith("]") else f"a list of one or more of {words}",
        "bandwidth_gb_s": "a number from 0.001 to 1000000",
        "usable_fraction": "a number from 0.001 to 1",
        "latency_cycles": "an integer from 0 to 1000000000 or null",
        "latency_ns": "a number from 0 to 1000000 or null",
        "size_kib": f"a number from 0.001 to {_MOST_KIB} or null",
        "access": "a number from 0 to 1e9 or null",
    }.get(key, "")


def paths() -> tuple[str, ...]:
    """Return what a store has."""
    return tuple(Store.model_fields)


def unknown(name: str, stores: tuple[str, ...]) -> str:
    """The message for a store that there is not, with the nearest one."""
    return f"no store {name!r}; allowed: {', '.join(stores) or 'none here'}{nearest(name, stores)}"
