"""A sweep as people read it: its best rows, and what could not be costed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.allocate.wording import header, words, written
from squeezesim.explore.pareto import LARGER_IS_BETTER
from squeezesim.explore.sweep.results import check_energy
from squeezesim.explore.sweep.results import front as unbeaten
from squeezesim.report import units
from squeezesim.report.columns import TOTALS
from squeezesim.report.grid import Column, Grid
from squeezesim.report.text import Section

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.plan import Planned

Row = Mapping[str, Any]


def check_sort(sort: str, of: Planned) -> None:
    """Check that rows can be sorted by the column *sort*.

    Raises:
        UsageError: they cannot, or it ranks none of them.
    """
    names = ["design", "network", *of.about["parameters"], *TOTALS, "bound"]
    if sort not in names:
        raise UsageError(f"--sort {sort!r}; allowed: {', '.join(names)}{nearest(sort, names)}")
    check_energy("--sort", sort, of.base, of.about["parameters"])


def best_rows(
    table: pa.Table, sort: str, top: int | None, objectives: Sequence[str] | None = None
) -> list[Row]:
    """Return the best *top* rows by column *sort*; of the Pareto front of *objectives* alone where there are any.

    Rows without a number in *sort* come last.
    """
    rows = table if objectives is None else table.filter(unbeaten(table, objectives))
    order = "descending" if sort in LARGER_IS_BETTER else "ascending"
    part = rows.sort_by([(sort, order), ("design", "ascending")])
    return list(part.slice(0, top).to_pylist())


def energy_column(table: pa.Table) -> str:
    """Return the column of energies: that in µJ where all costed rows have one, else that in MACs."""
    known = table.num_rows - table["energy_uj"].null_count
    costed = table["problem"].null_count
    return "energy_uj" if costed and known == costed else "energy_mac_equiv"


def sections(
    of: Planned,
    table: pa.Table,
    count: int,
    *,
    sort: str,
    top: int | None,
    objectives: Sequence[str] | None = None,
    width: int | None = None,
) -> list[Section]:
    """Return the parts of the text in their order; tables are at most *width* wide.

    *table* holds the rows of interest of *count* designs; with *objectives* only their Pareto front is shown.
    """
    about = of.about
    rows = best_rows(table, sort, top, objectives)
    networks = ", ".join(about["networks"])
    lines = [f"varying {', '.join(about['parameters'])}"]
    if "objectives" in about:
        lines.append(f"searched for {_and(about['objectives'])}, seed {about['seed']}")
    if of.limits:
        lines.append(f"{units.plural(table.num_rows, 'row')} with {' and '.join(of.limits)}")
    parts = [Section(f"{networks} on {about['accelerator']}, {units.plural(count, 'design')}", lines)]
    what = "designs" if objectives is None else f"the Pareto front of {_and(objectives)}"
    extreme = "greatest" if sort in LARGER_IS_BETTER else "least"
    grid = _grid(rows, about, sort, energy_column(table))
    parts.append(Section(f"{what}, {extreme} {sort} first", grid if width is None else grid.fit(width)))
    problems = [text for text in table["problem"].to_pylist() if text is not None]
    if problems:
        parts.append(
            Section("without a result", [f"{units.plural(len(problems), 'row')}; the first: {problems[0]}"])
        )
    return parts


def _and(objectives: Sequence[str]) -> str:
    """The objectives in words.

    Example:
        >>> _and(["latency_us", "energy_uj"])
        'latency and energy'
    """
    *some, last = map(words, objectives)
    return f"{', '.join(some)} and {last}" if some else last


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
