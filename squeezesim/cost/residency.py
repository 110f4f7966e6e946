"""What the buffer holds of each operand in a mode, and what passes between memories and buffer because of it.

A slot holds the largest tile of an operand; partial sums are as wide as the accumulators. An operand that stays takes
its union in one slot (``traffic``). Footprint and traffic of single tilings are exact here. For whole sets of tilings
there are lower bounds, as sums of products of a term of the pixels and one of the channels: an operand that can stay in
the room that there is is fetched once, another one as often as its loop order says.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cache, reduce
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.machine import Machine
from squeezesim.cost.mapspace import MapSpace
from squeezesim.cost.pooling import Pooled
from squeezesim.cost.problem import Bools, Floats, Ints, Workload
from squeezesim.cost.traffic import (
    HELD,
    LACKS,
    LEVELS,
    LOOPS,
    NESTS,
    ORDER_OF,
    ORDERS,
    PER_ORDER,
    SINGLE_SLOT,
    SLOTS,
    STAY,
    STAY_SINGLE,
    STAYS,
    WHOLE,
    changes,
    distinct,
    fetches,
    finish_in_a_row,
    held_whole,
    refetches,
)
from squeezesim.cost.views import NEVER, Products, View

_NUMBERS = np.full((4,) * len(LOOPS), -1)  # of the modes of an order, by how each operand is held
_NUMBERS[tuple(LEVELS.T)] = np.arange(PER_ORDER)


class Held(NamedTuple):
    """Modes of tilings, those of a tiling together."""

    tiling: Ints  # its index
    mode: Ints
    footprint: Floats  # bits


class Shares:
    """What operands take of the buffer together: of the whole that they share, or of its parts.

    Of parts it is the share of the one that is filled the most, times all of the buffer, so that a tile fits where that
    is no more than the buffer. Outputs are held at the width of partial sums, unless these are elsewhere.
    """

    def __init__(self, work: Workload, machine: Machine) -> None:
        self.whole = float(sum(part.bits for part in machine.parts))
        self.is_plain = not (machine.parts or machine.psums_stay)
        self._work = work
        every = tuple(LOOPS)
        apart = any("psums" in part.holds and "outputs" not in part.holds for part in machine.parts)
        self.is_finished = machine.psums_stay or apart
        self.parts = [(part.bits, part.holds) for part in machine.parts] or [(0, every)]

    def together(self, bits: Sequence[Any], row: Ints, open_windows: Any = 0.0) -> Any:
        """Bits of the buffer, of operands in the order of ``LOOPS``, of problems *row*; outputs as partial sums.

        Windows that are open are where outputs are. Whole tensors that live there are among them; in a buffer of
        parts those are feature maps in that of inputs, and weights in the one that holds these.
        """
        resident = self._work.resident[row]
        if self.is_plain:
            return sum(bits) + open_windows + resident
        found: Any = 0.0
        for size, holds in self.parts:
            taken = self._taken(holds, bits, row, open_windows)
            taken = taken + resident * ("inputs" in holds) + self._work.beside[row] * ("weights" in holds)
            found = np.maximum(found, taken / size * self.whole if size else taken)
        return found

    def beside_maps(self, bits: Sequence[Any], row: Ints, open_windows: Any = 0.0) -> Any:
        """Bits that tiles take where feature maps live: of the buffer, or of the part that holds inputs."""
        if self.is_plain:
            return sum(bits) + open_windows
        return self._taken(
            next(holds for _, holds in self.parts if "inputs" in holds), bits, row, open_windows
        )

    def beside_weights(self, bits: Sequence[Any], row: Ints, open_windows: Any = 0.0) -> Any:
        """Bits that tiles take of the part that holds weights."""
        return self._taken(
            next(holds for _, holds in self.parts if "weights" in holds), bits, row, open_windows
        )

    def _taken(self, holds: Container[str], bits: Sequence[Any], row: Ints, open_windows: Any) -> Any:
        """Bits that tiles take of a part of the buffer."""
        inputs, weights, sums = bits
        taken: Any = 0.0
        for operand, of in (
            ("inputs", inputs),
            ("weights", weights),
            ("outputs", self.finished(sums, row) + open_windows),
        ):
            taken = taken + of if operand in holds else taken
        return taken + sums if "psums" in holds and self.is_finished else taken

    def finished(self, sums: Any, row: Ints) -> Any:
        """Bits of outputs whose partial sums would take *sums*; none where they live in the buffer."""
        if not self.is_finished:
            return sums
        never = np.isinf(sums)
        held = np.where(never, 0.0, sums) / self._work.accumulator_bits[row] * self._work.output_bits[row]
        return np.where(never, np.inf, held)

    def of_open(self) -> Floats:
        """What a bit of open windows is of the buffer, by part, rounded down."""
        found = [("outputs" in holds) / size * self.whole if size else 1.0 for size, holds in self.parts]
        return np.array(found) * (1.0 if self.is_plain else 1 - 1e-12)

    def factors(self) -> Floats:
        """What a bit of inputs, weights and sums is of the buffer, (parts, operands, problems), rounded down."""
        row, ones = np.arange(len(self._work)), np.ones(len(self._work))
        found = []
        for size, holds in self.parts:
            sums = self.finished(ones * ("outputs" in holds), row) + ones * (
                "psums" in holds and self.is_finished
            )
            of_part = np.stack([ones * ("inputs" in holds), ones * ("weights" in holds), sums])
            found.append(of_part / size * self.whole if size else of_part)
        return np.array(found) * (1.0 if self.is_plain else 1 - 1e-12)


class Residency:
    """Footprints and traffic of the tilings of a map space in each mode, for one family of machines.

    Modes are those of loop *orders* in which each element of *required* operands is loaded once, halos apart.
    """

    def __init__(
        self,
        work: Workload,
        machine: Machine,
        space: MapSpace,
        orders: Sequence[str] = ORDERS,
        required: Sequence[str] = (),
        pooled: Pooled | None = None,
    ) -> None:
        self.work, self.machine, self.orders, self.required = work, machine, orders, required
        self.pooled = pooled
        self.pixels, self.channels, self.inputs, _ = space
        self.shares = Shares(work, machine)

    def tiles(self, pixel: Ints, channel: Ints) -> dict[str, Ints]:
        """Numbers of tiles along each loop."""
        pixels, channels = self.pixels.tiles, self.channels.tiles
        return {
            "G": channels.a[channel],
            "N": pixels.a[pixel],
            "S": pixels.b[pixel] * pixels.c[pixel],
            "K": channels.b[channel],
            "C": channels.c[channel],
        }

    def modes(self, pixel: Ints, channel: Ints, least: float, most: float) -> Held:
        """Every mode in which tilings can be the best on a machine with room from *least* to *most* bits.

        A mode is left out where a better one fits *least*, or it does not fit *most*.
        """
        orders = sorted(map(ORDERS.index, self.orders))
        found = [self._modes_of(order, pixel, channel, least, most) for order in orders]
        index, mode, footprint = (np.concatenate(part) for part in zip(*found, strict=True))
        ranked = np.lexsort((mode, index))
        return Held(index[ranked], mode[ranked], footprint[ranked])

    def least_footprint(self, pixel: Ints, channel: Ints) -> Floats:
        """Bits of the buffer that tilings take in the mode with the least; ``NEVER`` where there is no mode."""
        every = (self._levels(ORDERS.index(order), pixel, channel, canonical=True) for order in self.orders)
        row = self.pixels.owner[pixel]
        found = (
            self.shares.together(
                [reduce(np.minimum, operand) for operand in levels], row, self._open(order, pixel, channel)
            )
            for order, levels in zip(map(ORDERS.index, self.orders), every, strict=True)
        )
        return np.asarray(reduce(np.minimum, found, NEVER))

    def footprint(self, mode: Ints, pixel: Ints, channel: Ints) -> Floats:
        """Bits of the buffer that tilings take in *mode*; infinite where weights exceed their own part of it."""
        return self._summed(self.shares.together, mode, pixel, channel)

    def tile_bits(self, mode: Ints, pixel: Ints, channel: Ints) -> Floats:
        """Bits that tilings take in *mode* of the room that feature maps may have."""
        return self._summed(self.shares.beside_maps, mode, pixel, channel)

    def weight_tile_bits(self, mode: Ints, pixel: Ints, channel: Ints) -> Floats:
        """Bits that tilings take in *mode* of the part of the buffer that holds weights."""
        return self._summed(self.shares.beside_weights, mode, pixel, channel)

    def last_footprint(self, mode: Ints, pixel: Ints, channel: Ints, weights: Ints) -> Floats:
        """Bits of the buffer in the last step of tilings with *weights* of another layer beside their own.

        Nothing fills the second slots of inputs and weights any more.
        """

        def together(held: list[Any], row: Ints, left: Any) -> Any:
            inputs, own, outputs = held
            return self.shares.together([inputs, own + weights, outputs], row, left)

        single = LEVELS.copy()
        single[:, :2] = np.where(single[:, :2] == SLOTS, SINGLE_SLOT, single[:, :2])
        return self._summed(together, mode, pixel, channel, single)

    def _summed(
        self, together: Callable[..., Any], mode: Ints, pixel: Ints, channel: Ints, every: Ints = LEVELS
    ) -> Floats:
        result = np.empty(len(mode))
        for order in sorted({*ORDER_OF[mode].tolist()}):  # np.unique would import numpy.ma
            of = np.flatnonzero(ORDER_OF[mode] == order)
            bits = self._levels(order, pixel[of], channel[of], canonical=False)
            levels = every[mode[of] % PER_ORDER].T
            held = [np.choose(level, each) for level, each in zip(levels, bits, strict=True)]
            left = self._open(order, pixel[of], channel[of])
            result[of] = together(held, self.pixels.owner[pixel[of]], left)
        return result

    def dram_bits(self, mode: Ints, pixel: Ints, channel: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Bits of inputs, weights, finished outputs and spilled partial sums that tilings move, exactly.

        The spilled ones are stored and loaded, half each.
        """
        work, row, tiles = self.work, self.pixels.owner[pixel], self.tiles(pixel, channel)
        whole = STAYS["inputs"][mode] & WHOLE["inputs", "S"][mode]
        inputs = np.where(whole, self.inputs.once[pixel], self.inputs.total[pixel])
        outputs = (work.g * work.k * work.pixels)[row]
        finished = (work.g * work.k * work.pooled)[row]
        spills = 2 * (fetches("outputs", mode, tiles) - 1)
        return (
            inputs * (work.g * work.c * work.input_bits)[row] * fetches("inputs", mode, tiles)
            + outputs * work.second[row],
            work.stored_weights[row] * fetches("weights", mode, tiles) + work.constants[row],
            finished * work.output_bits[row],
            spills * outputs * work.accumulator_bits[row],
        )

    def unpacked_weights(self, mode: Ints, pixel: Ints, channel: Ints) -> Ints:
        """Bits of weights that tilings write into the buffer, where they are not compressed, with the constants."""
        row = self.pixels.owner[pixel]
        dense = (self.work.weights * self.work.factor_bits)[row]
        return np.asarray(
            dense * fetches("weights", mode, self.tiles(pixel, channel)) + self.work.constants[row]
        )

    def weights_part(self, mode: Ints, pixel: Ints, channel: Ints) -> Ints:
        """Bits that weights take of the part of the buffer for them alone, where there is one."""
        _, k, c = (size[channel] for size in self.channels.sizes)
        row, stays = self.pixels.owner[pixel], STAYS["weights"][mode]
        every = stays & WHOLE["weights", "K"][mode]  # of both channels, or of none
        held = np.where(every, (self.work.k * self.work.c)[row], k * c) * self.slice_bits(channel)
        return np.asarray(held * (stays | self._reused(mode, self.tiles(pixel, channel))))

    def moved_between_rounds(self, mode: Ints, pixel: Ints, channel: Ints) -> Ints:
        """Of each tiling the operand that lacks the innermost loop of a group that iterates; −1: none iterates."""
        tiles, result = self.tiles(pixel, channel), np.full(len(mode), -1)
        lacking = {loop: operand for operand, loops in enumerate(LACKS.values()) for loop in loops}
        for order, nest in enumerate(NESTS.values()):
            of_order = ORDER_OF[mode] == order
            for loop in nest:
                result[of_order & (tiles[loop] > 1)] = lacking[loop]
        return result

    @staticmethod
    def _reused(mode: Ints | int, tiles: Mapping[str, Any]) -> Bools:
        """Whether a tile of weights serves several tiles of pixels."""
        return np.asarray(refetches("weights", mode, tiles) < tiles["N"] * tiles["S"])

    def slice_bits(self, channel: Ints) -> Ints:
        """Bits of the weights of a tile's groups for one output and one input channel."""
        taps = (self.work.taps * self.work.factor_bits)[self.channels.owner[channel]]
        return np.asarray(self.channels.sizes.a[channel] * taps)

    def _levels(self, order: int, pixel: Ints, channel: Ints, *, canonical: bool) -> list[list[Any]]:
        """Bits of each operand that stays, or does in one slot, that has its slots, that has one; inf: it cannot.

        With *canonical* it cannot either where that makes no difference to another level, or a required operand would
        be loaded again.
        """
        work, machine, mode = self.work, self.machine, order * PER_ORDER
        tiles, row = self.tiles(pixel, channel), self.pixels.owner[pixel]
        n, y, x = (size[pixel] for size in self.pixels.sizes)
        g, k, c = (size[channel] for size in self.channels.sizes)
        own = {operand: held_whole(operand, ORDERS[order]) for operand in LOOPS}
        images = work.n[row] if "N" in own["inputs"] else n
        largest = self.inputs.largest[pixel]
        union = self.inputs.once[pixel] // work.n[row] * images if "S" in own["inputs"] else largest
        sums = self._sums_held(own["outputs"], pixel, channel)
        per_input, per_sum = g * work.input_bits[row], g * work.accumulator_bits[row]
        slices = self.slice_bits(channel)
        slots = {
            "inputs": largest * c * per_input,
            "weights": k * c * slices,
            "outputs": n * y * x * k * per_sum,
        }
        held = {
            "inputs": union * (work.c[row] if "C" in own["inputs"] else c) * per_input,
            "weights": (work.k * work.c)[row] * slices if own["weights"] else k * c * slices,
            "outputs": sums * per_sum,
        }
        # The second operand of outputs has as many slots as inputs have, where two tiles of it are wanted in a row.
        beside = n * y * x * g * k * work.second[row]
        two_beside = beside * (1.0 + (machine.double("inputs") & finish_in_a_row(ORDERS[order], tiles)))
        result = []
        for operand in LOOPS:
            in_one = (
                held[operand] * 1.0 if STAY_SINGLE in HELD[operand] else np.full_like(per_sum, np.inf, float)
            )
            if machine.double(operand):
                held[operand] = held[operand] + slots[operand] * self._collides(
                    operand, own[operand], tiles, pixel
                )
            second = machine.double(operand) & changes(operand, tiles)
            again = refetches(operand, mode, tiles) > 1
            useful: Any = again & machine.stays
            levels: list[Any] = [
                held[operand] * 1.0,
                in_one,
                slots[operand] * (1.0 + second),
                slots[operand] * 1.0,
            ]
            if operand == "inputs":
                levels = [bits + of for bits, of in zip(levels, [two_beside, beside] * 2, strict=True)]
                second = second | (two_beside > beside)
            if operand == "inputs" and "S" in own[operand]:
                halos = (self.inputs.once[pixel] < self.inputs.total[pixel]) & machine.stays
                if canonical:  # where the loops are those of an earlier order, halos alone are saved
                    new = distinct(ORDERS[order], tiles, self.orders)
                    levels[SLOTS:] = [np.where(new, bits, np.inf) for bits in levels[SLOTS:]]
                    useful = np.where(new, useful | halos, halos)
            if operand == "weights" and machine.weights_bits:
                exceeds = np.where(held[operand] > machine.weights_bits, np.inf, 0.0)
                large = (slots[operand] > machine.weights_bits) & self._reused(mode, tiles)
                levels = [exceeds, in_one, *[np.where(large, np.inf, 0.0)] * 2]
                second = np.zeros_like(second)
            if operand == "outputs" and machine.accumulators:  # sums that wait have a place each
                waiting = (*[sums * g] * 2, *[n * y * x * k * g] * 2)
                exceed = [(tiles["C"] > 1) & (number > machine.accumulators) for number in waiting]
                levels = [np.where(each, np.inf, bits) for each, bits in zip(exceed, levels, strict=True)]
            if canonical:
                less = levels[STAY_SINGLE] < levels[STAY]
                levels[STAY_SINGLE] = np.where(useful & less, levels[STAY_SINGLE], np.inf)
                levels[STAY] = np.where(useful, levels[STAY], np.inf)
                levels[SINGLE_SLOT] = np.where(second & machine.stays, levels[SINGLE_SLOT], np.inf)
                if operand in self.required:
                    levels[SLOTS:] = [np.where(again, np.inf, bits) for bits in levels[SLOTS:]]
            result.append(levels)
        return result

    def _collides(self, operand: str, whole: str, tiles: Mapping[str, Any], pixel: Ints) -> Bools:
        """Whether the first tile of what comes after arrives where the last one of what is given up is still read.

        It arrives while that is computed. *whole* are the loops along which the operand stays.
        """
        several = reduce(np.multiply, (tiles[loop] for loop in whole), np.ones_like(pixel)) > 1
        given_up = (
            reduce(np.multiply, (tiles[loop] for loop in LOOPS[operand] if loop not in whole), tiles["G"]) > 1
        )
        shared = np.zeros_like(several)
        if operand == "inputs" and "S" in whole:  # neighbours share halos
            shared = (self.inputs.apart[pixel] == 0) & (tiles["C"] == 1)
            if "N" in whole:
                shared = shared & (tiles["N"] == 1)
        return np.asarray(given_up & (~several | shared))

    def _sums_held(self, whole: str, pixel: Ints, channel: Ints) -> Ints:
        """Partial sums of a group that stay, those along the loops *whole* all of them."""
        work, row = self.work, self.pixels.owner[pixel]
        n, y, x = (size[pixel] for size in self.pixels.sizes)
        images = work.n[row] if "N" in whole else n
        area = (work.y * work.x)[row] if "S" in whole else y * x
        return np.asarray(images * area * (work.k[row] if "K" in whole else self.channels.sizes.b[channel]))

    def _open(self, order: int, pixel: Ints, channel: Ints) -> Any:
        """Bits of windows that are open between tiles, of all output channels that come between two of them."""
        if self.pooled is None:
            return 0.0
        nest, row = NESTS[ORDERS[order]], self.pixels.owner[pixel]
        every = nest.index("S") < nest.index("K")
        channels = self.work.k[row] if every else self.channels.sizes.b[channel]
        bits = self.pooled.kept[pixel] * self.work.open_bits[row]
        return bits * self.channels.sizes.a[channel] * channels * 1.0

    def _modes_of(
        self, order: int, pixel: Ints, channel: Ints, least: float, most: float
    ) -> tuple[Ints, Ints, Floats]:
        tiles = self.tiles(pixel, channel)
        new = np.broadcast_to(distinct(ORDERS[order], tiles, self.orders), pixel.shape)
        if self.machine.stays and "S" in held_whole("inputs", ORDERS[order]):
            halos = self.inputs.once[pixel] < self.inputs.total[pixel]
            new = new | (halos & ((tiles["N"] > 1) | ("N" in held_whole("inputs", ORDERS[order]))))
        index = np.flatnonzero(new)
        bits = self._levels(order, pixel[index], channel[index], canonical=True)
        top = [np.where(np.isfinite(each[STAY]), STAY, SLOTS) for each in bits]
        held = [np.choose(level, each) for level, each in zip(top, bits, strict=True)]
        row = self.pixels.owner[pixel[index]]
        left = np.broadcast_to(self._open(order, pixel[index], channel[index]), row.shape)
        footprint = self.shares.together(held, row, left)
        fits = footprint <= least
        best = _NUMBERS[tuple(top)]
        found = [(index[fits], best[fits], footprint[fits])]
        if not fits.all():
            rest = np.flatnonzero(~fits)
            parts = [
                np.stack(operand)[held[:, np.newaxis], rest]
                for held, operand in zip(LEVELS.T, bits, strict=True)
            ]
            several = [len(levels) for levels in HELD.values()]
            every = np.asarray(self.shares.together(parts, row[rest], left[rest])).reshape(*several, -1)
            wanted = np.isfinite(every) & (every <= most)
            for operand, levels in enumerate(HELD.values()):
                ranked, allowed = (np.moveaxis(each, operand, 0) for each in (every, wanted))
                for (i, better), (j, level) in combinations(enumerate(levels), 2):
                    if not better & ~level:
                        allowed[j] &= ranked[i] > least
            mode, which = np.nonzero(wanted.reshape(PER_ORDER, -1))
            found.append((index[rest[which]], mode, every.reshape(PER_ORDER, -1)[mode, which]))
        index, mode, footprint = (np.concatenate(part) for part in zip(*found, strict=True))
        return index, mode + order * PER_ORDER, footprint


class LeastMoved(NamedTuple):
    """Bits that tilings move at least, by operand, one array for each loop order: that of the least is the bound."""

    inputs: Sequence[Any]
    weights: Sequence[Any]
    outputs: Sequence[Any]

    def least(self, operands: Iterable[str]) -> Any:
        """Those of *operands* together, under the order with the least."""
        parts = [getattr(self, operand) for operand in operands]
        if not parts:
            return np.zeros_like(self.inputs[0])
        return reduce(np.minimum, (reduce(np.add, of_order) for of_order in zip(*parts, strict=True)))


class Bounded(NamedTuple):
    """What sets of tilings move at least, the room beside a slot of each operand, and the bits of second slots."""

    moved: LeastMoved
    room: Any
    second: tuple[Any, ...]  # of inputs, weights and outputs; none where slots are the machine's


_AGAIN: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "PKC": {"inputs": ("in_again", "in_all_c"), "weights": ("w_again", "w_all")},
    "PCK": {"weights": ("w_again", "w_all"), "outputs": ("out_again", "out_all_k")},
    "KCP": {"inputs": ("in_beside", "in_all"), "outputs": ("out_beside", "out_all")},
    "NKCP": {
        "inputs": ("in_beside", "in_image"),
        "weights": ("w_by_image", "w_all"),
        "outputs": ("out_beside", "out_image"),
    },
}
"""Terms of what an operand moves again under each order, and of its bits where it stays."""


class TrafficBounds:
    """Lower bounds on what sets of tilings move, given the room for what stays and for second slots."""

    def __init__(self, residency: Residency) -> None:
        self._machine, self._required = residency.machine, residency.required
        self._plain = residency.shares.is_plain
        # Of parts of the buffer only that of an operand itself bounds whether it stays.
        self._alone = dict(zip(LOOPS, residency.shares.factors().max(axis=0), strict=True))
        self._images = bool(np.any((residency.work.n > 1) & ~residency.work.pointwise))
        allowed = {*residency.orders}
        if (
            "NKCP" in allowed
        ):  # it is one of these where N or S has one tile, and moves no less where nothing stays
            allowed |= {"PKC", "KCP"}
            if not (self._images and self._machine.stays):
                allowed -= {"NKCP"}
        self._orders = [order for order in ORDERS if order in allowed]
        terms = self._traffic(residency)
        if residency.machine.stays:
            terms |= self._slots(residency) | self._unions(residency) | self._second(residency)
        self._names = tuple(terms)
        rows, several, single = (
            np.array(part, np.float64)[:, np.newaxis] for part in zip(*terms.values(), strict=True)
        )
        self._terms = Products(rows, several, single)

    def of(self, view: View, room: Any) -> Bounded:
        """Bits that the tilings of a view move at least on machines with no more *room* than that."""
        found = self._found(view)
        room = room - found["resident"]
        slots = self._slots_of(found)

        @cache
        def moved(operand: str, again: str = "", held: str = "") -> Any:
            beside = found["second"] if operand == "inputs" else 0.0
            once = found[operand] + beside
            if not again:
                return once
            if not self._machine.stays:
                return once + found[again]
            others = [bits for name, bits in slots.items() if name != operand]
            fits = found[held] <= reduce(np.subtract, others, room)
            least = found["halos_once"] + beside if again == "in_beside" else once
            return np.where(fits, least, once + found[again])

        orders = [
            [moved(operand, *_AGAIN[order].get(operand, ())) for operand in LOOPS] for order in self._orders
        ]
        if self._required:
            never = [np.where(bits > room, NEVER, 0.0) for bits in self._footprints(found)]
            orders = [[each + bits for each in parts] for bits, parts in zip(never, orders, strict=True)]
        if not self._machine.stays:
            return Bounded(LeastMoved(*zip(*orders, strict=True)), room, ())
        if not self._plain:
            nothing = 0.0 * found["in_2"]
            return Bounded(LeastMoved(*zip(*orders, strict=True)), room, (nothing, nothing, nothing))
        second = (
            found["in_2"] + found["in_2_large"],
            found["w_2"],
            found["out_2"] + found["out_2_large"],
        )
        return Bounded(LeastMoved(*zip(*orders, strict=True)), room - sum(slots.values()), second)

    def footprint(self, view: View) -> Any:
        """Bits of the buffer that the tilings of a view take at least."""
        found = self._found(view)
        return reduce(np.minimum, self._footprints(found)) + found["resident"]

    def _footprints(self, found: Mapping[str, Any]) -> Iterator[Any]:
        """The same under each order, where what is required stays unless it is loaded once anyway."""
        for order in self._orders:
            bits = self._slots_of(found)
            for operand in self._required:
                if operand in _AGAIN[order]:
                    again, held = _AGAIN[order][operand]
                    whole = found[held] if self._machine.stays else NEVER
                    bits[operand] = np.where(found[again] > 0, whole, bits[operand])
            yield sum(bits.values()) if self._plain else reduce(np.maximum, bits.values())

    def _found(self, view: View) -> dict[str, Any]:
        return dict(zip(self._names, view(self._terms), strict=True))

    def _slots_of(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """Bits of a slot of each operand; none where slots are the machine's."""
        names = ("in_slot", "w_slot", "out_slot")
        return {
            operand: found[name] if self._machine.stays and self._plain else 0.0
            for operand, name in zip(LOOPS, names, strict=True)
        }

    def exposed(self, bounded: Bounded, startup: Any) -> Any:
        """Bits that are moved while the array waits, at least.

        Those are all of the operands with one slot, and the first load or the last store of others. As many operands
        have two slots as there is room for beside a slot of each.
        """
        moved, room, second = bounded
        if not second:
            have_two = [self._machine.double(operand) for operand in LOOPS]
            single = [operand for operand, is_double in zip(LOOPS, have_two, strict=True) if not is_double]
            return startup[have_two].sum(axis=0) + moved.least(single)
        result = np.full(np.shape(room), np.inf)
        double = [number for number, operand in enumerate(LOOPS) if self._machine.double(operand)]
        for count in range(len(double), -1, -1):
            missing = np.isinf(result)
            if not missing.any():
                break
            for two in combinations(double, count):
                fits = missing & (sum((second[number] for number in two), np.zeros(())) <= room)
                if fits.any():
                    single = [operand for number, operand in enumerate(LOOPS) if number not in two]
                    bits = startup[list(two)].sum(axis=0) + moved.least(single)
                    result = np.where(fits, np.minimum(result, bits), result)
        return np.where(np.isinf(result), 0.0, result)  # what does not fit is excluded by its footprint

    def _slots(self, of: Residency) -> dict[str, _Term]:
        """Bits of a slot of each operand."""
        work, row = of.work, of.pixels.owner
        g, k, c = of.channels.sizes
        n, y, x = of.pixels.sizes
        weights = k * c * of.slice_bits(np.arange(len(g))) * (not self._machine.weights_bits)
        return {
            "in_slot": _term(of.inputs.largest * work.input_bits[row], g * c),
            "w_slot": _term(np.ones_like(n), weights),
            "out_slot": _term(n * y * x * work.accumulator_bits[row], g * k),
        }

    def _unions(self, of: Residency) -> dict[str, _Term]:
        """Bits of each operand that stays: under PKC, PCK and KCP, and of an image under NKCP."""
        work, owner, row = of.work, of.channels.owner, of.pixels.owner
        g, k, _ = of.channels.sizes
        n, y, x = of.pixels.sizes
        one, activation = np.ones_like(n), work.input_bits[row]
        accumulator = work.accumulator_bits[row]
        weights: Any = (work.k * work.c)[owner] * of.slice_bits(np.arange(len(g)))
        if self._machine.weights_bits:
            weights = np.where(weights > self._machine.weights_bits, NEVER, 0)
        of_inputs, of_weights, of_outputs = (self._alone[operand] for operand in LOOPS)
        activation, accumulator = activation * of_inputs[row], accumulator * of_outputs[row]
        weights = weights * of_weights[owner]
        found = {
            "in_all_c": _term(of.inputs.largest * activation, g * work.c[owner]),
            "w_all": _term(one, weights),
            "out_all_k": _term(n * y * x * accumulator, g * work.k[owner]),
            "in_all": _term(of.inputs.once * activation, g * work.c[owner]),
            "out_all": _term(work.pixels[row] * accumulator, g * k),
        }
        if self._images:
            found["in_image"] = _term(of.inputs.once // work.n[row] * n * activation, g * work.c[owner])
            found["out_image"] = _term(n * (work.y * work.x)[row] * accumulator, g * k)
        return found

    def _second(self, of: Residency) -> dict[str, _Term]:
        """Bits of a second slot of each operand, none where the operand may stay in less than two."""
        work, owner, tiles, row = of.work, of.channels.owner, of.channels.tiles, of.pixels.owner
        g, k, c = of.channels.sizes
        n, y, x = of.pixels.sizes
        pixels = n * y * x
        images = n if self._images else work.n[row]
        union = of.inputs.once // work.n[row] * images
        inputs = of.inputs.largest * work.input_bits[row]
        outputs = pixels * work.accumulator_bits[row]
        large_in = union >= 2 * of.inputs.largest
        large_out = images * (work.y * work.x)[row] >= 2 * pixels
        weights = k * c * of.slice_bits(np.arange(len(g))) * (not self._machine.weights_bits)
        groups, cut_k, cut_c = tiles.a > 1, tiles.b > 1, tiles.c > 1
        large_k, large_c = work.k[owner] >= 2 * k, work.c[owner] >= 2 * c
        large_kc = (work.k * work.c)[owner] >= 2 * k * c
        return {
            "in_2": _term(inputs, g * c * (cut_c & large_c), g * c * np.where(cut_c, large_c, groups)),
            # Of one tile of channels the union of all tiles of pixels may stay.
            "in_2_large": _term(inputs * large_in, g * c * ~cut_c, np.zeros_like(g)),
            "w_2": _term(
                np.ones_like(n),
                weights * np.where(cut_k | cut_c, large_kc, groups),
                weights * (cut_k | cut_c | groups),
            ),
            "out_2": _term(outputs, np.zeros_like(g), g * k * np.where(cut_k, large_k, groups)),
            "out_2_large": _term(outputs * large_out, g * k * (large_k | ~cut_k), np.zeros_like(g)),
        }

    def _traffic(self, of: Residency) -> dict[str, _Term]:
        """Bits moved once, and what is moved again where an operand does not stay."""
        work, owner, tiles = of.work, of.channels.owner, of.channels.tiles
        one = np.ones_like(of.inputs.total)
        inputs, weights, outputs, sums = (
            column[owner] * 1.0
            for column in (
                work.g * work.c * work.input_bits,
                work.stored_weights,
                work.g * work.k * work.pooled * work.output_bits,
                2 * work.g * work.k * work.pixels * work.accumulator_bits,
            )
        )
        cut_k, cut_c = tiles.b > 1, tiles.c > 1
        again, spilled = inputs * (tiles.b - 1), sums * (tiles.c - 1)
        total, images = of.inputs.total, of.pixels.tiles.a - 1
        return {
            "inputs": _term(total, inputs),
            "second": _term(one, (work.second * work.g * work.k * work.pixels)[owner]),
            # What lives in a part of the buffer leaves the others their room.
            "resident": _term(one, work.resident[owner] * (not self._machine.parts)),
            "halos_once": _term(of.inputs.once, inputs),
            "in_again": _term(total, again * cut_c),
            "in_beside": _term(total, again, again * cut_c),
            "weights": _term(one, weights + work.constants[owner]),
            "w_again": _term(of.pixels.count - 1, weights * (cut_k | cut_c)),
            "w_by_image": _term(images, weights * (cut_k | cut_c)),
            "outputs": _term(one, outputs),
            "out_again": _term(one, spilled * cut_k),
            "out_beside": _term(one, spilled, np.zeros_like(spilled)),
        }


class _Term(NamedTuple):
    """A product of a term of the pixels and one of the channels, with several tiles of pixels and with one."""

    pixels: Any
    several: Any
    single: Any


def _term(pixels: Any, several: Any, single: Any = None) -> _Term:
    return _Term(pixels, several, several if single is None else single)
