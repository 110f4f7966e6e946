"""Google's Coral Edge TPU: three networks on the USB stick and the Dev Board."""

from __future__ import annotations

from importlib.resources import files

from squeezesim.network import Network
from squeezesim.network.network import decode
from squeezesim.papers.devices.record import (
    MILLISECONDS,
    Aim,
    Device,
    Measured,
    changed,
    mean_error,
    network,
    table,
    without_unit,
)

_NAME = "edge_tpu"


def _network(model: str) -> Network:
    if model == "ResNet-50 V1":  # at 299×299
        path = files("squeezesim.papers") / "data" / "devices" / "resnet50_v1_299.graph.json"
        return decode(path.read_text(encoding="utf-8"))
    return network({"MobileNet v1": "mobilenet_v1", "VGG16": "vgg16"}[model])


def measured() -> tuple[Measured, ...]:
    """Return the networks with their times on both."""
    found = []
    for row in table("edge_tpu"):
        run = _network(row["model"])
        for column, board, groups in (
            ("usb_accel_ms", "USB", ("networks",)),
            ("dev_board_ms", "Dev Board", ()),
        ):
            found.append(
                Measured(
                    subject=f"{row['model']}, {row['input']}×{row['input']}, {board}",
                    quantity=MILLISECONDS,
                    value=float(row[column]),
                    network=run,
                    accelerator=_NAME,
                    groups=groups,
                )
            )
    return tuple(found)


EDGE_TPU = Device(
    name=_NAME,
    title="Google Coral Edge TPU",
    source="coral.ai/docs/edgetpu/benchmarks, table 1",
    grade="silicon",
    compared="Latency beside an inference on USB, the host's work included; the Dev Board has another link.",
    measured=measured,
    mechanisms={
        "depthwise unit": without_unit("depthwise"),
        "feature maps stay": changed(memory__placement="layer"),
    },
    aims=(
        Aim(
            "networks, mean error",
            "networks",
            mean_error,
            0.20,
            "weights that stay on the chip from one inference to the next: all pass the link here",
        ),
    ),
    missing=(
        "weights that stay on the chip from one inference to the next",
        "the host's work, and the link's for inputs and outputs",
    ),
)
