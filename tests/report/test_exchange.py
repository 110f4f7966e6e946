from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given

from squeezesim.report.files import KEY, parquet
from squeezesim.report.report import Report
from tests.report.cases import few, report, reports


@few
@given(reports())
def test_it_holds_the_rows_of_the_report(made: Report) -> None:
    table = pq.read_table(io.BytesIO(parquet(made)))
    assert table.to_pylist() == made.rows()


def test_columns_have_the_same_types_in_every_report() -> None:
    def types(made: Report) -> dict[str, str]:
        return {field.name: str(field.type) for field in pq.read_table(io.BytesIO(parquet(made))).schema}

    found = types(report())
    assert found == types(report({"energy.pj_per_unit": 2.5, "vector.model": "none"}))
    assert set(found.values()) == {"string", "int64", "double"}
    assert found["cycles"] == found["weight_bits"] == "int64"
    assert found["energy_uj"] == found["weight_density"] == "double"


def test_names_and_totals_are_in_the_metadata() -> None:
    made = report()
    about = json.loads(pq.read_schema(io.BytesIO(parquet(made))).metadata[KEY.encode()])
    assert (about["network"], about["accelerator"]) == ("small", "small_8x8")
    assert about["totals"]["cycles"] == made.totals["cycles"]
    assert about["totals"]["utilization"] == pytest.approx(made.totals["utilization"])
