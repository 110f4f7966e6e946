"""A report as people read it in a terminal or in a pipe: tables, totals, the worst layers, what is missing."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.escapes import visible
from squeezesim.hardware.show import dram_text, setup_text
from squeezesim.report import units
from squeezesim.report.grid import Grid
from squeezesim.report.table import grid, select

if TYPE_CHECKING:
    from rich.console import Console

    from squeezesim.report.report import Report

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


def text(report: Report, *, by: str = "layer", sort: str | None = None, top: int | None = None) -> str:
    """Return *report* as plain text with all columns, whatever the width.

    Raises:
        UsageError: there is no such column to sort by.
    """
    return plain(sections(report, by=by, sort=sort, top=top, width=None))


def show(
    report: Report, console: Console, *, by: str = "layer", sort: str | None = None, top: int | None = None
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
        console.print(Text(_wrapped(section.heading, console.width), style="bold cyan"), soft_wrap=True)
        if isinstance(section.body, Grid):
            section.body.print(console, indent=2)
        else:
            for line in section.body:
                console.print(Text(_wrapped(line, console.width, "  ")), soft_wrap=True)


def sections(
    report: Report, *, by: str, sort: str | None, top: int | None, width: int | None, bars: int = 0
) -> list[Section]:
    """Return the parts of the text in their order, tables at most *width* wide, bars of *bars* characters in them."""
    rows = select(report, by, sort, top)
    shown = [row for row in rows if row["cycles"]] if by == "layer" else rows
    part = units.part(len(rows), len(report.rows(by)), by) if top is not None else ""
    parts = [
        Section(f"{report.network.name} on {report.accelerator.name}", subject(report)),
        Section(_heading(by, len(shown), sort, top), grid(report, shown, by, width, bars, part)),
    ]
    if by == "layer" and (ops := resting(rows)):
        parts.append(Section(f"not shown, for they take no time: {ops}", ()))
    if by == "layer":
        parts.append(Section("stages", grid(report, report.rows("stage"), "stage", width, bars)))
    parts.append(Section("total", _totals(report)))
    worst = [f"{place}. {finding}" for place, finding in enumerate(report.bottlenecks(WORST), 1)]
    parts.append(Section("where most PE-cycles are lost", worst))
    return [*parts, *caveats(report)]


def caveats(report: Report) -> list[Section]:
    """Return what a reader of any number must know: operators without a rule, notes."""
    parts = []
    if report.unmodelled:
        listed = [
            f"{item.op} ×{item.count}, first in {item.module or 'the network'}" for item in report.unmodelled
        ]
        parts.append(Section("not modelled, and not in any number above", listed))
    if report.notes:
        parts.append(Section("notes", report.notes))
    return parts


def resting(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the operators of the layers that take no time, with how many there are of each."""
    counts = Counter(row["op"] for row in rows if not row["cycles"])
    return ", ".join(f"{count} {op}" for op, count in counts.most_common())


def _heading(by: str, count: int, sort: str | None, top: int | None) -> str:
    if top is not None and sort is None:
        return f"the {units.plural(count, by)} that {'takes' if count == 1 else 'take'} longest"
    return f"{by}s" + (f" by {sort}" if sort else "")


def subject(report: Report) -> list[str]:
    """Return what ran where, on a line or two: the accelerator in brief, the shapes of the inputs."""
    hardware, network = report.accelerator, report.network
    array, buffer = hardware.array, hardware.memory.global_buffer
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in network.inputs)
    lines = [
        f"{array.rows}×{array.cols} PEs, {' or '.join(array.dataflows)}, {hardware.clock_mhz:g} MHz, "
        f"{buffer.size_kib:g} KiB buffer, {dram_text(hardware)}, {setup_text(hardware)}"
    ]
    return [*lines, shapes] if shapes else lines


def _totals(report: Report) -> list[str]:
    totals = report.totals
    energy = f"{units.count(totals['energy_mac_equiv'])} MACs' worth"
    if totals["energy_uj"] is not None:
        energy = f"{units.decimal(totals['energy_uj'])} µJ, {energy}"
    values = {
        "params": units.count(totals["params"]),
        "MACs": units.count(totals["macs"]),
        "vector ops": units.count(totals["vector_ops"]),
        "cycles": units.count(totals["cycles"]),
        "latency": f"{units.decimal(totals['latency_us'])} µs",
        "utilization": units.share(totals["utilization"]),
        "efficiency": units.share(totals["efficiency"]),
        "energy": energy,
        "DRAM": units.size(totals["dram_bytes"]),
        "weights": units.size(totals["weights_bytes"]),
    }
    if totals["weights_values_bytes"] != totals["weights_bytes"]:
        values["weights"] += f" compressed, {units.size(totals['weights_values_bytes'])} of it values"
    width = max(map(len, values))
    return [f"{label:<{width}}  {value}" for label, value in values.items()]


def _wrapped(line: str, width: int, indent: str = "") -> str:
    """Return *line* on lines of at most *width* characters, those after the first below its text."""
    deeper = f"{indent}   " if re.match(r"\d+\. ", line) else indent
    return textwrap.fill(
        line, max(width, 40), initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False
    )
