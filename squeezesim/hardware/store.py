"""Memories beside DRAM, each with a port of its own to the buffer.

memory:
  dram: {bandwidth_gb_s: 3.2}
  stores:
    sram:  {size_kib: 2048, bandwidth_gb_s: 12.8, latency_cycles: 16, holds: [activations]}
    flash: {bandwidth_gb_s: 0.5, latency_ns: 500, holds: [weights], access: 100}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from squeezesim.hardware.named import Named, misnamed
from squeezesim.hardware.part import FINITE, WHOLE, Part, Real, unique

Held = Literal["weights", "activations"]
HELD: tuple[Held, ...] = get_args(Held)
"""What a memory can hold; what none holds lives in DRAM. The second operand of a product of activations is a weight."""

_LEVELS = ("dram", "mac", "register_file", "inter_pe", "buffer", "vector", "leakage")
TAKEN = (*_LEVELS, "compute", "edge", "zeros", "fill", "startup", "setup")
"""Names of what else cycles and energy go to."""

MOST_KIB = 1e9
_Cycles = Annotated[int, Field(strict=True, ge=0, le=10**9), WHOLE]
_Size = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=MOST_KIB), FINITE]
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
        size = "" if self.size_kib is None else f"{self.size_kib:g} KiB at "
        return f"{size}{self.bandwidth_gb_s:g} GB/s for {' and '.join(self.holds)}"


class Stays(Part):
    """A memory of its own on the chip for weights that stay from one inference to the next, beside the buffer."""

    size_kib: Real = Field(
        0.0,
        ge=0,
        le=MOST_KIB,
        description="capacity, filled layer by layer, whole, in the order of the network; costs are those of the "
        "second and later inferences; 0: there is none",
        json_schema_extra={"unit": "KiB"},
    )


def mistake(stores: Mapping[str, Store]) -> str:
    """Say what is wrong with *stores* together; nothing where they can be."""
    for name in stores:
        if name in TAKEN:
            return f"has a store {name!r}; allowed: another name than {', '.join(TAKEN)}"
        if text := misnamed(name, "store"):
            return text
    for held in HELD:
        holding = [name for name, store in stores.items() if held in store.holds]
        if len(holding) > 1:
            return f"has {len(holding)} stores that hold {held} ({', '.join(holding)}); allowed: one"
    return ""


STORES = Named(Store, "store")
"""What knows the keys of a store."""
