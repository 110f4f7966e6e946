"""What ``os`` waits for sums to drain: the work on one chunk of a block ends only when the chunk before has left.

The items, block after block, in each group after group, chunk after chunk, take

    work(i) = Σ over its filter slices of their cycles + C · preload of its block      drain(i) = channels · lines
    waiting = Σ over items but the first of max(0, drain(i − 1) − work(i))

Items that are alike in all but one cycle of their slices are summed together: their drain is not between the two
values, so that Σ max(0, drain − work) = max(0, Σ (drain − work)). Where zeros are skipped, the larger slices are
dealt over the last chunks of all groups and over the others, in proportion, and among each as evenly as they go,
first chunks first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from squeezesim.cost.dataflow.base import Terms, dealt
from squeezesim.cost.dataflow.os_blocks import Blocks, blocks_of
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Bools, Ints, Workload


@dataclass(frozen=True, slots=True)
class _Items:
    """The items of a block: the channels that the one before drains, how many of them, and Σ of their slice cycles."""

    drained: Ints
    count: Ints
    stream: Ints


def waiting(problem: Workload, pixels: Terms, channels: Terms, machine: Machine) -> Ints:
    """Cycles of a tile (pixels: n, y, x; channels: g, k, c) in which only a drain goes on, but for the last one."""
    n, y, x = pixels
    g, k, c = channels
    result = np.zeros_like(n * g)
    # Most tiles have so many input channels that no drain is ever waited for.
    longest = np.minimum(k, machine.psum_words) * (machine.rows * -(-machine.cols // machine.ports))
    last_chunk = k - (-(-k // machine.psum_words) - 1) * machine.psum_words
    some = np.flatnonzero(c * (last_chunk + 1) < longest)
    if len(some):
        part = problem.take(some)
        blocks = blocks_of(part, n[some], y[some], x[some], machine)
        result[some] = _waiting(part, blocks, g[some], k[some], c[some], machine)
    return result


def _waiting(problem: Workload, blocks: Blocks, g: Ints, k: Ints, c: Ints, machine: Machine) -> Ints:
    first, others, last_chunk = _items(problem, g, k, c, machine)
    beyond = np.zeros_like(blocks.drain)
    for items in others:
        work = items.stream + items.count * c * blocks.preload
        beyond += np.maximum(items.count * items.drained * blocks.drain - work, 0)
    total = blocks.total(beyond)
    for count, before, preload in _neighbours(blocks):
        total += count * np.maximum(last_chunk * before - first - c * preload, 0)
    return total


def _items(problem: Workload, g: Ints, k: Ints, c: Ints, machine: Machine) -> tuple[Ints, list[_Items], Ints]:
    """Slice cycles of a block's first item; its other items, those alike together; channels of the last chunk."""
    words = machine.psum_words
    several = -(-k // words) - 1  # chunks of a group before its last
    last_chunk = k - several * words
    if "os" in machine.skips_zeros:
        least, larger = dealt(g * k * c, problem)
    else:
        least, larger = problem.taps, np.zeros_like(k)
    larger_last = larger * last_chunk // k
    larger_before = larger - larger_last
    items = np.maximum(g * several, 1)

    def share(count: Ints | int) -> Ints:
        """Larger slices of the first *count* items that are not the last of their group."""
        return np.asarray(count * larger_before // items)

    full, short = least * words * c, least * last_chunk * c
    cut = several > 0
    first = np.where(cut, full + share(1), short + larger_last // g)
    zero = np.zeros_like(k)
    after_full = g * (several - 1)
    if_cut = (
        _Items(np.full_like(k, words), after_full, after_full * full + larger_before - share(g)),
        _Items(np.full_like(k, words), g, g * short + larger_last),
        _Items(last_chunk, g - 1, (g - 1) * full + share(g) - share(1)),
    )
    if_whole = _Items(last_chunk, g - 1, (g - 1) * short + larger_last - larger_last // g)

    def where(condition: Bools, of: _Items) -> _Items:
        return replace(
            of, count=np.where(condition, of.count, zero), stream=np.where(condition, of.stream, zero)
        )

    return first, [*(where(cut, of) for of in if_cut), where(~cut, if_whole)], last_chunk


def _neighbours(blocks: Blocks) -> list[tuple[Ints, Ints, Ints]]:
    """(how often, drain of the block before, preload of the block after) for each kind of succession of blocks."""
    (full_y, edge_y), (full_x, edge_x) = blocks.rows, blocks.columns
    ends = np.where(edge_x > 0, blocks.drain[:, 1], blocks.drain[:, 0])
    starts = np.where(full_x > 0, blocks.preload[:, 0], blocks.preload[:, 1])
    n = blocks.images
    found = []
    for rows, drain, preload in zip(blocks.rows, blocks.drain[:, 0], blocks.preload, strict=True):
        found.append((n * rows * np.maximum(full_x - 1, 0), drain, preload[0]))
        found.append((n * rows * ((full_x > 0) & (edge_x > 0)), drain, preload[1]))
    found.append((n * np.maximum(full_y - 1, 0), ends[0], starts[0]))
    found.append((n * ((full_y > 0) & (edge_y > 0)), ends[0], starts[1]))
    found.append((n - 1, np.where(edge_y > 0, ends[1], ends[0]), np.where(full_y > 0, starts[0], starts[1])))
    return found
