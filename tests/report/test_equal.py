from __future__ import annotations

import dataclasses

from squeezesim.load import load
from squeezesim.network import Layer
from squeezesim.report.equal import equal_layers


def test_a_3x1_and_a_1x3_filter_are_equal() -> None:
    layers = [
        Layer.conv("a", c=8, k=16, oy=4, ox=4, fy=3, fx=1, stage="s"),
        Layer.conv("b", c=8, k=16, oy=4, ox=4, fy=1, fx=3, stage="s"),
        Layer.conv("c", c=8, k=16, oy=4, ox=4, fy=1, fx=3, stage="t"),
        Layer.conv("d", c=8, k=16, oy=4, ox=4, fy=1, fx=1, stride=2, stage="t"),
        Layer.conv("e", c=8, k=8, oy=4, ox=4, fy=3, fx=3, groups=8, stage="t"),
        Layer.vector("f", op="add", k=8, oy=4, ox=4, stage="t"),
    ]
    found = equal_layers(layers)
    assert list(map(str, found)) == [
        "2 × (8→16 3×1)",
        "8→16 3×1",
        "8→16 1×1/2",
        "8→8 3×3 depthwise",
        "add 8",
    ]
    assert [(members.stage, members.places) for members in found] == [
        ("s", (0, 1)),
        ("t", (2,)),
        ("t", (3,)),
        ("t", (4,)),
        ("t", (5,)),
    ]


def test_every_layer_is_in_one_group() -> None:
    layers = load("squeezenext_23").fused.layers
    places = [place for members in equal_layers(layers) for place in members.places]
    assert sorted(places) == list(range(len(layers)))


def test_order_is_that_of_the_first() -> None:
    one = Layer.matmul("a", m=1, n=2, k=3, stage="s")
    other = Layer.matmul("b", m=1, n=4, k=3, stage="s")
    again = dataclasses.replace(one, name="c")
    assert [members.places for members in equal_layers([one, other, again])] == [(0, 2), (1,)]
