"""Inputs with any name or with values, and what then follows: branches, loops and scans of ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

import squeezesim as sq
from squeezesim.cli.inputs import asked_inputs
from tests.frontends.onnx_graphs import model, node, weights


def load(folder: Path, made: onnx.ModelProto, **inputs: Any) -> sq.Network:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return sq.load(path, inputs=inputs or None)


@pytest.mark.parametrize(
    "name", ["images:0", "serving_default_x:0", "a b", "x=y", "größe", "a/b.c", "x:int64"]
)
def test_an_input_of_any_name(tmp_path: Path, name: str) -> None:
    made = model([node("Conv", [name, "w"])], {name: ("N", 3, 32, 32)}, [weights("w", (8, 3, 3, 3))])
    found = load(tmp_path, made, **asked_inputs([f"{name}=2x3x32x32"])["inputs"])
    assert found.inputs == ((name, (2, 3, 32, 32)),)
    assert found.macs == 2 * 8 * 27 * 30 * 30
