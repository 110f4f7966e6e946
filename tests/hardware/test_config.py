"""Exact error texts: ``mistakes.txt`` has blocks ``## part of GOOD => what it becomes`` (``*``: all).

``<dataflows>`` there are the names of all dataflows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim.errors import HardwareError
from squeezesim.hardware import Accelerator
from squeezesim.hardware.config import from_text, shown
from squeezesim.hardware.dataflows import names
from squeezesim.yaml_tree import Source

GOOD = """\
name: a
clock_mhz: 500
array:
  rows: 8
  cols: 8
  dataflows: [ws, os]
memory:
  global_buffer: {size_kib: 64}
  dram:
    bandwidth_gb_s: 16
"""


def golden() -> list[tuple[str, str]]:
    file = Path(__file__).with_name("mistakes.txt")
    blocks = file.read_text(encoding="utf-8").split("## ")[1:] if file.exists() else []
    return [(head, body.rstrip("\n")) for head, _, body in (block.partition("\n") for block in blocks)]


def unescape(text: str) -> str:
    for written, meant in (("(nothing)", ""), ("\\n", "\n"), ("\\t", "\t"), ("\\a", "\a")):
        text = text.replace(written, meant)
    return text


def test_the_base_is_good() -> None:
    assert from_text(Source("f.yaml", GOOD), Accelerator).array.rows == 8


@pytest.mark.parametrize(("change", "expected"), golden())
def test_message(change: str, expected: str) -> None:
    old, new = (unescape(part) for part in change.split(" => "))
    assert old == "*" or GOOD.count(old) == 1
    text = new if old == "*" else GOOD.replace(old, new)
    with pytest.raises(HardwareError) as error:
        from_text(Source("f.yaml", text), Accelerator)
    assert str(error.value) == expected.replace("<dataflows>", ", ".join(names()))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (False, "false"),
        (1e20, "1e+20"),
        (10**400, "an integer of more than 300 digits"),
        ("x" * 100, "'" + "x" * 56 + "…"),
        ((1, None, "a"), "[1, null, 'a']"),
        ({"a": 1}, "a mapping"),
    ],
)
def test_values_are_shown_as_in_yaml(value: object, text: str) -> None:
    assert shown(value) == text
