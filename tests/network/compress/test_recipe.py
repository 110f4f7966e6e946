"""Pruning, quantisation and recipes: which layer gets what, how passes compose, what they cost, what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim import (
    Accelerator,
    Layer,
    Network,
    Report,
    compress,
    load,
    low_rank,
    prune,
    prune_channels,
    quantize,
    simulate,
)
from squeezesim.errors import ModelError, UsageError
from squeezesim.network.compress.recipe import PASSES
from tests.cost.cases import layers as mac_layers
from tests.network.strategies import networks

few = settings(max_examples=30)
densities = st.sampled_from([0.05, 0.1, 0.33, 0.5, 0.75, 0.9, 1.0])


def two() -> Network:
    a = Layer.conv("stage1.a", c=3, k=8, oy=8, ox=8, fy=3, fx=3)
    b = Layer.conv("stage2.b", c=8, k=8, oy=8, ox=8, fy=1, fx=1)
    relu = Layer.vector("stage2.relu", op="relu", k=8, oy=8, ox=8)
    attention = Layer.matmul("attention", m=4, n=4, k=4, weights_are_activations=True)
    return Network.from_layers([a, b, relu, attention])


def of(network: Network, field: str) -> list[Any]:
    return [getattr(layer, field) for layer in network.layers]


def test_the_first_pattern_that_matches_wins() -> None:
    pruned = prune(two(), {"stage1.?": 0.25, "stage*": 0.5, "*": 0.75})
    assert of(pruned, "weight_density") == [0.25, 0.5, None, None]
    assert of(prune(two(), {"*": 0.75, "stage1.a": 0.25}), "weight_density") == [0.75, 0.75, None, None]
    assert of(prune(two(), {"stage[2].b": "2:4"}), "weight_density") == [None, 0.5, None, None]


def test_a_pattern_stays_until_channels_change() -> None:
    pruned = prune(two(), "2:4")
    assert of(pruned, "weight_pattern") == ["2:4", "2:4", "", ""]
    assert [layer.pattern for layer in pruned.layers] == [(2, 4), (2, 4), (1, 1), (1, 1)]
    assert Network.from_json(pruned.to_json()) == pruned
    again = prune(pruned, 0.5)
    assert of(again, "weight_pattern") == of(pruned, "weight_pattern")
    assert of(again, "weight_density") == [0.25, 0.25, None, None]
    assert of(prune(two(), "4:4"), "weight_pattern") == ["", "", "", ""]
    made = low_rank(pruned, "rank:1")
    assert all(not layer.weight_pattern for layer in made.layers if layer.weight_density != 0.5)


@pytest.mark.parametrize(
    ("density", "message"),
    [
        ({"stge1.a": 0.5}, "pattern 'stge1.a' matches no layer of network 'custom'; did you mean 'stage1.a'"),
        ({"stge1*": 0.5}, "pattern 'stge1*' matches no layer of network 'custom'; did you mean 'stage1'"),
        ({"*relu": 0.5}, "pattern '*relu' matches only layers that cannot be pruned"),
        (1.5, "a density, if neither N:M nor 'weights', must be a number from 0 to 1, found 1.5"),
        ("half", "a density, if neither N:M nor 'weights', must be a number from 0 to 1, found 'half'"),
        ("nan", "a density, if neither N:M nor 'weights', must be a number from 0 to 1, found 'nan'"),
        (True, "a density, if neither N:M nor 'weights', must be a number from 0 to 1, found True"),
        (
            "1e-999999999",
            "a density, if neither N:M nor 'weights', must be 0 or at least 2.2e-308, found '1e-999999999'",
        ),
        ("5:4", "a density N:M keeps 1 to M of M weights, found '5:4'"),
        ("0:4", "a density N:M keeps 1 to M of M weights, found '0:4'"),
        ("weights", "the density 'weights' is that of a model's real weights, and none are given"),
    ],
)
def test_mistakes_in_densities(density: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        prune(two(), density)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("widths", ["", "8", "w", "w8a", "a8w8", "w65", "w0a8", "w8a8acc100", "int8", 8])
def test_mistakes_in_widths(widths: Any) -> None:
    with pytest.raises(
        UsageError, match=r"^widths (are written as w8a8, w4a8 or w8a8acc32|must be 1 to 64 bits), found"
    ):
        quantize(two(), widths)


def test_a_network_without_weights_has_nothing_to_prune() -> None:
    pool = Network.from_layers([Layer.vector("pool", op="max_pool", k=4)])
    with pytest.raises(UsageError, match=r"^network 'custom' has no layer that can be pruned$"):
        prune(pool, 0.5)


@given(networks(), densities, densities)
def test_densities_multiply_and_one_changes_nothing(network: Network, one: float, other: float) -> None:
    if not any(layer.kind == "mac" for layer in network.layers):
        return
    pruned = prune(network, one)
    assert prune(pruned, 1) == pruned
    for layer, twice in zip(pruned.layers, prune(pruned, other).layers, strict=True):
        before = layer.weight_density
        assert twice.weight_density == (None if before is None else before * other)
        assert replace(twice, weight_density=before) == layer


def test_densities_of_real_weights() -> None:
    weights = {"stage1.a": np.array([0.0, 1.0, 0.0, 2.0]), "elsewhere": np.array([1.0])}
    assert of(prune(two(), "weights", weights), "weight_density") == [0.5, None, None, None]


def test_widths_go_to_the_operands_that_a_layer_has() -> None:
    quantized = quantize(two(), {"stage1*": "w4", "*": "w8a6acc20"})
    assert of(quantized, "weight_bits") == [4, 8, None, None]
    assert of(quantized, "activation_bits") == [None, 6, 6, 6]
    assert of(quantized, "accumulator_bits") == [None, 20, None, 20]
    again = quantize(quantized, "a5")
    assert of(again, "weight_bits") == [4, 8, None, None]
    assert of(again, "activation_bits") == [5, 5, 5, 5]


@given(networks(), densities)
def test_pruning_and_quantising_commute(network: Network, density: float) -> None:
    if not any(layer.kind == "mac" for layer in network.layers):
        return
    assert (
        quantize(prune(network, density), "w4a8").layers == prune(quantize(network, "w4a8"), density).layers
    )


def small(changes: dict[str, Any]) -> Accelerator:
    base = {
        "array.rows": 8,
        "array.cols": 8,
        "memory.global_buffer.size_kib": 16,
        "mapper.latency_slack": 0,
        "sparsity.weights": 0,
        "energy.table": "eyeriss_relative",
    }
    return Accelerator.named("squeezelerator_8x8").replace(base | changes)


def costs(network: Network, accelerator: Accelerator) -> Report:
    return simulate(network, accelerator)


@few
@given(mac_layers(), st.sampled_from([4, 8, 16]), st.sampled_from([4, 8, 16]), st.sampled_from([16, 32]))
def test_a_layers_widths_are_as_good_as_the_accelerators(layer: Layer, w: int, a: int, acc: int) -> None:
    network = Network.from_layers([layer])
    other = small(
        {"precision.weight_bits": w, "precision.activation_bits": a, "precision.accumulator_bits": acc}
    )
    own = costs(quantize(network, f"w{w}a{a}acc{acc}"), small({})).costs
    theirs = costs(network, other).costs
    assert np.array_equal(own.cycles, theirs.cycles)
    assert np.array_equal(own.dram_bytes, theirs.dram_bytes)
    assert np.array_equal(own.buffer_bytes, theirs.buffer_bytes)
    assert np.allclose(own.energy[..., 0], theirs.energy[..., 0], rtol=1e-12)


@few
@given(mac_layers(), st.integers(1, 32), st.integers(1, 32))
def test_traffic_is_exactly_elements_times_bits(layer: Layer, w: int, a: int) -> None:
    """Where all fits the buffer, so that each operand moves once; its elements are known from a run with 32 bits."""
    network = Network.from_layers([layer])
    roomy = small({"memory.global_buffer.size_kib": 4096, "mapper.latency_slack": 10})
    words = costs(quantize(network, "w32a32acc32"), roomy).costs.dram_bytes[0, 0] // 4
    moved = costs(quantize(network, f"w{w}a{a}acc32"), roomy).costs.dram_bytes[0, 0]
    wide = np.array([0, 4 * layer.constants, 0, 0])  # bytes of what has the accumulators' width
    assert (moved - wide).tolist() == [
        -(-count * bits // 8) for count, bits in zip((words - wide // 4).tolist(), (a, w, a, 32), strict=True)
    ]
    assert (words[1] - layer.constants, words[3]) == (layer.g * layer.k * layer.c * layer.fy * layer.fx, 0)


@few
@given(mac_layers(), st.tuples(densities, densities), st.sampled_from(["latency", "energy"]), st.booleans())
def test_less_density_never_costs_more_where_zeros_are_skipped(
    layer: Layer, pair: tuple[float, float], objective: str, both: bool
) -> None:
    flows = ["ws", "os"] if both else ["os"]
    hw = small({"array.dataflows": flows, "sparsity.skipped_by": ["os"], "mapper.objective": objective})
    network = Network.from_layers([layer])
    less, more = (costs(prune(network, density), hw).costs for density in sorted(pair))
    if objective == "latency":
        assert less.cycles.sum() <= more.cycles.sum()
    else:
        assert less.energy.sum() <= more.energy.sum() * (1 + 1e-12)


@few
@given(mac_layers(), densities)
def test_zeros_that_nothing_skips_cost_dense_time(layer: Layer, density: float) -> None:
    network, hw = Network.from_layers([layer]), small({"sparsity.skipped_by": []})
    before, after = costs(network, hw).costs, costs(prune(network, density), hw).costs
    assert np.array_equal(before.cycles, after.cycles)
    assert np.array_equal(before.energy, after.energy)
    assert np.array_equal(before.dram_bytes, after.dram_bytes)


def test_a_layers_own_density_wins_over_the_accelerators() -> None:
    assumed = small({"sparsity.weights": 0.6, "sparsity.skipped_by": ["os"], "array.dataflows": ["os"]})
    given_ = assumed.replace({"sparsity.weights": 0})
    network = Network.from_layers([Layer.conv("a", c=8, k=8, oy=8, ox=8, fy=3, fx=3)])
    assert costs(network, assumed).totals["cycles"] == costs(prune(network, 0.4), given_).totals["cycles"]
    assert costs(prune(network, 1), assumed).totals["cycles"] == costs(network, given_).totals["cycles"]


def test_a_recipe_runs_its_passes_in_their_order() -> None:
    network = load("squeezenet_1_1")
    recipe: dict[str, Any] = {
        "quantize": {"*conv10": "w8a8", "*": "w4a8"},
        "prune": {"*/low_rank": 1, "*": 0.4},
        "low_rank": {"*expand3x3": 0.5},
        "prune_channels": 0.75,
    }
    by_hand = prune_channels(network, recipe["prune_channels"])
    by_hand = low_rank(by_hand, recipe["low_rank"])
    by_hand = quantize(prune(by_hand, recipe["prune"]), recipe["quantize"])
    assert compress(network, recipe) == by_hand
    assert compress(network, {}) == network


def test_a_recipe_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "prune:\n  head*: 2:4\n  '*': 0.4\nlow_rank: rank:16\nquantize: {stem*: w8a8, '*': w4a8acc24}\n"
    )
    network = load("squeezenet_1_1")
    recipe: dict[str, Any] = {
        "prune": {"head*": "2:4", "*": 0.4},
        "low_rank": "rank:16",
        "quantize": {"stem*": "w8a8", "*": "w4a8acc24"},
    }
    assert compress(network, path) == compress(network, recipe)
    assert compress(network, str(path)).layers[0].accumulator_bits is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "prun: 0.4\n",
            ":1:1: unknown pass 'prun'; allowed: prune_channels, low_rank, prune, quantize; did you mean",
        ),
        ("- 1\n", ":1:1: a recipe is a mapping; allowed keys: prune_channels, low_rank, prune, quantize"),
        ("prune: [1, 2]\n", ":1:8: prune must be a number or a text, found [1, 2]"),
        ("prune:\n  a: yes\n  b: true\n", ":3:6: prune of 'b' must be a number or a text, found True"),
        ("prune:\n  a: {b: 1}\n", ":2:6: prune of 'a' must be a number or a text, found {'b': 1}"),
        ("", ":1:1: the file is empty; allowed: a mapping that describes a recipe"),
        ("prune: !!python/object:os.system x\n", ":1:8: tag !!python/object:os.system is not allowed"),
    ],
)
def test_mistakes_in_a_recipe(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        compress(two(), path)
    assert str(caught.value).splitlines()[0].startswith(f"{path}{message}")


texts = st.text(st.characters(categories=["L", "N", "P", "S", "Z"]), max_size=12)
values = st.one_of(
    texts, st.floats(), st.integers(), st.sampled_from(["rank:9", "energy:1", "2:4", "w8a8", "weights"])
)


@given(st.sampled_from(PASSES), st.one_of(values, st.dictionaries(texts, values, max_size=3)))
def test_any_recipe_runs_or_is_refused_in_one_line(name: str, given_: Any) -> None:
    network, refusal = two(), ""
    try:
        made = compress(network, {name: given_}, {"stage1.a": np.ones(8 * 3 * 9)})
    except (UsageError, ModelError) as error:
        made, refusal = network, str(error)
    assert made.params <= network.params
    assert len(refusal.splitlines()) <= 1


def test_unknown_passes_and_missing_files() -> None:
    with pytest.raises(UsageError, match=r"^unknown pass 'quantise'; allowed: .*; did you mean 'quantize'"):
        compress(two(), {"quantise": "w8a8"})
    with pytest.raises(UsageError, match=r"^cannot read 'none.yaml': No such file or directory$"):
        compress(two(), "none.yaml")


@pytest.mark.parametrize("recipe", [5, None, ["prune"], True])
def test_what_is_no_recipe(recipe: Any) -> None:
    with pytest.raises(UsageError, match="a recipe is a mapping or the path of a YAML file, found "):
        compress(two(), recipe)
