"""Reports as JSON: totals and rows for readers, and all that makes an equal report again; read with distrust."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import BOUNDS, CAUSES, HOMED, HOMES, OPERANDS, Axes, Costs, homes_of, pe_slots
from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.layings import LAID_BY
from squeezesim.cost.machine import LEVELS, Machine
from squeezesim.cost.problem import operands_of
from squeezesim.cost.traffic import AXES, LOOPS, MODES, ORDERS, Mode, mode_of
from squeezesim.errors import ReportError, SqueezesimError
from squeezesim.files import json_line, parse_json, round_floats
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.network.checks import show
from squeezesim.network.network import decode_document
from squeezesim.report import metrics
from squeezesim.report.data import from_data, to_data
from squeezesim.report.metrics import Metric

if TYPE_CHECKING:
    from squeezesim.report.data import ReportData

FORMAT = "squeezesim.report"
VERSION = 1
_MOST = 2**62  # largest count: sums of two still fit 64-bit integers
_AXES = ("n", "y", "x", "g", "k", "c")
_ROUNDING = 1e-9  # of floats with ten significant digits
_NAME = (
    "[A-Za-z][A-Za-z0-9_]{0,63}"  # of a cause, a bound, an operand, a level or a dataflow that no table knows
)
_MOST_NAMES = 64


def encode(report: ReportData) -> str:
    """Return *report* as JSON, a layer a line; equal reports that one command made give the same text.

    Ratios are rounded to ten significant digits; what ``decode`` reads is exact.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        **({"made_by": to_data(report.made_by)} if report.made_by.version else {}),
        **({"mapped": report.mapped} if report.mapped else {}),
        "totals": round_floats(metrics.totals(report)),
        "accelerator": report.accelerator.model_dump(mode="json"),
        **({"dataflows": flows} if set(flows := report.costs.dataflows) > set(DATAFLOWS) else {}),
    }
    if report.costs.accesses:
        header["accesses"] = report.costs.accesses
    lines = [f"{json.dumps(key)}: {json_line(value)}," for key, value in header.items()]
    rows = [
        json_line(round_floats(row) | exact)
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

    document = parse_json(text, "a report", ReportError)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ReportError(f'no report: it must be an object with "format": "{FORMAT}"')
    if document.get("version") != VERSION:
        raise ReportError(
            f"a report of version {show(document.get('version'))}; this program reads {VERSION}"
        )
    try:
        network = decode_document(document.get("network"))
        accelerator = _accelerator(document.get("accelerator"))
    except SqueezesimError as error:
        raise ReportError(str(error)) from None
    rows = document.get("layers")
    if not isinstance(rows, list) or len(rows) != len(network.layers):
        raise ReportError(
            f"layers must be a list of {len(network.layers)}, one for each layer of the network"
        )
    pes = accelerator.array.pes
    axes = _axes(document, rows)
    _complete(rows, axes)
    paces = _paces(accelerator, network.layers)
    parsed = [
        _row(row, layer, (pes, *pace), axes)
        for row, layer, pace in zip(rows, network.layers, paces, strict=True)
    ]
    columns: dict[str, Any] = {
        key: np.array([[row[key] for row in parsed]], _TYPES.get(key, np.int64)) for key in parsed[0]
    }
    shape = 1, len(rows), len(axes.accesses), len(axes.operands)
    columns["bits"] = np.reshape(columns.get("bits", ()), shape)
    clock_hz = np.array([[accelerator.clock_mhz * 1e6]])
    costs = Costs(pes=np.array([[pes]]), clock_hz=clock_hz, **columns, **axes._asdict())
    made_by = from_data(document.get("made_by"))
    mapped = _mapped(document.get("mapped", []), network.layers)
    report = ReportData(network, accelerator, costs, made_by, mapped)
    _check_totals(document.get("totals", {}), report)
    return report


_TYPES: dict[str, Any] = {"energy": np.float64, "bits": np.float64, "pointwise": np.bool_}


def _exact(costs: Costs) -> Iterable[dict[str, Any]]:
    """What the columns of a report do not say, or only rounded, for each layer."""
    for index in range(costs.cycles.shape[1]):
        yield {
            **_mode(MODES[costs.mode[0, index]]),
            "tile": dict(zip(_AXES, costs.tile[0, index].tolist(), strict=True)),
            "pointwise": bool(costs.pointwise[0, index]),
            **({"laid_by": by} if (by := LAID_BY[costs.laid_by[0, index]]) else {}),
            "time_cycles": dict(zip(costs.bounds, costs.time[0, index].tolist(), strict=True)),
            "energy": dict(zip(costs.levels, costs.energy[0, index].tolist(), strict=True)),
            "bits": {
                access: {operand: bits for operand, bits in zip(costs.operands, row, strict=True) if bits}
                for access, row in zip(costs.accesses, costs.bits[0, index].tolist(), strict=True)
            },
            **_homes(costs.homes[0, index].tolist()),
        }


def _homes(codes: Sequence[int]) -> dict[str, Any]:
    homes = {operand: HOMES[code] for operand, code in zip(HOMED, codes, strict=True) if code}
    return {"homes": homes} if homes else {}


def _home_codes(row: Mapping[str, Any], where: str) -> list[int]:
    """Homes of the operands of a layer; an operand that is not there lives in its memory."""
    homes = _object(row, "homes", where) if "homes" in row else {}
    for operand in homes:
        if operand not in HOMED:
            raise ReportError(f"{where}: homes must be of {', '.join(HOMED)}, found {show(operand)}")
    return [_choice(homes, operand, where, homes_of(operand)) if operand in homes else 0 for operand in HOMED]


def _mode(mode: Mode) -> dict[str, Any]:
    held = {"stays": list(mode.stays), "single": list(mode.single)}
    return {"order": mode.order, **{key: operands for key, operands in held.items() if operands}}


def _operands(row: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(name, str) and name in LOOPS for name in found):
        raise ReportError(f"{where}: {key} must be a list of {', '.join(LOOPS)}, found {show(found)}")
    return tuple(found)


def _mapped(names: Any, layers: Sequence[Layer]) -> tuple[str, ...]:
    known = {layer.name for layer in layers if layer.kind == "mac"}
    if not isinstance(names, list):
        raise ReportError(f"mapped must be a list of layers, found {show(names)}")
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ReportError(f"mapped: {show(name)} is no layer with MACs of the network")
    return tuple(dict.fromkeys(names))


def _axes(document: Mapping[str, Any], rows: Sequence[Any]) -> Axes:
    """The names of the tables and those that *rows* have beside them, in their order."""

    def names(table: Iterable[str], found: Iterable[object], what: str) -> tuple[str, ...]:
        known = dict.fromkeys([*table, *map(str, found)])
        for name in known:
            if not re.fullmatch(_NAME, name):
                raise ReportError(
                    f"the name of a {what} must be at most 64 letters, digits and _, found {show(name)}"
                )
        if len(known) > _MOST_NAMES:
            raise ReportError(f"a report has at most {_MOST_NAMES} names of a {what}, found {len(known)}")
        return tuple(known)

    readable = [row for row in rows if isinstance(row, dict)]

    def columns(form: str) -> Iterator[str]:
        keys = dict.fromkeys(key for row in readable for key in row)
        return (match[1] for key in keys if (match := re.fullmatch(form, key, re.DOTALL)))

    def parts(key: str) -> Iterator[str]:
        return (name for row in readable if isinstance(part := row.get(key), dict) for name in part)

    def listed(key: str) -> list[object]:
        found = document.get(key, [])
        if not isinstance(found, list):
            raise ReportError(f"{key} must be a list of names, found {show(found)}")
        return found

    return Axes(
        names(CAUSES, columns("lost_(.*)"), "cause"),
        names(BOUNDS, parts("time_cycles"), "bound"),
        names(OPERANDS, columns("dram_(.+)_bytes"), "operand"),
        names(LEVELS, parts("energy"), "level"),
        names((), listed("accesses"), "access"),
        names(DATAFLOWS, listed("dataflows"), "dataflow"),
    )


def _complete(rows: Sequence[Any], axes: Axes) -> None:
    """Enter 0 for each name that none of *rows* has: what wrote the file did not know it."""
    columns = [f"lost_{cause}" for cause in axes.causes]
    columns += [f"dram_{operand}_bytes" for operand in axes.operands]
    readable = [row for row in rows if isinstance(row, dict)]
    lacking = {name: 0 for name in columns if not any(name in row for row in readable)}
    for row in readable:
        row.update(lacking)
    for key, names in (("time_cycles", axes.bounds), ("energy", axes.levels)):
        found = [part for row in readable if isinstance(part := row.get(key), dict)]
        lacking = {name: 0 for name in names if not any(name in part for part in found)}
        for part in found:
            part.update(lacking)


def _paces(accelerator: Accelerator, layers: Sequence[Layer]) -> list[tuple[int, int]]:
    """MACs that a PE does of each layer, and in how many cycles."""
    if not accelerator.precision.rates:
        return [(1, 1)] * len(layers)
    try:
        machine = Machine.of(accelerator)
    except SqueezesimError as error:
        raise ReportError(str(error)) from None
    operands = (operands_of(layer, machine) for layer in layers)
    return [
        machine.pace(each.weight_bits, each.activation_bits) if layer.kind == "mac" else (1, 1)
        for layer, each in zip(layers, operands, strict=True)
    ]


def _row(row: Any, layer: Layer, array: tuple[int, int, int], axes: Axes) -> dict[str, Any]:
    """The costs that one row says of *layer* on an array of so many PEs, MACs of each and cycles of these."""
    where = f"the row of layer {layer.name!r}"
    if not isinstance(row, dict) or row.get("name") != layer.name:
        raise ReportError(f"{where} must be an object with its name, found {show(row)}")
    values: dict[str, Any] = {
        "cycles": _integer(row, "cycles", where),
        "executed": _integer(row, "executed_macs", where),
        "losses": [_integer(row, f"lost_{cause}", where) for cause in axes.causes],
        "time": [_integer(_object(row, "time_cycles", where), bound, where) for bound in axes.bounds],
        "dataflow": _choice(row, "dataflow", where, ("", *axes.dataflows)) - 1,
        "mode": mode_of(
            ORDERS[_choice(row, "order", where, ORDERS)],
            **{key: _operands(row, key, where) for key in ("stays", "single")},
        ),
        "tile": [_integer(_object(row, "tile", where), axis, where) for axis in _AXES],
        "pointwise": _choice(row, "pointwise", where, (False, True)) == 1,
        "laid_by": _choice(row, "laid_by", where, LAID_BY) if "laid_by" in row else 0,
        "dram_bytes": [_integer(row, f"dram_{operand}_bytes", where) for operand in axes.operands],
        "buffer_bytes": _integer(row, "buffer_bytes", where),
        "energy": [_number(_object(row, "energy", where), level, where) for level in axes.levels],
        "bits": _bits(row, where, axes),
        "homes": _home_codes(row, where),
        **{key: _integer(row, key, where) if key in row else 0 for key in ("kept_bytes", "ahead_bytes")},
    }
    pes, macs, at_once = array
    slots = pe_slots(values["cycles"], pes, macs, at_once)
    if slots > _MOST:
        raise ReportError(f"{where}: PEs · cycles are more than {_MOST}")
    left_out = slots - values["executed"] - sum(values["losses"])  # a part of a slot in each step
    if not 0 <= left_out <= (layer.repeat if layer.repeat > 1 and at_once > 1 else 0):
        raise ReportError(f"{where}: PEs · cycles are not executed_macs + the losses")
    if layer.kind == "mac" and (values["dataflow"] < 0 or 0 in values["tile"]):
        raise ReportError(
            f"{where}: a layer with MACs has a dataflow and a tile of at least 1 along each axis"
        )
    if values["executed"] > layer.macs or sum(values["time"]) != values["cycles"]:
        raise ReportError(f"{where}: executed_macs or time_cycles do not fit its macs and cycles")
    return values


def _bits(row: Mapping[str, Any], where: str, axes: Axes) -> list[list[float]]:
    """Bits by access and operand; an operand that is not there has none."""
    table = _object(row, "bits", where) if axes.accesses else {}
    parts = [_object(table, access, where) for access in axes.accesses]
    return [
        [_number(part, operand, where) if operand in part else 0.0 for operand in axes.operands]
        for part in parts
    ]


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
    mapper = values.get("mapper")
    if isinstance(mapper, dict):
        mapper.setdefault("residency", "order")  # of reports that do not know it
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


_JSON_TYPES = {"text": "string", "integer": "integer", "number": "number"}

Schema = dict[str, Any]


_NAMES_SCHEMA: Schema = {"type": "array", "maxItems": _MOST_NAMES, "items": {"pattern": f"^{_NAME}$"}}


def report_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of the reports that this version writes.

    Of the network and the accelerator it says only what they are: a ``.graph.json`` and an accelerator with all its
    defaults.
    """
    columns = metrics.metrics_of("layer")
    exact: dict[str, Any] = {
        "order": {"enum": list(ORDERS)},
        "stays": {"type": "array", "items": {"enum": list(LOOPS)}},
        "single": {"type": "array", "items": {"enum": list(LOOPS)}},
        "tile": _sizes(AXES, "integer"),
        "pointwise": {"type": "boolean"},
        "laid_by": {"enum": list(LAID_BY[1:])},
        "time_cycles": _sizes(BOUNDS, "integer") | _further("integer", "{}"),
        "energy": _sizes(LEVELS, "number") | _further("number", "{}"),
        "bits": {"type": "object", "patternProperties": {f"^{_NAME}$": _further("number", "{}")}},
        "homes": _object_schema({operand: {"enum": list(homes_of(operand)[1:])} for operand in HOMED}, []),
    }
    layer = {metric.name: _column(metric) for metric in columns} | exact
    layer |= {name: layer[name] | {"pattern": f"^({_NAME})?$"} for name in ("dataflow", "bound")}
    required = [*(metric.name for metric in columns if not metric.is_optional), *exact]
    required = [name for name in required if name not in ("stays", "single", "laid_by", "homes")]
    named = _further("integer", "lost_{}", "dram_{}_bytes", "memory_{}_bytes")
    document = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "made_by": _object_schema(
            {"squeezesim": {"type": "string"}, "command": {"type": "array", "items": {"type": "string"}}},
            ["squeezesim"],
        ),
        "mapped": {"type": "array", "items": {"type": "string"}},
        "totals": _object_schema({name: _column(metrics.METRICS[name]) for name in metrics.total_names()}),
        "accelerator": {"type": "object", "required": ["name", "clock_mhz", "array", "memory"]},
        "dataflows": _NAMES_SCHEMA,
        "accesses": _NAMES_SCHEMA,
        "network": {"type": "object", "required": ["format", "version", "name", "layers"]},
        "layers": {"type": "array", "items": _object_schema(layer, required) | named},
    }
    # A report that was read without its maker or its bits is written so; dataflows are those that no table knows.
    written = [key for key in document if key not in ("made_by", "mapped", "dataflows", "accesses")]
    flows = {"dataflow": {"enum": ["", *DATAFLOWS]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report",
        **_object_schema(document, written),
        "if": {"not": {"required": ["dataflows"]}},
        "then": {"properties": {"layers": {"items": {"properties": flows}}}},
    }


def _column(metric: Metric) -> Schema:
    kind = _JSON_TYPES[metric.kind]
    schema: Schema = {"type": [kind, "null"] if metric.can_be_empty else kind}
    if metric.kind != "text":
        schema["minimum"] = 0
    if metric.unit:
        schema["unit"] = metric.unit
    return schema | {"description": metric.meaning}


def _sizes(names: Iterable[str], kind: str) -> Schema:
    return _object_schema({name: {"type": kind, "minimum": 0} for name in names})


def _further(kind: str, *forms: str) -> Schema:
    """Properties with a name that no table knows, each in its form."""
    value = {"type": kind, "minimum": 0}
    return {"patternProperties": {f"^{form.format(_NAME)}$": value for form in forms}}


def _object_schema(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }
