"""Reports for other programs: the layers as a Parquet file, with the totals beside them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from squeezesim.report.document import dumped, rounded

if TYPE_CHECKING:
    from squeezesim.report.report import Report

KEY = "squeezesim.report"
"""Key of the file's metadata that holds the names and the totals, as JSON."""


def parquet(report: Report) -> bytes:
    """Return ``Report.layers`` as a Parquet file: 64-bit integers, doubles and texts; null where there is no value.

    The columns are those of the CSV. The metadata ``squeezesim.report`` is a JSON object of ``network``,
    ``accelerator`` and ``totals``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = report.rows()
    types = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    columns: dict[str, Any] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        kind = next((type(value) for value in values if value is not None), _kind(name))
        columns[name] = pa.array(values, types[kind])
    about = {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "totals": rounded(report.totals),
    }
    table = pa.table(columns).replace_schema_metadata({KEY: dumped(about)})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def _kind(name: str) -> type:
    """Type of a column in which no layer has a value."""
    return int if name.endswith(("_bits", "_cycles")) else float
