"""The devices as a check: every number that was measured beside ours, and what each mechanism is worth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from squeezesim.papers.devices.dpu import DPU
from squeezesim.papers.devices.edge_tpu import EDGE_TPU
from squeezesim.papers.devices.ethos import ETHOS
from squeezesim.papers.devices.gemmini import GEMMINI
from squeezesim.papers.devices.nvdla import NVDLA
from squeezesim.papers.devices.record import Device, Ran, disorder, largest_error, mean_error, run
from squeezesim.papers.devices.vta import VTA
from squeezesim.reference.record import Bound, Check, Table

DEVICES: tuple[Device, ...] = (DPU, ETHOS, EDGE_TPU, VTA, NVDLA, GEMMINI)

_METHOD = (
    "Each number runs on the shipped file of its device (squeezesim hw show NAME), layers by themselves and "
    "networks whole, by the same cost model. Nothing is fitted to a row but what a file marks as calibrated, "
    "whose left-out error is below. A mean error is the mean of the sizes of the errors. "
    "Bounds are the aims that are met; those that are not "
    "are in their table with what the model lacks."
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A device, and its numbers beside ours."""

    device: Device
    ran: tuple[Ran, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of its rows, in their order."""
        return tuple(dict.fromkeys(group for one in self.ran for group in one.item.groups))

    def of(self, group: str) -> list[Ran]:
        """The rows of a group."""
        return [one for one in self.ran if group in one.item.groups]


def compared(device: Device) -> Compared:
    """Return the device's numbers beside ours."""
    return Compared(device, tuple(run(device.measured())))


def check(*, quick: bool = False, progress: Callable[[str], None] = lambda _: None) -> Check:
    """Return all devices beside ours; *quick* leaves out what each mechanism is worth and the devices' own tables."""
    found = []
    for device in DEVICES:
        progress(device.name)
        found.append(compared(device))
    tables = [_errors(found), _aims(found)]
    if not quick:
        for each in found:
            progress(f"{each.device.name}, tables")
            tables.extend(each.device.tables(each.ran))
        tables.append(_ablation(found, progress))
    return Check(
        name="devices",
        title="Devices: what was measured on accelerators that people have",
        source="; ".join(f"{each.device.title}: {each.device.source}" for each in found),
        method=_METHOD,
        rows=tuple(one.row for each in found for one in each.ran),
        bounds=tuple(_bounds(found)),
        notes=tuple(_notes()),
        tables=tuple(tables),
    )


def _bounds(found: Iterable[Compared]) -> Iterable[Bound]:
    for each in found:
        for aim in each.device.aims:
            if not aim.missing:
                yield Bound(f"{each.device.name}: {aim.text}", aim.value(each.ran), aim.limit)


def _notes() -> Iterable[str]:
    for device in DEVICES:
        yield f"{device.title} ({device.grade}). {device.compared} Missing: {'; '.join(device.missing)}."


def _errors(found: Iterable[Compared]) -> Table:
    cells = [
        (
            each.device.name,
            group,
            str(len(ran)),
            *_measures(ran),
            f"{1 - disorder(ran):.3f}" if len(ran) > 2 else "–",
        )
        for each in found
        for group in each.groups
        for ran in [each.of(group)]
    ]
    return Table(
        "errors by device",
        ("device", "rows", "number", "mean error", "largest error", "Spearman"),
        tuple(cells),
    )


def _measures(ran: Sequence[Ran]) -> tuple[str, str]:
    return _percent(mean_error(ran)), _percent(largest_error(ran))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _aims(found: Iterable[Compared]) -> Table:
    cells = []
    for each in found:
        for aim in each.device.aims:
            value = aim.value(each.ran)
            met = "met" if value <= aim.limit else "missed"
            cells.append(
                (
                    f"{each.device.name}: {aim.text}",
                    _percent(value),
                    _percent(aim.limit),
                    met,
                    aim.missing or "–",
                )
            )
    return Table("aims", ("aim", "value", "at most", "", "what the model lacks"), tuple(cells))


def _ablation(found: Iterable[Compared], progress: Callable[[str], None]) -> Table:
    cells = []
    for each in found:
        for name, change in each.device.mechanisms.items():
            progress(f"{each.device.name} without {name}")
            without = Compared(each.device, tuple(run([one.item for one in each.ran], change)))
            cells += [
                (each.device.name, name, group, *_measures(each.of(group)), *_measures(without.of(group)))
                for group in each.groups
            ]
    return Table(
        "errors without each mechanism",
        ("device", "without", "rows", "mean error", "largest", "mean without", "largest without"),
        tuple(cells),
        "The file with one mechanism switched off, everything else as it is. A mechanism whose absence lowers an error "
        "is not worth nothing: it covers something else that the model lacks.",
    )
