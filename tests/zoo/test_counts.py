import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from squeezesim.load import cross_check, load, load_module, models
from squeezesim.zoo.build import trace_entry
from squeezesim.zoo.registry import build, catalogue, parse_spec

DATA = Path(__file__).parents[1] / "data"

# Of each kind of layer one network; what is tested of these is tested of others where slow tests run.
QUICK = [
    "squeezenext_23_v5",
    "squeezenet_1_0_complex_bypass",
    "alexnet",
    "tiny_darknet",
    "resnet18",
    "ghostnet",
    "mobilenet_v1",
    "mobilenet_v3_small",
    "shufflenet_v1_g3",
    "shufflenet_v2_x1_0",
    "deit_tiny",
]
LONGER = [
    "mobilenet_v2",
    "squeezenext_23_g",
    "squeezenet_1_1",
    "alexnet_owt",
    "vgg16",
    "resnet50",
    "densenet121",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "vit_b_16",
]
# Networks whose first fully connected layer, or positions, fix their input.
FIXED = ("alexnet", "alexnet_owt", "vgg16", "vgg19", "deit_tiny", "vit_b_16")


def parameters(names: Iterable[str], quick: Sequence[str] = QUICK) -> list[object]:
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in quick)) for name in names]


def rows(path: str) -> list[dict[str, str]]:
    with (DATA / path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows("counts/counts.csv"), ids=lambda row: f"{row['network']}-{row['input']}")
def test_counts_are_those_of_the_published_network(row):
    """See tests/data/counts/README.md."""
    network = load(row["network"], input_shape=row["input"])
    assert network.params == int(row["params"])
    assert str(network.macs) == row["macs"] or not row["macs"]


@pytest.mark.parametrize("name", models())
def test_the_default_input_and_the_facts_are_those_of_the_catalogue(name):
    entry = catalogue()[name]
    network = load(name)
    assert network.inputs == (("input", (1, *entry.input)),)
    assert (network.params, network.macs) == (entry.facts.params, entry.facts.macs)
    assert network.unmodelled == ()
    assert network.source == "built-in"


@pytest.mark.parametrize("name", parameters(models()))
def test_the_shipped_graph_is_what_a_trace_gives(name):
    entry = catalogue()[name]
    assert trace_entry(entry).to_json() == entry.graph.read_text(encoding="utf-8")


def test_there_is_no_graph_of_anything_else():
    graphs = {entry.graph for entry in catalogue().values()}
    assert graphs == set(next(iter(graphs)).parent.iterdir())


@pytest.mark.parametrize(
    "row",
    [row for row in rows("squeezenext/accuracy.csv") if "SqNxt" in row["model"]],
    ids=lambda row: row["model"],
)
def test_accuracies_of_squeezenext_are_those_of_its_tables_and_params_nearly(row):
    if row["model"].endswith("IDA"):
        assert row["model"] not in {entry.published_as for entry in catalogue().values()}
        return
    (entry,) = (entry for entry in catalogue().values() if entry.published_as == row["model"])
    facts = entry.facts
    if entry.name != "squeezenext_23_v5":
        assert facts.top1 == float(row["top1"].split()[0])
        assert facts.top5 == float(row["top5"].split()[0])
    # The paper counts one or two params more for each channel of a batch-norm, and rounds.
    assert facts.params == pytest.approx(float(row["params"].removesuffix("M")) * 1e6, rel=0.055)


FEW = ("squeezenet_1_0_complex_bypass", "resnet18", "mobilenet_v1", "shufflenet_v2_x1_0", "deit_tiny")


@pytest.mark.parametrize("name", parameters(QUICK + LONGER, FEW))
def test_fvcore_counts_the_same_macs_in_every_module(name):
    """At small images where the network has no input of its own, for fvcore runs it."""
    shape = None if name in FIXED else "3x67x67"
    rows = cross_check(name, input_shape=shape)
    assert [row for row in rows if not row.agrees] == []
    assert sum(row.fvcore_macs for row in rows) == load(name, input_shape=shape).macs


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenext_23_1_5x", "squeezenext_34", "squeezenet_1_0_complex_bypass"])
def test_fvcore_counts_the_same_macs_at_an_input_that_nothing_else_was_counted_at(name):
    assert sum(row.fvcore_macs for row in cross_check(name)) == catalogue()[name].facts.macs


@pytest.mark.parametrize("name", {entry.family.name: name for name, entry in catalogue().items()}.values())
def test_params_are_pytorch_s_and_stages_are_the_children_of_the_module(name):
    module = build(parse_spec(name), device="meta")
    assert sum(parameter.numel() for parameter in module.parameters()) == load(name).params
    assert list(load(name).stages) == [part for part, _ in module.named_children()]


def test_stages_of_squeezenext_are_its_blocks():
    def blocks(stage: str) -> Iterator[str]:
        for layer in load("squeezenext_23@depth=2-4-14-1").layers:
            if layer.stage == stage:
                yield layer.name.split(".")[1].split("/")[0]

    assert [len(set(blocks(f"stage{number}"))) for number in (1, 2, 3, 4)] == [2, 4, 14, 1]


def test_the_weights_of_a_seed_are_always_the_same():
    import torch

    state = torch.random.get_rng_state()
    one, _ = load_module("squeezenet_1_1")
    two, _ = load_module("squeezenet_1_1")
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)
