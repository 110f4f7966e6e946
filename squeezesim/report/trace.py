"""Traces: a report over time, in the trace-event format that Perfetto and Chrome show.

One process, with the layers, the array, the DMA's loads, its stores and the vector unit as threads; tiles are complete
events. Counters are constant from one event to the next: the bytes that move meanwhile / time, and the executed MACs /
(PEs · cycles), those of a layer spread over the cycles in which the array works on it.

Source: Google, "Trace Event Format": JSON objects with a phase ``ph``, ``ts`` and ``dur`` in µs; what is on one thread
nests or does not overlap. Perfetto reads times in whole nanoseconds and no exponents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.cost.machine import Machine
from squeezesim.cost.timeline import tile_count, timeline
from squeezesim.errors import ReportError
from squeezesim.report.document import dumped, rounded
from squeezesim.report.trace_slices import MOST_PLAYED, Work, rates, tracks, unplayed

if TYPE_CHECKING:
    from squeezesim.network import Layer
    from squeezesim.report.report import Report

MOST_SLICES = 4000
"""Tiles, or runs of successive tiles, that a trace shows of all layers together, but at least one of each layer."""

PROCESS = 1
LAYERS, ARRAY, LOADS, STORES, VECTOR = THREADS = range(1, 6)
_NAMES = ("layers", "array", "DMA in", "DMA out", "vector unit")
_COUNTERS = ("DRAM GB/s", "utilization %")

Event = dict[str, Any]


def trace(report: Report) -> str:
    """Return *report* as the text of a ``.trace.json``, an event a line; it ends with the report's latency.

    Times are those of ``cost.timeline`` in ns, rounded. The steps of a layer that repeats follow one another. Of layers
    with many tiles a slice is a run of successive tiles, which ``args`` counts.

    Raises:
        ReportError: the tilings of a report that was read do not give its cycles.
    """
    clock = report.accelerator.clock_mhz
    about = {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "cycles": report.totals["cycles"],
        "latency_us": report.totals["latency_us"],
        "most_slices": MOST_SLICES,
    }
    events = [*_heading(report), *_timed(_events(report), clock)]
    body = ",\n".join(dumped(event) for event in events)
    return f'{{\n"displayTimeUnit": "ns",\n"otherData": {dumped(about)},\n"traceEvents": [\n{body}\n]\n}}\n'


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


def _heading(report: Report) -> Iterator[Event]:
    """Names of the process and its threads, in the order in which they are shown."""
    name = f"{report.network.name} on {report.accelerator.name}"
    yield {"name": "process_name", "ph": "M", "pid": PROCESS, "tid": 0, "args": {"name": name}}
    for thread, label in zip(THREADS, _NAMES, strict=True):
        on = {"ph": "M", "pid": PROCESS, "tid": thread}
        yield {"name": "thread_name", **on, "args": {"name": label}}
        yield {"name": "thread_sort_index", **on, "args": {"sort_index": thread}}


def _events(report: Report) -> Iterator[Event]:
    """Events with begin and end in cycles."""
    machine = Machine.of(report.accelerator)
    layers, costs = report.network.layers, report.costs
    steps = [tile_count(layer, costs, index, machine) for index, layer in enumerate(layers)]
    counts = [count * layer.repeat for count, layer in zip(steps, layers, strict=True)]
    begin, shown = 0, (-1.0, 0.0, 0.0)
    rows, slices = report.rows(), tiles_in_slice(counts)
    for index, (layer, tiles) in enumerate(zip(layers, counts, strict=True)):
        cycles = int(costs.cycles[0, index])
        if not cycles:
            continue
        if tiles <= MOST_PLAYED:
            line = timeline(layer, costs, index, machine).repeated(layer.repeat, steps[index])
            if line.cycles != cycles:
                raise ReportError(
                    f"layer {layer.name!r} takes {line.cycles:,} cycles in its tiling, but {cycles:,} in the report"
                )
            each = slices[index]
            done = tracks(line, each)
        else:
            each = tiles
            done = unplayed(report.tally, index, tiles, machine)
        yield _layer(layer, rows[index], begin, tiles, each)
        yield from _work(layer, done, begin)
        executed = int(costs.executed[0, index])
        for start, values in rates(done, executed, cycles, machine):
            if values != shown:
                yield from _counts(begin + start, values, machine)
            shown = values
        begin += cycles
    yield from _counts(begin, (0.0, 0.0, 0.0), machine)


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
    for thread, track in ((on_array, done.compute), (LOADS, done.loads), (STORES, done.stores)):
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


def _counts(at: int, values: tuple[float, float, float], machine: Machine) -> Iterator[Event]:
    loaded, stored, used = values
    rate = machine.clock_hz / 1e9  # bytes a cycle → GB/s
    series = ({"in": loaded * rate, "out": stored * rate}, {"executed": 100 * used})
    for name, numbers in zip(_COUNTERS, series, strict=True):
        yield {"name": name, "ph": "C", "pid": PROCESS, "tid": 0, "ts": at, "args": rounded(numbers)}


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
