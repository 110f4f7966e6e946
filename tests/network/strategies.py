"""Random layers and networks, valid by construction."""

from dataclasses import replace

from hypothesis import strategies as st

from squeezesim.network import Layer, Network
from tests.draws import among

ACTIVATIONS = ("relu", "relu6", "sigmoid", "batch_norm", "bias", "silu")


@st.composite
def convolutions(draw: st.DrawFn, name: str = "conv") -> Layer:
    groups = draw(st.integers(1, 3))
    fy, fx = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return Layer.conv(
        name,
        n=draw(st.integers(1, 2)),
        c=groups * draw(st.integers(1, 4)),
        k=groups * draw(st.integers(1, 4)),
        oy=draw(st.integers(1, 8)),
        ox=draw(st.integers(1, 8)),
        fy=fy,
        fx=fx,
        groups=groups,
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        padding=draw(among(None, 0)),
        bias=draw(st.booleans()),
    )


def one_of(names: list[str]) -> st.SearchStrategy[str]:
    """One of the *names* so far."""
    return st.integers(0, len(names) - 1).map(names.__getitem__)


@st.composite
def networks(draw: st.DrawFn, most: int = 12) -> Network:
    """A chain with branches: every layer reads one or two of those before it, mostly the last."""
    layers: list[Layer] = []
    names = ["input"]
    for number in range(draw(st.integers(1, most))):
        name = f"layer{number}"
        kind = draw(among("conv", "matmul", "activation", "activation", "add", "pool"))
        reads = names[-1] if draw(among(True, True, False)) else draw(one_of(names))
        if kind == "conv":
            layer = draw(convolutions(name))
        elif kind == "matmul":
            m, n, k = (draw(st.integers(1, 9)) for _ in range(3))
            layer = Layer.matmul(name, m=m, n=n, k=k, bias=draw(st.booleans()))
        elif kind == "pool":
            layer = Layer.vector(name, op="max_pool", k=4, oy=3, ox=3, fy=2, fx=2, stride=2)
        elif kind == "add":
            layer = Layer.vector(name, op="add", k=4, oy=3, ox=3, operands=2)
        else:
            op = draw(st.sampled_from(ACTIVATIONS))
            before = next((layer for layer in layers if layer.name == reads), None)
            elements = before.output_elements if before else draw(st.integers(1, 99))
            layer = Layer.vector(name, op=op, k=elements, params=draw(st.integers(0, 5)))
        others = [draw(one_of(names))] if kind == "add" and draw(st.booleans()) else []
        inputs = tuple(dict.fromkeys([reads, *others]))
        layers.append(_reading(layer, inputs))
        names.append(name)
    return Network(name="random", layers=tuple(layers), inputs=(("input", (1, 3, 8, 8)),))


@st.composite
def recurrent_networks(draw: st.DrawFn) -> Network:
    """A random network of which one or two runs of successive layers repeat, and carry some of their own."""
    network = draw(networks())
    layers = list(network.layers)
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, len(layers) - 1))
        end = draw(st.integers(start + 1, len(layers)))
        if any(layer.repeat > 1 for layer in layers[max(start - 1, 0) : end + 1]):
            continue
        times = draw(st.integers(2, 4))
        names = [layer.name for layer in layers[start:end]]
        for place in range(start, end):
            carried = tuple(sorted(draw(st.sets(st.sampled_from(names), max_size=2))))
            layers[place] = replace(layers[place].repeated(times), carried=carried)
    return replace(network, layers=tuple(layers))


def _reading(layer: Layer, inputs: tuple[str, ...]) -> Layer:
    return replace(layer, inputs=inputs)
