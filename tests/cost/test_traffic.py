"""The reuse rule beside a walk through the loops, tile by tile."""

from __future__ import annotations

from itertools import groupby, permutations, product
from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.cost.traffic import LOOPS, MODES, NESTS, ORDERS, Mode, changes, distinct, fetches, mode_of

tiles = st.fixed_dictionaries({loop: st.integers(1, 4) for loop in "NSKC"})


def walked(operand: str, nest: str, counts: dict[str, int], *, stays: bool = False) -> int:
    """Tiles of *operand* that pass the buffer, which holds one of it, or all that were seen while no outer loop moved.

    Outer are the loops outside of all that the operand lacks.
    """
    steps = [
        dict(zip(nest, index, strict=True)) for index in product(*(range(counts[loop]) for loop in nest))
    ]
    if not stays:
        return sum(1 for _ in groupby(tuple(step[loop] for loop in LOOPS[operand]) for step in steps))
    outer = nest[: min(nest.index(loop) for loop in nest if loop not in LOOPS[operand])]
    seen, period, passed = set[tuple[int, ...]](), (), 0
    for step in steps:
        if period != (period := tuple(step[loop] for loop in outer)):
            seen = set()
        tile = tuple(step[loop] for loop in LOOPS[operand])
        passed += tile not in seen
        seen.add(tile)
    return passed


@given(tiles, st.sampled_from(MODES))
def test_fetches_are_those_of_a_walk_through_the_loops(counts: dict[str, int], mode: Mode) -> None:
    for operand, own in LOOPS.items():
        each = int(fetches(operand, MODES.index(mode), counts))
        passed = walked(operand, NESTS[mode.order], counts, stays=operand in mode.stays)
        assert each * prod(counts[loop] for loop in own) == passed


@given(tiles)
def test_no_other_order_of_the_loops_fetches_less(counts: dict[str, int]) -> None:
    """Of any of their 24 orders, that of one in ``ORDERS`` is no more for each operand."""
    ours = [[int(fetches(operand, mode_of(order), counts)) for operand in LOOPS] for order in ORDERS]
    for nest in map("".join, permutations("NSKC")):
        own = {operand: prod(counts[loop] for loop in LOOPS[operand]) for operand in LOOPS}
        found = [walked(operand, nest, counts) // own[operand] for operand in LOOPS]
        assert any(all(one <= other for one, other in zip(each, found, strict=True)) for each in ours)


@given(tiles)
def test_distinct_orders_are_those_in_which_no_earlier_one_walks_the_same(counts: dict[str, int]) -> None:
    sequences = ["".join(loop for loop in NESTS[order] if counts[loop] > 1) for order in ORDERS]
    expected = [sequence not in sequences[:number] for number, sequence in enumerate(sequences)]
    assert [bool(distinct(order, counts)) for order in ORDERS] == expected


@given(tiles, st.integers(1, 3))
def test_an_operand_changes_if_a_second_tile_of_it_passes(counts: dict[str, int], groups: int) -> None:
    for operand, own in LOOPS.items():
        several = groups * prod(counts[loop] for loop in own) > 1
        assert bool(changes(operand, {**counts, "G": groups})) == several


def test_modes_of_an_order_stand_from_the_best_to_the_least() -> None:
    """A mode in which an operand has more comes before, so that it is taken where both cost the same."""
    for number, mode in enumerate(MODES):
        for other in MODES[:number]:
            if other.order == mode.order:
                more = set(other.stays) >= set(mode.stays) and set(other.single) <= set(mode.single)
                less = set(other.stays) <= set(mode.stays) and set(other.single) >= set(mode.single)
                assert more or not less


def test_modes_are_all_there_once() -> None:
    assert len(set(MODES)) == len(MODES) == 4 * 4 * 3 * 3
    assert np.array_equal([mode_of(*mode) for mode in MODES], range(len(MODES)))
