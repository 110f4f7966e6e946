"""Allocations whose feature maps may stay in the buffer are what the networks cost, traced and placed one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import squeezesim as sq
from squeezesim.cost import residents
from squeezesim.errors import UsageError
from squeezesim.explore.allocate.additive import Pieces, cut
from squeezesim.explore.allocate.placed import Paths
from tests.explore.allocate.test_additive import DEEPEST, FAMILIES, check, network

pytestmark = pytest.mark.torch  # networks of other depths are traced


def keeping(name: str, **changes: Any) -> sq.Accelerator:
    return sq.Accelerator.named(name).replace({"memory.global_buffer.keeps": ["activations"], **changes})


def pieces_of(model: str, deepest: tuple[int, ...]) -> Pieces:
    flat = (1,) * len(deepest)
    return cut(network(model, deepest).fused, deepest, network(model, flat).fused, flat)


def test_every_allocation_of_a_small_network() -> None:
    deepest = (2, 1, 2, 1)
    model, on = "resnet34@width=0.25", keeping("os_32x32")
    paths = Paths.of(pieces_of(model, deepest), on)
    for depth in product(*(range(1, most + 1) for most in deepest)):
        check(paths, model, depth, on)
        by_stage = paths.latency_by_stage(depth)
        assert by_stage.sum() == pytest.approx(sq.simulate(network(model, depth), on).totals["latency_us"])


def test_maps_that_stay_without_a_choice_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within blocks there is room for all maps of the narrow network; those between blocks have every home still."""
    model, deepest = "resnet34@width=0.25", (2, 1, 2, 1)
    pieces, on = pieces_of(model, deepest), keeping("os_32x32")
    depths = np.array([*product((1, 2), (1,), (1, 2), (1,))])
    found = Paths.of(pieces, on).tally(depths)
    stays, ample = list[int](), residents._ample

    def counted(*given: Any) -> frozenset[int]:
        stays.append(len(ample(*given)))
        return ample(*given)

    monkeypatch.setattr(residents, "_ample", counted)
    again = Paths.of(pieces, on).tally(depths)
    monkeypatch.setattr(residents, "_ample", lambda *_: frozenset())
    chosen = Paths.of(pieces, on).tally(depths)
    assert max(stays) > len(pieces.network.layers) // 2
    for each in (again, chosen):
        assert found.cycles.tolist() == each.cycles.tolist()
        assert found.energy.sum(axis=-1) == pytest.approx(each.energy.sum(axis=-1))


@pytest.mark.parametrize(
    "changes",
    [{"mapper.objective": "energy"}, {"mapper.latency_slack": 0.0, "array.post_ops": ["add", "pool"]}],
    ids=lambda changes: next(iter(changes)),
)
def test_residual_blocks(changes: dict[str, Any]) -> None:
    model, deepest = "resnet34@width=0.5", (2, 1, 2, 1)
    on = keeping("os_32x32", **changes)
    paths = Paths.of(pieces_of(model, deepest), on)
    for depth in ((1, 1, 1, 1), (2, 1, 1, 1), deepest):
        check(paths, model, depth, on)


def test_by_edp_a_block_depends_on_the_others() -> None:
    on = keeping("os_32x32", **{"mapper.objective": "edp"})
    with pytest.raises(UsageError, match="edp"):
        sq.allocate("resnet18", on)


@pytest.mark.slow
@pytest.mark.parametrize("model", [*DEEPEST, *FAMILIES])
def test_every_family(model: str) -> None:
    deepest, on = (DEEPEST | FAMILIES)[model], keeping("hybrid_32x32")
    paths = Paths.of(pieces_of(model, deepest), on)
    generator = np.random.default_rng(7)
    for _ in range(2):
        check(paths, model, tuple(generator.integers(1, np.array(deepest) + 1).tolist()), on)
