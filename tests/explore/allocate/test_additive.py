from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.cost.evaluate import evaluate
from squeezesim.errors import ModelError
from squeezesim.explore.allocate.additive import Sums, cut, late_share
from squeezesim.explore.allocate.candidates import measures
from squeezesim.explore.allocate.placed import Paths
from squeezesim.network import Network
from squeezesim.report.metrics import total_names
from squeezesim.zoo.registry import catalogue

pytestmark = pytest.mark.torch  # networks of other depths are traced

ROUNDED = ("energy_uj", "energy_mac_equiv")

DEEPEST = {
    "squeezenext_23_v5": (3, 2, 4, 2),
    "squeezenext_23@groups=2,width=0.5": (2, 3, 2, 2),
    "tiny_darknet": (3, 2, 3, 3),
    "vgg16@width=0.25": (2, 3, 1, 2, 2),
}
FAMILIES = {
    "resnet34@width=0.5": (3, 2, 3, 2),
    "resnet50": (2, 3, 2, 2),
    "mobilenet_v1": (2, 3, 2, 3, 2),
    "mobilenet_v2": (2, 2, 3, 2, 2, 3, 2),
    "mobilenet_v3_small": (2, 3, 4, 3, 3),
    "mobilenet_v3_large": (2, 3, 4, 5, 3, 2),
    "shufflenet_v1_g3": (3, 2, 4),
    "shufflenet_v2_x1_0": (4, 3, 2),
    "efficientnet_b0": (2, 3, 2, 2, 3, 2, 2),
    "ghostnet": (2, 3, 2, 5, 3, 4),
    "deit_tiny": (4,),
}


def network(model: str, depth: tuple[int, ...]) -> Network:
    value = depth if len(depth) > 1 else depth[0]
    return sq.load(model, depth=value)


def sums_of(model: str, deepest: tuple[int, ...], accelerator: sq.Accelerator) -> Sums:
    deep, flat = network(model, deepest).fused, network(model, (1,) * len(deepest)).fused
    pieces = cut(deep, deepest, flat, (1,) * len(deepest))
    return Sums.of(pieces, evaluate(deep.layers, [accelerator]), accelerator)


def check(sums: Sums | Paths, model: str, depth: tuple[int, ...], accelerator: sq.Accelerator) -> None:
    """The sums of an allocation are the totals of the network itself, traced and simulated."""
    columns = measures(sums, np.array([depth]))
    totals = sq.simulate(network(model, depth), accelerator).totals
    assert [*columns] == [*total_names(), "late_share"]
    for name in total_names():
        (value,) = columns[name].tolist()
        if totals[name] is None:
            assert np.isnan(value), name
        elif name in ROUNDED:
            assert value == pytest.approx(totals[name], rel=1e-12), name
        else:
            assert value == totals[name], name


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(
            model, marks=[pytest.mark.slow] * (model not in ("squeezenext_23_v5", "vgg16@width=0.25"))
        )
        for model in DEEPEST
    ],
)
def test_sums_of_blocks_are_what_the_network_costs(model: str) -> None:
    layer = {"memory.placement": "layer"}
    accelerators = [
        sq.Accelerator.named("squeezelerator_16x16"),
        sq.Accelerator.named("os_32x32").replace(layer),
    ]
    sums = [sums_of(model, DEEPEST[model], accelerator) for accelerator in accelerators]

    @settings(max_examples=4)
    @given(depth=st.tuples(*(st.integers(1, most) for most in DEEPEST[model])))
    def holds(depth: tuple[int, ...]) -> None:
        for part, accelerator in zip(sums, accelerators, strict=True):
            check(part, model, depth, accelerator)

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
def test_sums_of_blocks_are_what_every_family_costs(model: str) -> None:
    accelerator = sq.Accelerator.named("hybrid_32x32").replace({"memory.global_buffer.keeps": []})
    sums = sums_of(model, FAMILIES[model], accelerator)
    generator = np.random.default_rng(5)
    for _ in range(3):
        check(sums, model, tuple(generator.integers(1, np.array(FAMILIES[model]) + 1).tolist()), accelerator)
    check(sums, model, FAMILIES[model], accelerator)


def test_every_family_is_cut_or_refused_above() -> None:
    """Each family with a depth is in the tables above or among those that are no sums."""
    names = [*DEEPEST, *FAMILIES, "squeezenet_1_0", "densenet121", "vit_b_16"]
    known = {catalogue()[name.partition("@")[0]].family.name for name in names}
    assert known == {entry.family.name for entry in catalogue().values() if "depth" in entry.defaults}


@pytest.mark.parametrize(
    ("model", "deep", "flat", "layer"),
    [
        ("squeezenet_1_0", (3, 2, 1), (1, 1, 1), "stage2.pool"),
        ("squeezenet_1_0", (3, 4, 2), (3, 4, 1), "head.conv10"),
        ("densenet121", (2, 2, 2, 2), (1, 1, 1, 1), "stage1.transition.norm"),
        ("densenet121", (1, 1, 1, 2), (1, 1, 1, 1), "head.norm"),
    ],
)
def test_networks_whose_blocks_depend_on_their_number_are_refused(
    model: str, deep: tuple[int, ...], flat: tuple[int, ...], layer: str
) -> None:
    with pytest.raises(ModelError) as error:
        cut(network(model, deep).fused, deep, network(model, flat).fused, flat)
    texts = ["-".join(map(str, depth)) for depth in (deep, flat)]
    assert str(error.value) == (
        f"the blocks of '{model}' depend on how many there are: layer '{layer}' is not the same at depths "
        f"{texts[0]} and {texts[1]}, so that an allocation is no sum over its blocks"
    )


@pytest.mark.torch
def test_depths_in_between_are_put_together() -> None:
    def traced(*depth: int) -> Network:
        return sq.load(f"resnet18@depth={'-'.join(map(str, depth))}").fused

    pieces = cut(traced(3, 3, 3, 3), (3, 3, 3, 3), sq.load("resnet18").fused, (2, 2, 2, 2))
    for depth in ((1, 1, 1, 1), (2, 2, 2, 2), (3, 1, 2, 3)):
        whole = traced(*depth)
        assert pieces.assembled(depth, whole.name, whole.notes) == whole


def test_a_stage_that_does_not_vary_is_not_cut() -> None:
    deep, flat = (2, 1, 3, 2), (2, 1, 1, 2)
    pieces = cut(network("squeezenext_23", deep).fused, deep, network("squeezenext_23", flat).fused, flat)
    blocks = {(stage, block) for stage, block in pieces.owner if block >= 0}
    assert blocks == {(2, 0), (2, 1), (2, 2)}
    assert {owner for owner in pieces.owner if owner[1] < 0} == {(-1, -1), (0, -1), (1, -1), (3, -1)}


@given(params=st.lists(st.integers(0, 10**9), min_size=1, max_size=7))
def test_the_late_share_is_that_of_the_last_half(params: list[int]) -> None:
    value: Any = float(late_share(np.array(params)))
    late = params[-(len(params) // 2) :] if len(params) > 1 else []
    if not late or not sum(params):
        assert np.isnan(value)
    else:
        assert value == pytest.approx(sum(late) / sum(params))
