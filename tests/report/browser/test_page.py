from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

import squeezesim as sq
from squeezesim.network import Layer, Network
from squeezesim.report.html.page import Advice, Proposed
from squeezesim.report.html.page import page as html
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report import cases
from tests.report.browser.conftest import Open

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</script><script>document.title='owned'</script>",
    "' onmouseover='document.title=1' x='",
    "{{ 7 * 7 }} ${7 * 7} <!-- -->",
    "\u05d0\u05d1\u05d2 \u0645\u0631\u062d\u0628\u0627",
)


@pytest.fixture(scope="module")
def squeezenext() -> Report:
    return simulate(sq.load("squeezenext_23"), sq.Accelerator.named("squeezelerator_16x16"))


def names(page: Page) -> list[str]:
    """Names of the rows that are seen, from top to bottom."""
    return page.locator(".result:not([hidden]) table.layers tbody tr:not([hidden]) th").all_inner_texts()


def heading(page: Page, text: str) -> None:
    page.locator("table.layers thead button", has_text=text).first.click()


def test_a_page_opens_offline_with_every_part(show: Open) -> None:
    page = show([cases.report()])
    assert page.title() == "small on small_8x8 – squeezesim"
    for name in ("What the numbers say", "Layers", "Stages", "Roofline", "Energy", "Network", "Hardware"):
        assert page.get_by_role("heading", name=name, exact=True).is_visible()
    for chart in ("bars", "waterfall", "roofline", "levels", "operands", "graph"):
        assert page.locator(f"[data-chart={chart}] .plot svg").count() > 0, chart


def test_headings_sort_numbers_down_then_up_then_back(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    rows = [row for row in squeezenext.rows() if row["cycles"]]
    first = names(page)
    assert first == [row["name"] for row in rows]
    heading(page, "cycles")
    assert names(page) == [row["name"] for row in sorted(rows, key=lambda row: -row["cycles"])]
    assert page.locator("table.layers th[data-key=cycles]").get_attribute("aria-sort") == "descending"
    heading(page, "cycles")
    assert names(page) == [row["name"] for row in sorted(rows, key=lambda row: row["cycles"])]
    heading(page, "cycles")
    assert names(page) == first


def test_search_and_filters_leave_what_fits_and_count_it(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    rows = [row for row in squeezenext.rows() if row["cycles"]]
    page.get_by_role("searchbox").fill("stage3 SQUEEZE1")
    wanted = [row for row in rows if "stage3" in row["name"] and "squeeze1" in row["name"]]
    assert names(page) == [row["name"] for row in wanted]
    page.locator("select[data-facet=dataflow]").select_option("=ws")
    wanted = [row for row in wanted if row["dataflow"] == "ws"]
    assert names(page) == [row["name"] for row in wanted]
    share = sum(row["share"] for row in wanted)
    count = page.locator("form.filters output").inner_text()
    assert count == f"{len(wanted)} of {len(rows)} layers, {100 * share:.1f} % of the time"
    assert page.locator(".bar:not(.dimmed)").count() == len(wanted)
    page.get_by_role("button", name="Show all").click()
    # Waiting for a function that is given as text would be an eval, which the page refuses.
    page.locator(".bar.dimmed").first.wait_for(state="detached")
    assert len(names(page)) == len(rows)


def test_a_bar_that_is_hovered_marks_its_row_and_its_other_marks(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    bar = page.locator(".bar").nth(90)
    bar.locator(".reach").hover()
    row = page.locator("table.layers tr.hovered")
    assert row.count() == 1
    name = row.locator("th").inner_text()
    assert name in str(bar.get_attribute("aria-label"))
    assert page.locator("#tip strong").inner_text() == name
    box, table = row.bounding_box(), page.locator("div.table:has(table.layers)").bounding_box()
    assert box is not None
    assert table is not None
    assert table["y"] <= box["y"] <= table["y"] + table["height"]
    assert page.locator(".layer.hovered").get_attribute("aria-label") == bar.get_attribute("aria-label")


def test_a_tensor_that_is_hovered_marks_its_row_and_says_where_it_is(show: Open) -> None:
    report = simulate(sq.load("squeezenext_23"), sq.Accelerator.named("os_32x32"))
    page = show([report])
    marks = page.locator("[data-chart=memory] .mark")
    found = report.occupancy
    assert found is not None
    assert marks.count() == len(found.stays) + len(found.outside) - len(report.network.inputs)
    place = next(number for number, each in enumerate(found.stays) if each.name == "stage1.block1.conv2")
    marks.nth(place).hover()
    size = found.stays[place].bits / 8192
    tip = page.locator("#tip").inner_text()
    assert f"{size:.1f} KiB in the buffer" in tip
    assert "from stage1.block1.conv2 to stage1.block1.expand" in tip
    row = page.locator("table.layers tbody tr.hovered th")
    assert row.inner_text() == "stage1.block1.conv2"


def test_a_row_that_is_hovered_marks_its_bar(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    page.locator("table.layers tbody tr").nth(4).hover()
    assert page.locator(".bar.hovered").count() == 1
    marked = page.locator(".bar").nth(4).get_attribute("class")
    assert "hovered" in str(marked)


def test_a_stage_that_is_clicked_shows_its_layers_alone(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    stage4 = [row["name"] for row in squeezenext.rows() if row["stage"] == "stage4" and row["cycles"]]
    page.locator(".band", has_text="stage4").locator("rect").click(position={"x": 4, "y": 8})
    assert names(page) == stage4
    page.locator(".band", has_text="stage4").locator("rect").click(position={"x": 4, "y": 8})
    assert len(names(page)) > len(stage4)
    page.locator("table.stages").get_by_role("button", name="stage4").click()
    assert names(page) == stage4


def test_a_layer_that_is_clicked_is_shown_in_full(show: Open) -> None:
    page = show([cases.report()])
    page.get_by_role("button", name="stage1.depthwise").first.click()
    detail = page.locator(".detail")
    assert detail.get_by_role("heading", name="stage1.depthwise").is_visible()
    assert "reads stem.conv" in detail.inner_text()
    assert page.locator(".bar.chosen").count() == page.locator("tr.chosen").count() == 1
    detail.get_by_role("button", name="Close").click()
    assert detail.is_hidden()


@pytest.mark.parametrize("width", [1400, 400])
def test_a_row_that_is_clicked_stays_where_it_is(show: Open, squeezenext: Report, width: int) -> None:
    page = show([squeezenext], width=width)
    for place in (3, 9, 6):
        row = page.locator("table.layers tbody tr[data-layer]").nth(place)
        row.scroll_into_view_if_needed()
        before = row.evaluate("node => node.getBoundingClientRect().top")
        row.get_by_role("button").click()
        assert abs(row.evaluate("node => node.getBoundingClientRect().top") - before) < 1
        name = row.locator("th").inner_text()
        assert page.locator("tr.opened h3").inner_text() == name
        assert (
            page.locator("tr.opened")
            .evaluate("node => node.previousElementSibling.innerText")
            .startswith(name)
        )
    page.get_by_role("searchbox").fill("head")
    assert page.locator("tr.opened").count() == 0


def test_charts_and_tables_are_saved_and_copied(show: Open) -> None:
    page = show([cases.report()])
    with page.expect_download() as drawing:
        page.locator("figure[data-chart=bars] .tool").click()
    assert drawing.value.suggested_filename == "small__small_8x8__bars.svg"
    root = ElementTree.fromstring(Path(drawing.value.path()).read_text(encoding="utf-8"))
    colours = {element.get("fill") for element in root.iter()}
    assert "rgb(51, 34, 136)" in colours  # executed MACs
    assert not any("var(" in str(colour) or "color-mix" in str(colour) for colour in colours)
    with page.expect_download() as table:
        page.locator("section[id^=layers] .tool", has_text="CSV").click()
    rows = list(csv.DictReader(Path(table.value.path()).read_text(encoding="utf-8").splitlines()))
    timed = [row for row in cases.report().rows() if row["cycles"]]
    assert [(row["name"], int(row["cycles"])) for row in rows] == [
        (row["name"], row["cycles"]) for row in timed
    ]
    copied = page.locator("section[id^=layers] .tool", has_text="copy")
    copied.click()
    page.locator("section[id^=layers] .tool", has_text="copied").wait_for()


def test_a_cell_that_is_saved_is_no_formula(show: Open) -> None:
    strange = replace(
        cases.network(),
        layers=tuple(
            replace(layer, stage="=1+1" if layer.stage == "stem" else layer.stage)
            for layer in cases.network().layers
        ),
    )
    page = show([simulate(strange, cases.accelerator())])
    with page.expect_download() as table:
        page.locator("section[id^=layers] .tool", has_text="CSV").click()
    assert ",'=1+1," in Path(table.value.path()).read_text(encoding="utf-8")


def test_251_layers_fit_and_names_are_read_on_a_phone(show: Open) -> None:
    report = simulate(sq.load("efficientnet_b4"), sq.Accelerator.named("squeezelerator_16x16"))
    page = show([report])
    fits = "node => node.scrollWidth <= node.clientWidth"
    assert page.locator("[data-chart=bars] .plot").evaluate(fits)
    page.set_viewport_size({"width": 400, "height": 900})
    names_fit = "node => node.scrollWidth <= node.clientWidth + 1"
    for name in page.locator("table.layers tbody .link").all()[:12]:
        assert name.evaluate(names_fit)


def test_proposals_are_a_table(show: Open) -> None:
    row = Proposed("array.rows 8 → 16", "20.0 %, 3 µs", "−1 µJ", "assumes the same clock")
    page = show([cases.report()], advice=Advice("Each by itself.", [row]))
    shown = page.locator("table.proposals tbody tr > *").all_inner_texts()
    assert [text.replace("\u00a0", " ") for text in shown] == list(row)
    waterfall, prose = page.locator("[data-chart=waterfall]"), page.locator("ul.sentences")
    assert waterfall.bounding_box()["y"] < prose.bounding_box()["y"]  # type: ignore[index]


def test_keys_alone_reach_bars_rows_and_sorting(show: Open) -> None:
    page = show([cases.report()])
    bars = page.get_by_role("listbox", name="layers by cycles")
    bars.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    active = page.locator(f"#{bars.get_attribute('aria-activedescendant')}")
    assert "stage1.depthwise" in str(active.get_attribute("aria-label"))
    assert page.locator("tr.hovered th").inner_text() == "stage1.depthwise"
    page.keyboard.press("Enter")
    assert page.locator(".detail h3").inner_text() == "stage1.depthwise"
    assert active.get_attribute("aria-selected") == "true"
    name = page.locator("table.layers tbody button[tabindex='0']")
    name.focus()
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "stage1.depthwise"
    page.locator("table.layers th[data-key=macs] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("table.layers th[data-key=macs]").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_theme_follows_the_system_until_one_is_chosen(show: Open) -> None:
    page = show([cases.report()], scheme="dark")

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    dark = paper()
    page.locator("label:has(input[value=light])").click()
    assert paper() == "rgb(255, 255, 255)" != dark
    page.locator("label:has(input[value=dark])").click()
    assert paper() == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("several", [False, True])
def test_axe_finds_nothing(show: Open, scheme: str, several: bool) -> None:
    """Roles, names, focus, landmarks and contrast by the rules of axe-core."""
    kept = {"memory.global_buffer.keeps": ["activations"]}
    reports = [cases.report(), cases.report({"array.rows": 4})] if several else [cases.report(kept)]
    page = show(reports, scheme=scheme)
    page.get_by_role("button", name="stage1.depthwise").first.click()
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("width", [400, 900, 1400])
def test_nothing_is_wider_than_the_window(show: Open, squeezenext: Report, width: int) -> None:
    page = show([squeezenext, cases.report()], width=width)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("several", [False, True])
def test_names_without_a_place_to_break_do_not_widen_the_window(
    show: Open, width: int, several: bool
) -> None:
    long = 20 * "a_long_name_"
    layers = [
        replace(
            layer,
            name=long + layer.name,
            stage=long + layer.stage,
            module=long,
            inputs=tuple(long + name for name in layer.inputs if name != "input"),
        )
        for layer in cases.network().layers
    ]
    network = Network(long, tuple(layers), (("input", (1, 3, 16, 16)),), notes=(long,), source=long)
    reports = [simulate(network, cases.accelerator({"name": 8 * "a_long_name_"}))] * (1 + several)
    page = show(reports, width=width, advice=Advice(long, [Proposed(long, long, long, long)]))
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_hostile_names_are_text(show: Open) -> None:
    plain = cases.network()
    renamed = dict(zip([layer.name for layer in plain.layers], HOSTILE, strict=False))
    layers = [
        replace(
            layer,
            name=renamed.get(layer.name, layer.name),
            inputs=tuple(renamed.get(name, name) for name in layer.inputs),
            module=HOSTILE[0],
            stage=HOSTILE[place % 2],
        )
        for place, layer in enumerate(plain.layers)
    ]
    hostile = Network(
        HOSTILE[1], tuple(layers), plain.inputs, plain.unmodelled, notes=HOSTILE, source=HOSTILE[2]
    )
    report = simulate(hostile, cases.accelerator())
    page = show(
        [report, cases.report()],
        advice=Advice(HOSTILE[0], [Proposed(text, text, text, text) for text in HOSTILE]),
    )
    assert [row["name"] for row in report.rows() if row["cycles"]] == names(page)
    for row in page.locator(".result:not([hidden]) table.layers tbody tr").all():
        row.hover()
        row.locator("button").click()
    page.locator(".result:not([hidden]) .band").first.locator("rect").click(position={"x": 4, "y": 8})
    assert page.title() == "2 results compared – squeezesim"
    assert page.locator("main img").count() == 0
    assert page.locator("script").count() == 3


def test_what_gets_into_the_page_as_markup_does_not_run(show: Open, said: list[str]) -> None:
    page = show([cases.report()])
    ran = page.evaluate(
        """() => {
            const box = document.createElement("div");
            document.body.append(box);
            box.innerHTML = "<img src='data:,' onerror='window.ran = true'>";
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            return new Promise((done) => setTimeout(() => done(window.ran ?? false), 200));
        }"""
    )
    assert not ran
    assert len(said) == 2
    assert all("Content Security Policy" in line for line in said)
    said.clear()


def test_a_comparison_marks_changes_from_the_baseline(show: Open) -> None:
    slow, fast = cases.report(), cases.report({"memory.dram.bandwidth_gb_s": 8})
    page = show([slow, fast])
    change = page.locator("table.totals tbody tr").nth(1).locator("td[data-metric=latency_us]")
    before, after = slow.totals["latency_us"], fast.totals["latency_us"]
    assert before is not None
    assert after is not None
    assert f"−{100 * (1 - after / before):.1f} %" in change.inner_text()
    assert "good" in str(change.get_attribute("class"))
    page.locator("#baseline").select_option("1")
    first = page.locator("table.totals tbody tr").nth(0).locator("td[data-metric=latency_us]")
    assert "bad" in str(first.get_attribute("class"))
    assert page.locator("#hardware td.differs").all_inner_texts() == ["2", "8"]
    names_of_both = page.locator("table.pairs tbody th").all_inner_texts()
    assert set(names_of_both) == {row["name"] for row in slow.rows() if row["cycles"]}


def test_energies_of_different_units_have_no_change_and_no_common_scale(show: Open) -> None:
    page = show([cases.report(), cases.report({"energy.table": "horowitz_45nm"})])
    cell = page.locator("table.totals tbody tr").nth(1).locator("td[data-metric=energy]")
    assert cell.locator(".change").inner_text() == ""
    assert cell.get_attribute("class") in (None, "")
    assert "★" not in cell.inner_text()
    rows = page.locator("#totals [data-chart=levels] .row").all()
    ends = {round(float(row.locator(".number").get_attribute("x") or 0)) for row in rows}
    assert (len(rows), len(ends)) == (2, 1)


def test_tabs_show_one_result_at_a_time(show: Open) -> None:
    page = show([cases.report(), cases.report({"array.rows": 4})])
    tabs = page.get_by_role("tab")
    tabs.nth(0).focus()
    page.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    assert page.locator("#result-0").is_hidden()
    assert page.locator("#result-1 .bar").count() > 0


def test_the_print_is_light_and_whole(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext], scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("header.top").is_hidden()
    box = page.locator("div.table:has(table.layers)")
    assert box.evaluate("node => node.scrollHeight <= node.clientHeight + 1")
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
    assert page.locator("table.layers thead").evaluate("node => getComputedStyle(node).display") == (
        "table-header-group"
    )
    assert page.locator("table.layers thead button").first.bounding_box() is None  # else it is not repeated


SCALE = "node => node.getScreenCTM ? Math.hypot(node.getScreenCTM().a, node.getScreenCTM().b) : 1"


def sizes(page: Page, selector: str) -> list[float]:
    """Sizes of the letters of what is seen, in pixels of the paper or of the screen."""
    return [
        float(node.evaluate("node => parseFloat(getComputedStyle(node).fontSize)"))
        * float(node.evaluate(SCALE))
        for node in page.locator(selector).all()
    ]


def test_on_paper_no_aside_is_larger_than_its_text_and_no_label_is_tiny(
    show: Open, squeezenext: Report
) -> None:
    page = show([squeezenext], width=1100)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 690, "height": 1000})  # the column of an A4 page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    (body,) = sizes(page, "body")
    for selector in (".title p", ".tiles .note", "figcaption p", ".findings ul", ".legend", ".aside"):
        assert max(sizes(page, selector)) <= body, selector
    for chart in ("waterfall", "roofline", "bars", "levels", "graph"):
        assert min(sizes(page, f"[data-chart={chart}] svg text")) > 9, chart
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1100, "height": 900})
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("[data-chart=waterfall] svg").get_attribute("width") != "690"


def test_utilization_has_a_dot_for_each_mac_layer(show: Open, squeezenext: Report) -> None:
    with_pool = simulate(squeezenext.network, squeezenext.accelerator.replace({"vector.model": "lanes"}))
    timed = [row for row in with_pool.rows() if row["cycles"]]
    page = show([with_pool])
    dots = page.locator("circle.utilization")
    assert dots.count() == sum(row["macs"] > 0 for row in timed) < len(timed)
    assert page.locator("path.utilization").count() == 0


LONG = (
    "features.denseblock{block}.denselayer{layer}.{part}",
    "\u8a9e\u8a00\u6a21\u578b\u7684\u5c64/{block}/WWWWWWWWWWWWWWWW{layer}/{part}",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW{block}WWWWWWWW{layer}WWWWWWWWWWW{part}",
)


@pytest.mark.parametrize("form", LONG)
@pytest.mark.parametrize("width", [420, 1400])
def test_names_in_the_graph_stay_apart_and_leave_their_numbers_alone(
    show: Open, form: str, width: int
) -> None:
    plain = Layer.conv("x", c=8, k=8, oy=8, ox=8, fy=1, fx=1)
    names = [
        form.format(block=block, layer=layer, part=part)
        for block in (1, 2)
        for layer in range(1, 11)
        for part in ("conv1", "conv2")
    ]
    layers = [
        replace(plain, name=name, inputs=("input", *names[max(place - 6, 0) : place]), stage="stage1")
        for place, name in enumerate(names)
    ]
    network = Network("long", tuple(layers), (("input", (1, 8, 8, 8)),))
    page = show([simulate(network, cases.accelerator())], width=width)
    for card in page.locator("[data-chart=graph] .card").all():
        texts = card.locator("text.name").all_text_contents()
        assert len(set(texts)) == len(texts)
        assert all(texts)
        right = float(card.locator("svg").evaluate("node => node.getBoundingClientRect().right"))
        for mark in card.locator("g.layer").all():
            name, number = (
                mark.locator("text.name").bounding_box(),
                mark.locator("text.number").bounding_box(),
            )
            assert name is not None
            assert number is not None
            assert name["x"] + name["width"] < number["x"]
            assert number["x"] + number["width"] <= right


def test_in_a_narrow_window_names_are_read_and_every_section_is_reached(show: Open) -> None:
    page = show([cases.report(), cases.report({"array.rows": 4})], width=380)
    for table in ("totals", "matrix"):
        box = page.locator(f"table.{table} tbody th").first.bounding_box()
        assert box is not None
        assert box["width"] >= 130
    for link in page.locator("header nav a").all():
        box = link.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= box["x"] + box["width"] <= 380


@pytest.mark.parametrize("several", [False, True])
def test_without_scripts_there_is_a_notice_first_and_nothing_that_does_nothing(
    browser: Browser, tmp_path: Path, several: bool
) -> None:
    reports = [cases.report(), cases.report({"array.rows": 4})] if several else [cases.report()]
    file = tmp_path / "report.html"
    file.write_text(html(reports), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("main > *").first.inner_text().startswith("Charts, sorting, filters ")
    assert not [node for node in page.locator("input, select, [role=tab], figure").all() if node.is_visible()]
    assert len([table for table in page.locator("table.layers").all() if table.is_visible()]) == len(reports)
    context.close()


def test_circles_of_the_roofline_have_the_area_that_the_legend_says(show: Open, squeezenext: Report) -> None:
    page = show([squeezenext])
    keys = page.locator("[data-chart=roofline] .size")
    told = [text.partition(" %")[0].removeprefix("up to ") for text in keys.all_inner_texts()]
    radii = [float(circle.get_attribute("r") or 0) for circle in keys.locator("circle").all()]
    areas = {float(text): radius**2 for text, radius in zip(told, radii, strict=True)}
    rows = sorted((row["share"] for row in squeezenext.rows() if row["macs"]), reverse=True)
    drawn = [float(dot.get_attribute("r") or 0) for dot in page.locator(".dot").all()]
    scale = areas[2.0] / 0.02
    assert areas[10.0] / 0.1 == pytest.approx(scale)
    assert drawn[0] ** 2 == pytest.approx(scale * rows[0])
    assert drawn[-1] == min(radii)
    assert rows[-1] < 0.011
