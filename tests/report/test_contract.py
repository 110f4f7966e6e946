"""A result with a cause, a bound, an operand, a level and a dataflow that no table knows is shown as any other."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator

from squeezesim.cost.costs import BOUNDS, CAUSES, Cause, Costs
from squeezesim.cost.dataflow import DATAFLOWS, register
from squeezesim.cost.machine import LEVELS, Machine, Store
from squeezesim.errors import ReportError
from squeezesim.explore import advise
from squeezesim.explore.compare.compare import compare
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.dataflows import DECLARED, Declaration, SpatialMap
from squeezesim.network import Layer, Network
from squeezesim.report import metrics, text
from squeezesim.report.diagnosis import Case, notes, reason
from squeezesim.report.explain import explain, summary
from squeezesim.report.figures.colours import THEMES
from squeezesim.report.figures.registry import KINDS, figure
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.html.page import page
from squeezesim.report.perfetto import trace
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode, encode, report_schema
from squeezesim.report.units import share, size
from squeezesim.simulate import simulate
from tests.cost.dataflow.test_register import line_cost
from tests.report.cases import accelerator, report

NAME = "dummy"


def taken(values: Any) -> Any:
    """*values* with a further entry along the last axis, which has three quarters of what the largest had."""
    largest = values.argmax(axis=-1)[..., np.newaxis]
    most = np.take_along_axis(values, largest, axis=-1)
    left = values.copy()
    np.put_along_axis(left, largest, most // 4, axis=-1)
    return np.concatenate([left, most - most // 4], axis=-1)


@cache
def made() -> Report:
    """The small report, whose entries named ``dummy`` have most of what the others had; sums are the same.

    The first layer runs the dataflow ``dummy``.
    """
    plain = report({"energy.pj_per_unit": 2.5})
    costs = plain.costs
    dataflow = costs.dataflow.copy()
    dataflow[0, 0] = len(costs.dataflows)
    changed = replace(
        costs,
        losses=taken(costs.losses),
        time=taken(costs.time),
        dram_bytes=taken(costs.dram_bytes),
        energy=taken(costs.energy),
        bits=taken(taken(costs.bits).swapaxes(-1, -2)).swapaxes(-1, -2),
        dataflow=dataflow,
        **{axis: (*names, NAME) for axis, names in costs.axes._asdict().items()},
    )
    return Report(plain.network, plain.accelerator, changed)


def lost() -> list[int]:
    values: list[int] = made().costs.losses[0, :, -1].tolist()
    return values


def test_it_is_in_tables() -> None:
    rows = made().rows()
    assert [row["lost_dummy"] for row in rows] == lost()
    assert [row["dram_dummy_bytes"] for row in rows] == made().costs.dram_bytes[0, :, -1].tolist()
    assert rows[0]["dataflow"] == NAME
    assert rows[0]["bound"] == NAME
    assert made().losses[NAME].tolist() == lost()
    assert made().energy["dummy_uj"].sum() == pytest.approx(made().costs.energy[0, :, -1].sum() * 2.5e-6)
    total = made().losses
    parts = total.drop(columns=["name", "stage", "dataflow", "cycles", "pe_cycles"])
    assert parts.sum(axis=1).tolist() == total.pe_cycles.tolist()
    assert made().totals == pytest.approx(report({"energy.pj_per_unit": 2.5}).totals)


def test_it_is_in_files(tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet", ".md", ".json", ".html"):
        made().save(tmp_path / f"report{suffix}")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "report.csv").read_text(encoding="utf-8"))))
    assert [int(row["lost_dummy"]) for row in rows] == lost()
    assert pq.read_table(tmp_path / "report.parquet")["lost_dummy"].to_pylist() == lost()
    assert NAME in re.split(r"[ |]+", (tmp_path / "report.md").read_text(encoding="utf-8"))
    again = Report.load(tmp_path / "report.json")
    assert again == made()
    assert again.costs.causes[-1] == NAME
    Draft202012Validator(report_schema()).validate(json.loads((tmp_path / "report.json").read_text()))


def broken(change: Any) -> str:
    document = json.loads(encode(made()))
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["layers"][0].pop("lost_dummy"), "lost_dummy must be an integer"),
        (lambda d: d["layers"][1]["energy"].pop(NAME), "dummy must be a number"),
        (lambda d: d["layers"][0].pop("lost_edge"), "lost_edge must be an integer"),
        (lambda d: d["layers"][0].update({"lost_<b>": 0}), "the name of a cause must be at most 64 letters"),
        (lambda d: d["layers"][0]["energy"].update({"x" * 65: 0}), "the name of a level must be at most 64"),
        (
            lambda d: d["layers"][0]["time_cycles"].update(dict.fromkeys(map("b{}".format, range(60)), 0)),
            "a report has at most 64 names of a bound, found 66",
        ),
        (lambda d: d.update(dataflows={}), "dataflows must be a list of names, found {}"),
        (lambda d: d.update(dataflows=["a b"]), "the name of a dataflow must be at most 64 letters"),
        (lambda d: d.pop("dataflows"), "dataflow must be one of "),
    ],
)
def test_names_of_a_file_are_bounded(change: Any, message: str) -> None:
    with pytest.raises(ReportError) as caught:
        decode(broken(change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_known_names_keep_their_order_whatever_that_of_the_file_is() -> None:
    rows = json.loads(encode(made()))
    rows["layers"] = [dict(reversed(row.items())) for row in rows["layers"]]
    assert decode(json.dumps(rows)) == made()


@pytest.mark.parametrize("by", ["layer", "stage", "op"])
def test_it_is_in_texts(by: str) -> None:
    assert NAME in text.text(made(), by=by).split()
    losses, tally = made().losses, made().tally
    sentences = " | ".join(summary(made()))
    assert f"dummy {share(losses[NAME].sum() / losses.pe_cycles.sum())}" in sentences
    assert f"dummy-bound {share(tally.part('time', NAME).sum() / tally.cycles.sum())}" in sentences


def test_it_is_the_cause_of_findings_and_explanations() -> None:
    rows = {row["name"]: row for row in made().rows()}
    found = made().bottlenecks(3)
    for finding in found:
        losses = {cause: rows[finding.layer][f"lost_{cause}"] for cause in made().costs.causes}
        assert losses[finding.cause] == max(losses.values())
    assert [finding.cause for finding in found].count(NAME) >= 2
    (first,) = explain(made(), "stem.conv")
    of_cycles = lost()[0] / (64 * int(made().costs.cycles[0, 0]))
    assert f"{share(of_cycles)} of its PE-cycles are lost to dummy" in first.sentences
    moved, spent = made().costs.dram_bytes[0, 0], made().costs.energy[0, 0]
    for part in (moved[-1] / moved.sum(), spent[-1] / spent.sum()):
        assert f"{share(part)} dummy" in str(first)
    assert [part.cycles for part in explain(made())] == [part.cycles for part in explain(report())]


def test_advice_is_that_of_the_same_cycles() -> None:
    found = {(each.kind, each.change): each.saved_cycles for each in advise.advise(made(), cache=False)}
    plain = advise.advise(report({"energy.pj_per_unit": 2.5}), cache=False)
    expected = {(each.kind, each.change): each.saved_cycles for each in plain}
    # Output channels of a layer stand along the columns where its dataflow says so: that of the first is not known.
    assert found.items() <= expected.items()
    assert {kind for kind, _ in found} == {kind for kind, _ in expected}


@pytest.mark.parametrize(
    "theme", [pytest.param(theme, marks=[pytest.mark.slow] * (theme != "light")) for theme in THEMES]
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_in_figures(kind: str, theme: str) -> None:
    options: dict[str, Any] = {"top1": {made().network.name: 60.0}} if kind == "tradeoff" else {}
    assert figure(kind, [made()], "svg", theme=theme, **options).startswith(b"<?xml")
    drawn = getattr(made().plot, kind)(theme=theme, **options)
    legends = [*drawn.legends, *(axes.get_legend() for axes in drawn.axes if axes.get_legend())]
    words = [label.get_text() for legend in legends for label in legend.get_texts()]
    words += [tick.get_text() for axes in drawn.axes for tick in axes.get_yticklabels()]
    if kind in ("utilization", "losses", "energy", "roofline"):
        assert words.count(NAME) == (2 if kind == "energy" else 1)


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_it_is_in_pages() -> None:
    plain = report({"energy.pj_per_unit": 2.5})
    html = page([plain, made()])
    data = data_of(html)
    for kind, values in (
        ("causes", made().costs.losses[0, :, -1] / 64),
        ("operands", made().costs.dram_bytes[0, :, -1]),
        ("levels", made().costs.energy[0, :, -1] * 2.5e-6),
    ):
        place = data["legends"][kind]["keys"].index(NAME)
        first, second = ([row[place] for row in result["parts"][kind]] for result in data["results"])
        assert set(first) == {0}
        assert second == pytest.approx(values.tolist(), rel=1e-5)
        assert f".fill-{data['legends'][kind]['colours']}-{NAME} {{" in html
    assert f".fill-flow-{NAME} {{" in html
    assert data["results"][1]["layers"]["dataflow"][0] == NAME


def test_it_is_in_traces_and_notebooks() -> None:
    events = json.loads(trace(made()))["traceEvents"]
    (first,) = [event for event in events if event["name"] == "stem.conv" and event["tid"] == 1]
    assert (first["args"]["dataflow"], first["args"]["bound"]) == (NAME, NAME)
    (busy,) = [event for event in events if event["name"] == "stem.conv" and event["tid"] == 2]
    assert 0 < busy["args"]["busy_cycles"] <= made().costs.cycles[0, 0]
    assert re.search(r"dummy: \d", made()._repr_html_())
    assert NAME in repr(made())


def test_it_is_compared() -> None:
    table = compare([report({"energy.pj_per_unit": 2.5}), made()], by="layer")
    assert NAME in table.bound.tolist()
    assert compare([report(), made()]).latency_relative.tolist() == [1, 1]


def test_costs_with_further_names_go_with_costs_without() -> None:
    plain, further = report().costs, made().costs
    both = Costs.concat([plain, further])
    count = plain.cycles.shape[1]
    known = further.axes._replace(accesses=plain.accesses)
    assert both.axes == known
    assert both.take(slice(count, None)).equals(further.along(known))
    assert both.losses[0, :count].tolist() == [[*row, 0] for row in plain.losses[0].tolist()]
    assert both.dataflow[0].tolist() == [*plain.dataflow[0].tolist(), *further.dataflow[0].tolist()]


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Report:
    """A report on a machine whose weights live in a memory beside DRAM, with a port of one byte a cycle."""
    plain = Machine.of

    def of(subject: Accelerator) -> Machine:
        return replace(plain(subject), stores=(Store("hbm", ("weights",), 1.0, 20, 1.0),))

    monkeypatch.setattr(Machine, "of", of)
    return report({"energy.pj_per_unit": 2.5})


def test_a_memory_beside_dram_is_shown_with_its_port(beside: Report, tmp_path: Path) -> None:
    layers, tally = beside.network.layers, beside.tally
    assert beside.memories == {"dram": ("inputs", "outputs", "psums"), "hbm": ("weights",)}
    mac = np.flatnonzero(tally.macs > 0)
    assert tally.part("losses", "hbm").sum() > 0
    assert tally.part("energy", "hbm").tolist() == [8 * int(moved) for moved in tally.part("dram", "weights")]
    assert decode(encode(beside)) == beside
    dram, hbm = ceilings(beside, mac)
    assert (dram.memory, hbm.memory, hbm.bytes_a_second) == ("DRAM", "hbm", 500e6)
    assert hbm.intensity == pytest.approx(tally.executed[mac] / tally.part("dram", "weights")[mac])
    place = int(tally.part("losses", "hbm").argmax())
    moved, lost = int(tally.part("dram", "weights")[place]), int(tally.part("losses", "hbm")[place])
    waits = f"waits for hbm for {share(lost / (64 * int(tally.cycles[place])))} of its cycles"
    said = reason(Case(beside, place), "hbm")
    assert waits in said
    assert f"moving {size(moved)} (100.0 % weights) at a steady 1 bytes a cycle" in said
    where = "operands live in several memories: inputs, outputs, psums in DRAM, weights in hbm"
    assert f"{where}; columns of DRAM count what passes any of them" in notes(beside)
    of_weights = int(tally.part("dram", "weights").sum())
    parts = f"DRAM {size(int(tally.dram_bytes.sum()) - of_weights)}, hbm {size(of_weights)}"
    assert f"; in all memories: {parts}" in text.text(beside)
    events = json.loads(trace(beside))["traceEvents"]
    threads = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    for layer, moved in zip(layers, tally.part("dram", "weights").tolist(), strict=True):
        runs = [event for event in events if event["tid"] == threads["hbm in"] and event["ph"] == "X"]
        runs = [event for event in runs if event["args"]["layer"] == layer.name]
        assert sum(event["args"]["bytes"] for event in runs) == moved
        assert all(one["ts"] + one["dur"] <= other["ts"] + 1e-6 for one, other in pairwise(runs))
    for kind in KINDS:
        options: dict[str, Any] = {"top1": {"small": 60.0}} if kind == "tradeoff" else {}
        assert getattr(beside.plot, kind)(**options).axes
    lanes = [
        label.get_text() for label in beside.plot.timeline(layers=["stem.conv"]).axes[0].get_yticklabels()
    ]
    assert lanes == ["load", "compute", "store", "load hbm", "store hbm"]
    drawn = beside.plot.energy().axes[1]
    assert drawn.get_xlabel() == "DRAM and hbm energy by operand (µJ)"
    for suffix in (".html", ".md", ".csv", ".parquet"):
        beside.save(tmp_path / f"report{suffix}")
    assert all(each.saved_cycles > 0 for each in advise.advise(beside, cache=False))


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Report:
    """A report on one row of PEs whose dataflow was registered, with its colours and words generated."""
    monkeypatch.setitem(DECLARED, "line", DECLARED["ws"])  # both tables are as before at the end
    monkeypatch.setitem(DATAFLOWS, "line", DATAFLOWS["ws"])
    del DECLARED["line"], DATAFLOWS["line"]
    register(Declaration("line", SpatialMap((), ("K",)), "weights", family="scalesim"), line_cost)
    changes = {"array.dataflows": ["line"], "array.rows": 1, "array.cols": 5}
    layer = Layer.conv("stem.conv", c=3, k=16, oy=6, ox=6, fy=3, fx=3, stage="stem")
    return simulate(Network.from_layers([layer], name="small"), accelerator(changes))


def test_a_registered_dataflow_is_shown(line: Report, tmp_path: Path) -> None:
    assert [row["dataflow"] for row in line.rows() if row["macs"]] == ["line"]
    for suffix in (".json", ".html", ".md", ".trace.json"):
        line.save(tmp_path / f"report{suffix}")
    assert Report.load(tmp_path / "report.json") == line
    assert ".fill-flow-line {" in (tmp_path / "report.html").read_text(encoding="utf-8")
    for kind in KINDS:
        options: dict[str, Any] = {"top1": {"small": 60.0}} if kind == "tradeoff" else {}
        assert getattr(line.plot, kind)(**options).axes
    words = [text.get_text() for text in line.plot.roofline().legends[0].get_texts()]
    assert words.count("line") == 1
    assert "its 16 output channels fill 80.0 % of 5 columns in 4 passes" in reason(Case(line, 0), "edge")
    proposals = [each for each in advise.accelerators(line) if each.kind == "dataflow"]
    assert [each.change.split(" → ")[1].split(",")[0] for each in proposals] == [
        f"line or scalesim_{name}" for name in ("os", "ws", "is")
    ]
    assert len(advise.advise(line, cache=False)) > 0
    assert {name for part in explain(line) for name in part.layers} <= {
        layer.name for layer in line.network.layers
    }


def test_files_lack_names_that_came_later(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = report()
    written, losses = encode(plain), plain.costs.losses.tolist()
    monkeypatch.setitem(CAUSES, "later", Cause("later", "later", "came later"))
    for table in (BOUNDS, LEVELS):
        monkeypatch.setitem(table, "later", "what came later")
    read = decode(written)
    assert read.costs.causes[-1] == read.costs.bounds[-1] == read.costs.levels[-1] == "later"
    assert not read.costs.losses[..., -1].any()
    assert read.costs.losses[..., :-1].tolist() == losses
    assert metrics.totals(read) == plain.totals
