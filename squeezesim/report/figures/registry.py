"""The kinds of figures by name: what draws them, and what each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError, nearest
from squeezesim.report.figures.energy import energy
from squeezesim.report.figures.losses import losses
from squeezesim.report.figures.memory import memory
from squeezesim.report.figures.roofline import roofline
from squeezesim.report.figures.stages import stages
from squeezesim.report.figures.style import render
from squeezesim.report.figures.timeline import timeline
from squeezesim.report.figures.tradeoff import tradeoff
from squeezesim.report.figures.utilization import utilization

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: what it shows, the function that draws it, whether it takes several reports, its own options."""

    says: str
    draw: Callable[..., Figure]
    several: bool = False
    options: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "utilization": Kind(
        "cycles of the layers of each shape by cause, and utilization", utilization, options=("equal",)
    ),
    "stages": Kind("time and energy of each stage, networks side by side", stages, several=True),
    "losses": Kind("from the cycles of the MACs alone to all cycles", losses),
    "roofline": Kind("layers below the ceilings of array, DRAM and buffer", roofline),
    "energy": Kind("energy by level, that of DRAM by operand", energy),
    "memory": Kind("tensors in the buffer and in DRAM, or what is live where nothing stays", memory),
    "tradeoff": Kind("accuracy against latency and energy", tradeoff, several=True, options=("top1",)),
    "timeline": Kind("load, compute and store of the tiles of a few layers", timeline, options=("layers",)),
}


def kind_named(name: str) -> Kind:
    """Return the kind *name*.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in KINDS:
        raise UsageError(f"there is no figure {name!r}; allowed: {', '.join(KINDS)}{nearest(name, KINDS)}")
    return KINDS[name]


def check(name: str, count: int) -> None:
    """Check that the figure *name* takes *count* reports.

    Raises:
        UsageError: it takes one.
    """
    if count != 1 and not kind_named(name).several:
        raise UsageError(f"the figure {name!r} is of one report, found {count}")


def figure(name: str, reports: Sequence[ReportData], file_format: str, **options: Any) -> bytes:
    """Return the figure *name* of *reports* as ``png``, ``svg`` or ``pdf``, the same bytes for equal reports.

    *options* are those of the function that draws it, of which ``theme`` is everyone's.

    Raises:
        UsageError: there is no such figure, it takes one report, or an option is wrong.
    """
    kind = kind_named(name)
    check(name, len(reports))
    subject = list(reports) if kind.several else reports[0]
    return render(lambda: kind.draw(subject, **options), file_format)
