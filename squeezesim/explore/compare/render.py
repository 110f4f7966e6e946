"""A comparison as text, as a figure and as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError
from squeezesim.explore.compare.comparison import Comparison
from squeezesim.explore.compare.gate import Verdict, budgets, most_accurate
from squeezesim.files import json_page, round_floats
from squeezesim.hardware.config import CONSTRAINTS
from squeezesim.hardware.display import ideal_text, ideals
from squeezesim.report import units
from squeezesim.report.figures.style import render
from squeezesim.report.figures.tradeoff import tradeoff
from squeezesim.report.grid import GAP, Column, Grid
from squeezesim.report.metrics import METRICS, energy_unit, format_value, shown_energy
from squeezesim.report.text import Section, Shown, markdown, shown_as

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.explore.compare.comparison import Result
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.parts import Energy

_TEXTS = ("name", "description", "source", "provenance", "notes")
_MOST = 4  # parameters that a sentence names


def notes(comparison: Comparison) -> list[str]:
    """Return the sentences, each once."""
    found = [
        *_changed(comparison),
        *_versions(comparison),
        *_ideal(comparison),
        *_energies(comparison),
        *_own(comparison),
    ]
    return list(dict.fromkeys(found))


def _changed(comparison: Comparison) -> Iterator[str]:
    """Accelerators of one name that are not one accelerator, and results that are compared with that of another."""
    for place, result in enumerate(comparison.results):
        other = comparison.baseline(place)
        if other is None:
            continue
        if other.accelerator != result.accelerator:
            if comparison.saved == 1 and place >= comparison.saved:
                yield f"{result} is compared with {_whose(other)}, which is of {other.accelerator}"
            continue
        before, after = _parameters(other.report.accelerator), _parameters(result.report.accelerator)
        paths = [path for path in before | after if before.get(path) != after.get(path)]
        if paths:
            listed = [
                f"{path} is {after.get(path, 'not set')}, not {before.get(path, 'set')}"
                for path in paths[:_MOST]
            ]
            more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
            whose = f"{result.accelerator} of {_whose(result)} differs from that of {_whose(other)}"
            yield f"{whose}: {', '.join(listed)}{more}"


def _versions(comparison: Comparison) -> Iterator[str]:
    """Results that are compared with those of another version, whose numbers may differ for that."""
    for place, result in enumerate(comparison.results):
        other = comparison.baseline(place)
        if other is not None and _version(other) != _version(result):
            yield (
                f"{_whose(other)} is by {_version(other)}, {_whose(result)} by {_version(result)}; "
                "the changelog says what changes in numbers"
            )


def _version(result: Result) -> str:
    version = result.report.made_by.version
    return f"squeezesim {version}" if version else "an earlier squeezesim"


def _whose(result: Result) -> str:
    return result.origin or result.network


def _parameters(accelerator: Accelerator) -> dict[str, Any]:
    """Values by dotted path."""

    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    found = dict(walk("", accelerator.model_dump(mode="json", exclude=set(_TEXTS))))
    if constraints := accelerator.mapper.constraints:
        found[CONSTRAINTS] = "; ".join(map(str, constraints))
    return found


def _ideal(comparison: Comparison) -> Iterator[str]:
    """Accelerators that are faster than any real one, where others are not or lack something else."""
    found = {result.accelerator: ideals(result.report.accelerator) for result in comparison.results}
    if len({tuple(lacks) for lacks in found.values()}) > 1:
        for name, lacks in found.items():
            if lacks:
                yield f"{name} is an ideal accelerator: {', '.join(lacks.values())}"


def _energies(comparison: Comparison) -> Iterator[str]:
    accelerators = {result.accelerator: result for result in comparison.results}
    units = {energy_unit(result.report) for result in comparison.results}
    tables = {name: result.report.accelerator.energy for name, result in accelerators.items()}
    if len(set(tables.values())) > 1:
        listed = ", ".join(f"{name} {_table(energy)}" for name, energy in tables.items())
        apart = " and are of different units" if len(units) > 1 else ""
        yield f"energies come from different tables{apart}: {listed}"
    relative = [name for name, result in accelerators.items() if not result.report.scale.has_joules]
    if relative:
        one = len(units) == 1
        yield (
            f"energy is in units of one MAC{'' if one else ' of each accelerator'}, since the energy table of "
            f"{' and of '.join(relative)} is relative"
        )


def _table(energy: Energy) -> str:
    return energy.table + (" with overrides" if energy.overrides else "")


def _own(comparison: Comparison) -> Iterator[str]:
    for result in comparison.results:
        if result.report.unmodelled:
            listed = ", ".join(f"{item.op} ×{item.count}" for item in result.report.unmodelled)
            yield f"{result.network}: not modelled, and in no number: {listed}"
        yield from (f"{result.network}: {note}" for note in result.report.notes)


Row = Mapping[str, Any]

_NAME_WIDTH = 20
_WRITTEN_OUT = 10  # ratios from here on have no decimal places to spare


def sections(
    comparison: Comparison,
    by: str = "result",
    verdicts: Sequence[Verdict] = (),
    *,
    top: int | None = None,
    width: int | None = None,
) -> list[Section]:
    """Return the parts of the text in their order, tables at most *width* wide."""
    whole = result_grid(comparison, are_numbered=by != "result")
    parts = [Section(heading(comparison), whole if width is None else whole.fit(width, _NAME_WIDTH))]
    if by != "result":
        side = aligned_grid(comparison, by, top)
        title = f"{by}s"
        if top is not None:
            title = f"the {units.plural(len(side.cells) - 1, by)} whose latency differs most"
        parts.append(Section(title, side if width is None else _fitted(side, width)))
    if verdicts:
        best = most_accurate(comparison, verdicts)
        parts.append(Section("conditions", [*condition_lines(verdicts), *filter(None, [best])]))
    if told := notes(comparison):
        parts.append(Section("notes", told))
    return parts


def condition_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Return a line for each condition, or for each result of which it holds."""
    lines = []
    for verdict in verdicts:
        text = verdict.condition.text
        lines += [f"failed: {text}: {failure}" for failure in verdict.failures] or [
            f"ok: no result with {text}"
        ]
    return lines


def heading(comparison: Comparison) -> str:
    """Return what is compared with what, in a line."""
    results = comparison.results
    networks = list(dict.fromkeys(result.report.network.name for result in results))
    accelerators = list(dict.fromkeys(result.accelerator for result in results))
    what = networks[0] if len(networks) == 1 else units.plural(len(networks), "network")
    where = accelerators[0] if len(accelerators) == 1 else units.plural(len(accelerators), "accelerator")
    return f"{what} on {where}{_reference(comparison)}{_ideal_text(comparison)}"


def _ideal_text(comparison: Comparison) -> str:
    """Which accelerators are faster than any real one, as the head of a report says it."""
    named: dict[str, dict[str, None]] = {}
    for result in comparison.results:
        named.setdefault(ideal_text(result.report.accelerator), {})[result.accelerator] = None
    texts = []
    for lacks, names in named.items():
        more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
        listed = (
            f"{', '.join([*names][:_MOST])}{more} ({lacks})" if len(named) > 1 else lacks
        )  # of all of them
        texts += [f"; ideal: {listed}"] if lacks else []
    return "".join(texts)


def _reference(comparison: Comparison) -> str:
    results = comparison.results
    if len(results) == 1:
        return ""
    if comparison.saved > 1:
        return ", relative to saved reports"
    bases = [results[place] for place in comparison.baselines if place is not None]
    networks, accelerators = ({base.network for base in bases}, {base.accelerator for base in bases})
    if len(networks) == len(accelerators) == 1:
        single = len({result.accelerator for result in results}) == 1
        return f", relative to {bases[0].network if single else bases[0]}"
    if len(networks) == 1:
        return f", relative to {bases[0].network} on the same accelerator"
    return f", relative to the same network on {bases[0].accelerator}"


def result_grid(comparison: Comparison, *, are_numbered: bool = False) -> Grid:
    """Return the table of results."""
    rows = comparison.rows()
    is_known = any(row["top1_percent"] is not None for row in rows)
    energy = shown_energy(*(result.report for result in comparison.results))
    ranks = {"params": 6, "macs": 5, "latency_us": 0, "latency_relative": 0, "utilization": 1}
    ranks |= {energy: 2, "energy_relative": 3, "dram_bytes": 4, "dram_relative": 7}
    columns = [*_names(rows, are_numbered), *([shown_as("top1_percent", 1)] if is_known else [])]
    for name, rank in ranks.items():
        if name in METRICS:
            columns.append(shown_as(name, rank))
        elif len(rows) > 1:
            columns.append((Column("×", rank), partial(_ratio, name)))
    return Grid([column for column, _ in columns], [[show(row) for _, show in columns] for row in rows])


def _names(rows: Sequence[Row], are_numbered: bool) -> list[Shown]:
    """The columns that tell results apart; what all share stands in the heading."""
    places = {(row["network"], row["accelerator"]): f"[{number}] " for number, row in enumerate(rows, 1)}

    def first(row: Row, key: str) -> str:
        number = places[row["network"], row["accelerator"]] if are_numbered else ""
        return f"{number}{row[key]}"

    are_many = [key for key in ("network", "accelerator") if len({row[key] for row in rows}) > 1]
    leading, *others = are_many or ["network"]
    columns: list[Shown] = [(Column(leading, left=True), lambda row: first(row, leading))]
    return columns + [(Column(key, left=True), lambda row: row["accelerator"]) for key in others]


def aligned_grid(comparison: Comparison, by: str, top: int | None = None) -> Grid:
    """Return the table of stages or layers that take time: columns for each result, by its number.

    Of *top* there are those whose latency differs most from the baselines'.
    """
    rows, count = comparison.rows(by), len(comparison.results)
    aligned = [rows[start : start + count] for start in range(0, len(rows), count)]
    aligned = [row for row in aligned if any(part["cycles"] for part in row)]
    part = ""
    if top is not None:
        part = units.part(top, len(aligned), by)
        aligned = sorted(aligned, key=lambda row: -_difference(row))[:top]
    columns = [Column(by, left=True)]
    for number, other in enumerate(comparison.baselines, 1):
        columns += [Column(f"[{number}] µs"), Column("share", 4), Column("utilization", 3)]
        if other is not None and other != number - 1:
            columns += [Column("×", 1), Column(f"−[{other + 1}] µs", 2)]
    named: list[tuple[str, Sequence[Row]]] = [(row[0][by] or units.EMPTY, row) for row in aligned]
    named.append(("total", _totals(comparison)))
    cells = []
    for name, row in named:
        numbers = [_cells(comparison, place, part) for place, part in enumerate(row)]
        cells.append([name, *chain.from_iterable(numbers)])
    return Grid(columns, cells, part)


def _totals(comparison: Comparison) -> list[Row]:
    """Results as a row of stages or layers."""
    rows = comparison.rows()
    parts: list[Row] = []
    for row, other in zip(rows, comparison.baselines, strict=True):
        before = None if other is None else rows[other]["latency_us"]
        difference = None if before is None else row["latency_us"] - before
        parts.append(row | {"share": 1.0, "difference_us": difference})
    return parts


def _fitted(grid: Grid, width: int) -> Grid:
    """All columns up to a rank or none of it, so that every result has the same; if need be the names are shortened.

    A column that is left out of every result counts once; then the last results are left out.
    """
    ranks = sorted({column.rank for column in grid.columns})
    for most in reversed(ranks):
        kept = [place for place, column in enumerate(grid.columns) if column.rank <= most]
        some = replace(grid.take(kept), hidden=((sum(rank > most for rank in ranks), "column"),))
        if sum(some.widths) + GAP * (len(kept) - 1) <= width:
            break
    return some.fit(width, noun="result")


def _cells(comparison: Comparison, place: int, part: Row) -> list[str]:
    cells = [format_value(name, part[name]) for name in ("latency_us", "share", "utilization")]
    if comparison.baselines[place] not in (None, place):
        cells += [ratio(part["latency_relative"]), _signed(part["difference_us"])]
    return cells


def _difference(row: Sequence[Row]) -> float:
    return max((abs(part["difference_us"] or 0) for part in row), default=0)


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + units.decimal(abs(value))


def _ratio(name: str, row: Row) -> str:
    return ratio(row[name])


def ratio(value: float | None) -> str:
    """Return a ratio with three decimal places, and those from 10 up with four significant digits."""
    return f"{value:.3f}" if value is not None and value < _WRITTEN_OUT else units.decimal(value)


def draw(comparison: Comparison, file_format: str, verdicts: Sequence[Verdict] = ()) -> bytes:
    """Return the figure as ``png`` or ``svg``; results whose accuracy is not known are not in it.

    Raises:
        UsageError: no accuracy is known.
    """
    check_drawable(comparison)
    return render(lambda: accuracy_figure(comparison, verdicts), file_format)


def check_drawable(comparison: Comparison) -> None:
    """Check that an accuracy is known.

    Raises:
        UsageError: none is.
    """
    if all(result.top1_percent is None for result in comparison.results):
        names = ", ".join(dict.fromkeys(result.network for result in comparison.results))
        raise UsageError(
            f"a figure of accuracy needs one, and none is known of {names}; allowed: --top1 NETWORK=70.5"
        )


def accuracy_figure(comparison: Comparison, verdicts: Sequence[Verdict] = ()) -> Figure:
    """Return a row of panels for each accelerator, with the budgets that *verdicts* judge by as lines."""
    known = {
        result.report.network.name: result.top1_percent
        for result in comparison.results
        if result.top1_percent is not None
    }
    reports = [result.report for result in comparison.results if result.report.network.name in known]
    return tradeoff(reports, top1=known, budgets=budgets(verdicts))


def to_markdown(
    comparison: Comparison, by: str = "result", verdicts: Sequence[Verdict] = (), *, top: int | None = None
) -> str:
    """Return the verdict where there is one, then the tables and notes, as GitHub's Markdown."""
    parts = sections(comparison, by, top=top)
    if verdicts:
        failed = sum(verdict.has_failed for verdict in verdicts)
        title = f"squeezesim: {failed} of {units.plural(len(verdicts), 'condition')} failed"
        parts.insert(0, Section(title, condition_lines(verdicts)))
    return markdown(parts)


def to_json(comparison: Comparison, by: str = "result", verdicts: Sequence[Verdict] = ()) -> str:
    """Return results, stages or layers, conditions and notes as JSON; numbers are rounded to ten digits."""
    document: dict[str, Any] = {"results": round_floats(comparison.rows())}
    if by != "result":
        document[f"{by}s"] = round_floats(comparison.rows(by))
    document["conditions"] = [
        {"fail_if": verdict.condition.text, "has_failed": verdict.has_failed, "failures": verdict.failures}
        for verdict in verdicts
    ]
    document["notes"] = notes(comparison)
    return json_page(document)
