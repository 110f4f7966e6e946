"""Files of a report by suffix: JSON, CSV, Parquet, Markdown, HTML, figures, traces and mappings."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as AnyMapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeVar

from squeezesim.errors import ReportError, UsageError, nearest
from squeezesim.escapes import csv_cell
from squeezesim.files import atomic_write, json_line, read_bytes, round_floats
from squeezesim.mapping import Mapping
from squeezesim.report import metrics
from squeezesim.report.data import ReportData
from squeezesim.report.metrics import ARROW

KEY = "squeezesim.report"
"""Key of the file's metadata that holds the names and the totals, as JSON."""

Data = TypeVar("Data", bound=ReportData)


def parquet(report: ReportData) -> bytes:
    """Return ``Report.layers`` as a Parquet file: 64-bit integers, doubles and texts; null where there is no value.

    The columns are those of the CSV. The metadata ``squeezesim.report`` is a JSON object of ``network``,
    ``accelerator`` and ``totals``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {metric.name: metric.kind for metric in metrics.metrics_of_layers(report)}
    rows = metrics.rows(report)
    columns = {name: pa.array([row[name] for row in rows], ARROW[kinds[name]]) for name in rows[0]}
    about = {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "totals": round_floats(metrics.totals(report)),
    }
    table = pa.table(columns).replace_schema_metadata({KEY: json_line(about)})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


_QUOTED = re.compile(r'[,"\r\n]')

MAX_BYTES = 256 * 2**20
"""Largest report that is read."""


def save(report: ReportData, path: str | PathLike[str]) -> None:
    """Write *report* to *path* in the format of its suffix.

    Raises:
        UsageError: there is no format of this suffix.
        OutputError: the file cannot be written.
    """
    for target, content in made([(report, path)]):
        atomic_write(target, content)


def made(
    files: Iterable[tuple[Data, str | PathLike[str]]], html: Callable[[Data], str] | None = None
) -> list[tuple[str | PathLike[str], str | bytes]]:
    """Return each path with what ``save`` writes to it; *html* makes the pages of a caller who can say more on them.

    Raises:
        UsageError: there is no format of a path's suffix.
    """
    writers: dict[str, Callable[[Data], str | bytes]] = {**_WRITERS, **({".html": html} if html else {})}
    return [(path, writers[file_format(path)](report)) for report, path in files]


def is_report(text: str | PathLike[str]) -> bool:
    """Return whether *text* is the path of a saved report: it ends in ``.json``, but not as other files here do."""
    name = fspath(text).lower()
    return name.endswith(".json") and not name.endswith((".graph.json", ".mapping.json"))


def load(path: str | PathLike[str]) -> ReportData:
    """Read the report in a ``.json`` file.

    Raises:
        ReportError: the file is missing, unreadable, larger than 256 MiB, malformed or of another version.
    """
    from squeezesim.report.serialize import decode

    content = read_bytes(path, MAX_BYTES, "report", ReportError)
    try:
        return decode(content)
    except ReportError as error:
        raise ReportError(f"{fspath(path)!r}: {error}") from None


def file_format(path: str | PathLike[str]) -> str:
    """Return the suffix of *path*, one of ``FORMATS``: the longest that its name ends in.

    Raises:
        UsageError: it is none of them.
    """
    file = Path(fspath(path))
    known = [
        suffix for suffix in FORMATS if file.name.lower().removesuffix(suffix) not in (file.name.lower(), "")
    ]
    if known:
        return max(known, key=len)
    suffix = file.suffix.lower()
    raise UsageError(
        f"cannot write {fspath(path)!r}: files end in {', '.join(FORMATS)}, found {suffix or 'no suffix'}"
        f"{nearest(suffix, FORMATS)}"
    )


def csv_text(rows: Sequence[AnyMapping[str, Any]], columns: Iterable[str] = ()) -> str:
    """Return *rows* as CSV: a header, of *columns* where there is no row, then one line a row; None is empty.

    Floats have ten significant digits, so that the text does not depend on the last bit. Texts are ``csv_cell``.
    """
    header = rows[0] if rows else columns
    lines = [",".join(map(_cell, header)), *(",".join(map(_cell, row.values())) for row in rows)]
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(round_floats(value))
    text = csv_cell(value) if isinstance(value, str) else str(value)
    # Python's csv.writer leaves a lone return without quotes, which no reader takes for part of a cell.
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _csv(report: ReportData) -> str:
    return csv_text(metrics.rows(report))


def _html(report: ReportData) -> str:
    from squeezesim.report.html.page import page

    return page([report])


def _json(report: ReportData) -> str:
    from squeezesim.report.serialize import encode

    return encode(report)


def _mapping(report: ReportData) -> str:
    return Mapping.of(report.network, report.accelerator.name, report.costs).to_json()


def _markdown(report: ReportData) -> str:
    from squeezesim.report.text import report_markdown

    return report_markdown(report)


def _png(report: ReportData) -> bytes:
    from squeezesim.report.figures.registry import figure

    return figure("utilization", [report], "png")


def _svg(report: ReportData) -> bytes:
    from squeezesim.report.figures.registry import figure

    return figure("utilization", [report], "svg")


def _trace(report: ReportData) -> str:
    from squeezesim.report.perfetto import trace

    return trace(report)


_WRITERS: dict[str, Callable[[ReportData], str | bytes]] = {
    ".csv": _csv,
    ".html": _html,
    ".json": _json,
    ".mapping.json": _mapping,
    ".md": _markdown,
    ".parquet": parquet,
    ".png": _png,
    ".svg": _svg,
    ".trace.json": _trace,
}
FORMATS = tuple(_WRITERS)
"""The suffixes of files that can be written."""
