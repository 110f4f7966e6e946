"""Costs before and after a change, bit by bit: every array of ``Costs``, in a file or compared with one.

    python -m benchmarks.equal record costs.npz      with the code as it was
    python -m benchmarks.equal compare costs.npz     with the code as it is; exit code 1 if anything differs

The cases are the built-in networks on shipped accelerators, one of each family of devices, and drawn ones: layers that
are grouped, batched,
strided, dilated, padded, products of weights or of activations, on machines of one family or of several, with every
dataflow, way of buffering, objective and slack. They are the same in every run.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

import squeezesim as sq
from squeezesim.cost.costs import ARRAYS
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import evaluate_each
from squeezesim.files import atomic_write
from squeezesim.zoo.registry import models

DRAWN = 2000
SHOWN = 40
"""Differences that are printed."""

BASE = "squeezelerator_16x16"

FAMILIES = (
    "dpu_b4096",
    "edge_tpu",
    "ethos_u55_256",
    "eyeriss",
    "eyeriss_isca16",
    "gemmini_16x16",
    "hybrid_32x32",
    "nvdla_256",
    "os_32x32",
    "squeezelerator_16x16",
    "squeezelerator_8x8",
    "vta_pynq",
    "ws_32x32",
)
"""Shipped accelerators, one of each family of devices."""


class Case(NamedTuple):
    """Layers, costed together on several accelerators."""

    label: str
    layers: tuple[sq.Layer, ...]
    accelerators: tuple[sq.Accelerator, ...]


class Table(NamedTuple):
    """The arrays of all cases: a row for each accelerator and layer, or for each accelerator."""

    labels: list[str]
    misfits: list[str]  # of each accelerator, "" where the layers fit it
    shapes: np.ndarray[Any, Any]  # (cases, 2): accelerators, layers
    arrays: dict[str, np.ndarray[Any, Any]]


def built_in() -> Iterator[Case]:
    """Every built-in network on a shipped accelerator of each family."""
    shipped = [sq.Accelerator.named(name) for name in FAMILIES]
    for name in models():
        layers = tuple(sq.load(name).fused.layers)
        for accelerator in shipped:
            yield Case(f"{name} on {accelerator.name}", layers, (accelerator,))


def drawn(count: int = DRAWN) -> Iterator[Case]:
    """Draw *count* cases."""
    for number in range(count):
        draw = Random(number)
        largest = draw.choice([6, 20, 20, 70, 300])
        layers = tuple(layer(draw, f"layer{index}", largest) for index in range(draw.choice([1, 1, 2, 4])))
        yield Case(f"drawn case {number}", layers, tuple(machines(draw, largest)))


def large() -> Iterator[Case]:
    """Large layers, some with axes of which a selection of tile sizes is tried."""
    layers = {
        "product of 4096": sq.Layer.matmul("product", m=4096, n=4096, k=4096),
        "product of few rows": sq.Layer.matmul("product", m=7, n=28672, k=4096),
        "product of 150,000 rows": sq.Layer.matmul("product", m=150_000, n=96, k=600),
        "products of activations": sq.Layer.matmul(
            "product", m=2048, n=2048, k=64, batch=96, weights_are_activations=True
        ),
        "wide image": sq.Layer.conv("conv", c=3, k=64, oy=2000, ox=3000, fy=3, fx=3),
        "image of 70,000 columns": sq.Layer.conv(
            "conv", c=4, k=8, oy=2, ox=70_000, fy=1, fx=5, stride=(1, 2)
        ),
        "many groups": sq.Layer.conv("conv", c=5040, k=5040, oy=14, ox=14, fy=3, fx=3, groups=5040),
        "deep": sq.Layer.conv("conv", c=1024, k=1024, oy=96, ox=96, fy=3, fx=3, n=4),
    }
    shipped = sq.Accelerator.named(BASE)
    accelerators = [sq.Accelerator.named(name) for name in (BASE, "os_32x32", "hybrid_32x32")]
    for objective in ("latency", "energy", "edp"):
        accelerators += [
            shipped.replace({"array.dataflows": (flow,), "mapper.objective": objective})
            for flow in ("ws", "os", "scalesim_os", "scalesim_ws", "scalesim_is")
        ]
    for label, each in layers.items():
        for accelerator in accelerators:
            flows = ", ".join(accelerator.array.dataflows)
            name = f"{label} on {accelerator.name}, {flows}, {accelerator.mapper.objective}"
            yield Case(name, (each,), (accelerator,))


def layer(draw: Random, name: str, largest: int) -> sq.Layer:
    """A convolution or a product of up to *largest* in every direction."""

    def size(most: int = largest) -> int:
        return draw.choice([draw.randint(1, most), draw.randint(1, max(most // 4, 1)), 1, most])

    made = convolution(draw, name, size) if draw.random() < 0.6 else product(draw, name, size)
    widths = {"weight_bits": (4, 8, 16), "activation_bits": (5, 8, 16), "accumulator_bits": (16, 24, 32)}
    changes: dict[str, Any] = {
        key: draw.choice(values) for key, values in widths.items() if draw.random() < 0.2
    }
    if draw.random() < 0.3:
        changes["weight_density"] = draw.choice([0.0, 0.05, 0.4, 0.9])
    return replace(made, **changes)


def convolution(draw: Random, name: str, size: Callable[..., int]) -> sq.Layer:
    """A convolution, grouped, strided, dilated and padded or not."""
    groups = draw.choice([1, 1, 1, size(8), size()])
    depthwise = groups > 1 and draw.random() < 0.6
    fy, fx = draw.choice([(1, 1), (1, 1), (3, 3), (3, 3), (1, 3), (5, 1), (2, 4), (7, 7)])
    plain = draw.random() < 0.5
    dilation = (1, 1) if plain else (draw.randint(1, 3), draw.randint(1, 3))
    same = draw.random() < 0.4
    padding = None if same else (draw.randint(0, (fy - 1) // 2), draw.randint(0, (fx - 1) // 2))
    return sq.Layer.conv(
        name,
        c=groups * (1 if depthwise else size()),
        k=groups * (draw.choice([1, 1, 2]) if depthwise else size()),
        oy=size(60) + 3,
        ox=size(60) + 3,
        fy=fy,
        fx=fx,
        n=draw.choice([1, 1, 1, draw.randint(2, 9)]),
        groups=groups,
        stride=1 if plain else (draw.randint(1, 3), draw.randint(1, 3)),
        dilation=dilation,
        padding=padding,
    )


def product(draw: Random, name: str, size: Callable[..., int]) -> sq.Layer:
    """A matrix product, batched or not, of weights or of activations."""
    return sq.Layer.matmul(
        name,
        m=size() * draw.choice([1, 1, 13]),
        n=size() * draw.choice([1, 1, 7]),
        k=size() * draw.choice([1, 1, 5]),
        batch=draw.choice([1, 1, size(), 12]),
        weights_are_activations=draw.random() < 0.3,
    )


def machines(draw: Random, largest: int) -> Iterator[sq.Accelerator]:
    """Accelerators that share their array and their mapper, most of the time."""
    rows, cols = draw.choice([(2, 4), (4, 4), (8, 8), (16, 16), (3, 17), (32, 32), (1, 1), (12, 14)])
    others = sorted(DATAFLOWS.keys() - {"rs"})
    flows = ("rs",) if draw.random() < 0.08 and largest <= 70 else draw.sample(others, draw.randint(1, 3))
    shared: dict[str, Any] = {
        "energy.overrides": {},
        "array.rows": rows,
        "array.cols": cols,
        "array.dataflows": tuple(flows),
        "array.ports": draw.choice([1, 3, cols]),
        "array.register_file.psum_words": draw.choice([1, 8, 64]),
        "array.interconnect": draw.choice(["broadcast", "broadcast", "systolic"]),
        "array.weight_swap_cycles": draw.choice([0, 0, 2]),
        "memory.row_words": draw.choice([1, 1, 1, 4]),
        "memory.global_buffer.double_buffered": draw.choice(
            [("inputs", "weights", "outputs"), ("inputs", "weights"), ("inputs",), ("weights", "outputs"), ()]
        ),
        "memory.global_buffer.weights_kib": draw.choice([0, 0, 0, 1, 4]),
        "dma.granularity": draw.choice(["whole", "row", "element"]),
        "sparsity.weights": draw.choice([0, 0, 0.4, 0.9]),
        "sparsity.skipped_by": draw.choice([(), ("os",)]),
        "mapper.objective": draw.choice(["latency", "latency", "latency", "energy", "edp"]),
    }
    limited = draw.random() < 0.3
    for _ in range(draw.choice([1, 1, 1, 3, 7])):
        buffer = draw.choice([8, 32, 128, 512]) if largest > 20 else draw.choice([5, 8, 64])
        own: dict[str, Any] = {
            "memory.global_buffer.size_kib": buffer,
            "memory.global_buffer.bytes_per_cycle": draw.choice([3, 32, 100]) if limited else None,
            "memory.dram.bandwidth_gb_s": draw.choice([0.5, 3.8, 16, 100]),
            "memory.dram.latency_cycles": draw.choice([0, 10, 100]),
            "control.layer_setup_cycles": draw.choice([0, 50]),
            "clock_mhz": draw.choice([200, 1000]),
            "mapper.latency_slack": draw.choice([0, 0, 0.05, 0.15, 1]),
            "energy.overrides.dram": draw.choice([0, 50, 200]),
            "energy.overrides.buffer": draw.choice([0, 6]),
            "energy.overrides.inter_pe": draw.choice([0, 2, 20]),
        }
        yield sq.Accelerator.named(BASE).replace(shared | own)


def costed(cases: Iterator[Case]) -> Table:
    """Cost every case."""
    labels, misfits, shapes = [], [], []
    parts: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in ARRAYS}
    for case in cases:
        costs, misfit = evaluate_each(case.layers, case.accelerators)
        labels.append(case.label)
        misfits += [text or "" for text in misfit]
        shapes.append((len(case.accelerators), len(case.layers)))
        for name in ARRAYS:
            array = getattr(costs, name)
            parts[name].append(array.reshape(array.shape[0] * array.shape[1], -1))
    arrays = {name: np.concatenate(part) for name, part in parts.items()}
    return Table(labels, misfits, np.array(shapes, np.int64).reshape(-1, 2), arrays)


def cases(*, networks: bool, count: int) -> Iterator[Case]:
    """All cases: the built-in networks, where wanted, large layers and *count* drawn ones."""
    if networks:
        yield from built_in()
        yield from large()
    yield from drawn(count)


def write(table: Table, path: Path) -> None:
    """Write the arrays to an .npz file, whole or not at all."""
    labels, misfits = (np.array(texts, np.str_) for texts in (table.labels, table.misfits))
    file = io.BytesIO()
    np.savez_compressed(file, labels=labels, misfits=misfits, shapes=table.shapes, **table.arrays)  # type: ignore[arg-type]
    atomic_write(path, file.getvalue())


def read(path: Path) -> Table:
    """Read what ``write`` wrote."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files if name not in ("labels", "misfits", "shapes")}
        return Table(data["labels"].tolist(), data["misfits"].tolist(), data["shapes"], arrays)


class Entry(NamedTuple):
    """What a row of the arrays stands for."""

    case: int
    accelerator: int
    layer: int


def entries(table: Table) -> list[Entry]:
    """What each row of an array with an entry for each accelerator and layer stands for."""
    return [
        Entry(case, accelerator, layer)
        for case, (accelerators, layers) in enumerate(table.shapes.tolist())
        for accelerator in range(accelerators)
        for layer in range(layers)
    ]


def differences(before: Table, after: Table) -> Iterator[str]:
    """Say what differs, a line for each array of each layer."""
    if before.labels != after.labels or not np.array_equal(before.shapes, after.shapes):
        yield "the cases differ: the file was recorded with other cases, networks or accelerators"
        return
    accelerators = np.repeat(np.arange(len(before.labels)), before.shapes[:, 0]).tolist()
    for case, old, new in zip(accelerators, before.misfits, after.misfits, strict=True):
        if old != new:
            yield f"{before.labels[case]}: {old or 'fits'!r} is now {new or 'fits'!r}"
    of = entries(before)
    for name in sorted(before.arrays.keys() | after.arrays.keys()):
        if name not in before.arrays or name not in after.arrays:
            yield f"{name}: only in the {'file' if name in before.arrays else 'code'}"
            continue
        one, other = before.arrays[name], after.arrays[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            yield f"{name}: {one.dtype} {one.shape} is now {other.dtype} {other.shape}"
            continue
        for row in np.flatnonzero((one != other).any(axis=1)).tolist():
            # Arrays with an entry for each accelerator alone are shorter.
            where = of[row] if len(one) == len(of) else Entry(accelerators[row], row, -1)
            place = f"{before.labels[where.case]}, accelerator {where.accelerator}, layer {where.layer}"
            change = np.abs(other[row] / np.where(one[row] == 0, 1, one[row]) - 1).max()
            yield f"{place}: {name} {one[row].tolist()} is now {other[row].tolist()} ({change:.2g})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.equal", description="costs, bit by bit")
    parser.add_argument("action", choices=["record", "compare"])
    parser.add_argument("file", type=Path, help="an .npz file, outside the repository")
    parser.add_argument("--drawn", type=int, default=DRAWN, metavar="N", help=f"drawn cases  [{DRAWN}]")
    parser.add_argument("--no-networks", action="store_true", help="drawn cases alone")
    options = parser.parse_args()
    start = time.perf_counter()
    table = costed(cases(networks=not options.no_networks, count=options.drawn))
    done = f"{len(table.labels):,} cases, {len(table.arrays['cycles']):,} layers"
    done = f"{done}, {time.perf_counter() - start:.0f} s"
    if options.action == "record":
        write(table, options.file)
        print(f"wrote {options.file}: {done}")
        return 0
    found = list(differences(read(options.file), table))
    print("\n".join(found[:SHOWN]), end="\n" if found else "")
    print(f"{len(found)} differences in {done}" if found else f"equal: {done}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
