"""Units of times and energies that leave numbers short, and ticks for logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from squeezesim.report import units

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from squeezesim.report.report import Report
    from squeezesim.report.tally import Floats, Tally

_MANY = 2000  # of a unit, from which on the next larger one is taken
# Ticks of a decade, for axes whose ends have at most this ratio.
_STEPS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (4, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)),
    (30, (1, 1.5, 2, 3, 4, 6, 8)),
    (3000, (1, 2, 5)),
    (math.inf, (1,)),
)


class Unit(NamedTuple):
    """A value times *factor* is in the unit *name*."""

    factor: float
    name: str

    def label(self, quantity: str) -> str:
        """Return the label of an axis."""
        return f"{quantity} ({self.name})"


def time_unit(largest_us: float) -> Unit:
    """Return the unit of times up to *largest_us* µs.

    Example:
        >>> time_unit(12345.6)
        Unit(factor=0.001, name='ms')
    """
    return _unit(largest_us, [Unit(1, "µs"), Unit(1e-3, "ms"), Unit(1e-6, "s")])


def byte_unit(largest: int) -> Unit:
    """Return the unit of sizes up to *largest* bytes.

    Example:
        >>> byte_unit(300_000)
        Unit(factor=0.0009765625, name='KiB')
    """
    return _unit(largest, [Unit(1 / 1024**power, name) for power, name in enumerate(units.IEC)])


class Energies:
    """Energies of several reports in one quantity: µJ where all tables are absolute, else units of one MAC."""

    def __init__(self, reports: Iterable[Report]) -> None:
        self.absolute = all(report.scale.pj_per_unit is not None for report in reports)

    def of(self, report: Report, tally: Tally) -> Floats:
        """Return the energy of each row of *tally* by level."""
        return tally.energy_uj(report.scale) if self.absolute else tally.energy_mac_equiv(report.scale)

    def text(self, value: float) -> str:
        """Return an energy with its unit."""
        return f"{units.decimal(value)} µJ" if self.absolute else f"{units.count(value)} MACs' worth"

    def unit(self, largest: float) -> Unit:
        """Return the unit of energies up to *largest*."""
        if self.absolute:
            return _unit(largest, [Unit(1, "µJ"), Unit(1e-3, "mJ"), Unit(1e-6, "J")])
        powers = {
            1.0: "MACs' worth",
            1e-3: "10³ MACs' worth",
            1e-6: "10⁶ MACs' worth",
            1e-9: "10⁹ MACs' worth",
        }
        return _unit(largest, [Unit(factor, name) for factor, name in powers.items()])


def _unit(largest: float, allowed: Sequence[Unit]) -> Unit:
    return next((unit for unit in allowed if largest * unit.factor < _MANY), allowed[-1])


def log_axes(axes: Axes, x: tuple[float, float], y: tuple[float, float] | None = None) -> None:
    """Make the x axis of *axes* logarithmic, and the y axis where it has limits, with ticks at short numbers."""
    from matplotlib.ticker import NullLocator

    for name, limits in (("x", x), ("y", y)):
        if limits is not None:
            low, high = limits
            axes.set(**{f"{name}scale": "log", f"{name}lim": limits})
            axis = axes.xaxis if name == "x" else axes.yaxis
            axis.set_ticks([tick for tick in _ticks(low, high) if low < tick < high])
            axis.set_major_formatter("{x:,g}")
            axis.set_minor_locator(NullLocator())


def _ticks(low: float, high: float) -> list[float]:
    """Short numbers around *low* and *high*: few a decade where there are many decades."""
    steps = next(steps for most, steps in _STEPS if high / low <= most)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{step}e{power}") for power in powers for step in steps]
