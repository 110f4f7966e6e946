from __future__ import annotations

import json
import platform
import re
import shlex
from base64 import b64encode
from dataclasses import replace
from functools import cache
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.cost.costs import CAUSES
from squeezesim.cost.machine import LEVELS
from squeezesim.network import Layer, Network
from squeezesim.report.data import Maker
from squeezesim.report.figures.charts import Energies
from squeezesim.report.figures.tensors import HELD
from squeezesim.report.html import assets
from squeezesim.report.html.comparison import accelerators, compare
from squeezesim.report.html.data import names_of, payload, table
from squeezesim.report.html.page import Advice, Proposed, page, snippet
from squeezesim.report.metrics import energy_column
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from squeezesim.zoo.registry import folder_name
from tests.report import cases

MOST_BYTES = 3_000_000
D3 = "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1"
ANY_TEXT = st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=40).filter(
    str.isprintable
)


class Reader(HTMLParser):
    """Elements of a page, texts of its table of layers, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def data_of(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert isinstance(data, dict)
    return data


def renamed(name: str) -> Report:
    """The small report, whose network, first layer, stage, module and note are called *name*."""
    plain = cases.network()
    first, *others = plain.layers
    layers = [replace(first, name=name, stage=name, module=name)]
    for layer in others:
        inputs = tuple(name if source == first.name else source for source in layer.inputs)
        layers.append(replace(layer, inputs=inputs))
    return simulate(
        Network(name, tuple(layers), plain.inputs, notes=(name,), source=name), cases.accelerator()
    )


@cache
def plain_page() -> Reader:
    return Reader(page([cases.report()]))


def test_a_page_loads_nothing() -> None:
    reader = plain_page()
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert all(link.startswith("#") for link in reader.links)
    assert "style" not in reader.attributes
    assert not [name for name in reader.attributes if name.startswith("on")]


def test_the_policy_allows_the_scripts_and_the_style_of_the_page_alone() -> None:
    text = page([cases.report()])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    hashes = [b64encode(sha256(part.encode()).digest()).decode() for part in (*scripts, *styles)]
    assert len(hashes) == 3
    assert re.findall(r"'sha256-(.*?)'", unescape(policy[1])) == hashes
    assert unescape(policy[1]).startswith("default-src 'none';")
    assert "unsafe" not in policy[1]


def test_every_part_of_a_chart_has_its_colour() -> None:
    known = names_of([cases.report()])
    classes = set(re.findall(r"^\.fill-(\S+) \{", assets.style(known), re.MULTILINE))
    for prefix, names in known.items():
        assert {f"{prefix}-{name}" for name in names} <= classes
    assert {"cause-executed", *(f"held-{home}" for home in HELD)} <= classes


def test_the_library_is_as_published_with_its_licence() -> None:
    """d3 7.9.2 of the npm registry, dist/d3.min.js."""
    vendor = assets.STATIC / "vendor"
    assert sha256((vendor / "d3.min.js").read_bytes()).hexdigest() == D3
    assert "Permission to use, copy, modify" in (vendor / "d3.LICENSE").read_text(encoding="utf-8")


@given(ANY_TEXT)
@settings(max_examples=10)
def test_names_are_text_whatever_they_are(name: str) -> None:
    if name in {"input", *(layer.name for layer in cases.network().layers)}:
        return
    text = page([renamed(name)])
    hostile, plain = Reader(text), plain_page()
    assert set(hostile.tags) <= set(plain.tags)
    assert hostile.attributes <= plain.attributes
    assert name in hostile.texts
    results = data_of(text)["results"]
    assert isinstance(results, list)
    assert results[0]["layers"]["name"][0] == name


def test_names_cannot_end_the_script() -> None:
    text = page([renamed("</script><script>alert(1)</script><!--")])
    assert text.count("<script") == 3
    assert "<!--" not in text.partition("<body>")[2].partition("<script>")[0]


def test_the_data_adds_up() -> None:
    report = cases.report()
    data = data_of(page([report]))
    (result,) = data["results"]  # type: ignore[misc]
    cycles = report.tally.cycles.tolist()
    assert [sum(row) for row in result["parts"]["causes"]] == pytest.approx(cycles, rel=1e-5)
    assert [sum(row) for row in result["parts"]["operands"]] == report.tally.dram_bytes.tolist()
    assert sum(result["whole"]["levels"][0]) == pytest.approx(report.totals["energy_mac_equiv"], rel=1e-5)
    assert data["legends"]["causes"]["keys"] == ["executed", *CAUSES]  # type: ignore[index]
    assert data["legends"]["levels"]["keys"] == list(LEVELS)  # type: ignore[index]
    assert result["waterfall"][-1]["to"] == report.totals["cycles"]
    assert result["layers"]["cycles"] == cycles


def test_tensors_are_those_of_the_report() -> None:
    assert '"memory":null' in page([cases.report()])
    report = cases.report({"memory.global_buffer.keeps": ["activations"]})
    memory = payload(report, Energies([report]), names_of([report]))["memory"]
    found = report.occupancy
    assert found is not None
    assert sum(top - bottom for *_, bottom, top in memory["inside"]) * 8 == sum(
        each.bits for each in found.stays
    )
    assert {report.network.layers[layer].name for layer, *_ in memory["inside"]} == {
        each.name for each in found.stays
    }
    assert [layer for layer, *_ in memory["outside"]].count(-1) == len(report.network.inputs)
    assert memory["size"] == 16 * 1024
    assert 'data-chart="memory"' in page([report])
    assert 'data-chart="memory"' not in page([cases.report()])


def test_the_table_is_that_of_the_terminal() -> None:
    report = cases.report()
    found = table(report)
    rows = report.rows()
    assert [number for number, _ in found.rows] == [n for n, row in enumerate(rows) if row["cycles"]]
    assert [cells[0] for _, cells in found.rows] == [row["name"] for row in rows if row["cycles"]]
    assert "efficiency" not in [heading.text for heading in found.headings]
    assert list(found.facets) == ["stage", "op", "dataflow", "bound"]


def test_what_has_no_macs_has_no_utilization() -> None:
    report = cases.report()
    place = [heading.text for heading in table(report).headings].index("utilization")
    rows = report.rows()
    for number, cells in table(report).rows:
        assert (cells[place] == "–") == (rows[number]["macs"] == 0)
    (result,) = data_of(page([report]))["results"]  # type: ignore[misc]
    assert [value is None for value in result["layers"]["utilization"]] == [not row["macs"] for row in rows]


def test_names_on_cards_are_in_full_but_for_their_beginning() -> None:
    (result,) = data_of(page([cases.report()]))["results"]  # type: ignore[misc]
    (card,) = [card for card in result["cards"] if card["stage"] == "stage1"]
    names = [layer.name for layer in cases.report().network.layers][card["first"] :][: card["rows"]]
    assert card["prefix"] == "stage1."
    for short in card["short"]:
        assert len(set(short)) == len(names)
    assert card["short"][0][0] == names[0].removeprefix("stage1.")


def test_times_are_in_one_unit() -> None:
    report = simulate(sq.load("alexnet"), sq.Accelerator.named("squeezelerator_16x16"))
    text = " ".join(" ".join(Reader(page([report])).texts).split())
    latency = f"{report.totals['latency_us']:,.0f} µs"
    assert f"Latency {latency}" in text
    assert f"latency {latency} (" in text.replace("\u00a0", " ")


def test_columns_that_say_nothing_are_left_out_and_others_are_not() -> None:
    dense, sparse = cases.report(), cases.report({"sparsity.weights": 0.4, "sparsity.skipped_by": ["os"]})
    assert "efficiency" in [heading.text for heading in table(sparse).headings]
    plain = simulate(Network.from_layers([Layer.matmul("fc", m=1, n=10, k=48)]), cases.accelerator())
    assert {heading.text for heading in table(dense).headings} > {
        heading.text for heading in table(plain).headings
    }


def test_energy_that_is_no_number_has_no_bar() -> None:
    """In units of one MAC, where a MAC costs nothing."""
    report = cases.report({"energy.overrides": {"mac": 0}})
    assert report.totals["energy_mac_equiv"] is None
    (result,) = data_of(page([report]))["results"]  # type: ignore[misc]
    assert not any(map(any, result["parts"]["levels"]))


def test_120_layers_fit_in_3_mb_and_are_the_same_bytes_again() -> None:
    report = simulate(sq.load("squeezenext_23"), sq.Accelerator.named("os_32x32"))
    assert len(report.network.layers) >= 120
    text = page([report], command="squeezesim report")
    assert len(text.encode()) < MOST_BYTES
    assert text == page([report], command="squeezesim report")


def test_a_page_says_what_is_not_modelled_and_how_to_reproduce() -> None:
    report, command = cases.report(), "squeezesim report 'a b' -o <x>.html"
    reader = Reader(
        page(
            [report],
            command=command,
            advice=Advice("each by itself", [Proposed("more <PEs>", "20 %", "−1 µJ", "none")]),
        )
    )
    text = " ".join(" ".join(reader.texts).split())
    (missing,) = report.unmodelled
    assert f"{missing.op} ×{missing.count}" in text
    assert report.notes
    assert all(note in text for note in report.notes)
    assert command in text
    assert "more <PEs> 20 % −1 µJ none" in text.replace("\u00a0", " ")
    assert f"squeezesim {sq.__version__}" in text
    sourced = report.accelerator.provenance["memory.dram.bandwidth_gb_s"]
    assert f" 2 GB/s {sourced.provenance} {sourced.source}" in text
    assert cases.accelerator().to_yaml() in reader.texts


@pytest.mark.parametrize("names", [["alexnet"], ["small"], ["alexnet", "small"], ["toy.py:hostile <b>"]])
def test_without_a_command_a_page_has_lines_of_python_that_give_it_again(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small_8x8.yaml").write_text(cases.accelerator().to_yaml(), encoding="utf-8")
    networks = [sq.load(name) if name == "alexnet" else replace(cases.network(), name=name) for name in names]
    for network in networks:
        network.save(f"{folder_name(network.name)}.graph.json")
    text = page([simulate(network, cases.accelerator()) for network in networks])
    exec(next(part for part in Reader(text).texts if "import squeezesim" in part), {})
    assert Path("report.html").read_text(encoding="utf-8") == text


def test_a_saved_page_is_that_of_the_report(tmp_path: Path) -> None:
    cases.report().save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page([cases.report()])


def test_a_built_in_network_that_was_changed_is_a_file() -> None:
    changed = sq.prune(sq.load("alexnet"), 0.5)
    lines = snippet(
        [simulate(sq.load("alexnet"), cases.accelerator()), simulate(changed, cases.accelerator())]
    )
    assert re.findall(r"sq.load\('(.*?)'\)", lines) == ["alexnet", "alexnet-prune-0.5.graph.json"]


def test_a_loaded_report_gives_the_same_page_but_for_what_made_it(tmp_path: Path) -> None:
    report = cases.report()
    report.save(tmp_path / "report.json")
    loaded, made = page([Report.load(tmp_path / "report.json")]), page([report])
    mark = '<h2 id="reproduce-h">'
    assert loaded.partition(mark)[0] == made.partition(mark)[0]
    assert data_of(loaded) == data_of(made)


def reproduce_text(text: str) -> str:
    return " ".join(" ".join(Reader(text.partition('<h2 id="reproduce-h">')[2]).texts).split())


def test_a_page_of_a_saved_report_says_what_made_the_report(tmp_path: Path) -> None:
    maker = Maker("0.0.9", ("profile", "a <b>.onnx", "--hw", "small_8x8.yaml"))
    replace(cases.report(), made_by=maker).save(tmp_path / "report.json")
    loaded = Report.load(tmp_path / "report.json")
    command = "squeezesim report report.json -o page.html"
    text = reproduce_text(page([loaded], command=command))
    assert command in text
    assert f"squeezesim {maker.version} " in text
    assert f"squeezesim {shlex.join(maker.command)}" in text
    assert f"squeezesim {sq.__version__}, " in text
    assert platform.python_version() not in text
    assert "torch" not in text
    assert "import squeezesim" not in text


def test_a_page_of_a_report_without_a_maker_says_so() -> None:
    loaded = Report.load(Path(__file__).parents[2] / "data" / "report-v1.json")
    text = reproduce_text(page([loaded], command="squeezesim report report.json -o page.html"))
    assert "It does not say which version of squeezesim made it; it holds no command." in text
    assert "import squeezesim as sq" in text


def test_what_was_made_here_has_the_versions_of_here() -> None:
    text = reproduce_text(page([cases.report()]))
    assert f"Python {platform.python_version()}" in text
    assert "read from a file" not in text


def test_a_network_of_several_results_is_named_once() -> None:
    text = reproduce_text(page([cases.report(), cases.report({"array.rows": 4})]))
    ((name, shape),) = cases.network().inputs
    origin = f"{cases.network().source}, {name} {'×'.join(map(str, shape))}"
    assert text.count(f"small {origin}") == 1
    assert text.count("small_8x8.yaml , as it was") == text.count("small_8x8-2.yaml , as it was") == 1


def test_a_comparison_names_the_best_and_what_differs() -> None:
    slow, fast = cases.report(), cases.report({"clock_mhz": 1000, "array.rows": 16})
    compared = compare([slow, fast])
    metrics = {metric.key: metric for metric in compared.metrics}
    assert metrics["latency_us"].best == [1]
    assert metrics["macs"].best == []
    assert metrics["cycles"].values == [slow.totals["cycles"], fast.totals["cycles"]]
    assert [(row.path, row.values) for row in compared.differences] == [
        ("clock_mhz", ["500", "1000"]),
        ("array.rows", ["8", "16"]),
    ]
    assert compared.accelerators == ["small_8x8", "small_8x8 #2"]


def test_energies_of_different_units_are_not_compared() -> None:
    """Of three results, the first two have one relative table, and the third another one."""
    one, two = cases.report(), cases.report({"array.rows": 4})
    other = cases.report({"energy.table": "horowitz_45nm"})
    assert energy_column(one, two) == "energy_mac_equiv"
    assert energy_column(one, other) is None
    (energy,) = [metric for metric in compare([one, two, other]).metrics if metric.key == "energy"]
    assert (list(energy.units), energy.best) == ([0, 0, 1], [])
    assert not compare([one, other]).comparable
    assert "Energies are of different units" in page([one, other])
    (energy,) = [metric for metric in compare([one, two]).metrics if metric.key == "energy"]
    least = min((one, two), key=lambda made: made.totals["energy_mac_equiv"] or 0)
    assert energy.best == [[one, two].index(least)]
    assert "different units" not in page([one, two])


def test_the_legend_names_what_has_a_star() -> None:
    slow, fast = cases.report(), cases.report({"memory.dram.bandwidth_gb_s": 8})
    text = " ".join(" ".join(Reader(page([slow, fast])).texts).split())
    assert "★ marks the best latency, utilization, energy and DRAM." in text
    apart = page([slow, cases.report({"energy.table": "horowitz_45nm"})])
    assert "★ marks the best latency, utilization and DRAM." in " ".join(
        " ".join(Reader(apart).texts).split()
    )


def test_equal_accelerators_are_one() -> None:
    assert [name for name, _ in accelerators([cases.report(), cases.report()])] == ["small_8x8"]
    compared = compare([cases.report(), cases.report()])
    assert compared.differences == []
    assert all(not metric.best for metric in compared.metrics)
