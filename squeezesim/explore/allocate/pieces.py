"""Pieces: the layers of a staged network by stage and block, and the check that deeper networks only add blocks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from squeezesim.errors import ModelError
from squeezesim.explore.allocate.space import Depth
from squeezesim.network import Layer, Network

_NUMBERED = re.compile(r"[a-z]+\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A fused network cut into what is there at every depth and the blocks of each stage.

    Attributes:
        network: the network, of ``depth`` blocks in each stage.
        owner: of each layer the stage and the block, numbers from 0; the stage is −1 for stem and head, the block
            −1 for what a stage has at every depth, such as a pool.
    """

    network: Network
    depth: Depth
    owner: tuple[tuple[int, int], ...]

    def at(self, depth: Depth) -> list[Layer]:
        """Return the layers that the network has at no more blocks: those of the first *depth* of each stage."""
        return [
            layer
            for layer, (stage, block) in zip(self.network.layers, self.owner, strict=True)
            if block < 0 or block < depth[stage]
        ]


def cut(network: Network, depth: Depth, other: Network, other_depth: Depth) -> Pieces:
    """Return the pieces of *network*, which is fused, by comparison with *other*, of fewer blocks in some stages.

    The children of a stage that are numbered, as ``block3`` and ``conv4`` are, belong to its blocks in turn; how many
    to one follows from how many more of them the deeper stage has. Stages as deep in both have no blocks to cut.

    Raises:
        ModelError: *other* is not *network* without some of its blocks.
    """
    names = [f"stage{number}" for number in range(1, len(depth) + 1)]
    rest = {name: (number, -1) for number, name in enumerate(names)}
    children, others = _children(network, names), _children(other, names)
    owners: dict[str, tuple[int, int]] = {}
    for number, (deep, shallow, blocks, fewer) in enumerate(
        zip(children, others, depth, other_depth, strict=True)
    ):
        if blocks == fewer:
            continue
        each, odd = divmod(len(deep) - len(shallow), blocks - fewer)
        if odd or each < 1:
            raise _not_additive(network, depth, other_depth)
        owners |= {child: (number, place // each) for place, child in enumerate(deep[: each * blocks])}
    pieces = Pieces(
        network=network,
        depth=depth,
        owner=tuple(owners.get(_child(layer), rest.get(layer.stage, (-1, -1))) for layer in network.layers),
    )
    check(pieces, other, other_depth)
    return pieces


def check(pieces: Pieces, other: Network, depth: Depth) -> None:
    """Check that *other*, of *depth* blocks and fused, is the network of *pieces* without its further blocks.

    Raises:
        ModelError: it is not: a layer is another one, so that its costs do not follow from the pieces.
    """
    ours = pieces.at(depth)
    unlike = next(
        (layer.name for layer, own in zip(other.layers, ours, strict=False) if _alone(layer) != _alone(own)),
        "",
    )
    if unlike or len(ours) != len(other.layers) or pieces.network.unread_params != other.unread_params:
        raise _not_additive(pieces.network, pieces.depth, depth, unlike)


def _not_additive(network: Network, depth: Depth, other: Depth, layer: str = "") -> ModelError:
    texts = ["-".join(map(str, blocks)) for blocks in (depth, other)]
    which = f"layer {layer!r} is not the same" if layer else "the layers are not the same"
    return ModelError(
        f"the blocks of {network.name.partition('@')[0]!r} depend on how many there are: {which} at depths "
        f"{texts[0]} and {texts[1]}, so that an allocation is no sum over its blocks"
    )


def _alone(layer: Layer) -> Layer:
    """The layer without its place in the network."""
    return replace(layer, name="layer", module="", inputs=(), carried=(), shared=())


def _child(layer: Layer) -> str:
    """The child of a stage that a layer is in, as ``stage1.block3``; empty where it is in none."""
    return ".".join(layer.module.split(".")[:2])


def _children(network: Network, names: Sequence[str]) -> list[list[str]]:
    """Numbered children of each stage in the order in which they run."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for child, _ in groupby(network.layers, _child):
        stage, _, own = child.partition(".")
        if stage in found and _NUMBERED.fullmatch(own) and child not in found[stage]:
            found[stage].append(child)
    return [found[name] for name in names]
