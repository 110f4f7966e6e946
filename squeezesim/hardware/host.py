"""What the host does for an inference, before and after the accelerator's work: the keys of ``host``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from squeezesim.hardware.part import FINITE, Part, Real

LinkRate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=1e6), FINITE]


class Host(Part):
    """The host's work for an inference; it is no part of the accelerator's latency."""

    time_us: Real = Field(
        0.0,
        ge=0,
        le=1e9,
        description="what an inference takes of the host: driver, interrupts, waking the device; no part of the "
        "latency of the accelerator",
        json_schema_extra={"unit": "µs"},
    )
    bandwidth_gb_s: LinkRate | None = Field(
        None,
        description="link that inputs of the network pass before the accelerator starts, and outputs after it; null: "
        "they take no time",
        json_schema_extra={"unit": "GB/s"},
    )

    @property
    def is_given(self) -> bool:
        """Whether the host takes time."""
        return self.time_us > 0 or self.bandwidth_gb_s is not None
