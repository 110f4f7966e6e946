"""The types of an accelerator's values, each with its range, and what all sections share."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from squeezesim.hardware.dataflows import Dataflow, SkippingDataflow

Operand = Literal["inputs", "weights", "outputs"]


def _number(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _integer(value: object) -> object:
    """A whole float counts as an integer (``1e3``, a column of a DataFrame); a boolean does not."""
    value = _number(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        repeated = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"names {repeated!r} twice; allowed: each name once")
    return values


_WHOLE = BeforeValidator(_integer)
_FINITE = BeforeValidator(_number)
Integer = Annotated[int, Field(strict=True), _WHOLE]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False), _FINITE]
# pydantic's schema of an optional value shows only the bounds that stand before the BeforeValidator.
Ports = Annotated[int, Field(strict=True, ge=1, le=65536), _WHOLE]
Lanes = Ports
Cycles = Annotated[int, Field(strict=True, ge=0, le=10**9), _WHOLE]
Nanoseconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e6), _FINITE]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=1e6), _FINITE]
EnergyValue = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e9), _FINITE]
EnergyUnit = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e9), _FINITE]
Dataflows = Annotated[tuple[Dataflow, ...], AfterValidator(_unique)]
SkippingDataflows = Annotated[tuple[SkippingDataflow, ...], AfterValidator(_unique)]
Operands = Annotated[tuple[Operand, ...], AfterValidator(_unique)]


class Part(BaseModel):
    """A section of an accelerator: frozen, and without room for unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
