"""Feature maps that pass a memory though the buffer may keep them: beside what they do, and which size keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import HOMED
from squeezesim.cost.evaluate import evaluate_each
from squeezesim.cost.maps import OUTSIDE
from squeezesim.cost.residents import maps_on
from squeezesim.errors import HardwareError
from squeezesim.hardware.energy import energy_costs
from squeezesim.report import units
from squeezesim.report.metrics import quantity
from squeezesim.report.names import display_name

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.report.report import Report

SIZES = (1.125, 1.25, 1.375, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0, 8.0)
"""Buffers that are tried, times what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """A feature map that is in a memory alone.

    Attributes:
        layer: the layer that writes it.
        size: its bytes.
        readers: layers that read it.
        beside: layers that write the maps that are in the buffer meanwhile, in the order of the network.
        kept: bytes that those take at most.
        size_kib: the smallest of the buffers tried that keeps it; None where none does.
        saved_cycles: of the network with that buffer; 0 where there is none.
        share: those of all of its cycles.
        latency_us: those in time.
    """

    layer: str
    size: int
    readers: int
    beside: tuple[str, ...]
    kept: int
    size_kib: float | None
    saved_cycles: int
    share: float
    latency_us: float

    @property
    def moved(self) -> int:
        """Bytes that it moves at least: it is written, and read by each of its readers."""
        return self.size * (1 + self.readers)

    def row(self) -> dict[str, Any]:
        """Return it as one row of data."""
        names = ("layer", "size", "readers", "beside", "kept", "size_kib", "saved_cycles")
        return {name: getattr(self, name) for name in names} | {"moved": self.moved}

    def __str__(self) -> str:
        text = (
            f"{display_name(self.layer)}: {units.size(self.size)}, read {_times(self.readers)}, "
            f"at least {units.size(self.moved)} of DRAM traffic"
        )
        if self.beside:
            text += f"; beside it the buffer keeps {units.size(self.kept)} of {_named(self.beside)}"
        if self.size_kib is None:
            return f"{text}; no buffer up to {SIZES[-1]:g} times as large keeps it"
        faster = "faster" if self.saved_cycles >= 0 else "slower"
        return (
            f"{text}; a buffer of {self.size_kib:g} KiB keeps it and makes the network "
            f"{quantity('latency_us', abs(self.latency_us))} ({units.share(abs(self.share))}) {faster}"
        )


def passing_of(report: Report) -> list[Passing]:
    """Return the feature maps that pass a memory where the buffer may keep them, those that move most first.

    Inputs and outputs of the network, and what joins another layer, are not among them. The network is placed anew in
    each of ``SIZES`` for which the energy table has values.

    Example:
        >>> import squeezesim as sq
        >>> on = sq.Accelerator.named("os_32x32").replace({"memory.global_buffer.keeps": ["activations"]})
        >>> found = passing_of(sq.simulate(sq.load("squeezenext_23"), on))
        >>> found[0].layer, found[0].size
        ('stem.conv', 788544)
    """
    if not report.machine.keeps_maps or report.mapped:
        return []
    layers = report.network.layers
    maps = maps_on(layers, report.machine)
    outputs = HOMED.index("outputs")
    left = [
        number
        for number, home in enumerate(maps.written)
        if home != OUTSIDE
        and maps.classes[home].is_read
        and not maps.classes[home].is_output
        and report.costs.homes[0, number, outputs] == 0
    ]
    if not left:
        return []
    larger = [*_larger(report.accelerator)]
    found, misfits = evaluate_each(layers, larger) if larger else (report.costs, [])
    whole, clock = int(report.costs.cycles.sum()), report.accelerator.clock_mhz
    passing = []
    for number in left:
        home = maps.written[number]
        alive = range(maps.classes[home].first, maps.classes[home].last + 1)
        size_kib, saved = None, 0
        for row, accelerator in enumerate(larger):
            if misfits[row] is None and found.homes[row, number, outputs] > 0:
                size_kib = accelerator.memory.global_buffer.size_kib
                saved = whole - int(found.cycles[row].sum())
                break
        beside = {
            other
            for each in alive
            for other in maps.alive[each]
            if other != home and _is_kept(report.costs, maps.written, other)
        }
        passing.append(
            Passing(
                layer=layers[number].name,
                size=maps.alive[number][home] // 8,
                readers=maps.classes[home].readers,
                beside=tuple(layers[maps.classes[other].first].name for other in sorted(beside)),
                kept=int(report.costs.kept_bytes[0, alive.start : alive.stop].max()),
                size_kib=size_kib,
                saved_cycles=saved,
                share=saved / whole,
                latency_us=saved / clock,
            )
        )
    return sorted(passing, key=lambda each: -each.moved)


def _is_kept(costs: Costs, written: Any, home: int) -> bool:
    """Whether the maps of a class are in the buffer."""
    numbers = np.flatnonzero(np.array(written) == home)
    return bool((costs.homes[0, numbers, HOMED.index("outputs")] > 0).any())


def _larger(accelerator: Accelerator) -> Iterator[Accelerator]:
    size = accelerator.memory.global_buffer.size_kib
    for factor in SIZES:
        with suppress(HardwareError):
            changed = accelerator.replace({"memory.global_buffer.size_kib": size * factor})
            energy_costs(changed)
            yield changed


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _named(names: tuple[str, ...]) -> str:
    """The names, of many the first and how many more there are."""
    shown = ", ".join(display_name(name) for name in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")
