"""The tiles of a network over time, as a trace for Perfetto and Chrome.

One process, with the layers, the array, the DMA's loads, its stores and the vector unit as threads, and the loads and
stores of each memory beside DRAM; tiles are complete events. Counters are constant from one event to the next: the
bytes that move meanwhile / time by memory, the executed MACs / (PEs · cycles), those of a layer spread over the cycles
in which the array works on it, and what whole tensors take of the buffer.

Source: Google, "Trace Event Format": JSON objects with a phase ``ph``, ``ts`` and ``dur`` in µs; what is on one thread
nests or does not overlap. Perfetto reads times in whole nanoseconds and no exponents.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.costs import cause_named, label_of
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.machine import LEVELS
from squeezesim.cost.pipeline import transfer_cycles
from squeezesim.cost.problem import Ints
from squeezesim.cost.timeline import run_of, tile_count
from squeezesim.errors import ReportError
from squeezesim.files import json_line, round_floats
from squeezesim.report import metrics

if TYPE_CHECKING:
    from squeezesim.cost.machine import Machine
    from squeezesim.cost.timeline import Slices, Timeline
    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData

MOST_PLAYED = 2**16
"""Tiles of a layer that are played one by one; where there are more, its tracks hold one slice each."""


@dataclass(frozen=True, slots=True)
class Run:
    """Successive tiles on one track, in cycles from the layer's begin; *busy* are those without the gaps between."""

    name: str
    first: int
    last: int
    start: int
    end: int
    busy: int
    size: int = 0  # bytes


@dataclass(frozen=True, slots=True)
class Work:
    """One layer's tracks, and the cycles of its set-up; ``loads`` and ``stores`` have one for each memory."""

    setup: int
    compute: Sequence[Run]
    loads: Sequence[Sequence[Run]]
    stores: Sequence[Sequence[Run]]


def tracks(line: Timeline, each: int, memories: Iterable[str]) -> Work:
    """Return the tracks of *line* with *each* successive tiles in a run.

    A run of several tiles joins the transfers of all operands; single tiles have one for each.
    """

    def moved(name: str, *, load: bool) -> list[list[Run]]:
        parts = [part for part in line.transfers if part.load == load and (part.end > part.start).any()]
        return [_runs([part for part in parts if part.store == memory], each, name) for memory in memories]

    memories = tuple(memories)
    compute = _runs([line.compute], each, "")
    return Work(line.setup, compute, moved("loads", load=True), moved("stores", load=False))


def unplayed(report: ReportData, index: int, tiles: int) -> Work:
    """Return the tracks of layer *index*, of so many *tiles*, from its sums: one run each, as long as the layer."""
    tally, machine = report.tally, report.machine
    cycles = int(tally.cycles[index])
    waits = [name for name in tally.causes if cause_named(name).waits]
    waiting = (
        sum(int(tally.part("losses", name)[index]) for name in waits) * cycles // int(tally.slots[index])
    )

    def run(name: str, size: int, busy: int) -> list[Run]:
        return [Run(name, 0, tiles - 1, machine.setup, cycles, busy, size)]

    def transfers(name: str, *, load: bool) -> list[list[Run]]:
        found = []
        for memory, held in zip(machine.memories, report.memories.values(), strict=True):
            moved = {operand: int(tally.part("dram", operand)[index]) for operand in held}
            psums = moved.get("psums", 0)
            stored = moved.get("outputs", 0) + psums - psums // 2
            size = sum(moved.values()) - stored if load else stored
            busy = int(transfer_cycles(8 * size, memory.bytes_per_cycle))
            found.append(run(name, size, busy) if size or memory.name == "dram" else [])
        return found

    compute = run("", 0, cycles - waiting)
    return Work(machine.setup, compute, transfers("loads", load=True), transfers("stores", load=False))


def rates(
    work: Work, executed: int, cycles: int, slots_in_a_cycle: float
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield a cycle, and from there to the next one the bytes loaded and stored a cycle by memory, and the utilization.

    The cycles are the begins of the array's runs, the end of the last, and the layer's begin. A run's bytes and the
    executed MACs are spread evenly over its cycles.
    """
    busy = sum(run.busy for run in work.compute)
    points = {0, cycles, *(run.start for run in work.compute), *(run.end for run in work.compute[-1:])}
    edges = np.array(sorted(points))
    share = executed / (max(busy, 1) * slots_in_a_cycle)
    sums = (
        *(_until(edges, track, [run.size for run in track]) for track in (*work.loads, *work.stores)),
        _until(edges, work.compute, [run.busy for run in work.compute]) * share,
    )
    values = np.array([np.diff(column) for column in sums]) / np.diff(edges)
    yield from zip(edges.tolist(), map(tuple, values.T.tolist()), strict=False)


def _runs(parts: Sequence[Slices], each: int, name: str) -> list[Run]:
    if not sum(len(part.tile) for part in parts):
        return []
    columns = [
        np.concatenate([getattr(part, key) for part in parts]) for key in ("tile", "start", "end", "bits")
    ]
    order = np.argsort(columns[1], kind="stable")
    tile, start, end, bits = (column[order] for column in columns)
    names = np.repeat([_noun(part) for part in parts], [len(part.tile) for part in parts])[order].tolist()
    group = np.arange(len(tile)) if each == 1 else tile // each
    first = np.flatnonzero(np.diff(group, prepend=-1))
    last = np.append(first[1:], len(tile)) - 1
    rows = (
        tile[first],
        tile[last],
        start[first],
        end[last],
        np.add.reduceat(end - start, first),
        -(-np.add.reduceat(bits, first) // 8),
    )
    labels = [names[index] if each == 1 else name for index in first.tolist()]
    return [Run(label, *row) for label, row in zip(labels, np.array(rows).T.tolist(), strict=True)]


def _noun(part: Slices) -> str:
    return "partial sums" if part.load and part.operand == "outputs" else part.operand


def _until(edges: Ints, track: Sequence[Run], amounts: Sequence[int]) -> NDArray[np.float64]:
    """How much of the amounts of a track's runs there is by each of *edges*."""
    if not track:
        return np.zeros(len(edges))
    times = [time for run in track for time in (run.start, run.end)]
    return np.asarray(np.interp(edges, times, np.repeat(np.cumsum([0, *amounts]), 2)[1:-1]), np.float64)


MOST_SLICES = 4000
"""Tiles, or runs of successive tiles, that a trace shows of all layers together, but at least one of each layer."""

PROCESS = 1
LAYERS, ARRAY, LOADS, STORES, VECTOR = THREADS = range(1, 6)
"""Threads; the loads and the stores of memories beside DRAM are further ones."""
_NAMES = ("layers", "array", "DMA in", "DMA out", "vector unit")

KEPT = "buffer keeps KiB"
"""The counter of what whole tensors take of the buffer, where some stay."""

Event = dict[str, Any]


def trace(report: ReportData) -> str:
    """Return *report* as the text of a ``.trace.json``, an event a line; it ends with the report's latency.

    Times are those of ``cost.timeline`` in ns, rounded. The steps of a layer that repeats follow one another, weights
    that stay from step to step come with tile 0. Of layers with many tiles a slice is a run of successive tiles, which
    ``args`` counts.

    Raises:
        ReportError: the tilings of a report that was read do not give its cycles.
    """
    clock = report.accelerator.clock_mhz
    about = {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "cycles": metrics.totals(report)["cycles"],
        "latency_us": metrics.totals(report)["latency_us"],
        "most_slices": MOST_SLICES,
    }
    events = [*_heading(report), *_timed(_events(report), clock)]
    body = ",\n".join(json_line(event) for event in events)
    return (
        f'{{\n"displayTimeUnit": "ns",\n"otherData": {json_line(about)},\n"traceEvents": [\n{body}\n]\n}}\n'
    )


def tiles_in_slice(counts: Sequence[int]) -> list[int]:
    """Return how many tiles of each layer, of as many as *counts* says, a slice stands for.

    Layers with few tiles show each of them; what they leave of ``MOST_SLICES`` the others share evenly.

    Example:
        >>> tiles_in_slice([10, 10**6])
        [1, 251]
    """
    left = MOST_SLICES
    for number, count in enumerate(sorted(counts)):
        share = max(left // (len(counts) - number), 1)
        if count > share:
            return [-(-tiles // share) for tiles in counts]
        left -= count
    return [1] * len(counts)


def _heading(report: ReportData) -> Iterator[Event]:
    """Names of the process and its threads, in the order in which they are shown."""
    name = f"{report.network.name} on {report.accelerator.name}"
    yield {"name": "process_name", "ph": "M", "pid": PROCESS, "tid": 0, "args": {"name": name}}
    beside = [f"{label_of(name, LEVELS)} {way}" for name in [*report.memories][1:] for way in ("in", "out")]
    for thread, label in enumerate((*_NAMES, *beside), 1):
        on = {"ph": "M", "pid": PROCESS, "tid": thread}
        yield {"name": "thread_name", **on, "args": {"name": label}}
        yield {"name": "thread_sort_index", **on, "args": {"sort_index": thread}}


def _events(report: ReportData) -> Iterator[Event]:
    """Events with begin and end in cycles."""
    machine = report.machine
    layers, costs = report.ran, report.costs
    steps = [tile_count(layer, costs, index, machine) for index, layer in enumerate(layers)]
    counts = [count * layer.repeat for count, layer in zip(steps, layers, strict=True)]
    begin, shown, held, slots = 0, None, -1, report.tally.slots_in_a_cycle(report.scale)
    rows, slices = metrics.rows(report), tiles_in_slice(counts)
    for index, (layer, tiles, row) in enumerate(zip(layers, counts, rows, strict=True)):
        cycles = int(costs.cycles[0, index])
        if not cycles:
            continue
        if tiles <= MOST_PLAYED and row["dataflow"] in ("", *flows_of(machine)):
            line = run_of(layer, costs, index, machine)
            if line.cycles != cycles:
                raise ReportError(
                    f"layer {layer.name!r} takes {line.cycles:,} cycles in its tiling, but {cycles:,} in the report"
                )
            each = slices[index]
            done = tracks(line, each, report.memories)
        else:
            each = tiles
            done = unplayed(report, index, tiles)
        yield _layer(layer, row, begin, tiles, each)
        if report.costs.kept_bytes.any() and (kept := int(costs.kept_bytes[0, index])) != held:
            yield _counter(KEPT, begin, {"kept": kept / 1024})
            held = kept
        yield from _work(layer, done, begin)
        executed = int(costs.executed[0, index])
        for start, values in rates(done, executed, cycles, float(slots[index])):
            if values != shown:
                yield from _counts(begin + start, values, machine)
            shown = values
        begin += cycles
    yield from _counts(begin, (0.0,) * (2 * len(report.memories) + 1), machine)
    if held >= 0:
        yield _counter(KEPT, begin, {"kept": 0.0})


def _layer(layer: Layer, row: dict[str, Any], begin: int, tiles: int, each: int) -> Event:
    keys = ("stage", "op", "dataflow", "tiling", "macs", "cycles", "utilization", "bound", "dram_bytes")
    args = {key: row[key] for key in keys} | {"tiles": tiles, "tiles_in_slice": each}
    if layer.repeat > 1:
        args["repeat"] = layer.repeat
    return _slice(LAYERS, layer.name, begin, begin + row["cycles"], args)


def _work(layer: Layer, done: Work, begin: int) -> Iterator[Event]:
    if done.setup:
        yield _slice(LAYERS, "set-up", begin, begin + done.setup, {"layer": layer.name})
    on_array = ARRAY if layer.kind == "mac" else VECTOR
    memories = range(len(done.loads))
    places = [(LOADS, STORES), *((VECTOR + 2 * place - 1, VECTOR + 2 * place) for place in memories[1:])]
    moved = zip(places, done.loads, done.stores, strict=True)
    threads = [pair for (into, out), loads, stores in moved for pair in ((into, loads), (out, stores))]
    for thread, track in ((on_array, done.compute), *threads):
        for run in track:
            name = layer.name if thread == on_array else run.name
            args: dict[str, Any] = {"layer": layer.name} if thread != on_array else {}
            tile = str(run.first) if run.first == run.last else f"{run.first}–{run.last}"
            args |= {"tile": tile, "busy_cycles": run.busy}
            if run.size:
                args["bytes"] = run.size
            yield _slice(thread, name, begin + run.start, begin + run.end, args)


def _slice(thread: int, name: str, begin: int, end: int, args: dict[str, Any]) -> Event:
    return {"name": name, "ph": "X", "pid": PROCESS, "tid": thread, "ts": begin, "dur": end, "args": args}


def _counts(at: int, values: Sequence[float], machine: Machine) -> Iterator[Event]:
    *moved, used = values
    rate = machine.clock_hz / 1e9  # bytes a cycle → GB/s
    names = machine.memory_names
    series = {
        f"{label_of(name, LEVELS)} GB/s": {"in": loaded * rate, "out": stored * rate}
        for name, loaded, stored in zip(names, moved[: len(names)], moved[len(names) :], strict=True)
    }
    for name, numbers in (series | {"utilization %": {"executed": 100 * used}}).items():
        yield _counter(name, at, numbers)


def _counter(name: str, at: int, numbers: dict[str, float]) -> Event:
    return {"name": name, "ph": "C", "pid": PROCESS, "tid": 0, "ts": at, "args": round_floats(numbers)}


def _timed(events: Iterator[Event], clock_mhz: float) -> Iterator[Event]:
    """Events with times in µs. Ends are rounded, not durations: what does not overlap still does not."""
    for event in events:
        begin = _nanoseconds(event["ts"], clock_mhz)
        times = {"ts": _microseconds(begin)}
        if "dur" in event:
            times["dur"] = _microseconds(_nanoseconds(event["dur"], clock_mhz) - begin)
        yield event | times


def _nanoseconds(cycles: int, clock_mhz: float) -> int:
    return round(cycles / clock_mhz * 1000)


def _microseconds(nanoseconds: int) -> int | float:
    """The number of µs that is read as *nanoseconds* where 1000 times it is cut off: 1.001 · 1000 is below 1001."""
    whole, rest = divmod(nanoseconds, 1000)
    if not rest:
        return whole
    value = nanoseconds / 1000
    return value if int(value * 1000) == nanoseconds else math.nextafter(value, math.inf)
