"""Layers and tiles that are small enough for a simulation of every cycle."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

from hypothesis import settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow.scalesim import SCALESIM
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Workload
from squeezesim.network.layer import Layer
from squeezesim.reference.array_case import Case, Tile, whole
from tests.cost.cases import layers, machine, problem_of
from tests.draws import among


def at_least(cases: int) -> int:
    """Drawn cases of a test: *cases*, or what the chosen profile asks for."""
    return max(cases, settings().max_examples)


@st.composite
def small_layers(draw: st.DrawFn, macs: int = 3000) -> Layer:
    """A layer of at most *macs*."""
    layer = dataclasses.replace(draw(layers(largest=7)), pool=())  # the array ends where outputs leave
    for axis in ("n", "k", "c", "g") * 3:
        if layer.macs > macs:
            layer = dataclasses.replace(layer, **{axis: -(-getattr(layer, axis) // 2)})
    return layer


@cache
def paces() -> st.SearchStrategy[tuple[tuple[tuple[int, int], tuple[int, int]], ...]]:
    """One MAC a cycle in each PE, in most cases; several, or one in several cycles, at the machine's widths."""
    other = (8, 16), (5, 1)
    rates = (2, 1), (3, 1), (4, 1), (1, 2), (1, 3)
    return st.sampled_from([(), (), (other,), *((other, ((16, 16), rate)) for rate in rates)])


@st.composite
def arrays(draw: st.DrawFn) -> Machine:
    """Any array of up to 6×6 PEs; what lies outside the array is as in ``machine``."""
    sizes = st.integers(1, 6)
    return machine(
        rows=draw(sizes),
        cols=draw(sizes),
        ports=draw(sizes),
        psum_words=draw(sizes),
        weight_swap=draw(st.integers(0, 2)),
        systolic=draw(st.booleans()),
        weight_density=draw(among(1.0, 0.6, 0.35, 0.1, 0.0)),
        skips_zeros=draw(among((), ("os",), ("os",))),
        paces=draw(paces()),
    )


@st.composite
def tiles(draw: st.DrawFn, problem: Workload) -> Tile:
    """A tile of any size; along every other axis the whole."""
    sizes = [int(getattr(problem, axis)[0]) for axis in Tile._fields]
    return Tile(*(size if draw(st.booleans()) else draw(st.integers(1, size)) for size in sizes))


@st.composite
def array_cases(draw: st.DrawFn) -> Case:
    layer, on = draw(small_layers()), draw(arrays())
    return Case(
        layer=layer,
        tile=draw(tiles(problem_of(layer, on))),
        machine=on,
        dataflow=draw(among("ws", "os")),
        resumed=draw(st.booleans()),
        seed=draw(st.integers(0, 1 << 16)),
    )


@st.composite
def row_stationary_cases(draw: st.DrawFn) -> Case:
    """A tile with the mapping found, on arrays whose registers hold little and whose networks may be slow."""
    words = st.integers(1, 5)
    on = dataclasses.replace(
        draw(arrays()),
        rows=draw(st.integers(1, 8)),
        cols=draw(st.integers(1, 8)),
        filter_words=draw(st.integers(1, 40)),
        input_words=draw(st.integers(1, 12)),
        network_weights=draw(words),
        network_inputs=draw(words),
        network_psums=draw(words),
        objective=draw(among("latency", "energy", "edp")),
    )
    layer = draw(small_layers(macs=800))
    return Case(
        layer=layer,
        tile=draw(tiles(problem_of(layer, on))),
        machine=on,
        dataflow="rs",
        resumed=draw(st.booleans()),
        seed=draw(st.integers(0, 1 << 16)),
    )


@st.composite
def paced_cases(draw: st.DrawFn) -> Case:
    """Row stationary, where the networks of inputs and sums take turns as bottleneck: short windows, unequal strips."""
    layer = Layer.conv(
        "paced",
        c=draw(st.integers(1, 2)),
        k=draw(st.integers(1, 3)),
        n=draw(st.integers(1, 2)),
        oy=draw(st.integers(2, 13)),
        ox=draw(st.integers(2, 5)),
        fy=draw(st.integers(1, 2)),
        fx=draw(st.integers(1, 2)),
        stride=draw(st.integers(1, 3)),
        dilation=draw(among(1, 1, 2)),
    )
    on = machine(
        rows=draw(st.integers(1, 3)),
        cols=draw(st.integers(3, 6)),
        psum_words=draw(st.integers(1, 3)),
        filter_words=draw(st.integers(2, 8)),
        input_words=draw(st.integers(2, 4)),
        network_inputs=draw(among(1, 1, 2)),
        network_psums=draw(among(1, 1, 2, 3)),
        paces=draw(paces()),
    )
    return Case(layer, whole(layer, on), on, "rs", resumed=False, seed=draw(st.integers(0, 99)))


@st.composite
def systolic_cases(draw: st.DrawFn) -> Case:
    """A tile on SCALE-Sim's array, with one of its dataflows."""
    layer, on = draw(small_layers(macs=800)), dataclasses.replace(draw(arrays()), paces=())
    return Case(
        layer=layer,
        tile=draw(tiles(problem_of(layer, on))),
        machine=on,
        dataflow=draw(st.sampled_from(sorted(SCALESIM))),
        resumed=draw(st.booleans()),
        seed=draw(st.integers(0, 1 << 16)),
    )


@st.composite
def waiting_cases(draw: st.DrawFn) -> Case:
    """One input channel, several chunks and blocks: sums take longer to drain than the next ones to compute."""
    taps = draw(among((1, 1), (1, 1), (1, 3), (2, 1)))
    layer = Layer.conv(
        "waits",
        c=(groups := draw(st.integers(1, 3))),
        k=groups * draw(st.integers(2, 6)),
        groups=groups,
        n=draw(st.integers(1, 3)),
        oy=draw(st.integers(1, 7)),
        ox=draw(st.integers(1, 7)),
        fy=taps[0],
        fx=taps[1],
        stride=draw(among(1, 2)),
    )
    on = machine(
        rows=draw(st.integers(1, 4)),
        cols=draw(st.integers(2, 4)),
        ports=draw(st.integers(1, 2)),
        psum_words=draw(st.integers(1, 4)),
        weight_density=draw(among(1.0, 0.8, 0.55)),
        skips_zeros=("os",),
        paces=draw(paces()),
    )
    return Case(
        layer=layer,
        tile=whole(layer, on),
        machine=on,
        dataflow="os",
        resumed=False,
        seed=draw(st.integers(0, 99)),
    )


@st.composite
def units(draw: st.DrawFn) -> Unit:
    """A unit of up to 64 iterations at once, whose ports and outputs often take longer than its steps."""
    flat_taps, flat_pixels = draw(st.booleans()), draw(st.booleans())
    loops = [
        "g",
        "k",
        "c",
        *(["t"] if flat_taps else ["fy", "fx"]),
        *(["p"] if flat_pixels else ["n", "y", "x"]),
    ]
    unroll: dict[str, int] = {}
    for loop in draw(st.lists(st.sampled_from(loops), min_size=1, max_size=4, unique=True)):
        unroll[loop] = draw(st.integers(1, 5))
    pes = math.prod(unroll.values())
    slow = st.sampled_from([0, 1, 1, 2, 3, 8])
    return Unit(
        "unit",
        tuple(unroll.items()),
        draw(among("outputs", "weights", "inputs")),
        interval=draw(st.sampled_from([size for size in (1, 2, 3, 4, 5) if pes % size == 0])),
        ports=draw(slow),
        preload=draw(among(0, 0, 1, 4)),
        output_words=draw(slow),
        latency=draw(st.integers(0, 2)),
    )


@st.composite
def cut_layers(draw: st.DrawFn, unit: Unit) -> Layer:
    """A layer whose loops in space are a little more than some parts, and whose others are short: blocks wait."""
    sizes = dict(unit.unroll)

    def extent(loop: str) -> int:
        if (places := sizes.get(loop, 1)) == 1:
            return draw(among(1, 1, 2))
        return places * draw(among(1, 2)) + draw(among(1, 2, 0))

    extents = {loop: extent(loop) for loop in ("n", "g", "k", "c", "y", "x")}
    if "p" in sizes:
        extents |= {"n": draw(among(1, 2)), "y": draw(among(1, 3)), "x": extent("p")}
    taps = extent("fy"), extent("fx")
    if "t" in sizes:
        taps = draw(among((3, 2), (2, 3), (3, 3), (1, 5)))
    while math.prod(extents.values()) * math.prod(taps) > 1500:
        longest = max(extents, key=lambda loop: extents[loop])
        extents[longest] //= 2
    return Layer.conv(
        "cut",
        c=extents["g"] * extents["c"],
        k=extents["g"] * extents["k"],
        groups=extents["g"],
        n=extents["n"],
        oy=extents["y"],
        ox=extents["x"],
        fy=taps[0],
        fx=taps[1],
        stride=draw(among(1, 1, 2)),
        dilation=draw(among(1, 1, 2)),
        padding=0,
    )


@st.composite
def unit_cases(draw: st.DrawFn) -> Case:
    """A tile on a unit, whose sums may wait in it for other tiles."""
    waits = draw(among(0, 0, 1000))
    unit = draw(units())
    on = machine(dataflows=(), units=(unit,), paces=draw(paces()), psums_stay=waits > 0, accumulators=waits)
    any_layer = draw(among(True, False, False))
    layer = draw(small_layers(macs=1500) if any_layer else cut_layers(unit))
    return Case(
        layer=layer,
        tile=draw(tiles(problem_of(layer, on))) if any_layer else whole(layer, on),
        machine=on,
        dataflow="unit",
        resumed=draw(st.booleans()),
        seed=draw(st.integers(0, 1 << 16)),
        unfinished=waits > 0 and draw(st.booleans()),
    )


@st.composite
def waiting_unit_cases(draw: st.DrawFn) -> Case:
    """A layer on a unit whose blocks are short and of unequal sizes, so that smaller ones often wait less."""
    loops = draw(among("kx", "cx", "kc", "kp", "gx"))
    sizes = {loop: draw(among(3, 4, 5)) for loop in loops}
    words = st.sampled_from([2, 3, 1, 4])
    unit = Unit(
        "unit",
        tuple(sizes.items()),
        draw(among("outputs", "weights", "inputs")),
        ports=draw(words),
        output_words=draw(words),
    )
    extents = {  # a little more than some parts
        loop: sizes.get(loop, 1) * draw(among(1, 2)) + draw(among(1, 2, 0)) for loop in "gkcx"
    }
    groups = extents["g"] if "g" in sizes else 1
    layer = Layer.conv(
        "waits",
        c=groups * extents["c"],
        k=groups * extents["k"],
        groups=groups,
        oy=1,
        ox=extents["x"],
        fy=1,
        fx=1,
    )
    waits = draw(among(0, 0, 1000))
    on = machine(dataflows=(), units=(unit,), psums_stay=waits > 0, accumulators=waits)
    resumed, seed = draw(st.booleans()), draw(st.integers(0, 99))
    return Case(layer, whole(layer, on), on, "unit", resumed, seed, waits > 0 and draw(st.booleans()))
