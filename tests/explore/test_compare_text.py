"""Exact texts of a small comparison, and that no table is wider than asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import Comparison, of_report
from squeezesim.explore.compare.gate import Verdict, conditions, judge
from squeezesim.explore.compare.render import heading, ratio, sections, to_json, to_markdown
from squeezesim.report.grid import Grid
from squeezesim.report.text import plain
from tests.explore.test_compare import compared, named

TEXT = """\
small on 2 accelerators, relative to small on x
  accelerator   params     MACs  latency µs      ×  utilization  energy (MACs)      ×       DRAM      ×
  [1] x        2.608 k  541.2 k       73.01  1.000       23.2 %        18.04 M  1.000  135.7 KiB  1.000
  [2] y        2.608 k  541.2 k       84.36  1.155       10.0 %        17.71 M  0.982  135.5 KiB  0.999

stages
  stage   [1] µs    share  utilization  [2] µs    share  utilization      ×  −[1] µs
  stem     8.960   12.3 %       38.6 %   9.986   11.8 %       17.3 %  1.115   +1.026
  stage1   50.57   69.3 %       26.6 %   57.29   67.9 %       11.7 %  1.133   +6.720
  head     13.48   18.5 %        0.1 %   17.08   20.3 %        0.0 %  1.267   +3.600
  total    73.01  100.0 %       23.2 %   84.36  100.0 %       10.0 %  1.155   +11.35

conditions
  failed: latency_us > +2%: small on y: latency_us 73.012 → 84.358 (+15.5 %)
  ok: no result with params > 1M

notes
  energy is in units of one MAC, since the energy table of x and of y is relative
  small: not modelled, and in no number: fft ×2
  small: differs from smaller in depth"""

LARGEST = """\
the 2 layers whose latency differs most
  layer       [1] µs    share  utilization  [2] µs    share  utilization      ×  −[1] µs
  stage1.add   18.71   25.6 %        0.0 %   20.51   24.3 %        0.0 %  1.096   +1.800
  head.pool    12.62   17.3 %        0.0 %   14.42   17.1 %        0.0 %  1.143   +1.800
  total        73.01  100.0 %       23.2 %   84.36  100.0 %       10.0 %  1.155   +11.35

  2 of 7 layers
"""

MARKDOWN = """\
# squeezesim: 1 of 2 conditions failed

- failed: latency_us \\> +2%: small on y: latency_us 73.012 → 84.358 (+15.5 %)
- ok: no result with params \\> 1M

## small on 2 accelerators, relative to small on x

| accelerator | params | MACs | latency µs | × | utilization | energy (MACs) | × | DRAM | × |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| x | 2.608 k | 541.2 k | 73.01 | 1.000 | 23.2 % | 18.04 M | 1.000 | 135.7 KiB | 1.000 |
| y | 2.608 k | 541.2 k | 84.36 | 1.155 | 10.0 % | 17.71 M | 0.982 | 135.5 KiB | 0.999 |

## notes

- energy is in units of one MAC, since the energy table of x and of y is relative
- small: not modelled, and in no number: fft ×2
- small: differs from smaller in depth
"""


def both() -> Comparison:
    return compared(named("x"), named("y", {"array.rows": 16, "control.layer_setup_cycles": 1000}))


def verdicts() -> list[Verdict]:
    return judge(both(), conditions(["latency_us > +2%", "params > 1M"]))


def test_the_text_is_exactly_this() -> None:
    assert plain(sections(both(), "stage", verdicts())) == TEXT


def test_the_layers_that_differ_most() -> None:
    assert LARGEST in plain(sections(both(), "layer", top=2))
    assert "the 3 stages whose latency differs most" in plain(sections(both(), "stage", top=9))


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
            "failures": ["small on y: latency_us 73.012 → 84.358 (+15.5 %)"],
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
        return heading(comparison(results, **options))

    four = [(net, hardware) for net in ("a", "b") for hardware in ("x", "y")]
    assert of(("a", "x")) == "a on x"
    assert of(("a", "x"), ("b", "x")) == "2 networks on x, relative to a"
    assert of(("a", "x"), ("a", "y")) == "a on 2 accelerators, relative to a on x"
    assert of(*four) == "2 networks on 2 accelerators, relative to a on x"
    assert of(*four, baseline="a") == "2 networks on 2 accelerators, relative to a on the same accelerator"
    assert of(*four, baseline="y") == "2 networks on 2 accelerators, relative to the same network on y"
    saved = [of_report(named(name), f"{name}.json") for name in ("x", "y")]
    assert heading(comparison([of_report(named("x"))], against=saved[:1])) == (
        "small on x, relative to small (x.json)"
    )
    assert heading(comparison([of_report(named("x"))], against=saved)) == (
        "small on 2 accelerators, relative to saved reports"
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
