"""Google's Coral Edge TPU: three networks on the USB stick and the Dev Board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from squeezesim.network import Network
from squeezesim.network.network import decode
from squeezesim.papers.devices.record import (
    MILLISECONDS,
    Aim,
    Device,
    Measured,
    Ran,
    changed,
    mean_error,
    network,
    run,
    table,
    without_unit,
)
from squeezesim.reference.record import Table
from squeezesim.report import units

_NAME = "edge_tpu"
_CALIBRATED = "ResNet-50 V1"
_KEPT_MB = 7.0  # of the 8 MB, what feature maps leave for weights


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


def _tables(ran: Sequence[Ran]) -> Iterable[Table]:
    """What the rows would be with weights that stay, and with a link that one of them calibrates."""
    usb = [one for one in ran if one.item.groups]
    on_chip = run([one.item for one in usb], changed(memory__dram__bandwidth_gb_s=100_000))
    beyond = [max(0.0, one.item.network.params / 1e6 - _KEPT_MB) for one in usb]
    moved = [
        more + (one.item.network.layers[0].input_elements + one.item.network.layers[-1].output_elements) / 1e6
        for one, more in zip(usb, beyond, strict=True)
    ]
    place = next(number for number, one in enumerate(usb) if one.item.subject.startswith(_CALIBRATED))
    link = moved[place] / (usb[place].item.value - on_chip[place].ours)  # MB/ms = GB/s
    cells = []
    for one, chip, more in zip(usb, on_chip, moved, strict=True):
        ours = chip.ours + more / link
        cells.append(
            (
                one.item.subject,
                units.decimal(one.item.value),
                units.decimal(chip.ours),
                units.decimal(more / link),
                "calibrated" if one is usb[place] else f"{units.signed(ours / one.item.value - 1)} %",
            )
        )
    yield Table(
        "edge_tpu: were weights to stay, ms",
        ("network", "measured", "on the chip", "over the link", "error"),
        tuple(cells),
        f"No key says it: {_KEPT_MB:g} MB of weights stay from one inference to the next, the others, inputs and "
        f"outputs pass a link of {link:.3f} GB/s, calibrated on {_CALIBRATED}, and the array waits for nothing. "
        "What is left of MobileNet v1 is work of the host.",
    )


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
    tables=_tables,
)
