"""Changes to the accelerator: another dataflow beside its own, a larger buffer, more bandwidth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from squeezesim.cost.evaluate import BOUNDS
from squeezesim.errors import HardwareError
from squeezesim.explore.advise.proposal import Proposal
from squeezesim.simulate import simulate

if TYPE_CHECKING:
    from squeezesim.report.report import Report

# Dataflows that one array could offer together, for they take the same parameters.
_FAMILIES = (("ws", "os"), ("scalesim_os", "scalesim_ws", "scalesim_is"))


def accelerators(report: Report, layer: str = "") -> Iterator[Proposal]:
    """Yield the proposals that change the accelerator of *report*, whether or not they save anything."""
    for kind, changes, change, assumption in _changes(report):
        with suppress(HardwareError):  # a value beyond what an accelerator or its energy table can have
            changed = report.accelerator.replace(changes)
            yield Proposal(kind, change, assumption, report, simulate(report.network, changed), layer)


def _changes(report: Report) -> Iterator[tuple[str, Mapping[str, object], str, str]]:
    accelerator = report.accelerator
    own = accelerator.array.dataflows
    for family in _FAMILIES:
        for name in family:
            if name not in own and set(own) & set(family):
                text = f"array.dataflows {' or '.join(own)} → {' or '.join((*own, name))}, by layer"
                yield (
                    "dataflow",
                    {"array.dataflows": [*own, name]},
                    text,
                    f"an array with {'both' if len(own) == 1 else 'all of them'} keeps its size, clock and energy "
                    "per access",
                )
    buffer, dram = accelerator.memory.global_buffer, accelerator.memory.dram
    size, rate = buffer.size_kib, dram.bandwidth_gb_s
    yield (
        "buffer",
        {"memory.global_buffer.size_kib": 2 * size},
        f"memory.global_buffer.size_kib {size:g} → {2 * size:g}",
        "the larger buffer runs at the same clock, with the energy that the table has for it",
    )
    if int(report.tally.total().time[0, BOUNDS.index("buffer")]) and buffer.bytes_per_cycle:
        yield (
            "bandwidth",
            {"memory.global_buffer.bytes_per_cycle": 2 * buffer.bytes_per_cycle},
            f"memory.global_buffer.bytes_per_cycle {buffer.bytes_per_cycle:g} → {2 * buffer.bytes_per_cycle:g}",
            "a wider port has the same energy per access",
        )
    yield (
        "bandwidth",
        {"memory.dram.bandwidth_gb_s": 2 * rate},
        f"memory.dram.bandwidth_gb_s {rate:g} → {2 * rate:g}",
        "the memory's latency, usable fraction and energy per byte stay as they are",
    )
