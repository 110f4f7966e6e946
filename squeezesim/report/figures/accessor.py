"""``report.plot``: the figures of a report as methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError
from squeezesim.report.figures import (
    energy,
    losses,
    memory,
    roofline,
    stages,
    timeline,
    tradeoff,
    utilization,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData


@dataclass(frozen=True, slots=True)
class Plots:
    """Figures of one report; each method returns the matplotlib ``Figure``, which notebooks show.

    *ax* is an axes to draw on, or several where the figure has several panels; without it the figure is a new one.
    *theme* is ``light`` or ``dark``.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("alexnet"), sq.Accelerator.named("os_32x32"))
        >>> report.plot.losses().savefig("losses.png")  # doctest: +SKIP
    """

    report: ReportData

    def __repr__(self) -> str:
        from squeezesim.report.figures.registry import KINDS

        return f"<Plots of {self.report.network.name} on {self.report.accelerator.name}: {', '.join(KINDS)}>"

    def utilization(self, ax: Any = None, *, equal: bool = False, theme: str = "light") -> Figure:
        """Cycles of each shape of layers by cause, and utilization; see ``figures.utilization``."""
        return utilization.utilization(self.report, ax, equal=equal, theme=theme)

    def stages(
        self, ax: Any = None, *, others: ReportData | Iterable[ReportData] = (), theme: str = "light"
    ) -> Figure:
        """Time and energy of each stage, beside those of *others*; see ``figures.stages``. Two panels."""
        return stages.stages([self.report, *_reports(others)], ax, theme=theme)

    def losses(self, ax: Any = None, *, theme: str = "light") -> Figure:
        """From the cycles of the MACs alone to all cycles; see ``figures.losses``."""
        return losses.losses(self.report, ax, theme=theme)

    def roofline(self, ax: Any = None, *, theme: str = "light") -> Figure:
        """Layers below the ceilings of the accelerator; see ``figures.roofline``. One panel or two."""
        return roofline.roofline(self.report, ax, theme=theme)

    def energy(self, ax: Any = None, *, theme: str = "light") -> Figure:
        """Energy by level, and that of DRAM by operand; see ``figures.energy``. Two panels."""
        return energy.energy(self.report, ax, theme=theme)

    def memory(self, ax: Any = None, *, theme: str = "light") -> Figure:
        """Live activations and weights beside the buffer; see ``figures.memory``. Two panels."""
        return memory.memory(self.report, ax, theme=theme)

    def tradeoff(
        self,
        ax: Any = None,
        *,
        others: ReportData | Iterable[ReportData] = (),
        top1: Mapping[str, float] | None = None,
        theme: str = "light",
    ) -> Figure:
        """Accuracy against latency and energy, with *others*; see ``figures.tradeoff``. Two panels an accelerator."""
        return tradeoff.tradeoff([self.report, *_reports(others)], ax, top1=top1, theme=theme)

    def timeline(self, ax: Any = None, *, layers: Sequence[str] = (), theme: str = "light") -> Figure:
        """Load, compute and store of the tiles of *layers*; see ``figures.timeline``. A panel a layer."""
        return timeline.timeline(self.report, ax, layers=layers, theme=theme)


def _reports(others: ReportData | Iterable[ReportData]) -> list[ReportData]:
    """Return *others*, one or several, as a list."""
    from squeezesim.report.data import ReportData

    listed = list(others) if isinstance(others, Iterable) else [others]
    for item in listed:
        if not isinstance(item, ReportData):
            raise UsageError(f"others are reports, as others=[second, third], found {type(item).__name__}")
    return listed
