"""Where a network runs: accelerators, their YAML files and their energy tables."""

from __future__ import annotations

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.dataflows import names
from squeezesim.hardware.energy import EnergyCosts, energy_costs, tables
from squeezesim.hardware.parts import Dataflow, Provenance

__all__ = ["DATAFLOWS", "Accelerator", "Dataflow", "EnergyCosts", "Provenance", "energy_costs", "tables"]

DATAFLOWS = names()
"""Dataflows of this version."""
