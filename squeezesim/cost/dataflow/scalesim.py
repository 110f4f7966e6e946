"""SCALE-Sim's systolic array: a matrix product cut into folds that run one after the other.

A tile is a product of M pixels (N·Y·X) by N filters (K of a group) over K weights each (FY·FX·C). Two of the three lie
along the R rows and S columns of the array, the third, T, streams. A fold that does not fill the array costs as much
as one that does.

    name          rows   columns   T   folds             cycles of a fold
    scalesim_os   M      N         K   ⌈M/R⌉ · ⌈N/S⌉     T + R + S − 2
    scalesim_ws   K      N         M   ⌈K/R⌉ · ⌈N/S⌉     T + 2R + S − 2
    scalesim_is   K      M         N   ⌈K/R⌉ · ⌈M/S⌉     T + 2R + S − 2

    mapping efficiency = M·N·K / (R·S · folds · T)        "Total Cycles" that SCALE-Sim prints = Σ folds − 1 + stalls

Groups run one after the other: SCALE-Sim has none, and takes each as a layer. Source: SCALE-Sim 3.0.0, what it prints.

Hand-worked: 3×3, 8 → 16 channels, 6×6 pixels on 8×8 PEs: M = 36, N = 16, K = 72. `scalesim_os`: 5 · 2 folds of
72 + 14 = 86: 860 cycles, mapping efficiency 36 · 16 / (10 · 64) = 90 %; SCALE-Sim prints 859.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import (
    Access,
    Accesses,
    Bounds,
    Dataflow,
    Products,
    Terms,
    Tile,
    buffer_words,
    ceil_div,
    from_terms,
)
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Floats, Ints, Workload
from squeezesim.hardware.dataflows import DECLARED


class Printed(NamedTuple):
    """What SCALE-Sim prints for whole layers when memory never stalls, a group of a layer as a layer of its own."""

    total_cycles: Ints
    mapping_efficiency: Floats  # share, 1 where every PE of every fold is used
    ifmap_reads: Floats  # SRAM accesses, in words
    filter_reads: Floats
    ofmap_writes: Floats  # without the second count that SCALE-Sim 3.0.0 adds in `scalesim_os`


class _Pixel(NamedTuple):
    """Terms of a tile's pixels."""

    pixels: Any
    stream: Any  # what the channels' stream is repeated for
    folds: Any


class _Channel(NamedTuple):
    """Terms of a tile's channels."""

    stream: Any
    fill: Any
    macs: Any  # of a pixel
    inputs: Any  # words read for a pixel
    outputs: Any  # sums written for a pixel


def _os_pixels(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    del problem
    pixels = n * y * x
    folds = ceil_div(pixels, machine.rows)
    return _Pixel(pixels, folds, folds)


def _os_channels(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    weights = problem.taps * c
    folds = g * ceil_div(k, machine.cols)
    fill = folds * (machine.rows + machine.cols - 2)
    return _Channel(folds * weights, fill, g * k * weights, folds * weights, g * k)


def _ws_pixels(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    del problem, machine
    pixels = n * y * x
    return _Pixel(pixels, pixels, np.ones_like(pixels))


def _ws_channels(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    weights = problem.taps * c
    folds_k, folds_n = ceil_div(weights, machine.rows), ceil_div(k, machine.cols)
    folds = g * folds_k * folds_n
    fill = folds * (2 * machine.rows + machine.cols - 2)
    return _Channel(folds, fill, g * k * weights, g * folds_n * weights, g * folds_k * k)


def _is_pixels(problem: Workload, n: Ints, y: Ints, x: Ints, machine: Machine) -> Terms:
    del problem
    pixels = n * y * x
    folds = ceil_div(pixels, machine.cols)
    return _Pixel(pixels, folds, folds)


def _is_channels(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> Terms:
    weights = problem.taps * c
    folds = g * ceil_div(weights, machine.rows)
    fill = folds * (2 * machine.rows + machine.cols - 2)
    return _Channel(folds * k, fill, g * k * weights, g * weights, folds * k)


def _work(problem: Workload, pixel: Terms, channel: Terms, machine: Machine) -> tuple[Ints, Ints, Ints]:
    del problem, machine
    p, c = _Pixel(*pixel), _Channel(*channel)
    return p.stream * c.stream, p.folds * c.fill, p.pixels * c.macs


def _cycles(pixel: Sequence[Any], channel: Sequence[Any]) -> Sequence[Products]:
    p, c = _Pixel(*pixel), _Channel(*channel)
    return [[(p.stream, c.stream), (p.folds, c.fill)]]


def _accesses(stays: str) -> Callable[..., Sequence[Accesses]]:
    """Accesses of the dataflow in which *stays* ("inputs", "weights" or "psums") stays in the PEs.

    What stays is read in a register by each MAC, and written there once for each word from the buffer; a sum that
    stays is read and written. What moves enters at the edge, from the buffer, and passes from PE to PE.
    """

    def accesses(
        problem: Workload,
        pixel: Sequence[Floats],
        channel: Sequence[Floats],
        machine: Machine,
    ) -> Sequence[Accesses]:
        del problem, machine
        p, c = _Pixel(*pixel), _Channel(*channel)
        macs, inputs = p.pixels * c.macs, p.pixels * c.inputs
        weights, written = p.folds * c.macs, p.pixels * c.outputs
        held = {"inputs": macs + inputs, "weights": macs + weights, "psums": 2 * macs}
        passed = {"inputs": macs - inputs, "weights": macs - weights, "psums": macs}
        return [
            {
                Access("register_file", stays): held[stays],
                **{Access("inter_pe", operand): passed[operand] for operand in passed if operand != stays},
                **buffer_words(inputs=inputs, weights=weights, psums=written),
            }
        ]

    return accesses


def _dataflow(name: str, stays: str, pixels: Any, channels: Any) -> Dataflow:
    bounds = Bounds(pixels, channels, _cycles, _accesses(stays))
    return Dataflow(DECLARED[name], from_terms(bounds, _work), bounds)


SCALESIM_OS = _dataflow("scalesim_os", "psums", _os_pixels, _os_channels)
SCALESIM_WS = _dataflow("scalesim_ws", "weights", _ws_pixels, _ws_channels)
SCALESIM_IS = _dataflow("scalesim_is", "inputs", _is_pixels, _is_channels)

SCALESIM = {flow.name: flow for flow in (SCALESIM_OS, SCALESIM_WS, SCALESIM_IS)}


def printed(flow: Dataflow, problem: Workload, machine: Machine) -> Printed:
    """What SCALE-Sim prints for the whole layers *problem* with one of its dataflows.

    Example: 72 weights, 16 filters, 36 pixels on 8×8 PEs with ``scalesim_os`` take 860 cycles, printed as 859.
    """
    whole = Tile(problem.n, problem.y, problem.x, problem.g, problem.k, problem.c)
    cost = flow.tile_cost(problem, whole, machine)
    used = cost.accesses()
    return Printed(
        total_cycles=cost.cycles - problem.g,
        mapping_efficiency=cost.busy / (machine.array_pes * cost.stream),
        ifmap_reads=used[Access("buffer", "inputs", "read")],
        filter_reads=used[Access("buffer", "weights", "read")],
        ofmap_writes=used[Access("buffer", "psums", "write")],
    )
