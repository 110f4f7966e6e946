"""The benchmarks beside SCALE-Sim, ZigZag and MAESTRO, as far as they go without those."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import squeezesim as sq
from benchmarks import onnx_file, peers, vs_maestro, vs_scalesim, vs_zigzag
from benchmarks.block import Block
from benchmarks.measure import Times, timed
from squeezesim.frontends.scalesim import export


@pytest.mark.parametrize("name", ["scalesim", "zigzag"])
def test_without_it_the_script_says_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "argv", [f"vs_{name}.py", *(["model.onnx"] if name == "zigzag" else [])])
    script = vs_scalesim if name == "scalesim" else vs_zigzag
    assert script.main() == 2
    assert capsys.readouterr() == ("", f"{name} is not installed here; the script's first lines say how\n")


@pytest.mark.parametrize("gemm", [False, True])
def test_layers_that_agree_and_layers_that_do_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gemm: bool,
) -> None:
    layers = [
        sq.Layer.conv("conv", c=3, k=8, oy=6, ox=6, fy=3, fx=3),
        sq.Layer.conv("deep", c=4, k=4, oy=5, ox=5, fy=3, fx=3, groups=4),
    ]
    topology, config = tmp_path / "topology.csv", tmp_path / "os.cfg"
    topology.write_text(export(sq.Network.from_layers(layers), gemm=gemm).text, encoding="utf-8")
    config.write_text(vs_scalesim.CONFIG.format(rows=8, cols=8, dataflow="os"), encoding="utf-8")
    # 5 · 1 folds of 27 + 14 cycles; 4 groups of 4 · 1 folds of 9 + 14. Writes have R + S too many for each fold.
    conv = (5 * 41 - 1.0, 100 * 36 * 8 / (5 * 64), 36 * 27.0, 5 * 8 * 27.0, 36 * 8 + 5 * 16.0)
    deep = (4 * 23 - 1.0, 100 * 25 / (4 * 64), 25 * 9.0, 4 * 9.0, 25 + 4 * 16.0)
    printed = [conv, deep, deep, deep, deep]
    monkeypatch.setattr(vs_scalesim, "run_scalesim", lambda *_, **__: printed)
    monkeypatch.setattr(vs_scalesim, "repeated", lambda job: Times.of([timed(job)[0]]))
    rows = 5 if gemm else 2
    found = vs_scalesim.beside("os", topology, config, gemm=gemm)
    assert found.differences == []
    assert found.cells()[:3] == ["os", f"{rows} of {rows}", "568"]
    printed[0] = (conv[0] + 1, *conv[1:])
    found = vs_scalesim.beside("os", topology, config, gemm=gemm)
    assert found.differences == ["conv differs in os: total cycles 205, ours 204"]
    assert found.cells()[1] == f"{rows - 1} of {rows}"


def test_macs_and_cycles_beside_zigzag() -> None:
    theirs = vs_zigzag.Found(macs=[10, 20, 30], cycles=[100, 100, 200], seconds=8)
    ours = vs_zigzag.Found(macs=[10, 21, 30], cycles=[100, 110, 180], seconds=0.002)
    times = ["8.00 s", "2.00 ms", "4,000×"]
    assert vs_zigzag.row("net", theirs, ours) == [
        *("net", "3", "2 of 3", *times),
        *("400", "390", "0.90 – 1.10"),
    ]
    less = vs_zigzag.Found(macs=[10, 20], cycles=[100, 100], seconds=8)
    assert vs_zigzag.row("net", less, ours)[2] == "1 of 3"


def test_layers_as_maestro_reads_them() -> None:
    layer = sq.Layer.conv("conv", c=3, k=8, oy=6, ox=7, fy=3, fx=5, stride=2)
    text = vs_maestro.described([layer], "Dataflow { }")
    assert "Stride { X: 2, Y: 2 }" in text
    # 5 · 2 + 3 rows and 6 · 2 + 5 columns are read, padding among them.
    assert "Dimensions { K: 8, C: 3, R: 3, S: 5, Y: 13, X: 17 }" in text


def test_times_of_a_layer_beside_maestro() -> None:
    theirs = vs_maestro.Found([10, 20, 30], Times.of([0.050]), Times.of([0.010]))
    found = vs_maestro.row(theirs, [10, 21, 30], Times.of([0.030]))
    # (50 - 10) / 2 layers, and 30 / 3.
    assert found[1:] == ["3", "2 of 3", "50.0 ms", "40.0 ms", "20.0 ms", "30.0 ms", "10.0 ms", "2.0×"]


def test_without_a_checkout_maestro_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vs_maestro.py", str(tmp_path)])
    assert vs_maestro.main() == 2
    assert capsys.readouterr().err.startswith("MAESTRO cannot be built and run: ")
    text = peers.not_run(peers.PEERS["maestro"])[0].markdown()
    assert "| MAESTRO | not run here |" in text


def test_what_a_peer_prints_last_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block.of("Peer", ("what", "time"), [["µ", "1 s"]], "So.")
    script = tmp_path / "benchmarks" / "vs_scalesim.py"
    script.parent.mkdir()
    script.with_name("__init__.py").touch()
    script.write_text(f"print('noise')\nprint({block.to_json()!r})\n", encoding="utf-8")
    monkeypatch.setattr(peers, "ROOT", tmp_path)
    assert peers.scalesim(sys.executable)[0].text() == block.text()


@pytest.mark.slow
def test_the_onnx_file_for_zigzag_is_the_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    path = tmp_path / f"{peers.NETWORK}.onnx"
    onnx_file.write(peers.NETWORK, path)
    found = vs_zigzag.run_squeezesim(path)
    rows = [layer.macs for layer in sq.load(peers.NETWORK).layers if layer.kind == "mac"]
    assert list(found.macs) == rows
