"""What a layer's tracks show: runs of successive tiles, and what moves and is executed from one to the next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.evaluate import LOSSES, OPERANDS
from squeezesim.cost.schedule import transfer_cycles
from squeezesim.cost.workload import Ints

if TYPE_CHECKING:
    from squeezesim.cost.machine import Machine
    from squeezesim.cost.timeline import Slices, Timeline
    from squeezesim.report.tally import Tally

MOST_PLAYED = 2**16
"""Tiles of a layer that are played one by one; where there are more, its tracks hold one slice each."""

_WAITS = ("dram", "startup", "setup")


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
    """One layer's tracks, and the cycles of its set-up."""

    setup: int
    compute: Sequence[Run]
    loads: Sequence[Run]
    stores: Sequence[Run]


def tracks(line: Timeline, each: int) -> Work:
    """Return the tracks of *line* with *each* successive tiles in a run.

    A run of several tiles joins the transfers of all operands; single tiles have one for each.
    """
    loads = [part for part in line.transfers if part.load]
    stores = [part for part in line.transfers if not part.load]
    return Work(
        line.setup,
        _runs([line.compute], each, ""),
        _runs(loads, each, "loads"),
        _runs(stores, each, "stores"),
    )


def unplayed(tally: Tally, index: int, tiles: int, machine: Machine) -> Work:
    """Return the tracks of layer *index*, of so many *tiles*, from its sums: one run each, as long as the layer."""
    cycles = int(tally.cycles[index])
    waiting = sum(int(tally.losses[index, LOSSES.index(cause)]) for cause in _WAITS) // machine.pes
    moved = dict(zip(OPERANDS, tally.dram[index].tolist(), strict=True))
    resumed = moved["psums"] // 2

    def run(name: str, size: int, busy: int) -> list[Run]:
        return [Run(name, 0, tiles - 1, machine.setup, cycles, busy, size)]

    def transfer(name: str, size: int) -> list[Run]:
        return run(name, size, int(transfer_cycles(np.array(8 * size), machine)))

    return Work(
        machine.setup,
        run("", 0, cycles - waiting),
        transfer("loads", moved["inputs"] + moved["weights"] + resumed),
        transfer("stores", moved["outputs"] + moved["psums"] - resumed),
    )


def rates(
    work: Work, executed: int, cycles: int, machine: Machine
) -> Iterator[tuple[int, tuple[float, float, float]]]:
    """Yield a cycle, and from there to the next one the bytes loaded and stored a cycle and the utilization.

    The cycles are the begins of the array's runs, the end of the last, and the layer's begin. A run's bytes and the
    executed MACs are spread evenly over its cycles.
    """
    busy = sum(run.busy for run in work.compute)
    points = {0, cycles, *(run.start for run in work.compute), *(run.end for run in work.compute[-1:])}
    edges = np.array(sorted(points))
    share = executed / (machine.pes * max(busy, 1))
    sums = (
        _until(edges, work.loads, [run.size for run in work.loads]),
        _until(edges, work.stores, [run.size for run in work.stores]),
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
