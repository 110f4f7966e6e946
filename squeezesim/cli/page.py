"""The page of results, as commands write it: with the command, and what would save time."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from squeezesim.report.report import Report


def page(reports: Sequence[Report], words: Sequence[str], *, advise: bool, cache: bool) -> str:
    """Return the page that the command of *words* writes.

    Where *advise* is set, what would save time is simulated, for a single result: in a comparison the results are each
    other's proposals.
    """
    from squeezesim.report.html.page import page

    advice = _advice(reports[0], cache=cache) if advise and len(reports) == 1 else []
    return page(reports, command=shlex.join(["squeezesim", *words]), advice=advice)


def _advice(report: Report, *, cache: bool) -> list[str]:
    from squeezesim.explore.advise.advise import advise
    from squeezesim.explore.advise.page import NOTHING

    return list(map(str, advise(report, cache=cache))) or [NOTHING]
