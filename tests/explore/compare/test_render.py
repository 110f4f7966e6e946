"""Sections, Markdown, JSON and figures of small comparisons; exact texts of the command are in tests/golden."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from squeezesim.errors import UsageError
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import Comparison, of_report
from squeezesim.explore.compare.gate import Verdict, conditions, judge, most_accurate
from squeezesim.explore.compare.render import (
    accuracy_figure,
    draw,
    heading,
    ratio,
    sections,
    to_json,
    to_markdown,
)
from squeezesim.report.grid import Grid
from tests.explore.compare.test_compare import compared, named

MARKDOWN = """\
# squeezesim: 1 of 2 conditions failed

- failed: latency_us \\> +2%: small on y: latency_us 72.594 → 84.214 (+16.0 %)
- ok: no result with params \\> 1M

## small on 2 accelerators, relative to small on x; ideal: DRAM × 100 %

| accelerator | params | MACs | latency µs | × | utilization | energy (MACs) | × | DRAM | × |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| x | 2.608 k | 541.2 k | 72.59 | 1.000 | 23.3 % | 17.98 M | 1.000 | 135.3 KiB | 1.000 |
| y | 2.608 k | 541.2 k | 84.21 | 1.160 | 10.0 % | 17.50 M | 0.973 | 135.3 KiB | 1.000 |

## notes

- energy is in units of one MAC, since the energy table of x and of y is relative
- small: not modelled, and in no number: fft ×2
- small: differs from smaller in depth
"""


def both() -> Comparison:
    return compared(named("x"), named("y", {"array.rows": 16, "control.layer_setup_cycles": 1000}))


def verdicts() -> list[Verdict]:
    return judge(both(), conditions(["latency_us > +2%", "params > 1M"]))


@pytest.mark.parametrize(("by", "top"), [("layer", 2), ("stage", 9)])
def test_the_parts_that_differ_most(by: str, top: int) -> None:
    (_, table) = (part.body for part in sections(both(), by, top=top) if isinstance(part.body, Grid))
    changes = {row[by]: abs(row["difference_us"]) for row in both().rows(by) if row["accelerator"] == "y"}
    most = sorted(changes, key=lambda name: -changes[name])[:top]
    assert [cells[0] for cells in table.cells] == [*most, "total"]


def test_the_markdown_is_exactly_this() -> None:
    assert to_markdown(both(), verdicts=verdicts()) == MARKDOWN


def test_the_json_holds_all_of_it() -> None:
    document = json.loads(to_json(both(), "layer", verdicts()))
    assert list(document) == ["results", "layers", "conditions", "notes"]
    assert [row["accelerator"] for row in document["results"]] == ["x", "y"]
    assert document["results"][1]["latency_us"] == pytest.approx(both().totals[1]["latency_us"])
    assert len(document["layers"]) == 2 * len(both().results[0].report.network.layers)
    assert document["conditions"] == [
        {
            "fail_if": "latency_us > +2%",
            "has_failed": True,
            "failures": ["small on y: latency_us 72.594 → 84.214 (+16.0 %)"],
        },
        {"fail_if": "params > 1M", "has_failed": False, "failures": []},
    ]


@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("by", ["result", "stage", "layer"])
@pytest.mark.parametrize("width", [78, 98, 140, 198])
def test_tables_fit_and_results_have_the_same_columns(count: int, by: str, width: int) -> None:
    some = compared(*(named(f"accelerator_{place}") for place in range(count)))
    grids = [part.body for part in sections(some, by, width=width) if isinstance(part.body, Grid)]
    assert len(grids) == (1 if by == "result" else 2)
    for grid in grids:
        assert max(map(len, grid.plain().splitlines())) <= width
    if by != "result":
        headers = [column.header for column in grids[1].columns]
        assert [header for header in headers if header.startswith("[")] == [
            f"[{place + 1}] µs" for place in range(count)
        ]
        assert headers.count("share") in (0, count)
        assert headers.count("×") in (0, count - 1)


def test_what_all_share_stands_in_the_heading() -> None:
    def of(*names: tuple[str, str], **options: Any) -> str:
        results = [of_report(named(hardware, network_name=net)) for net, hardware in names]
        return heading(comparison(results, **options)).removesuffix("; ideal: DRAM × 100 %")

    four = [(net, hardware) for net in ("a", "b") for hardware in ("x", "y")]
    assert of(("a", "x")) == "a on x"
    assert of(("a", "x"), ("b", "x")) == "2 networks on x, relative to a"
    assert of(("a", "x"), ("a", "y")) == "a on 2 accelerators, relative to a on x"
    assert of(*four) == "2 networks on 2 accelerators, relative to a on x"
    assert of(*four, baseline="a") == "2 networks on 2 accelerators, relative to a on the same accelerator"
    assert of(*four, baseline="y") == "2 networks on 2 accelerators, relative to the same network on y"
    saved = [of_report(named(name), f"{name}.json") for name in ("x", "y")]
    assert heading(comparison([of_report(named("x"))], against=saved[:1])) == (
        "small on x, relative to small (x.json); ideal: DRAM × 100 %"
    )
    assert heading(comparison([of_report(named("x"))], against=saved)) == (
        "small on 2 accelerators, relative to saved reports; ideal: DRAM × 100 %"
    )


def test_the_heading_says_which_accelerators_are_ideal() -> None:
    def of(*usable: float, **more: float) -> str:
        changes = [{"memory.dram.usable_fraction": each, **more} for each in usable]
        reports = [named(f"h{place}", change) for place, change in enumerate(changes)]
        return heading(compared(*reports)).partition("; ")[2]

    assert of(0.5) == of(0.5, 0.8) == ""
    assert of(1) == of(1, 1) == "ideal: DRAM × 100 %"
    assert of(1, 0.5, 1) == "ideal: h0, h2 (DRAM × 100 %)"
    without = {"memory.dram.latency_ns": 0, "control.layer_setup_cycles": 0}
    assert of(1, **without) == "ideal: DRAM × 100 %, no latency, no set-up"
    assert of(1, 0.5, **without) == (
        "ideal: h0 (DRAM × 100 %, no latency, no set-up); ideal: h1 (no latency, no set-up)"
    )


def test_energy_is_in_one_unit_in_all_rows() -> None:
    def headers(*some: dict[str, Any]) -> list[str]:
        reports = [named(f"h{place}", changes) for place, changes in enumerate(some)]
        body = sections(compared(*reports))[0].body
        assert isinstance(body, Grid)
        return [column.header for column in body.columns if column.header.startswith("energy")]

    absolute = {"energy.pj_per_unit": 2.0}
    assert headers(absolute, absolute) == ["energy µJ"]
    assert headers(absolute, {}) == ["energy (MACs)"]
    assert headers({}) == ["energy (MACs)"]


def test_names_of_strangers_are_no_markup() -> None:
    name = "<img src=x>|`a`[b](c)"
    text = to_markdown(compared(named("x", network_name=name), named("x", network_name="other")))
    (row,) = (line for line in text.splitlines() if "img" in line and line.startswith("|"))
    assert row.startswith("| \\<img src=x\\>\\|\\`a\\`\\[b\\](c) | 2.608 k |")


def test_ratios() -> None:
    assert [ratio(value) for value in (1, 0.87654, 9.9994, 12.3456, 2710.4, None)] == [
        "1.000",
        "0.877",
        "9.999",
        "12.35",
        "2,710",
        "–",
    ]


def test_results_that_do_not_fit_are_counted() -> None:
    many = compared(*(named(f"x{number}", {"array.rows": number}) for number in range(1, 13)))
    (table,) = (part.body for part in sections(many, "stage", width=60) if part.heading == "stages")
    assert isinstance(table, Grid)
    shown = [column.header for column in table.columns if column.header.endswith(" µs")]
    left = 12 - len(shown)
    assert left > 0
    assert table.notes == [f"4 columns and {left} results hidden; {table.elsewhere}"]


def networks(accuracies: dict[str, float], hardware: tuple[str, ...] = ("x",)) -> Comparison:
    """Networks a, b, c … of rising latency, with the accuracies that are given."""
    names = sorted(accuracies)
    results = [
        of_report(named(name, {"control.layer_setup_cycles": 100 * place}, net))
        for place, net in enumerate([*names, "unknown"])
        for name in hardware
    ]
    return comparison(results, top1=accuracies)


def test_the_front_joins_what_none_beats_from_edge_to_edge() -> None:
    some = networks({"a": 50, "b": 60, "c": 55, "d": 70, "e": 70}, ("x", "y"))
    figure = accuracy_figure(some)
    assert len(figure.axes) == 4  # latency and energy on each accelerator
    axes = figure.axes[0]
    assert len(axes.collections) == 5  # the sixth has no accuracy
    (line,) = [item for item in axes.lines if item.get_label() == "Pareto front"]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert y.tolist() == [axes.get_ylim()[0], 50, 50, 60, 60, 70, 70]
    times = [row["latency_us"] for row in some.rows() if row["accelerator"] == "x"]
    assert x.tolist() == pytest.approx([*np.repeat([times[0], times[1], times[3]], 2), axes.get_xlim()[1]])


def test_every_circle_has_a_name_unless_there_are_too_many() -> None:
    few = {f"net{place:02}": 50.0 + place for place in range(4)}
    names = {text.get_text() for text in accuracy_figure(networks(few)).axes[0].texts}
    assert names == set(few)
    many = {f"net{place:02}": 60.0 if place == 0 else 50.0 - place for place in range(25)}
    shown = [text.get_text() for text in accuracy_figure(networks(many)).axes[0].texts]
    assert shown[0] == "net00"  # on the front
    assert len(shown) <= 25


def test_the_most_accurate_of_those_that_pass_is_named() -> None:
    made = networks({"a": 50, "b": 60})
    whole = {row["network"]: row for row in made.rows()}
    passed = most_accurate(made, judge(made, conditions(["params > 1T"])))
    assert passed == "of those that pass, b on x has the highest top-1, 60.00 %"
    failing = judge(made, conditions([f"latency_us >= {min(row['latency_us'] for row in whole.values())}"]))
    assert len(failing[0].places) == len(failing[0].failures) > 0
    assert not most_accurate(made, failing)


def test_budgets_are_lines() -> None:
    made = networks({"a": 50, "b": 60})
    wanted = conditions(["latency_us > 5ms", "top1_percent < 55", "energy_mac_equiv + dram_bytes > 3"])
    verdicts = [Verdict(condition, ()) for condition in wanted]
    latency, energy = accuracy_figure(made, verdicts).axes[:2]
    written = [[text.get_text() for text in axes.texts] for axes in (latency, energy)]
    assert "at least 55 %" in written[0]
    assert any(text.startswith("budget 5") for text in written[0])
    assert not any(text.startswith("budget") for text in written[1])


@pytest.mark.parametrize(("file_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_equal_comparisons_are_the_same_bytes(file_format: str, start: bytes) -> None:
    first, again = (draw(networks({"a": 50, "b": 60}), file_format) for _ in range(2))
    assert first.startswith(start)
    assert first == again


def test_a_figure_needs_an_accuracy() -> None:
    with pytest.raises(UsageError) as caught:
        draw(comparison([of_report(named("x"))]), "png")
    assert str(caught.value) == (
        "a figure of accuracy needs one, and none is known of small; allowed: --top1 NETWORK=70.5"
    )
