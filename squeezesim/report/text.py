"""Tables of layers, stages and operators: their rows, their columns, how each number is written."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from squeezesim.cost.costs import label_of
from squeezesim.cost.machine import LEVELS
from squeezesim.escapes import visible
from squeezesim.hardware.display import dram_text, setup_text
from squeezesim.markup import Html, block, escaped, markdown_table, table
from squeezesim.report import diagnosis, metrics, units
from squeezesim.report.grid import Column, Grid, meter
from squeezesim.report.host import host_work, inference_us
from squeezesim.report.metrics import METRICS, format_value, header
from squeezesim.report.selection import rows_by, select
from squeezesim.report.stays import least_dram_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from squeezesim.report.data import ReportData

Row = Mapping[str, Any]
Shown = tuple[Column, Callable[[Row], str]]
"""A column, and what writes it in a row."""

LAYERS = ("shape", "layer")
"""Tables of layers: of those of one shape in a stage together, or of each."""
NAME_WIDTH = 28
"""Columns beyond the first six are shown only where they leave a layer's name this much."""


def grid(
    report: ReportData, rows: Sequence[Row], by: str, width: int | None, bars: int = 0, part: str = ""
) -> Grid:
    """Return *rows* as a table, of at most *width* characters where given; *part* says how many of all they are.

    Beside utilization stand bars of *bars* characters.
    """
    shown = columns(report, by, bars)
    cells = [[cell(row) for _, cell in shown.values()] for row in rows]
    whole = Grid([column for column, _ in shown.values()], cells, part)
    return whole if width is None else whole.fit(width, NAME_WIDTH if by in LAYERS else 0)


# The columns in the order in which they stand, each with its rank; those of rank 0 are there at 80 characters.
_COSTS = {
    **{"macs": 0, "cycles": 0, "share": 2, "latency_us": 3, "utilization": 0, "efficiency": 8, "bound": 0},
    **{"energy_uj": 0, "energy_mac_equiv": 0, "dram_bytes": 4, "params": 7},
}
LAYER_COLUMNS: Mapping[str, int] = {
    **{"name": 0, "stage": 9, "op": 10, "outputs": 5, "taps": 6, "dataflow": 1, "repeat": 0},
    **_COSTS,
    **{"inputs_in": 11, "output_in": 12, "weights_in": 13, "kept_bytes": 14, "ahead_bytes": 15, "tiling": 16},
}
"""All columns of a table of layers, with the ranks by which they go."""


def columns(report: ReportData, by: str, bars: int = 0) -> dict[str, Shown]:
    """Return the columns of a table of *report* by the names of their metrics, in the order in which they stand."""
    hidden = {"energy_uj", "energy_mac_equiv"} - {metrics.shown_energy(report)}
    if all(layer.repeat == 1 for layer in report.network.layers):
        hidden.add("repeat")
    ranks = LAYER_COLUMNS if by in LAYERS else {by: 0, "layers": 1, **_COSTS}
    hidden |= {name for name in ranks if METRICS[name].is_optional and METRICS[name].column(report) is None}
    share = partial(meter, width=bars) if bars else units.share
    cells: dict[str, Callable[[Row], str]] = {
        "outputs": lambda row: f"{row['groups'] * row['k']}×{row['oy']}×{row['ox']}",
        "taps": _filter,
        "utilization": lambda row: share(row["utilization"] if row["macs"] else None),
        "efficiency": lambda row: units.share(row["efficiency"] if row["macs"] else None),
        **({"name": _name} if by in LAYERS else {by: lambda row: row[by] or units.EMPTY}),
    }
    shown = {name: shown_as(name, rank) for name, rank in ranks.items() if name not in hidden}
    return {name: (column, cells.get(name, cell)) for name, (column, cell) in shown.items()}


def shown_as(name: str, rank: int = 0) -> Shown:
    """Return the column of the metric *name*, and what writes it in each row."""
    column = Column(header(name), rank, left=METRICS[name].kind == "text")
    return column, lambda row: format_value(name, row[name])


def _name(row: Row) -> str:
    """The layer's name, with how many there are of its shape."""
    count = row.get("layers", 1)
    return f"{row['name']} ×{count}" if count > 1 else format_value("name", row["name"])


def _filter(row: Row) -> str:
    """Filter and stride, as 3×3/2."""
    vertical, horizontal = row["stride"].split("x")
    steps = vertical if vertical == horizontal else f"{vertical}×{horizontal}"
    return f"{row['fy']}×{row['fx']}" + ("" if steps == "1" else f"/{steps}")


WORST = 3
"""Layers that are explained."""

# Characters of the bars of utilization, in a terminal and in one of many characters; the first take no room.
_BAR, _LONG_BAR = 3, 10
_WIDE = 140


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, then a table or lines; a line that is too long goes on below its own text.

    Control characters are escaped.
    """

    heading: str
    body: Grid | Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading", visible(self.heading))
        if not isinstance(self.body, Grid):
            object.__setattr__(self, "body", tuple(map(visible, self.body)))


def text(report: ReportData, *, by: str = "shape", sort: str | None = None, top: int | None = None) -> str:
    """Return *report* as plain text with all columns, whatever the width.

    Raises:
        UsageError: there is no such column to sort by.
    """
    return plain(sections(report, by=by, sort=sort, top=top, width=None))


def show(
    report: ReportData,
    console: Console,
    *,
    by: str = "shape",
    sort: str | None = None,
    top: int | None = None,
) -> None:
    """Print *report* on *console*: as wide as it is where it is a terminal, otherwise plain and with all columns.

    Raises:
        UsageError: there is no such column to sort by.
    """
    if not console.is_terminal:
        console.file.write(text(report, by=by, sort=sort, top=top) + "\n")
        return
    bars = 0
    if console.encoding.startswith("utf"):  # others have no blocks
        bars = _LONG_BAR if console.width >= _WIDE else _BAR
    # What is printed is assembled first, so that a wrong option prints nothing.
    parts = sections(report, by=by, sort=sort, top=top, width=console.width - 2, bars=bars)
    print_sections(parts, console)


def plain(parts: Iterable[Section]) -> str:
    """Return sections as plain text, tables with all columns."""
    texts = []
    for section in parts:
        body = section.body.plain() if isinstance(section.body, Grid) else "\n".join(section.body)
        texts.append(f"{section.heading}\n{textwrap.indent(body, '  ')}" if body else section.heading)
    return "\n\n".join(texts)


def print_sections(parts: Iterable[Section], console: Console) -> None:
    """Print sections on a terminal, lines that are too long on several."""
    from rich.text import Text

    for number, section in enumerate(parts):
        if number:
            console.print()
        console.print(Text(_wrap(section.heading, console.width), style="bold cyan"), soft_wrap=True)
        if isinstance(section.body, Grid):
            section.body.print(console, indent=2)
        else:
            for line in section.body:
                console.print(Text(_wrap(line, console.width, "  ")), soft_wrap=True)


def sections(
    report: ReportData, *, by: str, sort: str | None, top: int | None, width: int | None, bars: int = 0
) -> list[Section]:
    """Return the parts of the text in their order, tables at most *width* wide, bars of *bars* characters in them."""
    rows = select(report, by, sort, top)
    shown = [row for row in rows if row["cycles"]] if by in LAYERS else rows
    part = units.part(len(rows), len(rows_by(report, by)), by) if top is not None else ""
    parts = [
        Section(f"{report.network.name} on {report.accelerator.name}", subject(report)),
        Section(_heading(by, len(shown), sort, top), grid(report, shown, by, width, bars, part)),
    ]
    if by in LAYERS and (ops := zero_cost_ops(rows)):
        parts.append(Section(f"not shown, for they take no time: {ops}", ()))
    if by in LAYERS:
        parts.append(Section("stages", grid(report, metrics.rows(report, "stage"), "stage", width, bars)))
    parts.append(Section("total", _totals(report)))
    worst = [f"{place}. {finding}" for place, finding in enumerate(diagnosis.findings(report, WORST), 1)]
    parts.append(Section("where most PE-cycles are lost", worst))
    return [*parts, *caveats(report)]


def caveats(report: ReportData) -> list[Section]:
    """Return what a reader of any number must know: operators without a rule, notes."""
    parts = []
    if report.network.unmodelled:
        listed = [
            f"{item.op} ×{item.count}, first in {item.module or 'the network'}"
            for item in report.network.unmodelled
        ]
        parts.append(Section("not modelled, and not in any number above", listed))
    if diagnosis.notes(report):
        parts.append(Section("notes", diagnosis.notes(report)))
    return parts


def zero_cost_ops(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the operators of the layers that take no time, with how many there are of each."""
    counts: Counter[str] = Counter()
    for row in rows:
        if not row["cycles"]:
            counts[row["op"]] += row.get("layers", 1)
    return ", ".join(f"{count} {op}" for op, count in counts.most_common())


def _heading(by: str, count: int, sort: str | None, top: int | None) -> str:
    if top is not None and sort is None:
        of_layers = " of layers" if by == "shape" else ""
        return f"the {units.plural(count, by)}{of_layers} that {'takes' if count == 1 else 'take'} longest"
    return ("layers" if by in LAYERS else f"{by}s") + (f" by {sort}" if sort else "")


def subject(report: ReportData) -> list[str]:
    """Return what ran where, on a line or two: the accelerator in brief, the shapes of the inputs."""
    hardware, network = report.accelerator, report.network
    array, buffer = hardware.array, hardware.memory.global_buffer
    shapes = ", ".join(network.input_texts())
    stays = hardware.memory.stays.size_kib
    weights = f"{stays:g} KiB for weights that stay, " if stays else ""
    stores = "".join(f", {name} {store}" for name, store in hardware.memory.stores.items())
    lines = [
        f"{array.shape}, {hardware.clock_mhz:g} MHz, "
        f"{buffer.size_kib:g} KiB buffer, {weights}{dram_text(hardware)}{stores}, {setup_text(hardware)}"
    ]
    return [*lines, shapes] if shapes else lines


def _totals(report: ReportData) -> list[str]:
    totals = metrics.totals(report)
    del totals["area_mm2"]  # of the accelerator, whatever runs there
    values = {metrics.words(name): metrics.quantity(name, value) for name, value in totals.items()}
    if totals["energy_uj"] is not None:
        values["energy"] = f"{metrics.quantity('energy_uj', totals['energy_uj'])}, {values['energy']}"
    least = least_dram_bytes(report)
    if least < report.tally.dram_bytes.sum():
        values[metrics.words("dram_bytes")] += f", {units.size(least)} of it compulsory"
        values[metrics.words("dram_bytes")] += _where_maps_stay(report)
    if len(report.memories) > 1:
        tally = report.tally
        parts = (
            f"{label_of(name, LEVELS)} {units.size(int(sum(tally.part('dram', each).sum() for each in held)))}"
            for name, held in report.memories.items()
        )
        values[metrics.words("dram_bytes")] += f"; in all memories: {', '.join(parts)}"
    compressed = values.pop(metrics.words("weights_values_bytes"))
    if totals["weights_values_bytes"] != totals["weights_bytes"]:
        values["weights"] += f" compressed, {compressed} of it values"
    if report.accelerator.host.is_given:
        host = host_work(report.network, report.accelerator)
        inference = metrics.quantity("latency_us", inference_us(report))
        values |= {"host": str(host), "inference": f"{inference}, latency and host"}
    width = max(map(len, values))
    return [f"{label:<{width}}  {value}" for label, value in values.items()]


def _where_maps_stay(report: ReportData) -> str:
    """What the network moves and takes where feature maps may stay in the buffer; nothing where that is no less."""
    other = report.where_maps_stay
    if other is None or not other.costs.homes.any():
        return ""
    energy = metrics.shown_energy(report)
    totals = metrics.totals(other)
    moved, latency, spent = (
        metrics.quantity(name, totals[name]) for name in ("dram_bytes", "latency_us", energy)
    )
    kept = ", ".join(other.accelerator.memory.global_buffer.keeps)
    return f"; with memory.global_buffer.keeps [{kept}] {moved}, {latency}, {spent}"


def _wrap(line: str, width: int, indent: str = "") -> str:
    """Return *line* on lines of at most *width* characters, those after the first below its text."""
    deeper = f"{indent}   " if re.match(r"\d+\. ", line) else indent
    return textwrap.fill(
        line, max(width, 40), initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False
    )


_NUMBERED = re.compile(r"\d+\. ")


def report_markdown(report: ReportData) -> str:
    """Return *report* as GitHub's Markdown: what ``profile`` prints, with all columns."""

    return markdown(sections(report, by="shape", sort=None, top=None, width=None))


def markdown(parts: Iterable[Section]) -> str:
    """Return sections as GitHub's Markdown, the first with a heading of its own level.

    Example: a section "total" with the line ``cycles  2.004 M`` is a heading and a table of one row.
    """
    texts = []
    for number, section in enumerate(parts):
        heading = f"{'##' if number else '#'} {escaped(section.heading)}"
        body = _table(section.body) if isinstance(section.body, Grid) else _lines(section.body)
        texts.append(f"{heading}\n\n{body}" if body else heading)
    return "\n\n".join(texts) + "\n"


def html(parts: Iterable[Section]) -> str:
    """Return sections as HTML for a notebook, a table or paragraphs below each heading."""
    return "".join(
        block(
            part.heading,
            *([_html_table(part.body), *part.body.notes] if isinstance(part.body, Grid) else part.body),
        )
        for part in parts
    )


def _html_table(grid: Grid) -> Html:
    left = [place for place, column in enumerate(grid.columns) if column.left]
    return table([column.header for column in grid.columns], grid.cells, left)


def _table(grid: Grid) -> str:
    left = [place for place, column in enumerate(grid.columns) if column.left or not place]
    table = markdown_table([column.header for column in grid.columns], grid.cells, left).rstrip("\n")
    return "\n\n".join([table, *map(escaped, grid.notes)])


def _lines(lines: Sequence[str]) -> str:
    """A table where every line is a label and a value, otherwise a list, numbered as the lines are."""
    pairs = [re.split(r" {2,}", line.strip(), maxsplit=1) for line in lines]
    if lines and all(len(pair) == 2 for pair in pairs):
        return _table(Grid([Column("", left=True), Column("")], pairs))
    if lines and all(_NUMBERED.match(line) for line in lines):
        items = [line.split(" ", 1) for line in lines]
        return "\n".join(f"{number} {escaped(text)}" for number, text in items)
    return "\n".join(f"- {escaped(line)}" for line in lines)
