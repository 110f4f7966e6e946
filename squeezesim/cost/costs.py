"""Costs: what layers cost on accelerators, as arrays that carry the names of their axes.

A loss cause, a bound and a level of energy are one entry each in the tables below; results name those that they have,
and what reads results goes by these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import AccessBits
from squeezesim.cost.machine import LEVELS, Machine
from squeezesim.cost.problem import Bools, Floats, Homes, Ints
from squeezesim.cost.traffic import ORDER_OF


class Cause(NamedTuple):
    """A cause of lost PE slots.

    Attributes:
        label: in a legend.
        phrase: what the PE slots do that it takes.
        summary: its name in a list; ``lost to …`` where there is none.
        bound: the bottleneck while it takes them; ``compute`` where something slower beside that may hide it.
        waits: whether the array stands still meanwhile.
    """

    name: str
    label: str
    phrase: str
    summary: str = ""
    bound: str = "compute"
    waits: bool = False


def _causes(*causes: Cause) -> dict[str, Cause]:
    return {cause.name: cause for cause in causes}


CAUSES = _causes(
    Cause("edge", "edge: PEs without work", "are idle", "idle PEs"),
    Cause("zeros", "zeros: zero weights not skipped", "are spent on zero weights", "zero weights"),
    Cause("fill", "fill: preload and drain", "preload and drain the array", "fill and drain"),
    Cause("dram", "dram: waiting for DRAM", "wait for DRAM", "DRAM stalls", bound="dram", waits=True),
    Cause(
        *("buffer", "buffer: waiting for the buffer", "wait for the buffer's bandwidth"),
        summary="buffer stalls",
        bound="buffer",
    ),
    Cause(
        *("startup", "startup: first load, last store", "wait for the first load and the last store"),
        summary="prologue and epilogue transfers",
        bound="startup",
        waits=True,
    ),
    Cause(
        *("setup", "setup: once a layer", "set the layer up"),
        summary="set-up",
        bound="startup",
        waits=True,
    ),
    Cause(
        *("vector", "vector: vector lanes at work", "pass while vector lanes work"),
        summary="vector work",
        bound="vector",
    ),
)
"""Causes of losses, in the order of ``Costs.losses`` and of every table and figure."""


def cause_named(name: str) -> Cause:
    """Return the cause *name*; for one that is not in the table, what its name says.

    Example:
        >>> cause_named("bank_conflict").phrase
        'are lost to bank conflict'
    """
    words = spaced(name)
    return CAUSES.get(name) or Cause(name, words, f"are lost to {words}", bound=name, waits=True)


def spaced(name: str) -> str:
    """Return *name* in words, for what has no label."""
    return name.replace("_", " ")


def label_of(name: str, labels: Mapping[str, str]) -> str:
    """Return the label of a bound, a level or an operand; for one that *labels* has not, its name in words.

    Example:
        >>> label_of("psums", OPERANDS), label_of("second_buffer", LEVELS)
        ('partial sums', 'second buffer')
    """
    return labels.get(name) or spaced(name)


BOUNDS: dict[str, str] = {
    "compute": "the array",
    "dram": "DRAM",
    "buffer": "the buffer",
    "startup": "set-up, first loads and last stores",
    "vector": "the vector lanes",
}
"""What can be the slowest in a cycle, in the order of ``Costs.time``: its name and what it is in a sentence."""

ALONE = ("startup", "vector")
"""Bounds of cycles in which the array computes nothing; the bottleneck otherwise runs beside it."""

HOMED = ("inputs", "weights", "second", "outputs")
"""Operands that have homes, in the order of ``Costs.homes``; the second one is added to outputs."""

HOMES = ("memory", "buffer", "both", "stays")
"""Where an operand of a layer lives: in its memory, in the buffer, or in both, one part here and one there if read.

Weights alone may be in ``memory.stays``, from one inference to the next.
"""


def homes_of(operand: str) -> tuple[str, ...]:
    """Return where *operand*, one of ``HOMED``, can live.

    Example:
        >>> homes_of("inputs")
        ('memory', 'buffer', 'both')
    """
    return HOMES if operand == "weights" else HOMES[:3]


def homes_in(codes: Sequence[int], kept_bytes: int) -> Homes:
    """Return the homes that *codes* of ``HOMED`` operands say, beside so many bytes of whole tensors."""
    homes = dict(zip(HOMED, (HOMES[code] for code in codes), strict=True))
    inside = {operand: home in ("buffer", "stays") for operand, home in homes.items()}
    return Homes(**inside, resident=8 * kept_bytes, lasting=homes["weights"] == "stays")


OPERANDS: dict[str, str] = {
    "inputs": "inputs",
    "weights": "weights",
    "outputs": "outputs",
    "psums": "partial sums",
}
"""What moves between DRAM and buffer, in the order of ``Costs.dram_bytes``: its name and its label."""


class Axes(NamedTuple):
    """Names of the entries of the axes of ``Costs``: those of the tables, then of memories beside DRAM."""

    causes: tuple[str, ...]
    bounds: tuple[str, ...]
    operands: tuple[str, ...]
    levels: tuple[str, ...]
    accesses: tuple[str, ...]
    dataflows: tuple[str, ...]

    @classmethod
    def of(cls, machines: Sequence[Machine]) -> Axes:
        """Return the names of the results on any of *machines*."""
        stores = [name for machine in machines for name in machine.memory_names[1:]]

        def names(table: Iterable[str]) -> tuple[str, ...]:
            return tuple(dict.fromkeys([*table, *stores]))

        units = [unit.name for machine in machines for unit in machine.units]
        accesses = dict.fromkeys(access_name(*key) for machine in machines for key in machine.per_bit)
        return cls(
            causes=names(CAUSES),
            bounds=names(BOUNDS),
            operands=tuple(OPERANDS),
            levels=names(LEVELS),
            accesses=tuple(accesses),
            dataflows=tuple(dict.fromkeys([*DATAFLOWS, *units])),
        )


def access_name(level: str, direction: str) -> str:
    """Return the name of what has a price: ``dram``, ``buffer_read``."""
    return level if direction == "access" else f"{level}_{direction}"


def bits_table(bits: AccessBits, axes: Axes) -> Any:
    """Return *bits* along two last axes: by ``axes.accesses`` and by ``axes.operands``."""
    some = next(iter(bits.values()))
    table = np.zeros((*np.shape(some), len(axes.accesses), len(axes.operands)))
    for (level, operand, direction), part in bits.items():
        name = access_name(level, direction)
        if name not in axes.accesses:
            raise KeyError(f"{name} has no price in Machine.per_bit")
        table[..., axes.accesses.index(name), axes.operands.index(operand)] = part
    return table


def stack_columns(columns: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the arrays *columns*, by name, along a last axis in the order of *names*; 0 where there is none."""
    some = np.asarray(next(iter(columns.values())))
    none = np.zeros(some.shape, some.dtype)
    return np.stack([np.broadcast_to(columns.get(name, none), none.shape) for name in names], axis=-1)


def pe_slots(cycles: Any, pes: Any, macs: Any = 1, at_once: Any = 1) -> Any:
    """PE slots of *cycles*: cycles · PEs · MACs that a PE does in a cycle = executed MACs + Σ losses.

    A PE does *macs* in *at_once* cycles; a part of a slot is none.

    Example:
        >>> pe_slots(10, 256), pe_slots(10, 256, 2), pe_slots(3, 5, 1, 4)
        (2560, 5120, 3)
    """
    return cycles * (pes * macs) // at_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What each layer costs on each accelerator; every array is (accelerators, layers, …).

    Losses are PE slots (``pe_slots``): those of all cycles are executed MACs + Σ losses, to the last one. Views and,
    where the accelerator has no vector lanes, vector layers cost nothing. A layer that repeats costs its steps, one
    after the other, each the same; its tile is that of a step. Weights that stay from step to step are loaded before.
    """

    pes: Ints  # (accelerators, 1)
    clock_hz: Floats  # (accelerators, 1)
    cycles: Ints
    executed: Ints  # MACs that are done: without those of zero weights where they are skipped
    losses: Ints  # PE slots by ``causes``
    time: Ints  # cycles by ``bounds``: set by what was the slowest then
    dataflow: Ints  # index into ``dataflows``, −1 for layers without MACs
    mode: Ints  # index into traffic.MODES: loop order, and how the buffer holds the operands
    tile: Ints  # tile sizes along traffic.AXES; 0 for layers without MACs
    pointwise: Bools  # pixels of the tile stand in x alone
    laid_by: Ints  # index into layings.LAID_BY: how tiles are laid on the array
    dram_bytes: Ints  # by ``operands``
    buffer_bytes: Ints  # read and written
    bits: Floats  # moved by ``accesses`` and ``operands``; each access has a price
    energy: Floats  # by ``levels``, in the unit of the accelerator's table
    homes: Ints  # of ``HOMED`` operands, index into ``HOMES``
    kept_bytes: Ints  # of the buffer, that whole feature maps and weights take while the layer runs
    ahead_bytes: Ints  # of its weights that are loaded beside the layer before

    causes: tuple[str, ...] = tuple(CAUSES)
    bounds: tuple[str, ...] = tuple(BOUNDS)
    operands: tuple[str, ...] = tuple(OPERANDS)
    levels: tuple[str, ...] = tuple(LEVELS)
    accesses: tuple[str, ...] = ()  # levels, with a direction where it has a price of its own
    dataflows: tuple[str, ...] = field(default_factory=lambda: tuple(DATAFLOWS))

    @property
    def bound(self) -> Ints:
        """Index into ``bounds`` of what would have to get faster: what was the slowest in the most cycles."""
        return np.asarray(self.time.argmax(axis=-1), np.int64)

    @property
    def order(self) -> Ints:
        """Index into ``traffic.ORDERS`` of the loop order."""
        return np.asarray(ORDER_OF[self.mode], np.int64)

    def homes_at(self, layer: int) -> Homes:
        """Return the homes of the operands of *layer* on the first accelerator."""
        return homes_in(self.homes[0, layer].tolist(), int(self.kept_bytes[0, layer]))

    @property
    def arrays(self) -> dict[str, Any]:
        """All arrays, by name."""
        return {name: getattr(self, name) for name in ARRAYS}

    @property
    def axes(self) -> Axes:
        """The names of the entries of its axes."""
        return Axes(*(getattr(self, name) for name in Axes._fields))

    def along(self, axes: Axes) -> Costs:
        """Return the same costs along *axes*, which have all names of its own; nothing is spent on the others.

        Accesses that *axes* lack are left out.
        """
        if axes == self.axes:
            return self
        columns: dict[str, Any] = {}
        for name, axis in _NAMED.items():
            own = zip(getattr(self, axis), np.moveaxis(getattr(self, name), -1, 0), strict=True)
            columns[name] = stack_columns(dict(own), getattr(axes, axis))
        bits = np.zeros((*self.bits.shape[:2], len(axes.accesses), len(axes.operands)))
        operands = [axes.operands.index(name) for name in self.operands]
        for place, name in enumerate(axes.accesses):
            if name in self.accesses:
                bits[:, :, place, operands] = self.bits[:, :, self.accesses.index(name)]
        columns["bits"] = bits
        places = [axes.dataflows.index(name) for name in self.dataflows]
        columns["dataflow"] = np.array([*places, -1], np.int64)[self.dataflow]
        return replace(self, **columns, **axes._asdict())

    def take(self, layers: Any) -> Costs:
        """Return the costs of *layers*, an index, a mask or a slice, on all accelerators."""
        columns: dict[str, Any] = {name: getattr(self, name)[:, layers] for name in _OF_LAYERS}
        return replace(self, **columns)

    @classmethod
    def concat(cls, parts: Sequence[Costs]) -> Costs:
        """Return the costs of the layers of all *parts*, one after the other, which are of the same accelerators.

        Their axes have the names of all; bits are those of the accesses that all know, which saved costs may not.

        Raises:
            ValueError: their accelerators differ in PEs or clock.
        """
        if not all(
            np.array_equal(getattr(part, name), getattr(parts[0], name)) for part in parts for name in _OF_ALL
        ):
            raise ValueError("costs of different accelerators; allowed: those of the same")
        every = zip(*(part.axes for part in parts), strict=True)
        axes = Axes(*(tuple(dict.fromkeys(chain(*names))) for names in every))
        known = [name for name in axes.accesses if all(name in part.accesses for part in parts)]
        parts = [part.along(axes._replace(accesses=tuple(known))) for part in parts]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in _OF_LAYERS
        }
        return replace(parts[0], **columns)

    def equals(self, other: Costs) -> bool:
        """Whether all arrays are equal, and the names of their axes."""
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(Costs)
        )


ARRAYS = tuple(column.name for column in fields(Costs) if column.name not in Axes._fields)
"""Fields of ``Costs`` that are arrays."""

_NAMED = {"losses": "causes", "time": "bounds", "dram_bytes": "operands", "energy": "levels"}
"""Arrays, and the fields that name the entries of their last axes."""

_OF_ALL = ("pes", "clock_hz")
_OF_LAYERS = tuple(name for name in ARRAYS if name not in _OF_ALL)
