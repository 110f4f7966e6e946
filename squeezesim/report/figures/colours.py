"""Colours of figures, pages and notebooks: one for each thing that they show, in all of them.

A cause of losses and the level of energy of the same name are one thing: waiting for DRAM and the energy of DRAM. What
has no colour here, such as memories that a file declares, gets further ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from squeezesim.errors import UsageError, nearest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Theme:
    """Colours of paper, letters and lines; of what has a meaning of its own; of what is compared, in its order.

    Attributes:
        faint: of lines that lead to names.
        band: behind every second stage.
        parts: by what they stand for: causes of losses and memories, levels of energy, operands, dataflows.
        series: nine for networks, accelerators, devices.
    """

    name: str
    paper: str
    ink: str
    faint: str
    grid: str
    band: str
    parts: Mapping[str, str]
    series: tuple[str, ...]

    def colours(self, names: Iterable[str]) -> dict[str, str]:
        """Return the colours of causes, levels, operands, dataflows and places of tensors, whichever *names* are.

        Example:
            >>> theme_named("light").colours(["executed", "mac", "dram"])
            {'executed': '#332288', 'mac': '#332288', 'dram': '#88CCEE'}
        """
        known = {name: self.parts.get(_SAME.get(name, name), "") for name in names}
        further = iter(further_colours(self, sum(not colour for colour in known.values())))
        return {name: colour or next(further) for name, colour in known.items()}


_SAME = {"mac": "executed", "scalesim_os": "os", "scalesim_ws": "ws", "scalesim_is": "is"}
_SAME |= {"memory": "dram", "read": "inputs", "written": "outputs", "kept": "buffer"}

_GRID = np.linspace(0, 1, 9)  # of each part of further colours
_PALEST = 40.0  # of the distance to the paper
_BRIGHTEST = 65.0  # of the distance to grey, so that none shouts
_MIDDLE = 50.0  # of lightness, from black to white
_DARKEST = 30.0  # of the lightness above dark paper, on which a dark blue is not seen, however blue it is
_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
_WHITE = np.array([0.95047, 1, 1.08883])


@cache
def further_colours(theme: Theme, count: int) -> tuple[str, ...]:
    """Return *count* colours beside those of *theme*, each as far as can be from all of them and those before it.

    Distances are those of CIE L*a*b*. From some hundred on they begin again.

    Example:
        >>> further_colours(theme_named("light"), 2)
        ('#000020', '#40FFBF')
    """
    rgb = np.stack(np.meshgrid(_GRID, _GRID, _GRID), axis=-1).reshape(-1, 3)
    rgb = np.round(rgb * 255) / 255
    seen = _lab(rgb)
    taken = _lab(np.array([_rgb(colour) for colour in (theme.paper, *theme.parts.values(), *theme.series)]))
    paper = taken[0, 0]
    apart = np.linalg.norm(seen[:, np.newaxis] - taken, axis=-1)
    free = (apart[:, 0] > _PALEST) & (np.hypot(seen[:, 1], seen[:, 2]) < _BRIGHTEST)
    if paper < _MIDDLE:
        free &= seen[:, 0] > paper + _DARKEST
    nearest = apart.min(axis=1)
    found: list[str] = []
    for _ in range(min(count, int(free.sum()))):
        place = int(np.where(free, nearest, -1).argmax())
        found.append("#" + "".join(f"{round(part * 255):02X}" for part in rgb[place].tolist()))
        free[place] = False
        nearest = np.minimum(nearest, np.linalg.norm(seen - seen[place], axis=-1))
    return tuple(islice(cycle(found), count))


def _rgb(colour: str) -> list[float]:
    return [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours in CIE L*a*b*, from sRGB between 0 and 1."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _XYZ.T / _WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


# The causes on light paper are Paul Tol's "muted" scheme, https://personal.sron.nl/~pault/ (SRON/EPS/TN/09-002). The
# others were sought so that no two are alike, and those of one figure are told apart by every kind of colour vision.
_LIGHT = Theme(
    name="light",
    paper="#FFFFFF",
    ink="#1A1A1A",
    faint="#808080",
    grid="#D9D9D9",
    band="#F2F2F2",
    parts={
        "executed": "#332288",
        "edge": "#CC6677",
        "zeros": "#999933",
        "fill": "#DDCC77",
        "dram": "#88CCEE",
        "buffer": "#117733",
        "startup": "#44AA99",
        "setup": "#AA4499",
        "vector": "#882255",
        "register_file": "#E64258",
        "inter_pe": "#D5730A",
        "leakage": "#B488A7",
        "inputs": "#ADD348",
        "weights": "#004A30",
        "outputs": "#F6A27F",
        "psums": "#769BD3",
        "ws": "#A6CD8E",
        "os": "#31A3FE",
        "rs": "#5F62BE",
        "is": "#AC6A30",
        "both": "#9F8B77",
    },
    series=(
        "#0949A9",
        "#FFBF5E",
        "#C7365A",
        "#06D1F1",
        "#A681E2",
        "#645E0F",
        "#932F74",
        "#9F9095",
        "#CAAE82",
    ),
)
_DARK = Theme(
    name="dark",
    paper="#16181D",
    ink="#E8E8E8",
    faint="#8C929C",
    grid="#3A3F48",
    band="#22262D",
    parts={
        "executed": "#877FEF",
        "edge": "#F8668A",
        "zeros": "#95831A",
        "fill": "#BEBF77",
        "dram": "#01BCE0",
        "buffer": "#76F7B5",
        "startup": "#028F6B",
        "setup": "#A36C99",
        "vector": "#F6CBDE",
        "register_file": "#BC6876",
        "inter_pe": "#DC7D5A",
        "leakage": "#C2529D",
        "inputs": "#CDE06F",
        "weights": "#48A95E",
        "outputs": "#B96714",
        "psums": "#BDDEFB",
        "ws": "#819D32",
        "os": "#6088A7",
        "rs": "#CEA8FF",
        "is": "#FACBAF",
        "both": "#E9BD49",
    },
    series=(
        "#348BF4",
        "#DCA875",
        "#D3616E",
        "#369BB8",
        "#ACA8F6",
        "#7F8C38",
        "#FBCBF6",
        "#B5A8A8",
        "#FCDB72",
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
