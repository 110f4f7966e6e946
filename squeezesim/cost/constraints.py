"""What the constraints of an accelerator leave the search of each layer: dataflows, orders, tile sizes, what stays.

All constraints that are about a layer hold together. A size s along an axis of length D is within bounds if

    s ≥ min or s = D        s ≤ max        s is a multiple of multiple_of or s = D

so that a size beyond the axis counts as the whole axis. To the candidates of the map space the sizes are added that
bounds name: min, max, and the multiples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import lcm, prod

import numpy as np

from squeezesim.cost.alternatives import Alternatives, Part
from squeezesim.cost.dataflow import Dataflow, flows_of
from squeezesim.cost.layings import layings
from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import accumulated, combined, option_counts, options_of, tried_sizes
from squeezesim.cost.pipeline import played_steps
from squeezesim.cost.problem import Bools, Homes, Ints, Workload, workload_of
from squeezesim.cost.search import Search
from squeezesim.cost.traffic import (
    AXES,
    LOOP_AXES,
    LOOPS,
    MODE_NUMBERS,
    ORDERS,
    C,
    G,
    Mode,
    N,
    X,
    Y,
    fetches,
    held_whole,
)
from squeezesim.hardware.constraint import MOST, Constraint, SizeBounds
from squeezesim.hardware.unit import KINDS as UNIT_KINDS
from squeezesim.network.layer import Layer

KINDS: Mapping[str, Callable[[Layer], bool]] = {
    "depthwise": lambda layer: layer.g > 1 and layer.c == 1,
    "grouped": lambda layer: layer.g > 1 and layer.c > 1,
    "pointwise": lambda layer: layer.g == layer.fy == layer.fx == 1,
}
"""Kinds of convolutions, as constraints name them."""

_WHOLE = SizeBounds(min=MOST)  # all input channels: no tile's partial sums leave the array
_MULTIPLES = 64  # of an axis that are all candidates; of more, those next to the sizes of the map space
_HALOS = 1 << 16  # tiles along y or x whose inputs are counted one by one
_PLAYED = 1 << 16  # steps of a tiling that differ: the search plays many tilings


def matches(constraint: Constraint, layer: Layer) -> bool:
    """Whether *constraint* is about *layer*: its name, and its operation or its kind of convolution.

    Example:
        >>> layer = Layer.conv("a", c=8, k=8, oy=2, ox=2, fy=1, fx=1)
        >>> matches(Constraint(layers="a*", op="pointwise", order="PKC"), layer)
        True
    """

    def is_of(op: str) -> bool:
        return layer.op.startswith("conv") and KINDS[op](layer) if op in KINDS else op == layer.op

    about = constraint.op is None or any(map(is_of, constraint.op))
    return layer.kind == "mac" and about and fnmatchcase(layer.name, constraint.layers)


def kind_of(layer: Layer) -> str:
    """Return what a unit has to run for *layer*, one of ``hardware.unit.KINDS``.

    Example:
        >>> kind_of(Layer.matmul("fc", m=1, n=8, k=8))
        'matmul'
    """
    if not layer.op.startswith("conv"):
        return "matmul"
    return next((kind for kind in ("depthwise", "grouped") if KINDS[kind](layer)), "conv")


UNRUN = "allowed: one whose array.units.NAME.runs has it"
"""How the message ends where no unit runs a layer."""


def runs(layer: Layer, machine: Machine) -> tuple[str, ...]:
    """Return the dataflows and units that can run *layer*."""
    kind = kind_of(layer)
    return (*machine.dataflows, *(unit.name for unit in machine.units if kind in unit.runs))


def allowed(sizes: Ints, extent: int, bounds: SizeBounds) -> Bools:
    """Which of *sizes* along an axis of length *extent* are within *bounds*.

    Example:
        >>> allowed(np.array([4, 8, 10]), 10, SizeBounds(min=6, max=16, multiple_of=8)).tolist()
        [False, True, True]
    """
    is_whole = sizes == extent
    least, most = bounds.min or 1, extent if bounds.max is None else bounds.max
    return np.asarray(
        ((sizes >= least) | is_whole)
        & (sizes <= most)
        & ((sizes % (bounds.multiple_of or 1) == 0) | is_whole)
    )


def candidates(tried: Ints, extent: int, bounds: Sequence[SizeBounds]) -> Ints:
    """Return the sizes within all *bounds*, ascending: of *tried*, those of the map space, and those that bounds name.

    Example:
        >>> candidates(np.array([1, 2, 4, 5, 10]), 10, [SizeBounds(min=3), SizeBounds(max=9)]).tolist()
        [3, 4, 5, 9]
    """
    if not bounds:
        return tried
    named = [size for each in bounds for size in (each.min, each.max) if size is not None]
    sizes = np.concatenate([tried, np.minimum(np.array(named, np.int64), extent)])
    steps = [each.multiple_of for each in bounds if each.multiple_of is not None]
    step = min(lcm(*steps), extent)
    if steps and extent <= step * _MULTIPLES:
        sizes = np.concatenate([sizes, np.arange(step, extent + 1, step)])
    elif steps:
        sizes = np.concatenate([sizes, sizes // step * step, np.minimum(-(-sizes // step) * step, extent)])
    within = np.logical_and.reduce([allowed(sizes, extent, each) for each in bounds])
    return np.asarray(np.unique(sizes[within & (sizes > 0)]))


@dataclass(frozen=True, slots=True)
class Limits:
    """What the search of a layer may choose.

    Attributes:
        dataflows: of the accelerator, in its order.
        orders: of the loops over tiles, of ``ORDERS``.
        stays: operands each element of which is loaded once, halos apart.
        bounds: for each of ``AXES`` those that hold together.
        text: the constraints that say so, as the file numbers them; empty where there is none.
        unrun: what no unit runs, a kind of layer; empty where some dataflow or unit does.
    """

    dataflows: tuple[str, ...]
    orders: tuple[str, ...]
    stays: tuple[str, ...]
    bounds: tuple[tuple[SizeBounds, ...], ...]
    text: str = field(default="", compare=False)
    unrun: str = field(default="", compare=False)

    @classmethod
    def of(cls, layer: Layer, machine: Machine) -> Limits:
        """Return what the constraints of *machine* leave *layer*."""
        numbered = _numbered(layer, machine)
        dataflows, orders, stays = set(runs(layer, machine)), set(ORDERS), set[str]()
        bounds: dict[str, list[SizeBounds]] = {axis: [] for axis in AXES}
        for _, each in numbered:
            dataflows &= set(each.dataflow or dataflows)
            orders &= set(each.order or orders)
            stays |= set(each.stays or ())
            for axis, own in each.bounds():
                bounds[axis].append(own)
        if machine.psums_stay and not machine.accumulators:
            bounds["c"].append(_WHOLE)
        return cls(
            tuple(name for name in machine.flows if name in dataflows),
            tuple(name for name in ORDERS if name in orders),
            tuple(operand for operand in LOOPS if operand in stays),
            tuple(map(tuple, bounds.values())),
            " and ".join(
                [
                    *(name_of(number, each) for number, each in numbered),
                    *([_sums_text(machine)] * machine.psums_stay),
                ]
            ),
            "" if runs(layer, machine) else kind_of(layer),
        )

    def search(self, work: Workload, machine: Machine, room: float) -> Alternatives:
        """Return the search of what is left of each problem, of which there is some; *room* as for ``Search``."""
        parts = []
        for laying, flows, seen in self._layings(work, machine):
            if not (any(self.bounds) or machine.whole_channels):
                search = Search(seen, laying, room, flows, None, self.orders, self.stays)
                parts.append(Part(search, np.arange(len(work))))
                continue
            sizes, cut = self._sizes(seen, laying), np.arange(len(work))
            if machine.whole_channels:
                whole = [
                    [*of_row[:C], of_row[C][of_row[C] == c]] for of_row, c in zip(sizes, seen.c, strict=True)
                ]
                found = self._of_sizes(seen, cut, whole, laying, flows, room)
                least = [part.search.space.least_footprint <= room for part in found]
                fits = np.concatenate(
                    [cut[:0], *(part.rows[rows] for part, rows in zip(found, least, strict=True))]
                )
                if not all(rows.all() for rows in least):
                    found = self._of_sizes(seen, fits, whole, laying, flows, room)
                parts += found
                cut = np.setdiff1d(cut, fits)
            parts += self._of_sizes(seen, cut, sizes, laying, flows, room)
        return Alternatives(len(work), parts)

    def _of_sizes(
        self,
        work: Workload,
        rows: Ints,
        sizes: Sequence[Sequence[Ints]],
        laying: Machine,
        flows: Sequence[Dataflow],
        room: float,
    ) -> list[Part]:
        """The search over tiles of *sizes* of those of the problems *rows* that have some; none where none has."""
        texts = (
            self._texts(work.take(rows), [sizes[row] for row in rows.tolist()], laying) if len(rows) else []
        )
        left = rows[np.array([not text for text in texts], np.bool_)]
        if len(left) == 0:
            return []
        own = work.take(left)
        options = options_of(own, laying, [sizes[row] for row in left.tolist()])
        return [Part(Search(own, laying, room, flows, options, self.orders, self.stays), left)]

    def _layings(
        self, work: Workload, machine: Machine
    ) -> Iterator[tuple[Machine, list[Dataflow], Workload]]:
        """Layings with the dataflows and units that are left, and the problems as these see them."""
        for laying in layings(machine):
            flows = [flow for name, flow in flows_of(laying).items() if name in self.dataflows]
            if flows:
                yield laying, flows, work.flattened() if laying.flattens else work

    def refusals(self, work: Workload, machine: Machine) -> list[str]:
        """Say for each problem why no tiling is left; empty where there are some."""
        if self.unrun:
            own = ", ".join(unit.name for unit in machine.units)
            text = (
                f"none of the units {own} runs {self.unrun}"
                if "," in own
                else f"unit {own} runs no {self.unrun}"
            )
            return [f"{text}; {UNRUN}"] * len(work)
        for what, left in (
            (f"dataflow{' or unit' if machine.units else ''} of the array", self.dataflows),
            ("loop order", self.orders),
        ):
            if not left:
                return [f"no {what} is left"] * len(work)
        if not any(self.bounds):
            return [""] * len(work)
        each = [
            self._texts(seen, self._sizes(seen, laying), laying)
            for laying, _, seen in self._layings(work, machine)
        ]
        return [texts[0] if all(texts) else "" for texts in zip(*each, strict=True)]

    @staticmethod
    def _texts(work: Workload, sizes: Sequence[Sequence[Ints]], machine: Machine) -> list[str]:
        """Why no tiling of the *sizes* of each problem is left; empty where there are some."""
        extents = np.stack([getattr(work, axis) for axis in AXES])
        return [
            _refusal(each, extents[:, [row]], work.take([row]), machine) for row, each in enumerate(sizes)
        ]

    def _sizes(self, work: Workload, machine: Machine) -> list[list[Ints]]:
        """Candidate sizes of each problem along ``AXES``."""
        found = []
        for row, tried in enumerate(tried_sizes(work, machine)):
            extents = [int(getattr(work, axis)[row]) for axis in AXES]
            sizes = [candidates(*axis) for axis in zip(tried, extents, self.bounds, strict=True)]
            for axis in () if work.pointwise[row] else (Y, X):
                sizes[axis] = sizes[axis][sizes[axis] * _HALOS >= extents[axis]]
            found.append(sizes)
        return found


def _sums_text(machine: Machine) -> str:
    """What messages call the constraint that partial sums stay in the array."""
    if not machine.accumulators:
        return "memory.global_buffer.psums array (a tile has all input channels)"
    return f"array.accumulators {machine.accumulators} (a tile has all input channels, or no more outputs)"


def _refusal(sizes: Sequence[Ints], extents: Ints, problem: Workload, machine: Machine) -> str:
    """Why no tiling of *sizes* is left of the only row of *problem*."""
    for axis, left, extent in zip(AXES, sizes, extents[:, 0].tolist(), strict=True):
        if len(left) == 0:
            return f"no size along {axis}, of {extent:,}, is left"
    for outer, what in ((N, "images"), (G, "groups")):
        axes = slice(outer, outer + 3)
        if len(combined(sizes[axes], extents[axes, 0].tolist())[1]) == 0:
            return f"no tile is left, since one of several {what} holds them whole"
    channels = extents[3:, 0].tolist()
    if len(accumulated(combined(sizes[3:], channels), channels[2], machine).a) == 0:
        return "no tile is left that has all input channels, or whose sums fit array.accumulators"
    largest = np.array([[left[-1]] for left in sizes])
    if (steps := played_steps(problem, largest, extents)[0]) > _PLAYED:
        return f"tiles are so small that {steps:,.0f} of them differ; allowed: {_PLAYED:,}"
    return ""


def name_of(number: int, constraint: Constraint) -> str:
    """Return what messages call the constraint with that number.

    Example:
        >>> name_of(0, Constraint(op="conv2d", dataflow="ws"))
        'mapper.constraints[0] (op conv2d: dataflow ws)'
    """
    return f"mapper.constraints[{number}] ({constraint})"


def _numbered(layer: Layer, machine: Machine) -> list[tuple[int, Constraint]]:
    return [entry for entry in enumerate(machine.constraints) if matches(entry[1], layer)]


def idle(layers: Iterable[Layer], constraints: Sequence[Constraint]) -> list[str]:
    """Return the names of the *constraints* that are about none of *layers*."""
    every = list(layers)
    return [
        name_of(number, each)
        for number, each in enumerate(constraints)
        if not any(matches(each, layer) for layer in every)
    ]


def violation(
    layer: Layer, machine: Machine, dataflow: str, mode: Mode, tile: Mapping[str, tuple[int, int]]
) -> str:
    """Say which constraint a mapping of *layer* does not keep, and how; empty where it keeps all.

    *tile* has the size along each axis and the axis' length.
    """
    along = [-(-extent // size) for size, extent in tile.values()]
    tiles = {loop: prod(along[axis] for axis in axes) for loop, axes in LOOP_AXES.items()}
    size, extent = tile["c"]
    if machine.psums_stay and size < extent:
        if not machine.accumulators:
            return f"c {size} is not allowed by memory.global_buffer.psums array, so that it must be {extent}"
        if text := _unaccumulated(machine, mode, tile, tiles):
            return text
    for number, each in _numbered(layer, machine):
        name = name_of(number, each)
        for key, value, words in (("dataflow", dataflow, each.dataflow), ("order", mode.order, each.order)):
            if words and value not in words:
                return f"{key} {value} is not allowed by {name}"
        for operand in each.stays or ():
            if (times := int(fetches(operand, MODE_NUMBERS[mode], tiles))) > 1:
                sums = "partial sums that leave the buffer"
                what = sums if operand == "outputs" else f"{operand} loaded {times:,} times"
                return f"{what} are not allowed by {name}"
        for axis, bounds in each.bounds():
            size, extent = tile[axis]
            if not allowed(np.array([size]), extent, bounds)[0]:
                return f"{axis} {size} is not allowed by {name}"
    return ""


def _unaccumulated(
    machine: Machine, mode: Mode, tile: Mapping[str, tuple[int, int]], tiles: Mapping[str, int]
) -> str:
    """Say why partial sums of a mapping cannot wait in the array; empty where they can."""
    if int(fetches("outputs", MODE_NUMBERS[mode], tiles)) > 1:
        return "partial sums that leave the array are not allowed by memory.global_buffer.psums array"
    whole = held_whole("outputs", mode.order) if "outputs" in mode.stays else ""
    along = {axis for loop in whole for axis in LOOP_AXES[loop]}
    waiting = prod(tile[axis][AXES.index(axis) in along] for axis in "nyxgk")
    if waiting > machine.accumulators:
        return f"{waiting:,} partial sums wait in the array, where array.accumulators is {machine.accumulators:,}"
    return ""


def constrained_problems(
    layers: Sequence[Layer], machine: Machine, homes: Sequence[Homes] = ()
) -> tuple[Workload, Ints, list[tuple[Limits, slice]]]:
    """Return the problems that differ in shape or in limits, the row of each layer, and the rows of each limits.

    Without constraints they are those of ``workload_of``. *homes* are as there; problems whose
    outputs live in the buffer, of which no partial sums leave, stand apart.
    """
    work, rows = workload_of(layers, machine, homes)
    alike = not machine.constraints and all(set(unit.runs) == {*UNIT_KINDS} for unit in machine.units)
    limits_of = [Limits.of(layer, machine) for layer in (layers[:1] if alike else layers)]
    apart = [at.outputs for at in homes] or [False] * len(layers)
    if len(set(limits_of)) == 1 and len(set(apart)) <= 1:
        return work, rows, [(limits_of[0], slice(0, len(work)))]
    each = limits_of * len(layers) if alike else limits_of
    every = list(zip(each, apart, strict=True))
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(every))}
    pairs = [(kinds[kind], row) for kind, row in zip(every, rows.tolist(), strict=True)]
    distinct = sorted(set(pairs))
    index = {pair: number for number, pair in enumerate(distinct)}
    begins = np.searchsorted([kind for kind, _ in distinct], range(len(kinds) + 1)).tolist()
    groups = [(limits, slice(*begins[kind : kind + 2])) for (limits, _), kind in kinds.items()]
    return (
        work.take([row for _, row in distinct]),
        np.array([index[pair] for pair in pairs], np.int64),
        groups,
    )


# Problems and options that are searched together; more do not save time, and each takes memory.
_PROBLEMS, _OPTIONS = 48, 1 << 17


def searched_together(work: Workload, rows: slice, machine: Machine) -> Iterator[slice]:
    """Problems of *rows* that are searched together: each part has no more than so many and so many options."""
    options = option_counts(work.take(rows), machine)
    start, count = rows.start, 0
    for row, more in enumerate(options.tolist(), rows.start):
        if row > start and (row - start == _PROBLEMS or count + more > _OPTIONS):
            yield slice(start, row)
            start, count = row, 0
        count += more
    yield slice(start, rows.stop)
