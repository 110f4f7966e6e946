from collections.abc import Iterator

import pytest

from squeezesim.load import cross_check, load, load_module, models
from squeezesim.zoo.build import traced
from squeezesim.zoo.registry import catalogue

# Name, params, MACs, input: as the papers' networks are counted.
COUNTS = [
    ("squeezenext_23", 717_280, 277_999_808, "3x227x227"),
    ("squeezenext_23_v2", 733_664, 224_916_480, "3x227x227"),
    ("squeezenext_23_v3", 747_840, 224_916_480, "3x227x227"),
    ("squeezenext_23_v4", 762_016, 224_916_480, "3x227x227"),
    ("squeezenext_23_v5", 930_016, 224_916_480, "3x227x227"),
    ("squeezenext_23_g", 543_072, 224_191_552, "3x227x227"),
    ("squeezenext_23_2x", 2_361_728, 742_070_464, "3x227x227"),
    ("squeezenext_23_2x_v4", 2_555_136, 702_592_000, "3x227x227"),
    ("squeezenext_23_2x_v5", 3_222_912, 702_592_000, "3x227x227"),
    ("squeezenext_23_1_5x", 1_406_384, None, "3x227x227"),
    ("squeezenext_44", 1_238_976, None, "3x227x227"),
    ("squeezenext_44_2x", 4_428_096, None, "3x227x227"),
    ("squeezenet_1_0", 1_248_424, 818_924_576, "3x224x224"),
    ("squeezenet_1_0", 1_248_424, 832_667_936, "3x227x227"),
    ("squeezenet_1_0_bypass", 1_248_424, 818_924_576, "3x224x224"),
    ("squeezenet_1_0_complex_bypass", 1_248_424 + 341_248, None, "3x224x224"),
    ("squeezenet_1_1", 1_235_496, 349_151_936, "3x224x224"),
    ("squeezenet_1_1", 1_235_496, 387_747_520, "3x227x227"),
    ("alexnet", 60_965_224, 724_406_816, "3x227x227"),
    ("mobilenet_v1", 4_231_976, 568_740_352, "3x224x224"),
    ("mobilenet_v1@width=0.75", 2_585_560, 325_400_448, "3x224x224"),
    ("mobilenet_v1@width=0.5", 1_331_592, 149_497_088, "3x224x224"),
    ("mobilenet_v1@width=0.25", 470_072, 41_030_272, "3x224x224"),
    ("tiny_darknet", 1_042_104, 491_524_096, "3x224x224"),
]


@pytest.mark.parametrize(("name", "params", "macs", "shape"), COUNTS)
def test_counts_are_exact(name, params, macs, shape):
    network = load(name, input_shape=shape)
    assert network.params == params
    assert macs in (None, network.macs)
    assert network.unmodelled == ()
    assert network.unread_params == 0


@pytest.mark.parametrize("name", models())
def test_the_default_input_and_the_facts_are_the_published_ones(name):
    entry = catalogue()[name]
    network = load(name)
    assert network.inputs == (("input", (1, *entry.input)),)
    assert network.params == entry.facts.params
    assert entry.facts.macs in (None, network.macs)


@pytest.mark.parametrize("name", models())
def test_the_shipped_graph_is_what_a_trace_gives(name):
    entry = catalogue()[name]
    assert traced(entry).to_json() == entry.graph.read_text(encoding="utf-8")


def agrees_with_fvcore(name: str, shape: str | None) -> None:
    rows = cross_check(name, input_shape=shape)
    assert [row for row in rows if not row.agrees] == []
    assert sum(row.fvcore_macs for row in rows) == load(name, input_shape=shape).macs


@pytest.mark.parametrize("name", models())
def test_fvcore_counts_the_same_macs_in_every_module(name):
    """At small images, for fvcore runs the network; AlexNet's first fully connected layer fixes its input."""
    agrees_with_fvcore(name, None if name == "alexnet" else "3x67x67")


@pytest.mark.slow
@pytest.mark.parametrize("name", models())
def test_fvcore_counts_the_same_macs_at_the_published_input(name):
    agrees_with_fvcore(name, None)


@pytest.mark.parametrize(
    "name", ["squeezenext_23", "squeezenet_1_1", "alexnet", "tiny_darknet", "mobilenet_v1"]
)
def test_params_are_pytorch_s_and_stages_are_the_family_s(name):
    module, _ = load_module(name)
    assert sum(parameter.numel() for parameter in module.parameters()) == load(name).params
    parts = [part for part, _ in module.named_children()]
    assert list(load(name).stages) == parts


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
