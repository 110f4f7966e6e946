"""Google's Coral Edge TPU: three networks on the USB stick and the Dev Board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files

from squeezesim.cost.costs import HOMED, HOMES
from squeezesim.cost.weights import own_bits
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
from squeezesim.simulate import simulate

_NAME = "edge_tpu"
_CALIBRATED = "ResNet-50 V1"
_COMPILED = {"resnet50": 6.25}  # MiB of weights on the chip, by the log of the compiler


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
    """What the rows are with a link that one of them calibrates, and what stays beside what the compiler lets stay."""
    usb = [one for one in ran if one.item.groups]
    own = next(one for one in usb if one.item.subject.startswith(_CALIBRATED))
    (chip,) = run([own.item], changed(memory__dram__bandwidth_gb_s=100_000))
    moved = int(simulate(own.item.network, _NAME).tally.dram_bytes.sum())
    link = round(moved / 1e6 / (own.item.value - chip.ours), 3)  # MB/ms = GB/s
    cells = [
        (
            one.item.subject,
            units.decimal(one.item.value),
            units.decimal(one.ours),
            f"{units.signed(one.error)} %" + ", calibrated" * (one.item is own.item),
        )
        for one in run([one.item for one in usb], changed(memory__dram__bandwidth_gb_s=link))
    ]
    yield Table(
        "edge_tpu: with a calibrated link, ms",
        ("network", "measured", "ours", "error"),
        tuple(cells),
        f"A link of {link:.3f} GB/s, from {_CALIBRATED} alone: the megabytes that pass it, by the milliseconds that "
        "are left beside the work of the chip. What is left of MobileNet v1 is work of the host.",
    )
    stays = [(name, _kept_mib(name), of) for name, of in _COMPILED.items()]
    yield Table(
        "edge_tpu: weights that stay on the chip, MiB",
        ("network", "the compiler", "ours", "error"),
        tuple(
            (name, units.decimal(of), units.decimal(ours), f"{units.signed(ours / of - 1)} %")
            for name, ours, of in stays
        ),
        "A published log of edgetpu_compiler 2.0.291256449 beside the best placement of maps and weights in 8 MiB. "
        "The compiler keeps parts of layers, and its own program.",
    )


def _kept_mib(name: str) -> float:
    report = simulate(name, _NAME)
    bits = own_bits(report.network.layers, report.machine)
    homes = report.costs.homes[0, :, HOMED.index("weights")].tolist()
    return sum(bits[layer] for layer in bits if HOMES[homes[layer]] == "stays") / 8 / 2**20


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
        "weights stay": changed(memory__global_buffer__keeps=["activations"]),
    },
    aims=(
        Aim(
            "networks, mean error",
            "networks",
            mean_error,
            0.20,
            "the host's work: a millisecond of MobileNet v1's 2.4",
        ),
    ),
    missing=(
        "the host's work: a millisecond of MobileNet v1",
        "the link, which is a guess: VGG16 and ResNet-50 wait for it alone",
    ),
    tables=_tables,
)
