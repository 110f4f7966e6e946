from __future__ import annotations

import re

import pytest

from squeezesim.hardware import Accelerator
from squeezesim.load import load
from squeezesim.papers.squeezenext_networks import Table3, compute
from squeezesim.papers.squeezenext_tables import (
    STAGES,
    VERSIONS,
    groups,
    layer_rows,
    sections,
    stage_cycles,
    stage_rows,
    table3_rows,
    versions,
)
from squeezesim.report.text import plain
from squeezesim.simulate import simulate


@pytest.fixture(scope="module")
def table() -> Table3:
    return compute()


def test_groups_lose_no_layer_and_no_cycle(table: Table3) -> None:
    for run in versions(table):
        found = groups(run)
        assert sum(group.cycles for group in found) == run.total_cycles
        assert sum(group.layers for group in found) == len(run.layers)
        assert sum(group.macs for group in found) == sum(layer.macs for layer in run.layers)
        for group in found:
            assert sum(group.cycles_by_dataflow.values()) == group.cycles


def test_a_group_is_the_layers_between_the_same_channels(table: Table3) -> None:
    """Stage 1 of v1 by hand: the first block's shortcut and squeeze read 64 channels, the others' squeeze 32."""
    first = groups(table.runs["squeezelerator_16x16"]["1.0-SqNxt-23"])[:8]
    assert [(group.stage, group.label, group.layers) for group in first] == [
        ("stem", "3→64 7×7/2", 1),
        ("stage1", "64→32 1×1", 1),
        ("stage1", "64→16 1×1", 1),
        ("stage1", "16→8 1×1", 6),
        ("stage1", "8→16 3×1", 6),
        ("stage1", "16→16 3×1", 6),
        ("stage1", "16→32 1×1", 6),
        ("stage1", "32→16 1×1", 5),
    ]
    assert first[0].efficiency == first[0].macs / (256 * first[0].cycles)


def test_stages_are_those_of_a_profile(table: Table3) -> None:
    report = simulate(load("squeezenext_23_v3"), Accelerator.named("squeezelerator_8x8"))
    expected = {row["stage"]: row["cycles"] for row in report.rows("stage")}
    assert stage_cycles(table.runs["squeezelerator_8x8"]["1.0-SqNxt-23v3"]) == expected
    assert tuple(expected) == STAGES


def test_rows_have_every_network_group_and_stage(table: Table3) -> None:
    assert len(table3_rows(table)) == 26
    assert len(stage_rows(table)) == 2 * len(VERSIONS) * len(STAGES)
    assert len(layer_rows(table)) == sum(len(groups(run)) for run in versions(table))
    for row in table3_rows(table):
        assert row["time"] == pytest.approx((1 + row["time_error"]) * row["time_printed"])
        assert row["energy"] == pytest.approx((1 + row["energy_error"]) * row["energy_printed"])
    by_network: dict[tuple[str, str], float] = {}
    for row in stage_rows(table):
        key = (row["accelerator"], row["network"])
        by_network[key] = by_network.get(key, 0) + row["share"]
    assert list(by_network.values()) == pytest.approx([1.0] * 10)


def test_the_text_has_printed_and_ours(table: Table3) -> None:
    text = plain(sections(table))
    run = table.runs["squeezelerator_16x16"]["AlexNet"]
    ours = table.time("squeezelerator_16x16", "AlexNet")
    (line,) = re.findall(r"^  AlexNet +8\.26 .*$", text, re.MULTILINE)
    assert f" {ours:.3f} " in line
    assert f"is {ours:.2f}× faster than AlexNet, in the paper 8.26×" in text
    assert f"  {run.total_energy / 1e9:.2f}  " in text
    assert text.count("figure 8, cycles by stage on ") == 2


@pytest.mark.parametrize("width", [60, 80])
def test_tables_fit_a_terminal(table: Table3, width: int) -> None:
    for section in sections(table, width):
        if hasattr(section.body, "plain"):
            assert max(map(len, section.body.plain().splitlines())) <= width
