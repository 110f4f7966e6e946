"""What ``explain`` says, as sections of a text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from squeezesim.report.document import rounded
from squeezesim.report.explain import summary
from squeezesim.report.text import Section, caveats

if TYPE_CHECKING:
    from squeezesim.explore.advise.proposal import Proposal
    from squeezesim.report.explain import Explained
    from squeezesim.report.report import Report

FORMAT = "squeezesim.explanation"
VERSION = 1
ALIKE = "dataflows of a layer are compared each in its best tiling, on the array as it is"
APART = "each proposal is simulated by itself: what two of them save together is not the sum of both"
_LAYERS = ("layers run one after the other, and each reads from DRAM and writes to it",)
NOTHING = "none of the changes that are tried saves 0.1 % of the cycles"


def sections(report: Report, explained: Sequence[Explained], proposals: Sequence[Proposal]) -> list[Section]:
    """Return the parts of the text in their order."""
    return [
        Section(f"{report.network.name} on {report.accelerator.name}", summary(report)),
        Section("what takes the time", _numbered(explained)),
        Section("what would save time", _numbered(proposals) if proposals else [NOTHING]),
        Section("taken for granted", assumptions(report, proposals)),
        *caveats(report),
    ]


def assumptions(report: Report, proposals: Sequence[Proposal]) -> list[str]:
    """Return what the numbers take for granted, beside what single proposals do."""
    several = len(report.accelerator.array.dataflows) > 1
    return [*([ALIKE] if several else []), *([APART] if len(proposals) > 1 else []), *_LAYERS]


def document(report: Report, explained: Sequence[Explained], proposals: Sequence[Proposal]) -> str:
    """Return the same as JSON; floats have ten significant digits."""
    data = {
        "format": FORMAT,
        "version": VERSION,
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "totals": rounded(report.totals),
        "summary": summary(report),
        "layers": [
            rounded(
                {
                    "layers": part.layers,
                    "cycles": part.cycles,
                    "share": part.share,
                    "sentences": part.sentences,
                }
            )
            for part in explained
        ],
        "proposals": [_proposal(proposal) for proposal in proposals],
        "assumptions": assumptions(report, proposals),
        "unmodelled": [
            {"op": item.op, "count": item.count, "module": item.module} for item in report.unmodelled
        ],
        "notes": report.notes,
    }
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _proposal(proposal: Proposal) -> dict[str, Any]:
    row = proposal.row()
    return {**rounded(row), "before": rounded(row["before"]), "after": rounded(row["after"])}


def _numbered(items: Sequence[object]) -> list[str]:
    return [f"{place}. {item}" for place, item in enumerate(items, 1)]
