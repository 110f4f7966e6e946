"""Weights that are loaded beside the layer before: the first tile of a layer, in the last step of the one that runs
before it.

Tilings and places are chosen without it; it only shortens what was chosen. In the last step of layer a the port of the
weights also loads the first weight tile of layer b, which leaves b's first load with its latency:

    last step of a = max over ports of (max(compute, transfers beside it + first weights of b) + single-buffered ones)
    first load of b = max over ports of the first loads without those weights

It is done where both multiply, stand one after the other and do not repeat, where both together take less time, and
where there is room: whole tensors beside a, its tiles without the second slots of inputs and weights, which nothing
fills any more, and the first weight tile of b. The last store of a follows its last step as ever.

Hand-worked: the last step of a computes 100 cycles and stores 40 beside that. First weights of b take 50 cycles and a
latency of 20, its inputs 30 and 20 on the same port. The step stays at 100, and b begins 70 cycles earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.bounds import OptionSpace
from squeezesim.cost.costs import HOMES, Axes, homes_in, pe_slots
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.energy import leakage
from squeezesim.cost.given import LayerHomes
from squeezesim.cost.layings import LAID_BY, laying_of
from squeezesim.cost.lowering import as_run
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import given_options
from squeezesim.cost.pipeline import Points, StepTrace, Transfer, trace_steps, transfer_cycles
from squeezesim.cost.problem import Floats, Ints, Workload, workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.residents import given_places
from squeezesim.cost.traffic import capacity
from squeezesim.cost.weights import has_weights
from squeezesim.network.layer import Layer

Columns = dict[str, Any]


class Ends(NamedTuple):
    """The last steps and the first loads of layers, in cycles, (layers) and (memories, layers).

    Attributes:
        compute: of the array and the buffer in the last step.
        array: of the array alone.
        beside: of transfers that the computing overlaps.
        between: of those that wait for it.
        first: of the first loads of inputs, with latency.
        weights: of the first load of weights, without latency.
        bits: of that load.
    """

    compute: Floats
    array: Floats
    beside: Floats
    between: Floats
    first: Floats
    weights: Floats
    bits: Ints

    def step(self, number: int, more: Mapping[int, float]) -> tuple[float, Floats]:
        """Cycles of the last step of a layer with *more* on some ports, and those of each port."""
        beside = self.beside[:, number].copy()
        for memory, cycles in more.items():
            beside[memory] += cycles
        ends = np.maximum(self.compute[number], beside) + self.between[:, number]
        return float(ends.max()), beside + self.between[:, number]


def load_ahead(
    layers: Sequence[Layer], columns: Columns, family: Machine, rates: Rates, axes: Axes
) -> Columns:
    """Return *columns*, costs of one step of each layer on each machine, less what loading weights ahead saves."""
    columns = {key: column.copy() for key, column in columns.items()}
    for machine in range(len(rates)):
        own = {key: column[machine] for key, column in columns.items()}
        _of_machine(layers, own, family, rates.take(np.array([machine])), axes)
    return columns


def _of_machine(layers: Sequence[Layer], columns: Columns, family: Machine, rates: Rates, axes: Axes) -> None:
    run = as_run(layers, family, columns["cycles"].tolist())
    rows = [*zip(columns["homes"].tolist(), columns["kept_bytes"].tolist(), strict=True)]
    homes = [homes_in(*row) for row in rows]
    if family.parts and any(at.kept for at in homes):  # what each part has of it
        given = {
            number: LayerHomes(tuple(HOMES[code] for code in codes), kept)
            for number, (codes, kept) in enumerate(rows)
        }
        homes = [held.place.homes for held in given_places(layers, family, given)]
    there = np.flatnonzero(columns["cycles"]).tolist()
    pairs = [
        (one, two)
        for one, two in pairwise(there)
        if run[one].kind == "mac"
        and has_weights(run[two])
        and run[one].repeat == run[two].repeat == 1
        and not homes[two].weights
    ]
    if not pairs or family.weights_bits:
        return
    numbers = sorted({number for pair in pairs for number in pair})
    place = {number: index for index, number in enumerate(numbers)}
    work, which = workload_of(
        [run[number] for number in numbers], family, [homes[number] for number in numbers]
    )
    work = work.take(which).flattened(columns["pointwise"][numbers])
    mode, sizes = columns["mode"][numbers], columns["tile"][numbers].T
    flows, laid_by = (columns[key][numbers].tolist() for key in ("dataflow", "laid_by"))
    on = [
        (axes.dataflows[flow], laying_of(family, axes.dataflows[flow], LAID_BY[by]))
        for flow, by in zip(flows, laid_by, strict=True)
    ]
    ends = ends_of(work, mode, sizes, on, family, rates)
    fits = _fits(work, mode, sizes, family, int(capacity(family, rates)[0]))
    for one, two in pairs:
        if fits(place[one], place[two]):
            _shorten(columns, (one, two), (place[one], place[two]), ends, work, family, rates, axes)


def ends_of(
    work: Workload, mode: Ints, sizes: Ints, on: Sequence[tuple[str, Machine]], family: Machine, rates: Rates
) -> Ends:
    """Return the last steps and first loads of problems in tilings, each *on* a dataflow in a laying of one machine."""
    count, memories = len(work), len(family.memories)
    found = Ends(
        compute=np.zeros(count),
        array=np.zeros(count),
        beside=np.zeros((memories, count)),
        between=np.zeros((memories, count)),
        first=np.zeros((memories, count)),
        weights=np.zeros(count),
        bits=np.zeros(count, np.int64),
    )
    for name, laying in dict.fromkeys(on):
        of = np.array([number for number, own in enumerate(on) if own == (name, laying)])
        trace = trace_steps(Points(work.take(of), mode[of], sizes[:, of]), flows_of(laying)[name], laying)
        last = trace.steps.begins + trace.steps.counts - 1
        found.array[of] = trace.work.cycles[last]
        found.compute[of] = _computing(trace, last, rates)
        for part in trace.transfers:
            cycles = _lasting(part, part.bits[last], rates, exposed=not part.overlapped)
            (found.beside if part.overlapped else found.between)[part.memory, of] += cycles
        inputs, weights = trace.first_loads
        found.first[inputs.memory, of] += _lasting(inputs, inputs.bits, rates, exposed=True)
        found.weights[of] = _lasting(weights, weights.bits, rates, exposed=False)
        found.bits[of] = weights.bits
    return found


def _computing(trace: StepTrace, last: Ints, rates: Rates) -> Floats:
    cycles = trace.work.cycles[last].astype(np.float64)
    if trace.buffer_bits is None:
        return cycles
    return np.asarray(np.maximum(cycles, np.ceil(trace.buffer_bits[last] / rates.buffer_bits_per_cycle[0])))


def _lasting(part: Transfer, bits: Ints, rates: Rates, *, exposed: bool) -> Ints:
    """Cycles of transfers, with the latency where nothing hides it."""
    cycles = transfer_cycles(bits, rates.bytes_per_cycle[0, part.memory])
    return np.asarray(cycles + rates.latency[0, part.memory] * (exposed & (cycles > 0)), np.int64)


def _fits(work: Workload, mode: Ints, sizes: Ints, family: Machine, room: int) -> Any:
    """What says whether the first weights of a problem fit beside the last step of another one."""
    space = OptionSpace(work, family, given_options(work, family, sizes))
    pixel, channel = space.pixels.offsets[:-1], space.channels.offsets[:-1]
    tile = np.prod(sizes[3:], axis=0) * work.taps * work.factor_bits + work.constants

    def fits(one: int, two: int) -> bool:
        at = np.array([one])
        taken = space.residency.last_footprint(mode[at], pixel[at], channel[at], tile[[two]])
        return bool(taken[0] <= room)

    return fits


def _shorten(
    columns: Columns,
    pair: tuple[int, int],
    places: tuple[int, int],
    ends: Ends,
    work: Workload,
    family: Machine,
    rates: Rates,
    axes: Axes,
) -> None:
    """Enter what loading the first weights of the second of a pair in the last step of the first saves, if it does."""
    (one, two), (before, after), port = pair, places, family.home("weights")
    (old, of_old), (new, of_new) = ends.step(before, {}), ends.step(before, {port: ends.weights[after]})
    loads = ends.first[:, after].copy()
    without = loads.max()
    loads[port] += (ends.weights[after] + rates.latency[0, port]) * (ends.weights[after] > 0)
    grown, less = int(new - old), int(loads.max() - without)
    if less <= grown:
        return
    names, compute = family.memory_names, float(ends.compute[before])

    def bound(moved: Floats) -> int:
        if moved.max() > compute:
            return axes.bounds.index(names[int(moved.argmax())])
        return axes.bounds.index("buffer" if compute > ends.array[before] else "compute")

    time, losses = columns["time"], columns["losses"]
    time[one, bound(of_old)] -= int(old)
    time[one, bound(of_new)] += int(new)
    time[two, axes.bounds.index("startup")] -= less
    waits = [(names[int(of_old.argmax())], compute - old), (names[int(of_new.argmax())], new - compute)]
    for number, row, cycles, changes in (
        (one, before, grown, waits),
        (two, after, -less, [("startup", -less)]),
    ):
        macs, at_once = int(work.macs_at_once[row]), int(work.cycles_at_once[row])
        total = columns["cycles"][number]
        slots = pe_slots(total + cycles, family.pes, macs, at_once) - pe_slots(
            total, family.pes, macs, at_once
        )
        columns["cycles"][number] += cycles
        for name, change in changes:
            part = np.sign(change) * pe_slots(int(abs(change)), family.pes, macs, at_once)
            losses[number, axes.causes.index(name)] += int(part)
            slots -= int(part)
        losses[number, axes.causes.index("edge")] += slots
        columns["energy"][number, axes.levels.index("leakage")] += float(leakage(cycles, rates)[0])
    columns["ahead_bytes"][two] = -(-int(ends.bits[after]) // 8)
