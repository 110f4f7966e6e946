"""SCALE-Sim's topology files, of convolutions or of matrix products → Network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from squeezesim.errors import ModelError, nearest
from squeezesim.escapes import from_csv_cell
from squeezesim.files import read_text
from squeezesim.network import Layer, Network
from squeezesim.network.checks import show
from squeezesim.network.passes import RESOLUTION, mark_stages

MAX_BYTES = 2**20
"""Largest topology that is read."""

CONV = ("ifmap height", "ifmap width", "filter height", "filter width", "channels", "num filter")
"""Columns of a topology of convolutions, after the layer's name and before its strides."""

GEMM = ("m", "n", "k")
"""Columns of a topology of matrix products, after the layer's name: M×K by K×N."""

_STRIDES = ("strides", "stride height", "stride width")
_NAME, _SPARSITY = "layer name", "sparsity"
_KNOWN = (_NAME, *CONV, *_STRIDES, *GEMM, _SPARSITY)
_SPELLINGS = {
    "layer": _NAME,
    "name": _NAME,
    "l": _NAME,
    "num filters": "num filter",
    "stride": "strides",
    "sparsity ratio": _SPARSITY,
}


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a file, by number."""

    path: str
    number: int
    values: tuple[str, ...]

    def error(self, message: str) -> ModelError:
        return ModelError(f"{self.path}:{self.number}: {message}")


def read(path: str | os.PathLike[str]) -> Network:
    """Return the network that a topology file lists; each layer reads the one before it.

    The header's names say what a column holds, in any order: ``Layer name, IFMAP Height, IFMAP Width, Filter Height,
    Filter Width, Channels, Num Filter, Strides`` for convolutions, ``Layer, M, N, K`` for matrix products. Commas at
    the end of a line make no difference, nor does a remark behind them that starts with ``#``.

    As in SCALE-Sim a convolution has ⌈(in − filter + stride) / stride⌉ outputs along an axis, and a name with ``DP``
    in it is a depthwise one: each channel has Num Filter filters of its own. A filter of one row that is as wide as
    its input is SCALE-Sim's form of a matrix product and is read as one.

    Raises:
        ModelError: the file cannot be read, is no topology, or has a bad row (file and line).

    Example:
        >>> read("alexnet.csv").layers[0].ox  # doctest: +SKIP
        55
    """
    file = Path(path)
    header, *rows = _lines(file)
    columns = _columns(header)
    taken = {"input": 1}
    layers = [_layer(row, dict(zip(columns, _values(row, columns), strict=True)), taken) for row in rows]
    if not layers:
        raise header.error("the topology lists no layer")
    network = Network.from_layers(layers, name=file.stem)
    return mark_stages(replace(network, source="SCALE-Sim topology"), RESOLUTION)


def _lines(file: Path) -> list[_Line]:
    """The lines that say something, split at commas, without a remark and blanks at the end."""
    text = read_text(file, MAX_BYTES, "SCALE-Sim topology", ModelError)
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        name, *rest = (value.strip() for value in line.split(","))
        values = [name, *takewhile(lambda value: not value.startswith("#"), rest)]
        while values and not values[-1]:
            values.pop()
        if values:
            lines.append(_Line(str(file), number, tuple(values)))
    if not lines:
        raise ModelError(f"{str(file)!r} is no SCALE-Sim topology: it is empty")
    return lines


def _columns(header: _Line) -> list[str]:
    """What each column holds, by the names in the header."""
    words = [re.sub(r"[\s_]+", " ", name).lower() for name in header.values]
    columns = [_SPELLINGS.get(word, word) for word in words]
    if not set(columns) & {*CONV, *GEMM}:
        raise header.error(
            "this is no SCALE-Sim topology: its header names neither IFMAP Height, IFMAP Width, Filter Height, "
            "Filter Width, Channels, Num Filter, Strides nor M, N, K"
        )
    needed = [_NAME, *GEMM]
    if set(columns) & set(CONV):
        split = {"stride height", "stride width"} & set(columns)
        needed = [_NAME, *CONV, *(_STRIDES[1:] if split else _STRIDES[:1])]
    for index, column in enumerate(columns):
        if column not in (*needed, _SPARSITY):
            hint = nearest(column, _KNOWN)
            raise header.error(
                f"unknown column {show(header.values[index])}; allowed: {', '.join(needed)}{hint}"
            )
        if column in columns[:index]:
            raise header.error(f"column {show(header.values[index])} is there twice")
    if missing := [column for column in needed if column not in columns]:
        raise header.error(f"the header has no column {missing[0]!r}; needed: {', '.join(needed)}")
    return columns


def _values(row: _Line, columns: Sequence[str]) -> tuple[str, ...]:
    if len(row.values) != len(columns):
        raise row.error(f"the row has {len(row.values)} values, the header names {len(columns)} columns")
    return row.values


def _layer(row: _Line, values: Mapping[str, str], taken: dict[str, int]) -> Layer:
    """The layer of one row, under a name that no row before has *taken*."""
    if not values[_NAME]:
        raise row.error("the layer has no name")
    if (ratio := values.get(_SPARSITY, "1:1")).partition(":")[0] != ratio.partition(":")[2]:
        raise row.error(f"sparsity {show(ratio)} is not modelled; allowed: 1:1")
    sizes = {
        column: _size(row, column, text)
        for column, text in values.items()
        if column not in (_NAME, _SPARSITY)
    }
    for axis in ("height", "width"):
        if sizes.get(f"filter {axis}", 0) > sizes.get(f"ifmap {axis}", 0):
            raise row.error(
                f"filter {axis} {sizes[f'filter {axis}']} is larger than IFMAP {axis} {sizes[f'ifmap {axis}']}"
            )
    name = _free(from_csv_cell(values[_NAME]), taken)
    try:
        return _product(name, sizes) if "m" in sizes else _convolution(name, sizes)
    except ModelError as error:
        raise row.error(str(error)) from None


def _product(name: str, sizes: Mapping[str, int]) -> Layer:
    return Layer.matmul(name, m=sizes["m"], n=sizes["n"], k=sizes["k"])


def _convolution(name: str, sizes: Mapping[str, int]) -> Layer:
    extents = sizes["ifmap height"], sizes["ifmap width"]
    taps = sizes["filter height"], sizes["filter width"]
    strides = [sizes.get(column, sizes.get("strides", 1)) for column in _STRIDES[1:]]
    outputs = [-(-(i - f + s) // s) for i, f, s in zip(extents, taps, strides, strict=True)]
    channels, filters = sizes["channels"], sizes["num filter"]
    groups = channels if "DP" in name else 1
    if taps == (1, extents[1]):
        k = channels // groups * taps[1]
        return Layer.matmul(name, m=outputs[0], n=filters, k=k, batch=groups)
    return Layer.conv(
        name,
        c=channels,
        k=groups * filters,
        groups=groups,
        oy=outputs[0],
        ox=outputs[1],
        fy=taps[0],
        fx=taps[1],
        stride=(strides[0], strides[1]),
        padding=0,
        iy=extents[0],
        ix=extents[1],
    )


def _size(row: _Line, column: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19 and int(text) > 0):
        raise row.error(f"{column} must be a positive integer, found {show(text)}")
    return int(text)


def _free(name: str, taken: dict[str, int]) -> str:
    """The name, numbered where a layer before has it; *taken* holds the last number of each."""
    free = name
    while free in taken:
        taken[name] += 1
        free = f"{name}#{taken[name]}"
    taken[free] = 1
    return free
