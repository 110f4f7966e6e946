"""Mappings that are given: the dataflow, loop order and tile sizes of a layer, which are costed as they are.

A given mapping is a tiling like those of the search, and costs what it costs there. Its sizes may be any from 1 to the
layer's, so that tiles may also hold parts of several images, or of several groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from squeezesim.cost.candidates import Tilings
from squeezesim.cost.constraints import violation
from squeezesim.cost.costs import Costs
from squeezesim.cost.dataflow import flows_of
from squeezesim.cost.layings import LAID_BY, laying_of
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import given_options
from squeezesim.cost.pipeline import played_steps
from squeezesim.cost.problem import Floats, Homes, Ints, Workload, workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.search import Search
from squeezesim.cost.traffic import AXES, HELD, LOOPS, MODES, ORDERS, STAY_SINGLE, X, Y, capacity, mode_of
from squeezesim.errors import MappingError, nearest
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

_TILES = 1 << 31  # of a layer: products with cycles of a tile still fit 64 bits
_HALOS = 1 << 16  # tiles along y or x whose inputs are counted one by one
_PLAYED, _TOGETHER = 1 << 20, 1 << 18  # steps of a layer, and of those that are played together


@dataclass(frozen=True, slots=True)
class LayerMapping:
    """How a layer is mapped onto the array and the buffer.

    Attributes:
        dataflow: one of the accelerator's, as ``ws``.
        order: of the loops over tiles, outermost first: one of ``traffic.ORDERS``.
        tile: tile sizes along ``traffic.AXES``: n, y, x, g, k, c. The pixels of a matrix product stand in x alone.
        stays: operands that the buffer keeps across the loops that they lack (``traffic``).
        single: operands that have one slot in the buffer, though the accelerator may double-buffer them.
        laid_by: the objective by which tiles are laid on the array, one of ``layings.LAID_BY``; empty: the mapper's.

    Example:
        >>> LayerMapping("ws", "PKC", (1, 1, 1024, 1, 64, 32)).order
        'PKC'
    """

    dataflow: str
    order: str
    tile: tuple[int, ...]
    stays: tuple[str, ...] = ()
    single: tuple[str, ...] = ()
    laid_by: str = ""

    @classmethod
    def of(cls, search: Search, flow: int, tilings: Tilings) -> LayerMapping:
        """Return the mapping that the first of *tilings* of dataflow number *flow* is."""
        sizes = search.space.tile_sizes(tilings.pixel[:1], tilings.channel[:1])[:, 0].tolist()
        mode, laid_by = MODES[int(tilings.mode[0])], search.space.machine.laid_by
        return cls(search.flows[flow].flow.name, mode.order, tuple(sizes), mode.stays, mode.single, laid_by)

    @classmethod
    def of_costs(cls, costs: Costs, layer: int) -> LayerMapping:
        """Return the mapping of *layer*, which has MACs, on the first accelerator of *costs*."""
        flow, mode, laid_by = (
            int(column[0, layer]) for column in (costs.dataflow, costs.mode, costs.laid_by)
        )
        held, tile = MODES[mode], tuple(costs.tile[0, layer].tolist())
        return cls(costs.dataflows[flow], held.order, tile, held.stays, held.single, LAID_BY[laid_by])

    @property
    def mode(self) -> int:
        """Index into ``traffic.MODES``."""
        return mode_of(self.order, self.stays, self.single)


@dataclass(frozen=True, slots=True)
class LayerHomes:
    """Where the operands of a layer live.

    Attributes:
        homes: of each of ``costs.HOMED`` operands one of ``costs.HOMES``.
        kept_bytes: what whole tensors take of the buffer while it runs; None: as little as there can be.

    Example: a layer that leaves its outputs in the buffer.

        >>> LayerHomes(("memory", "memory", "memory", "buffer")).kept_bytes is None
        True
    """

    homes: tuple[str, ...]
    kept_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """Layers with their mappings, as tilings of a search with no other options; indices are of the layers."""

    search: Search
    index: Ints
    flow: Ints  # of the dataflow of each
    tilings: Tilings


def given_searches(
    layers: Sequence[Layer],
    mappings: Sequence[LayerMapping],
    family: Machine,
    rates: Rates,
    homes: Sequence[Homes] = (),
) -> Iterator[Given]:
    """Yield some of *layers* at a time, each in its mapping, which fits all machines; operands live in *homes*.

    Raises:
        MappingError: the accelerator has no such dataflow, there is no such order, a size is out of range, a constraint
            is not kept, there are too many tiles, or a tile does not fit the buffer.
    """
    of: dict[Machine, list[int]] = {}
    for number, (layer, mapping) in enumerate(zip(layers, mappings, strict=True)):
        _check_names(layer, mapping, family)
        of.setdefault(laying_of(family, mapping.dataflow, mapping.laid_by), []).append(number)
    for laying, numbers in of.items():
        own = [layers[number] for number in numbers], [mappings[number] for number in numbers]
        at = [homes[number] for number in numbers] if homes else ()
        for given in _laid_searches(*own, laying, rates, at):
            yield replace(given, index=np.array(numbers)[given.index])


def _laid_searches(
    layers: Sequence[Layer],
    mappings: Sequence[LayerMapping],
    family: Machine,
    rates: Rates,
    homes: Sequence[Homes],
) -> Iterator[Given]:
    """The same in one laying of a family."""
    work, rows = workload_of(layers, family, homes)
    work = work.take(rows)
    extents = np.stack([getattr(work, axis) for axis in AXES])
    for number, (layer, mapping) in enumerate(zip(layers, mappings, strict=True)):
        _check_tile(
            layer, mapping, family, extents[:, number].tolist(), pointwise=bool(work.pointwise[number])
        )
    sizes = np.array([mapping.tile for mapping in mappings], np.int64).T
    played = played_steps(work, sizes, extents)
    _check_counts(layers, work, sizes, extents, played)
    parts = np.cumsum(played) // _TOGETHER
    room = int(capacity(family, rates).min())
    for part in np.unique(parts):
        index = np.flatnonzero(parts == part)
        some = work.take(index)
        search = Search(some, family, np.inf, options=given_options(some, family, sizes[:, index]))
        chosen = [mappings[number] for number in index.tolist()]
        mode = np.array([mapping.mode for mapping in chosen], np.int64)
        pixel, channel = search.space.pixels.offsets[:-1], search.space.channels.offsets[:-1]
        names = [layers[number].name for number in index.tolist()]
        _check_room(names, search, mode, pixel, channel, room)
        yield Given(
            search=search,
            index=index,
            flow=np.array([family.flows.index(mapping.dataflow) for mapping in chosen], np.int64),
            tilings=Tilings(
                np.arange(len(index)),
                mode,
                pixel,
                channel,
                mode * np.diff(search.space.pixels.offsets),  # of options of pixels, with one of channels
            ),
        )


def _check_names(layer: Layer, mapping: LayerMapping, family: Machine) -> None:
    """Check all but the tile."""
    where = f"layer {layer.name!r}"
    for key, value, allowed in (
        ("dataflow", mapping.dataflow, family.flows),
        ("order", mapping.order, ORDERS),
    ):
        if value not in allowed:
            near = nearest(value, allowed) if isinstance(value, str) else ""
            raise MappingError(f"{where}: {key} {show(value)}; allowed here: {', '.join(allowed)}{near}")
    lays = [name for name in LAID_BY[1:] if name in flows_of(family)[mapping.dataflow].lays]
    if mapping.laid_by not in ("", *lays):
        text = f"{where}: laid_by {show(mapping.laid_by)}; allowed for {mapping.dataflow}: "
        near = nearest(mapping.laid_by, lays) if isinstance(mapping.laid_by, str) else ""
        raise MappingError(
            f"{text}{', '.join(lays) if lays else 'none, since it lays tiles in one way'}{near}"
        )
    _check_operands(where, mapping, family)


def _check_tile(
    layer: Layer, mapping: LayerMapping, family: Machine, extents: Sequence[int], *, pointwise: bool
) -> None:
    where = f"layer {layer.name!r}"
    if len(mapping.tile) != len(AXES):
        raise MappingError(f"{where}: a tile has sizes along {', '.join(AXES)}, found {show(mapping.tile)}")
    for axis, size, extent in zip(AXES, mapping.tile, extents, strict=True):
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or not 1 <= size <= extent:
            why = ", pixels of a matrix product stand in x" if pointwise and axis in "ny" else ""
            raise MappingError(
                f"{where}: {axis} must be an integer from 1 to {extent}{why}, found {show(size)}"
            )
    tile = dict(zip(AXES, zip(mapping.tile, extents, strict=True), strict=True))
    if broken := violation(layer, family, mapping.dataflow, MODES[mapping.mode], tile):
        raise MappingError(f"{where}: {broken}")


def _check_operands(where: str, mapping: LayerMapping, family: Machine) -> None:
    """Check what stays and what has one slot."""
    for key, operands in (("stays", mapping.stays), ("single", mapping.single)):
        if operands and not family.stays:
            raise MappingError(
                f"{where}: {key} {', '.join(map(show, operands))} needs mapper.residency: best; here it is order"
            )
        for operand in operands:
            if operand not in LOOPS:
                near = nearest(operand, LOOPS) if isinstance(operand, str) else ""
                raise MappingError(f"{where}: {key} {show(operand)}; allowed: {', '.join(LOOPS)}{near}")
            if operands.count(operand) > 1:
                raise MappingError(f"{where}: {key} names {operand} twice; allowed: each name once")
    for operand in mapping.stays:
        if operand in mapping.single and STAY_SINGLE not in HELD[operand]:
            raise MappingError(f"{where}: {operand} both stays and has a single slot; only inputs can")


def _check_counts(
    layers: Sequence[Layer], work: Workload, sizes: Ints, extents: Ints, played: Floats
) -> None:
    """Check that what is held of the tiles of a layer is bounded."""
    tiles = -(-extents // sizes)
    for axis, name in ((Y, "y"), (X, "x")):
        for number in np.flatnonzero(~work.pointwise & (tiles[axis] > _HALOS))[:1].tolist():
            least = -(-int(extents[axis, number]) // _HALOS)
            raise MappingError(
                f"layer {layers[number].name!r}: {name} must be at least {least}, for no more than {_HALOS:,} tiles "
                f"along it, found {sizes[axis, number]}"
            )
    several = np.prod(tiles.astype(np.float64), axis=0)
    for counts, most, which in ((several, _TILES, ""), (played, _PLAYED, " that differ")):
        for number in np.flatnonzero(counts > most)[:1].tolist():
            text = ", ".join(f"{axis} {size}" for axis, size in zip(AXES, sizes[:, number], strict=True))
            raise MappingError(
                f"layer {layers[number].name!r}: tiles of {text} are {counts[number]:,.0f} tiles{which}; allowed: "
                f"{most:,}"
            )


def _check_room(
    names: Sequence[str], search: Search, mode: Ints, pixel: Ints, channel: Ints, room: int
) -> None:
    space = search.space
    part = space.machine.weights_bits
    bits = space.residency.weights_part(mode, pixel, channel)
    for row in np.flatnonzero(bits > part)[: part > 0].tolist():
        raise MappingError(
            f"layer {names[row]!r}: weights that stay under {MODES[mode[row]].order} need {-(-int(bits[row]) // 8):,} "
            f"bytes, their part of the buffer holds {part // 8:,}"
        )
    footprint = space.residency.footprint(mode, pixel, channel)
    for row in np.flatnonzero(footprint > room)[:1].tolist():
        share = f"{footprint[row] / room:.0%} of a part" if space.machine.parts else ""
        needed = share or f"{-(-int(footprint[row]) // 8):,} bytes"
        raise MappingError(
            f"layer {names[row]!r}: the tile needs {needed} of the buffer, second copies of what is double-buffered "
            + ("among them" if share else f"among them; there are {room // 8:,}")
        )
