"""Sizes of the buffer: what a network takes and moves over them, and which feature maps begin to stay at which.

All sizes are costed in one search. A map begins to stay at a size where the next smaller one does not keep it; one that
a larger buffer gives up again, since tiles or other maps use the room better, ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import HOMED
from squeezesim.cost.evaluate import evaluate_each
from squeezesim.cost.residents import maps_on
from squeezesim.errors import HardwareError, UsageError
from squeezesim.hardware.energy import energy_costs
from squeezesim.inputs import GivenAccelerator, GivenNetwork, accelerator_of, networks_of
from squeezesim.network.network import check_multiplies
from squeezesim.report import units
from squeezesim.report.figures.charts import log_axes, time_unit
from squeezesim.report.figures.style import NORMAL, Sheet, draw_grid_lines, labels, render
from squeezesim.report.frame import results
from squeezesim.report.grid import Column, Grid
from squeezesim.report.metrics import format_value
from squeezesim.report.report import Report
from squeezesim.report.stays import least_dram_bytes
from squeezesim.report.text import Section

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeezesim.cost.costs import Costs
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_PATH = "memory.global_buffer.size_kib"
_OCTAVES, _STEPS = 3, 2  # below and above the accelerator's size, and sizes in each
_NO_MAPS = (
    "no feature map stays: memory.global_buffer.keeps is not [activations], or memory.placement is layer"
)
FEWEST = 2
"""Sizes that there must be."""


@dataclass(frozen=True, slots=True)
class Size:
    """A network with a buffer of one size.

    Attributes:
        network: its name.
        size_kib: of the buffer.
        latency_us: of the network.
        energy_uj: None where the energy table is relative.
        energy_mac_equiv: None where a MAC costs nothing.
        dram_bytes: that it moves.
        compulsory_bytes: what no placement moves less than.
        maps: how many feature maps stay.
        begins: layers whose maps stay here and not with the next smaller buffer, the largest map first.
        ends: layers whose maps stay with the next smaller buffer and not here.
    """

    network: str
    size_kib: float
    latency_us: float
    energy_uj: float | None
    energy_mac_equiv: float | None
    dram_bytes: int
    compulsory_bytes: int
    maps: int
    begins: tuple[str, ...]
    ends: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """Return it as one row of data, names separated by blanks."""
        return asdict(self) | {"begins": " ".join(self.begins), "ends": " ".join(self.ends)}


@dataclass(frozen=True, slots=True)
class Sizes:
    """What sizes of a buffer do to networks.

    Attributes:
        accelerator: its name.
        size_kib: that of its own buffer.
        points: of each network the sizes that it fits, ascending.
        left_out: sizes that are not there, with the reason, a sentence each.
        keeps: whether the buffer may keep feature maps.
    """

    accelerator: str
    size_kib: float
    points: list[Size]
    left_out: list[str]
    keeps: bool

    def rows(self) -> list[dict[str, Any]]:
        """Return the points as rows of a table."""
        return [point.row() for point in self.points]

    @property
    def notes(self) -> list[str]:
        """What a reader must know: sizes that are not there, and that no map stays."""
        return [*self.left_out, *([] if self.keeps else [_NO_MAPS])]

    def of(self, network: str) -> list[Size]:
        """Return the points of one network."""
        return [point for point in self.points if point.network == network]

    @property
    def networks(self) -> list[str]:
        """Names of the networks, in their order."""
        return list(dict.fromkeys(point.network for point in self.points))


def default_sizes(size_kib: float) -> list[float]:
    """Return sizes from an eighth of *size_kib* to eight times it, two an octave, in whole KiB but for its own.

    Example:
        >>> default_sizes(512.0)[:4]
        [64.0, 91.0, 128.0, 181.0]
    """
    steps = range(-_OCTAVES * _STEPS, _OCTAVES * _STEPS + 1)
    found = [
        size_kib if step == 0 else float(max(round(size_kib * 2 ** (step / _STEPS)), 1)) for step in steps
    ]
    return sorted({*found})


def sizes_study(
    networks: Sequence[Network], accelerator: Accelerator, sizes: Iterable[float] | None = None
) -> Sizes:
    """Return what *networks* do with each of *sizes* of the buffer in KiB; see ``buffer_sizes``."""
    memory = accelerator.memory
    if memory.global_buffer.parts:
        raise UsageError(f"{accelerator.name} has a buffer of parts; allowed: one of a single size")
    own = memory.global_buffer.size_kib
    wanted = sorted({float(size) for size in (default_sizes(own) if sizes is None else sizes)})
    designs: list[Accelerator] = []
    left_out: list[str] = []
    for size in wanted:
        try:
            design = accelerator.replace({_PATH: size})
            energy_costs(design)
            designs.append(design)
        except HardwareError as error:
            left_out.append(f"{size:g} KiB is left out: {_first_line(error)}")
    points: list[Size] = []
    for network in networks if len(designs) >= FEWEST else ():
        check_multiplies(network)
        fused = network.fused
        costs, misfits = evaluate_each(fused.layers, designs)
        fitting = [number for number, misfit in enumerate(misfits) if misfit is None]
        left_out += [
            f"{fused.name}, {designs[number].memory.global_buffer.size_kib:g} KiB is left out: {misfit}"
            for number, misfit in enumerate(misfits)
            if misfit is not None
        ]
        points += _points(fused, [designs[number] for number in fitting], costs, fitting)
    for network in networks:
        if sum(point.network == network.name for point in points) < FEWEST:
            why = left_out[0] if left_out else f"allowed: at least {FEWEST}"
            raise UsageError(
                f"of {units.plural(len(wanted), 'size')} fewer than {FEWEST} can be costed; {why}"
            )
    keeps = "activations" in memory.global_buffer.keeps and memory.placement == "best"
    return Sizes(accelerator.name, own, points, left_out, keeps)


def _first_line(error: HardwareError) -> str:
    return str(error).splitlines()[0]


def _points(
    network: Network, designs: Sequence[Accelerator], costs: Costs, rows: Sequence[int]
) -> Iterator[Size]:
    """The points of a network on *designs*, which are *rows* of *costs*."""
    before: set[int] = set()
    outputs = HOMED.index("outputs")
    for design, row in zip(designs, rows, strict=True):
        own = {name: column[row : row + 1] for name, column in costs.arrays.items()}
        report = Report(network, design, type(costs)(**own, **costs.axes._asdict()))
        stays = {*np.flatnonzero(costs.homes[row, :, outputs] > 0).tolist()}
        bits = maps_on(network.layers, report.machine).bits
        totals = report.totals
        moved = int(report.tally.dram_bytes.sum())
        yield Size(
            network=network.name,
            size_kib=design.memory.global_buffer.size_kib,
            latency_us=totals["latency_us"] or 0.0,
            energy_uj=totals["energy_uj"],
            energy_mac_equiv=totals["energy_mac_equiv"],
            dram_bytes=moved,
            compulsory_bytes=min(least_dram_bytes(report), moved),
            maps=len(stays),
            begins=_names(network, stays - before, bits),
            ends=_names(network, before - stays, bits),
        )
        before = stays


def _names(network: Network, layers: set[int], bits: Sequence[int]) -> tuple[str, ...]:
    """The names of *layers*, those of the largest maps first."""
    return tuple(network.layers[number].name for number in sorted(layers, key=lambda n: (-bits[n], n)))


def buffer_sizes(
    networks: GivenNetwork | Iterable[GivenNetwork],
    accelerator: GivenAccelerator,
    sizes: Iterable[float] | None = None,
) -> pd.DataFrame:
    """Return latency, energy and DRAM traffic over sizes of the buffer, a row for each network and size.

    Columns are those of ``Size``: ``begins`` names the layers whose feature maps stay with this buffer and not with the
    next smaller one, ``ends`` those that stay with that and not with this. *sizes* are in KiB, by
    default two an octave from an eighth of the accelerator's to eight times it. ``attrs["left_out"]`` says which are
    not there.

    Raises:
        HardwareError: the accelerator is unknown.
        ModelError: a network does not multiply, or is unknown.
        UsageError: the buffer has parts, or fewer than two sizes can be costed.

    Example:
        >>> table = buffer_sizes("squeezenet_1_1", "os_32x32", [256, 512, 1024])
        >>> table.maps.tolist() == sorted(table.maps)
        True
    """
    import pandas as pd

    found = sizes_study(networks_of(networks), accelerator_of(accelerator), sizes)
    table = pd.DataFrame(found.rows())
    table.attrs["left_out"] = found.left_out
    return results(table, f"sizes of the buffer of {found.accelerator}")


_MOST_NAMED = 2  # maps that a cell names


def sections(study: Sizes) -> list[Section]:
    """Return the parts of the text in their order."""
    parts = []
    for network in study.networks:
        points = study.of(network)
        energy = "energy_uj" if all(point.energy_uj is not None for point in points) else "energy_mac_equiv"
        headers = (
            "size KiB",
            "latency µs",
            "energy µJ" if energy == "energy_uj" else "energy (MACs)",
            "DRAM",
            "maps",
        )
        columns = [*map(Column, headers), Column("begin to stay", left=True)]
        cells = [
            [
                f"{point.size_kib:g}",
                format_value("latency_us", point.latency_us),
                format_value(energy, getattr(point, energy)),
                units.size(point.dram_bytes),
                f"{point.maps:,}",
                _some(point.begins) + (f"; no longer {_some(point.ends)}" if point.ends else ""),
            ]
            for point in points
        ]
        least = units.size(max(point.compulsory_bytes for point in points))
        parts.append(
            Section(
                f"{network} on {study.accelerator}, which has {study.size_kib:g} KiB; compulsory DRAM traffic {least}",
                Grid(columns, cells),
            )
        )
    notes = [*study.left_out, *([] if study.keeps else [NO_MAPS])]
    return [*parts, *([Section("notes", notes)] if notes else [])]


NO_MAPS = (
    "no feature map stays: memory.global_buffer.keeps is not [activations], or memory.placement is layer"
)
"""Of accelerators whose buffer keeps none."""


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


_LONGEST = 24
_NAME_SIZE = 7.5


def draw(study: Sizes, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``."""
    return render(lambda: curves(study), file_format)


def curves(study: Sizes, ax: Any = None, *, theme: str = "light") -> Figure:
    """Draw latency and DRAM traffic over sizes of the buffer; above, at each size, the maps that begin to stay.

    Of several networks, which are lines of several colours, the maps of the first are named.
    """
    networks = study.networks
    sheet = Sheet.open(ax, theme, (10.0, 7.0), rows=3)
    named, *panels = sheet.panels
    sizes = [point.size_kib for point in study.points]
    limits = min(sizes) / 1.15, max(sizes) * 1.15
    unit = time_unit(max(point.latency_us for point in study.points))
    of = f", {labels([networks[0]], _LONGEST)[0]}" if len(networks) > 1 else ""
    handles: dict[str, Any] = {}
    for number, name in enumerate(networks):
        points, colour = study.of(name), sheet.theme.series[number % len(sheet.theme.series)]
        x = [point.size_kib for point in points]
        style: dict[str, Any] = {"color": colour, "marker": "o", "markersize": 3.5, "linewidth": 1.4}
        (handles[name],) = panels[0].plot(x, [point.latency_us * unit.factor for point in points], **style)
        panels[1].plot(x, [point.dram_bytes / 2**20 for point in points], **style)
        least = max(point.compulsory_bytes for point in points) / 2**20
        panels[1].axhline(least, color=colour, linestyle="--", linewidth=1)
    for axes, label in zip(
        sheet.panels, (f"begin to stay{of}", unit.label("latency"), "DRAM traffic (MiB)"), strict=True
    ):
        log_axes(axes, limits)
        axes.set_ylabel(label, fontsize=NORMAL)
        if axes is not named:
            axes.axvline(study.size_kib, color=sheet.theme.faint, linestyle=":", linewidth=1.2)
            draw_grid_lines(axes, sheet.theme)
            axes.set_ylim(bottom=0)
    _name(named, study.of(networks[0]), sheet)
    named.set_yticks([])
    for axes in sheet.panels[:-1]:
        axes.set_xticklabels([])
    panels[-1].set_xlabel("size of the buffer (KiB)", fontsize=NORMAL)
    sheet.title(
        f"{', '.join(networks)} on {study.accelerator}: buffers from {min(sizes):g} to {max(sizes):g} KiB; dashed: "
        f"compulsory traffic, dotted: {study.size_kib:g} KiB, its own"
    )
    if len(networks) > 1:
        sheet.legend(handles)
    sheet.finish()
    return sheet.figure


def _name(axes: Axes, points: Sequence[Size], sheet: Sheet) -> None:
    """Write at each size but the first the largest map that begins to stay there, and how many others do."""
    axes.set_ylim(0, 1)
    steps = [point for point in points[1:] if point.begins]
    short = labels([point.begins[0] for point in steps], _LONGEST) if steps else []
    for point, name in zip(
        [points[0], *steps], [f"{units.plural(points[0].maps, 'map')} here", *short], strict=True
    ):
        more = f" +{len(point.begins) - 1:,}" if point in steps and len(point.begins) > 1 else ""
        axes.text(
            point.size_kib,
            0.03,
            f"{name}{more}",
            rotation=90,
            ha="center",
            va="bottom",
            fontsize=_NAME_SIZE,
            color=sheet.theme.ink,
            parse_math=False,
            clip_on=True,
        )
