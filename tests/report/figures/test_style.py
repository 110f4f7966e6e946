from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from squeezesim.cost.costs import CAUSES, OPERANDS
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import LEVELS
from squeezesim.errors import UsageError
from squeezesim.network import network
from squeezesim.report.figures.charts import cause_labels
from squeezesim.report.figures.colours import THEMES, Theme, further_colours, theme_named
from squeezesim.report.figures.tensors import HELD

# Machado, Oliveira, Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency, IEEE TVCG
# 15(6), 2009, table 1, severity 1.0; on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.95047, 1, 1.08883])
LEAST = 14
"""Of the distance of two colours in CIE L*a*b*; 2 is just seen side by side."""
APART = 11
"""The same of what no figure shows together."""

both = pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
Colour = NDArray[np.float64]


def linear(colour: str) -> Colour:
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str) -> Colour:
    seen = np.clip(VISION[vision] @ linear(colour), 0, 1)
    ratio = XYZ @ seen / WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(one: str, other: str) -> float:
    """As in the Web Content Accessibility Guidelines: from 1 to 21."""
    bright, dark = sorted((float(XYZ[1] @ linear(colour)) for colour in (one, other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


TOGETHER = (
    ("executed", *CAUSES),
    ("mac", *(level for level in LEVELS if level != "mac")),
    (*OPERANDS, "executed", "setup"),
    ("ws", "os", "rs", "scalesim_is"),
    HELD,
    ("read", "written", "kept", "weights"),
)
"""What one figure shows."""


def shown(theme: Theme) -> list[tuple[str, ...]]:
    """The colours of each figure."""
    return [*(tuple(theme.colours(names).values()) for names in TOGETHER), theme.series]


@both
@pytest.mark.parametrize("vision", VISION)
def test_colours_of_a_figure_are_told_apart_by_every_kind_of_vision(theme: Theme, vision: str) -> None:
    for colours in shown(theme):
        for one, other in combinations((theme.paper, *colours), 2):
            assert np.linalg.norm(lab(one, vision) - lab(other, vision)) > LEAST, (one, other)


@both
def test_no_colour_means_two_things(theme: Theme) -> None:
    every = [theme.paper, theme.grid, *theme.parts.values(), *theme.series]
    for one, other in combinations(every, 2):
        assert np.linalg.norm(lab(one, "normal") - lab(other, "normal")) > APART, (one, other)
    assert {name for names in TOGETHER for name in names} >= theme.parts.keys() - {"is"}


def test_the_simulation_finds_colours_that_are_not() -> None:
    red, green = "#AA5500", "#607000"
    assert np.linalg.norm(lab(red, "normal") - lab(green, "normal")) > 2 * LEAST
    assert np.linalg.norm(lab(red, "deuteranopia") - lab(green, "deuteranopia")) < LEAST


def test_tables_of_networks_have_the_colours_of_macs_and_weights() -> None:
    colours = theme_named("light").colours(("executed", "weights"))
    assert tuple(colours.values()) == (network._MACS, network._PARAMS)


@both
def test_text_is_read_on_its_paper(theme: Theme) -> None:
    assert contrast(theme.ink, theme.paper) > 7
    assert contrast(theme.ink, theme.band) > 7
    assert contrast(theme.faint, theme.paper) > 3
    assert contrast(theme.grid, theme.paper) < 2


@both
def test_everything_has_a_colour_of_its_own(theme: Theme) -> None:
    for names in (("executed", *CAUSES), tuple(LEVELS), tuple(OPERANDS), ("os", "ws", "rs")):
        colours = theme.colours(names)
        assert tuple(colours) == names
        assert len(set(colours.values())) == len(names)
    assert set(theme.colours(DATAFLOWS).values()) <= set(theme.parts.values())
    both = theme.colours(("mac", "executed", "scalesim_os", "os"))
    assert both["mac"] == both["executed"]
    assert both["scalesim_os"] == both["os"]


@both
def test_what_no_table_knows_has_a_colour_of_its_own(theme: Theme) -> None:
    names = ("executed", *CAUSES, *(f"cause_{number}" for number in range(20)))
    colours = theme.colours(names)
    assert {name: colours[name] for name in CAUSES} == {name: theme.parts[name] for name in CAUSES}
    seen = [lab(colour, "normal") for colour in (theme.paper, *colours.values())]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > LEAST
    assert colours == theme.colours(names)
    assert len(theme.colours(map(str, range(2000)))) == 2000


def test_everything_has_a_word() -> None:
    assert cause_labels(("edge", "bank_conflict")) == {
        **{"executed": "MACs", "edge": "edge: PEs without work"},
        "bank_conflict": "bank conflict",
    }


def test_there_are_two_themes() -> None:
    with pytest.raises(UsageError) as caught:
        theme_named("drak")
    assert str(caught.value) == "there is no theme 'drak'; allowed: light, dark; did you mean 'dark'?"


def test_on_dark_paper_further_colours_are_light_enough() -> None:
    """Contrast as the W3C defines it, (L + 0.05) / (L' + 0.05) of relative luminances, at least 2."""
    theme = theme_named("dark")

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colour in further_colours(theme, 24):
        assert (luminance(colour) + 0.05) / (luminance(theme.paper) + 0.05) >= 2, colour
