"""Network to network: fuse what the array applies on the way out, mark stages. Totals never change."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from squeezesim.errors import ModelError
from squeezesim.network.checks import recurrences, show
from squeezesim.network.graph import Network
from squeezesim.network.layer import Layer
from squeezesim.network.ops import ACTIVATIONS

_FUSIBLE = ACTIVATIONS | {"batch_norm", "bias"}
_ADDS = ("add", "sub")

MAX_UNROLLED = 1_000_000
"""Most layers of a network whose steps are layers of their own."""

_STAGE = re.compile(r"stem|head|stage\d+")


def fuse(network: Network) -> Network:
    """Return *network* with batch-norm, bias and activations made part of the layer that they follow.

    An operator is fused into a MAC layer or an add if it reads nothing else, alone, and all of it, step by step where
    it repeats. The producer takes over its params and vector operations and lists it in ``fused``; what read the
    operator reads the producer.

    Example:
        >>> from squeezesim.network import Layer
        >>> relu = Layer.vector("relu", op="relu", k=64)
        >>> fuse(Network.from_layers([Layer.matmul("fc", m=1, n=64, k=128), relu])).layers[0].fused
        ('relu',)
    """
    readers: dict[str, int] = {}
    for layer in network.layers:
        for source in {*layer.inputs, *layer.carried}:
            readers[source] = readers.get(source, 0) + 1
    parts: dict[str, list[Layer]] = {}  # each layer that stays, and what becomes part of it
    producer_of: dict[str, str] = {}  # a fused operator's name → the layer that it becomes part of
    for layer in network.layers:
        source = producer_of.get(layer.inputs[0], layer.inputs[0]) if len(layer.inputs) == 1 else ""
        if source in parts and readers[layer.inputs[0]] == 1 and _fits(layer, parts[source][0]):
            producer_of[layer.name] = source
            parts[source].append(layer)
        else:
            parts[layer.name] = [layer]
    return replace(network, layers=tuple(_joined(part, producer_of) for part in parts.values()))


def unroll(network: Network) -> Network:
    """Return *network* without recurrences; see ``Network.unrolled``."""
    if sum(layer.repeat for layer in network.layers) > MAX_UNROLLED:
        raise ModelError(
            f"network {show(network.name)} has more than {MAX_UNROLLED:,} layers where steps are layers"
        )
    steps: dict[str, list[str]] = {}  # of a layer or an input, the names of its steps
    layers: list[Layer] = []
    taken = {name for name, _ in network.inputs} | {layer.name for layer in network.layers}
    for name, _ in network.inputs:
        steps[name] = [name]
    for run in recurrences(network.layers):
        repeat = run[0].repeat
        for layer in run:
            steps[layer.name] = [
                layer.name,
                *(_free(f"{layer.name}#{n}", taken) for n in range(2, repeat + 1)),
            ]
        inside = {layer.name for layer in run}
        for at in range(repeat):
            for layer in run:
                before = [steps[source][at - 1] for source in layer.carried] if at else []
                reads = [
                    name
                    for source in layer.inputs
                    for name in (
                        [steps[source][at]]
                        if source in inside or len(steps[source]) == repeat
                        else steps[source]
                    )
                ]
                layers.append(
                    replace(
                        layer,
                        name=steps[layer.name][at],
                        inputs=tuple(dict.fromkeys([*reads, *before])),
                        params=0 if at else layer.params,
                        vector_ops=layer.vector_ops // repeat,
                        repeat=1,
                        carried=(),
                    )
                )
    return replace(network, layers=tuple(layers))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def mark_stages(network: Network) -> Network:
    """Return *network* with every layer's stage: ``stem``, ``stage1`` … ``stageN``, ``head``.

    Where components of the module paths are called so, or ``stages.0`` for the first of a list, they say it, and a
    layer without one belongs where the layer before it does. Where no stage is named, one begins where the spatial
    size shrinks: the first size is the stem, and the head is what comes after the last layer larger than 1×1.
    """
    named = [_named_stage(layer) for layer in network.layers]
    says_so = any(stage.startswith("stage") for stage in named)
    stages = _inherited(named) if says_so else _by_size(network.layers)
    marked = (
        layer if layer.stage == stage else replace(layer, stage=stage)
        for layer, stage in zip(network.layers, stages, strict=True)
    )
    return replace(network, layers=tuple(marked))


def _joined(part: list[Layer], producer_of: dict[str, str]) -> Layer:
    producer, *fused = part
    inputs = tuple(producer_of.get(source, source) for source in producer.inputs)
    carried = tuple(producer_of.get(source, source) for source in producer.carried)
    if not fused:
        same = (inputs, carried) == (producer.inputs, producer.carried)
        return producer if same else replace(producer, inputs=inputs, carried=carried)
    return replace(
        producer,
        inputs=inputs,
        carried=carried,
        fused=(*producer.fused, *(layer.op for layer in fused)),
        params=sum(layer.params for layer in part),
        vector_ops=sum(layer.vector_ops for layer in part),
    )


def _fits(layer: Layer, producer: Layer) -> bool:
    return (
        layer.kind == "vector"
        and layer.op in _FUSIBLE
        and (producer.kind == "mac" or producer.op in _ADDS)
        and not layer.carried
        and layer.repeat == producer.repeat
        and layer.input_elements == layer.output_elements == producer.output_elements
    )


def _named_stage(layer: Layer) -> str:
    parts = layer.module.split(".")
    listed = [f"stage{int(at) + 1}" for of, at in pairwise(parts) if of == "stages" and at.isdecimal()]
    return next((part for part in parts if _STAGE.fullmatch(part)), "") or next(iter(listed), "")


def _inherited(named: list[str]) -> list[str]:
    stages, current = [], "stem"
    for stage in named:
        current = stage or current
        stages.append(current)
    return stages


def _by_size(layers: tuple[Layer, ...]) -> list[str]:
    # Elementwise layers on (B, T, F) look spatial where they are not, so windows and products decide.
    sizes = [layer.oy * layer.ox if layer.kind == "mac" or layer.fy * layer.fx > 1 else 0 for layer in layers]
    last_spatial = max((i for i, layer in enumerate(layers) if layer.oy * layer.ox > 1), default=-1)
    stages: list[str] = []
    smallest, number = 0, 0
    for index, size in enumerate(sizes):
        if size > 1:
            number += smallest > size
            smallest = min(smallest or size, size)
        stages.append("head" if index > last_spatial else f"stage{number}" if number else "stem")
    return stages if number else ["stage1" if stage == "stem" else stage for stage in stages]
