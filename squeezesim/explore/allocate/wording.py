"""How measures of allocations are written in tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from squeezesim.report import units

_HEADERS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "params": ("params", units.count),
    "macs": ("MACs", units.count),
    "vector_ops": ("vector ops", units.count),
    "cycles": ("cycles", units.count),
    "latency_us": ("latency µs", units.decimal),
    "utilization": ("utilization", units.share),
    "efficiency": ("efficiency", units.share),
    "energy_uj": ("energy µJ", units.decimal),
    "energy_mac_equiv": ("energy (MACs)", units.count),
    "dram_bytes": ("DRAM", units.size),
    "weights_bytes": ("weights", units.size),
    "weights_values_bytes": ("weights, values", units.size),
    "late_share": ("late params", units.share),
    "array.pes": ("PEs", "{:,.0f}".format),
}


def header(measure: str) -> str:
    """Return what stands above a column of a measure or a parameter.

    Example:
        >>> header("latency_us"), written("latency_us", 1234.56)
        ('latency µs', '1,235')
    """
    return _HEADERS[measure][0] if measure in _HEADERS else measure.rpartition(".")[2]


def written(measure: str, value: Any) -> str:
    """Return a value of *measure* as people read it; one of a parameter as it is given."""
    if measure in _HEADERS:
        return _HEADERS[measure][1](value)
    if value is None:
        return "null"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def words(measure: str) -> str:
    """Return what a measure is called in a sentence: its header without a unit."""
    return header(measure).removesuffix(" µs").removesuffix(" µJ").removesuffix(" (MACs)")
