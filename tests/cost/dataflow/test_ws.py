from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, problem_of
from tests.cost.dataflow.arrays import tile_terms, whole

WS = DATAFLOWS["ws"]


def test_hand_worked_convolution() -> None:
    on = machine(rows=16, cols=16, ports=16)
    layer = Layer(
        name="a", op="conv2d", kind="mac", k=32, c=64, oy=14, ox=14, fy=3, fx=3, iy=14, ix=14, padding=(1, 1)
    )
    work = WS.work(problem_of(layer, on), *whole(WS, layer, on), on)
    assert work.cycles == 16 + 72 * 196
    assert work.busy == layer.macs  # 64 and 32 channels fill the array


def test_hand_worked_fully_connected_layer_waits_for_weights() -> None:
    on = machine(rows=16, cols=16, ports=16)
    layer = Layer(name="fc", op="linear", kind="mac", k=32, c=32)
    work = WS.work(problem_of(layer, on), *whole(WS, layer, on), on)
    # 4 blocks; each preload takes 16 cycles, each stream 1, and nothing hides a preload.
    assert work.cycles == 4 * 16 + 1
    assert work.stream == 4


@given(layers(), machines(), st.data())
def test_busy_never_exceeds_the_array(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem, pixel, channel = tile_terms(WS, layer, on, data)
    work = WS.work(problem, pixel, channel, on)
    assert 0 < work.busy[0] <= on.pes * work.stream[0]
    assert work.fill[0] >= 0


@given(layers(), machines())
def test_accesses_of_a_whole_layer(layer: Layer, on: Machine) -> None:
    problem = problem_of(layer, on)
    pixel, channel = whole(WS, layer, on)
    outputs = layer.n * layer.g * layer.k * layer.oy * layer.ox
    used = WS.accesses(problem, [*pixel], [*channel], np.array([float(outputs)]), on)
    weights = layer.g * layer.k * layer.c * layer.fy * layer.fx
    folds_c, folds_k = -(-layer.c // on.rows), -(-layer.k // on.cols)
    assert used.buffer_weights == weights
    assert used.register_weights == layer.macs + weights
    assert used.inter_pe_psums == layer.macs
    # Each output is written once for every tap and fold of the input channels, and read back for all but the first.
    assert used.buffer_psums_written == outputs * layer.fy * layer.fx * folds_c
    assert used.buffer_psums_read == outputs * (layer.fy * layer.fx * folds_c - 1)
    pixels = layer.n * layer.oy * layer.ox
    assert used.buffer_inputs == pixels * layer.g * layer.c * layer.fy * layer.fx * folds_k
