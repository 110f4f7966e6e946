"""Accelerator: where a network runs, as one frozen, validated record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from os import PathLike
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from squeezesim.hardware.frozen import FrozenDict
from squeezesim.hardware.parts import (
    Array,
    Control,
    Dma,
    Energy,
    Mapper,
    Memory,
    Precision,
    Sparsity,
    Vector,
)
from squeezesim.hardware.values import Part, Real


def _decimal(value: float) -> Fraction:
    """The decimal fraction as written: 0.1 ns at 30 GHz are 3 cycles, and binary rounding must not make it 4."""
    return Fraction(repr(value))


class Provenance(Part):
    """Where a parameter's value comes from."""

    provenance: Literal["paper", "datasheet", "calibrated"] = Field(description="kind of source")
    source: str = Field(
        "", description="the source itself: a paper, a data sheet, what was calibrated against what"
    )


class Accelerator(Part):
    """A PE array with its memories, its mapper and its energy table.

    Example:
        >>> Accelerator.named("squeezelerator_8x8").replace({"array.rows": 16}).array.pes
        128
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$",
        description="name in reports and file names",
        json_schema_extra={"allowed": "up to 100 letters, digits and . _ + -, the first a letter or digit"},
    )
    description: str = Field("", description="what the accelerator is, in a sentence")
    source: str = Field("", description="what it was taken from")
    clock_mhz: Real = Field(
        ge=0.001,
        le=100_000,
        description="clock of the array and the buffer",
        json_schema_extra={"unit": "MHz"},
    )
    array: Array = Field(description="the PE array")
    precision: Precision = Field(default_factory=Precision, description="operand widths")
    memory: Memory = Field(description="buffer and DRAM")
    control: Control = Field(default_factory=Control, description="controller")
    mapper: Mapper = Field(default_factory=Mapper, description="choice of tiling and dataflow")
    dma: Dma = Field(default_factory=Dma, description="transfers")
    sparsity: Sparsity = Field(default_factory=Sparsity, description="zero weights")
    vector: Vector = Field(default_factory=Vector, description="vector unit")
    energy: Energy = Field(default_factory=Energy, description="energy per access")
    provenance: Annotated[dict[str, Provenance], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="dotted path of a parameter → where its value comes from"
    )

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Usable DRAM bandwidth in bytes per cycle: GB/s · 1e9 · usable fraction / (MHz · 1e6)."""
        dram = self.memory.dram
        return float(
            _decimal(dram.bandwidth_gb_s) * _decimal(dram.usable_fraction) * 1000 / _decimal(self.clock_mhz)
        )

    @property
    def dram_latency_cycles(self) -> int:
        """DRAM latency in cycles, rounded up: ⌈ns · MHz / 1000⌉ where it is given as a time."""
        dram = self.memory.dram
        if dram.latency_ns is None:
            return dram.latency_cycles or 0
        return math.ceil(_decimal(dram.latency_ns) * _decimal(self.clock_mhz) / 1000)

    @property
    def setup_cycles(self) -> int:
        """Cycles that every layer pays once: layer_setup_cycles + ⌈PEs · pe_setup_cycles⌉."""
        control = self.control
        return control.layer_setup_cycles + math.ceil(self.array.pes * _decimal(control.pe_setup_cycles))

    @property
    def vector_lanes(self) -> int:
        """Vector operations per cycle: ``vector.lanes``, or one for each column; 0 where the model is ``none``."""
        if self.vector.model == "none":
            return 0
        return self.array.cols if self.vector.lanes is None else self.vector.lanes

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Accelerator:
        """Read an accelerator from a YAML file; HardwareError names file, line and column of a mistake."""
        from squeezesim.hardware.config import load

        return load(path)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Accelerator:
        """Build an accelerator from nested mappings; HardwareError names the dotted path of a mistake."""
        from squeezesim.hardware.config import from_dict

        return from_dict(data)

    @classmethod
    def named(cls, name: str) -> Accelerator:
        """Return the shipped accelerator *name*; HardwareError with the nearest names where there is none."""
        from squeezesim.hardware.shipped import named

        return named(name)

    @classmethod
    def resolve(cls, text: str) -> Accelerator:
        """Return the accelerator that *text* means: a shipped one's name, the path of a YAML or a SCALE-Sim file."""
        from squeezesim.hardware.shipped import resolve

        return resolve(text)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the shipped accelerators, sorted."""
        from squeezesim.hardware.shipped import names

        return names()

    def replace(self, changes: Mapping[str, object]) -> Accelerator:
        """Return a validated copy with the parameters at dotted paths changed.

        Changes apply in order, then the whole is validated, so that ``memory.dram.latency_ns`` can be given
        together with ``memory.dram.latency_cycles: None``. The provenance of a value that changes is dropped.

        Errors:
            HardwareError: a path is unknown (with the nearest ones), or a value is out of its range.

        Example:
            >>> hw = Accelerator.named("squeezelerator_16x16")
            >>> hw.replace({"array.rows": 32, "memory.global_buffer.size_kib": 64}).array.rows
            32
        """
        from squeezesim.hardware.config import replace

        return replace(self, changes)

    def to_yaml(self) -> str:
        """Return the accelerator as YAML text, provenance included; reading it gives an equal accelerator."""
        from squeezesim.hardware.config import to_yaml

        return to_yaml(self)

    def __str__(self) -> str:
        from squeezesim.hardware.show import summary

        return summary(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from squeezesim.hardware.notebook import html

        return html(self)
