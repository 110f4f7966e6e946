"""A comparison as Markdown, for a comment on a change, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from squeezesim.explore.compare.comparison import Comparison
from squeezesim.explore.compare.gate import Verdict
from squeezesim.explore.compare.notes import notes
from squeezesim.explore.compare.text import condition_lines, sections
from squeezesim.report import units
from squeezesim.report.document import rounded
from squeezesim.report.markdown import markdown
from squeezesim.report.text import Section


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
    document: dict[str, Any] = {"results": [rounded(row) for row in comparison.rows()]}
    if by != "result":
        document[f"{by}s"] = [rounded(row) for row in comparison.rows(by)]
    document["conditions"] = [
        {"fail_if": verdict.condition.text, "has_failed": verdict.has_failed, "failures": verdict.failures}
        for verdict in verdicts
    ]
    document["notes"] = notes(comparison)
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
