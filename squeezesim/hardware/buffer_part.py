"""Parts of the buffer that are for some operands alone.

memory:
  global_buffer:
    psums: array
    parts:
      maps:    {size_kib: 512, holds: [inputs, outputs]}
      weights: {size_kib: 512, holds: [weights], slots: 2}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from squeezesim.errors import nearest
from squeezesim.hardware.part import Part, Real, unique

Held = Literal["inputs", "weights", "outputs", "psums"]
HELD: tuple[Held, ...] = get_args(Held)
"""What a part can hold; partial sums are held where outputs are, unless another part holds them."""

MOST = 4194304
NAME = r"[A-Za-z]\w{0,49}"


class BufferPart(Part):
    """A part of the buffer for some operands."""

    size_kib: Real = Field(
        ge=0.001, le=MOST, description="capacity, 1 KiB = 1024 bytes", json_schema_extra={"unit": "KiB"}
    )
    holds: Annotated[tuple[Held, ...], AfterValidator(unique)] = Field(
        min_length=1, description="operands whose tiles it holds"
    )
    slots: Literal[1, 2] = Field(
        2, description="tiles of an operand at once; 2: one is transferred while another is used"
    )


def mistake(parts: Mapping[str, BufferPart], psums: str) -> str:
    """Say what is wrong with *parts* of a buffer together; nothing where they can be."""
    for name in parts:
        if not re.fullmatch(NAME, name, re.ASCII):
            return f"has a part {name!r}; allowed: up to 50 letters, digits and _, the first a letter"
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


def keys_of(path: str) -> tuple[str, ...]:
    """Return the keys of the section at the dotted *path* below the parts; () where there is no section."""
    return () if "." in path else tuple(BufferPart.model_fields)


def is_leaf(path: str) -> bool:
    """Whether the dotted *path* below the parts names a single value, as ``weights.size_kib``."""
    return path.count(".") == 1


def is_path(path: str) -> bool:
    """Whether the dotted *path* below the parts names something that a part has."""
    _, *below = path.split(".")
    return not below or (len(below) == 1 and below[0] in BufferPart.model_fields)


def choices(path: str) -> tuple[str, ...]:
    """Return the words that the value at the dotted *path* below the parts may be; () where it is no choice."""
    return HELD if re.sub(r"\[\d+\]$", "", path.partition(".")[2]) == "holds" else ()


def allowed_text(path: str) -> str:
    """Return in words what the value at the dotted *path* below the parts may be.

    Example:
        >>> allowed_text("weights.slots")
        '1 or 2'
    """
    key = re.sub(r"\[\d+\]$", "", path.partition(".")[2])
    words = ", ".join(HELD)
    return {
        "": f"a mapping with any of {', '.join(BufferPart.model_fields)}",
        "size_kib": f"a number from 0.001 to {MOST}",
        "slots": "1 or 2",
        "holds": f"one of {words}" if path.endswith("]") else f"a list of one or more of {words}",
    }.get(key, "")


def paths() -> tuple[str, ...]:
    """Return what a part has."""
    return tuple(BufferPart.model_fields)


def unknown(name: str, parts: tuple[str, ...]) -> str:
    """The message for a part that there is not, with the nearest one."""
    return f"no part {name!r}; allowed: {', '.join(parts) or 'none here'}{nearest(name, parts)}"
