from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from squeezesim import Accelerator, Mapping
from squeezesim.cost.costs import CAUSES
from squeezesim.cost.machine import LEVELS as SPENT_ON
from squeezesim.errors import UsageError
from squeezesim.hardware.parts import LEVELS
from squeezesim.network import Layer, Network
from squeezesim.report.diagnosis import shape_of
from squeezesim.report.explain import Explained, explain, summary
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, network, report, reports

QUICK = {"memory.dram.bandwidth_gb_s": 10_000, "memory.dram.latency_ns": 0, "control.layer_setup_cycles": 0}


def of(layer: Layer, **changes: Any) -> Explained:
    """The explanation of the one layer of a network, on an array that waits for nothing."""
    named = {key.replace("__", "."): value for key, value in changes.items()}
    (found,) = explain(simulate(Network.from_layers([layer]), accelerator(QUICK | named)))
    return found


@few
@given(reports())
def test_every_layer_is_in_one_shape_and_the_longest_come_first(made: Report) -> None:
    found = explain(made, most=100)
    cycles = {row["name"]: row["cycles"] for row in made.rows()}
    assert sorted(name for part in found for name in part.layers) == sorted(
        name for name in cycles if cycles[name]
    )
    shapes = {layer.name: shape_of(layer) for layer in made.network.layers}
    for part in found:
        assert len({shapes[name] for name in part.layers}) == 1
        assert part.cycles == sum(cycles[name] for name in part.layers)
        assert part.share == part.cycles / sum(cycles.values())
        assert part.sentences[0].startswith(part.layers[0])
        assert "\n" not in str(part)
    assert [part.cycles for part in found] == sorted((part.cycles for part in found), reverse=True)
    assert explain(made, most=1) == found[:1]


@few
@given(reports())
def test_every_loss_of_a_twentieth_has_a_sentence(made: Report) -> None:
    losses = {
        layer.name: row for layer, row in zip(made.network.layers, made.tally.losses.tolist(), strict=True)
    }
    rows = {row["name"]: row for row in made.rows()}
    for part in explain(made, most=100):
        row = rows[part.layers[0]]
        spent = made.machine.pes * row["cycles"]
        shares = {cause: loss / spent for cause, loss in zip(CAUSES, losses[row["name"]], strict=True)}
        assert part.losses == {cause: shares[cause] for cause in part.losses}
        assert list(part.losses.values()) == sorted(part.losses.values(), reverse=True)
        assert part.dataflow == row["dataflow"]
        if row["macs"]:
            assert set(part.losses) == {cause for cause, share in shares.items() if share >= 0.05}
            assert {part.dataflow, *part.ratios} == set(made.accelerator.array.dataflows)
            assert all(factor >= 1 for factor in part.ratios.values())
        else:
            assert (len(part.losses), part.ratios) == (1, {})
        assert len(part.sentences) == 1 + len(part.ratios) + len(part.losses)
        assert len(losses[row["name"]]) == len(CAUSES)


def test_the_dataflow_that_was_not_chosen_by_hand() -> None:
    """3 input channels on 8 rows: ws streams 16·16 pixels for each of 9·2 blocks of weights."""
    layer = Layer.conv("a", c=3, k=16, oy=16, ox=16, fy=3, fx=3)
    made = {
        name: simulate(Network.from_layers([layer]), accelerator(QUICK | {"array.dataflows": [name]}))
        for name in ("ws", "os")
    }
    ws, os = (made[name].totals["cycles"] for name in ("ws", "os"))
    assert ws is not None
    assert os is not None
    assert ws > os
    found = of(layer)
    assert (found.dataflow, found.ratios) == ("os", {"ws": ws / os})
    (alone,) = made["ws"].bottlenecks()
    assert alone.cause == "edge"
    assert str(alone.axes[0]) in found.sentences[1]
    assert f" {100 * alone.lost:.1f} % " in found.sentences[1]


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_a_choice_by_another_objective_is_told_by_it(objective: str) -> None:
    layer = Layer.conv("a", c=24, k=16, oy=16, ox=16, fy=3, fx=3)
    changes = {"mapper__objective": objective}
    made = {
        name: simulate(
            Network.from_layers([layer]),
            accelerator(QUICK | {"mapper.objective": objective, "array.dataflows": [name]}),
        )
        for name in ("ws", "os")
    }
    power = 1 if objective == "edp" else 0
    values = {
        name: float(each.tally.energy.sum()) * int(each.tally.cycles.sum()) ** power
        for name, each in made.items()
    }
    best, other = sorted(values, key=lambda name: values[name])
    found = of(layer, **changes)
    assert found.dataflow == best
    assert dict(found.ratios) == pytest.approx({other: values[other] / values[best]})
    assert f" {values[other] / values[best]:.2f}× less energy" in found.sentences[1]


BESIDE = Layer.vector("beside", op="softmax", k=512, oy=56, ox=56)
NARROW = Layer.conv("narrow", c=960, k=160, oy=7, ox=7, fy=1, fx=1)
SQUARE = Layer.conv("square", c=64, k=64, oy=28, ox=28, fy=3, fx=3)
DEPTHWISE = Layer.conv("depthwise", c=64, k=64, groups=64, oy=28, ox=28, fy=3, fx=3)


@pytest.mark.parametrize("layers", [[BESIDE, NARROW], [BESIDE, SQUARE], [BESIDE, DEPTHWISE, NARROW]])
def test_by_edp_the_best_tiling_of_another_dataflow_is_that_beside_the_other_layers(
    layers: list[Layer],
) -> None:
    """Oracle: the same network with all other layers in the mappings that they have, and one dataflow left."""
    on = Accelerator.named("hybrid_32x32").replace({"mapper.objective": "edp"})
    made = simulate(Network.from_layers(layers), on)
    name = layers[-1].name
    found = next(part for part in explain(made) if part.layers == (name,))
    ((flow, ratio),) = found.ratios.items()
    others = {other: given for other, given in made.mapping.layers.items() if other != name}
    beside = Mapping(others, placement=made.mapping.placement)
    best = simulate(made.network, on.replace({"array.dataflows": [flow]}), mapping=beside)
    products = [float(each.tally.cycles.sum()) * float(each.tally.energy.sum()) for each in (best, made)]
    assert ratio == pytest.approx(products[0] / products[1], rel=1e-12)
    assert ratio >= 1


def test_one_dataflow_leaves_nothing_to_choose() -> None:
    layer = Layer.conv("a", c=3, k=16, oy=16, ox=16, fy=3, fx=3)
    found = of(layer, array__dataflows=["ws"])
    assert (found.dataflow, found.ratios) == ("ws", {})
    assert len(found.sentences) == 1 + len(found.losses)


def test_a_layer_named_by_a_number_is_a_layer() -> None:
    layers = [Layer.conv("5", c=8, k=8, oy=16, ox=16, fy=1, fx=1)]
    (found,) = explain(simulate(Network.from_layers(layers), accelerator()))
    assert found.layers == ("5",)
    assert found.share == 1
    assert found.sentences[0].startswith("layer 5 ")


@few
@given(reports())
def test_sentences_on_several_layers_say_each_or_their(made: Report) -> None:
    for part in explain(made, most=100):
        first, *others = part.sentences
        assert (" take " in first) == (len(part.layers) > 1)
        for text in others if len(part.layers) > 1 else ():
            assert not text.startswith(("it ", "its ", "setting it "))
        for text in others if len(part.layers) == 1 else ():
            assert "their" not in text
            assert not text.startswith("each ")


def test_dataflows_that_are_even_are_not_said_to_be_faster() -> None:
    """Weights are all that is moved, and the layer is DRAM-bound whatever the dataflow."""
    layer = Layer.matmul("fc", m=1, n=512, k=256)
    slow = accelerator({"memory.dram.bandwidth_gb_s": 0.01})
    (found,) = explain(simulate(Network.from_layers([layer]), slow))
    assert list(found.ratios.values()) == [pytest.approx(1, abs=0.005)]
    assert "×" not in found.sentences[1]


def test_equal_layers_are_explained_together() -> None:
    one = Layer.conv("a", c=8, k=8, oy=16, ox=16, fy=1, fx=1)
    other = Layer.conv("c", c=8, k=8, oy=4, ox=4, fy=1, fx=1)
    made = simulate(Network.from_layers([one, replace(one, name="b", stage="stage1"), other]), accelerator())
    found = explain(made)
    assert [part.layers for part in found] == [("a", "b"), ("c",)]
    assert [part.share for part in found] == [part.cycles / made.tally.cycles.sum() for part in found]


def test_one_layer_in_detail() -> None:
    """16·16·16 words of inputs and as many outputs, 16·9 of weights, 2 bytes each: 16,672 bytes."""
    made = report()
    (found,) = explain(made, "stage1.depthwise")
    row = next(row for row in made.rows() if row["name"] == "stage1.depthwise")
    assert found.layers == ("stage1.depthwise",)
    tiles, moves, energy = found.sentences[-3:]
    assert tiles.endswith(row["tiling"])
    assert row["dram_bytes"] == 16672
    assert re.findall(r"[\d.]+", moves) == ["16.3", "49.1", "49.1", "1.7"]
    names = {part.lstrip("0123456789. %") for part in energy.partition(": ")[2].split(", ")}
    assert names <= set(SPENT_ON.values())


def test_the_second_of_equal_layers_is_the_one_that_is_named() -> None:
    one = Layer.conv("a", c=8, k=8, oy=16, ox=16, fy=1, fx=1)
    made = simulate(Network.from_layers([one, replace(one, name="b")]), accelerator())
    (found,) = explain(made, "b")
    assert (found.layers, found.share) == (("a", "b"), 1)
    assert found.sentences[0].startswith("b and 1 ")


def test_a_layer_that_takes_no_time() -> None:
    (found,) = explain(report(), "stage1.concat")
    assert (found.layers, found.cycles, found.share, found.losses) == (("stage1.concat",), 0, 0, {})


def test_a_layer_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        explain(report(), "stage1.dephwise")
    assert str(caught.value) == (
        "network 'small' has no layer 'stage1.dephwise'; allowed: a name that squeezesim profile --by layer prints; "
        "did you mean 'stage1.depthwise' or 'stage1.add' or 'stage1.b'?"
    )


@few
@given(reports())
def test_the_summary_has_the_network_s_numbers(made: Report) -> None:
    lines = summary(made)
    assert lines[0].startswith("latency ")
    whole = made.tally.total()
    shares = whole.losses[0] / (made.machine.pes * int(whole.cycles[0]))
    listed = [line for line in lines if line.startswith("lost PE-cycles: ")]
    assert len(listed) == int((shares >= 0.01).any())
    for line in listed:
        assert line.count("%") == (shares >= 0.01).sum()
        assert f"{100 * shares.max():.1f} %" in line.partition(",")[0]


def test_summary_of_a_known_network() -> None:
    lines = summary(simulate(network(), accelerator()))
    assert [line.partition(" ")[0] for line in lines] == ["latency", "lost", "time", "time"]
    made = report()
    whole = made.tally.total()
    bounds = whole.time[0] / whole.cycles[0]
    stages = {
        name: sum(row["share"] for row in made.rows() if row["stage"] == name)
        for name in ("stem", "stage1", "head")
    }
    for line, shares in ((lines[2], list(stages.values())), (lines[3], bounds.tolist())):
        listed = sorted((share for share in shares if share >= 0.01), reverse=True)
        assert re.findall(r"([\d.]+) %", line) == [f"{100 * share:.1f}" for share in listed]
    assert lines[2].rpartition(": ")[2].startswith(max(stages, key=lambda name: stages[name]))


def test_energy_is_told_in_the_unit_that_there_is() -> None:
    (relative,) = explain(report(), "stem.conv")
    (absolute,) = explain(report({"energy.pj_per_unit": 2.5}), "stem.conv")
    assert " MAC-equivalents: " in relative.sentences[-1]
    row = next(row for row in report({"energy.pj_per_unit": 2.5}).rows() if row["name"] == "stem.conv")
    assert f" {row['energy_uj']:.4g} µJ: " in absolute.sentences[-1]


def test_where_nothing_costs_energy_the_choice_is_even() -> None:
    free = dict.fromkeys(LEVELS, 0)
    changes = {"energy.overrides": free, "mapper.objective": "energy"}
    layer = Layer.conv("conv", c=3, k=4, oy=6, ox=6, fy=3, fx=3)
    (found,) = explain(simulate(Network.from_layers([layer]), accelerator(changes)), "conv")
    assert list(found.ratios.values()) == [1]
    assert {found.dataflow, *found.ratios} == {"ws", "os"}
    assert "×" not in found.sentences[1]
