from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.network import Layer, Network
from squeezesim.report.html.data import MOST_ROWS, Edge, cards, lanes_of

few = st.integers(1, 60)


@st.composite
def sources(draw: st.DrawFn) -> list[list[int]]:
    """The layers that each of up to 60 layers reads, all of them before it."""
    count = draw(few)
    return [sorted(draw(st.sets(st.integers(0, row - 1), max_size=4))) if row else [] for row in range(count)]


def network(read: list[list[int]], stages: list[str]) -> Network:
    layers = [
        replace(
            Layer.vector(f"layer{row}", op="add", k=1, stage=stages[row % len(stages)]),
            inputs=tuple(f"layer{source}" for source in some) or ("input",),
        )
        for row, some in enumerate(read)
    ]
    return Network("drawn", tuple(layers), (("input", (1, 1)),))


def test_a_chain_has_one_lane() -> None:
    assert lanes_of([[], [0], [1], [2]]) == [0, 0, 0, 0]


def test_a_shortcut_keeps_its_lane_beside_the_block() -> None:
    assert lanes_of([[], [0], [1], [0, 2]]) == [0, 1, 1, 0]


@given(sources())
def test_no_layer_stands_in_a_lane_that_another_still_needs(read: list[list[int]]) -> None:
    lanes = lanes_of(read)
    last = {source: row for row, some in enumerate(read) for source in some}
    for source, end in last.items():
        between = lanes[source + 1 : end]
        assert lanes[source] not in between
        others = [other for other in last if other != source and other < source < last[other]]
        assert all(lanes[other] != lanes[source] for other in others)


@given(sources())
def test_lanes_are_as_few_as_outputs_that_are_needed_at_once(read: list[list[int]]) -> None:
    last = {source: row for row, some in enumerate(read) for source in some}
    needed = [sum(source < row < end for source, end in last.items()) for row in range(len(read))]
    assert max(lanes_of(read)) <= max(needed)


@given(sources(), st.lists(st.sampled_from(["stem", "stage1", ""]), min_size=1, max_size=3))
def test_cards_hold_every_layer_and_every_edge_once(read: list[list[int]], stages: list[str]) -> None:
    drawn = network(read, stages)
    found = cards(drawn.layers)
    assert [row for card in found for row in range(card.first, card.first + card.rows)] == list(
        range(len(read))
    )
    assert all(1 <= card.rows <= MOST_ROWS for card in found)
    assert all(
        layer.stage == card.stage
        for card in found
        for layer in drawn.layers[card.first : card.first + card.rows]
    )
    inside = {
        (card.first + edge.row, card.first + edge.to_row)
        for card in found
        for edge in card.edges
        if edge.row >= 0 and edge.to_row < card.rows
    }
    ends = {(card.first, card.first + card.rows) for card in found}
    same = {
        (source, row)
        for row, some in enumerate(read)
        for source in some
        if any(first <= source and row < end for first, end in ends)
    }
    assert inside == same


def test_edges_between_cards_end_at_their_borders() -> None:
    drawn = network([[], [0], [0, 1]], ["stem", "stage1", "stage1"])
    stem, stage = cards(drawn.layers)
    assert stem.edges == (Edge(0, 0, 1, 0),)
    assert set(stage.edges) == {Edge(-1, 0, 0, 1), Edge(-1, 0, 1, 0), Edge(0, 1, 1, 0)}


@pytest.mark.parametrize("name", ["squeezenext_23", "resnet50"])
def test_residual_networks_need_three_lanes_at_most(name: str) -> None:
    assert max(card.lanes for card in cards(sq.load(name).fused.layers)) <= 3
