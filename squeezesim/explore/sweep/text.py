"""A sweep as people read it: its best rows, and what could not be costed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.allocate.wording import header, written
from squeezesim.explore.pareto import pareto
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.plan import Plan

LARGER_IS_BETTER = frozenset({"utilization", "efficiency"})

Row = Mapping[str, Any]


def best_rows(table: pa.Table, sort: str, top: int | None, *, front: bool) -> list[Row]:
    """Return the best *top* rows by column *sort*; of the Pareto front of latency and energy alone where *front*.

    Rows without a number in *sort* come last.

    Raises:
        UsageError: there is no such column.
    """
    import numpy as np

    names = table.column_names
    if sort not in names:
        raise UsageError(f"--sort {sort!r}; allowed: {', '.join(names)}{nearest(sort, names)}")
    index = np.arange(table.num_rows)
    if front:
        columns = {name: table[name].to_numpy() for name in ("latency_us", energy_column(table))}
        index = np.flatnonzero(pareto(columns, list(columns)))
    order = "descending" if sort in LARGER_IS_BETTER else "ascending"
    part = table.take(index).sort_by([(sort, order), ("design", "ascending")])
    return list(part.slice(0, top).to_pylist())


def energy_column(table: pa.Table) -> str:
    """Return the column of energies: that in µJ where all costed rows have one, else that in MACs."""
    known = table.num_rows - table["energy_uj"].null_count
    costed = table["problem"].null_count
    return "energy_uj" if costed and known == costed else "energy_mac_equiv"


def sections(
    plan: Plan, table: pa.Table, *, sort: str, top: int | None, front: bool, width: int | None = None
) -> list[Section]:
    """Return the parts of the text in their order; tables are at most *width* wide."""
    about = plan.about
    rows = best_rows(table, sort, top, front=front)
    networks, count = ", ".join(about["networks"]), about["designs"]
    parts = [
        Section(
            f"{networks} on {about['accelerator']}, {units.plural(count, 'design')}",
            [f"varying {', '.join(about['parameters'])}"],
        )
    ]
    what = "the Pareto front of latency and energy" if front else "designs"
    extreme = "greatest" if sort in LARGER_IS_BETTER else "least"
    grid = _grid(rows, about, sort, energy_column(table))
    parts.append(Section(f"{what}, {extreme} {sort} first", grid if width is None else grid.fit(width)))
    problems = [text for text in table["problem"].to_pylist() if text is not None]
    if problems:
        parts.append(
            Section("without a result", [f"{units.plural(len(problems), 'row')}; the first: {problems[0]}"])
        )
    return parts


def _grid(rows: Sequence[Row], about: Mapping[str, Any], sort: str, energy: str) -> Grid:
    parameters = list(about["parameters"])
    names = ["network"] if len(about["networks"]) > 1 else []
    measures = list(dict.fromkeys(["latency_us", energy, "utilization", "dram_bytes", "bound"]))
    measures += [sort] if sort not in (*measures, *parameters, "design", "network") else []
    columns = [Column("design"), *(Column(name, 1, left=True) for name in names)]
    columns += [Column(path.rpartition(".")[2]) for path in parameters]
    columns += [
        Column("bound" if name == "bound" else header(name), left=name == "bound") for name in measures
    ]
    cells = [
        [
            str(row["design"]),
            *(row[name] for name in names),
            *(_plain(row[path]) for path in parameters),
            *(row[name] or units.EMPTY if name == "bound" else written(name, row[name]) for name in measures),
        ]
        for row in rows
    ]
    return Grid(columns, cells)


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
