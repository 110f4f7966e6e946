"""Parts of the buffer that are for some operands alone.

memory:
  global_buffer:
    psums: array
    parts:
      maps:    {size_kib: 512, holds: [inputs, outputs]}
      weights: {size_kib: 512, holds: [weights], slots: 2}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from squeezesim.hardware.named import Named, misnamed
from squeezesim.hardware.part import Part, Real, unique

Held = Literal["inputs", "weights", "outputs", "psums"]
HELD: tuple[Held, ...] = get_args(Held)
"""What a part can hold; partial sums are held where outputs are, unless another part holds them."""

MOST = 4194304


class BufferPart(Part):
    """A part of the buffer for some operands."""

    size_kib: Real = Field(
        ge=0.001, le=MOST, description="capacity, 1 KiB = 1024 bytes", json_schema_extra={"unit": "KiB"}
    )
    holds: Annotated[tuple[Held, ...], AfterValidator(unique)] = Field(
        min_length=1, description="operands whose tiles it holds"
    )
    slots: Literal[1, 2] = Field(
        2,
        description="tiles of an operand at once; 2: one is transferred while another is used",
        json_schema_extra={"allowed": "1 or 2"},
    )


def mistake(parts: Mapping[str, BufferPart], psums: str) -> str:
    """Say what is wrong with *parts* of a buffer together; nothing where they can be."""
    for name in parts:
        if text := misnamed(name, "part"):
            return text
    held = [operand for part in parts.values() for operand in part.holds]
    for operand in HELD[:3]:
        if operand not in held:
            return f"has parts that hold no {operand}; allowed: each of {', '.join(HELD[:3])} in one part"
    for operand in HELD:
        if held.count(operand) > 1:
            return f"has {held.count(operand)} parts that hold {operand}; allowed: one"
    if psums == "array" and "psums" in held:
        return "has a part for psums, which stay in the array; allowed: psums: buffer, or no such part"
    return ""


PARTS = Named(BufferPart, "part")
"""What knows the keys of a part."""
