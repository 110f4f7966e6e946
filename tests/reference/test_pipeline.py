from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.cost.traffic import AXES, MODES, Mode
from squeezesim.network.layer import Layer
from squeezesim.reference.pipeline import Case, Step, Transfer, closed_form, play_events, simulated
from tests.cost.cases import homes, layers, machine, machines_with_lanes, problem_of
from tests.reference.cases import at_least, tiles


@settings(max_examples=at_least(200), deadline=None)
@given(layers(largest=8), machines_with_lanes(), st.data())
def test_the_pipeline_equals_the_tiles_played_event_by_event(
    layer: Layer, on: Machine, data: st.DataObject
) -> None:
    check_against_events(layer, on, data)


@pytest.mark.slow
@settings(max_examples=at_least(2000), deadline=None)
@given(layers(largest=8), machines_with_lanes(), st.data())
def test_the_pipeline_equals_2000_tiles_played_event_by_event(
    layer: Layer, on: Machine, data: st.DataObject
) -> None:
    check_against_events(layer, on, data)


def check_against_events(layer: Layer, on: Machine, data: st.DataObject) -> None:
    problem = problem_of(layer, on, data.draw(homes(), label="homes"))
    sizes = data.draw(tiles(problem))._asdict()
    mode = data.draw(st.sampled_from(MODES), label="mode")
    flow = DATAFLOWS[data.draw(st.sampled_from(sorted(DATAFLOWS)), label="flow")]
    case = Case(problem, sizes, mode, flow, on)
    timing, played = closed_form(case), simulated(case)
    assert timing.cycles[0] == played.cycles
    assert (timing.stream + timing.fill + timing.buffer)[0] == played.array
    parts = (timing.setup, timing.startup, timing.stream, timing.fill, timing.buffer, *timing.memories)
    assert sum(part[0] for part in parts) == played.cycles
    assert all(part[0] >= 0 for part in parts)
    assert np.all(timing.memory_bound.sum(axis=0) + timing.buffer_bound <= timing.cycles)


def test_the_layer_worked_by_hand_in_timing_md() -> None:
    layer = Layer(name="a", op="conv2d", kind="mac", k=8, c=8, oy=1, ox=8, iy=1, ix=8)
    on = machine()
    sizes = dict(zip(AXES, (1, 1, 4, 1, 8, 8), strict=True))
    played = simulated(Case(problem_of(layer, on), sizes, Mode("PKC"), DATAFLOWS["ws"], on))
    assert played.cycles == 136
    assert played.array == 40
    assert played.bits == {"inputs": 128 * 8, "weights": 128 * 8, "outputs": 128 * 8, "psums": 0}


def steps(count: int, bits: int) -> list[Step]:
    """Tiles that each load inputs and store outputs of their own; the weights stay."""
    moves = [Transfer("inputs", "inputs", bits), Transfer("weights", "weights", bits)]
    store = Transfer("outputs", "outputs", bits)
    return [Step({}, True, True, tuple(moves if i == 0 else moves[:1]), True, store) for i in range(count)]


@pytest.mark.parametrize(
    ("single", "cycles"),
    [
        # Loads of 10 cycles with a latency of 5, 3 steps of 12 cycles of computing; a set-up of 3.
        ((), 3 + (15 + 15) + 12 + 20 + 12 + 15),
        # Inputs are loaded between the steps.
        (("double_inputs",), 3 + (15 + 15) + 12 + 15 + 12 + 15 + 12 + 15),
        # Outputs are stored between the steps.
        (("double_outputs",), 3 + (15 + 15) + 12 + 15 + 12 + 15 + 12 + 15),
        (("double_inputs", "double_outputs"), 3 + (15 + 15) + 12 + 30 + 12 + 30 + 12 + 15),
    ],
)
def test_slots_worked_by_hand(single: tuple[str, ...], cycles: int) -> None:
    on = machine(setup=3, dram_latency=5, **dict.fromkeys(single, False))
    assert play_events(steps(3, 8 * 4 * 10), lambda _: 12, on, Mode("PKC")).cycles == cycles
