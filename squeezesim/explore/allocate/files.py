"""A study as files: CSV, JSON, Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.allocate.text import TOP, sections
from squeezesim.report.files import csv_text
from squeezesim.report.markdown import markdown

if TYPE_CHECKING:
    from squeezesim.explore.allocate.candidates import Candidates
    from squeezesim.explore.allocate.study import Result, Study

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
    return json.dumps(_rounded(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


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


def _rounded(value: Any) -> Any:
    """*value* with ten significant digits in floats, so that the text does not depend on the last bit."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


FORMATS: dict[str, Callable[[Study, int | None, bool], str]] = {
    ".csv": to_csv,
    ".json": to_json,
    ".md": to_markdown,
}
"""Suffixes of files that can be written."""
