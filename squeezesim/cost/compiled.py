"""The compiled search: what the core in C is given, and the choice that it makes.

It finds what ``Search.choose`` finds otherwise. It knows what tiles cost in ``ws``, in ``os`` and on units; searches
with other dataflows go through NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow import Dataflow
from squeezesim.cost.dataflow.os import OS
from squeezesim.cost.dataflow.ws import WS
from squeezesim.cost.kernel import core
from squeezesim.cost.machine import Machine
from squeezesim.cost.pooling import Windows, windows_of
from squeezesim.cost.problem import Floats, Ints
from squeezesim.cost.rates import EDP, ENERGY, LATENCY, Rates
from squeezesim.cost.traffic import LOOPS, ORDERS, capacity
from squeezesim.cost.views import NEVER, Products

if TYPE_CHECKING:
    from squeezesim.cost.array_costs import DataflowCosts
    from squeezesim.cost.bounds import OptionSpace

_UNIT = 2
_STATIONARY = ("outputs", "weights", "inputs")
_OBJECTIVES = (LATENCY, ENERGY, EDP)
_MOST_PARTS = 8
_LOOPS = ("n", "g", "k", "c", "y", "x", "fy", "fx", "t", "p")


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


_Integer, _Real, _Pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
_Integers, _Reals = _Integer * len(LOOPS), _Real * len(LOOPS)


class _Array(ctypes.Structure):
    _fields_ = _fields(_Integer, "rows cols ports weight_swap psum_words") + _fields(
        _Integer, "systolic chooses_blocks moves_least os_skips structured paced"
    )


class _Unit(ctypes.Structure):
    _fields_ = _fields(_Integer, " ".join(_LOOPS)) + _fields(
        _Integer, "stationary interval ports preload output_words latency psums_stay accumulates blocks"
    )


class _Part(ctypes.Structure):
    _fields_ = [("bits", _Real), ("holds", _Integer)]


class _Memory(ctypes.Structure):
    _fields_ = [
        *_fields(_Integer, "stays skip_rows skip_columns compressed weights_bits is_limited"),
        *_fields(_Integers, "is_double home"),
        *_fields(_Integer, "memories several orders required accumulators is_plain is_finished parts"),
        ("part", _Part * _MOST_PARTS),
        ("whole", _Real),
    ]


class _Rates(ctypes.Structure):
    _fields_ = [
        *_fields(_Real, "room buffer_bits_per_cycle setup slack cycle_weight energy_weight"),
        ("bytes_per_cycle", _Reals),
        ("all_bytes_per_cycle", _Real),
        ("latency", _Reals),
        *_fields(_Real, "least_latency multiply_per_bit2 add_per_bit leakage_per_cycle"),
        *_fields(_Real, "register_file between buffer_read buffer_write"),
        ("memory", _Reals),
    ]


class _Forms(ctypes.Structure):
    _fields_ = _fields(_Integer, "alternatives terms") + _fields(_Pointer, "rows columns")


class _Flow(ctypes.Structure):
    _fields_ = [
        ("kind", _Integer),
        ("unit", _Pointer),
        ("energy", _Forms),
        ("executed", _Pointer),
    ]


class _Input(ctypes.Structure):
    _fields_ = [
        *_fields(_Integer, "problems machines flows objective"),
        *_fields(_Pointer, "work pooling cut waits pixel_offsets channel_offsets pixels channels"),
        *_fields(_Pointer, "array memory rates flow ceiling measures choice"),
    ]


class Chosen(NamedTuple):
    """What is chosen for each machine and problem."""

    measures: Floats  # cycles, energy, their weighted sum and bits moved, (4, machines, problems)
    tilings: Ints  # dataflow, mode, pixel option, channel option and number, (5, machines, problems)


def serves(machine: Machine, flows: Sequence[Dataflow]) -> bool:
    """Whether the core searches *flows* of a family of machines."""
    known = all(_kind(flow, machine) is not None for flow in flows)
    return known and len(machine.parts) <= _MOST_PARTS and core() is not None


def _kind(flow: Dataflow, machine: Machine) -> int | None:
    """What the core calls *flow*; None: it does not know it."""
    if flow is WS or flow is OS:
        return 0 if flow is WS else 1
    return _UNIT if flow.name in {unit.name for unit in machine.units} else None


class _Given:
    """Arrays and structures that the core reads, alive as long as this is."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def integers(self, *columns: Any) -> int:
        """The address of *columns*, one after the other."""
        table = np.empty((len(columns), len(columns[0])), np.int64)
        for row, column in zip(table, columns, strict=True):
            row[:] = column
        return self.array(table)

    def array(self, values: Any) -> int:
        self._kept.append(np.ascontiguousarray(values))
        return int(self._kept[-1].ctypes.data)

    def structure(self, value: Any) -> int:
        self._kept.append(value)
        return ctypes.addressof(value)

    def forms(self, products: Products) -> _Forms:
        """Closed forms of one quantity, the most of several."""
        rows, columns = (
            part if part.ndim == 3 else part[np.newaxis] for part in (products.rows, products.columns)
        )
        return _Forms(*rows.shape[:2], self.array(rows), self.array(columns))


def choose(
    space: OptionSpace, flows: Sequence[DataflowCosts], rates: Rates, ceiling: Floats | None = None
) -> Chosen:
    """Choose the tiling of each problem on each machine of *rates*; *ceiling* as for ``Search.choose``.

    Raises:
        MemoryError: there is none for the tilings that are left.
    """
    given, shape = _Given(), (len(rates), len(space.work))
    found = Chosen(np.empty((4, *shape)), np.empty((5, *shape), np.int64))
    source = _source(space, given)
    source.machines, source.flows = len(rates), len(flows)
    source.waits = given.integers(flows[0].waits)
    source.array = given.structure(_array(space.machine))
    source.rates = given.structure(_rates(space.machine, rates))
    source.flow = given.structure(_flows(flows, rates, given))
    if ceiling is not None:
        source.ceiling = given.array(ceiling)
    source.measures, source.choice = given.array(found.measures), given.array(found.tilings)
    _call("squeezesim_search", source)
    return found


def cycle_forms(space: OptionSpace, flow: DataflowCosts) -> Products:
    """Closed forms of cycles as the core has them, which are those of ``ArrayForms``."""
    given, known = _Given(), flow.array.alternatives
    rows, columns = np.zeros_like(known.rows), np.zeros_like(known.columns)
    source = _source(space, given)
    source.array, source.flow = given.structure(_array(space.machine)), given.structure(_flow(flow, given))
    functions, products = core(), _Integer(rows.shape[0] * rows.shape[1])
    assert functions is not None
    into = (_Pointer(given.array(part)) for part in (rows, columns))
    if functions.squeezesim_forms(ctypes.byref(source), _Integer(0), products, *into):
        raise ValueError("the core has another number of closed forms")
    return Products(rows, columns)


def least_footprint(space: OptionSpace) -> Floats:
    """Bits of the buffer that each problem needs at its smallest tile; ``NEVER`` where no mode is allowed.

    Raises:
        MemoryError: there is none.
    """
    given, found = _Given(), np.empty(len(space.work))
    source = _source(space, given)
    source.measures = given.array(found)
    _call("squeezesim_least_footprints", source)
    return np.minimum(found, NEVER)


def _call(name: str, source: _Input) -> None:
    functions = core()
    assert functions is not None
    if getattr(functions, name)(ctypes.byref(source)):
        raise MemoryError("there is no memory for the tilings of a layer")


def _source(space: OptionSpace, given: _Given) -> _Input:
    """The problems with their options."""
    pixels, channels = space.pixels, space.channels
    last, most, kept = space.pooled or (
        np.multiply.reduce(pixels.last),
        np.multiply.reduce(pixels.sizes),
        np.zeros_like(pixels.owner),
    )
    return _Input(
        problems=len(space.work),
        objective=_OBJECTIVES.index(space.machine.objective),
        work=given.integers(*space.work.columns),
        pooling=given.array(_pooling(space).T),
        cut=given.integers(np.zeros(len(space.work)) if space.cut is None else space.cut),
        pixel_offsets=given.integers(pixels.offsets),
        channel_offsets=given.integers(channels.offsets),
        pixels=given.integers(*pixels.sizes, *pixels.last, *pixels.tiles, *space.inputs, last, most, kept),
        channels=given.integers(*channels.sizes, *channels.last, *channels.tiles),
        memory=given.structure(_memory(space)),
    )


def _pooling(space: OptionSpace) -> Ints:
    """Windows along y and x, what leaves of a channel, bits of an open window, and what is read to be pooled."""
    work = space.work
    one, none = np.ones(len(work), np.int64), np.zeros(len(work), np.int64)
    whole = (Windows(length, length, one, one, none) for length in (work.y, work.x))
    along = windows_of(work) if work.is_pooled else whole
    columns = [column for axis in along for column in axis]
    return np.stack([*columns, work.pooled, work.open_bits, space.unpooled_bits]).astype(np.int64)


def _array(machine: Machine) -> _Array:
    return _Array(
        rows=machine.rows,
        cols=machine.cols,
        ports=machine.ports,
        weight_swap=machine.weight_swap,
        psum_words=machine.psum_words,
        systolic=machine.systolic,
        chooses_blocks=machine.chooses_blocks,
        moves_least=machine.moves_least,
        os_skips="os" in machine.skips_zeros,
        structured=bool(machine.structured),
        paced=bool(machine.paces),
    )


def _used(machine: Machine) -> list[int]:
    """Memories that hold operands, by their indices."""
    return sorted({machine.home(operand) for operand in LOOPS})


def _memory(space: OptionSpace) -> _Memory:
    machine, shares, operands = space.machine, space.residency.shares, [*LOOPS]
    used = _used(machine)
    parts = (_Part * _MOST_PARTS)(
        *(
            _Part(size, sum(1 << [*operands, "psums"].index(operand) for operand in holds))
            for size, holds in shares.parts
        )
    )
    return _Memory(
        stays=machine.stays,
        skip_rows=machine.skip_rows,
        skip_columns=machine.skip_columns,
        compressed=bool(machine.compressed),
        weights_bits=machine.weights_bits,
        is_limited=bool(np.isfinite(machine.buffer_bits_per_cycle)),
        is_double=_Integers(*(machine.double(operand) for operand in operands)),
        home=_Integers(*(used.index(machine.home(operand)) for operand in operands)),
        memories=len(used),
        several=len(machine.memories) > 1,
        orders=sum(1 << ORDERS.index(order) for order in space.orders),
        required=sum(1 << operands.index(operand) for operand in space.required),
        accumulators=machine.accumulators,
        is_plain=shares.is_plain,
        is_finished=shares.is_finished,
        parts=len(shares.parts),
        part=parts,
        whole=shares.whole,
    )


def _rates(machine: Machine, rates: Rates) -> Any:
    """An entry for each machine."""
    home, used = [machine.home(operand) for operand in LOOPS], _used(machine)
    columns = [
        capacity(machine, rates),
        rates.buffer_bits_per_cycle,
        rates.setup,
        rates.slack,
        rates.cycle_weight,
        rates.energy_weight,
        *rates.bytes_per_cycle[:, home].T,
        rates.bytes_per_cycle[:, used].sum(axis=-1),
        *rates.latency[:, home].T,
        rates.latency[:, used].min(axis=-1),
        rates.energy.multiply_per_bit2,
        rates.energy.add_per_bit,
        rates.energy.leakage_mw * 1e9 / rates.clock_hz,
        *(
            rates.per_bit[key]
            for key in (
                ("register_file", "access"),
                ("inter_pe", "access"),
                ("buffer", "read"),
                ("buffer", "write"),
                *((rates.memories[memory], "access") for memory in home),
            )
        ),
    ]
    table = np.stack(columns, axis=-1).astype(np.float64)
    return (_Rates * len(rates)).from_buffer_copy(table.tobytes())


def _flows(flows: Sequence[DataflowCosts], rates: Rates, given: _Given) -> Any:
    result, ideal = (_Flow * len(flows))(*(_flow(flow, given) for flow in flows)), rates.optimistic()
    for entry, flow in zip(result, flows, strict=True):
        if flow.objective != LATENCY:
            entry.energy = given.forms(flow.energy_forms(ideal))
    return result


def _flow(flow: DataflowCosts, given: _Given) -> _Flow:
    machine = flow.space.machine
    entry = _Flow(kind=_kind(flow.flow, machine), executed=given.integers(flow.executed))
    if entry.kind == _UNIT:
        unit = next(unit for unit in machine.units if unit.name == flow.flow.name)
        entry.unit = given.structure(
            _Unit(
                *(unit.by(loop) for loop in _LOOPS),
                _STATIONARY.index(unit.stationary),
                unit.interval,
                unit.ports,
                unit.preload,
                unit.output_words,
                unit.latency,
                machine.psums_stay,
                machine.accumulators > 0,
                machine.chooses_blocks * (1 if machine.moves_least else 2),
            )
        )
    return entry
