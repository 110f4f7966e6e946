"""Network → SCALE-Sim's topology files, of convolutions or of matrix products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from squeezesim.errors import ModelError
from squeezesim.escapes import csv_cell
from squeezesim.network import Layer, Network
from squeezesim.network.checks import check_multiplies

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


def _product(layer: Layer) -> tuple[int, int, int]:
    """M, N and K of each group."""
    return layer.n * layer.oy * layer.ox, layer.k, layer.fy * layer.fx * layer.c


def _gemm_rows(layer: Layer) -> Iterator[str]:
    for name in _names(layer):
        yield _row(name, _product(layer))


def _conv_rows(layer: Layer) -> Iterator[str]:
    if _is_said(layer):
        stride = layer.stride[0]
        inputs = [(o - 1) * stride + f for o, f in ((layer.oy, layer.fy), (layer.ox, layer.fx))]
        taps, channels, filters = (layer.fy, layer.fx), layer.c, layer.k
    else:
        stride = 1
        m, filters, k = _product(layer)
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
