from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim.network import Network
from tests.cli.conftest import Run


def test_a_topology_on_stdout_and_what_it_does_not_say_on_stderr(run: Run) -> None:
    code, out, err = run("export", "alexnet", "--to", "scalesim")
    assert code == 0
    header, first, *rest = out.splitlines()
    assert header.startswith("Layer name, IFMAP Height, ")
    assert first == "stem.conv1, 227, 227, 11, 11, 3, 96, 4,"
    assert len(rest) == 10
    lines = err.splitlines()
    assert lines[0] == "a row for each group: 3 layers (stage1.conv2, stage2.conv4, stage2.conv5)"
    assert lines[1].startswith("left out: 22 vector layers (relu ×7, ")


def test_a_file_is_read_again_and_profiled_with_a_configuration(run: Run) -> None:
    code, out, err = run("export", "small.graph.json", "--to", "scalesim", "-o", "out/small.csv")
    assert (code, out) == (0, "wrote out/small.csv\n")
    assert "left out: " in err
    Path("scale.cfg").write_text(
        "[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\nFilterSramSzkB: 64\n"
        "OfmapSramSzkB: 64\nDataflow: ws\n",
        encoding="utf-8",
    )
    code, out, err = run("profile", "out/small.csv", "--hw", "scale.cfg", "--format", "csv")
    assert (code, err) == (0, "")
    header, *rows = (line.split(",") for line in out.splitlines())
    macs = [int(row[header.index("macs")]) for row in rows]
    assert macs == [layer.macs for layer in Network.load("small.graph.json").layers if layer.kind == "mac"]
    assert {row[header.index("dataflow")] for row in rows} == {"scalesim_ws"}
    code, out, _ = run("profile", "out/small.csv", "--hw", "scale.cfg")
    assert code == 0
    assert Path("reports/small__scale/layers.csv").exists()


@pytest.mark.torch
def test_a_batch_is_written_as_matrix_products(run: Run) -> None:
    code, out, err = run("export", "tiny_darknet", "--to", "scalesim", "--batch", "4")
    assert code == 0
    assert all(line.split(", ")[3:5] == ["1", "1"] for line in out.splitlines()[1:])
    assert err.startswith("as matrix products: ")


def test_matrix_products_are_read_again_too(run: Run) -> None:
    code, out, err = run("export", "small.graph.json", "--to", "scalesim", "--gemm")
    assert code == 0
    assert out.startswith("Layer, M, N, K,\n")
    assert err.startswith("as matrix products: ")
    Path("small.csv").write_text(out, encoding="utf-8")
    code, out, _ = run("layers", "small.csv", "--format", "csv")
    header, *rows = (line.split(",") for line in out.splitlines())
    assert code == 0
    assert sum(int(row[header.index("macs")]) for row in rows) == Network.load("small.graph.json").macs


def test_mistakes_are_one_line(run: Run) -> None:
    assert run("export", "alexnet", "--to", "scalesm") == (
        2,
        "",
        "error: --to 'scalesm'; allowed: scalesim; did you mean 'scalesim'?\n",
    )
    Path("folder").mkdir()
    code, out, err = run("export", "alexnet", "--to", "scalesim", "-o", "folder")
    assert (code, out, err) == (2, "", "error: cannot write 'folder': it is a folder\n")
    Path("loss.csv").write_text("epoch,loss\n1,0.5\n")
    code, out, err = run("profile", "loss.csv", "--hw", "os_32x32")
    assert (code, out) == (2, "")
    assert err.startswith("error: loss.csv:1: this is no SCALE-Sim topology: ")
    assert err.count("\n") == 1
    code, _, err = run("profile", "loss.csv", "--hw", "os_32x32", "--batch", "2")
    assert (code, err) == (2, "error: 'loss.csv' is a topology: its input and options are fixed\n")
