"""What the HTML page is given: cells of its tables, tiles at its head, lanes and data of its charts.

Layers and stages without MACs have no utilization.

A layer's output keeps its lane until its last reader, and no other layer stands in that lane meanwhile, so that no edge
runs through a layer that it does not belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import count, groupby, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import LOSSES, OPERANDS
from squeezesim.report import metrics, units
from squeezesim.report.figures import charts
from squeezesim.report.figures.charts import OPERANDS as OPERAND_WORDS
from squeezesim.report.figures.losses import waterfall
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.grid import short_names
from squeezesim.report.metrics import groups
from squeezesim.report.serialize import round_floats
from squeezesim.report.text import grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData
    from squeezesim.report.figures.charts import Energies
    from squeezesim.report.tally import Tally

Row = dict[str, Any]

# Heading in the terminal → key in the page's data, and what the heading means.
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "layer": ("name", "in the order in which they run"),
    "stage": ("stage", "part of the network"),
    "op": ("op", "operator"),
    "output": ("outputs", "output channels × rows × columns"),
    "filter": ("taps", "filter rows × columns, /stride"),
    "dataflow": ("dataflow", "what stays in the PEs: ws weights, os outputs, rs filter rows"),
    "repeat": ("repeat", "equal steps of a recurrence; the counts are of all of them"),
    "MACs": ("macs", "multiply–accumulates"),
    "cycles": ("cycles", "of the accelerator’s clock"),
    "time": ("share", "part of the network’s cycles"),
    "latency µs": ("latency_us", "cycles / clock"),
    "utilization": ("utilization", "executed MACs / (PEs × cycles)"),
    "efficiency": ("efficiency", "dense MACs / (PEs × cycles), above 100 % where zeros are skipped"),
    "bound": ("bound", "what set the pace of the most cycles"),
    "energy µJ": ("energy_uj", "all levels"),
    "energy (MACs)": ("energy_mac_equiv", "all levels, in units of one MAC"),
    "DRAM": ("dram_bytes", "bytes between DRAM and buffer"),
    "params": ("params", "learnable values"),
    "tiling": (
        "tiling",
        "loop order, and tile sizes of pixels (y, x) and of output (k) and input channels (c)",
    ),
}
_MADE: Mapping[str, Callable[[Row], int]] = {
    "outputs": lambda row: int(row["groups"] * row["k"] * row["oy"] * row["ox"]),
    "taps": lambda row: int(row["fy"] * row["fx"]),
}
# Columns that are left out where they say nothing of any layer.
_SILENT: Mapping[str, Callable[[Row], bool]] = {
    "stage": lambda row: not row["stage"],
    "efficiency": lambda row: row["efficiency"] == row["utilization"],
}
_FURTHER = ("module", "fused")
FACETS = ("stage", "op", "dataflow", "bound")
"""Columns of which a reader picks one value."""


class Heading(NamedTuple):
    """A column: its heading, the key of the numbers to sort by, its meaning, whether it holds words."""

    text: str
    key: str
    meaning: str
    left: bool


class Table(NamedTuple):
    """Texts of the layers that take time; ``rows`` are (number of the layer, its cells)."""

    headings: Sequence[Heading]
    rows: Sequence[tuple[int, Sequence[str]]]
    facets: Mapping[str, Sequence[str]]


def table_rows(report: ReportData, by: str = "layer") -> list[Row]:
    """Return the rows of *report*; utilization and efficiency of what has no MACs are None."""
    nothing = {"utilization": None, "efficiency": None}
    return [row if row["macs"] else row | nothing for row in metrics.rows(report, by)]


def table(report: ReportData) -> Table:
    """Return the table of layers as texts."""
    rows = table_rows(report)
    shown = [number for number, row in enumerate(rows) if row["cycles"]]
    texts = grid(report, [rows[number] for number in shown], "layer", None)
    headings = [Heading(column.header, *_MEANINGS[column.header], column.left) for column in texts.columns]
    silent = {key for key, says_nothing in _SILENT.items() if all(says_nothing(row) for row in rows)}
    kept = [place for place, heading in enumerate(headings) if heading.key not in silent]
    cells = [[row[place] for place in kept] for row in texts.cells]
    found = {facet: list(dict.fromkeys(rows[number][facet] for number in shown)) for facet in FACETS}
    facets = {facet: values for facet, values in found.items() if len(values) > 1}
    return Table([headings[place] for place in kept], list(zip(shown, cells, strict=True)), facets)


def numbers(report: ReportData) -> dict[str, list[Any]]:
    """Return a column of plain values for each key of the table, one entry for every layer."""
    rows = [round_floats(row) for row in table_rows(report)]
    keys = dict.fromkeys([*(key for key, _ in _MEANINGS.values()), *_FURTHER])
    return {key: [_MADE[key](row) if key in _MADE else row[key] for row in rows] for key in keys}


class Tile(NamedTuple):
    """A headline number and what stands below it."""

    label: str
    value: str
    unit: str
    detail: str


def tiles(report: ReportData) -> list[Tile]:
    """Return the headline numbers."""
    totals = metrics.totals(report)
    latency = totals["latency_us"] or 0.0
    clock, pes = report.accelerator.clock_mhz, report.scale.pes
    worth = units.count(totals["energy_mac_equiv"])
    energy = Tile("Energy", *_number(worth), "MACs’ worth; the energy table is relative")
    if totals["energy_uj"] is not None:
        energy = Tile("Energy", units.decimal(totals["energy_uj"]), "µJ", f"{worth} MACs’ worth")
    efficiency = "busy with MACs"
    if totals["efficiency"] != totals["utilization"]:
        efficiency += f", efficiency {units.share(totals['efficiency'])}"
    whole = report.tally.total()
    most = int(whole.dram[0].argmax())
    moved = f"{units.share(whole.dram[0, most] / max(int(whole.dram_bytes[0]), 1))} {OPERAND_WORDS[OPERANDS[most]]}"
    ops = f"{units.count(totals['vector_ops'])} vector operations"
    return [
        Tile(
            "Latency",
            units.decimal(latency),
            "µs",
            f"{units.count(totals['cycles'])} cycles at {clock:g} MHz",
        ),
        Tile("Utilization", *_number(units.share(totals["utilization"])), f"of {pes:,} PEs {efficiency}"),
        energy,
        Tile("DRAM traffic", *_number(units.size(totals["dram_bytes"])), moved),
        Tile("MACs", *_number(units.count(totals["macs"])), ops),
        Tile(
            "Params",
            *_number(units.count(totals["params"])),
            f"{units.size(totals['weights_bytes'])} of weights",
        ),
    ]


def _number(text: str) -> tuple[str, str]:
    value, _, unit = text.partition(" ")
    return value, unit


MOST_ROWS = 40
"""Layers on one card."""


class Edge(NamedTuple):
    """From a row and a lane of a card to others; row −1 is its upper border, the row after its last one its lower."""

    row: int
    lane: int
    to_row: int
    to_lane: int


class Card(NamedTuple):
    """Layers ``first`` … ``first + rows − 1``, which stand one after the other in one stage."""

    stage: str
    first: int
    rows: int
    places: tuple[int, ...]  # the lane of each of its layers
    lanes: int
    edges: tuple[Edge, ...]


def lanes_of(sources: Sequence[Sequence[int]]) -> list[int]:
    """Return the lane of each layer, which reads the layers *sources*, all of them before it.

    Example: a block with a shortcut past two layers is ``lanes_of([[], [0], [1], [0, 2]])`` = ``[0, 1, 1, 0]``.
    """
    last = {source: row for row, read in enumerate(sources) for source in read}
    owner: dict[int, int] = {}  # lane → the layer whose output is in it
    lanes: list[int] = []
    for row, read in enumerate(sources):
        owner = {lane: layer for lane, layer in owner.items() if last[layer] > row}
        ending = [lanes[source] for source in read if last[source] == row]
        lane = min(ending) if ending else next(lane for lane in count() if lane not in owner)
        lanes.append(lane)
        if row in last:
            owner[lane] = row
    return lanes


def cards(layers: Sequence[Layer]) -> list[Card]:
    """Return the graph of *layers* in cards of at most ``MOST_ROWS``, a card or several for each stage."""
    place = {layer.name: row for row, layer in enumerate(layers)}
    sources = [[place[name] for name in dict.fromkeys(layer.inputs) if name in place] for layer in layers]
    lanes = lanes_of(sources)
    edges = [(source, row) for row, read in enumerate(sources) for source in read]
    found = []
    for stage, first, rows in _runs([layer.stage for layer in layers]):
        inside = tuple(dict.fromkeys(_clipped(edges, lanes, first, rows)))
        places = tuple(lanes[first : first + rows])
        used = {*places, *(edge.lane for edge in inside), *(edge.to_lane for edge in inside)}
        found.append(Card(stage, first, rows, places, 1 + max(used), inside))
    return found


def _runs(stages: Iterable[str]) -> Iterable[tuple[str, int, int]]:
    """Stage, first layer and number of layers of each card; long stages are cut into equal parts."""
    first = 0
    for stage, run in groupby(stages):
        left = len(list(run))
        for parts in range(-(-left // MOST_ROWS), 0, -1):
            rows = -(-left // parts)
            yield stage, first, rows
            first, left = first + rows, left - rows


def _clipped(edges: Iterable[tuple[int, int]], lanes: Sequence[int], first: int, rows: int) -> Iterable[Edge]:
    for source, reader in edges:
        if reader < first or source >= first + rows:
            continue
        row = max(source - first, -1)
        inside = reader < first + rows
        yield Edge(
            row, lanes[source], reader - first if inside else rows, lanes[reader if inside else source]
        )


LONGEST = 18
"""Letters of a name below a bar."""
_LETTERS = (24, 18, 14, 10, 7)  # of names on a card, tried until all fit


def payload(report: ReportData, energies: Energies) -> dict[str, Any]:
    """Return the numbers of one report; energies are those that all reports of the page can be given in."""
    names, stages = groups(report, "stage")
    layer_names = [layer.name for layer in report.network.layers]
    return {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "pes": report.scale.pes,
        "absolute": energies.absolute,
        "layers": {
            **numbers(report),
            "short": short_names(layer_names, LONGEST),
            "inputs": [list(layer.inputs) for layer in report.network.layers],
        },
        "parts": _parts(report, report.tally, energies),
        "stages": {"names": names, "parts": _parts(report, stages, energies)},
        "whole": _parts(report, report.tally.total(), energies),
        "waterfall": [
            {"label": label, "cause": cause, "from": _short(start), "to": _short(end)}
            for label, cause, start, end in waterfall(report)
        ],
        "roofline": _roofline(report),
        "cards": [
            card._asdict() | _names(layer_names[card.first : card.first + card.rows])
            for card in cards(report.network.layers)
        ],
    }


def _names(names: Sequence[str]) -> dict[str, Any]:
    """What the names of a card begin with, up to a dot or slash, and shorter and shorter names without it."""
    ends = min(names), max(names)  # what these two begin with, all do
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    shared = shared[: 1 + max(shared.rfind("."), shared.rfind("/"))]
    if shared in names:  # one that ends in its sign
        shared = ""
    rest = [name.removeprefix(shared) for name in names]
    return {"prefix": shared, "short": [short_names(rest, width) for width in _LETTERS]}


def legends() -> dict[str, Any]:
    """Return the names of the parts that bars are made of, with the prefix of their colours."""
    kinds = {
        "causes": ("cause", charts.CAUSES, ("executed", *LOSSES)),
        "levels": ("level", charts.LEVELS, LEVELS),
        "operands": ("operand", charts.OPERANDS, OPERANDS),
    }
    return {
        kind: {"colours": colours, "keys": keys, "labels": [labels[key] for key in keys]}
        for kind, (colours, labels, keys) in kinds.items()
    }


def _parts(report: ReportData, tally: Tally, energies: Energies) -> dict[str, Any]:
    """Cycles by cause, energy by level and DRAM bytes by operand, a row for each row of *tally*."""
    pe_cycles = np.concatenate([tally.executed[:, None], tally.losses], axis=1)
    return {
        "causes": _rows(pe_cycles / report.scale.pes),
        "levels": _rows(energies.of(report, tally)),
        "operands": tally.dram.tolist(),
    }


def _roofline(report: ReportData) -> dict[str, Any]:
    """Executed MACs a second of each MAC layer, and what limits them: a roof for each memory."""
    layers = np.flatnonzero(report.tally.macs > 0)
    seconds = report.tally.cycles[layers] / (report.accelerator.clock_mhz * 1e6)
    return {
        "layers": layers.tolist(),
        "speed": _column(report.tally.executed[layers] / seconds),
        "roofs": [
            {
                "memory": roof.memory,
                "array": roof.macs_a_second,
                "bandwidth": roof.bytes_a_second,
                "intensity": _column(roof.intensity),
            }
            for roof in ceilings(report, layers)
        ],
    }


def _column(values: NDArray[np.float64]) -> list[float]:
    return [_short(value) for value in values.tolist()]


def _rows(values: NDArray[np.float64]) -> list[list[float]]:
    return [_column(row) for row in values]


def _short(value: float) -> float:
    """Six digits are more than a chart shows; what is no number, energy where a MAC costs none, has no bar."""
    return float(f"{value:.6g}") if math.isfinite(value) else 0.0
