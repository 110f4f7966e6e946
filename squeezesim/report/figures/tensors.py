"""Tensors along the network as rectangles: those in the buffer beside its tiles, and activations in a memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from squeezesim.cost.costs import label_of
from squeezesim.cost.machine import LEVELS
from squeezesim.report import units
from squeezesim.report.figures.charts import Unit, boxes, byte_unit, name_layers, shade_stages, width_of
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, labels, patch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.cost.occupancy import Occupancy, Tensor
    from squeezesim.report.data import ReportData

_HEIGHT = 7.6
_INCHES_OF_AXIS = 2.4
_LETTERS = (30, 22, 16, 12, 9)  # of a name in a rectangle, tried until it fits
HELD = ("buffer", "both", "memory", "weights")
"""What a tensor is in the buffer or in a memory."""

_NAME_SIZE = 6.0
_INCHES_OF_NAME = 0.11
_INCHES_A_LETTER = 0.062


def draw_tensors(report: ReportData, found: Occupancy, ax: Any, theme: str) -> Figure:
    """Draw what *found* says is in the buffer, and below which activations are in a memory."""
    layers = report.network.layers
    shown = [number for number, layer in enumerate(layers) if layer.kind != "view"]
    stages, names = [layers[number].stage for number in shown], [layers[number].name for number in shown]
    count, known = len(shown), list(dict.fromkeys(stages))
    place = (np.cumsum([layer.kind != "view" for layer in layers]) - 1).tolist()
    sheet = Sheet.open(ax, theme, (width_of(count), _HEIGHT), rows=2)
    colours = sheet.theme.colours(HELD)
    memory = label_of(report.machine.memory_names[report.machine.home("outputs")], LEVELS)
    where = "addresses" if found.has_addresses else "stacked"
    inches = sheet.inches / count, sheet.high(_INCHES_OF_AXIS)
    legend: dict[str, Any] = {}
    for axes, tensors, text in zip(
        sheet.panels, (found.stays, found.outside), (f"in the buffer, {where}", f"in {memory}"), strict=True
    ):
        is_buffer = tensors is found.stays
        top = max(
            [max(each.addresses) + each.bits for each in tensors] + [found.capacity] * is_buffer, default=8
        )
        unit = byte_unit(top // 8)
        high = top / 8 * unit.factor * shade_stages(axes, stages, inches, sheet.theme, known)
        axes.set_xlim(-0.6, count - 0.4)
        axes.set_ylim(0, high)
        axes.set_ylabel(unit.label(text), fontsize=NORMAL)
        draw_grid_lines(axes, sheet.theme)
        if is_buffer:
            legend |= _tiles(sheet, axes, found, place, unit)
            line = axes.axhline(
                found.capacity / 8 * unit.factor,
                color=sheet.theme.ink,
                linestyle="--",
                linewidth=1.2,
                zorder=4,
            )
            legend[f"room for tensors and tiles: {units.size(found.capacity // 8)}"] = line
        for kind, label in _labels(memory).items():
            own = [each for each in tensors if kind_of(each, is_buffer=is_buffer) == kind]
            drawn = [piece for each in own for piece in _pieces(each, place, unit.factor / 8)]
            if drawn:
                _, *sides = zip(*drawn, strict=True)
                edge = {"edgecolor": sheet.theme.paper, "linewidth": 0.5}
                boxes(axes, [np.array(side) for side in sides], colours[kind], **edge)
                _name(axes, drawn, (inches[0], inches[1] / high), _ink(colours[kind]))
                legend[label] = patch(colours[kind])
    first, last = sheet.panels
    first.set_xticks([])
    name_layers(sheet, last, names)
    written = [each for each in found.stays if not each.is_weights]
    sheet.title(
        f"{report.network.name} on {report.accelerator.name}: {len(written):,} feature maps stay in the buffer, which "
        f"keeps at most {units.size(int(report.costs.kept_bytes.max()))}"
    )
    sheet.legend(legend)
    sheet.finish()
    return sheet.figure


def _labels(memory: str) -> Mapping[str, str]:
    return {
        "buffer": "feature maps in the buffer",
        "both": f"feature maps in the buffer and in {memory}",
        "weights": "weights that stay",
        "memory": f"feature maps in {memory} alone",
    }


def kind_of(tensor: Tensor, *, is_buffer: bool) -> str:
    """Return what *tensor* is in the buffer, or in a memory: one of ``HELD``."""
    if tensor.is_weights:
        return "weights"
    return "both" if tensor.is_both else "buffer" if is_buffer else "memory"


class _Rectangle(NamedTuple):
    """A piece of a tensor: its name, and its sides on the axes."""

    name: str
    left: float
    right: float
    bottom: float
    top: float


def _pieces(tensor: Tensor, place: Sequence[int], scale: float) -> Iterator[_Rectangle]:
    """The pieces of a tensor along the axis, on which views have no place."""
    for begin, end, address in tensor.pieces:
        first, last = floor(begin + 0.5), ceil(end - 0.5)
        sides = place[first] + begin - first, place[last] + end - last
        yield _Rectangle(tensor.name, *sides, address * scale, (address + tensor.bits) * scale)


def _name(axes: Axes, drawn: Sequence[_Rectangle], inches: tuple[float, float], colour: str) -> None:
    """Write the names into those rectangles that have room for them; *inches* are those of a unit of each axis."""
    names = [each.name for each in drawn]
    shorter = [labels(names, width) for width in _LETTERS]
    for each, *texts in zip(drawn, *shorter, strict=True):
        wide, high = (each.right - each.left) * inches[0], (each.top - each.bottom) * inches[1]
        level = wide > high
        along, across = (wide, high) if level else (high, wide)
        room = int((along - _INCHES_OF_NAME / 2) / _INCHES_A_LETTER) if across >= _INCHES_OF_NAME else 0
        text = next((text for text in texts if len(text) <= room), "")
        if text:
            axes.text(
                (each.left + each.right) / 2,
                (each.bottom + each.top) / 2,
                text,
                ha="center",
                va="center",
                fontsize=_NAME_SIZE,
                color=colour,
                rotation=0 if level else 90,
                parse_math=False,
                clip_on=True,
                zorder=5,
            )


def _ink(paper: str) -> str:
    """Black or white, whichever is read better on *paper*."""
    red, green, blue = (int(paper[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return "#000000" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.18 else "#FFFFFF"


def _tiles(sheet: Sheet, axes: Axes, found: Occupancy, place: Sequence[int], unit: Unit) -> dict[str, Any]:
    rows = [
        (place[layer], at, bits)
        for layer, (at, bits) in enumerate(zip(found.tiles_at, found.tiles, strict=True))
        if bits
    ]
    if not rows:
        return {}
    at, bottom, bits = np.array(rows, np.float64).T
    scale = unit.factor / 8
    boxes(axes, (at - 0.5, at + 0.5, bottom * scale, (bottom + bits) * scale), sheet.theme.grid, zorder=1.5)
    return {"tiles of the layer": patch(sheet.theme.grid)}
