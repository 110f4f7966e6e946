"""What is known of a built-in network: its family, its options and its published facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from squeezesim.zoo.options import Option, Value

GRAPHS = Path(__file__).parent / "graphs"
"""Folder of the traced graphs of the built-in networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Exact counts of the published network at its own input, its accuracy in per cent and where that is printed."""

    params: int
    macs: int
    top1: float | None
    top5: float | None
    printed_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Networks that one class builds: where it is, its options, its source."""

    name: str
    source: str
    year: int
    module: str
    factory: str
    options: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A built-in network: a family with a value for each option, at an input (C, H, W)."""

    name: str
    published_as: str
    family: Family
    input: tuple[int, ...]
    facts: Facts
    defaults: Mapping[str, Value]

    @property
    def graph(self) -> Path:
        """The file of its traced graph."""
        return GRAPHS / f"{self.name}.graph.json"
