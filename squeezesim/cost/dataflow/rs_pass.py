"""The cycles of a pass on a row-stationary array: what its filters, inputs and partial sums take.

A pass loads its filters and the first window of each input row of its first sweep. Then the sweeps follow, the output
columns of a strip of an image from left to right; with g = gcd(stride, dilation) a strip is dilation/g sweeps, each a
convolution without dilation. For an output column of e rows, p filters and q channels in a PE, and k filters and c
channels in the pass, FX taps of a filter row:

    PE       = p·h        h = q·FX + 1: the products of a filter, and adding the sum that comes from below
    sums     = e·k / psums_words
    inputs   = ⌈input rows · min(stride/g, FX) · c / inputs_words⌉
    window   = ⌈input rows of the next sweep · FX · c / inputs_words⌉

A sweep of X columns goes on as soon as its PEs are done, the window of the next sweep has come, and no more sums wait
than their network moves until the next sweep adds its first ones:

    sweep      = max(⌈X·sums⌉, (X−1)·max(PE, inputs) + max(PE, ⌈sums⌉), (X−1)·inputs + window)
    last sweep = max(⌈X·sums⌉ + h, (X−1)·max(PE, inputs) + max(PE + last, ⌈sums⌉ + h))

After the last sweep all sums leave; *last* is the time of those that were added last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from squeezesim.cost.dataflow.base import ceil_div
from squeezesim.cost.dataflow.rs_layout import Rows, input_rows
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Ints, Workload


class Share(NamedTuple):
    """What a pass holds: parts of the filter, filters and channels, and how they are dealt over PE sets."""

    rows: Ints  # filter rows
    taps: Ints  # of a filter row
    filters: Ints
    channels: Ints
    p: Ints  # filters in a PE
    q: Ints  # channels in a PE


class _Sweep(NamedTuple):
    """Sweeps of a pass that are equal, and the output rows of the strip that follows each of them."""

    number: Ints
    columns: Ints
    strip: Ints
    following: Ints


def _sweeps(problem: Workload, rows: Rows) -> Iterator[_Sweep]:
    """All sweeps of a pass but the last, which is the last class of the last strip."""
    apart = np.minimum(problem.dx // np.gcd(problem.sx, problem.dx), rows.columns)
    least, longer = np.divmod(rows.columns, apart)
    for strips, strip in ((rows.strips - 1, rows.strip), (np.ones_like(rows.strips), rows.last)):
        yield _Sweep(rows.images * strips * longer, least + 1, strip, strip)
        yield _Sweep(rows.images * strips * (apart - 1 - longer), least, strip, strip)
    yield _Sweep(rows.images * np.maximum(rows.strips - 2, 0), least, rows.strip, rows.strip)
    yield _Sweep(rows.images * (rows.strips > 1), least, rows.strip, rows.last)
    yield _Sweep(rows.images - 1, least, rows.last, rows.strip)


def pass_cycles(problem: Workload, rows: Rows, share: Share, machine: Machine) -> Ints:
    """Cycles of a pass, loading included.

    Example: AlexNet's conv3 on the chip, 4 images of 13 rows, 64 filters and 4 channels: 756 cycles of loading, and
    4 · 2,704 + 13.
    """
    step = problem.sx // np.gcd(problem.sx, problem.dx)
    apart = np.minimum(problem.dx // np.gcd(problem.sx, problem.dx), rows.columns)

    def inputs(strip: Ints, columns: Ints) -> Ints:
        words = input_rows(problem, strip, share.rows) * columns * share.channels
        return ceil_div(words, machine.network_inputs)

    def sums(strip: Ints, outputs: Ints) -> Ints:
        return ceil_div(strip * outputs, machine.network_psums)

    def streamed(strip: Ints, columns: Ints) -> tuple[Ints, Ints]:
        """Cycles of all columns but the last, and of the inputs of those columns."""
        brought = (columns - 1) * inputs(strip, np.minimum(step, share.taps))
        return np.maximum((columns - 1) * in_pe, brought), brought

    one = share.q * share.taps + 1
    in_pe = share.p * one
    cycles = ceil_div(share.filters * share.channels * share.rows * share.taps, machine.network_weights)
    cycles = cycles + inputs(rows.strip, share.taps)
    for number, columns, strip, following in _sweeps(problem, rows):
        if not np.any(number):
            continue
        before, brought = streamed(strip, columns)
        pace = np.maximum(sums(strip, columns * share.filters), brought + inputs(following, share.taps))
        pace = np.maximum(pace, before + np.maximum(in_pe, sums(strip, share.filters)))
        cycles = cycles + number * pace
    columns, strip = rows.columns // apart, rows.last
    last = sums(strip, share.filters // share.p)  # of the sets that hold p filters
    before, _ = streamed(strip, columns)
    end = before + np.maximum(in_pe + last, sums(strip, share.filters) + one)
    return np.asarray(cycles + np.maximum(end, sums(strip, columns * share.filters) + one))
