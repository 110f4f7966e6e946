"""squeezesim models: the built-in networks."""

from __future__ import annotations

from squeezesim.cli import output


def models(debug: output.Debug = False) -> None:
    """List the built-in networks, with their published facts."""
    del debug
    from squeezesim.network import Network
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid
    from squeezesim.zoo.registry import Entry, catalogue

    def macs(entry: Entry) -> int:
        return entry.facts.macs or Network.load(entry.graph).macs

    def per_cent(value: float | None) -> str:
        return units.EMPTY if value is None else f"{value:g}"

    columns = [
        Column("name", left=True),
        Column("input"),
        Column("params", rank=1),
        Column("MACs", rank=1),
        Column("top-1 %", rank=2),
        Column("top-5 %", rank=2),
        Column("options", rank=3, left=True),
        Column("source", rank=4, left=True),
    ]
    cells = [
        [
            entry.name,
            "x".join(map(str, entry.input)),
            units.count(entry.facts.params),
            units.count(macs(entry)),
            per_cent(entry.facts.top1),
            per_cent(entry.facts.top5),
            ", ".join(option.name for option in entry.family.options) or units.EMPTY,
            entry.family.source,
        ]
        for entry in catalogue().values()
    ]
    output.print_grid(Grid(columns, cells))
