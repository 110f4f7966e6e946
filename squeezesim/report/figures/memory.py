"""The figure ``memory``: what is in the buffer along the network, or what is live where nothing stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.report import units
from squeezesim.report.figures.charts import byte_unit, name_layers, shade_stages, width_of
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, labels, patch
from squeezesim.report.figures.tensors import draw_tensors
from squeezesim.report.liveness import liveness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeezesim.report.data import ReportData

_HEIGHT = 7.2
_INCHES_OF_AXIS = 2.3
_LONGEST = 30
_FAR = 3  # a buffer that is larger than all by this factor would leave them too low to read
_LABELS = {
    "read": "activations that the layer reads",
    "written": "activations that it writes",
    "kept": "activations kept for later layers",
    "weights": "weights of the layer",
}


def memory(report: ReportData, ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw, for each layer, what the buffer holds while it runs, and the activations that are in a memory.

    Each tensor is a rectangle from the layer that writes it to the last that reads it, at its address; the line is the
    room that tensors and tiles share. Where nothing stays in the buffer, it draws the bytes of the activations that are
    live, from the edges of the network, and of each layer's weights. Views are left out.

    Raises:
        UsageError: *ax* are not two axes, or there is no such theme.
    """
    if report.occupancy is not None:
        return draw_tensors(report, report.occupancy, ax, theme)
    layers = [place for place, layer in enumerate(report.network.layers) if layer.kind != "view"]
    live = liveness(report.network, report.operands, report.machine.activation_bits)
    stages = [report.network.layers[place].stage for place in layers]
    known = list(dict.fromkeys(stages))
    count = len(layers)
    sheet = Sheet.open(ax, theme, (width_of(count), _HEIGHT), rows=2)
    buffer = report.accelerator.memory.global_buffer.size_kib * 1024
    shown: dict[str, Any] = {}
    for axes, parts in zip(sheet.panels, (("read", "written", "kept"), ("weights",)), strict=True):
        columns = {part: getattr(live, part)[layers] for part in parts}
        largest = int(sum(columns.values()).max())
        unit = byte_unit(largest)
        base, colours = np.zeros(count), sheet.theme.colours(columns)
        for part, values in columns.items():
            colour = colours[part]
            above = base + values * unit.factor
            # Not snapped to pixels, or layers narrower than a few of them would not be equally wide.
            style: dict[str, Any] = {
                "fill": True,
                "color": colour,
                "linewidth": 0,
                "zorder": 2,
                "snap": False,
            }
            axes.stairs(above, np.arange(count + 1) - 0.5, baseline=base, **style)
            if values.any():
                shown[_LABELS[part]] = patch(colour)
            base = above
        high = base.max()
        if buffer <= _FAR * largest:
            line = axes.axhline(
                buffer * unit.factor, color=sheet.theme.ink, linestyle="--", linewidth=1.2, zorder=3
            )
            high = max(high, buffer * unit.factor)
            shown[f"global buffer: {units.size(buffer)}"] = line
        axes.set_xlim(-0.6, count - 0.4)
        axes.set_ylabel(
            unit.label("weights" if parts == ("weights",) else "live activations"), fontsize=NORMAL
        )
        draw_grid_lines(axes, sheet.theme)
        headroom = shade_stages(
            axes, stages, (sheet.inches / count, sheet.high(_INCHES_OF_AXIS)), sheet.theme, known
        )
        axes.set_ylim(0, (high or 1) * headroom)
    first, last = sheet.panels
    names = [layer.name for layer in report.network.layers]
    first.set_xticks([])
    name_layers(sheet, last, [names[place] for place in layers])
    most = int(live.activations.argmax())
    sheet.title(
        f"{report.network.name} on {report.accelerator.name}: at most {units.size(int(live.activations[most]))} of "
        f"activations are live, at {labels(names, _LONGEST)[most]}"
    )
    sheet.legend(shown)
    sheet.finish()
    return sheet.figure
