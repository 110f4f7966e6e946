from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.machine import Machine
from squeezesim.network.layer import Layer
from tests.cost.cases import layers, machine, machines, problem_of
from tests.cost.dataflow.arrays import Words, drawn_tile, whole

FLOWS = st.sampled_from(sorted(SCALESIM))
# Along the rows, along the columns, streaming; R is counted once in `scalesim_os`, twice where something is preloaded.
ROLES = {"scalesim_os": "MNK", "scalesim_ws": "KNM", "scalesim_is": "KMN"}


def by_folds(m: int, n: int, k: int, name: str, on: Machine) -> dict[str, int]:
    """One fold after the other: cycles, and the words that the used rows and columns move."""
    sizes = {"M": m, "N": n, "K": k}
    down, across, over_time = ROLES[name]
    preload = 0 if name == "scalesim_os" else on.rows
    counts = dict.fromkeys(("cycles", "stream", "busy", "inputs", "weights", "written"), 0)
    for first_row in range(0, sizes[down], on.rows):
        for first_column in range(0, sizes[across], on.cols):
            used = {
                down: min(on.rows, sizes[down] - first_row),
                across: min(on.cols, sizes[across] - first_column),
                over_time: sizes[over_time],
            }
            counts["stream"] += used[over_time]
            counts["cycles"] += used[over_time] + preload + on.rows + on.cols - 2
            counts["busy"] += used["M"] * used["N"] * used["K"]
            counts["inputs"] += used["M"] * used["K"]
            counts["weights"] += used["K"] * used["N"]
            counts["written"] += used["M"] * used["N"]
    return counts


@settings(max_examples=300)
@given(layers(), machines(paces=()), FLOWS)
def test_equals_folds_one_by_one(layer: Layer, on: Machine, name: str) -> None:
    flow, problem = SCALESIM[name], problem_of(layer, on)
    m, n, k = int(problem.pixels[0]), layer.k, layer.fy * layer.fx * layer.c
    expected = {key: layer.g * value for key, value in by_folds(m, n, k, name, on).items()}
    work = whole(flow, layer, on)
    assert (work.cycles, work.stream, work.busy) == (expected["cycles"], expected["stream"], expected["busy"])
    assert expected["busy"] == layer.g * m * n * k
    words = Words(work)
    assert words("buffer", "inputs", "read") == expected["inputs"]
    assert words("buffer", "weights", "read") == expected["weights"]
    assert words("buffer", "psums", "write") == expected["written"]
    of = flow.bounds
    pixel = of.pixel_terms(problem, problem.n, problem.y, problem.x, on)
    channel = of.channel_terms(problem, problem.g, problem.k, problem.c, on)
    (bound,) = of.cycles(pixel, channel)
    assert sum(a * b for a, b in bound) == work.cycles


@given(layers(), machines(paces=()), FLOWS, st.data())
def test_a_tile_is_folds_too(layer: Layer, on: Machine, name: str, data: st.DataObject) -> None:
    problem = problem_of(layer, on)
    work = SCALESIM[name].tile_cost(problem, drawn_tile(problem, data), on)
    assert 0 < work.busy[0] <= on.pes * work.stream[0]
    assert work.fill[0] >= 0


@given(layers(), machines(paces=()), FLOWS)
def test_every_operand_of_a_mac_is_in_a_register_or_comes_from_a_neighbour(
    layer: Layer, on: Machine, name: str
) -> None:
    flow, problem = SCALESIM[name], problem_of(layer, on)
    words, macs = Words(whole(flow, layer, on)), int(problem.macs[0])
    stays = {"scalesim_os": "psums", "scalesim_ws": "weights", "scalesim_is": "inputs"}[name]
    for operand in ("inputs", "weights"):
        register, moved = words("register_file", operand), words("inter_pe", operand)
        read = words("buffer", operand, "read")
        assert (register, moved) == ((macs + read, 0) if operand == stays else (0, macs - read))
        assert moved >= 0
    sums = words("register_file", "psums"), words("inter_pe", "psums")
    assert sums == ((2 * macs, 0) if stays == "psums" else (0, macs))


@pytest.mark.parametrize(
    ("name", "cycles", "efficiency"),
    [
        ("scalesim_os", 5 * 2 * (72 + 14), 36 * 16 / (5 * 2 * 64)),
        ("scalesim_ws", 9 * 2 * (36 + 22), 1.0),
        ("scalesim_is", 9 * 5 * (16 + 22), 36 * 72 / (9 * 5 * 64)),
    ],
)
def test_hand_worked_convolution(name: str, cycles: int, efficiency: float) -> None:
    on = machine(rows=8, cols=8)
    layer = Layer.conv("a", c=8, k=16, oy=6, ox=6, fy=3, fx=3, padding=0)
    shown = printed(SCALESIM[name], problem_of(layer, on), on)
    assert shown.total_cycles == cycles - 1
    assert shown.mapping_efficiency == pytest.approx(efficiency, rel=1e-12)


@given(layers(), machines(row_words=1), FLOWS)
def test_groups_are_printed_as_layers_of_their_own(layer: Layer, on: Machine, name: str) -> None:
    m, n, k = layer.n * layer.oy * layer.ox, layer.k, layer.fy * layer.fx * layer.c
    alone = printed(SCALESIM[name], problem_of(Layer.matmul("a", m=m, n=n, k=k), on), on)
    shown = printed(SCALESIM[name], problem_of(layer, on), on)
    assert shown.total_cycles == layer.g * alone.total_cycles
    assert shown.ifmap_reads == layer.g * alone.ifmap_reads
    assert math.isclose(shown.mapping_efficiency[0], alone.mapping_efficiency[0])
