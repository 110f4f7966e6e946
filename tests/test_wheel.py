"""The wheel, built and installed into a folder of its own, where its commands run outside of the checkout."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from squeezesim import Accelerator, simulate
from squeezesim.papers.devices.check import DEVICES
from squeezesim.papers.eyeriss import figures

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into, with nothing else in it."""
    built, folder = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", built, ROOT], check=True)
    (wheel,) = built.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder, wheel], check=True)
    return folder


def output(site: Path, command: Sequence[str | Path], elsewhere: Path) -> str:
    """What *command* prints where the wheel comes before all other packages; its exit code must be 0."""
    settings = {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(elsewhere / "cache")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=elsewhere,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def data(package: Path) -> set[str]:
    """The files of *package* that are no modules."""
    files = (file.relative_to(package) for file in package.rglob("*") if file.is_file())
    return {file.as_posix() for file in files if file.suffix not in (".py", ".pyc")}


def test_all_data_is_in_it(site: Path, tmp_path: Path) -> None:
    accelerators = {f"hwconfigs/{file.name}" for file in (ROOT / "hwconfigs").iterdir()}
    assert data(site / "squeezesim") == data(ROOT / "squeezesim") | accelerators
    found = output(site, ["-c", "import squeezesim; print(squeezesim.__file__)"], tmp_path)
    assert Path(found.strip()) == site / "squeezesim" / "__init__.py"


def test_its_commands_run_elsewhere(site: Path, tmp_path: Path) -> None:
    program = site / "bin" / "squeezesim"
    listed = json.loads(output(site, [program, "hw", "list", "--format", "json"], tmp_path))
    assert sorted(row["name"] for row in listed) == list(Accelerator.names())
    sources = ("squeezenext", "array", "scalesim")
    checks = json.loads(
        output(site, [program, "validate", *sources, "--quick", "--format", "json"], tmp_path)
    )
    assert {check["name"]: check["holds"] for check in checks} == dict.fromkeys(sources, True)
    equal = {row["subject"]: row["ours"] for row in checks[2]["rows"] if "total cycles" in row["quantity"]}
    assert equal["scalesim_os"] == 71  # of as many runs of SCALE-Sim
    # What the checks of eyeriss and of devices read of the wheel; their searches take long.
    tables = ("eyeriss_alexnet", "eyeriss_vgg16", "eyeriss_isca16")
    code = (
        "from squeezesim.papers.devices.check import DEVICES; from squeezesim.papers.eyeriss import figures; "
        f"print(*(len(figures(name)) for name in {tables}), *(len(each.measured()) for each in DEVICES))"
    )
    counts = [*(len(figures(name)) for name in tables), *(len(each.measured()) for each in DEVICES)]
    assert output(site, ["-c", code], tmp_path).split() == [str(count) for count in counts]
    output(site, [program, "plot", "roofline", "squeezenext_23", "--hw", "os_32x32", "-o", "a.svg"], tmp_path)
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<?xml")
    table = output(site, [program, "reproduce", "squeezenext", "--format", "csv"], tmp_path)
    first = next(csv.DictReader(table.splitlines()))
    assert (first["network"], first["macs"]) == ("AlexNet", "724406816")


def test_its_networks_and_pages_need_no_torch(site: Path, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('there is no torch here')\n", encoding="utf-8")
    program = [site / "bin" / "squeezesim", "profile", "squeezenext_23", "--hw", "os_32x32"]
    output(site, [*program, "-o", "page.html", "-o", "report.json"], tmp_path)
    totals = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["totals"]
    assert totals["cycles"] == simulate("squeezenext_23", "os_32x32").totals["cycles"]
    assert "<svg" in (tmp_path / "page.html").read_text(encoding="utf-8")
