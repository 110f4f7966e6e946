"""Themes: the colours of figures on light and on dark paper, distinct for every kind of colour vision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import LOSSES, OPERANDS
from squeezesim.errors import UsageError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """Colours by what they stand for; ``series`` are nine for what has no colour of its own."""

    name: str
    paper: str
    ink: str
    faint: str  # lines that lead to names
    grid: str
    band: str  # every second stage
    series: tuple[str, ...]

    @property
    def causes(self) -> Mapping[str, str]:
        """Colours of executed MACs and of each loss."""
        return dict(zip(("executed", *LOSSES), self.series, strict=True))

    @property
    def levels(self) -> Mapping[str, str]:
        """Colours of the levels of energy; those of DRAM, buffer and vector unit are those of their losses."""
        return dict(zip(LEVELS, self._picked(0, 3, 1, 5, 4, 8, 2), strict=True))

    @property
    def operands(self) -> Mapping[str, str]:
        """Colours of what moves between DRAM and buffer."""
        return dict(zip(OPERANDS, self._picked(6, 8, 3, 7), strict=True))

    @property
    def dataflows(self) -> Mapping[str, str]:
        """Colours of the dataflows."""
        return dict(zip(DATAFLOWS, self._picked(4, 0, 1, 3, 5, 7), strict=True))

    def _picked(self, *places: int) -> Iterable[str]:
        return (self.series[place] for place in places)


# Paul Tol's "muted" scheme, https://personal.sron.nl/~pault/ (SRON/EPS/TN/09-002), and for dark paper that of Okabe and
# Ito, https://jfly.uni-koeln.de/color/ (Color Universal Design), with grey and white for its black.
_LIGHT = Theme(
    name="light",
    paper="#FFFFFF",
    ink="#1A1A1A",
    faint="#808080",
    grid="#D9D9D9",
    band="#F2F2F2",
    series=(
        "#332288",
        "#CC6677",
        "#999933",
        "#DDCC77",
        "#88CCEE",
        "#117733",
        "#44AA99",
        "#AA4499",
        "#882255",
    ),
)
_DARK = Theme(
    name="dark",
    paper="#16181D",
    ink="#E8E8E8",
    faint="#8C929C",
    grid="#3A3F48",
    band="#22262D",
    series=(
        "#56B4E9",
        "#D55E00",
        "#666666",
        "#F0E442",
        "#0072B2",
        "#009E73",
        "#E69F00",
        "#CC79A7",
        "#FFFFFF",
    ),
)
THEMES: Mapping[str, Theme] = {theme.name: theme for theme in (_LIGHT, _DARK)}


def theme_named(name: str) -> Theme:
    """Return the theme *name*.

    Raises:
        UsageError: it is neither ``light`` nor ``dark``.

    Example:
        >>> theme_named("dark").paper
        '#16181D'
    """
    if name not in THEMES:
        raise UsageError(f"there is no theme {name!r}; allowed: {', '.join(THEMES)}{nearest(name, THEMES)}")
    return THEMES[name]
