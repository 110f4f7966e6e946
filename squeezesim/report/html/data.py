"""What the HTML page is given: cells of its tables, tiles at its head, lanes and data of its charts.

Layers and stages without MACs have no utilization.

A layer's output keeps its lane until its last reader, and no other layer stands in that lane meanwhile, so that no edge
runs through a layer that it does not belong to.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, groupby, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.costs import OPERANDS, label_of
from squeezesim.cost.machine import LEVELS
from squeezesim.files import round_floats
from squeezesim.report import metrics, units
from squeezesim.report.figures import charts
from squeezesim.report.figures.losses import waterfall
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.figures.tensors import kind_of
from squeezesim.report.grid import short_names
from squeezesim.report.html.assets import PREFIXES, Names
from squeezesim.report.metrics import METRICS, format_value, groups
from squeezesim.report.text import LAYER_COLUMNS, columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from squeezesim.cost.occupancy import Tensor
    from squeezesim.network import Layer
    from squeezesim.report.data import ReportData
    from squeezesim.report.figures.charts import Energies
    from squeezesim.report.tally import Tally

Row = dict[str, Any]

# Numbers of columns that are made of several.
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
    silent = {key for key, says_nothing in _SILENT.items() if all(says_nothing(row) for row in rows)}
    kept = {name: pair for name, pair in columns(report, "layer").items() if name not in silent}
    headings = [
        Heading(column.header, name, METRICS[name].short or METRICS[name].meaning, column.left)
        for name, (column, _) in kept.items()
    ]
    cells = [[cell(rows[number]) for _, cell in kept.values()] for number in shown]
    found = {facet: list(dict.fromkeys(rows[number][facet] for number in shown)) for facet in FACETS}
    facets = {facet: values for facet, values in found.items() if len(values) > 1}
    return Table(headings, list(zip(shown, cells, strict=True)), facets)


def numbers(report: ReportData) -> dict[str, list[Any]]:
    """Return a column of plain values for each key of the table, one entry for every layer."""
    rows = [round_floats(row) for row in table_rows(report)]
    keys = [key for key in (*LAYER_COLUMNS, *_FURTHER) if key in _MADE or key in rows[0]]
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
    text = {name: format_value(name, value) for name, value in totals.items()}
    clock, pes = report.accelerator.clock_mhz, report.machine.pes
    worth = text["energy_mac_equiv"]
    energy = Tile("Energy", *_number(worth), "MAC-equivalents; the energy table is relative")
    if totals["energy_uj"] is not None:
        energy = Tile("Energy", text["energy_uj"], "µJ", f"{worth} MAC-equivalents")
    efficiency = "busy with MACs"
    if totals["efficiency"] != totals["utilization"]:
        efficiency += f", efficiency {text['efficiency']}"
    whole = report.tally.total()
    most = int(whole.dram[0].argmax())
    operand = label_of(whole.operands[most], OPERANDS)
    moved = f"{units.share(whole.dram[0, most] / max(int(whole.dram_bytes[0]), 1))} {operand}"
    return [
        Tile("Latency", text["latency_us"], "µs", f"{text['cycles']} cycles at {clock:g} MHz"),
        Tile("Utilization", *_number(text["utilization"]), f"of {pes:,} PEs {efficiency}"),
        energy,
        Tile(
            f"{'DRAM' if len(report.memories) == 1 else 'Memory'} traffic",
            *_number(text["dram_bytes"]),
            moved,
        ),
        Tile("MACs", *_number(text["macs"]), f"{text['vector_ops']} vector operations"),
        Tile("Params", *_number(text["params"]), f"{text['weights_bytes']} of weights"),
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
_LETTERS_OF_TENSORS = 10


def names_of(reports: Sequence[ReportData]) -> Names:
    """Return all names of causes, levels, operands and dataflows of *reports*, by the prefix of their colours."""
    return {
        prefix: list(dict.fromkeys(name for report in reports for name in getattr(report.costs, kind)))
        for prefix, kind in PREFIXES.items()
    }


def payload(report: ReportData, energies: Energies, known: Names) -> dict[str, Any]:
    """Return the numbers of one report, by the *known* names of all reports of the page, in energies of all."""
    names = [layer.name for layer in report.network.layers]
    return charted(report, energies, known) | {
        "cards": [
            card._asdict() | _names(names[card.first : card.first + card.rows])
            for card in cards(report.network.layers)
        ],
    }


def charted(report: ReportData, energies: Energies, known: Names) -> dict[str, Any]:
    """Return what the charts of one report are drawn from, but for the graph of its network."""
    spent = report.tally.in_pe_cycles(report.scale)
    names, stages = groups(report, "stage", spent)
    layer_names = [layer.name for layer in report.network.layers]
    return {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "pes": report.machine.pes,
        "absolute": energies.absolute,
        "layers": {
            **numbers(report),
            "short": short_names(layer_names, LONGEST),
            "inputs": [list(layer.inputs) for layer in report.network.layers],
        },
        "parts": _parts(report, spent, energies, known),
        "stages": {"names": names, "parts": _parts(report, stages, energies, known)},
        "whole": _parts(report, spent.total(), energies, known),
        "waterfall": [
            {"label": label, "cause": cause, "from": _short(start), "to": _short(end)}
            for label, cause, start, end in waterfall(report)
        ],
        "roofline": _roofline(report),
        "memory": _memory(report),
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


def legends(known: Names) -> dict[str, Any]:
    """Return the labels of the parts that bars are made of, with the prefix of their colours."""
    labels = {
        "cause": charts.cause_labels(known["cause"]),
        "level": {name: label_of(name, LEVELS) for name in known["level"]},
        "operand": {name: label_of(name, OPERANDS) for name in known["operand"]},
    }
    return {
        PREFIXES[prefix]: {"colours": prefix, "keys": list(found), "labels": list(found.values())}
        for prefix, found in labels.items()
    }


def _parts(report: ReportData, tally: Tally, energies: Energies, known: Names) -> dict[str, Any]:
    """Cycles by cause, energy by level and DRAM bytes by operand, a row for each row of *tally*."""
    pe_cycles = np.column_stack([tally.executed, *(tally.part("losses", name) for name in known["cause"])])
    spent = replace(tally, energy=energies.of(report, tally))
    return {
        "causes": _rows(pe_cycles / report.machine.pes),
        "levels": _rows(np.column_stack([spent.part("energy", name) for name in known["level"]])),
        "operands": np.column_stack([tally.part("dram", name) for name in known["operand"]]).tolist(),
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
                **({"widths": roof.widths, "others": roof.others} if roof.widths else {}),
                "bandwidth": roof.bytes_a_second,
                "intensity": _column(roof.intensity),
            }
            for roof in ceilings(report, layers)
        ],
    }


def _memory(report: ReportData) -> dict[str, Any] | None:
    """Tensors in the buffer and in a memory as rectangles [layer, home, begin, end, from, to]; None where none stays.

    A layer is from its place − ½ to place + ½, homes are ``figures.tensors.HELD``, addresses bytes.
    """
    found = report.occupancy
    if found is None:
        return None
    place = {layer.name: number for number, layer in enumerate(report.network.layers)}

    def rectangles(tensors: Sequence[Tensor], *, is_buffer: bool) -> list[list[Any]]:
        return [
            [
                each.layer if each.is_weights else place.get(each.name, -1),
                kind_of(each, is_buffer=is_buffer),
                begin,
                end,
                low // 8,
                (low + each.bits) // 8,
            ]
            for each in tensors
            for begin, end, low in each.pieces
        ]

    tiles = enumerate(zip(found.tiles_at, found.tiles, strict=True))
    return {
        "size": found.capacity // 8,
        "addresses": found.has_addresses,
        "memory": label_of(report.machine.memory_names[report.machine.home("outputs")], LEVELS),
        "inside": rectangles(found.stays, is_buffer=True),
        "outside": rectangles(found.outside, is_buffer=False),
        "short": short_names([layer.name for layer in report.network.layers], _LETTERS_OF_TENSORS),
        "tiles": [[layer, at // 8, (at + bits) // 8] for layer, (at, bits) in tiles if bits],
    }


def _column(values: NDArray[np.float64]) -> list[float]:
    return [_short(value) for value in values.tolist()]


def _rows(values: NDArray[np.float64]) -> list[list[float]]:
    return [_column(row) for row in values]


def _short(value: float) -> float:
    """Six digits are more than a chart shows; what is no number, energy where a MAC costs none, has no bar."""
    return float(f"{value:.6g}") if math.isfinite(value) else 0.0
