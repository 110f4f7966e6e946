"""Buffers that keep a map, and other shares of one of the same size, against simulating each."""

from __future__ import annotations

from typing import Any

import pytest

import squeezesim as sq
from squeezesim.explore.advise import advise, buffers
from squeezesim.explore.buffers import best_share, sizes_that_keep
from squeezesim.explore.passing import passing_of
from tests.report.cases import accelerator, network, report

PARTS = {
    "maps": {"size_kib": 2, "holds": ["inputs", "outputs"]},
    "weights": {"size_kib": 14, "holds": ["weights"]},
}


def test_the_size_that_keeps_a_map_is_proposed() -> None:
    made = sq.simulate(network(), accelerator({"memory.global_buffer.keeps": ["activations"]}))
    passing = passing_of(made)
    sizes = [each.size_kib for each in passing if each.size_kib is not None]
    changes = [*sizes_that_keep(made, passing)]
    assert [change.values["memory.global_buffer.size_kib"] for change in changes] == [*dict.fromkeys(sizes)]
    found = [each for each in buffers(made, passing) if each.kind == "size"]
    assert [each.after.accelerator.memory.global_buffer.size_kib for each in found] == [
        *dict.fromkeys(sizes)
    ][:2]
    for each in found:
        assert each.before is made
        assert each.after == sq.simulate(network(), each.after.accelerator)
        name = each.change.rpartition("keeps ")[2]
        (row,) = [row for row in each.after.rows() if row["name"] == name]
        assert row["output_in"] in ("buffer", "both")
        assert next(row for row in made.rows() if row["name"] == name)["output_in"] == "memory"
    kinds = [each.kind for each in advise(made)]
    assert ("size" in kinds) == any(
        each.saved_cycles > 0.001 * int(made.tally.cycles.sum()) for each in found
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory.global_buffer": {"parts": PARTS}}, "parts, size_kib of weights 14 → 10.5 and maps 2 → 5.5"),
        ({"memory.global_buffer.weights_kib": 12}, "weights_kib 12 → "),
    ],
)
def test_another_share_of_the_same_size(changes: dict[str, Any], words: str) -> None:
    made = report({**changes, "memory.dram.bandwidth_gb_s": 0.5})
    change = best_share(made)
    assert change is not None
    assert words in change.text
    (found,) = [each for each in buffers(made, []) if each.kind == "share"]
    assert found.saved_cycles > 0
    after = found.after.accelerator.memory.global_buffer
    assert after.size_kib == made.accelerator.memory.global_buffer.size_kib
    cycles = [
        sq.simulate(network(), made.accelerator.replace(each)).totals["cycles"]
        for each in (
            [{"memory.global_buffer.weights_kib": size} for size in (0, 6)]
            if "memory.global_buffer.weights_kib" in changes
            else [change.values]
        )
    ]
    assert min(cycles) == found.after.totals["cycles"]  # type: ignore[type-var]


def test_a_buffer_without_parts_has_no_shares() -> None:
    assert best_share(report()) is None
    assert [*buffers(report(), passing_of(report()))] == []
