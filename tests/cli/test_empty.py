"""Networks without a layer, or without one that multiplies: a header and no rows, or one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from tests.cli.conftest import Run
from tests.frontends.onnx.graphs import model, node, weights


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.py").write_text("from torch import nn\n\n\ndef identity():\n    return nn.Identity()\n")
    relu = model([node("Relu", ["x"], "y")], {"x": (1, 4)})
    none = model([node("Identity", ["x"], "y")], {"x": (1, 4)})
    custom = [helper.make_node("MyOp", ["x"], ["u"], domain="acme"), node("Gemm", ["u", "w"], "y")]
    unknown = model(custom, {"x": (2, 8)}, [weights("w", (8, 4))], domains=["acme"])
    for name, made in (("relu", relu), ("none", none), ("unknown", unknown)):
        (tmp_path / f"{name}.onnx").write_bytes(made.SerializeToString())
    return tmp_path


IDENTITY = ("my.py:identity", "--input", "3x8x8")
COMMANDS = [
    ("profile", "MODEL", "--hw", "os_32x32"),
    ("profile", "MODEL", "--hw", "os_32x32", "--format", "csv"),
    ("profile", "MODEL", "--hw", "os_32x32", "--format", "json"),
    ("explain", "MODEL", "--hw", "os_32x32"),
    ("explain", "MODEL", "--hw", "os_32x32", "--format", "json"),
    ("compare", "MODEL", "--hw", "os_32x32", "--hw", "ws_32x32"),
    ("compare", "MODEL", "--hw", "os_32x32", "--hw", "ws_32x32", "--format", "csv"),
    ("sweep", "MODEL", "--hw", "os_32x32", "--set", "array.rows=8,16"),
    ("sweep", "MODEL", "--hw", "os_32x32", "--set", "array.rows=8,16", "--format", "csv"),
    ("sensitivity", "MODEL", "--hw", "os_32x32", "--format", "csv"),
    ("report", "MODEL", "--hw", "os_32x32", "-o", "page.html"),
    ("plot", "utilization", "MODEL", "--hw", "os_32x32", "-o", "figure.png"),
    ("export", "MODEL", "--to", "scalesim", "-o", "out.csv"),
    ("allocate", "MODEL", "--hw", "os_32x32"),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["identity", "relu.onnx", "none.onnx", "unknown.onnx"])
def test_networks_that_multiply_nothing_get_one_line(run: Run, name: str, command: tuple[str, ...]) -> None:
    if name == "identity" and command[0] in ("plot", "allocate"):
        pytest.skip("takes no input")
    given = IDENTITY if name == "identity" else (name,)
    result = run(*(part for word in command for part in (given if word == "MODEL" else (word,))))
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    if name == "unknown.onnx" and command[0] != "allocate":
        assert "not modelled: acme.MyOp ×1, Gemm of unknown shape ×1" in result.err


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("given", "rows"), [(IDENTITY, 0), (("none.onnx",), 0), (("relu.onnx",), 1)])
def test_layers_of_networks_that_multiply_nothing(run: Run, given: tuple[str, ...], rows: int) -> None:
    text = run("layers", *given, "--format", "csv").out.splitlines()
    assert len(text) == 1 + rows
    assert text[0] == run("layers", "tiny_darknet", "--format", "csv").out.splitlines()[0]
    assert f"{rows} layer" in run("layers", *given).out
    assert run("layers", *given, "--format", "json").code == 0
