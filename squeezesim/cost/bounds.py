"""Lower bounds on the cycles of every tiling of a layer: one matrix for each loop order, pixel × channel options.

    cycles ≥ setup + latency + max(first load + array + last store, all traffic / bandwidth)

Both sides are sums of products of a term of the pixel option and a term of the channel option, so that a bound for
all tilings is a few small matrix products. The last pixel option is always the whole layer: with it, loops over
pixels disappear and operands stay that would otherwise be loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.dataflow.base import Dataflow, Products
from squeezesim.cost.machine import Machine
from squeezesim.cost.tiling import ORDERS, InputTraffic, Options, channel_options, input_traffic, pixel_options
from squeezesim.cost.workload import Bools, Floats, Workload

Matrix = NDArray[np.float32]
# Rounding of float32 sums of a dozen non-negative terms stays below this share; a bound is lowered by it.
_MARGIN = np.float32(1 - 2e-6)


@dataclass(frozen=True, slots=True)
class Space:
    """All tilings of all problems: the options and what they load, for one machine."""

    work: Workload
    pixels: Options
    channels: Options
    inputs: InputTraffic

    @classmethod
    def of(cls, work: Workload, machine: Machine) -> Space:
        """Lay out the design space of *work* on *machine*; capacity, bandwidth and energy do not enter."""
        pixels = pixel_options(work, machine)
        return cls(work, pixels, channel_options(work, machine), input_traffic(work, pixels, machine))


class FlowTerms(NamedTuple):
    """Σ over the tiles of each option of a dataflow's terms."""

    pixel: list[Floats]
    channel: list[Floats]


def flow_terms(space: Space, flow: Dataflow, machine: Machine) -> FlowTerms:
    """Sum the dataflow's terms over the tiles of every option of every problem."""
    by_pixel, by_channel = space.work.take(space.pixels.owner), space.work.take(space.channels.owner)
    return FlowTerms(
        space.pixels.total(lambda n, y, x: flow.pixel_terms(by_pixel, n, y, x, machine)),
        space.channels.total(lambda g, k, c: flow.channel_terms(by_channel, g, k, c, machine)),
    )


def _product(rows: Sequence[Floats], columns: Sequence[Floats]) -> Matrix:
    return np.stack(rows, axis=1).astype(np.float32) @ np.stack(columns).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Traffic:
    """DRAM traffic of every tiling of one problem, in bits, for each loop order, as factors of matrix products.

    ``several`` holds for pixel options of more than one tile, ``single`` for the last one, which is the whole layer.
    """

    rows: list[Floats]
    several: list[Floats]
    single: list[Floats]

    def matrix(self, scale: float = 1.0) -> Matrix:
        """Bits × *scale*, (pixel options, channel options)."""
        result = _product([row * scale for row in self.rows], self.several)
        result[-1:] = _product([row[-1:] * scale for row in self.rows], self.single)
        return result


@dataclass(frozen=True, slots=True)
class Problem:
    """The columns of one problem's options that its matrices are made of."""

    tiles: Floats  # of pixels
    inputs_total: Floats  # bits of all channels
    inputs_first: Floats  # bits of one channel
    inputs_largest: Floats
    pixel_size: Floats
    pixel_last: Floats
    cut_k: Bools
    cut_c: Bools
    cut_g: Bools
    tiles_k: Floats
    input_channels: Floats  # of a tile, over its groups
    output_channels: Floats
    output_channels_last: Floats
    tile_weights: Floats  # bits
    weights: float  # bits
    outputs: float  # bits
    spill: Floats  # bits of partial sums stored and loaded where every input-channel tile but the last spills
    accumulator_bits: int
    activation_bits: int

    @classmethod
    def of(cls, space: Space, index: int) -> Problem:
        """Gather the columns of problem *index*."""
        work = space.work
        pixels = slice(space.pixels.offsets[index], space.pixels.offsets[index + 1])
        channels = slice(space.channels.offsets[index], space.channels.offsets[index + 1])
        n, y, x = (axis[pixels] for axis in space.pixels.sizes)
        g, k, c = (axis[channels] for axis in space.channels.sizes)
        tn, ty, tx = (axis[pixels] for axis in space.pixels.tiles)
        tg, tk, tc = (axis[channels] for axis in space.channels.tiles)
        n_last, y_last, x_last = (e[pixels] - (t - 1) * s for e, t, s in zip(
            space.pixels.extents, (tn, ty, tx), (n, y, x), strict=True))
        g_last, k_last = (
            e[channels] - (t - 1) * s
            for e, t, s in zip(space.channels.extents[:2], (tg, tk), (g, k), strict=True)
        )
        activation, accumulator = int(work.activation_bits[index]), int(work.accumulator_bits[index])
        weight_bits = int(work.weight_bits[index])
        outputs = float(work.g[index]) * float(work.k[index]) * float(work.pixels[index])
        channel_count = float(work.g[index]) * float(work.c[index])
        traffic = InputTraffic(*(column[pixels].astype(np.float64) for column in space.inputs))
        return cls(
            tiles=(tn * ty * tx).astype(np.float64),
            inputs_total=traffic.total * channel_count * activation,
            inputs_first=traffic.first * activation,
            inputs_largest=traffic.largest * activation,
            pixel_size=(n * y * x).astype(np.float64),
            pixel_last=(n_last * y_last * x_last).astype(np.float64),
            cut_k=tk > 1,
            cut_c=tc > 1,
            cut_g=tg > 1,
            tiles_k=tk.astype(np.float64),
            input_channels=(g * c).astype(np.float64),
            output_channels=(g * k).astype(np.float64),
            output_channels_last=(g_last * k_last).astype(np.float64),
            tile_weights=(g * k * c * work.taps[index] * weight_bits).astype(np.float64),
            weights=float(work.weights[index]) * weight_bits,
            outputs=outputs * activation,
            spill=2.0 * accumulator * outputs * (tc - 1),
            accumulator_bits=accumulator,
            activation_bits=activation,
        )

    def fits(self, machine: Machine) -> Bools:
        """Whether each tiling's operands fit the buffer together, twice where they are double-buffered and change."""
        cut_inputs, cut_outputs = self.cut_c | self.cut_g, self.cut_k | self.cut_g
        cut_weights = cut_inputs | self.cut_k
        weights = self.tile_weights * (1 + (machine.double_weights & cut_weights))
        inputs = self.inputs_largest[:, None] * (self.input_channels * (1 + machine.double_inputs))
        inputs[-1] = self.inputs_largest[-1] * self.input_channels * (1 + (machine.double_inputs & cut_inputs))
        psums = self.pixel_size * self.accumulator_bits
        outputs = psums[:, None] * (self.output_channels * (1 + machine.double_outputs))
        outputs[-1] = psums[-1] * self.output_channels * (1 + (machine.double_outputs & cut_outputs))
        return np.asarray(inputs + outputs + weights <= machine.buffer_bits)

    def repeated(self, order: str) -> Bools:
        """Whether a tiling is the same under an earlier order, for each pixel and channel option."""
        several = (self.tiles > 1)[:, None]
        if order == "PKC":
            return np.zeros((len(self.tiles), len(self.tiles_k)), np.bool_)
        if order == "PCK":
            return np.broadcast_to(~(self.cut_k & self.cut_c), (len(self.tiles), len(self.tiles_k)))
        return ~(several & (self.cut_k | self.cut_c))

    def traffic(self, order: str) -> tuple[Traffic, Traffic, Traffic]:
        """Traffic of inputs, weights and outputs for one of ``tiling.ORDERS``; the table in ``tiling`` says why."""
        ones, unit = np.ones_like(self.tiles), np.ones_like(self.tiles_k)
        cut = self.cut_k | self.cut_c
        again_k = np.where(self.cut_c, self.tiles_k, 1)
        if order == "KCP":
            inputs = Traffic([self.inputs_total], [self.tiles_k], [again_k])
            weights = Traffic([ones], [unit * self.weights], [unit * self.weights])
            outputs = Traffic([ones], [self.outputs + self.spill], [self.outputs * unit])
            return inputs, weights, outputs
        once = [again_k if order == "PKC" else unit]
        spilled = [self.outputs + (self.spill * self.cut_k if order == "PCK" else 0 * unit)]
        reloaded = [self.weights * cut, self.weights * ~cut]
        return (
            Traffic([self.inputs_total], once, once),
            Traffic([self.tiles, ones], reloaded, reloaded),
            Traffic([ones], spilled, spilled),
        )


def _joined(parts: Sequence[Traffic]) -> Traffic:
    return Traffic(
        [row for part in parts for row in part.rows],
        [column for part in parts for column in part.several],
        [column for part in parts for column in part.single],
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one problem and dataflow: lower bounds on cycles (inf where a tiling does not fit) and the DRAM bits.

    Both (orders, pixel options, channel options).
    """

    cycles: Matrix
    dram_bits: Matrix


def traffic_matrices(problem: Problem) -> Matrix:
    """DRAM bits of every tiling, (orders, pixel options, channel options)."""
    return np.stack([_joined(problem.traffic(order)).matrix() for order in ORDERS])


def cycle_bounds(
    problem: Problem, array: Sequence[Products], dram_bits: Matrix, fits: Bools, machine: Machine
) -> Matrix:
    """Lower bounds on the cycles of every tiling; *array* are the dataflow's bounds on the array's cycles."""
    scale = 1 / (8 * machine.dram_bytes_per_cycle)
    one = np.ones_like(problem.tiles)
    doubled = (machine.double_inputs, machine.double_weights, machine.double_outputs)
    startup: Products = (
        (problem.inputs_first * scale, problem.input_channels),
        (one * scale, problem.tile_weights),
        (problem.pixel_last * (problem.activation_bits * scale), problem.output_channels_last),
    )
    hidden = [part for part, double in zip(startup, doubled, strict=True) if double]
    sides = []
    for products in array:
        rows, columns = zip(*products, *hidden, strict=True)
        sides.append(_product(rows, columns))
    compute = sides[0]
    for side in sides[1:]:
        np.maximum(compute, side, out=compute)
    result = np.empty_like(dram_bits)
    for row, order in enumerate(ORDERS):
        exposed = [part for part, double in zip(problem.traffic(order), doubled, strict=True) if not double]
        side = compute + _joined(exposed).matrix(scale) if exposed else compute
        np.multiply(dram_bits[row], np.float32(scale), out=result[row])
        np.maximum(result[row], side, out=result[row])
    constant = np.float32(machine.setup + 3 * machine.dram_latency)
    result += constant
    result *= _MARGIN
    for row, order in enumerate(ORDERS):
        result[row, problem.repeated(order) | ~fits] = np.inf
    return result
