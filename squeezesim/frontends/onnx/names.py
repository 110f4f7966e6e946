"""Where a node of an ONNX graph stands in the model that it was exported from, and what its layers are called."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnx import (
    NodeProto,
)

from squeezesim.frontends.onnx.node import Part
from squeezesim.network import Layer

if TYPE_CHECKING:
    from onnx import NodeProto


LONGEST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """The path of a module, empty where the node does not say one, and the name of a layer where that is known."""

    module: str = ""
    name: str = ""


def place_of(node: NodeProto) -> Place:
    """Return where *node* stands.

    PyTorch's exporters say it in the node's name, ``/layer1/layer1.0/conv1/Conv``, where a component may begin with
    the one before it, or in its property ``namespace``, ``Net/layer1: Sequential/layer1.0: Block/conv2d: aten.conv2d``,
    where every component is the whole path. Other exporters write ``path/to/operator`` or a plain name.
    """
    for item in node.metadata_props:
        if item.key == "namespace":
            scopes = [part.partition(":")[0].strip() for part in item.value.split("/")]
            return Place(module=_clean(scopes[-2])) if len(scopes) > 2 else Place()
    path = [part for part in node.name.split("/") if part]
    if len(path) < 2:
        return Place() if node.name.startswith("/") else Place(name=_clean(node.name))
    parts: list[str] = []
    for part in path[:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts[-1] = part
        else:
            parts.append(part)
    return Place(module=_clean(".".join(parts)))


def module_of_weight(name: str) -> str:
    """Return the module that a weight's name says, ``layer1.conv`` of ``layer1.conv.weight``, else nothing."""
    return _clean(name.removesuffix(".weight")) if name.endswith(".weight") else ""


class Places:
    """Where the layers of a graph's nodes stand; recurrent operators of a module are numbered by their weights."""

    def __init__(self) -> None:
        self._recurrent: dict[str, dict[str, int]] = {}

    def of(self, node: NodeProto, part: Part, weights: Iterable[str]) -> Place:
        """Return where a *part* of *node* stands, which reads *weights*."""
        place = place_of(node)
        if part.direction is None:
            modules = map(module_of_weight, weights if part.layer.kind == "mac" else ())
            return Place(module=next(filter(None, modules), place.module), name=place.name)
        layers = self._recurrent.setdefault(place.module, {})
        own = place.name or f"l{layers.setdefault(node.input[1], len(layers))}"
        path = ".".join(filter(None, (place.module, own, part.direction)))
        op = "_".join(filter(None, (part.layer.op, part.role)))
        return Place(module="" if place.name else path, name=f"{path}/{op}")


def unique_names(layers: Sequence[tuple[Layer, Place]], taken: Sequence[str]) -> list[str]:
    """Return a name for each layer: its module's path where it alone does the module's work, else path/operator.

    A layer does the module's work if no other has params there, a bias aside, or if the module holds nothing else.
    """
    learnt = Counter(place.module for layer, place in layers if layer.params and layer.op != "bias")
    members = Counter(place.module for _, place in layers)
    paths = sorted(members)

    def holds_others(path: str) -> bool:
        after = bisect_left(paths, f"{path}.")
        return after < len(paths) and paths[after].startswith(f"{path}.")

    used = Counter(taken)
    names = []
    for layer, place in layers:
        path = place.module
        alone = (layer.params and layer.op != "bias" and learnt[path] == 1) or (
            members[path] == 1 and not holds_others(path)
        )
        base = path if path and alone else place.name or "/".join(filter(None, (path, layer.op)))
        used[base] += 1
        name = base if used[base] == 1 else f"{base}#{used[base]}"
        while name in used and name != base:
            used[base] += 1
            name = f"{base}#{used[base]}"
        used[name] = max(used[name], 1)
        names.append(name)
    return names


def _clean(text: str) -> str:
    """A name that can be printed on one line."""
    return "".join(character if character.isprintable() else "?" for character in text[:LONGEST])
