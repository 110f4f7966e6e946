from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from squeezesim.errors import UsageError
from squeezesim.explore.advise import (
    KINDS,
    LEAST,
    BuiltIn,
    Proposal,
    Runs,
    accelerators,
    advise,
    blocks,
    channels,
    together,
)
from squeezesim.explore.allocate.additive import cut
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.network.compress.pruning import prune, prune_channels
from squeezesim.report import units
from squeezesim.report.explain import explain
from squeezesim.report.names import display_name
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from squeezesim.zoo.registry import parse_spec
from tests.report.cases import accelerator, report, reports

SQUEEZE = Accelerator.named("squeezelerator_16x16")


def confirm(proposal: Proposal) -> None:
    """Check that what a proposal says to save is the difference of two simulations."""
    before = simulate(proposal.before.network, proposal.before.accelerator)
    after = simulate(proposal.after.network, proposal.after.accelerator)
    assert (before, after) == (proposal.before, proposal.after)
    row = proposal.row()
    assert proposal.saved_cycles == before.totals["cycles"] - after.totals["cycles"]  # type: ignore[operator]
    assert row["saved_cycles"] == proposal.saved_cycles
    for name in ("latency_us", "energy_mac_equiv"):
        assert row[f"saved_{name}"] == before.totals[name] - after.totals[name]  # type: ignore[operator]
    assert (before.network == after.network) != (before.accelerator == after.accelerator)


def cycles_of(made: Report, layer: str) -> int:
    return sum(row["cycles"] for row in made.rows() if row["name"] == layer)


@settings(max_examples=12)
@given(reports())
def test_every_saving_is_the_difference_of_two_simulations(made: Report) -> None:
    found = advise(made)
    for proposal in found:
        confirm(proposal)
        assert proposal.before is made
        assert proposal.kind in KINDS
        assert proposal.saved_cycles >= LEAST * int(made.tally.cycles.sum())
        assert proposal.saved_layer_cycles is None
        assert "\n" not in str(proposal)
        assert str(proposal).startswith(f"{proposal.change}: saves ")
        assert proposal.assumption in str(proposal)
    savings = [proposal.saved_cycles for proposal in found]
    assert savings == sorted(savings, reverse=True)
    kinds = [proposal.kind for proposal in found]
    assert all(kinds.count(kind) <= 2 for kind in kinds)
    assert advise(made, most=1) == found[:1] or not found


@settings(max_examples=12)
@given(reports())
def test_of_one_layer_only_what_saves_its_own_cycles_counts(made: Report) -> None:
    name = made.network.layers[-1].name
    for proposal in advise(made, name):
        confirm(proposal)
        saved = cycles_of(proposal.before, name) - cycles_of(proposal.after, name)
        assert proposal.saved_layer_cycles == saved
        assert saved >= LEAST * cycles_of(made, name)
        assert proposal.saved_cycles > 0
        count, layer = units.count(saved), display_name(name)
        own = f"{count} of them in {layer}" if saved <= proposal.saved_cycles else f"{layer} saves {count}"
        assert own in str(proposal)


def test_what_makes_a_layer_faster_and_the_network_slower_is_not_proposed() -> None:
    """By energy, tilings that a larger buffer allows take longer in all."""
    changes = {"mapper.objective": "energy", "memory.global_buffer.size_kib": 32}
    made = simulate(replace(load("resnet18"), source=""), Accelerator.named("hybrid_32x32").replace(changes))
    (larger,) = [each for each in accelerators(made, "stem.conv") if each.kind == "buffer"]
    confirm(larger)
    assert larger.saved_cycles < 0
    assert larger.saved_layer_cycles is not None
    assert larger.saved_layer_cycles > LEAST * cycles_of(made, "stem.conv")
    assert f": costs {units.count(-larger.saved_cycles)} cycles (" in str(larger)
    assert "buffer" not in [each.kind for each in advise(made, "stem.conv")]


def test_a_proposal_is_short_where_an_expression_ends_in_it() -> None:
    for proposal in advise(report()):
        assert len(repr(proposal)) < 160
        assert proposal.change in repr(proposal)


@settings(max_examples=12)
@given(reports(), reports())
def test_layers_that_were_costed_are_not_costed_again_and_come_out_the_same(
    made: Report, other: Report
) -> None:
    runs = Runs(made)
    assert runs.report(made.network) == made
    for network in (other.network, made.network, other.network):
        assert runs.report(network) == simulate(network, made.accelerator)


def test_another_dataflow_beside_the_array_s_own() -> None:
    """3 input channels fill 3 of 8 rows with ws; os has 256 pixels for 64 PEs."""
    layer = Layer.conv("a", c=3, k=16, oy=16, ox=16, fy=3, fx=3)
    made = simulate(Network.from_layers([layer]), accelerator({"array.dataflows": ["ws"]}))
    (found,) = [each for each in accelerators(made) if each.kind == "dataflow"]
    confirm(found)
    assert found.after == simulate(made.network, accelerator({"array.dataflows": ["ws", "os"]}))
    assert set(re.findall(r"\b[wo]s\b", found.change.partition("→")[2])) == {"ws", "os"}
    assert found.after.rows()[0]["dataflow"] == "os"
    assert found.saved_cycles > 0


@pytest.mark.parametrize(
    ("dataflows", "others"),
    [
        (["ws", "os"], []),
        (["rs"], []),
        (["scalesim_ws"], ["scalesim_os", "scalesim_is"]),
    ],
)
def test_only_dataflows_of_the_same_kind_are_added(dataflows: list[str], others: list[str]) -> None:
    made = report({"array.dataflows": dataflows})
    found = [each.after.accelerator.array.dataflows for each in accelerators(made) if each.kind == "dataflow"]
    assert found == [(*dataflows, name) for name in others]


def test_a_buffer_s_port_is_widened_only_where_it_is_the_bottleneck() -> None:
    def ports(made: Report) -> list[float | None]:
        own = made.accelerator.memory.global_buffer.bytes_per_cycle
        rates = [each.after.accelerator.memory.global_buffer.bytes_per_cycle for each in accelerators(made)]
        return [rate for rate in rates if rate != own]

    assert ports(report()) == []
    assert ports(report({"memory.global_buffer.bytes_per_cycle": 4})) == [8]


def test_every_memory_may_be_twice_as_fast() -> None:
    flash = {"flash": {"bandwidth_gb_s": 0.01, "holds": ["weights"]}}
    made = simulate(report().network, accelerator({"memory.stores": flash}))
    dram, of_flash = (each for each in accelerators(made) if each.kind == "bandwidth")
    assert of_flash.change == "memory.stores.flash.bandwidth_gb_s 0.01 → 0.02"
    assert of_flash.saved_cycles > 10 * dram.saved_cycles > 0


def test_a_buffer_beyond_the_energy_table_is_not_proposed() -> None:
    largest = accelerator({"memory.global_buffer.size_kib": 4194304})
    kinds = [each.kind for each in accelerators(simulate(report().network, largest))]
    assert "buffer" not in kinds
    assert "bandwidth" in kinds


def pair(k: int, groups: int = 1) -> Report:
    """A layer of *k* filters that another reads, on 8 columns, weight stationary."""
    layers = [
        Layer.conv("a", c=16, k=k, oy=16, ox=16, fy=3, fx=3, groups=groups),
        Layer.conv("b", c=k, k=8, oy=16, ox=16, fy=1, fx=1),
    ]
    return simulate(Network.from_layers(layers), accelerator({"array.dataflows": ["ws"]}))


def test_channels_beyond_a_multiple_of_the_columns_are_removed() -> None:
    made = pair(18)
    (found,) = channels(made, Runs(made), {"a"})
    confirm(found)
    assert re.findall(r"\d+", found.change) == ["18", "16", "8"]
    assert [(layer.k, layer.c) for layer in found.after.network.layers] == [(16, 16), (8, 16)]
    assert found.after.network == prune_channels(made.network, {"a": 16 / 18})
    assert found.saved_cycles > 0


@pytest.mark.parametrize("made", [pair(16), pair(6), pair(20, groups=2)], ids=["multiple", "few", "groups"])
def test_channels_that_are_a_multiple_or_too_few_stay(made: Report) -> None:
    multiple = made.network.layers[0].g * 8
    found = list(channels(made, Runs(made), {"a"}))
    assert all(layer.k % 8 == 0 for each in found for layer in each.after.network.layers)
    assert bool(found) == (made.network.layers[1].c > multiple and made.network.layers[1].c % multiple > 0)


def test_channels_along_no_column_stay() -> None:
    made = simulate(pair(18).network, accelerator({"array.dataflows": ["os"]}))
    assert list(channels(made, Runs(made), {"a"})) == []


def test_channels_that_meet_are_removed_together() -> None:
    a = Layer.conv("a", c=8, k=18, oy=8, ox=8, fy=1, fx=1)
    add = Layer.vector("add", op="add", k=18, oy=8, ox=8, operands=2, inputs=["a", "b"])
    layers = [
        a,
        replace(a, name="b", inputs=("input",)),
        add,
        Layer.conv("c", c=18, k=8, oy=8, ox=8, fy=1, fx=1),
    ]
    made = simulate(Network.from_layers(layers), accelerator({"array.dataflows": ["ws"]}))
    (found,) = channels(made, Runs(made), {"b"})
    confirm(found)
    assert re.findall(r"\d+", found.change) == ["1", "18", "16", "8"]
    assert [layer.k for layer in found.after.network.layers] == [16, 16, 16, 8]


@pytest.mark.parametrize(
    ("deep", "shallow", "wanted"),
    [
        ("squeezenext_44", "squeezenext_23", "squeezenext_34"),
        ("squeezenext_44", "squeezenext_23", "squeezenext_23"),
        ("resnet34", "resnet18", "resnet18"),
    ],
)
def test_a_network_of_fewer_blocks_is_the_one_that_is_built(deep: str, shallow: str, wanted: str) -> None:
    specs = [parse_spec(name) for name in (deep, shallow, wanted)]
    depths = [spec.options["depth"] for spec in specs]
    networks = [load(name).fused for name in (deep, shallow, wanted)]
    pieces = cut(networks[0], depths[0], networks[1], depths[1])  # type: ignore[arg-type]
    made = pieces.assembled(depths[2], str(specs[2]), specs[2].notes)  # type: ignore[arg-type]
    assert made == replace(networks[2], notes=specs[2].notes)


def test_the_best_block_to_move_of_squeezenext() -> None:
    made = simulate(load("squeezenext_23"), SQUEEZE)
    own = BuiltIn.of(made, cache=False)
    assert own is not None
    (found,) = blocks(made, Runs(made), own, cache=False)
    confirm(found)
    assert re.findall(r"[\d-]+", found.change) == ["6-6-8-1", "5-6-9-1", "1", "3"]
    assert found.after.network.name == "squeezenext_23@depth=5-6-9-1"
    assert found.after.network.params == found.before.network.params + 35088


@pytest.mark.slow
def test_no_other_move_saves_more_and_the_network_is_the_one_that_is_traced() -> None:
    made = simulate(load("squeezenext_23"), SQUEEZE)
    own = BuiltIn.of(made, cache=False)
    assert own is not None
    (found,) = blocks(made, Runs(made), own, cache=False)
    cycles = {}
    for taken in range(3):  # stage 4 has one block
        for grown in range(4):
            if taken != grown:
                depth = [6, 6, 8, 1]
                depth[taken] -= 1
                depth[grown] += 1
                network = load("squeezenext_23", depth=tuple(depth), cache=False)
                cycles[tuple(depth)] = int(Runs(made).report(network).tally.cycles.sum())
    best = min(cycles, key=lambda depth: cycles[depth])
    assert best == (5, 6, 9, 1)
    assert found.saved_cycles == int(made.tally.cycles.sum()) - cycles[best]
    assert found.after.network == load("squeezenext_23", depth=best, cache=False).fused


@pytest.mark.slow
@pytest.mark.parametrize("model", ["squeezenet_1_0", "mobilenet_v1", "resnet18"])
def test_built_in_networks_are_advised_and_every_move_confirmed(model: str) -> None:
    found = advise(simulate(load(model), SQUEEZE), cache=False)
    assert len(found) > 1
    for proposal in found:
        confirm(proposal)
        if proposal.kind in ("blocks", "kernel"):
            assert load(proposal.after.network.name, cache=False).fused == proposal.after.network


@pytest.mark.slow
def test_a_smaller_first_filter_of_squeezenext() -> None:
    made = simulate(load("squeezenext_23"), SQUEEZE)
    (found,) = [each for each in advise(made, "stem.conv", cache=False) if each.kind == "kernel"]
    confirm(found)
    assert re.findall(r"\d+", found.change) == ["1", "7", "5", "7", "7", "5", "5"]
    assert found.after.network == load("squeezenext_23", conv1=5, cache=False).fused


@pytest.mark.slow
def test_blocks_of_a_network_that_none_is_deeper_than_are_traced() -> None:
    made = simulate(load("squeezenext_44"), SQUEEZE)
    own = BuiltIn.of(made, cache=False)
    assert own is not None
    (found,) = blocks(made, Runs(made), own, cache=False)
    confirm(found)
    assert found.after.network == load(found.after.network.name, cache=False).fused


@pytest.mark.slow
def test_blocks_that_depend_on_how_many_there_are_are_not_moved() -> None:
    """In DenseNet all layers after a stage read what its blocks add."""
    made = simulate(load("densenet121"), SQUEEZE)
    own = BuiltIn.of(made, cache=False)
    assert own is not None
    assert list(blocks(made, Runs(made), own, cache=False)) == []


@pytest.mark.parametrize(
    "network",
    [
        report().network,
        prune(load("alexnet"), 0.5),
        replace(load("alexnet"), source="a file"),
        replace(load("alexnet"), name="alexnets"),
    ],
    ids=["layers", "pruned", "elsewhere", "unknown"],
)
def test_what_is_no_built_in_network_is_not_taken_for_one(network: Network) -> None:
    made = simulate(network, SQUEEZE.replace({"memory.global_buffer.size_kib": 256}))
    assert BuiltIn.of(made, cache=False) is None


def test_a_layer_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^network 'small' has no layer 'x'; allowed: "):
        advise(report(), "x")


@pytest.mark.slow
def test_the_page_s_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")
    exec(compile(page.partition("```python\n")[2].partition("```")[0], "explain.md", "exec"), {})
    assert capsys.readouterr().out.startswith("stem.conv 0.12")


def test_the_page_names_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")
    kinds = re.findall(r"^\| `(\w+)` \|", page.partition("## Proposals")[2], re.MULTILINE)
    assert tuple(kinds) == KINDS


def test_ports_and_output_words_of_units_that_run_layers_are_proposed() -> None:
    own = {
        "conv": {"unroll": {"c": 4, "k": 8}, "stationary": "weights", "ports": 2, "output_words": 1},
        "idle": {"unroll": {"g": 2}, "runs": ["grouped"], "output_words": 1},
    }
    parts = {"all": {"size_kib": 16, "holds": ["inputs", "weights", "outputs"]}}
    changes = {"array.units": own, "array.dataflows": [], "memory.global_buffer": {"parts": parts}}
    made = simulate(report().network, accelerator(changes))
    found = {each.change: each for each in accelerators(made)}
    assert [text for text, each in found.items() if each.kind == "unit"] == [
        "array.units.conv.ports 2 → 4",
        "array.units.conv.output_words 1 → 2",
    ]
    assert all(each.saved_cycles > 0 for each in found.values() if each.kind == "unit")
    assert [text for text, each in found.items() if each.kind == "buffer"] == [
        "memory.global_buffer.parts.all.size_kib 16 → 32"
    ]


def test_a_notebook_shows_proposals_and_explanations_as_tables_with_names_escaped() -> None:
    first = replace(report().network.layers[0], name="<script>x</script>", inputs=("input",))
    made = simulate(Network.from_layers([first], name="strange"), accelerator())
    assert "&lt;script&gt;" in explain(made)._repr_html_()  # type: ignore[attr-defined]
    found = advise(report())
    for shown in (advise(made), explain(made), found, found[0]):
        html = shown._repr_html_()  # type: ignore[union-attr]
        assert html.startswith("<div>")
        assert "<script>" not in html
    assert all(each.change.split(" ", maxsplit=1)[0] in found._repr_html_() for each in found)  # type: ignore[attr-defined]


def test_a_change_is_proposed_once_as_the_size_that_keeps_a_map() -> None:
    """Twice the buffer is the smallest size that keeps the first map: 1,024 KiB."""
    found = advise(simulate("squeezenext_23", "ws_32x32"), most=20)
    sizes = [each.kind for each in found if each.after.accelerator.memory.global_buffer.size_kib == 1024]
    assert sizes == ["size"]


def first_of(module: object, shape: str, machine: Accelerator) -> Proposal:
    """The first proposal for a module of one's own."""
    made = simulate(load(module, input_shape=shape), machine)
    found = advise(made)[0]
    confirm(found)
    return found


@pytest.mark.torch
def test_the_best_three_that_go_together_are_simulated_in_one() -> None:
    found = advise(simulate("squeezenext_23", "squeezelerator_16x16"))
    assert [each.kind for each in found[:3]] == ["bandwidth", "keeps", "kernel"]
    joint = found.together
    assert joint is not None
    assert joint.change == "proposals 1, 2 and 3 together"
    memory = {"memory.dram.bandwidth_gb_s": 32.0, "memory.global_buffer.keeps": ["activations"]}
    assert joint.after == simulate(load("squeezenext_23", conv1=5), SQUEEZE.replace(memory))
    assert joint.saved_cycles > found[0].saved_cycles


@pytest.mark.torch
def test_of_changes_of_one_parameter_or_of_the_network_the_first_counts() -> None:
    made = simulate("squeezenext_23", SQUEEZE)
    sizes = [
        Proposal("size", "", "", made, made, values={"memory.global_buffer.size_kib": kib})
        for kib in (256, 512)
    ]
    nets = [
        Proposal("kernel", "", "", made, simulate(load("squeezenext_23", conv1=size), SQUEEZE))
        for size in (5, 3)
    ]
    joint = together([sizes[0], sizes[1], nets[0], nets[1]])
    assert joint is not None
    assert joint.change == "proposals 1 and 3 together"
    larger = SQUEEZE.replace({"memory.global_buffer.size_kib": 256})
    assert joint.after == simulate(load("squeezenext_23", conv1=5), larger)
    assert together(sizes) is None
    assert together([]) is None


@pytest.mark.torch
def test_filters_that_are_fewer_than_the_columns_want_fewer_columns() -> None:
    """8 filters of 64 channels leave 24 of 32 columns idle in ws, which is bound by compute: 64 × 16 PEs hold all
    channels of a tap at once, and leave half of the columns idle instead of three quarters."""
    from torch import nn

    module = nn.Sequential(nn.Conv2d(64, 8, 3, padding=1), nn.Conv2d(8, 64, 1))
    found = first_of(module, "64x28x28", Accelerator.named("ws_32x32"))
    assert found.before.rows()[0]["bound"] == "compute"
    assert (found.kind, found.change) == ("array", "array 32×32 → 64×16, rows × columns")
    assert found.after.accelerator.array.pes == found.before.accelerator.array.pes


@pytest.mark.torch
def test_additions_that_take_a_third_of_the_time_want_to_join() -> None:
    """Each addition reads two maps and writes one, after the layer before has written its own: on the way out of the
    array it loads one map, beside the array's work."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList([nn.Conv2d(64, 64, 1, bias=False) for _ in range(4)])
            self.norms = nn.ModuleList([nn.BatchNorm2d(64) for _ in range(4)])

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for conv, norm in zip(self.convs, self.norms, strict=True):
                x = x + norm(conv(x))
            return x

    found = first_of(Residual(), "64x28x28", Accelerator.named("hybrid_32x32"))
    spent = sum(row["share"] for row in found.before.rows() if row["op"] == "add")
    assert spent > 1 / 3
    assert (found.kind, found.change) == ("post_ops", "array.post_ops none → add")
    assert len(found.after.joined) == 4


@pytest.mark.torch
def test_norms_that_take_a_third_of_the_time_want_lanes() -> None:
    """A norm over features cannot join a product: its sums need all outputs of a row. It waits for 8 lanes."""
    from torch import nn

    layers = [layer for _ in range(3) for layer in (nn.Linear(128, 128), nn.LayerNorm(128))]
    machine = Accelerator.named("hybrid_32x32").replace({"vector.lanes": 8})
    found = first_of(nn.Sequential(*layers), "256x128", machine)
    spent = sum(row["share"] for row in found.before.rows() if row["op"] == "layer_norm")
    assert spent > 1 / 3
    assert (found.kind, found.change) == ("lanes", "vector.lanes 8 → 16")
