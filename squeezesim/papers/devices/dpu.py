"""AMD's DPUCZDX8G B4096: layers on a ZCU102, networks on a Kria KV260."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.network import Layer, Network
from squeezesim.papers.devices.record import (
    FRAMES,
    MILLISECONDS,
    Aim,
    Device,
    Measured,
    Quantity,
    Ran,
    changed,
    largest_error,
    mean_error,
    network,
    run,
    table,
    without_unit,
)
from squeezesim.reference.record import Table
from squeezesim.report import units

Floats = NDArray[np.float64]

_NAME = "dpu_b4096"
_LARGE_MOP = 100
# Windows and strides of the poolings that FCN8 and AlexNet have after these layers: the DPU does both in one.
_POOLED = {
    **dict.fromkeys(("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"), (2, 2)),
    **dict.fromkeys(("conv1", "conv2", "conv5"), (3, 2)),
}
_TRAFFIC = Quantity("DRAM traffic", "MiB", lambda ours: ours["dram_bytes"] / 2**20)
_FRAME_TRAFFIC = Quantity("DRAM traffic of a frame", "MB", lambda ours: ours["dram_bytes"] / 1e6)
_ONE_THREAD = Quantity("one thread, with the host's work", "frames/s", FRAMES.of)
_RESNET50_MB = (32.0, 36.0)
_CYCLES_A_MS = 300_000
_FC6, _FC7 = "alexnet fc6", "alexnet fc7"


def measured() -> tuple[Measured, ...]:
    """Return the layers of the ZCU102 with their traffic, and the networks of the KV260."""
    return (*_layers(), *_networks())


def _layers() -> Iterable[Measured]:
    for row in table("dpu_b4096_layers"):
        subject = f"{row['net']} {row['layer']}"
        run = _layer(subject, row)
        large = float(row["workload_mop"]) >= _LARGE_MOP or subject in (_FC6, _FC7)
        groups = ("layers", "large layers") if large else ("layers",)
        yield Measured(
            subject=subject,
            quantity=MILLISECONDS,
            value=float(row["runtime_ms_runB"]),
            network=run,
            accelerator=_NAME,
            groups=groups,
        )
        yield Measured(
            subject=subject,
            quantity=_TRAFFIC,
            value=float(row["mem_mb_runA"]),
            network=run,
            accelerator=_NAME,
            groups=("traffic",),
        )


def _layer(name: str, row: dict[str, str]) -> Network:
    sizes: dict[str, Any] = {
        key: int(row[key]) for key in ("c", "k", "oy", "ox", "fy", "fx", "stride", "padding")
    }
    layers = [Layer.conv(name, **sizes)]
    if row["layer"] in _POOLED:
        window, stride = _POOLED[row["layer"]]
        out = (sizes["oy"] - window) // stride + 1
        pool = Layer.vector(
            f"{name} pool",
            op="max_pool",
            k=sizes["k"],
            oy=out,
            ox=out,
            fy=window,
            fx=window,
            stride=stride,
        )
        layers.append(pool)
    return Network.from_layers(layers, name)


def _networks() -> Iterable[Measured]:
    for row in table("dpu_b4096_networks"):
        name = row["squeezesim"]
        for quantity, column, groups in (
            (FRAMES, "fps_multi_thread", ("networks",)),
            (_ONE_THREAD, "fps_single_thread", ()),
        ):
            yield Measured(
                subject=name,
                quantity=quantity,
                value=float(row[column]),
                network=network(name),
                accelerator=_NAME,
                groups=groups,
            )
    yield Measured(
        subject="resnet50",
        quantity=_FRAME_TRAFFIC,
        value=sum(_RESNET50_MB) / 2,
        network=network("resnet50"),
        accelerator=_NAME,
        groups=("frame traffic",),
    )


def _tables(ran: Sequence[Ran]) -> Iterable[Table]:
    yield _left_out()
    yield _starts()
    yield _unexplained(ran)
    cells = []
    for row in table("dpu_b4096_networks"):
        one, many = (1e3 / float(row[f"fps_{threads}_thread"]) for threads in ("single", "multi"))
        cells.append((row["squeezesim"], units.decimal(one), units.decimal(many), units.decimal(one - many)))
    yield Table(
        "dpu_b4096: a frame of one thread and of many, measured",
        ("network", "one thread, ms", "many threads, ms", "difference, ms"),
        tuple(cells),
        "Many threads hide the host's work behind the core's: ours is the core's time and stands beside these. The "
        "difference is the same for networks whose frames take from 3 to 47 ms: work of the host, which no key has.",
    )


def _left_out() -> Table:
    """The usable fraction as one of the two rows says it, and what it makes of the other."""
    items = {
        item.subject: item
        for item in _layers()
        if item.subject in (_FC6, _FC7) and item.quantity is MILLISECONDS
    }
    traffic = {row["layer"]: float(row["mem_mb_runA"]) for row in table("dpu_b4096_layers")}
    cells = []
    for taken, judged in ((_FC6, _FC7), (_FC7, _FC6)):
        item = items[taken]
        share = traffic[taken.split()[1]] * 2**20 / (item.value / 1e3) / 9.6e9
        (one,) = run([items[judged]], changed(memory__dram__usable_fraction=round(share, 4)))
        cells.append((taken, f"{share:.3f}", judged, f"{units.signed(one.error)} %"))
    return Table(
        "dpu_b4096: the calibrated share of the ports' peak",
        ("from", "share", "judged on", "error"),
        tuple(cells),
        "memory.dram.usable_fraction: bytes / time / 9.6 GB/s of two layers that wait for "
        "weights alone. Networks were measured on another board.",
    )


def _fitted_start(without: Floats, measured: Floats) -> float:
    """Cycles that start a layer: the least squares of log(ours / measured), *without* them in ms."""
    cycles = np.arange(0, 20_001, 50)
    errors = np.log((without + cycles[:, None] / _CYCLES_A_MS) / measured)
    return float(cycles[np.argmin((errors**2).sum(axis=1))])


def _starts() -> Table:
    """What starts a layer, and what it makes of rows that it was not fitted to."""
    items = [item for item in measured() if item.quantity in (MILLISECONDS, FRAMES)]
    ran = run(items, changed(control__layer_setup_cycles=0))
    layers = [one for one in ran if "layers" in one.item.groups]
    own, theirs = (np.array([getter(one) for one in layers]) for getter in (_ours, _measured))
    all_rows = _fitted_start(own, theirs)
    left_out = []
    for number in range(len(layers)):
        rest = np.arange(len(layers)) != number
        cycles = _fitted_start(own[rest], theirs[rest])
        left_out.append(abs((own[number] + cycles / _CYCLES_A_MS) / theirs[number] - 1))
    with_starts = run(
        [one.item for one in ran if "networks" in one.item.groups],
        changed(control__layer_setup_cycles=int(all_rows)),
    )
    networks = [one for one in ran if "networks" in one.item.groups]
    cells = (
        (f"{len(layers)} layers, each left out", f"{mean_error(layers):.1%}", f"{np.mean(left_out):.1%}"),
        (
            f"{len(networks)} networks, all left out",
            f"{mean_error(networks):.1%}",
            f"{mean_error(with_starts):.1%}",
        ),
    )
    return Table(
        "dpu_b4096: the calibrated start of a layer",
        ("rows", "mean error without it", "left-out mean error"),
        cells,
        f"control.layer_setup_cycles: {all_rows:,.0f} cycles have the least squares of logarithms of the layers "
        "that were measured on a ZCU102. The networks are of another board, and no part of it.",
    )


def _ours(one: Ran) -> float:
    return one.ours


def _measured(one: Ran) -> float:
    return one.item.value


def _unexplained(ran: Sequence[Ran]) -> Table:
    """What the measured cycles of the large 3×3 layers are of ours: a factor and cycles a layer."""
    large = [one for one in ran if "large layers" in one.item.groups]
    taps = [one for one in large if one.item.network.layers[0].fy == 3 and one.item.network.layers[0].c > 3]
    ours, theirs = ([one.ours * 3e5 for one in taps], [one.item.value * 3e5 for one in taps])
    factor, rest = np.polyfit(ours, theirs, 1)
    left = [factor * our + rest - their for our, their in zip(ours, theirs, strict=True)]
    cells = (
        (
            f"{len(taps)} large 3×3 layers",
            f"{factor:.3f}",
            f"{rest:,.0f}",
            f"{max(abs(each / their) for each, their in zip(left, theirs, strict=True)):.1%}",
        ),
    )
    return Table(
        "dpu_b4096: what stays unexplained",
        ("rows", "factor", "cycles a layer", "largest error with both"),
        cells,
        "Measured cycles as factor · ours + cycles, the least squares of the rows: what the model lacks of them. "
        "Neither is a parameter of the file.",
    )


DPU = Device(
    name=_NAME,
    title="AMD DPUCZDX8G B4096 on Zynq UltraScale+ boards",
    source=(
        "Xilinx Vitis-Tutorials, Machine_Learning/Feature_Tutorials/02-profiling-example, commits a5efcec and c165951; "
        "Vitis-AI 2.5 model_zoo, commit e0d6e0c8; PG338"
    ),
    grade="FPGA",
    compared=(
        "Layers: latency by itself beside run B of the profiler, with the pooling that it is fused with. Networks: 1 / "
        "latency of the core beside frames a second of many threads, which hide the host's work; one thread is printed "
        "beside it. Traffic: bytes of DRAM beside the profiler's Mem."
    ),
    measured=measured,
    mechanisms={
        "depthwise engine": without_unit("depthwise"),
        "additions and poolings on the way out": changed(array__post_ops=[]),
        "parts of the buffer": changed(memory__global_buffer__parts={}, memory__global_buffer__size_kib=1024),
        "maps that stay": changed(memory__global_buffer__keeps=[]),
        "start of a layer": changed(control__layer_setup_cycles=0),
        "share of the ports' peak": changed(memory__dram__usable_fraction=1),
        "slack for traffic": changed(mapper__latency_slack=0),
    },
    aims=(
        Aim("networks, mean error", "networks", mean_error, 0.08),
        Aim("networks, largest error", "networks", largest_error, 0.20),
        Aim("21 large layers, mean error", "large layers", mean_error, 0.10),
        Aim(
            "traffic of layers, largest error",
            "traffic",
            largest_error,
            0.15,
            "nothing that is known: Mem is each operand once in all rows, also of two layers whose weights and maps "
            "both exceed their 512 KiB, where some are loaded again here; it may be a count of sizes. fc8, a row of "
            "0.01 MiB, is rounded in the source",
        ),
        Aim(
            "resnet50, MB a frame (32 to 36)",
            "frame traffic",
            largest_error,
            (_RESNET50_MB[1] - _RESNET50_MB[0]) / sum(_RESNET50_MB),
            "0.2 MB: not explained",
        ),
    ),
    missing=(
        "some 5 % of 3×3 layers: see what stays unexplained",
        "what a start of a layer consists of: it is one time for all layers",
        "the host's work of a frame, half a millisecond",
    ),
    tables=_tables,
)
