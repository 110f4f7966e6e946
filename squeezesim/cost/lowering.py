"""What a machine does to outputs on their way out: additions and poolings join the layer before them.

An addition joins the later of the layers that make its operands, if that multiplies, all of its outputs are added, and
nothing else reads them. Its other operand is loaded tile by tile with the last input channels. A pooling by the largest
or by the mean joins the layer that it reads, or the addition that joined one, if nothing else reads that; its windows
are of one size (``pooling``). The lanes that do what joined work beside the array (``Workload.passed``). The network
stays what it is: what joined is a layer that costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.network.checks import derive
from squeezesim.network.layer import Layer, Pool

POOLS = {"max_pool": 0, "avg_pool": 1}
"""Poolings that can join, and whether what is kept of a window are sums."""

POST_OPS = {"add": "add"} | dict.fromkeys(POOLS, "pool")
"""What ``array.post_ops`` calls the layers that can join another one, by operator."""


class Joint(NamedTuple):
    """A layer that multiplies, by number, and what can join it, in order: an addition, a pooling, or both."""

    maker: int
    post_ops: tuple[int, ...]

    def runs(self, layers: Sequence[Layer], joined: int) -> Layer:
        """Return the layer as a machine runs it with the first *joined* of its ``post_ops``."""
        changes: dict[str, Any] = {}
        for number in self.post_ops[:joined]:
            post = layers[number]
            if post.op == "add":
                changes["second_elements"] = post.output_elements
            else:
                changes["pool"] = _pool_of(post)
        return derive(layers[self.maker], **changes) if changes else layers[self.maker]


def joints(layers: Sequence[Layer], machine: Machine) -> list[Joint]:
    """Return the layers that others can join on *machine*, with those.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> conv = Layer.conv("a", c=8, k=8, oy=4, ox=4, fy=1, fx=1)
        >>> sizes = {"input_elements": 256, "output_elements": 128}
        >>> add = Layer(name="sum", op="add", kind="vector", inputs=("x", "a"), **sizes)
        >>> pool = Layer.vector("pool", op="max_pool", k=8, oy=2, ox=2, fy=2, fx=2, stride=2, inputs=["sum"])
        >>> both = Accelerator.named("os_32x32").replace({"array.post_ops": ["add", "pool"]})
        >>> joints([conv, add, pool], Machine.of(both))
        [Joint(maker=0, post_ops=(1, 2))]
    """
    return _look(layers, machine)[0]


def obstacles(layers: Sequence[Layer], machine: Machine) -> Mapping[int, str]:
    """Return why additions and poolings that *machine* does on the way out cannot join a layer, by number.

    The sentences have places for the layers: ``{it}``, ``{them}``, ``{is}``, ``{do}``.
    """
    return _look(layers, machine)[1]


def _look(layers: Sequence[Layer], machine: Machine) -> tuple[list[Joint], dict[int, str]]:
    """The layers that others can join, and why others cannot."""
    if not {"add", "pool"} & {*machine.post_ops}:
        return [], {}
    place = {layer.name: number for number, layer in enumerate(layers)}
    readers: dict[str, int] = {}
    for layer in layers:
        for source in {*layer.inputs, *layer.carried}:
            readers[source] = readers.get(source, 0) + 1
    found: dict[int, list[int]] = {}
    maker_of: dict[int, int] = {}  # of additions that join
    apart: dict[int, str] = {}
    for number, layer in enumerate(layers):
        if layer.kind != "vector" or POST_OPS.get(layer.op) not in machine.post_ops:
            continue
        adds = layer.op == "add"
        makers = [place[source] for source in layer.inputs if source in place]
        last = max(makers, default=-1)
        maker = last if adds else maker_of.get(last, last)
        if not makers or layers[maker].kind != "mac":
            apart[number] = "no layer with MACs is before {them}"
        elif readers[layers[last].name] > 1:
            apart[number] = "another layer reads the outputs, too"
        elif layer.carried or max(layers[maker].repeat, layer.repeat) > 1:
            apart[number] = "{it} {is} part of a recurrence"
        elif adds and not (
            last not in found and _adds_two(layer) and _makes(layers[last], layer.output_elements)
        ):
            apart[number] = "{it} {do} not add two maps of one size"
        elif not adds and not (
            _pools(layer) and _makes(layers[maker], layer.input_elements) and _reads_map(layer, layers[maker])
        ):
            apart[number] = "{it} {do} not pool all outputs by windows of one size"
        elif adds:
            found[last], maker_of[number] = [number], last
        else:
            found.setdefault(maker, []).append(number)
    return [Joint(maker, tuple(post_ops)) for maker, post_ops in sorted(found.items())], apart


def joined(
    layers: Sequence[Layer], machine: Machine, cycles: Sequence[int] | None = None
) -> Mapping[int, int]:
    """Return what joins another layer on *machine*, by number, each with that of the layer.

    With the *cycles* of layers it is what was joined there: a layer that takes none.
    """
    return {
        number: joint.maker
        for joint in joints(layers, machine)
        for number in joint.post_ops
        if cycles is None or machine.vector_lanes == 0 or not cycles[number]
    }


def as_run(layers: Sequence[Layer], machine: Machine, cycles: Sequence[int] | None = None) -> Sequence[Layer]:
    """Return *layers* as *machine* runs them, with what joins them; *cycles* are as in ``joined``."""
    every = joints(layers, machine)
    if not every:
        return layers
    done, run = joined(layers, machine, cycles), [*layers]
    for joint in every:
        run[joint.maker] = joint.runs(layers, sum(number in done for number in joint.post_ops))
    return run


def _adds_two(layer: Layer) -> bool:
    """Whether *layer* adds two different operands of the size of its outputs, and no parameters."""
    is_whole = layer.input_elements == 2 * layer.output_elements
    return len(set(layer.inputs)) == 2 and is_whole and layer.weight_elements == 0


def _makes(maker: Layer, elements: int) -> bool:
    """Whether the outputs of *maker* are so many *elements*, and its loops make all of them."""
    return maker.output_elements == elements == maker.n * maker.g * maker.k * maker.oy * maker.ox


def _pools(layer: Layer) -> bool:
    """Whether *layer* has windows of one size over one operand, and no parameters."""
    outputs = layer.n * layer.k * layer.oy * layer.ox
    is_even = layer.vector_ops == outputs * layer.fy * layer.fx and layer.output_elements == outputs
    starts = zip((layer.oy, layer.ox), layer.stride, layer.padding, (layer.iy, layer.ix), strict=True)
    inside = all((count - 1) * stride - padding < extent for count, stride, padding, extent in starts)
    return is_even and inside and len(set(layer.inputs)) == 1 and layer.weight_elements == 0


def _reads_map(layer: Layer, maker: Layer) -> bool:
    """Whether the map that *layer* pools is laid out as the outputs of *maker* are."""
    made = maker.n, maker.g * maker.k, maker.oy, maker.ox
    return (layer.n, layer.k, layer.iy, layer.ix) == made and layer.k == layer.c


def _pool_of(layer: Layer) -> Pool:
    """The windows of a pooling."""
    y, x = ((size - 1) * gap + 1 for size, gap in zip((layer.fy, layer.fx), layer.dilation, strict=True))
    return Pool(layer.oy, layer.ox, y, x, *layer.stride, *layer.padding, POOLS[layer.op])
