from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from squeezesim.cost.evaluate import LOSSES
from squeezesim.errors import UsageError
from squeezesim.hardware.parts import LEVELS
from squeezesim.network import Layer, Network
from squeezesim.report.diagnosis import shape_of
from squeezesim.report.explain import Explained, explain, summary
from squeezesim.report.figures.charts import LEVELS as LEVEL_WORDS
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
        if row["macs"]:
            spent = made.scale.pes * row["cycles"]
            large = [loss for loss in losses[row["name"]] if loss / spent >= 0.05]
            others = len(made.accelerator.array.dataflows) - 1
            assert len(part.sentences) == 1 + others + len(large)
        else:
            assert len(part.sentences) == 2
        assert len(losses[row["name"]]) == len(LOSSES)


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
    text = of(layer).sentences[1]
    assert text.startswith(
        f"os was chosen, {ws / os:.2f}× faster than the best tiling of ws, where its 3 input channels fill 3 of 8 "
        "rows, so that "
    )
    assert text.endswith(
        f"{100 * made['ws'].tally.losses[0, 0] / (64 * ws):.1f} % of its PE-cycles find no work"
    )


@pytest.mark.parametrize(
    ("objective", "words"), [("energy", "less energy than"), ("edp", "less energy · time than")]
)
def test_a_choice_by_another_objective_is_told_by_it(objective: str, words: str) -> None:
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
    text = of(layer, **changes).sentences[1]
    assert text.startswith(
        f"{best} was chosen, {values[other] / values[best]:.2f}× {words} the best tiling of {other}"
    )


def test_one_dataflow_leaves_nothing_to_choose() -> None:
    layer = Layer.conv("a", c=3, k=16, oy=16, ox=16, fy=3, fx=3)
    assert not any("chosen" in text for text in of(layer, array__dataflows=["ws"]).sentences)


def test_a_layer_named_by_a_number_is_a_layer() -> None:
    layers = [Layer.conv("5", c=8, k=8, oy=16, ox=16, fy=1, fx=1)]
    (found,) = explain(simulate(Network.from_layers(layers), accelerator()))
    assert found.layers == ("5",)
    assert found.sentences[0].startswith("layer 5 takes 100.0 % of the time ")


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
    """Weights are all that is moved, and DRAM sets the pace whatever the dataflow."""
    layer = Layer.matmul("fc", m=1, n=512, k=256)
    slow = accelerator({"memory.dram.bandwidth_gb_s": 0.01})
    (found,) = explain(simulate(Network.from_layers([layer]), slow))
    assert any(" was chosen, as fast as the best tiling of " in text for text in found.sentences)


def test_equal_layers_are_explained_together() -> None:
    one = Layer.conv("a", c=8, k=8, oy=16, ox=16, fy=1, fx=1)
    other = Layer.conv("c", c=8, k=8, oy=4, ox=4, fy=1, fx=1)
    made = simulate(Network.from_layers([one, replace(one, name="b", stage="stage1"), other]), accelerator())
    found = explain(made)
    assert [part.layers for part in found] == [("a", "b"), ("c",)]
    assert found[0].sentences[0].startswith("a and 1 layer of its shape take ")


def test_one_layer_in_detail() -> None:
    """16·16·16 words of inputs and as many outputs, 16·9 of weights, 2 bytes each: 16,672 bytes."""
    made = report()
    (found,) = explain(made, "stage1.depthwise")
    row = next(row for row in made.rows() if row["name"] == "stage1.depthwise")
    assert found.layers == ("stage1.depthwise",)
    assert f"its tiles are {row['tiling']}" in found.sentences
    assert any(
        text.startswith("it moves 16.3 KiB between DRAM and buffer: 49.1 % ") for text in found.sentences
    )
    (energy,) = [text for text in found.sentences if text.startswith("its energy is ")]
    names = {part.lstrip("0123456789. %") for part in energy.partition(": ")[2].split(", ")}
    assert names <= set(LEVEL_WORDS.values())


def test_the_second_of_equal_layers_is_the_one_that_is_named() -> None:
    one = Layer.conv("a", c=8, k=8, oy=16, ox=16, fy=1, fx=1)
    made = simulate(Network.from_layers([one, replace(one, name="b")]), accelerator())
    (found,) = explain(made, "b")
    assert found.sentences[0].startswith("b and 1 layer of its shape take 100.0 % of the time ")
    assert found.layers == ("a", "b")


def test_a_layer_that_takes_no_time() -> None:
    (found,) = explain(report(), "stage1.concat")
    assert found.sentences == ("stage1.concat takes no time on this accelerator",)


def test_a_layer_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UsageError) as caught:
        explain(report(), "stage1.dephwise")
    assert str(caught.value) == (
        "network 'small' has no layer 'stage1.dephwise'; allowed: a name that squeezesim profile prints; "
        "did you mean 'stage1.depthwise' or 'stage1.add' or 'stage1.b'?"
    )


@few
@given(reports())
def test_the_summary_has_the_network_s_numbers(made: Report) -> None:
    lines = summary(made)
    assert lines[0].startswith("it takes ")
    whole = made.tally.total()
    shares = whole.losses[0] / (made.scale.pes * int(whole.cycles[0]))
    listed = [line for line in lines if line.startswith("of its PE-cycles ")]
    assert len(listed) == int((shares >= 0.01).any())
    for line in listed:
        assert line.count("%") == (shares >= 0.01).sum()
        assert f"{100 * shares.max():.1f} %" in line.partition(",")[0]


def test_summary_of_a_known_network() -> None:
    lines = summary(simulate(network(), accelerator()))
    assert [line.partition(" ")[0] for line in lines] == ["it", "of", "by", "by"]
    assert lines[2].startswith("by stage: stage1 ")
    paced = lines[3].removeprefix("by what sets the pace: ").split("; ")
    assert all(part.endswith(" %") for part in paced)
    assert "set-up, first loads and last stores 10.7 %" in paced


def test_energy_is_told_in_the_unit_that_there_is() -> None:
    (relative,) = explain(report(), "stem.conv")
    (absolute,) = explain(report({"energy.pj_per_unit": 2.5}), "stem.conv")
    assert " MACs' worth: " in relative.sentences[-1]
    row = next(row for row in report({"energy.pj_per_unit": 2.5}).rows() if row["name"] == "stem.conv")
    assert absolute.sentences[-1].startswith(f"its energy is {row['energy_uj']:.4g} µJ: ")


def test_where_nothing_costs_energy_the_choice_is_even() -> None:
    free = dict.fromkeys(LEVELS, 0)
    changes = {"energy.overrides": free, "mapper.objective": "energy"}
    (found,) = explain(report(changes), "stem.conv")
    assert found.sentences[1].startswith(
        (
            "os was chosen, for as much energy as the best tiling of ws",
            "ws was chosen, for as much energy as the best tiling of os",
        )
    )
