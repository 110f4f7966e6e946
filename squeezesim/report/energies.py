"""What the energies of reports are in, and so which of them may be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from squeezesim.report.report import Report


def energy_unit(report: Report) -> tuple[object, ...]:
    """Return what the energies of *report* are in: µJ, or MACs of one table at one precision."""
    return ("µJ",) if report.scale.pj_per_unit is not None else mac_unit(report)


def mac_unit(report: Report) -> tuple[object, ...]:
    """Return what one MAC of ``energy_mac_equiv`` is: of which table, and how much in it at the PEs' precision."""
    energy = report.accelerator.energy
    return energy.table, energy.overrides.get("mac"), report.scale.mac_energy


def energy_column(*reports: Report) -> str | None:
    """Return the column in which all *reports* have energies of one unit, None where there is none."""
    units = {energy_unit(report) for report in reports}
    if len(units) > 1:
        return None
    return "energy_uj" if units == {("µJ",)} else "energy_mac_equiv"
