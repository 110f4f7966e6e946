"""Google's Coral Edge TPU: three networks on the USB stick and the Dev Board."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from squeezesim.cost.costs import HOMED, HOMES
from squeezesim.cost.weights import own_bits
from squeezesim.network import Network
from squeezesim.network.network import decode
from squeezesim.papers.devices.record import (
    INFERENCE,
    Aim,
    Change,
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
_HOST_MS = 1.0  # at which times are taken, whatever it is
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
            ("usb_accel_ms", "USB", ("calibrated networks",)),
            ("dev_board_ms", "Dev Board", ()),
        ):
            found.append(
                Measured(
                    subject=f"{row['model']}, {row['input']}×{row['input']}, {board}",
                    quantity=INFERENCE,
                    value=float(row[column]),
                    network=run,
                    accelerator=_NAME,
                    groups=groups,
                )
            )
    return tuple(found)


_LINKS = (0.4, 0.55)
"""GB/s at which times are taken to say how they depend on the link."""


class _Fitted(NamedTuple):
    """A link and a time of the host, in GB/s and µs."""

    link: float
    host: float

    def change(self) -> Change:
        """What gives a file these values."""
        return changed(memory__dram__bandwidth_gb_s=self.link, host__time_us=self.host)


def _fitted(rows: Sequence[Ran], among: Sequence[Sequence[Ran]]) -> _Fitted:
    """The link and the host's time with which two rows are right; *among* are all at each of ``_LINKS``.

    A time is chip + moved / link + host, where chip and moved are what two links say. No time is negative.
    """
    by_subject = [{one.item.subject: one.ours for one in ran} for ran in among]
    inverse = [1 / link for link in _LINKS]
    chip, moved, measured = [], [], []
    for row in rows:
        times = [ours[row.item.subject] - _HOST_MS for ours in by_subject]
        moved.append((times[0] - times[1]) / (inverse[0] - inverse[1]))
        chip.append(times[0] - moved[-1] * inverse[0])
        measured.append(row.item.value)
    rest = [time - own for time, own in zip(measured, chip, strict=True)]
    host = max((rest[0] * moved[1] - rest[1] * moved[0]) / (moved[1] - moved[0]), 0.0)
    link = sum(moved) / (sum(rest) - len(rest) * host)
    return _Fitted(round(link, 4), round(host * 1e3))


def _left_out(usb: Sequence[Ran]) -> Table:
    """Each network, with values fitted to the other two."""
    items = [one.item for one in usb]
    among = [
        run(items, changed(memory__dram__bandwidth_gb_s=link, host__time_us=_HOST_MS * 1e3))
        for link in _LINKS
    ]
    cells = []
    for judged in usb:
        values = _fitted([one for one in usb if one is not judged], among)
        (one,) = run([judged.item], values.change())
        cells.append(
            (
                one.item.subject,
                f"{values.link:.3f}",
                f"{values.host:,.0f}",
                units.decimal(one.item.value),
                units.decimal(one.ours),
                f"{units.signed(one.error)} %",
            )
        )
    return Table(
        "edge_tpu: calibrated values, each network left out",
        ("network", "link, GB/s", "host, µs", "measured, ms", "ours, ms", "left-out error"),
        tuple(cells),
        "memory.dram.bandwidth_gb_s and host.time_us are the two calibrated values. ResNet-50 and VGG16 say the link "
        "and nothing of the host, MobileNet v1 the host and nothing of the link: without it the host's time is none.",
    )


def _other_board(ran: Sequence[Ran]) -> Table:
    """The Dev Board with the link that its ResNet-50 says, and the host's time of the file."""
    board = [one for one in ran if not one.item.groups]
    own = next(one for one in board if one.item.subject.startswith(_CALIBRATED))
    items = [one.item for one in board]
    among = [run([own.item], changed(memory__dram__bandwidth_gb_s=link))[0].ours for link in _LINKS]
    moved = (among[0] - among[1]) / (1 / _LINKS[0] - 1 / _LINKS[1])
    link = round(moved / (own.item.value - among[0] + moved / _LINKS[0]), 4)
    cells = tuple(
        (
            one.item.subject,
            units.decimal(one.item.value),
            units.decimal(one.ours),
            f"{units.signed(one.error)} %" + ", calibrated" * (one.item is own.item),
        )
        for one in run(items, changed(memory__dram__bandwidth_gb_s=link))
    )
    return Table(
        "edge_tpu: the Dev Board, which calibrates nothing but its link",
        ("network", "measured, ms", "ours, ms", "error"),
        cells,
        f"A link of {link:.3f} GB/s, from {_CALIBRATED}; the host's time is that of USB.",
    )


def _tables(ran: Sequence[Ran]) -> Iterable[Table]:
    """What calibrated values leave of rows that they were not fitted to, and what stays beside the compiler's."""
    yield _left_out([one for one in ran if one.item.groups])
    yield _other_board(ran)
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
    compared="An inference, latency and host, beside that on USB, to which link and host are calibrated; the Dev Board "
    "has another link.",
    measured=measured,
    mechanisms={
        "depthwise unit": without_unit("depthwise"),
        "the host's work": changed(host__time_us=0),
        "feature maps stay": changed(memory__placement="layer"),
        "weights stay": changed(memory__global_buffer__keeps=["activations"]),
    },
    aims=(Aim("calibrated networks, mean error", "calibrated networks", mean_error, 0.20),),
    missing=(
        "what the host does: a time that MobileNet v1 alone says, half of its inference",
        "array shape, clock and bandwidths of the chip, which are guesses",
    ),
    tables=_tables,
)
