"""Beside ZigZag in one run: MACs of every layer, and how much longer it takes.

Both read the same ONNX file. This script installs nothing; ZigZag needs an environment of its own, and the file is
written by the project's, which has torch. In the folder of the checkout:

    python3 -m venv /tmp/zigzag
    /tmp/zigzag/bin/pip install zigzag-dse==3.9.1 six onnx pydantic PyYAML typer rich platformdirs
    /tmp/zigzag/bin/pip install --no-deps .
    .venv/bin/python -m benchmarks.onnx_file squeezenet_1_0 /tmp/squeezenet.onnx
    /tmp/zigzag/bin/python -m benchmarks.vs_zigzag /tmp/squeezenet.onnx [--lpf-limit 6]

ZigZag runs its own `tpu_like` accelerator and mapping, squeezesim `ws_32x32` with the sizes of that. Cycles stand
beside each other, but the two are not the same machine. Exit code 1 where the MACs of a layer differ, 2 where zigzag is
not there.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import squeezesim as sq
from benchmarks.block import Block, duration, times
from benchmarks.measure import repeated, timed

TPU_LIKE: dict[str, Any] = {
    "name": "tpu_like",
    "clock_mhz": 1000,
    "memory.global_buffer.size_kib": 2048,
    "memory.dram.bandwidth_gb_s": 8,
    "memory.dram.usable_fraction": 1,
    "memory.dram.latency_ns": 0,
    "control.layer_setup_cycles": 0,
}
"""What ``ws_32x32`` has otherwise of ZigZag's ``tpu_like``: 2 MiB on the chip, 64 bits of DRAM a cycle."""

COLUMNS = (
    *("network", "layers", "MACs equal", "ZigZag", "squeezesim", "ratio"),
    *("ZigZag's cycles", "squeezesim's", "ratio by layer"),
)
HOW = """\
ZigZag {version} and squeezesim on one ONNX file, which PyTorch's exporter wrote from the built-in network, in one
process, from the file to the costs of all layers. ZigZag ran once, as its API comes (`loma` with at most {limit}
loop prime factors, least latency), the files that it writes included; squeezesim is a median. Both choose for every
layer the tiling and loop order of least latency.

The same: the layers, their MACs, 32×32 8-bit PEs that hold weights, input by output channels, 2 MiB on the chip, 8
bytes of DRAM a cycle. Not the same: ZigZag's `tpu_like` has 128 bytes of weights and 2 of sums in each PE, no buffer
of weights between them and DRAM, and wider words of its buffer; squeezesim's `ws_32x32` has all three operands in its
buffer and sums of 32 bits. So no layer has to take the same cycles: they stand here as two answers to nearly the same
question, of layers that multiply only, and *ratio by layer* is squeezesim's to ZigZag's at its least and its most.

ZigZag searches the loop orders of any memory hierarchy that a file describes; squeezesim has one hierarchy and closed
forms for it, and plays the pipeline of tiles. ZigZag maps a layer again where its shape repeats, squeezesim does not;
squeezesim costs element-wise layers and pooling too. The ratio of times is of what each takes for its own answer.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one of the two makes of a network: MACs and cycles of its layers in their order, seconds."""

    macs: Sequence[int]
    cycles: Sequence[int]
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description="squeezesim beside ZigZag")
    parser.add_argument("file", type=Path, help="the ONNX file of a network")
    parser.add_argument("--lpf-limit", type=int, default=6, help="ZigZag's limit on loop prime factors")
    parser.add_argument("--json", action="store_true", help="print what python -m benchmarks reads")
    options = parser.parse_args()
    if importlib.util.find_spec("zigzag") is None:
        print("zigzag is not installed here; the script's first lines say how", file=sys.stderr)
        return 2
    theirs, ours = run_zigzag(options.file, options.lpf_limit), run_squeezesim(options.file)
    cells = row(options.file.stem, theirs, ours)
    how = HOW.format(version=version("zigzag-dse"), limit=options.lpf_limit)
    block = Block.of("Beside ZigZag", COLUMNS, [cells], how)
    print(block.to_json() if options.json else block.text())
    return 0 if theirs.macs == ours.macs else 1


def row(name: str, theirs: Found, ours: Found) -> list[str]:
    """The row of ``COLUMNS``."""
    pairs = list(zip_longest(theirs.macs, ours.macs))
    equal = sum(their == our for their, our in pairs)
    ratios = [our / their for their, our in zip(theirs.cycles, ours.cycles, strict=False)]
    return [
        name,
        str(len(ours.macs)),
        f"{equal} of {len(pairs)}",
        duration(theirs.seconds),
        duration(ours.seconds),
        times(theirs.seconds / ours.seconds),
        f"{sum(theirs.cycles):,}",
        f"{sum(ours.cycles):,}",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
    ]


def run_zigzag(file: Path, limit: int) -> Found:
    """Run ZigZag on *file*, whose shapes it wants inferred; what it writes goes."""
    import onnx
    import zigzag  # type: ignore[import-not-found]
    from zigzag.api import get_hardware_performance_zigzag  # type: ignore[import-not-found]

    logging.disable(logging.WARNING)
    inputs = Path(zigzag.__file__).parent / "inputs"
    with tempfile.TemporaryDirectory() as folder:
        seconds, (_, _, found) = timed(
            lambda: get_hardware_performance_zigzag(
                onnx.shape_inference.infer_shapes(onnx.load(file)),
                str(inputs / "hardware" / "tpu_like.yaml"),
                str(inputs / "mapping" / "tpu_like.yaml"),
                opt="latency",
                dump_folder=folder,
                lpf_limit=limit,
                loma_show_progress_bar=False,
            )
        )
    layers = [evaluation for evaluation, _ in found[0][1]]
    return Found(
        macs=[int(evaluation.layer.total_mac_count) for evaluation in layers],
        cycles=[int(evaluation.latency_total2) for evaluation in layers],
        seconds=seconds,
    )


def run_squeezesim(file: Path) -> Found:
    """Run squeezesim on *file*; cycles are those of the layers that ZigZag has too."""
    accelerator = sq.Accelerator.named("ws_32x32").replace(TPU_LIKE)
    spent = repeated(lambda: sq.simulate(sq.load(file), accelerator).rows())
    rows = [row for row in sq.simulate(sq.load(file), accelerator).rows() if row["macs"]]
    return Found(
        macs=[row["macs"] for row in rows],
        cycles=[row["cycles"] for row in rows],
        seconds=spent.median,
    )


if __name__ == "__main__":
    sys.exit(main())
