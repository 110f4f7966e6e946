"""The sections of an accelerator file: every key with its unit, range and meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from squeezesim.errors import nearest
from squeezesim.hardware import dataflows
from squeezesim.hardware.buffer_part import BufferPart, mistake
from squeezesim.hardware.dataflows import OneOf
from squeezesim.hardware.host import Host
from squeezesim.hardware.mapper import Mapper
from squeezesim.hardware.part import FINITE as _FINITE
from squeezesim.hardware.part import WHOLE, FrozenDict, Integer, Part, Real, unique
from squeezesim.hardware.rate import MacRate, once
from squeezesim.hardware.store import Port, Stays, Store
from squeezesim.hardware.store import mistake as mistake_of_stores
from squeezesim.hardware.unit import Unit, misnamed

Dataflow = Annotated[str, OneOf(dataflows.names)]
"""One of those that are declared in ``hardware.dataflows``."""

SkippingDataflow = Annotated[str, OneOf(dataflows.skipping)]
"""Those that can leave out zero weights."""


Operand = Literal["inputs", "weights", "outputs"]


# pydantic's schema of an optional value shows only the bounds that stand before the BeforeValidator.
Ports = Annotated[int, Field(strict=True, ge=1, le=65536), WHOLE]
Lanes = Ports
Accumulators = Annotated[int, Field(strict=True, ge=1, le=4194304), WHOLE]
Cycles = Annotated[int, Field(strict=True, ge=0, le=10**9), WHOLE]
Nanoseconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e6), _FINITE]
Rate = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0.001, le=1e6), _FINITE]
EnergyValue = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e9), _FINITE]
EnergyUnit = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=1e9), _FINITE]
Dataflows = Annotated[tuple[Dataflow, ...], AfterValidator(unique)]
SkippingDataflows = Annotated[tuple[SkippingDataflow, ...], AfterValidator(unique)]
Keeps = Annotated[tuple[Literal["activations", "weights"], ...], AfterValidator(unique)]
MemoryName = Annotated[str, Field(max_length=50)]
Memories = Annotated[tuple[MemoryName, ...], AfterValidator(unique)]
Patterns = Annotated[tuple[Literal["1:2", "1:4", "2:4", "4:8"], ...], AfterValidator(unique)]
PostOps = Annotated[tuple[Literal["bias", "activation", "pool", "add"], ...], AfterValidator(unique)]
Operands = Annotated[tuple[Operand, ...], AfterValidator(unique)]


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


def _well_named(name: str) -> str:
    """Check the name of a unit."""
    if text := misnamed(name, dataflows.names()):
        raise ValueError(f"has {text}")
    return name


Units = Annotated[dict[Annotated[str, AfterValidator(_well_named)], Unit], AfterValidator(FrozenDict)]


SHARED = ("rows", "cols", "dataflows")
"""Keys of what dataflows share; an array of units alone has none of them."""


class Array(Part):
    """The PE array and what moves words into and out of it.

    It has rows and columns that dataflows share, or units that are arrays of their own, or both.
    """

    units: Units = Field(
        default_factory=FrozenDict,
        max_length=16,
        description="name → a unit with loops of its own in space; each layer gets the best by `mapper.objective`",
    )

    rows: Integer = Field(
        ge=1, le=4096, description="rows of the PE array", json_schema_extra={"unit": "PEs"}
    )
    cols: Integer = Field(
        ge=1, le=4096, description="columns of the PE array", json_schema_extra={"unit": "PEs"}
    )
    dataflows: Dataflows = Field(
        json_schema_extra={"minItems": 1},
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
    accumulators: Accumulators | None = Field(
        None,
        description="partial sums that the units hold from tile to tile, with `psums: array` of `global_buffer`; "
        "null: none, so that a tile has all input channels",
        json_schema_extra={"unit": "words"},
    )
    post_ops: PostOps = Field(
        (),
        description="what the array does to outputs on their way out: `add` joins the addition of another map, `pool` "
        "a pooling; `bias` (with norms) and `activation` are done whether they are named or not",
    )
    joining: Literal["best", "always"] = Field(
        "best",
        description="what `post_ops` names joins a layer where that is better by `mapper.objective`, or always",
    )
    weight_swap_cycles: Cycles = Field(
        0,
        description="cycles in which `ws` takes over a preloaded block of weights and multiplies nothing",
        json_schema_extra={"unit": "cycles"},
    )
    register_file: RegisterFile = Field(default_factory=RegisterFile, description="storage inside a PE")
    network: Network = Field(default_factory=Network, description="links between buffer and PEs")

    @model_validator(mode="before")
    @classmethod
    def _units_alone(cls, data: object) -> object:
        if not isinstance(data, Mapping) or not data.get("units"):
            return data
        alone = not any(key in data for key in SHARED) or data.get("dataflows") in ([], ())
        return {"rows": 1, "cols": 1, "dataflows": (), **data} if alone else data

    @field_validator("dataflows")
    @classmethod
    def _some_dataflow(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not names and not info.data.get("units", True):
            raise PydanticCustomError("too_short", "allowed: one or more")
        return names

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        left_out = {"units"} if not self.units else set() if self.dataflows else {*SHARED}
        left_out |= {"accumulators"} if self.accumulators is None else set()
        return {key: value for key, value in data.items() if key not in left_out}

    @model_validator(mode="after")
    def _of_units(self) -> Self:
        if self.accumulators and self.dataflows:
            raise ValueError("has accumulators beside dataflows; allowed: with units alone")
        return self

    @property
    def flows(self) -> tuple[str, ...]:
        """What a layer can run on: the dataflows, then the units."""
        return (*self.dataflows, *self.units)

    @property
    def pes(self) -> int:
        """Processing elements: rows · cols, or those of the largest unit if it has more."""
        shared = self.rows * self.cols if self.dataflows else 0
        return max(shared, *(unit.pes for unit in self.units.values()), 0)

    @property
    def size(self) -> str:
        """Return the PEs as text, ``16×16 PEs``; of units those of the largest, ``2,048 PEs``."""
        return f"{self.rows}×{self.cols} PEs" if self.dataflows else f"{self.pes:,} PEs"

    @property
    def shape(self) -> str:
        """Return the PEs and what runs on them, as ``16×16 PEs, ws or os``."""
        pes = {name: f"{unit.pes:,} PEs: " * bool(self.dataflows) for name, unit in self.units.items()}
        units = [f"{name} ({pes[name]}{unit})" for name, unit in self.units.items()]
        return f"{self.size}, {' or '.join((*self.dataflows, *units))}"

    def only(self, flow: str) -> dict[str, object]:
        """Return the changes of an accelerator after which every layer runs on the dataflow or unit *flow*."""
        units = {name: unit.model_dump() for name, unit in self.units.items() if name == flow}
        changes: dict[str, object] = {"array.units": units} if self.units else {}
        return changes | {"array.dataflows": [name for name in self.dataflows if name == flow]}

    @property
    def widest(self) -> int:
        """Columns, or the most outputs that a step of a unit makes, if that is more."""
        made = (
            prod(count for loop, count in unit.unroll.items() if loop in ("n", "g", "k", "y", "x", "p"))
            for unit in self.units.values()
        )
        return max(self.cols if self.dataflows else 0, *made, 1)

    @property
    def port_words(self) -> int:
        """Words per cycle for preload and drain: ``ports``, or one for each column."""
        return self.cols if self.ports is None else self.ports


Rates = Annotated[tuple[MacRate, ...], AfterValidator(once)]


class Precision(Part):
    """Widths of the operands of layers that bring none of their own, and what widths make of the PEs."""

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
    rates: Rates = Field(
        (),
        max_length=100,
        description="MACs that a PE does in a cycle where a layer's weights and activations have given widths; of "
        "other widths it does 1",
        json_schema_extra={
            "allowed": "a list of up to 100 mappings of weights, activations, macs, or of texts such as w4a8:2"
        },
    )

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _without_no_rates(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if not self.rates:
            data.pop("rates", None)
        return data


MOST_KIB = 4194304
"""Size of a buffer, and of all of its parts."""

BufferParts = Annotated[dict[str, BufferPart], AfterValidator(FrozenDict)]


class GlobalBuffer(Part):
    """The on-chip SRAM that all operands share, or its parts for some of them each."""

    parts: BufferParts = Field(
        default_factory=FrozenDict,
        max_length=8,
        description="name → a part for some operands alone; without parts they share the whole",
    )
    psums: Literal["buffer", "array"] = Field(
        "buffer",
        description="where partial sums are between tiles; `array`: a tile has all input channels, and none leave",
    )
    size_kib: Real = Field(
        ge=0.001, le=MOST_KIB, description="capacity, 1 KiB = 1024 bytes", json_schema_extra={"unit": "KiB"}
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
    keeps: Keeps = Field(
        (),
        description="what may live in the buffer whole, beside the tiles: feature maps from layer to layer, weights "
        "from one inference to the next; by default nothing",
    )
    layout: Literal["paged", "contiguous"] = Field(
        "paged",
        description="how what lives in the buffer takes room there beside tiles: `paged`: wherever there is some; "
        "`contiguous`: each tensor, and the tiles of a layer, in one range of addresses",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_parts(cls, data: object) -> object:
        if not isinstance(data, Mapping) or not isinstance(data.get("parts"), Mapping) or not data["parts"]:
            return data
        if "size_kib" in data:
            return data
        sizes = [
            part.get("size_kib") if isinstance(part, Mapping) else None for part in data["parts"].values()
        ]
        known = [size for size in sizes if isinstance(size, int | float) and not isinstance(size, bool)]
        # Where a size is missing, that of the part is the mistake.
        whole = len(known) == len(sizes) and 0 < sum(known) <= MOST_KIB
        return {**data, "size_kib": sum(known) if whole else 1}

    @model_validator(mode="after")
    def _possible_parts(self) -> Self:
        if not self.parts:
            return self
        if text := mistake(self.parts, self.psums):
            raise ValueError(text)
        if self.weights_kib:
            raise ValueError("has weights_kib beside parts; allowed: a part that holds weights")
        if "double_buffered" in self.model_fields_set:
            raise ValueError("has double_buffered beside parts; allowed: slots of a part")
        of_maps = any({"inputs", "outputs"} <= {*part.holds} for part in self.parts.values())
        if "activations" in self.keeps and not of_maps:
            raise ValueError("has keeps activations; allowed with parts: where one holds inputs and outputs")
        total = sum(part.size_kib for part in self.parts.values())
        if total > MOST_KIB:
            sizes = ", ".join(f"{name} {part.size_kib:.10g}" for name, part in self.parts.items())
            raise ValueError(f"has parts of {total:.10g} KiB in all ({sizes}); allowed: up to {MOST_KIB} KiB")
        if self.size_kib != total:
            raise ValueError(
                f"has size_kib {self.size_kib:g} beside parts; allowed: their sum, or none: parts.NAME.size_kib"
            )
        return self

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for key in ("size_kib", "double_buffered") if self.parts else ("parts",):
            data.pop(key, None)
        if self.layout == "paged":
            data.pop("layout", None)
        return data

    def slots(self, operand: str) -> int:
        """Tiles of *operand* that there is room for at once: of inputs, weights, or outputs and their sums."""
        both = ("outputs", "psums") if operand == "outputs" else (operand,)
        held = [part.slots for part in self.parts.values() if {*both} & {*part.holds}]
        return min(held) if held else 1 + (operand in self.double_buffered)

    def texts(self) -> list[str]:
        """Return each part as text, ``512 KiB for inputs and outputs``."""
        return [
            f"{name} {part.size_kib:g} KiB for {' and '.join(part.holds)}"
            + (", one slot" if part.slots == 1 else "")
            for name, part in self.parts.items()
        ]

    @model_validator(mode="after")
    def _room_beside_weights(self) -> Self:
        if self.weights_kib >= self.size_kib:
            raise ValueError(
                f"has weights_kib {self.weights_kib:g} of size_kib {self.size_kib:g}; allowed: less than size_kib"
            )
        return self


class Dram(Port):
    """The memory outside the chip."""


Stores = Annotated[dict[str, Store], AfterValidator(FrozenDict)]


class Memory(Part):
    """The memories that operands pass."""

    global_buffer: GlobalBuffer = Field(description="on-chip SRAM shared by all operands")
    dram: Dram = Field(description="off-chip memory")
    stores: Stores = Field(
        default_factory=FrozenDict,
        max_length=8,
        description="name → a memory beside DRAM for weights or activations, with a port of its own",
    )
    stays: Stays = Field(
        default_factory=Stays, description="memory for weights that stay from one inference to the next"
    )
    placement: Literal["best", "layer"] = Field(
        "best",
        description="where feature maps live that the buffer may keep: `best`: where the network costs least; `layer`: "
        "every layer reads them from DRAM and writes them there",
    )
    prefetch: Literal["none", "weights"] = Field(
        "none",
        description="`weights`: the first weights of a layer are loaded beside the last step of the one before, where "
        "there is room and it saves time; `none`: no layer begins before the one before has ended",
    )
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

    @field_validator("stores")
    @classmethod
    def _possible_stores(cls, stores: Mapping[str, Store]) -> Mapping[str, Store]:
        if text := mistake_of_stores(stores):
            raise ValueError(text)
        return stores

    @model_validator(mode="after")
    def _ahead_of_pages(self) -> Self:
        if self.prefetch == "weights" and self.global_buffer.layout == "contiguous":
            raise ValueError(
                "has prefetch weights with global_buffer.layout contiguous; allowed: prefetch none, or layout paged"
            )
        return self

    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _without_stores(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        said = {
            "stores": bool(self.stores),
            "stays": self.stays.size_kib > 0,
            "prefetch": self.prefetch != "none",
        }
        for key, is_there in said.items():
            if not is_there:
                data.pop(key, None)
        return data


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
        (),
        description="dataflows that spend no cycle on a zero weight; of those that can, "
        + ", ".join(f"`{name}`" for name in dataflows.skipping()),
    )
    structured: Patterns = Field(
        (),
        description=(
            "patterns N:M of weights, N of M input channels not zero, that take N rows of the array for M, in "
            + ", ".join(f"`{name}`" for name in dataflows.packing())
        ),
    )
    compressed: Memories = Field(
        (),
        description="memories that hold weights compressed, in fewer bits for zeros; the buffer holds all of them",
        json_schema_extra={"allowed": "a list of any of dram and names of memory.stores"},
    )
    form: Literal["smallest", "bitmap", "relative4", "relative5", "csr"] = Field(
        "smallest",
        description="how compressed weights are stored: the smallest form of each layer, or one for all of them",
    )


def vector_kind(op: str) -> str:
    """Return the kind of work of layers *op* without MACs: pool, softmax or elementwise.

    Example:
        >>> vector_kind("max_pool"), vector_kind("add")
        ('pool', 'elementwise')
    """
    return next((kind for kind in ("pool", "softmax") if kind in op), "elementwise")


class Vector(Part):
    """The unit for work on single elements: pooling, additions, softmax."""

    model: Literal["lanes", "none"] = Field(
        "lanes", description="`none`: vector layers cost nothing; reports say so"
    )
    lanes: Lanes | None = Field(
        None,
        description="vector operations per cycle; null: one for each column of the array, or output of a unit's step",
        json_schema_extra={"unit": "ops/cycle"},
    )
    pool: Lanes | None = Field(
        None,
        description="the same of pooling, which an engine of its own may do; null: `lanes`",
        json_schema_extra={"unit": "ops/cycle"},
    )
    elementwise: Lanes | None = Field(
        None,
        description="the same of all that is neither pooling nor softmax; null: `lanes`",
        json_schema_extra={"unit": "ops/cycle"},
    )
    softmax: Lanes | None = Field(
        None,
        description="the same of softmax; null: `lanes`",
        json_schema_extra={"unit": "ops/cycle"},
    )

    def own(self) -> dict[str, int]:
        """Return the operations per cycle of kinds of work that have an engine of their own."""
        given = {kind: getattr(self, kind) for kind in ("pool", "elementwise", "softmax")}
        return {kind: lanes for kind, lanes in given.items() if lanes}


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
        json_schema_extra={
            "unit": "the table's unit",
            "allowed": f"a mapping with any of {', '.join(get_args(Level))}",
        },
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


def _decimal(value: float) -> Fraction:
    """The decimal fraction as written: 0.1 ns at 30 GHz are 3 cycles, and binary rounding must not make it 4."""
    return Fraction(repr(value))


class Provenance(Part):
    """Where a parameter's value comes from."""

    provenance: Literal["paper", "datasheet", "calibrated", "guess"] = Field(description="kind of source")
    source: str = Field(
        "",
        description="the source itself: a paper, a data sheet, what was calibrated against what, why one guesses so",
    )


class Specification(Part):
    """What an accelerator file says: a PE array with its memories, its mapper and its energy table."""

    model_config = ConfigDict(title="Accelerator")

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
    host: Host = Field(default_factory=Host, description="work beside the accelerator, for each inference")
    energy: Energy = Field(default_factory=Energy, description="energy per access")
    provenance: Annotated[dict[str, Provenance], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="dotted path of a parameter → where its value comes from"
    )
    notes: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(
        (), max_length=100, description="what a reader of the results must know of the accelerator"
    )

    @field_validator("memory")
    @classmethod
    def _accumulated(cls, memory: Memory, info: ValidationInfo) -> Memory:
        waits = "array" in info.data and info.data["array"].accumulators
        if waits and memory.global_buffer.psums != "array":
            raise ValueError(
                "has global_buffer.psums buffer, but array.accumulators is given; allowed with it: psums: array"
            )
        return memory

    @field_validator("precision")
    @classmethod
    def _paced(cls, precision: Precision, info: ValidationInfo) -> Precision:
        own = info.data["array"].dataflows if "array" in info.data else ()
        fixed = [name for name in own if not dataflows.DECLARED[name].rates]
        if precision.rates and fixed:
            able = [name for name, entry in dataflows.DECLARED.items() if entry.rates]
            raise ValueError(
                f"has rates, but a PE does one MAC a cycle in {fixed[0]}; allowed: array.dataflows of "
                f"{', '.join(able)}, or units"
            )
        return precision

    @field_validator("sparsity")
    @classmethod
    def _known_memories(cls, sparsity: Sparsity, info: ValidationInfo) -> Sparsity:
        known = ("dram", *(info.data["memory"].stores if "memory" in info.data else ()))
        for name in sparsity.compressed:
            if name not in known:
                raise ValueError(
                    f"has compressed {name!r}; allowed: {', '.join(known)}{nearest(name, known)}"
                )
        return sparsity

    # The type is given as a value: some versions of pydantic look up a written one where a subclass is defined.
    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _brief(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        if not self.notes:
            data.pop("notes", None)
        if not self.host.is_given:
            data.pop("host", None)
        return data

    def bytes_per_cycle(self, memory: Port) -> float:
        """Usable bandwidth of a memory in bytes per cycle: GB/s · 1e9 · usable fraction / (MHz · 1e6)."""
        peak, usable = _decimal(memory.bandwidth_gb_s), _decimal(memory.usable_fraction)
        return float(peak * usable * 1000 / _decimal(self.clock_mhz))

    def latency_cycles(self, memory: Port) -> int:
        """Latency of a memory in cycles, rounded up: ⌈ns · MHz / 1000⌉ where it is given as a time."""
        if memory.latency_ns is None:
            return memory.latency_cycles or 0
        return math.ceil(_decimal(memory.latency_ns) * _decimal(self.clock_mhz) / 1000)

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Usable DRAM bandwidth in bytes per cycle."""
        return self.bytes_per_cycle(self.memory.dram)

    @property
    def dram_latency_cycles(self) -> int:
        """DRAM latency in cycles, rounded up."""
        return self.latency_cycles(self.memory.dram)

    @property
    def setup_cycles(self) -> int:
        """Cycles that every layer pays once: layer_setup_cycles + ⌈PEs · pe_setup_cycles⌉."""
        control = self.control
        return control.layer_setup_cycles + math.ceil(self.array.pes * _decimal(control.pe_setup_cycles))

    def lanes_for(self, op: str) -> int:
        """Vector operations per cycle of layers *op*; 0 where the model is ``none``."""
        return self.vector_lanes and self.vector.own().get(vector_kind(op), self.vector_lanes)

    @property
    def vector_lanes(self) -> int:
        """Vector operations per cycle: ``vector.lanes``, or one for each column; 0 where the model is ``none``."""
        if self.vector.model == "none":
            return 0
        return self.array.widest if self.vector.lanes is None else self.vector.lanes
