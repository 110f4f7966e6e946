"""The check of the closed forms: tiles on the simulated array and tilings played event by event, from a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import prod

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Workload, workload_of
from squeezesim.cost.traffic import AXES, MODES
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.reference import array_case, pipeline
from squeezesim.reference.record import Bound, Check, Row

_FLOWS = tuple(DATAFLOWS)
_UNIT = "unit"
_FILTERS = ((1, 1), (1, 1), (1, 3), (3, 1), (3, 3), (2, 5))


def check(cases: int = 200, seed: int = 1) -> Check:
    """Compare the closed forms with both simulators on *cases* drawn layers, half of them each.

    Example:
        >>> check(cases=10).holds
        True
    """
    rng = np.random.default_rng(seed)
    differing = dict.fromkeys(("array", "pipeline"), 0)
    cycles = {key: [0, 0] for key in (*_FLOWS, _UNIT, "pipeline")}  # simulated, in closed form
    for case in _array_cases(rng, cases // 2):
        differing["array"] += bool(array_case.differences(case))
        _, counts = array_case.simulated(case)
        cycles[case.dataflow][0] += counts.cycles
        cycles[case.dataflow][1] += int(array_case.closed_form(case)["cycles"])
    for tiling in _pipeline_cases(rng, cases - cases // 2):
        played, timing = pipeline.simulated(tiling), pipeline.closed_form(tiling)
        differing["pipeline"] += played.cycles != int(timing.cycles[0])
        cycles["pipeline"][0] += played.cycles
        cycles["pipeline"][1] += int(timing.cycles[0])
    return Check(
        name="array",
        title="Closed forms beside simulations of every cycle",
        source="squeezesim's own simulators, which know no closed form",
        method=(
            f"{cases // 2} tiles of drawn layers (groups, batch, stride, dilation, padding, zeros) on drawn arrays of "
            "up to 6×6 PEs, or on drawn units, are computed by a PE array cycle by cycle, which must give the "
            "convolution's output; cycles, busy PE-cycles and accesses at every level are compared, for rs under the "
            "mapping found. "
            f"{cases - cases // 2} tilings are played event by event with a DMA and buffer slots; cycles are compared."
        ),
        rows=tuple(
            Row(subject, "cycles of all cases", float(simulated), float(ours), "cycles")
            for subject, (simulated, ours) in cycles.items()
        ),
        bounds=(
            Bound("tiles that differ from the simulated array", differing["array"], 0),
            Bound("tilings that differ from the event simulation", differing["pipeline"], 0),
        ),
    )


def _array_cases(rng: np.random.Generator, count: int) -> Iterator[array_case.Case]:
    flows = (*_FLOWS, _UNIT)
    for number in range(count):
        layer, machine, flow = _layer(rng, 2000), _machine(rng), flows[number % len(flows)]
        if flow == _UNIT:
            machine = replace(machine, dataflows=(), units=(_unit(rng),), weight_density=1.0)
        tile = array_case.Tile(*_tile(rng, workload_of([layer], machine)[0]).values())
        yield array_case.Case(layer, tile, machine, flow, bool(rng.integers(2)), int(rng.integers(1 << 16)))


def _pipeline_cases(rng: np.random.Generator, count: int) -> Iterator[pipeline.Case]:
    for number in range(count):
        layer, machine = _layer(rng, 20_000), _machine(rng)
        work = workload_of([layer], machine)[0]
        flow = DATAFLOWS[_FLOWS[number % len(_FLOWS)]]
        mode = MODES[int(rng.integers(len(MODES)))]
        yield pipeline.Case(work, _tile(rng, work), mode, flow, machine)


def _tile(rng: np.random.Generator, work: Workload) -> dict[str, int]:
    """Tile sizes along n, y, x, g, k, c: the whole axis or any part of it."""
    whole = {axis: int(getattr(work, axis)[0]) for axis in AXES}
    return {axis: size if rng.integers(2) else int(rng.integers(1, size + 1)) for axis, size in whole.items()}


def _layer(rng: np.random.Generator, macs: int) -> Layer:
    """Any layer of at most *macs*, every fourth of them depthwise."""

    def several(largest: int) -> tuple[int, int]:
        return int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 1))

    taps = _FILTERS[int(rng.integers(len(_FILTERS)))]
    plain = bool(rng.integers(2))
    stride, dilation = ((1, 1), (1, 1)) if plain else (several(3), several(3))
    outputs = several(7)
    padding = int(rng.integers(0, min(taps[0], 3))), int(rng.integers(0, min(taps[1], 3)))
    after = int(rng.integers(0, min(taps[0], 3))), int(rng.integers(0, min(taps[1], 3)))
    reach = [(outputs[axis] - 1) * stride[axis] + (taps[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
    extents = [max(reach[axis] - padding[axis] - after[axis], 1) for axis in (0, 1)]
    depthwise = rng.integers(4) == 0
    channels = (1, 1) if depthwise else several(9)
    layer = Layer(
        name="drawn",
        op="conv2d",
        kind="mac",
        n=int(rng.integers(1, 4)),
        g=int(rng.integers(1, 9 if depthwise else 3)),
        k=channels[0],
        c=channels[1],
        oy=outputs[0],
        ox=outputs[1],
        fy=taps[0],
        fx=taps[1],
        iy=extents[0],
        ix=extents[1],
        stride=stride,
        dilation=dilation,
        padding=padding,
    )
    while layer.macs > macs:
        axis = max(("n", "k", "c", "g"), key=lambda name: int(getattr(layer, name)))
        layer = replace(layer, **{axis: getattr(layer, axis) // 2})
    return layer


@cache
def _base() -> Machine:
    return Machine.of(Accelerator.named("squeezelerator_16x16"))


def _machine(rng: np.random.Generator) -> Machine:
    """Any array of up to 6×6 PEs with any buffering, on the rest of a shipped accelerator."""

    def some(values: list[float]) -> float:
        return values[int(rng.integers(len(values)))]

    def often() -> bool:
        return bool(rng.integers(4))

    return replace(
        _base(),
        rows=int(rng.integers(1, 7)),
        cols=int(rng.integers(1, 7)),
        ports=int(rng.integers(1, 7)),
        psum_words=int(rng.integers(1, 7)),
        filter_words=int(rng.integers(1, 41)),
        input_words=int(rng.integers(1, 13)),
        network_weights=int(rng.integers(1, 7)),
        network_inputs=int(rng.integers(1, 7)),
        network_psums=int(rng.integers(1, 7)),
        weight_swap=int(rng.integers(0, 3)),
        systolic=not often(),
        weight_density=some([1.0, 0.6, 0.35, 0.1, 0.0]),
        skips_zeros=("os",) if often() else (),
        double_inputs=often(),
        double_weights=often(),
        double_outputs=often(),
        buffer_bits_per_cycle=some([float("inf"), 16.0, 100.0]),
        dram_bytes_per_cycle=some([0.5, 3.8, 16.0, 1000.0]),
        dram_latency=int(rng.integers(0, 20)),
    )


def _unit(rng: np.random.Generator) -> Unit:
    """Any unit of up to four loops, whose ports and outputs often take longer than its steps."""

    def one_of(*values: int) -> int:
        return values[int(rng.integers(len(values)))]

    taps, pixels = (("t",), ("fy", "fx"))[one_of(0, 1)], (("p",), ("n", "y", "x"))[one_of(0, 1)]
    loops = rng.permutation(["g", "k", "c", *taps, *pixels]).tolist()[: one_of(1, 2, 3, 4)]
    unroll = tuple((loop, one_of(1, 2, 3, 4, 5)) for loop in loops)
    places = prod(size for _, size in unroll)
    return Unit(
        _UNIT,
        unroll,
        ("outputs", "weights", "inputs")[one_of(0, 1, 2)],
        interval=one_of(*(steps for steps in (1, 2, 3, 4, 5) if places % steps == 0)),
        ports=one_of(0, 1, 2, 3, 8),
        preload=one_of(0, 0, 1, 4),
        output_words=one_of(0, 1, 2, 3, 8),
        latency=one_of(0, 1, 2),
    )
