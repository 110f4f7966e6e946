"""Lanes: a network's graph as rows of layers, top to bottom, with their edges beside them in as few lanes as it goes.

A layer's output keeps its lane until its last reader, and no other layer stands in that lane meanwhile, so that no edge
runs through a layer that it does not belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count, groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from squeezesim.network import Layer

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
