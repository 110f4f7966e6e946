"""A block moved from one stage of a built-in network to another: all moves are added up, the best is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import permutations
from operator import gt
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.errors import HardwareError, ModelError
from squeezesim.explore.advise.proposal import RETRAINED, Proposal
from squeezesim.explore.allocate.bases import Base, depth_of, option_of
from squeezesim.explore.allocate.pieces import Pieces, cut
from squeezesim.explore.allocate.sums import Sums
from squeezesim.network import Network
from squeezesim.network.passes import fuse
from squeezesim.zoo.registry import Spec, catalogue

if TYPE_CHECKING:
    from squeezesim.explore.advise.built_in import BuiltIn
    from squeezesim.explore.advise.runs import Runs
    from squeezesim.explore.allocate.space import Depth
    from squeezesim.network import Layer
    from squeezesim.report.report import Report


def blocks(report: Report, runs: Runs, own: BuiltIn, *, cache: bool) -> Iterator[Proposal]:
    """Yield the best of all ways to take a block from one stage and give it to another.

    The costs of all are sums over blocks; the best is then simulated whole.
    """
    with suppress(HardwareError, ModelError):  # no stages, or blocks that depend on how many there are
        option, depth = option_of(own.spec.entry), depth_of(own.spec)
        moves = _moves(depth, int(option.low), int(option.high))
        if not moves or own.shape != (1, *own.spec.input):
            return
        pieces = _pieces(report.network, own.spec, depth, cache=cache)
        sums = Sums.of(pieces, runs.report(pieces.network).costs, report.accelerator)
        best = moves[int(sums.tally(np.array(moves, np.int64)).cycles.argmin())]
        after = runs.report(composed(pieces, best, _at(own.spec, best)))
        change = f"option depth {option.format(depth)} → {option.format(best)}, {_words(depth, best)}"
        yield Proposal("blocks", change, RETRAINED, report, after)


def composed(pieces: Pieces, depth: Depth, spec: Spec) -> Network:
    """Return the network of *depth* blocks in each stage, which is called *spec*: what is left of that of *pieces*.

    What read the last block of a stage reads the one that is the last.

    Raises:
        ModelError: what is read then is not there.
    """
    layers = pieces.at(depth)
    there = {layer.name for layer in layers}
    children: dict[int, list[str]] = {}
    for layer, (stage, block) in zip(pieces.network.layers, pieces.owner, strict=True):
        if block >= 0 and _child(layer) not in children.setdefault(stage, []):
            children[stage].append(_child(layer))
    renamed: dict[str, str] = {}
    for layer, (stage, _) in zip(pieces.network.layers, pieces.owner, strict=True):
        if layer.name not in there:
            own, blocks = children[stage], pieces.depth[stage]
            last = own.index(_child(layer)) - len(own) // blocks * (blocks - depth[stage])
            renamed[layer.name] = own[last] + layer.name.removeprefix(_child(layer))
    return replace(
        pieces.network,
        name=str(spec),
        notes=spec.notes,
        layers=tuple(
            replace(layer, inputs=tuple(renamed.get(name, name) for name in layer.inputs)) for layer in layers
        ),
    )


def _child(layer: Layer) -> str:
    """The child of a stage that a layer is in, as ``stage1.block3``."""
    return ".".join(layer.module.split(".")[:2])


def _pieces(network: Network, spec: Spec, depth: Depth, *, cache: bool) -> Pieces:
    """The pieces of a network with at least a block more in each stage: a published one, or one that is traced."""
    base = Base(spec, None, {})
    published = [
        (entry, depth_of(Spec(entry, {}))) for entry in catalogue().values() if base.is_like(Spec(entry, {}))
    ]
    deeper = [(entry, blocks) for entry, blocks in published if all(map(gt, blocks, depth))]
    if deeper:
        entry, blocks = min(deeper, key=lambda pair: sum(pair[1]))
        return cut(fuse(Network.load(entry.graph)), blocks, network, depth)
    more = tuple(number + 1 for number in depth)
    return cut(base.network(more, cache=cache), more, network, depth)


def _moves(depth: Depth, low: int, high: int) -> list[Depth]:
    return [
        tuple(number + (stage == given) - (stage == taken) for stage, number in enumerate(depth))
        for taken, given in permutations(range(len(depth)), 2)
        if depth[taken] > low and depth[given] < high
    ]


def _at(spec: Spec, depth: Depth) -> Spec:
    value = depth if option_of(spec.entry).length else depth[0]
    changes = {**spec.changes, "depth": value}
    return Spec(spec.entry, {key: kept for key, kept in changes.items() if kept != spec.entry.defaults[key]})


def _words(depth: Depth, best: Depth) -> str:
    changed = [
        (stage, after - before) for stage, (before, after) in enumerate(zip(depth, best, strict=True), 1)
    ]
    taken, given = (next(stage for stage, change in changed if change == sign) for sign in (-1, 1))
    return f"a block of stage {taken} moved to stage {given}"
