"""SCALE-Sim's topology files: in, and out of any network."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from squeezesim.errors import ModelError, nearest
from squeezesim.escapes import csv_cell, from_csv_cell
from squeezesim.files import read_text
from squeezesim.network import Layer, Network
from squeezesim.network.checks import show
from squeezesim.network.network import check_multiplies
from squeezesim.network.transforms import RESOLUTION

MAX_BYTES = 2**20
"""Largest topology that is read."""

CONV = ("ifmap height", "ifmap width", "filter height", "filter width", "channels", "num filter")
"""Columns of a topology of convolutions, after the layer's name and before its strides."""

GEMM = ("m", "n", "k")
"""Columns of a topology of matrix products, after the layer's name: M×K by K×N."""

_STRIDES = ("strides", "stride height", "stride width")
_NAME, _SPARSITY, _BATCH = "layer name", "sparsity", "batch size"
_OPTIONAL = (_SPARSITY, _BATCH)
_KNOWN = (_NAME, *CONV, *_STRIDES, *GEMM, *_OPTIONAL)
_SPELLINGS = {
    "layer": _NAME,
    "name": _NAME,
    "l": _NAME,
    "channel": "channels",
    "num filters": "num filter",
    "stride": "strides",
    "strides height": "stride height",
    "strides width": "stride width",
    "sparsity ratio": _SPARSITY,
    "batch": _BATCH,
}
_LISTED = 3  # names that a note lists


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
    Filter Width, Channels, Num Filter, Strides`` for convolutions, ``Layer, M, N, K`` for matrix products. A column
    whose name is unknown or there twice is read by its place, as SCALE-Sim, which skips the header, reads all. Further
    columns and lines with a name alone are left out. Notes of the network say each of these, and another order than
    SCALE-Sim's. Commas at the end of a line make no difference, nor does a remark behind them that starts with ``#``.
    Tabs may stand for the commas.

    As in SCALE-Sim a convolution has ⌈(in − filter + stride) / stride⌉ outputs along an axis, and a name with ``DP``
    in it is a depthwise one: each channel has Num Filter filters of its own. A filter of one row that is as wide as
    its input is SCALE-Sim's form of a matrix product and is read as one. ``Batch Size`` is the number of inputs.
    ``Sparsity`` N:M says that of every M weights of a filter N are not zero, by row, column and channel: the layer's
    density, and its pattern where these M are input channels of one tap.

    Raises:
        ModelError: the file cannot be read, is no topology, or has a bad row (file and line).

    Example:
        >>> read("alexnet.csv").layers[0].ox  # doctest: +SKIP
        55
    """
    file = Path(path)
    header, *rows = _lines(file)
    titles = [row for row in rows if len(row.values) == 1 and not re.search(r"[;\t|]", row.values[0])]
    rows = [row for row in rows if row not in titles]
    columns, notes = _columns(header, rows)
    taken = {"input": 1}
    read_rows = [_layer(row, _values(row, columns), taken) for row in rows]
    layers = [layer for layer, _ in read_rows]
    if spread := [layer.name for layer, is_spread in read_rows if is_spread]:
        notes.append(
            f"zeros of a sparsity N:M that is not of input channels are in no pattern: {_listed(spread)}"
        )
    if not layers:
        raise header.error("the topology lists no layer")
    if titles:
        notes.append(f"lines with a name alone are no layers: {_listed([row.values[0] for row in titles])}")
    network = Network.from_layers(layers, name=file.stem)
    return replace(network, source="SCALE-Sim topology", notes=tuple(notes)).with_stages(RESOLUTION)


def _lines(file: Path) -> list[_Line]:
    """The lines that say something, split at commas, without a remark and blanks at the end."""
    text = read_text(file, MAX_BYTES, "SCALE-Sim topology", ModelError)
    lines = []
    header = text.lstrip().partition("\n")[0]
    separator = "\t" if "\t" in header and "," not in header else ","
    for number, line in enumerate(text.split("\n"), start=1):
        name, *rest = (value.strip() for value in line.split(separator))
        values = [name, *takewhile(lambda value: not value.startswith("#"), rest)]
        while values and not values[-1]:
            values.pop()
        if values:
            lines.append(_Line(str(file), number, tuple(values)))
    if not lines:
        raise ModelError(f"{str(file)!r} is no SCALE-Sim topology: it is empty")
    return lines


def _columns(header: _Line, rows: Sequence[_Line]) -> tuple[list[str], list[str]]:
    """What each column holds, empty for one that is not read, and what must be said of it."""
    words = [re.sub(r"[\s_]+", " ", name).lower() for name in header.values]
    columns = [_SPELLINGS.get(word, word) for word in words]
    notes = []
    if columns.count("strides") == 2:
        first, second = (place for place, column in enumerate(columns) if column == "strides")
        columns[first], columns[second] = _STRIDES[1:]
        notes.append(
            "columns are read by their place, as SCALE-Sim does: "
            f"{show(header.values[first])} twice as {' and '.join(_STRIDES[1:])}"
        )
    named = set(columns)
    needed = [_NAME, *GEMM]
    if named & set(CONV) or (not named.issuperset(GEMM) and _is_headed(header, rows)):
        split = {"stride height", "stride width"} & named
        needed = [_NAME, *CONV, *(_STRIDES[1:] if split else _STRIDES[:1])]
    elif not named & set(GEMM):
        raise header.error(
            "this is no SCALE-Sim topology: its header names neither IFMAP Height, IFMAP Width, Filter Height, "
            "Filter Width, Channels, Num Filter, Strides nor M, N, K"
        )
    if not named.issuperset(needed):
        placed = _by_place(header, columns, needed)
        guessed = [
            f"{show(name)} as {role}"
            for name, column, role in zip(header.values, columns, placed, strict=True)
            if role != column
        ]
        notes.append(f"columns are read by their place, as SCALE-Sim does: {', '.join(guessed)}")
        columns = placed
    elif columns[: len(needed)] != needed:
        moved = [
            name
            for name, column, role in zip(header.values, columns, needed, strict=False)
            if column in needed and column != role
        ]
        notes.append(
            "columns are read by their names, in another order than SCALE-Sim's, which reads by place: "
            f"{_listed(moved)}"
        )
    for index, column in enumerate(columns):
        if column in (*needed, *_OPTIONAL) and column in columns[:index]:
            raise header.error(f"column {show(header.values[index])} is there twice")
    read = [column if column in (*needed, *_OPTIONAL) else "" for column in columns]
    if unread := [name for name, column in zip(header.values, read, strict=True) if name and not column]:
        notes.append(f"columns that are not read: {_listed(unread)}")
    return read, notes


def _is_headed(header: _Line, rows: Sequence[_Line]) -> bool:
    """Whether rows of convolutions follow a line of words of which none is known."""
    sizes = slice(1, len(CONV) + 2)
    return (
        len(header.values[sizes]) == len(CONV) + 1
        and not any(value.isdigit() for value in header.values)
        and bool(rows)
        and len(rows[0].values) > len(CONV) + 1
        and all(value.isdigit() for value in rows[0].values[sizes])
    )


def _by_place(header: _Line, columns: Sequence[str], needed: Sequence[str]) -> list[str]:
    """What the columns hold where names do not tell; a name that is at another's place and nowhere else tells."""
    front, told = columns[: len(needed)], (*needed, *_OPTIONAL)
    unknown = [place for place, column in enumerate(columns) if column not in told]
    astray = any(
        column in told and column != role and (column, column) not in zip(front, needed, strict=False)
        for column, role in zip(front, needed, strict=False)
    )
    if len(front) < len(needed) or astray:
        if unknown:
            name = header.values[unknown[0]]
            hint = nearest(columns[unknown[0]], _KNOWN)
            raise header.error(f"unknown column {show(name)}; allowed: {', '.join(needed)}{hint}")
        missing = next(column for column in needed if column not in columns)
        raise header.error(f"the header has no column {missing!r}; needed: {', '.join(needed)}")
    return [*needed, *columns[len(needed) :]]


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(map(show, names[:_LISTED])) + (f" and {rest} more" if rest > 0 else "")


def _values(row: _Line, columns: Sequence[str]) -> dict[str, str]:
    """The row's values by what they are; the last may be missing where they need not be there."""
    least = 1 + max(place for place, column in enumerate(columns) if column not in ("", *_OPTIONAL))
    if not least <= len(row.values) <= len(columns):
        raise row.error(f"the row has {len(row.values)} values, the header names {len(columns)} columns")
    return {column: value for column, value in zip(columns, row.values, strict=False) if column}


def _layer(row: _Line, values: Mapping[str, str], taken: dict[str, int]) -> tuple[Layer, bool]:
    """The layer of one row, under a name that no row before has *taken*; whether blocks of its zeros span taps."""
    if not values[_NAME]:
        raise row.error("the layer has no name")
    kept, block = _sparsity(row, values.get(_SPARSITY) or "1:1")
    sizes = {
        column: _size(row, column, text)
        for column, text in values.items()
        if column not in (_NAME, _SPARSITY) and (text or column != _BATCH)
    }
    for axis in ("height", "width"):
        if sizes.get(f"filter {axis}", 0) > sizes.get(f"ifmap {axis}", 0):
            raise row.error(
                f"filter {axis} {sizes[f'filter {axis}']} is larger than IFMAP {axis} {sizes[f'ifmap {axis}']}"
            )
    name = _free(from_csv_cell(values[_NAME]), taken)
    try:
        layer = _product(name, sizes) if "m" in sizes else _convolution(name, sizes)
    except ModelError as error:
        raise row.error(str(error)) from None
    if kept == block:
        return layer, False
    window = layer.c * layer.fy * layer.fx
    held = window // block * kept + min(window % block, kept)
    # A window is gone through by row, column and channel, so that blocks are of channels where they fill a tap.
    is_spread = layer.c != window and layer.c % block != 0
    pattern = "" if is_spread else f"{kept}:{block}"
    return replace(layer, weight_density=held / window, weight_pattern=pattern), is_spread


def _sparsity(row: _Line, text: str) -> tuple[int, int]:
    """N and M of a sparsity N:M: of every M weights of a filter's window in order, N are not zero."""
    found = re.fullmatch(r"([0-9]{1,4})\s*:\s*([0-9]{1,4})", text)
    kept, block = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= kept <= block:
        raise row.error(f"sparsity must be N:M, N of M weights that are not zero, found {show(text)}")
    return kept, block


def _product(name: str, sizes: Mapping[str, int]) -> Layer:
    return Layer.matmul(name, m=sizes.get(_BATCH, 1) * sizes["m"], n=sizes["n"], k=sizes["k"])


def _convolution(name: str, sizes: Mapping[str, int]) -> Layer:
    extents = sizes["ifmap height"], sizes["ifmap width"]
    taps = sizes["filter height"], sizes["filter width"]
    strides = [sizes.get(column, sizes.get("strides", 1)) for column in _STRIDES[1:]]
    outputs = [-(-(i - f + s) // s) for i, f, s in zip(extents, taps, strides, strict=True)]
    channels, filters = sizes["channels"], sizes["num filter"]
    groups = channels if "DP" in name else 1
    if taps == (1, extents[1]):
        k = channels // groups * taps[1]
        return Layer.matmul(name, m=sizes.get(_BATCH, 1) * outputs[0], n=filters, k=k, batch=groups)
    return Layer.conv(
        name,
        n=sizes.get(_BATCH, 1),
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


HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
"""First line of a topology of convolutions, which SCALE-Sim reads by default."""

GEMM_HEADER = "Layer, M, N, K,"
"""First line of a topology of matrix products, which it reads with ``-i gemm``."""

MAX_ROWS = 100_000
"""Most rows that are written; a network whose layers have more groups than that is refused."""


@dataclass(frozen=True, slots=True)
class Topology:
    """A topology file, and what it could not say.

    Attributes:
        text: the file.
        products: names of the convolutions that stand in it as matrix products.
        repeated: names of the layers whose groups stand in it as a row each.
        left_out: operators that SCALE-Sim does not have, with their count.
    """

    text: str
    products: tuple[str, ...]
    repeated: tuple[str, ...]
    left_out: tuple[tuple[str, int], ...]


def export(network: Network, *, gemm: bool = False) -> Topology:
    """Return *network* as a topology; every MAC layer keeps its MACs and its M×K by K×N product.

    The input of a convolution is (out − 1) · stride + filter, so that SCALE-Sim's output size, which knows no padding,
    is ours. Batches, dilations and two different strides cannot be said: such a layer is written as its matrix
    product, M pixels by K = FY·FX·C weights. With *gemm* every layer is, as a row ``name, M, N, K``.

    Each step of a recurrence is a row. Groups are rows of their own, but for a depthwise convolution and a product for
    each group, such as attention: these are one row with ``DP`` in its name, which SCALE-Sim runs channel by channel, a
    channel for each group.

    Raises:
        ModelError: no layer of the network multiplies, or there are more than 100,000 rows.

    Example:
        >>> print(export(Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)]), gemm=True).text)
        Layer, M, N, K,
        fc, 1, 1000, 128,
        <BLANKLINE>
    """
    check_multiplies(network)
    layers = [layer for layer in network.layers if layer.kind == "mac"]
    repeated = [layer for layer in layers if layer.g > 1 and (gemm or (_is_said(layer) and layer.c > 1))]
    count = sum(layer.repeat for layer in layers) + sum((layer.g - 1) * layer.repeat for layer in repeated)
    if count > MAX_ROWS:
        steps = " and one for each step of a recurrence" if any(layer.repeat > 1 for layer in layers) else ""
        raise ModelError(
            f"network {network.name!r} takes {count} rows, one for each group of {len(repeated)} of its layers{steps}; "
            f"allowed: at most {MAX_ROWS}"
        )
    macs = [layer for layer in network.unrolled().layers if layer.kind == "mac"]
    rows = [row for layer in macs for row in (_gemm_rows(layer) if gemm else _conv_rows(layer))]
    left_out: Counter[str] = Counter()
    for layer in network.layers:
        if layer.kind == "vector":
            left_out[layer.op] += layer.repeat
    return Topology(
        text="".join(f"{line}\n" for line in (GEMM_HEADER if gemm else HEADER, *rows)),
        products=tuple(
            layer.name for layer in layers if not _is_product(layer) and (gemm or not _is_said(layer))
        ),
        repeated=tuple(layer.name for layer in repeated),
        left_out=tuple(left_out.most_common()),
    )


def _is_product(layer: Layer) -> bool:
    """Whether a layer reads each input once for each output channel, as a matrix product does."""
    return layer.fy == layer.fx == 1 and layer.stride == (1, 1)


def _is_said(layer: Layer) -> bool:
    """Whether rows of sizes say the layer as a convolution; a product for each group is better said as one row."""
    plain = layer.n == 1 and layer.dilation == (1, 1) and layer.stride[0] == layer.stride[1]
    return plain and not (layer.g > 1 and _is_product(layer))


def _product_row(layer: Layer) -> tuple[int, int, int]:
    """M, N and K of each group."""
    return layer.n * layer.oy * layer.ox, layer.k, layer.fy * layer.fx * layer.c


def _gemm_rows(layer: Layer) -> Iterator[str]:
    for name in _names(layer):
        yield _row(name, _product_row(layer))


def _conv_rows(layer: Layer) -> Iterator[str]:
    if _is_said(layer):
        stride = layer.stride[0]
        inputs = [(o - 1) * stride + f for o, f in ((layer.oy, layer.fy), (layer.ox, layer.fx))]
        taps, channels, filters = (layer.fy, layer.fx), layer.c, layer.k
    else:
        stride = 1
        m, filters, k = _product_row(layer)
        # SCALE-Sim's own form of a product is M×K inputs and a 1×K filter of one channel.
        inputs, taps, channels = ([m, 1], (1, 1), k) if layer.g == 1 else ([m, k], (1, k), 1)
    if layer.g > 1 and channels == 1:
        yield _row(f"{_name(layer)} DP", (*inputs, *taps, layer.g, filters, stride))
        return
    for name in _names(layer):
        yield _row(name, (*inputs, *taps, channels, filters, stride))


def _name(layer: Layer) -> str:
    # SCALE-Sim splits at every comma, and takes any name with DP in it for a depthwise convolution.
    return csv_cell(layer.name.replace(",", ";").replace("DP", "dp").strip())


def _names(layer: Layer) -> list[str]:
    """The name of each group's row."""
    name = _name(layer)
    return [name] if layer.g == 1 else [f"{name} group {number}" for number in range(1, layer.g + 1)]


def _row(name: str, sizes: Sequence[int]) -> str:
    return "".join(f"{value}, " for value in (name, *sizes)).rstrip()
