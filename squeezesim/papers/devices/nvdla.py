"""NVDLA: ResNet-50 on the seven points of the primer's table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from squeezesim.network import Layer, Network
from squeezesim.papers.devices.record import (
    FRAMES,
    Aim,
    Device,
    Measured,
    Ran,
    changed,
    largest_error,
    mean_error,
    network,
    run,
    table,
)
from squeezesim.reference.record import Table
from squeezesim.report import units

_LARGE = 256


def measured(of: Network | None = None) -> tuple[Measured, ...]:
    """Return ResNet-50's frames a second on each point, ours of the network *of* or of ResNet-50."""
    return tuple(
        Measured(
            subject="resnet50",
            quantity=FRAMES,
            value=float(row["resnet50_fps"]),
            network=of or network("resnet50"),
            accelerator=f"nvdla_{row['macs']}",
            groups=("points", "large points") if int(row["macs"]) >= _LARGE else ("points",),
        )
        for row in table("nvdla_resnet50")
    )


def winograd(direct: Network) -> Network:
    """Return the network with Winograd's F(2×2, 3×3) for 3×3 convolutions without stride or groups.

    4 outputs take 16 products in place of 36, a filter has 16 values in place of 9: a layer of 2×2 taps, as many
    outputs and weights of 32 bits has these products and these bytes.

    Example:
        >>> layer = Layer.conv("a", c=8, k=8, oy=4, ox=4, fy=3, fx=3, padding=1)
        >>> layer.macs / winograd(Network.from_layers([layer])).macs
        2.25
    """
    return replace(direct, layers=tuple(map(_transformed, direct.layers)))


def _transformed(layer: Layer) -> Layer:
    if (layer.op, layer.fy, layer.fx, layer.stride, layer.g) != ("conv2d", 3, 3, (1, 1), 1):
        return layer
    taps = layer.weight_elements // 9 * 4
    return replace(
        layer,
        fy=2,
        fx=2,
        weight_elements=taps,
        params=layer.params - layer.weight_elements + taps,
        weight_bits=32,
    )


def _tables(ran: Sequence[Ran]) -> Iterable[Table]:
    transformed = run(measured(winograd(network("resnet50"))))
    cells = [
        (
            direct.item.accelerator,
            f"{direct.item.value:g}",
            f"{units.decimal(direct.ours)}",
            f"{units.signed(direct.error)} %",
            f"{units.decimal(fast.ours)}",
            f"{units.signed(fast.error)} %",
        )
        for direct, fast in zip(ran, transformed, strict=True)
    ]
    yield Table(
        "nvdla: direct convolution and Winograd's for 3×3 layers, frames a second of resnet50",
        ("point", "primer", "direct", "error", "Winograd", "error"),
        tuple(cells),
        "Winograd's F(2×2, 3×3) is a change of the network here, not of the accelerator: layers of 16/36 of the MACs "
        "and 16/9 of the weights; its transforms take no time.",
    )


NVDLA = Device(
    name="nvdla_2048",
    title="NVIDIA NVDLA, seven points from 32 to 2,048 MACs",
    source="nvdla/doc, doc/primer.rst, Example Area and Performance",
    grade="the maker's estimate",
    compared="1 / latency beside the primer's frames a second.",
    measured=measured,
    mechanisms={
        "additions and poolings on the way out": changed(array__post_ops=[]),
        "sums stay in the accumulator": changed(memory__global_buffer__psums="buffer"),
    },
    aims=(
        Aim("four largest points, mean error", "large points", mean_error, 0.12),
        Aim(
            "four largest points, largest error",
            "large points",
            largest_error,
            0.12,
            "weights of the next layer that are loaded beside a layer: nvdla_2048 waits for first loads and last "
            "stores, which the primer's rule (the longer of transfer and MACs) does not know",
        ),
    ),
    missing=(
        "prefetch across layers, at the largest point",
        "what makes the two smallest points half as fast as their MACs and bytes say: the primer's rule does not",
        "Winograd convolution as a key of the accelerator",
    ),
    tables=_tables,
)
