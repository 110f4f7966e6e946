"""Network → SCALE-Sim's topology of convolutions, the file that it reads by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from squeezesim.errors import ModelError
from squeezesim.network import Layer, Network

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"


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


def export(network: Network) -> Topology:
    """Return *network* as a topology; every MAC layer keeps its MACs and its M×K by K×N product.

    The input of a convolution is (out − 1) · stride + filter, so that SCALE-Sim's output size, which knows no padding,
    is ours. Batches, dilations and two different strides cannot be said: such a layer is written as its matrix
    product, M pixels high, with K = FY·FX·C channels and a 1×1 filter. Groups are rows of their own, but for a
    depthwise convolution: it is one row with ``DP`` in its name, which SCALE-Sim runs channel by channel.

    Raises:
        ModelError: no layer of the network multiplies.
    """
    layers = [layer for layer in network.layers if layer.kind == "mac"]
    if not layers:
        raise ModelError(
            f"network {network.name!r} has no MAC layer: nothing in it is a convolution or a matrix product"
        )
    rows = [row for layer in layers for row in _rows(layer)]
    left_out = Counter(layer.op for layer in network.layers if layer.kind == "vector")
    return Topology(
        text="".join(f"{line}\n" for line in (HEADER, *rows)),
        products=tuple(layer.name for layer in layers if not (_is_said(layer) or _is_product(layer))),
        repeated=tuple(layer.name for layer in layers if layer.g > 1 and not _is_depthwise(layer)),
        left_out=tuple(left_out.most_common()),
    )


def _is_said(layer: Layer) -> bool:
    """Whether a row can say the layer as it is, groups aside."""
    return layer.n == 1 and layer.dilation == (1, 1) and layer.stride[0] == layer.stride[1]


def _is_product(layer: Layer) -> bool:
    return layer.fy == layer.fx == 1 and layer.stride == (1, 1)


def _is_depthwise(layer: Layer) -> bool:
    return layer.g > 1 and layer.c == 1 and _is_said(layer)


def _rows(layer: Layer) -> Iterator[str]:
    # SCALE-Sim splits at every comma, and takes any name with DP in it for a depthwise convolution.
    name = layer.name.replace(",", ";").replace("DP", "dp").strip()
    if _is_said(layer):
        stride = layer.stride[0]
        height, width = ((o - 1) * stride + f for o, f in ((layer.oy, layer.fy), (layer.ox, layer.fx)))
        sizes = (height, width, layer.fy, layer.fx, layer.c, layer.k, stride)
    else:
        sizes = (layer.n * layer.oy * layer.ox, 1, 1, 1, layer.fy * layer.fx * layer.c, layer.k, 1)
    if _is_depthwise(layer):
        yield _row(f"{name} DP", (*sizes[:4], layer.g, *sizes[5:]))
    elif layer.g == 1:
        yield _row(name, sizes)
    else:
        yield from (_row(f"{name} group {number}", sizes) for number in range(1, layer.g + 1))


def _row(name: str, sizes: tuple[int, ...]) -> str:
    return "".join(f"{value}, " for value in (name, *sizes)).rstrip()
