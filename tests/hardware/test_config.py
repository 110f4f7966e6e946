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


LIKE = """\
name: small
like: dpu_b4096
set:
  array.units.conv.unroll.k: {value: 8, provenance: guess, source: half}
  memory.dram.usable_fraction: 0.5
"""


def test_a_file_like_another_has_its_values_but_for_those_of_set() -> None:
    base = Accelerator.named("dpu_b4096")
    made = from_text(Source("f.yaml", LIKE), Accelerator)
    changed = {"array.units.conv.unroll.k": 8, "memory.dram.usable_fraction": 0.5}
    same = {"name": "small", "description": "", "source": ""}
    assert made == base.replace({**changed, **same}).model_copy(update={"provenance": made.provenance})
    guessed = made.provenance["array.units.conv.unroll.k"]
    assert (guessed.provenance, guessed.source) == ("guess", "half")
    assert "memory.dram.usable_fraction" not in made.provenance
    assert made.provenance["clock_mhz"] == base.provenance["clock_mhz"]
    assert from_text(Source("f.yaml", made.to_yaml()), Accelerator) == made


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dpu_b4096", "dpu_b409", "f.yaml:2:1: like is 'dpu_b409'; allowed: "),
        ("unroll.k:", "unrol.k:", "f.yaml:4:3: unknown parameter 'array.units.conv.unrol.k'; allowed: "),
        (
            "value: 8",
            "value: 0",
            "f.yaml:4:3: array.units.conv.unroll.k is 0; allowed: an integer from 1 to 65536",
        ),
        (
            "provenance: guess",
            "provenance: hearsay",
            "f.yaml:4:41: provenance of array.units.conv.unroll.k is",
        ),
        ("set:", "clock_mhz: 3\nset:", "f.yaml:3:12: key 'clock_mhz' stands beside like; allowed: name, "),
        ("name: small\n", "", "f.yaml:1:1: name is missing; allowed: "),
        (LIKE[LIKE.index("set") :], "set: 3", "f.yaml:3:1: set is 3; allowed: a mapping of dotted paths"),
        ("like: dpu_b4096\n", "", "f.yaml:1:1: like is null; allowed: "),
    ],
)
def test_mistakes_of_a_file_like_another(old: str, new: str, message: str) -> None:
    with pytest.raises(HardwareError) as error:
        from_text(Source("f.yaml", LIKE.replace(old, new)), Accelerator)
    assert str(error.value).startswith(message)
