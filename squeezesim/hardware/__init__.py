"""Where a network runs: accelerators, their YAML files and their energy tables."""

from __future__ import annotations

from squeezesim.hardware.accelerator import Accelerator, Provenance
from squeezesim.hardware.dataflows import DATAFLOWS, Dataflow
from squeezesim.hardware.energy import EnergyCosts, energy_costs, tables

__all__ = ["DATAFLOWS", "Accelerator", "Dataflow", "EnergyCosts", "Provenance", "energy_costs", "tables"]
