"""How the tiling and dataflow of a layer are chosen: the keys of ``mapper``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from squeezesim.hardware.constraint import Constraint
from squeezesim.hardware.part import Part, Real


class Mapper(Part):
    """How the tiling and dataflow of a layer are chosen."""

    objective: Literal["latency", "energy", "edp"] = Field(
        "latency", description="what is minimised; `edp` is energy × latency of the whole network"
    )
    latency_slack: Real = Field(
        0.0,
        ge=0,
        le=10,
        description="with the objective latency, of the tilings within this share of the fastest that with the least "
        "DRAM traffic is taken",
        json_schema_extra={"unit": "1"},
    )
    residency: Literal["order", "best"] = Field(
        "best",
        description="what the buffer keeps of a layer: `order`: what its loop order keeps, double-buffered where the "
        "buffer is; `best`: whole operands may stay too, or have one slot, and weights of recurrences stay from step "
        "to step",
    )
    blocks: Literal["best", "whole"] = Field(
        "best",
        description="how much of the array a tile uses, but in SCALE-Sim's dataflows: `whole`: all of it, in `rs` the "
        "longest strips and the largest blocks; `best`: what is best by the objective",
    )
    input_channels: Literal["best", "whole"] = Field(
        "best",
        description="how many input channels a tile has: `whole`: all, wherever such a tile fits the buffer; `best`: "
        "what is best by the objective",
    )
    constraints: tuple[Constraint, ...] = Field(
        (),
        max_length=100,
        description="what may be chosen, by layer and operation; all that are about a layer hold together",
    )

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if not self.constraints:
            data.pop("constraints", None)
        if self.input_channels == "best":
            data.pop("input_channels", None)
        return data
