"""Reports for other programs: the layers as a Parquet file, with the totals beside them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from squeezesim.report.dictionary import COLUMNS, SCALESIM_COLUMNS
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

    kinds = {entry.name: entry.kind for entry in (*COLUMNS, *SCALESIM_COLUMNS)}
    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64()}
    rows = report.rows()
    columns = {name: pa.array([row[name] for row in rows], types[kinds[name]]) for name in rows[0]}
    about = {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "totals": rounded(report.totals),
    }
    table = pa.table(columns).replace_schema_metadata({KEY: dumped(about)})
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()
