"""SCALE-Sim's files on the command line: what they give, and what strangers' files give."""

from __future__ import annotations

import csv
import html
from pathlib import Path

import pytest

from squeezesim.report.report import Report
from tests.cli.conftest import Run

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CFG = (
    "[general]\nrun_name = small\n[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\n"
    "FilterSramSzkB: 64\nOfmapSramSzkB: 64\nDataflow: {}\n[run_presets]\nInterfaceBandwidth: CALC\n"
)


@pytest.mark.parametrize(
    "topology",
    [
        f"{CONV}a, 8, 8, 3, 3, 8, 16, 1,\nb, 8, 8, 3, 3, 8, 16, 1\n",
        "Layer, M, N, K\na,36,16,72,\nb,36,16,72\n",
    ],
)
@pytest.mark.parametrize(("dataflow", "cycles"), [("os", 860), ("ws", 1044), ("is", 1710)])
def test_the_hand_worked_layer_as_a_convolution_and_as_a_product(
    run: Run, topology: str, dataflow: str, cycles: int
) -> None:
    Path("net.csv").write_text(topology, encoding="utf-8")
    Path("scale.cfg").write_text(CFG.format(dataflow), encoding="utf-8")
    code, out, err = run("profile", "net.csv", "--hw", "scale.cfg", "--format", "csv")
    assert (code, err) == (0, "")
    for row in csv.DictReader(out.splitlines()):
        assert row["dataflow"] == f"scalesim_{dataflow}"
        assert int(row["scalesim_total_cycles"]) == cycles - 1
        assert int(row["cycles"]) == cycles + 3  # inputs and weights in, outputs out


def test_what_has_no_effect_is_noted_wherever_results_are(run: Run) -> None:
    Path("net.csv").write_text(
        CONV.replace("Strides", "Step") + "a, 8, 8, 3, 3, 8, 16, 1,\n", encoding="utf-8"
    )
    Path("scale.cfg").write_text(CFG.format("os") + "Num\x1bCores: 4\n", encoding="utf-8")
    key = r"keys of the configuration that are not read: '[run_presets] Num\x1bCores'"
    columns = "columns are read by their place, as SCALE-Sim does: 'Step' as strides"
    for command in (("hw", "check", "scale.cfg"), ("hw", "show", "scale.cfg")):
        code, out, err = run(*command)
        assert (code, err) == (0, "")
        assert key in out
    code, out, _ = run("profile", "net.csv", "--hw", "scale.cfg", "-o", "noted.json")
    assert code == 0
    assert key in out
    assert columns in out
    notes = Report.load("noted.json").notes
    assert notes[:2] == (columns, key)
    code, _, _ = run("report", "noted.json", "-o", "page.html")
    assert code == 0
    assert key in html.unescape(Path("page.html").read_text(encoding="utf-8"))


HOSTILE = {
    "binary": b"\x7fELF\x00\xff\xfe",
    "another encoding": f"{CONV}a,8,8,3,3,8,16,1,\n".encode("utf-16"),
    "empty": b"",
    "zeros": bytes(1000),
    "too long": b"," * (2**20 + 1),
    "huge": f"{CONV}a,{2**31},{2**31},1,1,1,1,1,\n".encode(),
    "huger": f"{CONV}a,{'9' * 5000},8,3,3,8,16,1,\n".encode(),
    "negative": f"{CONV}a,8,8,3,3,8,-16,1,\n".encode(),
    "no number": f"{CONV}a,8,8,3,3,nan,16,1,\n".encode(),
    "a column missing": b"Layer, M, N,\na,1,2,\n",
    "a value missing": b"Layer, M, N, K,\na,1,2,\n",
    "control characters": b"Layer, M, N, K,\na\x1b[2J,1,2,3,\n",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_topology_is_one_line(run: Run, content: bytes) -> None:
    Path("net.csv").write_bytes(content)
    Path("scale.cfg").write_text(CFG.format("os"), encoding="utf-8")
    code, out, err = run("profile", "net.csv", "--hw", "scale.cfg")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert len(err) < 400


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"",
        bytes(1000),
        b"ArrayHeight: " + b"9" * 5000,
        CFG.encode("utf-16"),
        CFG.format("x").encode(),
    ],
    ids=["binary", "empty", "zeros", "huge", "another encoding", "no dataflow"],
)
def test_a_hostile_configuration_is_one_line(run: Run, content: bytes) -> None:
    Path("scale.cfg").write_bytes(content)
    code, out, err = run("profile", "small.graph.json", "--hw", "scale.cfg")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    assert len(err) < 400
