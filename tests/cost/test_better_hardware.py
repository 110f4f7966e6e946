"""Better hardware never makes the best mapping of a layer slower, nor dearer at equal prices.

What the search takes for one layer is compared before and after one change of the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.constraints import Limits
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import workload_of
from squeezesim.cost.rates import Rates
from squeezesim.cost.traffic import LOOPS, capacity
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, least_bits, machines, usual_layers
from tests.draws import among
from tests.reference.cases import units

FLOWS = (*("ws", "os", "ws os") * 4, "rs", "ws os rs")
"""One or several on an array, as often as they are drawn: the search of `rs` takes the longest."""

ROUNDING = 1e-9
"""Of energies, which are sums of floats."""


class Improvement(NamedTuple):
    """A change of a machine by an amount that is drawn, after which no layer is slower or dearer."""

    name: str
    better: Callable[[Machine, Any], Machine]
    amounts: Sequence[Any]


def more(field: str) -> Callable[[Machine, float], Machine]:
    """A share more of *field*; of an integer, at least one."""

    def better(machine: Machine, share: float) -> Machine:
        value = getattr(machine, field)
        added = max(int(value * share), 1) if isinstance(value, int) else value * share
        return replace(machine, **{field: value + added})

    return better


def less(field: str) -> Callable[[Machine, float], Machine]:
    """A share less of the integer *field*, at least one if there is any."""

    def better(machine: Machine, share: float) -> Machine:
        value = getattr(machine, field)
        return replace(machine, **{field: max(value - max(int(value * share), 1), 0)})

    return better


def wider(machine: Machine, network: str) -> Machine:
    """Twice the words a cycle on a network of `rs`."""
    return more(f"network_{network}")(machine, 1.0)


def double_buffered(machine: Machine, operand: str) -> Machine:
    """Two slots for *operand* where that is better."""
    return replace(machine, **{f"double_{operand}": True})


SINGLE: Mapping[str, Any] = {"stays": True} | dict.fromkeys(
    ("double_inputs", "double_weights", "double_outputs"), False
)
"""A machine whose operands have one slot each, unless they stay."""

GROWTHS, CUTS = (0.01, 0.25, 1.0, 9.0), (0.01, 0.5, 1.0)


class Improvements(NamedTuple):
    """Changes of the same machines; each case compares one machine with what each change makes of it."""

    name: str
    each: Sequence[Improvement]
    flows: Sequence[str] = FLOWS
    fixed: Mapping[str, Any] = {}  # of the machine before
    drawn: st.SearchStrategy[Layer] = layers() | usual_layers()


IMPROVEMENTS = [
    Improvements(
        "array",
        [
            Improvement("more rows", more("rows"), GROWTHS),
            Improvement("more columns", more("cols"), GROWTHS),
            Improvement("more partial sums", more("psum_words"), GROWTHS),
        ],
        fixed={"objective": "latency"},
    ),
    Improvements(
        "array, energy",
        [
            Improvement("more rows", more("rows"), GROWTHS),
            Improvement("more columns", more("cols"), GROWTHS),
        ],
        fixed={"objective": "energy"},
    ),
    Improvements(
        "memories",
        [
            Improvement("larger buffer", more("buffer_bits"), GROWTHS),
            Improvement("faster buffer", more("buffer_bits_per_cycle"), (*GROWTHS, inf)),
            Improvement("more DRAM bandwidth", more("dram_bytes_per_cycle"), GROWTHS),
            Improvement("less DRAM latency", less("dram_latency"), CUTS),
            Improvement("shorter set-up", less("setup"), CUTS),
        ],
    ),
    Improvements("ports", [Improvement("more ports", more("ports"), GROWTHS)], ("ws", "os", "ws os")),
    Improvements(
        "swap of weights", [Improvement("shorter swap", less("weight_swap"), CUTS)], ("ws", "ws os")
    ),
    Improvements(
        "networks",
        [Improvement("wider networks", wider, ("weights", "inputs", "psums"))],
        ("rs",),
        {"buffer_bits_per_cycle": inf},  # else the fastest mapping may wait for the buffer
        drawn=layers(),  # the search of `rs` takes long for usual ones, which are drawn above
    ),
    Improvements(
        "double buffering",
        [Improvement("double buffering", double_buffered, tuple(LOOPS))],
        ("ws", "os", "ws os"),
        SINGLE,
    ),
    Improvements(
        "lanes",
        [
            Improvement("more lanes", more("vector_lanes"), GROWTHS),
            Improvement("more lanes that pool", more("pool_lanes"), GROWTHS),
        ],
        ("ws", "os"),
        {"objective": "latency", "vector_lanes": 1, "pool_lanes": 1, "post_ops": ("add", "pool")},
        drawn=layers(),
    ),
]


@st.composite
def machines_for(draw: st.DrawFn, /, flow: str, **fixed: Any) -> Machine:
    """A small machine, or one of usual sizes, with the dataflows of *flow*."""
    numbers: dict[str, Any] = {"dataflows": tuple(flow.split())}
    if draw(st.booleans(), label="usual sizes"):
        sizes = st.sampled_from([4, 8, 9, 12, 14, 16, 20, 32])
        rows, cols = draw(sizes), draw(sizes)
        numbers |= {"rows": rows, "cols": cols, "psum_words": draw(among(1, 4, 16, 64))}
        numbers["ports"] = draw(st.sampled_from([4, cols // 2, cols, 2 * cols, rows * cols]))
    if "rs" in flow:
        for network in ("network_weights", "network_inputs", "network_psums"):
            numbers[network] = draw(st.integers(1, 4))
        numbers["input_words"] = draw(among(4, 8, 12))
        numbers["filter_words"] = draw(among(16, 64, 224))
    if draw(st.integers(0, 3), label="stores"):  # searches with slow ports take the longest
        numbers["stores"] = ()
    return draw(machines(**(numbers | fixed)))


ROOMS = st.sampled_from([1.0, 1.1, 1.3, 1.6, 2.0, 3.0, 5.0, 10.0, 1000.0])
"""Of a buffer, in smallest tiles: in tight ones a little more of anything is another tiling."""


def reached(several: Sequence[Layer], machines: Sequence[Machine]) -> list[list[float]]:
    """What the search reaches of the objective, by machine and layer.

    One search serves the layers, and the machines of a family, as in a sweep.
    """
    families: dict[Machine, list[int]] = {}
    for number, machine in enumerate(machines):
        families.setdefault(machine.family(priced=True), []).append(number)
    found: dict[int, list[float]] = {}
    for family, numbers in families.items():
        rates = Rates.of([machines[number] for number in numbers])
        room, on = capacity(family, rates), machines[numbers[0]]
        work, rows = workload_of(several, on)
        search = Limits.of(several[0], on).search(work, on, room.max())
        assert search.least_footprint.max() <= room.min()
        values = search.choose(rates).measures[family.objective][:, rows].tolist()
        found |= dict(zip(numbers, values, strict=True))
    return [found[number] for number in range(len(machines))]


def check(changes: Improvements, data: st.DataObject) -> None:
    layer = data.draw(changes.drawn, label="layer")
    objective = data.draw(among("latency", "latency", "energy"), label="objective")
    flow = data.draw(st.sampled_from(changes.flows), label="flow")
    machine = data.draw(machines_for(flow, **{"objective": objective, **changes.fixed}), label="machine")
    objective = machine.objective
    amounts = {each: data.draw(st.sampled_from(each.amounts), label=each.name) for each in changes.each}

    def improved(on: Machine) -> dict[str, Machine]:
        return {each.name: each.better(on, amount) for each, amount in amounts.items()}

    # Machines of a family have the same tiles.
    families = {on.family(priced=True): on for on in (machine, *improved(machine).values())}
    smallest = max(least_bits(layer, on) for on in families.values())
    machine = replace(machine, buffer_bits=int(smallest * data.draw(ROOMS, label="room")))
    rounding = ROUNDING if objective == "energy" else 0.0
    (before,), *after = reached([layer], [machine, *improved(machine).values()])
    for name, (value,) in zip(improved(machine), after, strict=True):
        assert value <= before * (1 + rounding), name


def check_parts(data: st.DataObject) -> None:
    """A layer of several images, or groups, takes no more than as many layers of one."""
    # A second operand comes with the first inputs in one transfer, later in one with a latency of its own.
    layer = replace(data.draw(layers() | usual_layers(), label="layer"), second_elements=0)
    objective = data.draw(among("latency", "latency", "energy"), label="objective")
    flow = data.draw(st.sampled_from(FLOWS), label="flow")
    # The zeros of several are rounded once, those of each one by itself.
    dense = {"objective": objective, "stays": True, "weight_density": 1.0}
    machine = data.draw(machines_for(flow, **dense), label="machine")
    count = data.draw(among(2, 3, 4, 8), label="count")
    parts = [replace(layer, **{axis: size}) for axis in ("n", "g") for size in (1, count)]
    smallest = max(least_bits(each, machine) for each in parts)
    machine = replace(machine, buffer_bits=int(smallest * data.draw(ROOMS, label="room")))
    most = count * (1 + (ROUNDING if objective == "energy" else 0.0))
    ((of_one, of_several, of_group, of_groups),) = reached(parts, [machine])
    assert of_several <= of_one * most
    assert of_groups <= of_group * most


@settings(max_examples=200)
@given(st.data())
def test_images_and_groups_together_are_never_worse(data: st.DataObject) -> None:
    check_parts(data)


@pytest.mark.slow
@settings(max_examples=2000)
@given(st.data())
def test_images_and_groups_together_are_never_worse_in_2000_cases(data: st.DataObject) -> None:
    check_parts(data)


def better_units(unit: Unit, data: st.DataObject) -> dict[str, Unit]:
    """*unit* with more of one thing, and with less of what takes time; its pipeline stays."""
    added = st.sampled_from([1, 1, 2, 3, 8])
    unroll = dict(unit.unroll)
    flat = {"t": ("fy", "fx"), "p": ("n", "y", "x")}
    beside = {*unroll, *(part for loop in unroll for part in flat.get(loop, ()))}
    others = [
        loop
        for loop in (*"gkcyxn", "fy", "fx", "t")
        if loop not in beside and not {*flat.get(loop, ())} & beside
    ]
    longer = dict.fromkeys(unroll, 1)
    if others:
        longer[data.draw(st.sampled_from(others), label="loop")] = 1
    found = {
        f"more places along {loop}": unit._replace(
            unroll=tuple((unroll | {loop: unroll.get(loop, 1) + data.draw(added, label=loop)}).items())
        )
        for loop in longer
    }
    for key, step in (("ports", 1), ("output_words", 1), ("preload", -1), ("latency", -1)):
        if value := getattr(unit, key):  # 0 ports or words never limit
            found[key] = unit._replace(**{key: value + step})
    if unit.interval > 1:
        found["interval"] = unit._replace(interval=unit.interval - 1)
    return found


def check_units(data: st.DataObject) -> None:
    """No layer is slower where a unit has more of anything, nor beside another unit."""
    layer = data.draw(layers() | usual_layers(), label="layer")
    unit = data.draw(units(), label="unit")
    if data.draw(st.booleans(), label="usual sizes"):
        sizes, words = st.sampled_from([2, 4, 6, 8, 12, 14, 16]), st.sampled_from([0, 1, 4, 8, 16])
        unroll = tuple((loop, data.draw(sizes, label=loop)) for loop, _ in unit.unroll)
        unit = unit._replace(unroll=unroll, interval=1, ports=data.draw(words), output_words=data.draw(words))
    on = data.draw(machines(objective="latency", dataflows=(), units=(unit,)), label="machine")
    after = {name: (each,) for name, each in better_units(unit, data).items()}
    other = data.draw(units(), label="another unit")._replace(name="other")
    after["another unit"] = (unit, other)
    better = {name: replace(on, units=each) for name, each in after.items()}
    smallest = max(least_bits(layer, each) for each in (on, *better.values()))
    bits = int(smallest * data.draw(ROOMS, label="room"))
    (before,), *found = reached([layer], [replace(each, buffer_bits=bits) for each in (on, *better.values())])
    for name, (value,) in zip(better, found, strict=True):
        assert value <= before, name


@settings(max_examples=200)
@given(st.data())
def test_larger_units_are_never_slower(data: st.DataObject) -> None:
    check_units(data)


@pytest.mark.slow
@settings(max_examples=2000)
@given(st.data())
def test_larger_units_are_never_slower_in_2000_cases(data: st.DataObject) -> None:
    check_units(data)


each_improvement = pytest.mark.parametrize("changes", IMPROVEMENTS, ids=lambda changes: changes.name)


@each_improvement
@settings(max_examples=200)
@given(st.data())
def test_better_is_never_worse(changes: Improvements, data: st.DataObject) -> None:
    check(changes, data)


@pytest.mark.slow
@each_improvement
@settings(max_examples=2000)
@given(st.data())
def test_better_is_never_worse_in_2000_cases(changes: Improvements, data: st.DataObject) -> None:
    check(changes, data)
