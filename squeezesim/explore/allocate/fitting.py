"""Which allocations fit the memories that have a size.

Weights add up over blocks. One feature map alone is alive between two blocks, so that what is alive beside a layer does
not depend on the blocks before and after its own: the most of an allocation is the largest of its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from math import ceil, isinf
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.stores import alive_bits, lives, weights_bits
from squeezesim.cost.weights import own_bits
from squeezesim.errors import UsageError
from squeezesim.hardware.energy import WORD_BITS
from squeezesim.hardware.store import MOST_KIB

if TYPE_CHECKING:
    from squeezesim.cost.problem import Bools
    from squeezesim.explore.allocate.additive import Pieces
    from squeezesim.explore.allocate.allocations import Ints
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network


def without_sizes(accelerator: Accelerator) -> Accelerator:
    """Return *accelerator* with memories of any size, at the prices of those that it has."""
    changes: dict[str, object] = {}
    for store in Machine.of(accelerator).stores:
        if not isinf(store.bits):
            changes[f"memory.stores.{store.name}.size_kib"] = None
            changes[f"memory.stores.{store.name}.access"] = store.per_bit * WORD_BITS
    return accelerator.replace(changes)


def with_all_weights(
    accelerator: Accelerator, pieces: Sequence[Pieces], beside: Iterable[Network], depths: Ints
) -> Accelerator:
    """Return *accelerator* with room for all weights that stay, where it has some, for blocks to cost the same alone.

    Raises:
        UsageError: the weights of an allocation, or of a network *beside*, do not all stay.
    """
    machine = Machine.of(accelerator)
    if machine.keeps_weights:
        raise UsageError(
            f"{accelerator.name}: memory.global_buffer.keeps has weights; allowed: activations: allocate adds up "
            "blocks, and which of their weights stay depends on the others"
        )
    if not machine.lasting_bits:
        return accelerator
    most = max((sum(own_bits(network.layers, machine).values()) for network in beside), default=0)
    for part in pieces:
        bits = np.zeros(len(depths), np.int64)
        for number, taken in own_bits(part.network.layers, machine).items():
            stage, block = part.owner[number]
            bits += taken * ((block < 0) | (depths[:, stage] > block))
        most = max(most, int(bits.max()))
    if most > machine.lasting_bits:
        raise UsageError(
            f"{accelerator.name}: memory.stays.size_kib {accelerator.memory.stays.size_kib:g}; allowed: 0, or "
            f"{ceil(most / 8192):,} and more, which hold the weights of every allocation: allocate adds up blocks, and "
            "which of their weights stay depends on the blocks before"
        )
    return accelerator.replace({"memory.stays.size_kib": MOST_KIB})


def fitting(pieces: Pieces, accelerator: Accelerator, depths: Ints) -> Bools:
    """Return which allocations of *depths*, (allocations, stages), fit the memories of *accelerator*.

    Raises:
        UsageError: several feature maps are alive between two blocks.
    """
    machine, layers = Machine.of(accelerator), pieces.network.layers
    owners, ends = [], [0]
    for owner, group in groupby(pieces.owner):
        owners.append(owner)
        ends.append(ends[-1] + len([*group]))
    there = [(block < 0) | (depths[:, stage] > block) for stage, block in owners]
    parts = [range(*pair) for pair in pairwise(ends)]
    fits = np.ones(len(depths), np.bool_)
    for store in machine.stores:
        if isinf(store.bits):
            continue
        if "weights" in store.holds:
            sums = [weights_bits([layers[number] for number in part], machine) for part in parts]
            fits &= sum(present * bits for present, bits in zip(there, sums, strict=True)) <= store.bits
        if "outputs" in store.holds:
            _check_seams(pieces, machine, parts)
            alive = alive_bits(layers, machine)
            for present, part in zip(there, parts, strict=True):
                fits &= ~present | (max(alive[part.start : part.stop]) <= store.bits)
    return np.asarray(fits)


def _check_seams(pieces: Pieces, machine: Machine, parts: Sequence[range]) -> None:
    found = lives(pieces.network.layers, machine)
    for part in parts[:-1]:
        if sum(first <= part[-1] < last for first, last, _ in found) > 1:
            name = pieces.network.layers[part[-1]].name
            raise UsageError(f"several feature maps are alive after the part that ends in {name!r}")
