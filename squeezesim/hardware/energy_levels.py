"""The names of the energy tables and of the levels in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, get_args

Level = Literal["mac", "register_file", "inter_pe", "buffer", "dram", "vector_op"]
LEVELS: tuple[Level, ...] = get_args(Level)

TABLE_DIRECTORY = Path(__file__).parent / "energy_tables"


@cache
def tables() -> tuple[str, ...]:
    """Return the names of the energy tables, sorted.

    Example:
        >>> "eyeriss_relative" in tables()
        True
    """
    return tuple(sorted(path.stem for path in TABLE_DIRECTORY.glob("*.yaml")))
