"""What a machine does to outputs on their way out: additions join the layer before them.

An addition joins the later of the layers that make its operands, if that multiplies, all of its outputs are added, and
nothing else reads them. Its other operand is loaded tile by tile with the last input channels, and its vector
operations take no lanes. The network stays what it is: the addition is a layer that costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from squeezesim.cost.machine import Machine
from squeezesim.network.checks import derive
from squeezesim.network.layer import Layer


def joined(layers: Sequence[Layer], machine: Machine) -> Mapping[int, int]:
    """Return the additions that join another layer on *machine*, by number, each with that of the layer.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> conv = Layer.conv("a", c=8, k=8, oy=4, ox=4, fy=1, fx=1)
        >>> sizes = {"input_elements": 256, "output_elements": 128}
        >>> add = Layer(name="sum", op="add", kind="vector", inputs=("x", "a"), **sizes)
        >>> adding = Accelerator.named("os_32x32").replace({"array.post_ops": ["add"]})
        >>> joined([conv, add], Machine.of(adding))
        {1: 0}
    """
    if "add" not in machine.post_ops:
        return {}
    place = {layer.name: number for number, layer in enumerate(layers)}
    readers: dict[str, int] = {}
    for layer in layers:
        for source in {*layer.inputs, *layer.carried}:
            readers[source] = readers.get(source, 0) + 1
    found: dict[int, int] = {}
    for number, layer in enumerate(layers):
        makers = [place[source] for source in layer.inputs if source in place]
        if layer.op != "add" or layer.kind != "vector" or not makers or not _adds_two(layer):
            continue
        maker = layers[max(makers)]
        alone = readers[maker.name] == 1 and not layer.carried
        if alone and max(makers) not in found.values() and _makes(maker, layer):
            found[number] = max(makers)
    return found


def _adds_two(layer: Layer) -> bool:
    """Whether *layer* adds two different operands of the size of its outputs, and no parameters."""
    is_whole = layer.input_elements == 2 * layer.output_elements
    return len(set(layer.inputs)) == 2 and is_whole and layer.weight_elements == 0


def _makes(maker: Layer, layer: Layer) -> bool:
    """Whether *maker* multiplies, and its outputs are all that *layer* adds to."""
    made = maker.n * maker.g * maker.k * maker.oy * maker.ox
    same = maker.output_elements == layer.output_elements == made
    return maker.kind == "mac" and same and maker.repeat == layer.repeat == 1


def as_run(layers: Sequence[Layer], machine: Machine) -> Sequence[Layer]:
    """Return *layers* as *machine* runs them: with the second operands that they add."""
    adding = {*joined(layers, machine).values()}
    if not adding:
        return layers
    return [
        derive(layer, second_elements=layer.output_elements) if number in adding else layer
        for number, layer in enumerate(layers)
    ]
