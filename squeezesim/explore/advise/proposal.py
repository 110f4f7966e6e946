"""Proposal: one change, the reports without and with it, and what that saves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.report import units
from squeezesim.report.findings import called

if TYPE_CHECKING:
    from squeezesim.report.report import Report

KINDS = ("dataflow", "buffer", "bandwidth", "channels", "kernel", "blocks")

RETRAINED = "the network is trained anew; what that does to its accuracy is not known here"
"""What every change to a network takes for granted."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that saves cycles: ``before`` and ``after`` are what ``simulate`` returns without and with it.

    Attributes:
        kind: one of ``KINDS``.
        change: what is changed, from what to what.
        assumption: what the numbers take for granted.
        before: the report as it is.
        after: the report of the changed network or accelerator.
        layer: the layer that was asked for, empty where none was.
    """

    kind: str
    change: str
    assumption: str
    before: Report
    after: Report
    layer: str = ""

    @property
    def saved_cycles(self) -> int:
        """Cycles of the network that are saved."""
        return int(self.before.tally.cycles.sum() - self.after.tally.cycles.sum())

    @property
    def saved_layer_cycles(self) -> int | None:
        """Cycles of ``layer`` that are saved; None where no layer was asked for."""
        if not self.layer:
            return None
        return _cycles(self.before, self.layer) - _cycles(self.after, self.layer)

    def saved(self, total: str) -> float | None:
        """Return how much less *total*, a key of ``Report.totals``, is; None where it has no number."""
        before, after = self.before.totals[total], self.after.totals[total]
        return None if before is None or after is None else before - after

    def row(self) -> dict[str, Any]:
        """Return the proposal as one row of data."""
        before, after = self.before.totals, self.after.totals
        names = ("cycles", "latency_us", "energy_uj", "energy_mac_equiv", "params", "macs")
        return {
            "kind": self.kind,
            "change": self.change,
            "assumption": self.assumption,
            "saved_cycles": self.saved_cycles,
            "saved_latency_us": self.saved("latency_us"),
            "saved_energy_uj": self.saved("energy_uj"),
            "saved_energy_mac_equiv": self.saved("energy_mac_equiv"),
            "saved_layer_cycles": self.saved_layer_cycles,
            "before": {name: before[name] for name in names},
            "after": {name: after[name] for name in names},
        }

    def __str__(self) -> str:
        text = f"{self.change}: {self._saving()}"
        if (cycles := self.saved_layer_cycles) is not None:
            text += f" of the network, {self._of_layer(cycles)}"
        return f"{text}; {', '.join(self._others())}. It is assumed that {self.assumption}"

    def __repr__(self) -> str:
        return f"<Proposal {self.kind}: {self.change}: {self._saving()}>"

    def _saving(self) -> str:
        """What becomes of the cycles of the network."""
        cycles, latency = self.saved_cycles, self.saved("latency_us") or 0.0
        share = cycles / int(self.before.tally.cycles.sum())
        return (
            f"{'costs' if cycles < 0 else 'saves'} {units.count(abs(cycles))} cycles ({units.share(abs(share))}, "
            f"{units.decimal(abs(latency))} µs)"
        )

    def _of_layer(self, saved: int) -> str:
        """What becomes of the layer that was asked for."""
        name, count = called(self.layer), units.count(abs(saved))
        if saved < 0:
            return f"{name} takes {count} cycles more"
        if saved <= self.saved_cycles:
            return f"{count if saved else 'none'} of them in {name}"
        return f"{name} saves {count}"

    def _others(self) -> Iterator[str]:
        """What becomes of the energy and, where the network changes, of params and MACs."""
        microjoules, relative = self.saved("energy_uj"), self.saved("energy_mac_equiv")
        if microjoules is not None:
            yield _changed("energy", microjoules, lambda value: f"{units.decimal(value)} µJ")
        elif relative is not None:
            yield _changed("energy", relative, lambda value: f"{units.count(value)} MACs' worth")
        if self.before.accelerator == self.after.accelerator:  # then the network is another
            yield _changed("params", self.saved("params") or 0, units.count)
            yield _changed("MACs", self.saved("macs") or 0, units.count)


def _cycles(report: Report, name: str) -> int:
    cycles = zip(report.network.layers, report.tally.cycles.tolist(), strict=True)
    return sum(count for layer, count in cycles if layer.name == name)


def _changed(what: str, saved: float, show: Callable[[float], str]) -> str:
    """The change with its sign, which is that of an amount that grows."""
    return f"{what} {'−' if saved > 0 else '+'}{show(abs(saved))}" if saved else f"{what} unchanged"
