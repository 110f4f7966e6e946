"""A study of sensitivity as people read it."""

from __future__ import annotations

from squeezesim.explore.sensitivity.study import Study
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section

TOP = 12
"""Parameters that are shown where nothing else is asked for."""


def sections(study: Study, top: int = TOP) -> list[Section]:
    """Return the parts of the text in their order."""
    parts = []
    for network, bandwidth in study.break_even_gb_s.items():
        parts.append(
            Section(f"{network} on {study.accelerator}: elasticities", _elasticities(study, network, top))
        )
        parts.append(Section("DRAM bandwidth", [_break_even(study, bandwidth)]))
    if study.ranks:
        parts.append(Section("energy by table, and rank", _ranks(study)))
    if study.kept:
        parts.append(Section("rows and columns", [study.kept]))
    return parts


def _elasticities(study: Study, network: str, top: int) -> Grid:
    entries = [e for e in study.elasticities if e.network == network and (e.latency or e.energy)]
    columns = [
        Column("parameter", left=True),
        *map(Column, ("value", "from", "to", "latency", "energy")),
    ]
    cells = [
        [
            entry.parameter,
            f"{entry.value:g}",
            f"{entry.lower:g}",
            f"{entry.upper:g}",
            *map(_signed, (entry.latency, entry.energy)),
        ]
        for entry in entries[:top]
    ]
    return Grid(columns, cells, units.part(len(cells), len(entries), "parameter"))


def _signed(value: float | None) -> str:
    if value is None:
        return units.EMPTY
    text = f"{abs(value):.3f}"
    return text if text == "0.000" else f"{'−' if value < 0 else '+'}{text}"


def _break_even(study: Study, bandwidth: float | None) -> str:
    has = f"it has {study.bandwidth_gb_s:g}"
    if bandwidth is None:
        return f"DRAM sets the pace of more cycles than anything else at any bandwidth; {has} GB/s"
    if bandwidth <= 0.001:
        return f"DRAM never sets the pace of more cycles than anything else; {has} GB/s"
    return f"from {bandwidth:.4g} GB/s on something else than DRAM sets the pace of the most cycles; {has}"


def _ranks(study: Study) -> Grid:
    networks = list(study.break_even_gb_s)
    by_table: dict[str, dict[str, str]] = {}
    for rank in study.ranks:
        text = f"{units.count(rank.energy_mac_equiv)} ({rank.rank})" if rank.rank else units.EMPTY
        by_table.setdefault(rank.table, {})[rank.network] = text
    columns = [Column("table", left=True), *map(Column, networks)]
    return Grid(columns, [[table, *(cells[name] for name in networks)] for table, cells in by_table.items()])
