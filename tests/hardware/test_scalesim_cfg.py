from __future__ import annotations

from pathlib import Path

import pytest

from squeezesim.errors import HardwareError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.scalesim_cfg import MAX_BYTES, load

# As SCALE-Sim 3 ships them: colons and equals signs, spaces before and after.
GOOD = """\
[general]
run_name = scale_32x16_ws

[architecture_presets]
ArrayHeight:    32
ArrayWidth:     16
IfmapSramSzkB:   64
FilterSramSzkB:  32
OfmapSramSzkB:   8
IfmapOffset:    0
FilterOffset:   10000000
OfmapOffset:    20000000
Bandwidth : 10
Dataflow : ws
ReadRequestBuffer: 32

[layout]
IfmapCustomLayout: False

[sparsity]
SparsitySupport : false
BlockSize : 8

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def config(folder: Path, text: str) -> Path:
    file = folder / "scale.cfg"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_part_of_a_configuration(tmp_path: Path) -> None:
    hw = load(config(tmp_path, GOOD), Accelerator)
    assert (hw.name, hw.source) == ("scale_32x16_ws", "SCALE-Sim configuration scale.cfg")
    assert (hw.array.rows, hw.array.cols, hw.array.dataflows) == (32, 16, ("scalesim_ws",))
    assert (hw.array.interconnect, hw.vector.model) == ("systolic", "none")
    assert hw.memory.global_buffer.size_kib == 64 + 32 + 8
    assert hw.memory.global_buffer.double_buffered == ("inputs", "weights", "outputs")
    assert {hw.precision.weight_bits, hw.precision.activation_bits, hw.precision.accumulator_bits} == {8}
    assert (hw.setup_cycles, hw.dram_latency_cycles, hw.mapper.latency_slack) == (0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "words_a_cycle"),
    [
        ({}, 1_000_000),  # CALC: nothing waits
        ({"CALC": "USER"}, 10),
        ({"CALC": "USER", "Bandwidth : 10": "Bandwidth = 30, 10, 10"}, 30),
        ({"InterfaceBandwidth: CALC\n": ""}, 1_000_000),
    ],
)
def test_bandwidth(tmp_path: Path, changes: dict[str, str], words_a_cycle: int) -> None:
    text = GOOD
    for old, new in changes.items():
        text = text.replace(old, new)
    assert load(config(tmp_path, text), Accelerator).dram_bytes_per_cycle == words_a_cycle


def test_keys_of_earlier_versions_and_letters_of_any_case(tmp_path: Path) -> None:
    text = GOOD.replace("SramSzkB", "SramSz").replace("ArrayHeight", "arrayheight")
    assert load(config(tmp_path, text), Accelerator) == load(config(tmp_path, GOOD), Accelerator)


@pytest.mark.parametrize(
    ("run_name", "name"),
    [('"my run"', "my_run"), ("", "scale"), ("_x", "x"), ("é", "scalesim"), ("a" * 200, "a" * 100)],
)
def test_names(tmp_path: Path, run_name: str, name: str) -> None:
    assert load(config(tmp_path, GOOD.replace("scale_32x16_ws", run_name)), Accelerator).name == name


def test_a_path_resolves(tmp_path: Path) -> None:
    file = config(tmp_path, GOOD)
    assert Accelerator.resolve(str(file)) == load(file, Accelerator)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "ArrayHeight:    32",
            "ArrayHeight: 0",
            ":5: ArrayHeight must be an integer from 1 to 4096, found '0'",
        ),
        (
            "ArrayHeight:    32",
            "ArrayHeight: 8x",
            ":5: ArrayHeight must be an integer from 1 to 4096, found '8x'",
        ),
        (
            "Dataflow : ws",
            "Dataflow : osx",
            ":14: Dataflow is 'osx'; allowed: os, ws, is; did you mean 'os'?",
        ),
        ("CALC", "CALK", ":25: InterfaceBandwidth is 'CALK'; allowed: CALC, USER; did you mean 'CALC'?"),
        (
            "Support : false",
            "Support : true",
            ":21: SparsitySupport is 'true', which is not modelled; allowed: False",
        ),
        (
            "Layout: False",
            "Layout: True",
            ":18: IfmapCustomLayout is 'True', which is not modelled; allowed: False",
        ),
        ("ArrayWidth:     16", "ArrayWidth 16", ":6: a line is [section], key: value or key = value, found "),
        ("ArrayWidth:     16", "arrayheight: 16", ":6: arrayheight is there twice, first in line 5"),
        (
            "ArrayWidth:     16",
            "ArayWidth: 16",
            ":6: there is no ArrayWidth, which a SCALE-Sim configuration needs, but 'ArayWidth'; did you mean "
            "'ArrayWidth'?",
        ),
        ("Dataflow : ws\n", "", ": there is no Dataflow, which a SCALE-Sim configuration needs"),
        (GOOD, "", ": there is no Dataflow, which a SCALE-Sim configuration needs"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert GOOD.count(old) == 1
    file = config(tmp_path, GOOD.replace(old, new))
    with pytest.raises(HardwareError) as error:
        load(file, Accelerator)
    assert str(error.value).startswith(f"{file}{message}")
    assert "\n" not in str(error.value)


def test_a_bandwidth_is_needed_where_it_counts(tmp_path: Path) -> None:
    for bandwidth in ("0", "-1", "ten", ""):
        text = GOOD.replace("CALC", "USER").replace("Bandwidth : 10", f"Bandwidth : {bandwidth}")
        with pytest.raises(HardwareError, match=":13: Bandwidth must be an integer from 1 to 1000000, found"):
            load(config(tmp_path, text), Accelerator)


UNREAD = "keys of the configuration that are not read: "


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ({}, ()),
        ({"ReadRequestBuffer: 32": "MemoryBanks: 1\nWriteRequestBuffer: 32"}, ()),
        (
            {"UseRamulatorTrace: False": "TimeLinearModel: TPUv4\n[gpu]\nTensorCores = 4"},
            (f"{UNREAD}'[run_presets] TimeLinearModel', '[gpu] TensorCores'",),
        ),
        ({"[general]": "WArrayHeight: 4"}, (f"{UNREAD}'WArrayHeight'",)),  # ArrayHeight is there
        ({"[general]": "NumCores: 4"}, (f"{UNREAD}'NumCores'",)),
        (
            {"InterfaceBandwidth: CALC": "InterfaceBandwith: USER"},
            (f"{UNREAD}'[run_presets] InterfaceBandwith' (did you mean 'InterfaceBandwidth'?)",),
        ),
        (
            {"[layout]": "[x]\n" + "".join(f"{letter}: 1\n" for letter in "abcdefghij")},
            (f"{UNREAD}{', '.join(repr(f'[x] {letter}') for letter in 'abcdefgh')} and 2 more",),
        ),
        (
            {"CALC": "USER", "Bandwidth : 10": "Bandwidth = 30, 10, 10"},
            ("of 3 values of Bandwidth the first, 30 words a cycle, is for all operands",),
        ),
        ({"CALC": "USER", "Bandwidth : 10": "Bandwidth = 30,"}, ()),
        ({"Bandwidth : 10": "Bandwidth = 30, 10, 10"}, ()),  # CALC reads none
    ],
)
def test_notes_say_what_has_no_effect(
    tmp_path: Path, changes: dict[str, str], notes: tuple[str, ...]
) -> None:
    text = GOOD
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    assert load(config(tmp_path, text), Accelerator).notes == notes


def test_notes_stay_with_the_accelerator(tmp_path: Path) -> None:
    noted = load(config(tmp_path, GOOD + "NumCores: 4\n"), Accelerator)
    file = tmp_path / "noted.yaml"
    file.write_text(noted.to_yaml(), encoding="utf-8")
    assert Accelerator.from_yaml(file) == noted
    assert noted.replace({"array.rows": 8}).notes == noted.notes == (f"{UNREAD}'[run_presets] NumCores'",)
    assert noted.model_dump(mode="json")["notes"] == list(noted.notes)
    assert "notes" not in load(config(tmp_path, GOOD), Accelerator).model_dump()
    for given in ("3", "[3]", "x", "{a: 1}"):
        file.write_text(noted.to_yaml().partition("notes:")[0] + f"notes: {given}\n", encoding="utf-8")
        with pytest.raises(HardwareError, match=r"notes(\[0\])? is .*; allowed: "):
            Accelerator.from_yaml(file)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"^cannot read '.*none.cfg': No such file or directory$"):
        load(tmp_path / "none.cfg", Accelerator)
    binary = tmp_path / "binary.cfg"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HardwareError, match="is no SCALE-Sim configuration: byte 1 is not UTF-8 text"):
        load(binary, Accelerator)
    large = tmp_path / "large.cfg"
    large.write_bytes(b"a" * (MAX_BYTES + 1))
    with pytest.raises(HardwareError, match="is larger than 1 MiB"):
        load(large, Accelerator)
