"""The parts of an accelerator: what each key of a YAML file means, its unit and its range."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from squeezesim.errors import nearest
from squeezesim.hardware.energy_levels import Level, tables
from squeezesim.hardware.frozen import FrozenDict
from squeezesim.hardware.values import (
    Cycles,
    Dataflows,
    EnergyUnit,
    EnergyValue,
    Integer,
    Lanes,
    Nanoseconds,
    Operands,
    Part,
    Ports,
    Rate,
    Real,
    SkippingDataflows,
)


class RegisterFile(Part):
    """The storage inside a processing element (PE)."""

    psum_words: Integer = Field(
        64,
        ge=1,
        le=65536,
        description="partial sums that each PE keeps: output channels of an `os` chunk, filters in an `rs` PE",
        json_schema_extra={"unit": "words"},
    )
    filter_words: Integer = Field(
        224,
        ge=1,
        le=65536,
        description="weights that each PE keeps in `rs`: filters · channels · taps of a filter row",
        json_schema_extra={"unit": "words"},
    )
    input_words: Integer = Field(
        12,
        ge=1,
        le=65536,
        description="inputs that each PE keeps in `rs`: channels · taps of a filter row",
        json_schema_extra={"unit": "words"},
    )


class Network(Part):
    """What moves words between the buffer and the PEs in `rs`, one network for each operand."""

    weights_words: Integer = Field(
        4,
        ge=1,
        le=65536,
        description="weights per cycle into the PEs",
        json_schema_extra={"unit": "words/cycle"},
    )
    inputs_words: Integer = Field(
        1,
        ge=1,
        le=65536,
        description="inputs per cycle into the PEs",
        json_schema_extra={"unit": "words/cycle"},
    )
    psums_words: Integer = Field(
        4,
        ge=1,
        le=65536,
        description="partial sums per cycle into the PEs, and as many out of them",
        json_schema_extra={"unit": "words/cycle"},
    )


class Array(Part):
    """The PE array and what moves words into and out of it."""

    rows: Integer = Field(
        ge=1, le=4096, description="rows of the PE array", json_schema_extra={"unit": "PEs"}
    )
    cols: Integer = Field(
        ge=1, le=4096, description="columns of the PE array", json_schema_extra={"unit": "PEs"}
    )
    dataflows: Dataflows = Field(
        min_length=1,
        description="dataflows that the array can run; each layer gets the best by `mapper.objective`",
    )
    interconnect: Literal["broadcast", "systolic"] = Field(
        "broadcast", description="how operands reach the PEs: to all of a row in one cycle, or PE by PE"
    )
    ports: Ports | None = Field(
        None,
        description="words per cycle for preload and drain of the array; null: one for each column",
        json_schema_extra={"unit": "words/cycle"},
    )
    weight_swap_cycles: Cycles = Field(
        0,
        description="cycles in which `ws` takes over a preloaded block of weights and multiplies nothing",
        json_schema_extra={"unit": "cycles"},
    )
    register_file: RegisterFile = Field(default_factory=RegisterFile, description="storage inside a PE")
    network: Network = Field(default_factory=Network, description="links between buffer and PEs")

    @property
    def pes(self) -> int:
        """Processing elements: rows · cols."""
        return self.rows * self.cols

    @property
    def port_words(self) -> int:
        """Words per cycle for preload and drain: ``ports``, or one for each column."""
        return self.cols if self.ports is None else self.ports


class Precision(Part):
    """Widths of the operands of layers that bring none of their own."""

    weight_bits: Integer = Field(
        16, ge=1, le=64, description="width of a weight", json_schema_extra={"unit": "bits"}
    )
    activation_bits: Integer = Field(
        16,
        ge=1,
        le=64,
        description="width of an input or output activation",
        json_schema_extra={"unit": "bits"},
    )
    accumulator_bits: Integer = Field(
        32, ge=1, le=64, description="width of a partial sum", json_schema_extra={"unit": "bits"}
    )


class GlobalBuffer(Part):
    """The on-chip SRAM that all operands share."""

    size_kib: Real = Field(
        ge=0.001, le=4194304, description="capacity, 1 KiB = 1024 bytes", json_schema_extra={"unit": "KiB"}
    )
    bytes_per_cycle: Rate | None = Field(
        None,
        description=(
            "bytes per cycle between buffer and array, the DMA having a port of its own; null: never limiting"
        ),
        json_schema_extra={"unit": "bytes/cycle"},
    )
    weights_kib: Real = Field(
        0.0,
        ge=0,
        le=4194304,
        description=(
            "part of the capacity that only weights pass through, on their way to the PEs' registers; "
            "0: they share the whole with the other operands"
        ),
        json_schema_extra={"unit": "KiB"},
    )
    double_buffered: Operands = Field(
        ("inputs", "weights", "outputs"),
        description="operands with room for two tiles, so that one is transferred while the other is used",
    )

    @model_validator(mode="after")
    def _room_beside_weights(self) -> Self:
        if self.weights_kib >= self.size_kib:
            raise ValueError(
                f"has weights_kib {self.weights_kib:g} of size_kib {self.size_kib:g}; allowed: less than size_kib"
            )
        return self


class Dram(Part):
    """The memory outside the chip."""

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
    latency_cycles: Cycles | None = Field(
        None,
        description="cycles until a transfer that nothing prefetches begins; excludes `latency_ns`",
        json_schema_extra={"unit": "cycles"},
    )
    latency_ns: Nanoseconds | None = Field(
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


class Memory(Part):
    """The memories that operands pass."""

    global_buffer: GlobalBuffer = Field(description="on-chip SRAM shared by all operands")
    dram: Dram = Field(description="off-chip memory")
    row_words: Integer = Field(
        1,
        ge=1,
        le=1024,
        description=(
            "rows of feature maps are padded to a multiple of this many activations in both memories, "
            "and the array passes over the padding too"
        ),
        json_schema_extra={"unit": "words"},
    )


class Control(Part):
    """What the controller costs."""

    layer_setup_cycles: Integer = Field(
        0,
        ge=0,
        le=10**9,
        description="cycles that every layer pays once (descriptors, configuration)",
        json_schema_extra={"unit": "cycles"},
    )
    pe_setup_cycles: Real = Field(
        0.0,
        ge=0,
        le=1e6,
        description="cycles that every layer pays once for each PE (PEs configured one after the other)",
        json_schema_extra={"unit": "cycles/PE"},
    )


class Mapper(Part):
    """How the tiling and dataflow of a layer are chosen."""

    objective: Literal["latency", "energy", "edp"] = Field(
        "latency", description="what is minimised; `edp` is energy × latency"
    )
    latency_slack: Real = Field(
        0.0,
        ge=0,
        le=10,
        description="of the tilings within this share of the best, that with the least DRAM traffic is taken",
        json_schema_extra={"unit": "1"},
    )


class Dma(Part):
    """What a transfer from DRAM has to load."""

    granularity: Literal["whole", "row", "element"] = Field(
        "row",
        description="what a strided 1×1 filter, which skips pixels, still loads: all, its rows, its pixels",
    )


class Sparsity(Part):
    """Zero weights and the dataflows that skip them."""

    weights: Real = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of zero weights of layers that bring no density of their own",
        json_schema_extra={"unit": "1"},
    )
    skipped_by: SkippingDataflows = Field(
        (), description="dataflows that spend no cycle on a zero weight; of those that can, `os`"
    )


class Vector(Part):
    """The unit for work on single elements: pooling, additions, softmax."""

    model: Literal["lanes", "none"] = Field(
        "lanes", description="`none`: vector layers cost nothing; reports say so"
    )
    lanes: Lanes | None = Field(
        None,
        description="vector operations per cycle; null: one for each column of the array",
        json_schema_extra={"unit": "ops/cycle"},
    )


class Energy(Part):
    """Where the energy per access comes from."""

    table: str = Field(
        "eyeriss_relative", description="name of an energy table", json_schema_extra={"enum": list(tables())}
    )
    overrides: Annotated[
        dict[Level, EnergyValue],
        AfterValidator(FrozenDict),
    ] = Field(
        default_factory=FrozenDict,
        description=(
            "energies in place of the table's: of a 16-bit access; `mac`: 16 × 16 bits, 32-bit accumulator"
        ),
        json_schema_extra={"unit": "the table's unit"},
    )
    pj_per_unit: EnergyUnit | None = Field(
        None,
        description="energy of one unit of a relative table; null: energies stay in units of one MAC",
        json_schema_extra={"unit": "pJ"},
    )

    @field_validator("table")
    @classmethod
    def _known_table(cls, table: str) -> str:
        if table not in tables():
            raise ValueError(f"is {table!r}; allowed: {', '.join(tables())}{nearest(table, tables())}")
        return table
