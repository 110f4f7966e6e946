"""Strategies and short-hands that the tests of the cost model share."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from squeezesim.cost.bounds import Space
from squeezesim.cost.dataflow import Dataflow, Tile
from squeezesim.cost.energy import (
    AccessBits,
    access_bits,
    add_bits,
    layer_energy,
    level_bits,
    total,
    transfer_bits,
)
from squeezesim.cost.machine import BufferPart, Machine, Store
from squeezesim.cost.mapspace import tile_sizes
from squeezesim.cost.problem import IN_MEMORY, Homes, Workload, workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.traffic import AXES, MODES, ORDERS, Mode
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.energy import EnergyCosts, energy_costs
from squeezesim.network.compress.storage import FORMS
from squeezesim.network.layer import Layer, Pool
from squeezesim.reference.pipeline import LOOPS, READS, Case, Tiling, simulated
from tests.draws import among


@cache
def relative_energy() -> EnergyCosts:
    return energy_costs(Accelerator.named("squeezelerator_16x16").replace({"energy.overrides": {}}))


def machine(**changes: Any) -> Machine:
    """A small machine; every number can be changed."""
    numbers: dict[str, Any] = {
        "rows": 4,
        "cols": 4,
        "dataflows": ("ws", "os"),
        "ports": 4,
        "weight_swap": 0,
        "psum_words": 8,
        "systolic": False,
        "weight_bits": 16,
        "activation_bits": 16,
        "accumulator_bits": 16,
        "buffer_bits": 8 * 2048,
        "buffer_bits_per_cycle": float("inf"),
        "double_inputs": True,
        "double_weights": True,
        "double_outputs": True,
        "dram_bytes_per_cycle": 4.0,
        "dram_latency": 7,
        "setup": 11,
        "objective": "latency",
        "slack": 0.0,
        "skip_rows": True,
        "skip_columns": False,
        "weight_density": 1.0,
        "skips_zeros": (),
        "vector_lanes": 0,
        "clock_hz": 1e9,
        "energy": relative_energy(),
    }
    return Machine(**(numbers | changes))


@st.composite
def stores(draw: st.DrawFn) -> tuple[Store, ...]:
    """No memory beside DRAM, in most cases; one that holds some operands; or one for each."""
    holds = draw(
        among((), (), (("weights",),), (("inputs", "outputs"),), (("weights",), ("outputs",), ("inputs",)))
    )
    return tuple(
        Store(
            f"store{number}",
            operands,
            draw(among(0.7, 4.0, 40.0)),
            draw(st.integers(0, 20)),
            draw(among(0.0, 1.5)),
        )
        for number, operands in enumerate(holds)
    )


@st.composite
def buffer_parts(draw: st.DrawFn) -> dict[str, Any]:
    """Parts of a buffer that are full at different tiles, and where partial sums are."""
    holds = draw(
        among(
            (("inputs", "outputs"), ("weights",)),
            (("inputs",), ("weights", "outputs")),
            (("inputs", "weights"), ("outputs",)),
            (("inputs", "weights", "outputs"),),
            (("inputs",), ("weights",), ("outputs",)),
        )
    )
    stay = draw(st.booleans())
    if not stay and draw(st.booleans()):
        holds = (*holds, ("psums",))
    parts = tuple(BufferPart(8 * draw(among(32, 96, 256, 1000, 8192)), operands) for operands in holds)
    return {"parts": parts, "psums_stay": stay, "buffer_bits": sum(part.bits for part in parts)}


@st.composite
def machines(draw: st.DrawFn, **fixed: Any) -> Machine:
    """Any machine of up to 8×8 PEs."""
    sizes = st.integers(1, 8)
    changes: dict[str, Any] = {
        "rows": draw(sizes),
        "cols": draw(sizes),
        "ports": draw(sizes),
        "weight_swap": draw(st.integers(0, 2)),
        "psum_words": draw(sizes),
        "systolic": draw(st.booleans()),
        "weight_bits": draw(among(4, 8, 16)),
        "activation_bits": draw(among(5, 8, 16)),
        "accumulator_bits": draw(among(16, 32)),
        "buffer_bits_per_cycle": draw(among(float("inf"), 16.0, 100.0)),
        "double_inputs": draw(st.booleans()),
        "double_weights": draw(st.booleans()),
        "double_outputs": draw(st.booleans()),
        "dram_bytes_per_cycle": draw(among(0.5, 3.8, 16.0, 1000.0)),
        "dram_latency": draw(st.integers(0, 20)),
        "setup": draw(st.integers(0, 50)),
        "skip_rows": draw(st.booleans()),
        "skip_columns": draw(st.booleans()),
        "weight_density": draw(among(1.0, 0.6, 0.1, 0.0)),
        "skips_zeros": draw(among((), ("os",))),
        "structured": draw(among((), ("2:4",), ("1:4", "1:2"))),
        "compressed": draw(among((), ("dram",), ("dram", "store0"))),
        "weight_form": draw(among(*FORMS)),
        "stores": draw(stores()),
        "stays": draw(st.booleans()),
    }
    rate = draw(among(None, None, (2, 1), (3, 1), (1, 2), (1, 4)))
    if rate:
        changes["paces"] = (((changes["weight_bits"], changes["activation_bits"]), rate),)
    changes["skip_rows"] |= changes["skip_columns"]
    return machine(**(changes | fixed))


@st.composite
def machines_with_lanes(draw: st.DrawFn, **fixed: Any) -> Machine:
    """Any machine, in most cases with lanes that add and pool beside the array, which may wait for them."""
    on = draw(machines(**fixed))
    lanes = {"vector_lanes": draw(among(0, 1, 3, 16)), "pool_lanes": draw(among(0, 0, 2))}
    return replace(on, post_ops=("add", "pool"), **lanes)


@cache
def extents(
    largest: int, depthwise: bool, pointwise: bool, most: int | None
) -> st.SearchStrategy[tuple[int, ...]]:
    """Images, groups, filters, channels, rows and columns; where that is given, of at *most* as many tilings.

    They are chosen before they are drawn: of small layers most have too many tilings, and what hypothesis draws and
    drops takes longer than what is tested. No machine leaves fewer tilings than those that are counted here.
    """
    sizes = range(1, largest + 1)
    channels = (sizes, (1,), (1,)) if depthwise else (range(1, 3), sizes, sizes)
    if most is None:
        return st.tuples(*(st.sampled_from(each) for each in (range(1, 4), *channels, sizes, sizes)))

    @cache
    def count(extent: int) -> int:
        return len(tile_sizes(extent, (1,)))

    def tilings(n: int, g: int, k: int, c: int, oy: int, ox: int) -> int:
        of_channels = count(k) * count(c) + count(g) - 1
        if pointwise:
            return of_channels * count(n * oy * ox)
        return of_channels * (count(oy) * count(ox) + count(n) - 1)

    every = itertools.product(range(1, 4), *channels, sizes, sizes)
    return st.sampled_from([each for each in every if tilings(*each) <= most])


@st.composite
def layers(draw: st.DrawFn, largest: int = 9, most: int | None = None, *, pooled: bool = True) -> Layer:
    """Any small convolution, grouped, strided, dilated, padded or none of it; among them matrix products.

    Where that is given, those of at *most* as many tilings. A pooling may have joined it, unless it is not *pooled*.
    """
    stride, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    taps = draw(among((1, 1), (1, 1), (1, 3), (3, 1), (3, 3), (2, 5)))
    if draw(st.booleans()):
        stride = dilation = (1, 1)
    depthwise = draw(st.booleans())
    pointwise = taps == stride == (1, 1)
    n, g, k, c, *outputs = draw(extents(largest, depthwise, pointwise, most))
    read, padding = [], []
    for out, s, d, f in zip(outputs, stride, dilation, taps, strict=True):
        reach = (out - 1) * s + (f - 1) * d + 1
        before = draw(st.integers(0, min(f - 1, 2)))
        after = draw(st.integers(0, min(f - 1, 2)))
        read.append(max(reach - before - after, 1) + draw(st.integers(0, s - 1)))
        padding.append(before)
    return Layer(
        name="layer",
        op="conv2d",
        kind="mac",
        n=n,
        g=g,
        k=k,
        c=c,
        oy=outputs[0],
        ox=outputs[1],
        fy=taps[0],
        fx=taps[1],
        iy=read[0],
        ix=read[1],
        stride=stride,
        dilation=dilation,
        padding=(padding[0], padding[1]),
        weight_pattern=draw(among("", "", "2:4", "1:2")),
        constant_elements=draw(among(None, 1, 9, 200)),
        second_elements=draw(among(0, 0, 1)),
        pool=draw(pools(outputs)) if pooled else (),
    )


@st.composite
def pools(draw: st.DrawFn, outputs: tuple[int, int]) -> tuple[int, ...]:
    """No pooling of a map, one of all of it, or of windows that may overlap, lie apart or cross borders."""
    kind = draw(among("none", "none", "windows", "windows", "global"))
    sums = draw(among(0, 1)) if kind != "none" else 0
    if kind == "none":
        return ()
    if kind == "global":
        return Pool(1, 1, *outputs, *outputs, 0, 0, sums)
    counts, sizes, strides, paddings = [], [], [], []
    for extent in outputs:
        size, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, size // 2))
        room = max(extent + 2 * padding - size, 0)
        count = room // stride + 1
        if draw(st.booleans()) and (count * stride - padding < extent):  # rounded up
            count = -(-room // stride) + 1
        counts.append(count)
        sizes.append(size)
        strides.append(stride)
        paddings.append(padding)
    return Pool(*counts, *sizes, *strides, *paddings, sums)


@st.composite
def usual_layers(draw: st.DrawFn) -> Layer:
    """A convolution as networks have them: up to 64 channels and maps of 32×32, pointwise and depthwise among them."""
    taps, stride = draw(among(1, 1, 3, 3, 5)), draw(among(1, 1, 2))
    channels = among(1, 3, 8, 10, 16, 17, 24, 32, 48, 64)
    rows = among(1, 4, 7, 8, 10, 14, 20, 28, 32)
    oy = draw(rows)
    ox = draw(st.just(oy) | rows)
    padding = draw(among(0, taps // 2))
    depthwise = draw(among(False, False, True))
    return Layer(
        name="layer",
        op="conv2d",
        kind="mac",
        n=draw(among(1, 1, 2, 4)),
        g=draw(channels) if depthwise else draw(among(1, 1, 2)),
        k=1 if depthwise else draw(channels),
        c=1 if depthwise else draw(channels),
        oy=oy,
        ox=ox,
        fy=taps,
        fx=taps,
        iy=max((oy - 1) * stride + taps - 2 * padding, 1),
        ix=max((ox - 1) * stride + taps - 2 * padding, 1),
        stride=(stride, stride),
        padding=(padding, padding),
    )


@st.composite
def homes(draw: st.DrawFn, most: int = 0) -> Homes:
    """Operands in memories, in two cases of three; or some in the buffer, beside whole maps of up to *most* bytes."""
    if draw(among(True, True, False)):
        return IN_MEMORY
    inside = [draw(st.booleans()) for _ in range(4)]
    kept, beside = (8 * draw(st.integers(0, most)) for _ in range(2))
    return Homes(*inside, resident=kept, beside=beside * draw(st.booleans()))


def problem_of(layer: Layer, on: Machine, at: Homes = IN_MEMORY) -> Workload:
    """The one problem of a layer."""
    return workload_of([layer], on, [at])[0]


def spills(problem: Workload, machine: Machine, sizes: dict[str, int], mode: Mode) -> bool:
    """Whether partial sums leave the buffer."""
    steps = Tiling(problem, sizes, mode, machine).steps()
    return any(step.store is not None and step.store.kind == "psums" for step in steps)


def macs_at_most(problem: Workload, on: Machine, cycles: Any) -> float:
    """MACs that the PEs can do in so many cycles, at the rate of a layer's widths."""
    pair = int(problem.weight_bits[0]), int(problem.activation_bits[0])
    macs, several = next((rate for widths, rate in on.paces if widths == pair), (1, 1))
    return on.pes * int(cycles) * macs / several


def least_bits(layer: Layer, on: Machine) -> int:
    """Bits of the buffer that the smallest tile of a layer takes."""
    return int(Space(problem_of(layer, on), on).least_footprint[0])


def multiples_of(problem: Workload, machine: Machine) -> dict[str, tuple[int, ...]]:
    """Sizes to which tiles are rounded along each axis: of whole arrays and units those that fill them, else 16."""
    pointwise = bool(problem.pointwise[0])
    columns = machine.rows * machine.cols if pointwise else machine.cols
    shared = {"y": machine.rows, "x": columns, "k": machine.cols, "c": machine.rows}
    if not machine.whole_blocks and not any(flow.startswith("scalesim") for flow in machine.dataflows):
        shared = dict.fromkeys(shared, 16)
    found = {}
    for axis in AXES:
        sizes = [shared.get(axis, 1)] if machine.dataflows else []
        for unit in machine.units:
            filled = dict(unit.unroll).get("p" if pointwise and axis == "x" else axis, 1)
            sizes.append(filled if machine.whole_blocks else 1 if axis == "n" else 16)
        found[axis] = tuple(sizes)
    return found


def tilings(
    problem: Workload, machine: Machine, further: Mapping[str, Iterable[int]] = MappingProxyType({})
) -> list[dict[str, int]]:
    """Every tiling of the design space, straight from its description, with *further* sizes along some axes."""
    one = {axis: int(getattr(problem, axis)[0]) for axis in AXES}
    multiples = multiples_of(problem, machine)
    choices = [
        sorted({*tile_sizes(one[axis], multiples[axis]).tolist(), *further.get(axis, ())}) for axis in AXES
    ]
    whole = {"yx": (one["y"], one["x"]), "kc": (one["k"], one["c"])}
    pixels = [part for part in itertools.product(*choices[:3]) if part[0] == 1 or part[1:] == whole["yx"]]
    channels = [part for part in itertools.product(*choices[3:]) if part[0] == 1 or part[1:] == whole["kc"]]
    return [dict(zip(AXES, (*p, *c), strict=True)) for p, c in itertools.product(pixels, channels)]


def modes_of(
    problem: Workload,
    machine: Machine,
    sizes: dict[str, int],
    orders: Sequence[str] = ORDERS,
) -> list[Mode]:
    """The modes of a tiling that can differ from all others, straight from their description."""
    tiles = {axis: -(-int(getattr(problem, axis)[0]) // sizes[axis]) for axis in AXES}
    found, seen = [], set()
    if not machine.stays and {"PKC", "KCP"} <= {*orders}:
        orders = [order for order in orders if order != "NKCP"]
    for mode in (each for each in MODES if each.order in orders):
        if not machine.stays and (mode.stays or mode.single):
            continue
        axes = dict.fromkeys("".join(LOOPS[loop] for loop in mode.order))
        sequence = "".join(axis for axis in axes if tiles[axis] > 1)
        for operand in mode.stays:
            lacked = [axis for axis in axes if axis not in READS[operand]]
            outermost = min(map(list(axes).index, lacked))
            halos = operand == "inputs" and (tiles["y"] > 1 or tiles["x"] > 1)
            held = list(axes)[outermost:]
            if not (halos or any(tiles[axis] > 1 for axis in lacked)):
                break
            whole = sorted(axis for axis in held if axis in READS[operand] and tiles[axis] > 1)
            sequence += f" {operand}:{''.join(whole)}"
        else:
            moving = {o: any(tiles[axis] > 1 for axis in READS[o]) for o in READS}
            moving["inputs"] |= bool(problem.second[0]) and moving["outputs"]
            two = [o for o in mode.single if machine.double(o) and moving[o]]
            if {*mode.single} & {*mode.stays}:  # what stays may be in one slot anyway
                both = mode._replace(single=tuple(o for o in mode.single if o not in mode.stays))
                footprints = [Tiling(problem, sizes, each, machine).footprint() for each in (mode, both)]
                two = two if footprints[0] < footprints[1] else []
            if len(two) == len(mode.single) and (sequence, mode.single) not in seen:
                seen.add((sequence, mode.single))
                found.append(mode)
    return found


class Measures(NamedTuple):
    """What a mapper compares of a tiling."""

    cycles: int
    energy: float
    dram_bits: int

    def value(self, objective: str) -> float:
        """Return what *objective* minimises."""
        return {"latency": self.cycles, "energy": self.energy, "edp": self.energy * self.cycles}[objective]


def measures(
    problem: Workload, machine: Machine, flow: Dataflow, sizes: dict[str, int], mode: Mode
) -> Measures:
    """What a tiling costs that is played event by event, the energy of its array tile by tile."""
    return measures_of(problem, machine, flow, sizes, [mode])[0]


def measures_of(
    problem: Workload, machine: Machine, flow: Dataflow, sizes: dict[str, int], modes: Sequence[Mode]
) -> list[Measures]:
    """Of several modes, in all of which the array does the same."""
    of_array, executed = _of_array(problem, machine, flow, sizes)
    return [_measured(problem, machine, flow, sizes, mode, of_array, executed) for mode in modes]


def _measured(
    problem: Workload,
    machine: Machine,
    flow: Dataflow,
    sizes: dict[str, int],
    mode: Mode,
    of_array: AccessBits,
    executed: Any,
) -> Measures:
    played = simulated(Case(problem, sizes, mode, flow, machine))
    bits = tuple(np.array([int(moved)]) for moved in played.bits.values())
    moved_bits = sum(part.item() for part in bits)
    assert moved_bits == sum(played.bits.values())  # tiles have parts of bits, a layer has not
    added = problem.added * problem.g * problem.k * problem.pixels
    unpooled = problem.g * problem.k * problem.pixels * problem.activation_bits * (problem.pool > 0)
    moved = add_bits(transfer_bits(machine, bits, np.array([played.unpacked]), added, unpooled), of_array)
    cycles = np.array([played.cycles])
    energy = total(layer_energy(problem, level_bits(moved), executed, cycles, Rates.of([machine])))
    return Measures(played.cycles, float(energy[0]), moved_bits)


def _of_array(
    problem: Workload, machine: Machine, flow: Dataflow, sizes: dict[str, int]
) -> tuple[AccessBits, Any]:
    """Bits that the array moves of all tiles, and MACs that it does."""
    steps = Tiling(problem, sizes, Mode("PKC"), machine).steps()
    waits = machine.accumulators > 0  # sums are written when they are finished, and not read
    tiles = Counter(
        (*(step.sizes[axis] for axis in AXES), int(step.ends if waits else step.starts)) for step in steps
    )
    *axes, unread = np.array(list(tiles)).T
    tile, several = Tile(*axes), problem.repeat(np.array([len(tiles)]))
    if waits:
        tile = tile._replace(unfinished=unread == 0)
    started = tile.n * tile.y * tile.x * tile.g * tile.k * unread
    of_array = access_bits(several, flow.tile_cost(several, tile, machine).accesses(), started)
    summed = {key: np.sum(part * list(tiles.values())) for key, part in of_array.items()}
    skipping = flow.skips_zeros and flow.name in machine.skips_zeros
    done = problem.held if flow.name == "ws" else problem.weights
    return summed, (problem.nonzeros if skipping else done) * problem.valid


def row(**columns: int) -> dict[str, np.ndarray[Any, Any]]:
    """Integers as arrays of one entry."""
    return {name: np.array([value]) for name, value in columns.items()}
