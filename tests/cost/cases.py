"""Strategies and short-hands that the tests of the cost model share."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload, workload_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.energy import EnergyCosts, energy_costs
from squeezesim.network.layer import Layer


@cache
def relative_energy() -> EnergyCosts:
    return energy_costs(Accelerator.named("squeezelerator_16x16").replace({"energy.overrides": {}}))


def machine(**changes: Any) -> Machine:
    """A small machine; every number can be changed."""
    numbers: dict[str, Any] = {
        "rows": 4,
        "cols": 4,
        "dataflows": ("ws", "os"),
        "ports": 4,
        "weight_swap": 0,
        "psum_words": 8,
        "systolic": False,
        "weight_bits": 16,
        "activation_bits": 16,
        "accumulator_bits": 16,
        "buffer_bits": 8 * 2048,
        "buffer_bits_per_cycle": float("inf"),
        "double_inputs": True,
        "double_weights": True,
        "double_outputs": True,
        "dram_bytes_per_cycle": 4.0,
        "dram_latency": 7,
        "setup": 11,
        "objective": "latency",
        "slack": 0.0,
        "skip_rows": True,
        "skip_columns": False,
        "weight_density": 1.0,
        "skips_zeros": (),
        "vector_lanes": 0,
        "clock_hz": 1e9,
        "energy": relative_energy(),
    }
    return Machine(**(numbers | changes))


@st.composite
def machines(draw: st.DrawFn, **fixed: Any) -> Machine:
    """Any machine of up to 8×8 PEs."""
    sizes = st.integers(1, 8)
    changes: dict[str, Any] = {
        "rows": draw(sizes),
        "cols": draw(sizes),
        "ports": draw(sizes),
        "weight_swap": draw(st.integers(0, 2)),
        "psum_words": draw(sizes),
        "systolic": draw(st.booleans()),
        "weight_bits": draw(st.sampled_from([4, 8, 16])),
        "activation_bits": draw(st.sampled_from([5, 8, 16])),
        "accumulator_bits": draw(st.sampled_from([16, 32])),
        "buffer_bits_per_cycle": draw(st.sampled_from([float("inf"), 16.0, 100.0])),
        "double_inputs": draw(st.booleans()),
        "double_weights": draw(st.booleans()),
        "double_outputs": draw(st.booleans()),
        "dram_bytes_per_cycle": draw(st.sampled_from([0.5, 3.8, 16.0, 1000.0])),
        "dram_latency": draw(st.integers(0, 20)),
        "setup": draw(st.integers(0, 50)),
        "skip_rows": draw(st.booleans()),
        "skip_columns": draw(st.booleans()),
        "weight_density": draw(st.sampled_from([1.0, 0.6, 0.1, 0.0])),
        "skips_zeros": draw(st.sampled_from([(), ("os",)])),
    }
    changes["skip_rows"] |= changes["skip_columns"]
    return machine(**(changes | fixed))


@st.composite
def layers(draw: st.DrawFn, largest: int = 9) -> Layer:
    """Any small convolution, grouped, strided, dilated, padded or none of it; among them matrix products."""
    sizes = st.integers(1, largest)
    stride, dilation = (draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) for _ in range(2))
    taps = draw(st.sampled_from([(1, 1), (1, 1), (1, 3), (3, 1), (3, 3), (2, 5)]))
    if draw(st.booleans()):
        stride = dilation = (1, 1)
    outputs = draw(sizes), draw(sizes)
    extents, padding = [], []
    for out, s, d, f in zip(outputs, stride, dilation, taps, strict=True):
        reach = (out - 1) * s + (f - 1) * d + 1
        before = draw(st.integers(0, min(f - 1, 2)))
        after = draw(st.integers(0, min(f - 1, 2)))
        extents.append(max(reach - before - after, 1) + draw(st.integers(0, s - 1)))
        padding.append(before)
    depthwise = draw(st.booleans())
    return Layer(
        name="layer",
        op="conv2d",
        kind="mac",
        n=draw(st.integers(1, 3)),
        g=draw(sizes) if depthwise else draw(st.integers(1, 2)),
        k=1 if depthwise else draw(sizes),
        c=1 if depthwise else draw(sizes),
        oy=outputs[0],
        ox=outputs[1],
        fy=taps[0],
        fx=taps[1],
        iy=extents[0],
        ix=extents[1],
        stride=stride,
        dilation=dilation,
        padding=(padding[0], padding[1]),
    )


def problem_of(layer: Layer, on: Machine) -> Workload:
    """The one problem of a layer."""
    return workload_of([layer], on)[0]


def row(**columns: int) -> dict[str, np.ndarray[Any, Any]]:
    """Integers as arrays of one entry."""
    return {name: np.array([value]) for name, value in columns.items()}
