"""Energy tables: how networks rank by energy under each table that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from squeezesim.errors import HardwareError
from squeezesim.explore.sweep.engine import totals
from squeezesim.hardware.energy import energy_costs
from squeezesim.hardware.energy_levels import tables

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

OWN = "(own)"
"""In place of a table's name: the accelerator's, with its overrides."""


@dataclass(frozen=True, slots=True)
class Rank:
    """A network's energy under one table, in MACs, and its place among the others, 1 the least; None if unknown."""

    table: str
    network: str
    energy_mac_equiv: float | None
    rank: int | None


def ranks(networks: Sequence[Network], accelerator: Accelerator) -> list[Rank]:
    """Return the networks' energies and ranks, under the accelerator's own prices first, then under each table's.

    Overrides are the accelerator's own. Tables that do not reach the buffer's size are left out.
    """
    designs = {OWN: accelerator}
    for table in tables():
        changed = accelerator.replace(
            {"energy.table": table, "energy.overrides": {}, "energy.pj_per_unit": None}
        )
        try:
            energy_costs(changed)
        except HardwareError:
            continue
        designs[table] = changed
    energies = [totals(network.fused, list(designs.values()))["energy_mac_equiv"] for network in networks]
    found = []
    for number, table in enumerate(designs):
        column = [energy[number] for energy in energies]
        known = sorted(energy for energy in column if energy is not None)
        found += [
            Rank(table, network.name, energy, None if energy is None else known.index(energy) + 1)
            for network, energy in zip(networks, column, strict=True)
        ]
    return found
