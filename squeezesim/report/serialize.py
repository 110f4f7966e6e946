"""Reports as JSON: totals and rows for readers, and all that makes an equal report again; read with distrust."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS, Costs
from squeezesim.cost.mapspace import ORDERS
from squeezesim.cost.pipeline import AXES
from squeezesim.errors import ReportError, SqueezesimError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer, Network
from squeezesim.network.checks import show
from squeezesim.report import metrics
from squeezesim.report.data import from_data, to_data
from squeezesim.report.metrics import COLUMNS, SCALESIM_COLUMNS, TOTALS, Entry

if TYPE_CHECKING:
    from squeezesim.report.data import ReportData

FORMAT = "squeezesim.report"
VERSION = 1
_MOST = 2**62  # largest count: sums of two still fit 64-bit integers
_AXES = ("n", "y", "x", "g", "k", "c")
_ROUNDING = 1e-9  # of floats with ten significant digits
_FLOWS = ("", *DATAFLOWS)  # Costs.dataflow + 1


def encode(report: ReportData) -> str:
    """Return *report* as JSON, a layer a line; equal reports that one command made give the same text.

    Ratios are rounded to ten significant digits; what ``decode`` reads is exact.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        **({"made_by": to_data(report.made_by)} if report.made_by.version else {}),
        "totals": round_floats(metrics.totals(report)),
        "accelerator": report.accelerator.model_dump(mode="json"),
    }
    lines = [f"{json.dumps(key)}: {dump_json(value)}," for key, value in header.items()]
    rows = [
        dump_json(round_floats(row) | exact)
        for row, exact in zip(metrics.rows(report), _exact(report.costs), strict=True)
    ]
    network = report.network.to_json().rstrip()
    body = ",\n".join(rows)
    return "\n".join(["{", *lines, f'"network": {network},', '"layers": [', body, "]", "}"]) + "\n"


def decode(text: str | bytes) -> ReportData:
    """Return the report that ``encode`` wrote.

    Raises:
        ReportError: one line that says what is wrong.
    """
    from squeezesim.report.data import ReportData

    try:
        document = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ReportError("a report is nested too deeply") from None
    except ValueError as error:  # bad JSON, bad UTF-8, an integer of thousands of digits
        raise ReportError(f"a report is not JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ReportError(f'no report: it must be an object with "format": "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ReportError(
            f"a report of version {show(document.get('version'))}; this program reads {VERSION}"
        )
    try:
        network = Network.from_json(json.dumps(document.get("network")))
        accelerator = _accelerator(document.get("accelerator"))
    except SqueezesimError as error:
        raise ReportError(str(error)) from None
    rows = document.get("layers")
    if not isinstance(rows, list) or len(rows) != len(network.layers):
        raise ReportError(
            f"layers must be a list of {len(network.layers)}, one for each layer of the network"
        )
    pes = accelerator.array.rows * accelerator.array.cols
    parsed = [_row(row, layer, pes) for row, layer in zip(rows, network.layers, strict=True)]
    costs = Costs(
        pes=np.array([[pes]]),
        clock_hz=np.array([[accelerator.clock_mhz * 1e6]]),
        **{key: np.array([[row[key] for row in parsed]], _TYPES.get(key, np.int64)) for key in parsed[0]},
    )
    made_by = from_data(document.get("made_by"))
    report = ReportData(network=network, accelerator=accelerator, costs=costs, made_by=made_by)
    _check_totals(document.get("totals", {}), report)
    return report


_TYPES: dict[str, Any] = {"energy": np.float64, "pointwise": np.bool_}


def _exact(costs: Costs) -> Iterable[dict[str, Any]]:
    """What the columns of a report do not say, or only rounded, for each layer."""
    for index in range(costs.cycles.shape[1]):
        yield {
            "order": ORDERS[costs.order[0, index]],
            "tile": dict(zip(_AXES, costs.tile[0, index].tolist(), strict=True)),
            "pointwise": bool(costs.pointwise[0, index]),
            "time_cycles": dict(zip(BOUNDS, costs.time[0, index].tolist(), strict=True)),
            "energy": dict(zip(LEVELS, costs.energy[0, index].tolist(), strict=True)),
        }


def _row(row: Any, layer: Layer, pes: int) -> dict[str, Any]:
    """The costs that one row says of *layer*."""
    where = f"the row of layer {layer.name!r}"
    if not isinstance(row, dict) or row.get("name") != layer.name:
        raise ReportError(f"{where} must be an object with its name, found {show(row)}")
    values: dict[str, Any] = {
        "cycles": _integer(row, "cycles", where),
        "executed": _integer(row, "executed_macs", where),
        "losses": [_integer(row, f"lost_{cause}", where) for cause in LOSSES],
        "time": [_integer(_object(row, "time_cycles", where), bound, where) for bound in BOUNDS],
        "dataflow": _choice(row, "dataflow", where, _FLOWS) - 1,
        "order": _choice(row, "order", where, ORDERS),
        "tile": [_integer(_object(row, "tile", where), axis, where) for axis in _AXES],
        "pointwise": _choice(row, "pointwise", where, (False, True)) == 1,
        "dram_bytes": [_integer(row, f"dram_{operand}_bytes", where) for operand in OPERANDS],
        "buffer_bytes": _integer(row, "buffer_bytes", where),
        "energy": [_number(_object(row, "energy", where), level, where) for level in LEVELS],
    }
    if pes * values["cycles"] > _MOST:
        raise ReportError(f"{where}: PEs · cycles are more than {_MOST}")
    if pes * values["cycles"] != values["executed"] + sum(values["losses"]):
        raise ReportError(f"{where}: PEs · cycles are not executed_macs + the losses")
    if layer.kind == "mac" and (values["dataflow"] < 0 or 0 in values["tile"]):
        raise ReportError(
            f"{where}: a layer with MACs has a dataflow and a tile of at least 1 along each axis"
        )
    if values["executed"] > layer.macs or sum(values["time"]) != values["cycles"]:
        raise ReportError(f"{where}: executed_macs or time_cycles do not fit its macs and cycles")
    return values


def _check_totals(stored: Any, report: ReportData) -> None:
    """Check that the totals that *stored* has, which readers of the file take, are those of its layers."""
    if not isinstance(stored, dict):
        raise ReportError(f"totals must be an object, found {show(stored)}")
    for name, value in metrics.totals(report).items():
        if name in stored and not _alike(stored[name], value):
            raise ReportError(f"totals: {name} is {show(stored[name])}, but its layers make {show(value)}")


def _alike(stored: Any, value: float | None) -> bool:
    """Whether *stored* is *value* but for the last of the digits that are written."""
    if value is None or isinstance(stored, bool) or not isinstance(stored, (int, float)):
        return stored is value
    if isinstance(value, int) or isinstance(stored, int):
        return stored == value
    return math.isclose(stored, value, rel_tol=_ROUNDING)


def _accelerator(data: Any) -> Accelerator:
    if not isinstance(data, dict):
        raise ReportError(f"accelerator must be an object, found {show(data)}")
    values = json.loads(json.dumps(data))
    provenance = values.pop("provenance", {})
    if not isinstance(provenance, dict):
        raise ReportError(f"accelerator: provenance must be an object, found {show(provenance)}")
    for path, origin in provenance.items():
        *above, key = path.split(".")
        section = values
        for name in above:
            section = section.get(name) if isinstance(section, dict) else None
        if not isinstance(section, dict) or key not in section or not isinstance(origin, dict):
            raise ReportError(f"accelerator: provenance of {show(path)}, which is no parameter of it")
        section[key] = {**origin, "value": section[key]}
    return Accelerator.from_dict(values)


def _integer(row: Mapping[str, Any], key: str, where: str) -> int:
    value = row.get(key)
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ReportError(f"{where}: {key} must be an integer from 0 to {_MOST}, found {show(value)}")
    return value


def _number(row: Mapping[str, Any], key: str, where: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e300:
        raise ReportError(f"{where}: {key} must be a number from 0 up, found {show(value)}")
    return float(value)


def _choice(row: Mapping[str, Any], key: str, where: str, allowed: Sequence[object]) -> int:
    value = row.get(key)
    if value not in allowed:
        words = ", ".join(json.dumps(item) for item in allowed)
        raise ReportError(f"{where}: {key} must be one of {words}, found {show(value)}")
    return allowed.index(value)


def _object(row: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = row.get(key)
    if not isinstance(value, dict):
        raise ReportError(f"{where}: {key} must be an object, found {show(value)}")
    return value


def round_floats(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row* with its floats rounded to ten significant digits, so that no text depends on the last bit."""
    return {key: float(f"{value:.10g}") if isinstance(value, float) else value for key, value in row.items()}


def dump_json(value: object) -> str:
    """Return *value* as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number here")


_JSON_TYPES = {"text": "string", "integer": "integer", "number": "number"}

Schema = dict[str, Any]


def report_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of the reports that this version writes.

    Of the network and the accelerator it says only what they are: a ``.graph.json`` and an accelerator with all its
    defaults.
    """
    entries = {entry.name: entry for entry in (*COLUMNS, *SCALESIM_COLUMNS)}
    exact = {
        "order": {"enum": list(ORDERS)},
        "tile": _sizes(AXES, "integer"),
        "pointwise": {"type": "boolean"},
        "time_cycles": _sizes(BOUNDS, "integer"),
        "energy": _sizes(LEVELS, "number"),
    }
    layer = {name: _column(entry) for name, entry in entries.items()} | exact
    layer["dataflow"] = {"enum": ["", *DATAFLOWS]}
    layer["bound"] = {"enum": ["", *BOUNDS]}
    required = [*(entry.name for entry in COLUMNS), *exact]
    document = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "made_by": _object_schema(
            {"squeezesim": {"type": "string"}, "command": {"type": "array", "items": {"type": "string"}}},
            ["squeezesim"],
        ),
        "totals": _object_schema({name: _column(entries[name]) for name in TOTALS}),
        "accelerator": {"type": "object", "required": ["name", "clock_mhz", "array", "memory"]},
        "network": {"type": "object", "required": ["format", "version", "name", "layers"]},
        "layers": {"type": "array", "items": _object_schema(layer, required)},
    }
    written = [key for key in document if key != "made_by"]  # one that was read without it is written so
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report",
        **_object_schema(document, written),
    }


def _column(entry: Entry) -> Schema:
    kind = _JSON_TYPES[entry.kind]
    schema: Schema = {"type": [kind, "null"] if entry.can_be_empty else kind}
    if entry.kind != "text":
        schema["minimum"] = 0
    if entry.unit:
        schema["unit"] = entry.unit
    return schema | {"description": entry.meaning}


def _sizes(names: tuple[str, ...], kind: str) -> Schema:
    return _object_schema({name: {"type": kind, "minimum": 0} for name in names})


def _object_schema(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
