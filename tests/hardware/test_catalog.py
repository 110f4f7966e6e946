from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from squeezesim.errors import HardwareError
from squeezesim.hardware import Accelerator, energy_costs
from squeezesim.hardware.catalog import check, directory
from squeezesim.hardware.config import from_text
from squeezesim.hardware.display import fixed_widths
from squeezesim.hardware.parts import Sparsity
from squeezesim.yaml_tree import Source

ROOT = Path(__file__).parents[2]
NAMES = (
    "dpu_b1024",
    "dpu_b1152",
    "dpu_b1600",
    "dpu_b2304",
    "dpu_b3136",
    "dpu_b4096",
    "dpu_b512",
    "dpu_b800",
    "edge_tpu",
    "ethos_u55_128",
    "ethos_u55_256",
    "ethos_u55_64",
    "eyeriss",
    "eyeriss_isca16",
    "gemmini_16x16",
    "hybrid_32x32",
    "nvdla_1024",
    "nvdla_128",
    "nvdla_2048",
    "nvdla_256",
    "nvdla_32",
    "nvdla_512",
    "nvdla_64",
    "os_32x32",
    "squeezelerator_16x16",
    "squeezelerator_8x8",
    "vta_pynq",
    "ws_32x32",
)


def test_names_and_files() -> None:
    assert Accelerator.names() == NAMES
    for name in NAMES:
        accelerator = Accelerator.named(name)
        assert accelerator.name == name
        assert accelerator.description
        assert accelerator.source
        assert Accelerator.from_yaml(directory() / f"{name}.yaml") == accelerator


@pytest.mark.parametrize(
    ("name", "pes", "kib"), [("squeezelerator_16x16", 16, 128), ("squeezelerator_8x8", 8, 32)]
)
def test_squeezelerator(name: str, pes: int, kib: int) -> None:
    hw = Accelerator.named(name)
    assert (hw.array.rows, hw.array.cols, hw.array.port_words) == (pes, pes, pes)
    assert hw.array.dataflows == ("ws", "os")
    assert hw.memory.global_buffer.size_kib == kib
    assert hw.precision.model_dump() == {"weight_bits": 16, "activation_bits": 16, "accumulator_bits": 16}
    assert hw.dram_bytes_per_cycle == pytest.approx(0.95 * 16)
    assert hw.dram_latency_cycles == 100
    assert hw.setup_cycles == math.ceil(1.4 * pes * pes)
    assert hw.sparsity == Sparsity(weights=0.4, skipped_by=("os",))
    assert hw.mapper.model_dump() == {
        "objective": "latency",
        "latency_slack": 0.0,
        "residency": "order",
        "blocks": "whole",
    }
    assert (hw.vector.model, hw.energy.table) == ("none", "eyeriss_relative")
    calibrated = {path for path, origin in hw.provenance.items() if origin.provenance == "calibrated"}
    assert calibrated == {
        "clock_mhz",
        "memory.dram.usable_fraction",
        "memory.row_words",
        "array.weight_swap_cycles",
        "control.pe_setup_cycles",
        "energy.overrides.inter_pe",
        "energy.overrides.buffer",
        "energy.overrides.dram",
    }
    assert all(origin.source for origin in hw.provenance.values())


def test_the_file_of_the_page_is_the_shipped_one() -> None:
    """What docs/hardware.md makes of a data sheet, and the file with its sources."""
    page = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
    block = next(part for part in page.split("```yaml\n")[1:] if part.startswith("name: dpu_b4096"))
    written = from_text(Source("hardware.md", block.partition("```")[0]), Accelerator)
    shipped = Accelerator.named("dpu_b4096")
    heading = {"description": shipped.description, "source": shipped.source, "notes": shipped.notes}
    assert written.model_copy(update={**heading, "provenance": shipped.provenance}) == shipped


def test_smaller_dpus_have_fewer_macs_and_smaller_banks() -> None:
    names = [f"dpu_b{ops}" for ops in (512, 800, 1024, 1152, 1600, 2304, 3136, 4096)]
    for name in names:
        hw = Accelerator.named(name)
        unroll, parts = hw.array.units["conv"].unroll, hw.memory.global_buffer.parts
        assert 2 * hw.array.pes == int(name.removeprefix("dpu_b"))  # operations a cycle are its name
        assert unroll["c"] == unroll["k"] == hw.array.units["depthwise"].unroll["g"]
        assert parts["weights"].size_kib == 2 * unroll["c"] * unroll["k"]
        assert parts["maps"].size_kib == 4 * unroll["c"] * unroll["x"]
        assert all(origin.source for origin in hw.provenance.values())


def test_the_three_designs_differ_in_their_dataflows_only() -> None:
    designs = [Accelerator.named(name) for name in ("os_32x32", "ws_32x32", "hybrid_32x32")]
    assert [hw.array.dataflows for hw in designs] == [("os",), ("ws",), ("ws", "os")]
    same = {"name": "x", "description": "", "array.dataflows": ["os"]}
    assert len({hw.replace(same) for hw in designs}) == 1


@pytest.mark.parametrize("name", NAMES)
def test_energies_exist(name: str) -> None:
    assert energy_costs(check(name, Accelerator)).dram_per_bit > 0


def test_resolve_takes_names_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = Accelerator.resolve("os_32x32")
    assert Accelerator.resolve(str(directory() / "os_32x32.yaml")) == by_name
    monkeypatch.chdir(tmp_path)
    (tmp_path / "os_32x32").mkdir()
    assert Accelerator.resolve("os_32x32") == by_name
    (tmp_path / "mine").write_text(by_name.replace({"name": "mine"}).to_yaml(), encoding="utf-8")
    assert Accelerator.resolve("mine").name == "mine"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("os_32x23", "; did you mean 'os_32x32' or 'ws_32x32'?"),
        ("hw/os_32x32.yaml", "; did you mean 'os_32x32'?"),
        ("quantum", ""),
        ("a" * 300, ""),
        ("", ""),
    ],
)
def test_resolve_unknown(text: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HardwareError) as error:
        Accelerator.resolve(text)
    allowed = f"a YAML file, a SCALE-Sim .cfg or {', '.join(NAMES)}"
    assert str(error.value) == f"no accelerator {text!r}, neither a file nor a name; allowed: {allowed}{hint}"


def test_named_unknown() -> None:
    with pytest.raises(HardwareError) as error:
        Accelerator.named("squeezelerator")
    assert str(error.value) == (
        f"unknown accelerator 'squeezelerator'; allowed: {', '.join(NAMES)}; "
        "did you mean 'squeezelerator_8x8' or 'squeezelerator_16x16'?"
    )


def test_check_looks_up_energies(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    big = {"name": "big", "energy.table": "horowitz_45nm", "memory.global_buffer.size_kib": 8192}
    file.write_text(Accelerator.named("os_32x32").replace(big).to_yaml(), encoding="utf-8")
    with pytest.raises(HardwareError, match="outside of energy table 'horowitz_45nm'"):
        check(str(file), Accelerator)


def test_import_is_light() -> None:
    code = (
        "import json, sys; from squeezesim.hardware import Accelerator, energy_costs;"
        "energy_costs(Accelerator.named('os_32x32'));"
        "print(json.dumps(sorted({'torch', 'pandas', 'matplotlib', 'rich', 'typer'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == []


def test_values_that_stay_while_the_array_changes() -> None:
    changes = {"array.ports": 4, "memory.global_buffer.bytes_per_cycle": 64}
    rows = ["array.rows"]
    assert fixed_widths(Accelerator.named("os_32x32"), rows) == ""
    assert fixed_widths(Accelerator.named("os_32x32").replace(changes), ["clock_mhz"]) == ""
    assert fixed_widths(Accelerator.named("os_32x32").replace(changes), rows) == (
        "kept while array.rows varies: memory.global_buffer.bytes_per_cycle 64"
    )
    assert fixed_widths(Accelerator.named("os_32x32").replace(changes), ["array.cols"]) == (
        "kept while array.cols varies: memory.global_buffer.bytes_per_cycle 64, array.ports 4; "
        "null of array.ports is one for each column"
    )
    assert fixed_widths(Accelerator.named("eyeriss"), [*rows, "array.network.psums_words"]) == (
        "kept while array.rows varies: array.network.weights_words 4, array.network.inputs_words 1"
    )
