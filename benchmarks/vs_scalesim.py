"""Beside SCALE-Sim in one run: equal cycles, mapping efficiency and SRAM accesses, and how much longer it takes.

Both read the same topology and the same configuration, which this script writes. It installs nothing; SCALE-Sim needs
an environment of its own, since it does not run with numpy 2.4. In the folder of the checkout:

    python3 -m venv /tmp/scalesim
    /tmp/scalesim/bin/pip install scalesim==3.0.0 'numpy<2.4' pydantic PyYAML typer rich platformdirs
    /tmp/scalesim/bin/pip install --no-deps .
    /tmp/scalesim/bin/python -m benchmarks.vs_scalesim [--model NAME] [--array 32x32] [--layers 20] [--gemm]

SCALE-Sim's writes of outputs in `os` are less the R + S that it counts too many for each fold, as docs/dataflows.md
says. Exit code 1 where a number differs, 2 where scalesim is not there.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import importlib.util
import io
import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import squeezesim as sq
from benchmarks.block import Block, duration, times
from benchmarks.measure import repeated, timed
from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.frontends.scalesim import export
from squeezesim.report import units

CONFIG = """\
[general]
run_name = run

[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {cols}
IfmapSramSzkB: 1024
FilterSramSzkB: 1024
OfmapSramSzkB: 1024
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Bandwidth: 10
Dataflow: {dataflow}
MemoryBanks: 1
ReadRequestBuffer: 32
WriteRequestBuffer: 32

[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""

Numbers = tuple[float, ...]
QUANTITIES = ("total cycles", "mapping efficiency %", "ifmap reads", "filter reads", "ofmap writes")
COLUMNS = ("dataflow", "layers equal", "cycles", "SCALE-Sim", "squeezesim", "ratio")
HOW = """\
SCALE-Sim {version} and squeezesim on the same topology and `.cfg`: the {layers} smallest different layers of
`{model}`, {macs} MACs, {array} PEs, in one process, from the files to the numbers: SCALE-Sim once, squeezesim a
median. A layer is equal where total cycles, mapping efficiency and the accesses of the three SRAMs are. SCALE-Sim
makes traces of every cycle; squeezesim's formulas give those numbers without.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What both found in a dataflow, and how long it took each."""

    dataflow: str
    layers: int
    differences: Sequence[str]
    cycles: int
    theirs: float
    ours: float

    def cells(self) -> list[str]:
        """The row of ``COLUMNS``."""
        equal = f"{self.layers - len(self.differences)} of {self.layers}"
        spent = duration(self.theirs), duration(self.ours)
        return [self.dataflow, equal, f"{self.cycles:,}", *spent, times(self.theirs / self.ours)]


def main() -> int:
    parser = argparse.ArgumentParser(description="squeezesim beside SCALE-Sim")
    parser.add_argument("--model", default="squeezenext_23", help="a built-in network, whose layers are run")
    parser.add_argument("--array", default="32x32", help="rows x columns")
    parser.add_argument("--layers", type=int, default=20, help="how many distinct layers, the smallest first")
    parser.add_argument("--gemm", action="store_true", help="as matrix products, M, N and K")
    parser.add_argument("--json", action="store_true", help="print what python -m benchmarks reads")
    options = parser.parse_args()
    if importlib.util.find_spec("scalesim") is None:
        print("scalesim is not installed here; the script's first lines say how", file=sys.stderr)
        return 2
    rows, cols = map(int, options.array.split("x"))
    layers = distinct(sq.load(options.model), options.layers)
    warm_up()
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        topology = folder / "topology.csv"
        written = export(sq.Network.from_layers(layers), gemm=options.gemm)
        topology.write_text(written.text, encoding="utf-8")
        for dataflow in ("os", "ws", "is"):
            config = folder / f"{dataflow}.cfg"
            config.write_text(CONFIG.format(rows=rows, cols=cols, dataflow=dataflow), encoding="utf-8")
            found.append(beside(dataflow, topology, config, gemm=options.gemm))
    how = HOW.format(
        layers=len(layers),
        model=options.model,
        macs=units.count(sum(layer.macs for layer in layers)),
        array=f"{rows}×{cols}",
        version=version("scalesim"),
    )
    block = Block.of("Beside SCALE-Sim", COLUMNS, [each.cells() for each in found], how)
    differences = [text for each in found for text in each.differences]
    print(block.to_json() if options.json else "\n".join([block.text(), *differences]))
    return 1 if differences else 0


def warm_up() -> None:
    """Import what either imports on first use, so that the times are those of the work."""
    importlib.import_module("scalesim.scale_sim")
    tiny = sq.Network.from_layers([sq.Layer.matmul("tiny", m=1, n=1, k=1)])
    sq.simulate(tiny, sq.Accelerator.named("os_32x32")).rows()


def distinct(network: sq.Network, count: int) -> list[sq.Layer]:
    """The smallest distinct layers with MACs, without what they read."""
    found: dict[Any, sq.Layer] = {}
    for layer in network.layers:
        if layer.kind == "mac":
            shape = (layer.g, layer.k, layer.c, layer.oy, layer.ox, layer.fy, layer.fx, layer.stride)
            found.setdefault(
                shape,
                sq.Layer.conv(
                    layer.name,
                    c=layer.g * layer.c,
                    k=layer.g * layer.k,
                    groups=layer.g,
                    oy=layer.oy,
                    ox=layer.ox,
                    fy=layer.fy,
                    fx=layer.fx,
                    stride=layer.stride,
                ),
            )
    return sorted(found.values(), key=lambda layer: layer.macs)[:count]


def beside(dataflow: str, topology: Path, config: Path, *, gemm: bool) -> Beside:
    """Run both and compare every number of every layer."""
    theirs_seconds, theirs = timed(lambda: run_scalesim(topology, config, gemm=gemm))
    ours_seconds = repeated(lambda: run_squeezesim(topology, config)).median
    report = run_squeezesim(topology, config)
    differences = []
    expected = iter(theirs)
    for layer, ours in zip(report.network.layers, numbers(report, dataflow), strict=True):
        parts = [next(expected) for _ in range(layer.g)]
        joint = together(parts)
        if dataflow == "os":
            array = report.accelerator.array
            folds = layer.g * -(-layer.oy * layer.ox // array.rows) * -(-layer.k // array.cols)
            joint = (*joint[:-1], joint[-1] - folds * (array.rows + array.cols))
        unequal = [
            f"{name} {their:g}, ours {our:g}"
            for name, their, our in zip(QUANTITIES, joint, ours, strict=True)
            if not math.isclose(their, our, rel_tol=1e-9)
        ]
        if unequal:
            differences.append(f"{layer.name} differs in {dataflow}: {'; '.join(unequal)}")
    return Beside(
        dataflow=dataflow,
        layers=len(report.network.layers),
        differences=differences,
        cycles=sum(int(row["scalesim_total_cycles"]) for row in report.rows()),
        theirs=theirs_seconds,
        ours=ours_seconds,
    )


def together(parts: Sequence[Numbers]) -> Numbers:
    """Numbers of the rows that are the groups of one layer: sums, and the mean efficiency."""
    cycles, efficiency, *accesses = zip(*parts, strict=True)
    return (sum(cycles), statistics.mean(efficiency), *map(sum, accesses))


def run_squeezesim(topology: Path, config: Path) -> sq.Report:
    """From the two files to the report: reading, tiling, costing."""
    return sq.simulate(sq.load(topology), sq.Accelerator.resolve(str(config)))


def numbers(report: sq.Report, dataflow: str) -> Iterator[Numbers]:
    """What SCALE-Sim would print of each layer, as ours."""
    machine = Machine.of(report.accelerator)
    for row, layer in zip(report.rows(), report.network.layers, strict=True):
        shown = printed(SCALESIM[f"scalesim_{dataflow}"], workload_of([layer], machine)[0], machine)
        accesses = (shown.ifmap_reads, shown.filter_reads, shown.ofmap_writes)
        yield (
            row["scalesim_total_cycles"],
            100 * row["scalesim_mapping_efficiency"],
            *(float(words[0]) for words in accesses),
        )


def run_scalesim(topology: Path, config: Path, *, gemm: bool) -> list[Numbers]:
    """Run SCALE-Sim on the two files and read its reports."""
    from scalesim.scale_sim import scalesim  # type: ignore[import-not-found]

    layout = topology.with_name("layout.csv")  # read, though no custom layout is asked for
    layout.write_text("Layer name,\n", encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        simulator = scalesim(
            save_disk_space=True,
            verbose=False,
            config=str(config),
            topology=str(topology),
            layout=str(layout),
            input_type_gemm=gemm,
        )
        simulator.run_scale(top_path=str(topology.parent))
    folder = topology.parent / "run"
    compute, accesses = (table(folder / f"{name}_REPORT.csv") for name in ("COMPUTE", "DETAILED_ACCESS"))
    return [
        (
            float(cycles["Total Cycles"]),
            float(cycles["Mapping Efficiency %"]),
            *(float(words[f"SRAM {name}"]) for name in ("IFMAP Reads", "Filter Reads", "OFMAP Writes")),
        )
        for cycles, words in zip(compute, accesses, strict=True)
    ]


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream, skipinitialspace=True))


if __name__ == "__main__":
    sys.exit(main())
