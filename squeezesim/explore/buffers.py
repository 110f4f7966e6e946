"""Changes of the buffer: sizes that keep a feature map which does not stay, and other shares of the same size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from squeezesim.cost.evaluate import evaluate_each
from squeezesim.errors import HardwareError
from squeezesim.hardware.energy import energy_costs
from squeezesim.report.names import display_name

if TYPE_CHECKING:
    from squeezesim.explore.passing import Passing
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.data import ReportData

_BUFFER = "memory.global_buffer"
_SHARE = 4  # of a part's size one of so many goes to another


class Change(NamedTuple):
    """Values of parameters, and what they change from what to what."""

    values: Mapping[str, float]
    text: str


def sizes_that_keep(report: ReportData, passing: Sequence[Passing]) -> Iterator[Change]:
    """Yield for each map of *passing* the smallest buffer that keeps it, where one is known; each size once."""
    own = report.accelerator.memory.global_buffer.size_kib
    first: dict[float, Passing] = {}
    for each in passing:
        if each.size_kib is not None:
            first.setdefault(each.size_kib, each)
    for size, each in first.items():
        text = (
            f"{_BUFFER}.size_kib {own:g} → {size:g}, the smallest tried that keeps {display_name(each.layer)}"
        )
        yield Change({f"{_BUFFER}.size_kib": size}, text)


def best_share(report: ReportData) -> Change | None:
    """Return the share of the buffer among its parts, of the same size in all, with which the network is the fastest.

    Tried are a quarter of each part given to each other one; of a part for weights alone none, half and twice as much.
    None where the buffer has no parts, or no other share is faster.
    """
    designs: list[Accelerator] = []
    changes: list[Change] = []
    for change in _shares(report.accelerator):
        with suppress(HardwareError):  # more than there is
            design = report.accelerator.replace(change.values)
            energy_costs(design)
            designs.append(design)
            changes.append(change)
    if not designs:
        return None
    costs, misfits = evaluate_each(report.network.layers, designs)
    cycles = costs.cycles.sum(axis=1).tolist()
    best = min(
        (number for number, misfit in enumerate(misfits) if misfit is None),
        key=cycles.__getitem__,
        default=None,
    )
    if best is None or cycles[best] >= int(report.costs.cycles.sum()):
        return None
    return changes[best]


def _shares(accelerator: Accelerator) -> Iterator[Change]:
    buffer = accelerator.memory.global_buffer
    sizes = {name: part.size_kib for name, part in buffer.parts.items()}
    for giver, taker in permutations(sizes, 2):
        moved = sizes[giver] / _SHARE
        values = {
            f"{_BUFFER}.parts.{name}.size_kib": sizes[name] + more
            for name, more in ((giver, -moved), (taker, moved))
        }
        parts = (
            f"{name} {sizes[name]:g} → {value:g}"
            for name, value in zip((giver, taker), values.values(), strict=True)
        )
        yield Change(values, f"{_BUFFER}.parts, size_kib of {' and '.join(parts)}")
    for other in (0.0, buffer.weights_kib / 2, 2 * buffer.weights_kib) if buffer.weights_kib else ():
        text = f"{_BUFFER}.weights_kib {buffer.weights_kib:g} → {other:g} of {buffer.size_kib:g}"
        yield Change({f"{_BUFFER}.weights_kib": other}, text)
