"""VTA on a Pynq: the convolutions of ResNet-18 as AutoTVM's best schedule runs them."""

from __future__ import annotations

from typing import Any

from squeezesim.network import Layer, Network
from squeezesim.papers.devices.record import (
    MILLISECONDS,
    Aim,
    Device,
    Measured,
    changed,
    mean_error,
    table,
)

_NAME = "vta_pynq"
_PARTS = "memory.global_buffer.parts"


def measured() -> tuple[Measured, ...]:
    """Return ResNet-18's convolutions."""
    found = []
    for row in table("vta_pynq_layers"):
        sizes: dict[str, Any] = {key: int(row[key]) for key in ("c", "k", "iy", "ix", "fy", "fx", "stride")}
        pad = int(row["pad"])
        oy, ox = (
            (sizes[side] + 2 * pad - sizes[taps]) // sizes["stride"] + 1
            for side, taps in (("iy", "fy"), ("ix", "fx"))
        )
        kind = f"{sizes['fy']}×{sizes['fx']}"
        subject = f"{sizes['c']} → {sizes['k']}, {kind}/{sizes['stride']}, {sizes['iy']}×{sizes['ix']}"
        layer = Layer.conv(subject, oy=oy, ox=ox, padding=pad, **sizes)
        found.append(
            Measured(
                subject=subject,
                quantity=MILLISECONDS,
                value=float(row["seconds"]) * 1e3,
                network=Network.from_layers([layer], subject),
                accelerator=_NAME,
                groups=("layers", f"{kind} layers"),
            )
        )
    return tuple(found)


VTA = Device(
    name=_NAME,
    title="VTA of Apache TVM on a Pynq-Z1",
    source="tlc-pack/tophub, commit f05376e, tophub/vta_v0.06.log",
    grade="FPGA",
    compared="Latency of a layer by itself beside the seconds of the best schedule that AutoTVM found.",
    measured=measured,
    mechanisms={
        "loads and computing take turns": lambda accelerator: accelerator.replace(
            {f"{_PARTS}.{part}.slots": 2 for part in ("inputs", "weights", "sums")}
        ),
        "parts of the buffer": changed(
            memory__global_buffer__parts={},
            memory__global_buffer__size_kib=416,
            memory__global_buffer__double_buffered=[],
        ),
    },
    aims=(
        Aim("3×3 layers, mean error", "3×3 layers", mean_error, 0.12),
        Aim(
            "1×1 layers, mean error",
            "1×1 layers",
            mean_error,
            0.12,
            "what instructions and their dependences take; strided loads of a pixel at a time",
        ),
    ),
    missing=("what instructions and their dependences take: 1×1 layers are two to three times as fast here",),
)
