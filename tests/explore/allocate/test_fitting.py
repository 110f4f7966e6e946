"""Allocations on memories with a size: those that fit, against each network by itself."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import squeezesim as sq
from squeezesim.cost.machine import Machine
from squeezesim.cost.stores import overfull
from squeezesim.errors import HardwareError, UsageError
from squeezesim.explore.allocate.fitting import fitting, without_sizes
from tests.explore.allocate.test_additive import network
from tests.explore.allocate.test_placed import pieces_of

pytestmark = pytest.mark.torch  # networks of other depths are traced

MODEL, DEEPEST = "resnet34@width=0.25", (2, 1, 2, 1)


def on(name: str = "os_32x32", **sizes: float) -> sq.Accelerator:
    """Activations in an SRAM, weights in a flash, of such sizes in KiB."""
    held = {"sram": "activations", "flash": "weights"}
    stores: dict[str, Any] = {
        store: {
            "bandwidth_gb_s": 4.0,
            "holds": [what],
            **({"size_kib": sizes[store]} if store in sizes else {}),
        }
        for store, what in held.items()
    }
    return sq.Accelerator.named(name).replace({"memory.stores": stores})


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ({"flash": 506.0}, 3),
        ({"sram": 343.0}, 4),
        ({"sram": 342.0}, 0),
        ({"sram": 400.0, "flash": 440.0}, 2),
        ({"sram": 1e6, "flash": 1e6}, 4),
    ],
)
def test_allocations_that_fit_are_those_whose_network_does(sizes: dict[str, float], count: int) -> None:
    accelerator = on(**sizes)
    depths = [*product(*(range(1, most + 1) for most in DEEPEST))]
    found = fitting(pieces_of(MODEL, DEEPEST), accelerator, np.array(depths))
    expected = [not overfull(network(MODEL, depth).fused.layers, Machine.of(accelerator)) for depth in depths]
    assert found.tolist() == expected
    assert sum(expected) == count


def test_memories_without_sizes_cost_the_same() -> None:
    accelerator = on(sram=512.0, flash=2048.0)
    stores = [store._replace(bits=0.0) for store in Machine.of(accelerator).stores]
    assert [store._replace(bits=0.0) for store in Machine.of(without_sizes(accelerator)).stores] == stores


def test_the_table_has_what_fits_at_its_costs() -> None:
    accelerator = on(flash=506.0)
    ranges = [(1, most) for most in DEEPEST]
    table = sq.allocate(MODEL, accelerator, stages=ranges)
    left_out = table.attrs["left_out"][accelerator.name]
    assert (len(table), left_out) == (3, 1)
    for depth in product(*(range(1, most + 1) for most in DEEPEST)):
        rows = table[[each == depth for each in table.depth]]
        if not len(rows):
            with pytest.raises(HardwareError, match="bytes of flash"):
                sq.simulate(network(MODEL, depth), accelerator)
        else:
            totals = sq.simulate(network(MODEL, depth), accelerator).totals
            assert rows.iloc[0].cycles == totals["cycles"]
            assert rows.iloc[0].energy_uj == pytest.approx(totals["energy_uj"])
    with pytest.raises(UsageError, match="os_32x32: no allocation fits its memories"):
        sq.allocate(MODEL, on(flash=10.0), stages=ranges)


def with_room(size: float, placement: str) -> sq.Accelerator:
    changes = {"memory.stays.size_kib": size, "memory.placement": placement}
    return sq.Accelerator.named("os_32x32").replace(changes)


@pytest.mark.parametrize("placement", ["layer", "best"])
def test_allocations_whose_weights_all_stay_cost_what_each_does(placement: str) -> None:
    accelerator = with_room(510.0, placement)
    table = sq.allocate(MODEL, accelerator, stages=[(1, most) for most in DEEPEST])
    assert len(table) == 4
    for row in table.itertuples():
        alone = sq.simulate(network(MODEL, row.depth), accelerator)
        assert not alone.tally.part("dram", "weights").any()
        assert row.cycles == alone.totals["cycles"]


def test_allocations_of_which_some_weights_do_not_stay_are_refused() -> None:
    text = "os_32x32: memory.stays.size_kib 64; allowed: 0, or 510 and more, which hold the weights of every"
    with pytest.raises(UsageError, match=text):
        sq.allocate(MODEL, with_room(64.0, "best"), stages=[(1, most) for most in DEEPEST])
