"""Rows of several results side by side: stages by name; layers by name and operator, or by their shapes in order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError, nearest

if TYPE_CHECKING:
    from squeezesim.network import Layer, Network
    from squeezesim.report.report import Report

ALIGNED = ("stage", "layer")

Keys = list[Hashable]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Names of rows, and for each row the place of it in every result, None where a result has no such row."""

    names: tuple[str, ...]
    places: tuple[tuple[int | None, ...], ...]


def align(reports: Sequence[Report], by: str) -> Aligned:
    """Return the stages or layers of *reports* side by side, in the order in which they run.

    Layers match by name and operator. Where a network shares no layer with those before it, but has the shapes of one
    of them, layer by layer, its layers match those in order.

    Raises:
        UsageError: *by* is neither.
    """
    if by not in ALIGNED:
        raise UsageError(f"rows are aligned by {' or '.join(ALIGNED)}, found {by!r}{nearest(by, ALIGNED)}")
    networks = [report.network for report in reports]
    keys = [_stages(network) for network in networks] if by == "stage" else _layers(networks)
    rows: Keys = []
    for own in keys:
        rows = merged(rows, own)
    index = [{key: place for place, key in enumerate(own)} for own in keys]
    names = tuple(str(row[0] if isinstance(row, tuple) else row) for row in rows)
    return Aligned(names, tuple(tuple(own.get(row) for own in index) for row in rows))


def merged(rows: Sequence[Hashable], own: Sequence[Hashable]) -> Keys:
    """Return *rows* with what only *own* has, each before what follows it there.

    Example:
        >>> merged(["stem", "stage1", "head"], ["stem", "stage1", "stage2", "head"])
        ['stem', 'stage1', 'stage2', 'head']
    """
    known = set(rows)
    waiting: Keys = []
    before: dict[Hashable, Keys] = {}
    for key in own:
        if key in known:
            before[key], waiting = waiting, []
        else:
            waiting.append(key)
    return [key for row in rows for key in (*before.get(row, ()), row)] + waiting


def _stages(network: Network) -> Keys:
    return list(dict.fromkeys(layer.stage for layer in network.layers))


def _layers(networks: Sequence[Network]) -> list[Keys]:
    """For each network the keys of its layers; those of an earlier one where only the shapes are alike."""
    keys: list[Keys] = []
    known: set[Hashable] = set()
    for number, network in enumerate(networks):
        own: Keys = [(layer.name, layer.op) for layer in network.layers]
        if known.isdisjoint(own):
            shapes = [_shape(layer) for layer in network.layers]
            alike = (
                place
                for place, other in enumerate(networks[:number])
                if shapes == [_shape(layer) for layer in other.layers]
            )
            own = next((keys[place] for place in alike), own)
        keys.append(own)
        known.update(own)
    return keys


def _shape(layer: Layer) -> tuple[object, ...]:
    sizes = (layer.n, layer.g, layer.k, layer.c, layer.oy, layer.ox, layer.fy, layer.fx)
    return layer.kind, *sizes, layer.stride, layer.dilation, layer.repeat
