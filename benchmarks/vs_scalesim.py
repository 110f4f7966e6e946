"""Beside SCALE-Sim in one run: equal cycles, mapping efficiency and SRAM accesses, and how much longer it takes.

Both read the same topology and the same configuration, which this script writes. It installs nothing; SCALE-Sim needs
an environment of its own, since it does not run with numpy 2.4:

    python3 -m venv /tmp/scalesim
    /tmp/scalesim/bin/pip install scalesim==3.0.0 'numpy<2.4' pydantic PyYAML typer rich platformdirs
    /tmp/scalesim/bin/pip install --no-deps -e .
    /tmp/scalesim/bin/python benchmarks/vs_scalesim.py [--model NAME] [--array 32x32] [--layers 20] [--gemm]

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
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import squeezesim as sq
from squeezesim.cost.dataflow.scalesim import SCALESIM, printed
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import workload_of
from squeezesim.frontends.scalesim_export import export

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


def main() -> int:
    parser = argparse.ArgumentParser(description="squeezesim beside SCALE-Sim")
    parser.add_argument(
        "--model", default="squeezenext_23_v5", help="a built-in network, whose layers are run"
    )
    parser.add_argument("--array", default="32x32", help="rows x columns")
    parser.add_argument("--layers", type=int, default=20, help="how many distinct layers, the smallest first")
    parser.add_argument("--gemm", action="store_true", help="as matrix products, M, N and K")
    options = parser.parse_args()
    if importlib.util.find_spec("scalesim") is None:
        print("scalesim is not installed here; the script's first lines say how", file=sys.stderr)
        return 2
    rows, cols = map(int, options.array.split("x"))
    layers = distinct(sq.load(options.model), options.layers)
    macs = sum(layer.macs for layer in layers)
    print(f"{len(layers)} layers of {options.model}, {macs:,} MACs, {rows}×{cols} PEs")
    warm_up()
    differing = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        topology = folder / "topology.csv"
        written = export(sq.Network.from_layers(layers), gemm=options.gemm)
        topology.write_text(written.text, encoding="utf-8")
        for dataflow in ("os", "ws", "is"):
            config = folder / f"{dataflow}.cfg"
            config.write_text(CONFIG.format(rows=rows, cols=cols, dataflow=dataflow), encoding="utf-8")
            differing += beside(dataflow, topology, config, gemm=options.gemm)
    return 1 if differing else 0


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


def beside(dataflow: str, topology: Path, config: Path, *, gemm: bool) -> int:
    """Run both, print what differs and the times; return how many layers differ."""
    theirs_seconds, theirs = timed(lambda: run_scalesim(topology, config, gemm=gemm))
    ours_seconds, report = timed(lambda: run_squeezesim(topology, config))
    differing = 0
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
            differing += 1
            print(f"  {layer.name} differs: {'; '.join(unequal)}")
    total = sum(int(row["scalesim_total_cycles"]) for row in report.rows())
    print(
        f"scalesim_{dataflow}: {len(report.network.layers) - differing} of {len(report.network.layers)} layers equal, "
        f"{total:,} cycles; SCALE-Sim {theirs_seconds:.2f} s, squeezesim {1e3 * ours_seconds:.1f} ms: "
        f"{theirs_seconds / ours_seconds:,.0f}× faster"
    )
    return differing


def together(parts: Sequence[Numbers]) -> Numbers:
    """Numbers of the rows that are the groups of one layer: sums, and the mean efficiency."""
    cycles, efficiency, *accesses = zip(*parts, strict=True)
    return (sum(cycles), statistics.mean(efficiency), *map(sum, accesses))


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the job, and its result."""
    start = time.perf_counter()
    result = job()
    return time.perf_counter() - start, result


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
