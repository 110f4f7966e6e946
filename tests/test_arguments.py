"""Arguments of Python: one name for one thing, earlier names still taken, names of networks everywhere."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
import pytest

import squeezesim as sq
from squeezesim.arguments import formerly

ALEXNET = sq.load("alexnet")
SIMULATED = ("simulate", "sweep", "sensitivity", "buffer_sizes", "allocate")


def test_networks_come_first_and_accelerators_second() -> None:
    for name in SIMULATED:
        first, second, *_ = inspect.signature(getattr(sq, name)).parameters
        assert (first.rstrip("s"), second.rstrip("s")) == ("network", "accelerator"), name
    for name in ("prune", "prune_channels", "low_rank", "quantize", "compress"):
        assert next(iter(inspect.signature(getattr(sq, name)).parameters)) == "network"


def test_allocate_takes_earlier_names() -> None:
    now: Any = sq.allocate
    given = now(model="squeezenext_23", hw="squeezelerator_16x16", stages=[(6, 6), (6, 6), (7, 8), (1, 1)])
    meant = sq.allocate(
        network="squeezenext_23",
        accelerators=["squeezelerator_16x16"],
        stages=[(6, 6), (6, 6), (7, 8), (1, 1)],
    )
    assert given.depth.tolist() == [(6, 6, 7, 1), (6, 6, 8, 1)]
    pd.testing.assert_frame_equal(given, meant)


def test_bottlenecks_take_the_earlier_name() -> None:
    report = sq.simulate(ALEXNET, "os_32x32")
    old: Any = report.bottlenecks
    assert old(n=2) == report.bottlenecks(most=2) == report.bottlenecks(2)
    assert len(old(n=2)) == 2


def test_both_names_are_one_too_many() -> None:
    @formerly(hw="accelerator")
    def show(accelerator: str) -> str:
        return accelerator

    both: Any = show
    with pytest.raises(TypeError, match=r"show\(\) got 'accelerator' and 'hw', its earlier name"):
        both(accelerator="a", hw="b")
    with pytest.raises(TypeError, match="multiple values"):
        both("a", hw="b")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prune", 0.5),
        ("prune_channels", 0.5),
        ("low_rank", 0.25),
        ("quantize", "w8a8"),
        ("compress", {"quantize": "w4a8"}),
    ],
)
def test_passes_take_the_name_of_a_network(name: str, value: object) -> None:
    assert getattr(sq, name)("alexnet", value) == getattr(sq, name)(ALEXNET, value)


@pytest.mark.parametrize("call", [sq.explain, sq.advise])
def test_a_report_is_a_report(call: Any) -> None:
    with pytest.raises(sq.UsageError, match=r"^report 'alexnet'; allowed: a Report, as simulate returns it$"):
        call("alexnet")
    with pytest.raises(sq.UsageError, match="network 3; allowed: a Network, or the name or path of one"):
        sq.prune(3, 0.5)  # type: ignore[arg-type]


@pytest.mark.torch
def test_weights_are_of_a_network() -> None:
    from torch import nn

    with pytest.raises(sq.UsageError, match="network 'alexnet'; allowed: a Network, a trace of the module"):
        sq.weights("alexnet", nn.Linear(2, 2))  # type: ignore[arg-type]
