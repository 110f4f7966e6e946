"""The reuse rule: how often a tiled loop nest moves each operand between DRAM and buffer.

Groups are the outermost loop over tiles. Images N, pixels of an image S, output channels K and input channels C follow
in some order; P stands for N and S together. An operand has some of these loops and lacks the others:

    inputs  N S C        weights  K C        outputs and their partial sums  N S K

A tile of an operand stays in the buffer until a loop that the operand has moves on. So an operand is fetched again in
each round of a loop that it lacks, where a loop inside that one iterates that the operand has:

    fetches = Π over the loops that it lacks of their tiles, of those with a loop of its own inside that has several

Unless the operand *stays*: then the buffer holds, in one slot, its whole extent along its own loops inside the
outermost loop that it lacks, and each element is fetched once until a loop outside of that one moves on. Inputs whose
pixels iterate inside are loaded without their halos: a tile loads the rows and columns that no tile before it had.

Partial sums that are fetched again were stored before. Where nothing stays, no other order fetches less:

    order   loops, outer to inner   inputs fetched         weights fetched       partial sums leave the buffer
    PKC     pixels, K, C            × tiles of K if C is   × tiles of pixels     never
                                    cut, else once         if K or C is cut
    PCK     pixels, C, K            once                   × tiles of pixels     where K and C are cut
                                                           if K or C is cut
    KCP     K, C, pixels            × tiles of K if pixels once                  where pixels and C are cut
                                    or C are cut
    NKCP    images, K, C, pixels    × tiles of K if pixels × tiles of images     where pixels of an image and C are cut
            of an image             of an image or C are   if K or C is cut
                                    cut

Hand-worked: 4 tiles of pixels, 2 of K and 3 of C. PKC fetches inputs twice, weights 4 times and sums once; PCK inputs
once, weights 4 times and sums 3 times; KCP inputs twice, weights once and sums 3 times. Under PKC weights that stay
are 2 · 3 tiles, fetched once; inputs that stay are the 3 tiles along C of one tile of pixels.

A *mode* is a loop order and how the buffer holds each operand: it stays, or it has as many slots as the machine gives
it, two where it is double-buffered and changes, or one slot all the same. A mode in which an operand stays is never
slower than with two slots, and two slots are never slower than one: they take transfers away from steps, or put them
beside the computing. Inputs that stay may need a second slot too, for the first tile of the next period beside the last
one of this, and for the second operand that comes with them: they *stay in one slot* where that tile waits instead. Of
weights and partial sums the first and the last tile of a period never meet.

Source: the rule for loop nests in Parashar et al., "Timeloop: A Systematic Approach to DNN Accelerator Evaluation",
ISPASS 2019, section V: only loops that an operand has change its tile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Bools, Ints
from squeezesim.cost.rates import Rates

AXES = ("n", "y", "x", "g", "k", "c")
N, Y, X, G, K, C = range(6)
LOOP_AXES: Mapping[str, tuple[int, ...]] = {"G": (G,), "N": (N,), "S": (Y, X), "K": (K,), "C": (C,)}
"""Axes of each loop over tiles."""

LOOPS: Mapping[str, str] = {"inputs": "NSC", "weights": "KC", "outputs": "NSK"}
"""Loops within a group that each operand has; partial sums have those of outputs."""

NESTS: Mapping[str, str] = {"PKC": "NSKC", "PCK": "NSCK", "KCP": "KCNS", "NKCP": "NKCS"}
"""Loops within a group by the name of their order, outermost first."""

ORDERS = tuple(NESTS)


class Mode(NamedTuple):
    """A loop order, and how the buffer holds the operands.

    Operands that neither stay nor have one slot all the same are held as the machine says. Inputs may do both.
    """

    order: str
    stays: tuple[str, ...] = ()
    single: tuple[str, ...] = ()


STAY, STAY_SINGLE, SLOTS, SINGLE_SLOT = range(4)
"""How an operand is held. The bits, does not stay and has one slot, say which is at least as good as which."""

HELD: Mapping[str, tuple[int, ...]] = {
    operand: (STAY, *((STAY_SINGLE,) if operand == "inputs" else ()), SLOTS, SINGLE_SLOT) for operand in LOOPS
}
"""How each operand can be held, what is better before what is not."""

LEVELS = np.array(list(product(*HELD.values())))
"""How each operand is held, (modes of an order, operands)."""


def _modes(order: str) -> list[Mode]:
    """All modes of an order, those in which more operands stay before those that have fewer slots."""
    stays, single = ~LEVELS & SLOTS > 0, LEVELS & STAY_SINGLE > 0
    return [
        Mode(order, *(tuple(o for o, wanted in zip(LOOPS, each, strict=True) if wanted) for each in both))
        for both in zip(stays, single, strict=True)
    ]


MODES: tuple[Mode, ...] = tuple(mode for order in ORDERS for mode in _modes(order))
"""Every mode, those of an order together; the first of equally good ones is taken."""

PER_ORDER = len(LEVELS)
MODE_NUMBERS: Mapping[Mode, int] = {mode: number for number, mode in enumerate(MODES)}
ORDER_OF = np.arange(len(MODES)) // PER_ORDER
"""Of each mode the index of its order."""

STAYS: Mapping[str, Bools] = {
    operand: np.array([operand in mode.stays for mode in MODES]) for operand in LOOPS
}
"""Of each mode whether the operand stays."""

SINGLE: Mapping[str, Bools] = {
    operand: np.array([operand in mode.single for mode in MODES]) for operand in LOOPS
}
"""Of each mode whether the operand has one slot, though the machine may give it two."""

ALL_WAIT: Mapping[str, Bools] = {operand: SINGLE[operand] & ~STAYS[operand] for operand in LOOPS}
"""Of each mode whether no transfer of the operand can be beside the computing, for want of a second slot."""

LACKS: Mapping[str, str] = {
    operand: "".join(loop for loop in "NSKC" if loop not in own) for operand, own in LOOPS.items()
}
"""Loops within a group that each operand lacks."""


def _inside(outer: str, inner: str, order: str) -> bool:
    return NESTS[order].index(outer) < NESTS[order].index(inner)


_INSIDE = {
    (outer, inner): np.array([_inside(outer, inner, mode.order) for mode in MODES])
    for outer in "NSKC"
    for inner in "NSKC"
}


def held_whole(operand: str, order: str) -> str:
    """Loops along which the buffer holds the whole *operand* where it stays: its own inside the outermost it lacks.

    Example:
        >>> held_whole("inputs", "PKC"), held_whole("inputs", "KCP"), held_whole("weights", "PKC")
        ('C', 'NSC', 'KC')
    """
    outermost = min(LACKS[operand], key=NESTS[order].index)
    return "".join(loop for loop in LOOPS[operand] if _inside(outermost, loop, order))


WHOLE: Mapping[tuple[str, str], Bools] = {
    (operand, loop): np.array([loop in held_whole(operand, mode.order) for mode in MODES])
    for operand, own in LOOPS.items()
    for loop in own
}
"""Of each mode whether an operand that stays is held whole along one of its loops."""


def mode_of(order: str, stays: tuple[str, ...] = (), single: tuple[str, ...] = ()) -> int:
    """Index into ``MODES``.

    Example:
        >>> MODES[mode_of("KCP", ("inputs",))]
        Mode(order='KCP', stays=('inputs',), single=())
    """
    return MODE_NUMBERS[
        Mode(order, tuple(o for o in LOOPS if o in stays), tuple(o for o in LOOPS if o in single))
    ]


def refetches(operand: str, mode: Ints | int, tiles: Mapping[str, Any]) -> Ints:
    """How often each element of *operand* is fetched in *mode* if it does not stay, halos apart.

    *tiles* are the numbers of tiles along N, S, K and C; all arguments broadcast.
    """
    result: Any = 1
    for lacking in LACKS[operand]:
        moving = (_INSIDE[lacking, loop][mode] & (np.asarray(tiles[loop]) > 1) for loop in LOOPS[operand])
        result = result * np.where(reduce(np.logical_or, moving), tiles[lacking], 1)
    return np.asarray(result)


def fetches(operand: str, mode: Ints | int, tiles: Mapping[str, Any]) -> Ints:
    """How often each element of *operand* is fetched in *mode*, an index into ``MODES``, halos apart.

    Example:
        >>> tiles, modes = {"N": 1, "S": 4, "K": 2, "C": 3}, np.array([mode_of(order) for order in ORDERS[:3]])
        >>> fetches("inputs", modes, tiles).tolist(), fetches("outputs", modes, tiles).tolist()
        ([2, 1, 2], [1, 3, 3])
        >>> int(fetches("inputs", mode_of("PKC", ("inputs",)), tiles))
        1
    """
    return np.where(STAYS[operand][mode], 1, refetches(operand, mode, tiles))


def changes(operand: str, tiles: Mapping[str, Any]) -> Bools:
    """Whether more than one tile of *operand* passes the buffer: a loop that it has iterates, groups among them."""
    iterate = (np.asarray(tiles[loop]) > 1 for loop in ("G", *LOOPS[operand]))
    return np.asarray(reduce(np.logical_or, iterate))


def finish_in_a_row(order: str, tiles: Mapping[str, Any]) -> Bools:
    """Whether two steps in a row finish outputs: outputs change, and C is not the innermost loop that iterates.

    Example:
        >>> tiles = {"G": 1, "N": 1, "S": 4, "K": 2, "C": 3}
        >>> [bool(finish_in_a_row(order, tiles)) for order in ("PKC", "PCK")]
        [False, True]
    """
    inside = (np.asarray(tiles[loop]) > 1 for loop in LOOPS["outputs"] if _inside("C", loop, order))
    whole: Any = np.asarray(tiles["C"]) == 1
    return np.asarray(changes("outputs", tiles) & reduce(np.logical_or, inside, whole))


def axes_of(operand: str) -> list[int]:
    """Axes along which a step to another tile makes it one of *operand*."""
    return [axis for loop in ("G", *LOOPS[operand]) for axis in LOOP_AXES[loop]]


def axes_lacked(operand: str) -> list[int]:
    """Axes along which tiles have the same elements of *operand*."""
    return [axis for loop in LACKS[operand] for axis in LOOP_AXES[loop]]


def distinct(order: str, tiles: Mapping[str, Any], among: Sequence[str] = ORDERS) -> Bools:
    """Whether the loops that iterate stand in another sequence than under every order *among* some before *order*."""
    result: Any = np.bool_(True)
    for earlier in (name for name in ORDERS[: ORDERS.index(order)] if name in among):
        differs: Any = np.bool_(False)
        for one, other in combinations(NESTS[order], 2):
            if not _inside(one, other, earlier):
                differs = differs | ((np.asarray(tiles[one]) > 1) & (np.asarray(tiles[other]) > 1))
        result = result & differs
    return np.asarray(result)


def capacity(machine: Machine, rates: Rates) -> Ints:
    """Bits of each machine's buffer that tiles share: all of it but the part for weights alone."""
    return np.asarray(rates.buffer_bits - machine.weights_bits)


def room_for_maps(machine: Machine, rates: Rates) -> Ints:
    """Bits of each machine's buffer that feature maps may take: those that tiles share, or those of inputs' part."""
    of_inputs = [part.bits for part in machine.parts if "inputs" in part.holds]
    shared = capacity(machine, rates)
    return np.full_like(shared, of_inputs[0]) if of_inputs else shared
