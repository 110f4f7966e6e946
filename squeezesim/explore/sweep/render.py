"""Text of a sweep: its best rows, and the designs that could not be costed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.sweep.plan import check_priced, column_names, front_mask, ranking_column, unranked
from squeezesim.hardware.display import fixed_widths
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid, shares
from squeezesim.report.metrics import METRICS, format_value, header, is_more_better, metrics_of, words
from squeezesim.report.text import Section

if TYPE_CHECKING:
    import pyarrow as pa

    from squeezesim.explore.sweep.plan import Planned
    from squeezesim.hardware.accelerator import Accelerator

Row = Mapping[str, Any]


def check_sort(sort: str, of: Planned) -> None:
    """Check that rows can be sorted by the column *sort*.

    Raises:
        UsageError: they cannot, or it ranks none of them.
    """
    texts = [metric.name for metric in metrics_of("network") if metric.kind == "text"]
    names = list(dict.fromkeys(["design", "network", *of.about["parameters"], *column_names(), *texts]))
    if sort not in names:
        raise UsageError(f"--sort {sort!r}; allowed: {', '.join(names)}{nearest(sort, names)}")
    check_priced("--sort", sort, of.base, of.about["parameters"])


def best_rows(
    table: pa.Table,
    base: Accelerator,
    sort: str,
    objectives: Sequence[str] | None = None,
    shown: Sequence[str] = (),
) -> pa.Table:
    """Return the rows, the best by *sort* first; of the Pareto front of *objectives* alone where there are any.

    Rows without a number in *sort* come last; the columns that rank them are there, and those *shown* beside.
    """
    import pyarrow as pa

    rows = table if objectives is None else table.filter(front_mask(table, base, objectives))
    for name in dict.fromkeys((sort, *(objectives or ()), *shown)):
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array(ranking_column(rows, base, name), from_pandas=True))
    order = "descending" if is_more_better(sort) else "ascending"
    return rows.sort_by([(sort, order), ("design", "ascending")])


_LACKING = {"area_mm2": "an area in their energy table", "energy_uj": "joules in their energy table"}


def left_out(table: pa.Table, base: Accelerator, objectives: Sequence[str]) -> str:
    """Return how many designs the front of *objectives* leaves out for want of a number; empty where it has all."""
    found = unranked(table, base, objectives)
    if not found:
        return ""
    count, whole = len(set().union(*found.values())), len(set(table["design"].to_pylist()))
    who = units.part(count, whole, "design") or units.plural(count, "design")
    numbers = [f"{len(designs):,} " * (len(found) > 1) for designs in found.values()]
    why = [
        f"{number}without {_LACKING.get(name, words(name))}"
        for number, name in zip(numbers, found, strict=True)
    ]
    return f"left out of the front: {who}, {', '.join(why)}"


def take_shares(rows: pa.Table, networks: Sequence[str], most: int) -> pa.Table:
    """Return the first *most* of *rows*, of which each of several *networks* gets its share."""
    of = rows["network"].to_pylist()
    left = dict(zip(networks, shares([of.count(name) for name in networks], most), strict=True))
    kept = []
    for number, name in enumerate(of):
        if left[name]:
            left[name] -= 1
            kept.append(number)
    return rows.take(kept)


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
    aims: Sequence[str] = (),
    objectives: Sequence[str] | None = None,
    width: int | None = None,
) -> list[Section]:
    """Return the parts of the text in their order; tables are at most *width* wide.

    *table* holds the feasible rows of *count* designs; with *objectives* only their Pareto front is shown. There are
    columns of *aims*, what the designs were searched for.
    """
    about = of.about
    found = best_rows(table, of.base, sort, objectives, aims)
    rows = found if top is None else take_shares(found, about["networks"], top)
    networks = ", ".join(about["networks"])
    lines = [f"varying {', '.join(about['parameters'])}"]
    if "objectives" in about:
        lines.append(f"searched for {_and(about['objectives'])}, seed {about['seed']}")
    if note := fixed_widths(of.base, about["parameters"]):
        lines.append(note)
    if of.limits:
        lines.append(f"{units.plural(table.num_rows, 'row')} with {' and '.join(of.limits)}")
    if objectives and (note := left_out(table, of.base, objectives)):
        lines.append(note)
    parts = [Section(f"{networks} on {about['accelerator']}, {units.plural(count, 'design')}", lines)]
    what = "designs" if objectives is None else f"the Pareto front of {_and(objectives)}"
    extreme = "greatest" if is_more_better(sort) else "least"
    ranks = (sort, *(objectives or ()), *aims)
    part = units.part(rows.num_rows, found.num_rows, "row")
    grid = replace(_grid(rows.to_pylist(), about, ranks, energy_column(table)), part=part)
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


def _grid(rows: Sequence[Row], about: Mapping[str, Any], ranks: Sequence[str], energy: str) -> Grid:
    parameters = list(about["parameters"])
    names = ["network"] if len(about["networks"]) > 1 else []
    measures = ["latency_us", energy, "utilization", "dram_bytes", "bound"]
    shown = {*measures, *parameters, "design", "network"}
    measures += [name for name in dict.fromkeys(ranks) if name not in shown]
    # The first column may be shortened and never goes: what a row is of comes before what it costs.
    columns = [*(Column(name, left=True) for name in names), Column("design")]
    columns += [Column(header(path)) for path in parameters]
    columns += [
        Column(header(name), left=name in METRICS and METRICS[name].kind == "text") for name in measures
    ]
    cells = [
        [
            *(row[name] for name in names),
            str(row["design"]),
            *(format_value(name, row[name]) for name in (*parameters, *measures)),
        ]
        for row in rows
    ]
    return Grid(columns, cells)
