"""Machine: the numbers of an accelerator that the cost formulas read, in bytes, bits and cycles."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from squeezesim.hardware.constraint import Constraint
from squeezesim.hardware.energy import EnergyCosts, energy_costs, store_per_bit
from squeezesim.hardware.unit import KINDS

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.unit import Unit as Specified

LEVELS: dict[str, str] = {
    "mac": "MACs",
    "register_file": "registers",
    "inter_pe": "between PEs",
    "buffer": "buffer",
    "dram": "DRAM",
    "vector": "vector lanes",
    "leakage": "leakage",
}
"""What energy is spent on on every machine, in the order of ``Costs.energy``: its name and its label.

Memories beside DRAM are further ones.
"""

_ROUNDED = 16
"""Sizes of tiles are multiples of it, beside those that cut an axis evenly: and as good as those of the array."""

_FREE = EnergyCosts(
    multiply_per_bit2=0.0,
    add_per_bit=0.0,
    register_file_per_bit=0.0,
    inter_pe_per_bit=0.0,
    buffer_read_per_bit=0.0,
    buffer_write_per_bit=0.0,
    dram_per_bit=0.0,
    vector_op_per_bit=0.0,
    leakage_mw=0.0,
    area_mm2=None,
    pj_per_unit=None,
    source="",
)


class Store(NamedTuple):
    """A memory beside DRAM in which operands live, with a port of its own to the buffer.

    Its name is that of its level of energy, of its loss cause and of its bound.
    """

    name: str
    holds: tuple[str, ...]  # of inputs, weights and outputs; partial sums live with outputs
    bytes_per_cycle: float
    latency: int = 0  # cycles until a transfer that nothing prefetches begins
    per_bit: float = 0.0  # energy
    bits: float = math.inf  # capacity


class Unit(NamedTuple):
    """A part of the array with loops of its own in space; see ``hardware.unit``."""

    name: str
    unroll: tuple[tuple[str, int], ...]  # loop and iterations at once
    stationary: str = "outputs"
    runs: tuple[str, ...] = KINDS
    interval: int = 1  # cycles of a step
    ports: int = 0  # words a cycle of what stays; 0: never limiting
    preload: int = 0  # cycles at least
    output_words: int = 0  # a cycle; 0: never limiting
    latency: int = 0  # cycles for each tile

    def by(self, loop: str) -> int:
        """Iterations of *loop* at once."""
        return dict(self.unroll).get(loop, 1)

    @property
    def pes(self) -> int:
        """Number of processing elements."""
        return math.prod(count for _, count in self.unroll) // self.interval

    @classmethod
    def of(cls, name: str, unit: Specified) -> Unit:
        """Read the numbers of a validated unit."""
        return cls(
            name,
            tuple(unit.unroll.items()),
            unit.stationary,
            unit.runs,
            unit.interval,
            unit.ports or 0,
            unit.preload_cycles,
            unit.output_words or 0,
            unit.pipeline,
        )


class BufferPart(NamedTuple):
    """A part of the buffer for some of inputs, weights, outputs and psums."""

    bits: int
    holds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One accelerator as plain numbers; the cost formulas see nothing else of it."""

    rows: int
    cols: int
    dataflows: tuple[str, ...]
    ports: int  # words a cycle into or out of the array's registers
    weight_swap: int  # cycles for each block of weights in `ws`
    psum_words: int  # partial sums that one PE keeps
    filter_words: int = 224  # weights that one PE keeps in `rs`
    input_words: int = 12  # inputs that one PE keeps in `rs`
    network_weights: int = 4  # words a cycle from the buffer to the PEs in `rs`
    network_inputs: int = 1
    network_psums: int = 4  # words a cycle each way
    systolic: bool
    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    buffer_bits: int  # capacity
    weights_bits: int = 0  # part of the capacity for weights alone; 0: all operands share the whole
    lasting_bits: int = 0  # for weights that stay from one inference to the next, beside the capacity
    buffer_bits_per_cycle: float  # inf: not limiting
    double_inputs: bool
    double_weights: bool
    double_outputs: bool
    row_words: int = 1  # rows of feature maps are padded to a multiple of this many activations
    dram_bytes_per_cycle: float
    dram_latency: int  # cycles
    setup: int  # cycles a layer
    objective: str
    slack: float
    stays: bool = (
        False  # whether operands may stay across loops that they lack, or have one slot all the same
    )
    laid_by: str = ""  # the objective by which tiles are laid on the array; "": the machine's own
    leaks: bool = False  # whether a cycle costs energy
    whole_blocks: bool = False  # whether tiles use all of the array, or as much as is the fastest
    skip_rows: bool  # the DMA can leave out input rows that no filter tap touches
    skip_columns: bool
    weight_density: float  # of layers that bring none of their own
    skips_zeros: tuple[str, ...]
    structured: tuple[str, ...] = ()  # patterns N:M of weights whose zeros take no PE
    compressed: tuple[str, ...] = ()  # memories in which weights are stored compressed
    weight_form: str = "smallest"  # in one of compress.storage.FORMS
    vector_lanes: int  # 0: vector layers cost nothing
    pool_lanes: int = 0  # 0: the same
    elementwise_lanes: int = 0
    softmax_lanes: int = 0
    clock_hz: float
    energy: EnergyCosts
    stores: tuple[Store, ...] = ()  # beside DRAM, which holds what none of them holds
    constraints: tuple[Constraint, ...] = ()  # on what is chosen, by layer
    parts: tuple[BufferPart, ...] = ()  # of the buffer; none: all operands share the whole
    psums_stay: bool = False  # in the array: no partial sums leave it
    whole_channels: bool = False  # whether tiles have all input channels wherever such a tile fits
    accumulators: int = 0  # sums that wait there between tiles; 0: a tile has all input channels
    keeps_maps: bool = False  # whether whole feature maps may live in the buffer
    loads_ahead: bool = False  # whether first weights of a layer are loaded beside the layer before
    contiguous: bool = False  # whether what lives there, and tiles, each need one range of addresses
    keeps_weights: bool = False  # whether weights may, from one inference to the next
    post_ops: tuple[str, ...] = ()  # what can join the layer before, beside bias, norms and activations
    joins_always: bool = False  # whether it does wherever it can, or where that is better
    units: tuple[Unit, ...] = ()  # beside the rows and columns that dataflows share
    paces: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()  # see ``pace``; other widths: (1, 1)

    @property
    def pes(self) -> int:
        """Number of processing elements: rows × columns, or those of the largest unit if it has more."""
        shared = self.array_pes if self.dataflows else 0
        return max(shared, *(unit.pes for unit in self.units), 0)

    @property
    def array_pes(self) -> int:
        """Those of the array that dataflows run on: rows × columns."""
        return self.rows * self.cols

    @property
    def apart_bits(self) -> int:
        """Bits of the part of the buffer that holds weights and no inputs; 0: they share one."""
        return sum(part.bits for part in self.parts if "weights" in part.holds and "inputs" not in part.holds)

    @property
    def flows(self) -> tuple[str, ...]:
        """What a layer can run on: the dataflows, then the units."""
        return (*self.dataflows, *(unit.name for unit in self.units))

    @property
    def chooses_blocks(self) -> bool:
        """Whether tiles may use less than the array where that takes fewer cycles."""
        return not self.whole_blocks

    @property
    def lanes_beside(self) -> bool:
        """Whether vector lanes work beside the array, on what joins a layer."""
        return bool({"add", "pool"} & {*self.post_ops})

    @property
    def moves_least(self) -> bool:
        """Whether tiles are laid on the array so that they move the fewest words; those of equal words differ.

        Blocks that are faster may move more: by energy none are taken, nor where the buffer can be too slow for them.
        """
        if self.laid_by:
            return self.laid_by == "energy"
        return self.objective == "energy" or math.isfinite(self.buffer_bits_per_cycle)

    def pace(self, weight_bits: int, activation_bits: int) -> tuple[int, int]:
        """MACs that a PE does with operands of these widths, and in how many cycles; one of the two is 1."""
        return dict(self.paces).get((weight_bits, activation_bits), (1, 1))

    @property
    def most_macs(self) -> int:
        """The most MACs that a PE does in a cycle with operands of any width."""
        return max((macs for _, (macs, _) in self.paces), default=1)

    @property
    def flattens(self) -> bool:
        """Whether the pixels of a matrix product stand in x alone: all that runs here sees them so."""
        return all(unit.by("p") > 1 for unit in self.units)

    def multiples(self, axis: str, pointwise: bool) -> tuple[int, ...]:
        """Sizes to whose multiples tiles are rounded along an *axis*; *pointwise*: of a matrix product's pixels.

        Of whole arrays, and of units, those that fill them. Where tiles may use less, the same of every array and unit,
        so that the tiles of a larger one are those of a smaller one too.
        """
        whole = self.array_pes
        shared = {"y": self.rows, "x": whole if pointwise else self.cols, "k": self.cols, "c": self.rows}
        if not self.whole_blocks and {*self.dataflows} <= {"ws", "os", "rs"}:
            shared = dict.fromkeys(shared, _ROUNDED)
        found = [shared.get(axis, 1)] if self.dataflows else []
        for unit in self.units:
            filled = unit.by("p" if pointwise and axis == "x" else axis)
            found.append(filled if self.whole_blocks else _ROUNDED * (axis != "n"))
        return tuple(sorted({size for size in found if size > 1})) or (1,)

    @property
    def memories(self) -> tuple[Store, ...]:
        """DRAM and the stores beside it."""
        dram = Store("dram", (), self.dram_bytes_per_cycle, self.dram_latency, self.energy.dram_per_bit)
        return (dram, *self.stores)

    @property
    def memory_names(self) -> tuple[str, ...]:
        """Names of ``memories``."""
        return ("dram", *(store.name for store in self.stores))

    def home(self, operand: str) -> int:
        """Index into ``memories`` of the store that holds *operand*: inputs, weights or outputs."""
        return next((index for index, store in enumerate(self.stores, 1) if operand in store.holds), 0)

    @property
    def compresses_weights(self) -> bool:
        """Whether the memory that holds the weights stores them compressed."""
        return self.memory_names[self.home("weights")] in self.compressed

    @property
    def levels(self) -> tuple[str, ...]:
        """What energy is spent on."""
        return (*LEVELS, *self.memory_names[1:])

    @property
    def per_bit(self) -> dict[tuple[str, str], float]:
        """Energy of a bit by level and direction, those of stores among them."""
        costs = self.energy
        return {
            ("register_file", "access"): costs.register_file_per_bit,
            ("inter_pe", "access"): costs.inter_pe_per_bit,
            ("buffer", "read"): costs.buffer_read_per_bit,
            ("buffer", "write"): costs.buffer_write_per_bit,
            **{(store.name, "access"): store.per_bit for store in self.memories},
        }

    def double(self, operand: str) -> bool:
        """Whether *operand* (inputs, weights, outputs) is double-buffered."""
        return bool(getattr(self, f"double_{operand}"))

    def family(self, *, priced: bool) -> Machine:
        """Return what this machine shares with those that differ from it in ``cost.rates.Rates`` alone.

        All of them share tilings, steps, traffic and accesses, so long as the buffer limits all of them or none. With
        *priced*, the dataflows look at the objective and at prices when they lay a tile on the array. Where layers may
        join others, lanes work beside the array.
        """
        joins = self.lanes_beside
        return replace(
            self,
            buffer_bits=self.buffer_bits * self.whole_channels,  # what fits decides which tiles there are
            buffer_bits_per_cycle=math.inf if math.isinf(self.buffer_bits_per_cycle) else 1.0,
            dram_bytes_per_cycle=1.0,
            dram_latency=0,
            setup=0,
            slack=0.0,
            vector_lanes=self.vector_lanes * joins,
            pool_lanes=self.pool_lanes * joins,
            elementwise_lanes=self.elementwise_lanes * joins,
            softmax_lanes=0,
            clock_hz=1.0,
            energy=self.energy if priced else _FREE,
            stores=tuple(
                store._replace(bytes_per_cycle=1.0, latency=0, per_bit=store.per_bit * priced, bits=math.inf)
                for store in self.stores
            ),
        )

    @classmethod
    def of(cls, accelerator: Accelerator) -> Machine:
        """Read the numbers from a validated accelerator."""
        array, memory = accelerator.array, accelerator.memory
        buffer = memory.global_buffer
        rate = buffer.bytes_per_cycle
        parts = tuple(BufferPart(int(part.size_kib * 1024) * 8, part.holds) for part in buffer.parts.values())
        return cls(
            rows=array.rows,
            cols=array.cols,
            dataflows=tuple(array.dataflows),
            ports=array.port_words,
            weight_swap=array.weight_swap_cycles,
            psum_words=array.register_file.psum_words,
            filter_words=array.register_file.filter_words,
            input_words=array.register_file.input_words,
            network_weights=array.network.weights_words,
            network_inputs=array.network.inputs_words,
            network_psums=array.network.psums_words,
            systolic=array.interconnect == "systolic",
            weight_bits=accelerator.precision.weight_bits,
            activation_bits=accelerator.precision.activation_bits,
            accumulator_bits=accelerator.precision.accumulator_bits,
            buffer_bits=sum(part.bits for part in parts) or int(buffer.size_kib * 1024) * 8,
            weights_bits=int(buffer.weights_kib * 1024) * 8,
            lasting_bits=int(memory.stays.size_kib * 1024) * 8,
            buffer_bits_per_cycle=float("inf") if rate is None else rate * 8,
            double_inputs=buffer.slots("inputs") > 1,
            double_weights=buffer.slots("weights") > 1,
            double_outputs=buffer.slots("outputs") > 1,
            parts=parts,
            psums_stay=buffer.psums == "array",
            accumulators=array.accumulators or 0,
            keeps_maps="activations" in buffer.keeps and memory.placement == "best",
            contiguous=buffer.layout == "contiguous",
            keeps_weights="weights" in buffer.keeps,
            loads_ahead=memory.prefetch == "weights",
            row_words=memory.row_words,
            dram_bytes_per_cycle=accelerator.dram_bytes_per_cycle,
            dram_latency=accelerator.dram_latency_cycles,
            setup=accelerator.setup_cycles,
            objective=accelerator.mapper.objective,
            slack=accelerator.mapper.latency_slack,
            stays=accelerator.mapper.residency == "best",
            leaks=energy_costs(accelerator).leakage_mw > 0,
            whole_blocks=accelerator.mapper.blocks == "whole",
            whole_channels=accelerator.mapper.input_channels == "whole",
            skip_rows=accelerator.dma.granularity in ("row", "element"),
            skip_columns=accelerator.dma.granularity == "element",
            weight_density=1.0 - accelerator.sparsity.weights,
            skips_zeros=tuple(accelerator.sparsity.skipped_by),
            structured=tuple(accelerator.sparsity.structured),
            compressed=tuple(accelerator.sparsity.compressed),
            weight_form=accelerator.sparsity.form,
            vector_lanes=accelerator.vector_lanes,
            pool_lanes=accelerator.lanes_for("pool"),
            elementwise_lanes=accelerator.lanes_for("elementwise"),
            softmax_lanes=accelerator.lanes_for("softmax"),
            clock_hz=accelerator.clock_mhz * 1e6,
            energy=energy_costs(accelerator),
            stores=stores_of(accelerator),
            constraints=accelerator.mapper.constraints,
            post_ops=tuple(array.post_ops),
            joins_always=array.joining == "always",
            units=tuple(Unit.of(name, unit) for name, unit in array.units.items()),
            paces=tuple(sorted((rate.pair, rate.pace) for rate in accelerator.precision.rates)),
        )


_OPERANDS = {"weights": ("weights",), "activations": ("inputs", "outputs")}


def stores_of(accelerator: Accelerator) -> tuple[Store, ...]:
    """Return the memories beside DRAM, those of ``memory.stores``."""
    return tuple(
        Store(
            name,
            tuple(operand for held in store.holds for operand in _OPERANDS[held]),
            accelerator.bytes_per_cycle(store),
            accelerator.latency_cycles(store),
            store_per_bit(accelerator, name, store),
            math.inf if store.size_kib is None else store.size_kib * 8192,
        )
        for name, store in accelerator.memory.stores.items()
    )
