"""Gemmini 16×16: ResNet-50, four images."""

from __future__ import annotations

from dataclasses import replace

from squeezesim.network import Network
from squeezesim.papers.devices.record import (
    CYCLES,
    Aim,
    Device,
    Measured,
    Quantity,
    changed,
    mean_error,
    network,
    table,
)

_NAME = "gemmini_16x16"
_IMAGES = 4
_UTILIZATION = Quantity("utilization", "%", lambda ours: 100 * ours["utilization"])


def _images(single: Network, count: int) -> Network:
    """The network on *count* images at once."""
    layers = tuple(
        replace(
            layer,
            n=layer.n * count,
            input_elements=layer.input_elements * count,
            output_elements=layer.output_elements * count,
            vector_ops=layer.vector_ops * count,
        )
        for layer in single.layers
    )
    inputs = tuple((name, (shape[0] * count, *shape[1:])) for name, shape in single.inputs)
    return replace(single, layers=layers, inputs=inputs)


def measured() -> tuple[Measured, ...]:
    """Return the cycles and utilizations that two pull requests print."""
    four = _images(network("resnet50"), _IMAGES)
    found = []
    for row in table("gemmini_resnet50"):
        pull = row["source"].split(" (")[0].rpartition("/")[2]
        for quantity, value, groups in (
            (CYCLES, row["total_cycles"], ("networks",)),
            (_UTILIZATION, row["utilization"].rstrip("%"), ()),
        ):
            if value:
                found.append(
                    Measured(
                        subject=f"resnet50, 4 images, {pull}",
                        quantity=quantity,
                        value=float(value),
                        network=four,
                        accelerator=_NAME,
                        groups=groups,
                    )
                )
    return tuple(found)


GEMMINI = Device(
    name=_NAME,
    title="Gemmini with 16×16 systolic PEs",
    source="github.com/ucb-bar/gemmini, pull requests 69 and 90",
    grade="FPGA or RTL simulation, not stated",
    compared="Cycles of four images at once beside those of the network's program.",
    measured=measured,
    mechanisms={
        "additions and poolings on the way out": changed(array__post_ops=[]),
        "output stationary": changed(array__dataflows=["ws"]),
        "systolic array": changed(array__interconnect="broadcast"),
    },
    aims=(
        Aim(
            "resnet50, error of the cycles",
            "networks",
            mean_error,
            0.20,
            "what the RISC-V core takes to issue instructions, waits for the L2 cache and for dependences, tiles that "
            "the library fixes: of the measured cycles 60 % multiply nothing",
        ),
    ),
    missing=("instructions, caches and the library's tiles: ours is a bound, not an estimate",),
)
