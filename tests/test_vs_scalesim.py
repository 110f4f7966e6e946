"""The benchmark beside SCALE-Sim, as far as it goes without SCALE-Sim."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import squeezesim as sq
from squeezesim.frontends.scalesim_export import export

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "vs_scalesim.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vs_scalesim", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_scalesim_it_says_how_to_install_it(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "scalesim", None)
    monkeypatch.setattr(sys, "argv", ["vs_scalesim.py"])
    assert script.main() == 2
    assert capsys.readouterr() == ("", "scalesim is not installed here; the script's first lines say how\n")


@pytest.mark.parametrize("gemm", [False, True])
def test_layers_that_agree_and_layers_that_do_not(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    gemm: bool,
) -> None:
    layers = [
        sq.Layer.conv("conv", c=3, k=8, oy=6, ox=6, fy=3, fx=3),
        sq.Layer.conv("deep", c=4, k=4, oy=5, ox=5, fy=3, fx=3, groups=4),
    ]
    topology, config = tmp_path / "topology.csv", tmp_path / "os.cfg"
    topology.write_text(export(sq.Network.from_layers(layers), gemm=gemm).text, encoding="utf-8")
    config.write_text(script.CONFIG.format(rows=8, cols=8, dataflow="os"), encoding="utf-8")
    # 5 · 1 folds of 27 + 14 cycles; 4 groups of 4 · 1 folds of 9 + 14. Writes have R + S too many for each fold.
    conv = (5 * 41 - 1.0, 100 * 36 * 8 / (5 * 64), 36 * 27.0, 5 * 8 * 27.0, 36 * 8 + 5 * 16.0)
    deep = (4 * 23 - 1.0, 100 * 25 / (4 * 64), 25 * 9.0, 4 * 9.0, 25 + 4 * 16.0)
    printed = [conv, deep, deep, deep, deep]
    monkeypatch.setattr(script, "run_scalesim", lambda *_, **__: printed)
    rows = 5 if gemm else 2
    assert script.beside("os", topology, config, gemm=gemm) == 0
    assert capsys.readouterr().out.startswith(f"scalesim_os: {rows} of {rows} layers equal, 568 cycles; ")
    printed[0] = (conv[0] + 1, *conv[1:])
    assert script.beside("os", topology, config, gemm=gemm) == 1
    assert capsys.readouterr().out.startswith("  conv differs: total cycles 205, ours 204\n")
