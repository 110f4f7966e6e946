from __future__ import annotations

import json
import os
import shlex
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

import squeezesim as sq
from squeezesim import cli
from squeezesim.network import Layer, Network
from tests.report.browser.test_page import HOSTILE
from tests.serve.browser.conftest import Open, Serve, Served

pytestmark = pytest.mark.slow

WAIT = 30_000  # milliseconds, on a machine that others use


@pytest.fixture(scope="module")
def served(serve: Serve) -> Served:
    return serve("mobilenet_v1", "--hw", "squeezelerator_16x16")


def shown(page: Page, name: str = "latency_us") -> str:
    """The number in a tile, with its unit."""
    return page.locator(f"dd[data-number={name}] .value").inner_text()


def slide(page: Page, path: str, key: str = "ArrowRight") -> None:
    """Move a slider by a step, and wait until that is shown."""
    before = page.locator("html").get_attribute("data-shown")
    page.locator(f'input[data-path="{path}"]').press(key)
    expect(page.locator("html")).not_to_have_attribute("data-shown", str(before), timeout=WAIT)


def enter(page: Page, path: str, value: str) -> None:
    page.locator(f'input[data-field="{path}"]').fill(value)
    page.locator(f'input[data-field="{path}"]').press("Enter")


def profiled(page: Page, capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """The totals that the command on the page prints."""
    words = shlex.split(page.locator("#command").inner_text())
    assert cli.main([*words[1:], "--format", "json"]) == 0
    totals: dict[str, float] = json.loads(capsys.readouterr().out)["totals"]
    return totals


def test_sliders_move_numbers_which_are_those_of_profile(
    served: Served, visit: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit(served)
    first = shown(page)
    for path in ("array.rows", "memory.dram.bandwidth_gb_s", "memory.global_buffer.size_kib"):
        slide(page, path)
    assert shown(page) != first
    totals = profiled(page, capsys)
    assert shown(page) == f"{totals['latency_us']:,.0f} µs"
    assert shown(page, "utilization") == f"{100 * totals['utilization']:.1f} %"
    assert shown(page, "dram_bytes") == f"{totals['dram_bytes'] / 2**20:.1f} MiB"
    assert page.locator('input[data-field="array.rows"]').input_value() == "20"
    assert f"from {first}" in page.locator("dd[data-number=latency_us] .change").inner_text()
    for chart in ("causes", "levels", "operands", "bars", "roofline", "points"):
        assert page.locator(f"[data-chart={chart}] .plot svg").count() == 1, chart
    assert page.locator("#yaml").inner_text().split("\n")[1:3] == ["like: squeezelerator_16x16", "set:"]


def test_blocks_width_and_resolution_are_those_of_profile(
    served: Served, visit: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    page = visit(served)
    slide(page, "depth.2")
    slide(page, "depth.4", "ArrowLeft")
    assert shown(page) == f"{profiled(page, capsys)['latency_us']:,.0f} µs"
    slide(page, "width", "ArrowLeft")
    slide(page, "resolution", "ArrowLeft")
    assert "--input 3x192x192" in page.locator("#command").inner_text()
    assert shown(page) == f"{profiled(page, capsys)['latency_us']:,.0f} µs"


def test_a_bad_value_is_told_and_what_is_shown_stays(served: Served, visit: Open) -> None:
    page = visit(served)
    first = shown(page)
    for value, says in (
        ("0", "is 0; allowed: an integer from 1 to 4096"),
        ("9e9", "9000000000"),
        ("ten", "'ten'"),
    ):
        enter(page, "array.rows", value)
        expect(page.locator(".mistake")).to_contain_text(says, timeout=WAIT)
        assert page.locator('input[data-field="array.rows"]').get_attribute("aria-invalid") == "true"
        assert shown(page) == first
    enter(page, "array.rows", "16")
    expect(page.locator(".mistake")).to_be_hidden(timeout=WAIT)
    assert page.locator('input[data-field="array.rows"]').get_attribute("aria-invalid") == "false"


def test_other_networks_and_accelerators_are_chosen(served: Served, visit: Open) -> None:
    page = visit(served)
    page.locator("#accelerator").select_option("os_32x32")
    expect(page.locator("#accelerator-name")).to_have_text("os_32x32", timeout=WAIT)
    expect(page.locator("[data-chart=memory] .mark").first).to_be_visible(timeout=WAIT)
    assert page.locator("dd[data-number=energy] .change").inner_text() == "pinned in another unit"
    page.locator("#network").select_option("alexnet")
    expect(page.locator("#network-name")).to_have_text("alexnet", timeout=WAIT)
    assert page.locator('input[data-path="depth.1"]').count() == 0
    assert page.locator("dd[data-number=latency_us] .change").inner_text() == "as pinned"
    assert "profile alexnet --hw os_32x32" in page.locator("#pinned").inner_text()
    slide(page, "memory.dram.bandwidth_gb_s")
    assert "from " in page.locator("dd[data-number=latency_us] .change").inner_text()
    page.locator("#pin").click()
    assert page.locator("dd[data-number=latency_us] .change").inner_text() == "as pinned"
    page.locator("#back").click()
    expect(page.locator("#command")).not_to_contain_text("--set", timeout=WAIT)
    report = sq.simulate("alexnet", "os_32x32")
    assert shown(page) == f"{report.totals['latency_us']:,.0f} µs"


def test_points_that_were_visited_have_their_front_and_come_back(served: Served, visit: Open) -> None:
    page = visit(served)
    for _ in range(4):
        slide(page, "array.rows")
    for _ in range(2):
        slide(page, "memory.dram.bandwidth_gb_s", "ArrowLeft")
    page.locator("#across").select_option("pes")
    points = page.locator("svg circle.point")
    assert points.count() == 7
    numbers = np.array(page.evaluate("points.map((one) => [one.numbers.pes, one.numbers.energy])"))
    front = sq.pareto({"pes": numbers[:, 0], "energy": numbers[:, 1]}, ["pes", "energy"])
    assert page.locator("svg circle.on-front").count() == front.sum()
    first = points.first
    label = str(first.get_attribute("aria-label"))
    first.press("Enter")
    expect(page.locator("#command")).not_to_contain_text("--set", timeout=WAIT)
    assert "array.rows" not in label
    assert page.locator('input[data-field="array.rows"]').input_value() == "16"
    assert points.count() == 7


def test_two_tabs_have_each_their_own(served: Served, visit: Open) -> None:
    one, other = visit(served), visit(served)
    slide(one, "array.rows")
    slide(other, "array.cols", "ArrowLeft")
    slide(one, "array.rows")
    assert "array.rows=24" in one.locator("#command").inner_text()
    assert "array.cols=14" in other.locator("#command").inner_text()
    assert "array.rows" not in other.locator("#command").inner_text()


def test_the_last_of_many_moves_is_the_one_that_is_shown(served: Served, visit: Open) -> None:
    page = visit(served)
    slider = page.locator('input[data-path="array.cols"]')
    slider.focus()
    for key in ("End", "Home", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#command")).to_contain_text("array.cols=5", timeout=WAIT)
    page.wait_for_timeout(700)
    assert page.locator("#command").inner_text().endswith("array.cols=5")


def test_what_takes_long_says_so_and_is_cancelled(served: Served, visit: Open) -> None:
    page = visit(served)
    enter(page, "depth.2", "150")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible(timeout=WAIT)
    assert page.locator("#works").inner_text().startswith("working, ")
    cancel.click()
    expect(page.locator(".mistake")).to_contain_text("cancelled", timeout=WAIT)
    expect(cancel).to_be_hidden(timeout=WAIT)
    enter(page, "depth.2", "2")
    expect(page.locator(".mistake")).to_be_hidden(timeout=WAIT)
    slide(page, "array.rows")
    assert "array.rows=20" in page.locator("#command").inner_text()


def test_a_killed_server_is_told_and_so_is_another_one_in_its_place(
    serve: Serve, visit: Open, said: list[str]
) -> None:
    own = serve("alexnet")
    page = visit(own)
    own.process.kill()
    own.process.communicate()
    page.locator('input[data-path="array.rows"]').press("ArrowRight")
    expect(page.locator(".gone")).to_contain_text("start squeezesim serve again", timeout=WAIT)
    again = serve("alexnet", "--port", own.origin.rpartition(":")[2])
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".gone")).to_contain_text("not this server's", timeout=WAIT)
    page.goto(again.address)
    page.reload()
    expect(page.locator("#network-name")).to_have_text("alexnet", timeout=WAIT)
    assert {text.split(":")[0] for text in said} == {"error"}  # what the browser says of both
    said.clear()


def test_the_worker_ends_with_the_server(serve: Serve) -> None:
    own = serve("alexnet")
    children = Path(f"/proc/{own.process.pid}/task/{own.process.pid}/children")
    if not children.exists():
        pytest.skip("no /proc here")
    found = [int(pid) for pid in children.read_text(encoding="utf-8").split()]
    assert found
    own.process.send_signal(signal.SIGKILL)
    own.process.communicate()
    for _ in range(100):
        if not any(_runs(pid) for pid in found):
            return
        time.sleep(0.1)
    raise AssertionError(found)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "zombie" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


def test_names_of_strangers_are_text(serve: Serve, visit: Open, tmp_path: Path) -> None:
    layers = [Layer.conv(name, c=8, k=8, oy=8, ox=8, fy=1, fx=1) for name in HOSTILE]
    Network.from_layers(layers, HOSTILE[0]).save(tmp_path / "net.graph.json")
    page = visit(serve("net.graph.json", folder=tmp_path))
    assert page.title() == "squeezesim"
    assert page.locator("#network-name").inner_text() == HOSTILE[0]
    page.locator("[data-chart=bars] .bar .reach").first.hover(position={"x": 2, "y": 2})
    assert page.locator("#tip strong").inner_text() == HOSTILE[0]
    assert page.locator("main script, main img").count() == 0
    assert page.locator("#command").inner_text().startswith("squeezesim profile net.graph.json --hw")


def test_another_origin_is_refused(served: Served, browser: Browser, serve: Serve) -> None:
    other = serve("alexnet")  # of another origin; its own policy allows no connection elsewhere
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(other.origin)
    found = page.evaluate(
        """async ([origin, token]) => {
          const headers = { Authorization: `Bearer ${token}`, "Content-Type": "text/plain" };
          const tries = [{ method: "POST", headers }, { method: "POST", body: "{}", mode: "no-cors" }, {}];
          const told = [];
          for (const one of tries) {
            try { told.push((await fetch(`${origin}/opening`, one)).type); } catch (error) { told.push(error.name); }
          }
          return told;
        }""",
        [served.origin, served.token],
    )
    context.close()
    assert found == ["TypeError", "TypeError", "TypeError"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "Bearer {token}"}, 200),
        ({"Authorization": "Bearer {token}", "Origin": "http://evil.example"}, 403),
        ({"Authorization": "Bearer {token}", "Host": "evil.example"}, 403),
        ({"Authorization": "Bearer wrong"}, 403),
    ],
)
def test_who_is_answered_over_the_network(served: Served, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(token=served.token) for name, value in headers.items()}
    asked = urllib.request.Request(f"{served.origin}/opening", b'{"tab": "a", "asked": null}', sent)
    try:
        response = urllib.request.urlopen(asked)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        assert response.status == status


def test_the_token_is_nowhere_but_in_the_address(serve: Serve, visit: Open) -> None:
    own = serve("alexnet")
    page = visit(own)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.headers.get('referer', '')}"))
    slide(page, "array.rows")
    assert page.url == f"{own.origin}/"
    assert own.token not in page.content()
    assert sent == [f"{own.origin}/result "]
    page.reload()
    expect(page.locator("#network-name")).to_have_text("alexnet", timeout=WAIT)
    code, printed = own.end()
    assert code == 0
    assert printed.removeprefix("Ctrl-C ends it\n") == ""  # no log, and no traceback


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (400, "dark")])
def test_a_page_can_be_read_and_used_by_everybody(
    served: Served, visit: Open, width: int, scheme: str
) -> None:
    page = visit(served, width=width, scheme=scheme)
    slide(page, "array.rows")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
