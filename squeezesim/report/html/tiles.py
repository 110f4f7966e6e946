"""The headline numbers of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from squeezesim.cost.evaluate import OPERANDS
from squeezesim.report import units
from squeezesim.report.figures.words import OPERANDS as OPERAND_WORDS

if TYPE_CHECKING:
    from squeezesim.report.report import Report


class Tile(NamedTuple):
    """A headline number and what stands below it."""

    label: str
    value: str
    unit: str
    detail: str


def tiles(report: Report) -> list[Tile]:
    """Return the headline numbers."""
    totals = report.totals
    latency = totals["latency_us"] or 0.0
    clock, pes = report.accelerator.clock_mhz, report.scale.pes
    worth = units.count(totals["energy_mac_equiv"])
    energy = Tile("Energy", *_number(worth), "MACs’ worth; the energy table is relative")
    if totals["energy_uj"] is not None:
        energy = Tile("Energy", units.decimal(totals["energy_uj"]), "µJ", f"{worth} MACs’ worth")
    efficiency = "busy with MACs"
    if totals["efficiency"] != totals["utilization"]:
        efficiency += f", efficiency {units.share(totals['efficiency'])}"
    whole = report.tally.total()
    most = int(whole.dram[0].argmax())
    moved = f"{units.share(whole.dram[0, most] / max(int(whole.dram_bytes[0]), 1))} {OPERAND_WORDS[OPERANDS[most]]}"
    ops = f"{units.count(totals['vector_ops'])} vector operations"
    return [
        Tile(
            "Latency",
            units.decimal(latency),
            "µs",
            f"{units.count(totals['cycles'])} cycles at {clock:g} MHz",
        ),
        Tile("Utilization", *_number(units.share(totals["utilization"])), f"of {pes:,} PEs {efficiency}"),
        energy,
        Tile("DRAM traffic", *_number(units.size(totals["dram_bytes"])), moved),
        Tile("MACs", *_number(units.count(totals["macs"])), ops),
        Tile(
            "Params",
            *_number(units.count(totals["params"])),
            f"{units.size(totals['weights_bytes'])} of weights",
        ),
    ]


def _number(text: str) -> tuple[str, str]:
    value, _, unit = text.partition(" ")
    return value, unit
