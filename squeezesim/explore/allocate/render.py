"""Allocations as text and as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.allocate.candidates import merit, relative
from squeezesim.files import json_page, round_floats
from squeezesim.report import units
from squeezesim.report.files import csv_text
from squeezesim.report.grid import Column, Grid
from squeezesim.report.metrics import format_value, header, is_more_better, words
from squeezesim.report.text import Section, markdown

if TYPE_CHECKING:
    from squeezesim.explore.allocate.candidates import Candidates, Move
    from squeezesim.explore.allocate.study import Result, Standing, Study

TOP = 10
"""Allocations that are shown where nothing else is asked for."""

_ON_FRONT = "*"


def sections(study: Study, *, top: int = TOP, front: bool = False, width: int | None = None) -> list[Section]:
    """Return the parts of the text in their order: *top* allocations, of the Pareto front alone where *front*.

    Tables are at most *width* wide.
    """
    parts = []
    for result in study.results:
        parts.append(Section(f"{study.model} on {result.accelerator.name}", _subject(study, result)))
        parts += _parts(study, result, top, front, width)
    return [*parts, Section("notes", _notes(study))]


def _parts(study: Study, result: Result, top: int, front: bool, width: int | None) -> list[Section]:
    if not len(result.candidates):
        return [Section("no allocation is within the budgets here", ())]
    shown = result.candidates.kept(result.candidates.front) if front else result.candidates
    rows = shown.rows(top)
    what = "the allocation" if len(rows) == 1 else f"the {len(rows):,} allocations"
    what += " of the Pareto front" if front else ""
    table = _Table(study, result)
    part = units.part(len(rows), len(shown), "allocation")
    parts = [Section(f"{what} of {_extreme(study.sort)}", table.grid(rows, width, part=part))]
    if ends := _ends(study, result):
        parts.append(Section("the best in each objective", table.grid(ends, width, first="best")))
    parts.append(Section("where the model and published networks stand", table.standings(width)))
    if result.moves is not None:
        parts.append(Section(f"moves from {_depth(result.current)}", _moves(study, result.moves)))
    return parts


class _Table:
    """Tables of allocations on one accelerator: which columns there are, and how each is written."""

    def __init__(self, study: Study, result: Result) -> None:
        self.study, self.result = study, result
        energy = "energy_mac_equiv" if result.current.measures["energy_uj"] is None else "energy_uj"
        self.options = list(study.bases[0].values)
        ranks = {study.sort: 0, "latency_us": 0, energy: 0, "params": 1, "macs": 3, "late_share": 2}
        self.measures = {**ranks, "utilization": 6, "dram_bytes": 7}

    def grid(
        self, rows: Sequence[Mapping[str, Any]], width: int | None, first: str = "", part: str = ""
    ) -> Grid:
        """Return allocations, each after what it is the best of where *first* is the header of that."""
        names = [Column(first, left=True)] if first else []
        names += [Column("depth", left=True), *(Column(name) for name in self.options)]
        columns = [*names, *self._columns(), Column("front", 1, left=True), Column("network", 5, left=True)]
        cells = [
            [
                *([row[first]] if first else []),
                row["depth"],
                *(str(row[name]) for name in self.options),
                *self._cells(row),
                _ON_FRONT if row["pareto"] else "",
                row["published"],
            ]
            for row in rows
        ]
        return _fitted(Grid(columns, cells, part), width)

    def standings(self, width: int | None) -> Grid:
        """Return the model and published networks."""
        columns = [
            Column("network", left=True),
            Column("depth", 1, left=True),
            Column("place"),
            *self._columns(),
            Column("front", 1, left=True),
            Column("differs in", 5, left=True),
        ]
        cells = [
            [
                standing.point.name,
                _depth(standing),
                f"{standing.place:,}" if standing.row is not None else f"({standing.place:,})",
                *self._cells(standing.measures),
                _ON_FRONT if standing.row is not None and self.result.candidates.front[standing.row] else "",
                standing.point.differs,
            ]
            for standing in self.result.standings
        ]
        return _fitted(Grid(columns, cells), width)

    def _columns(self) -> list[Column]:
        columns = [Column(header(name), rank) for name, rank in self.measures.items()]
        return [columns[0], Column("change"), *columns[1:]]

    def _cells(self, row: Mapping[str, Any]) -> list[str]:
        change = relative(row, self.result.current.measures).get(self.study.sort)
        cells = [format_value(name, row[name]) for name in self.measures]
        return [cells[0], units.change(change), *cells[1:]]


def _fitted(grid: Grid, width: int | None) -> Grid:
    """*grid* without columns that are empty in every row, at most *width* wide."""
    used = [
        place
        for place, column in enumerate(grid.columns)
        if place == 0 or any(cells[place] not in ("", units.EMPTY) for cells in grid.cells)
    ]
    whole = replace(grid.take(used), hidden=())
    return whole if width is None else whole.fit(width, whole.widths[0])


def _subject(study: Study, result: Result) -> list[str]:
    space, options = study.space, study.bases[0].values
    stages = units.plural(len(space.least), "stage")
    what = f"place {units.plural(space.blocks, 'block')} in {stages}" if space.blocks else f"fill {stages}"
    each = list(dict.fromkeys(space.ranges))
    sizes = f"{each[0]} each" if len(each) == 1 else f"{', '.join(space.ranges)} blocks"
    values = {name: dict.fromkeys(base.values[name] for base in study.bases) for name in options}
    tried = [f"{name}={','.join(map(str, listed))}" for name, listed in values.items()]
    lines = [f"{units.plural(study.count, 'way')} to {what} ({sizes.replace('-', '–')})"]
    lines[0] += f", with {' and '.join(tried)}" if tried else ""
    if study.budgets:
        labels = ", ".join(budget.label for budget in study.budgets)
        lines.append(f"{len(result.candidates):,} of them within {labels}")
    count = int(result.candidates.front.sum())
    return [*lines, f"{count:,} on the Pareto front of {', '.join(study.objectives)}"]


def _ends(study: Study, result: Result) -> list[dict[str, Any]]:
    """The allocation that is best in each objective; of equals the one that is sorted first."""
    rows = []
    for name in study.objectives:
        values = merit(name, result.candidates.measures[name])
        if np.ptp(values) > 0:
            best = result.candidates.kept(np.arange(len(values)) == values.argmin())
            rows.append({"best": _extreme(name), **best.rows()[0]})
    return rows


def _moves(study: Study, moves: Sequence[Move]) -> list[str]:
    if not moves:
        limits = " within the budgets" if study.budgets else ""
        return [f"no move of blocks between two stages{limits} gives {_extreme(study.sort, more=True)}"]
    return [f"{number}. {sentence(study, move)}" for number, move in enumerate(moves, 1)]


def sentence(study: Study, move: Move) -> str:
    """Return a move and what it changes, those measures alone that it does change.

    Example: ``take 2 blocks from stage 1, give 2 to stage 3 (2-6-10-1): −9.0 % latency, +4.1 % params``.
    """
    names = dict.fromkeys((study.sort, "latency_us", "energy_mac_equiv", "params", "macs", "late_share"))
    changes = [
        f"{units.change(move.changes[name])} {words(name)}"
        for name in names
        if name in move.changes and abs(move.changes[name]) >= 0.0005
    ]
    return (
        f"take {units.plural(move.blocks, 'block')} from stage {move.taken_from}, give {move.blocks} to stage "
        f"{move.given_to} ({'-'.join(map(str, move.depth))}): {', '.join(changes)}"
    )


def _notes(study: Study) -> list[str]:
    count = len(study.space.least)
    late = ", ".join(f"stage{number}" for number in range(count - count // 2 + 1, count + 1))
    notes = []
    if late:
        notes.append(
            f"late params is the share of {late} in the params of all stages: a stand-in for how much the network can "
            "learn where features are abstract, and no accuracy"
        )
    fit = ", or does not fit a memory" if any(result.left_out for result in study.results) else ""
    notes.append(
        f"change is that of {words(study.sort)} from {study.model}; place is by {words(study.sort)}, in brackets where "
        f"a network is no allocation of these, or not within the budgets{fit}"
    )
    return [*notes, *(result.misfits for result in study.results if result.misfits)]


def _extreme(name: str, *, more: bool = False) -> str:
    if is_more_better(name):
        return f"{'more' if more else 'most'} {words(name)}"
    return f"{'less' if more else 'least'} {words(name)}"


def _depth(standing: Standing) -> str:
    return "-".join(map(str, standing.point.depth))


MOST_OBJECTS = 200_000
"""Rows of a JSON document, which a reader holds whole."""
_CHUNK = 50_000  # rows of CSV that are made at once


def file_format(path: str | PathLike[str]) -> str:
    """Return the suffix of *path*, one of ``FORMATS``.

    Raises:
        UsageError: it is none of them.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"cannot write {fspath(path)!r}: files of allocations end in {', '.join(FORMATS)}, "
            f"found {suffix or 'no suffix'}{nearest(suffix, FORMATS)}"
        )
    return suffix


def file_of(study: Study, suffix: str, *, top: int | None = None, front: bool = False) -> str:
    """Return *study* as the text of a file: all allocations within the budgets as CSV and JSON.

    Markdown has what is shown, the first *top*, of the Pareto front alone where *front*.
    """
    return text_of(study, suffix, top=top, front=front) if suffix == ".md" else text_of(study, suffix)


def text_of(study: Study, suffix: str, *, top: int | None = None, front: bool = False) -> str:
    """Return *study* as text in one of ``FORMATS``.

    CSV and JSON have all allocations within the budgets, or the first *top*; those of the Pareto front alone where
    *front*.
    """
    return FORMATS[suffix](study, top, front)


def to_csv(study: Study, top: int | None = None, front: bool = False) -> str:
    """Return a line for each allocation and accelerator, the best of each accelerator first."""
    parts = [
        csv_text(shown.rows(start=start, count=_CHUNK))
        for result in study.results
        for shown in [_shown(result, top, front)]
        for start in range(0, len(shown), _CHUNK)
    ]
    return parts[0] + "".join(part.partition("\n")[2] for part in parts[1:])


def to_json(study: Study, top: int | None = None, front: bool = False) -> str:
    """Return what was asked for, and for each accelerator allocations, published networks and moves.

    Raises:
        UsageError: there are more than 200,000 rows.
    """
    count = sum(len(_shown(result, top, front)) for result in study.results)
    if count > MOST_OBJECTS:
        raise UsageError(
            f"{count:,} allocations are too many for JSON; allowed: at most {MOST_OBJECTS:,}, by budgets, or CSV"
        )
    document = {
        "model": str(study.model),
        "blocks": study.space.blocks,
        "stages": [
            f"{low}-{high}" for low, high in zip(study.space.least, study.space.greatest, strict=True)
        ],
        "options": [dict(base.values) for base in study.bases],
        "budgets": [budget.condition.text for budget in study.budgets],
        "objectives": list(study.objectives),
        "sort": study.sort,
        "allocations": study.count,
        "results": [_result(result, top, front) for result in study.results],
    }
    return json_page(round_floats(document))


def to_markdown(study: Study, top: int | None = None, front: bool = False) -> str:
    """Return what the command prints, with all columns, as GitHub's Markdown."""
    return markdown(sections(study, top=TOP if top is None else top, front=front))


def _shown(result: Result, top: int | None, front: bool) -> Candidates:
    candidates = result.candidates.kept(result.candidates.front) if front else result.candidates
    return candidates.kept(np.arange(len(candidates)) < (len(candidates) if top is None else top))


def _result(result: Result, top: int | None, front: bool) -> dict[str, Any]:
    return {
        "accelerator": result.accelerator.name,
        "within_budgets": len(result.candidates),
        "on_front": int(result.candidates.front.sum()),
        "networks": [_written(standing.record) for standing in result.standings],
        "moves": None if result.moves is None else [_written(move.record) for move in result.moves],
        "rows": _shown(result, top, front).rows(),
    }


def _written(record: Mapping[str, Any]) -> dict[str, Any]:
    """*record* with its depth as ``2-4-14-1``."""
    return {**record, "depth": "-".join(map(str, record["depth"]))}


FORMATS: dict[str, Callable[[Study, int | None, bool], str]] = {
    ".csv": to_csv,
    ".json": to_json,
    ".md": to_markdown,
}
"""Suffixes of files that can be written."""
