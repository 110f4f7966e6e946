"""One tile of a layer on the simulated array, beside what the closed forms say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from squeezesim.cost.dataflow import DATAFLOWS, flows_of, os, rs, unit_blocks, ws
from squeezesim.cost.dataflow.base import Access
from squeezesim.cost.dataflow.base import Tile as Tiles
from squeezesim.cost.machine import Machine, Unit
from squeezesim.cost.problem import Workload, workload_of
from squeezesim.network import Layer
from squeezesim.reference.array import ACCESSES, Buffer, Counts, Ints, is_matrix_product
from squeezesim.reference.array_os import run_output_stationary
from squeezesim.reference.array_rs import Mapping, run_row_stationary
from squeezesim.reference.array_systolic import run_systolic
from squeezesim.reference.array_unit import run_unit
from squeezesim.reference.array_ws import run_weight_stationary
from squeezesim.reference.nonzeros import convolution, dealt_weights


def simulate_array(
    layer: Layer,
    inputs: Any,
    weights: Any,
    machine: Machine,
    dataflow: str,
    sums: Any = None,
    mapping: Sequence[int] = (),
    *,
    unfinished: bool = False,
) -> tuple[Ints, Counts]:
    """Run a layer, or a tile as a layer of its own, on the array: its output (N, G·K, OY, OX), and what happened.

    *sums* are partial sums that are there already; with accumulators those of an *unfinished* tile wait in the array.
    *mapping* is what `rs` needs, e, p, q, r, t and taps; or what
    is used of the array, by default all: of `ws` rows and columns, of `os` those, output channels of a chunk, and
    pixels of a block of a matrix product, of a unit iterations of each of its loops.

    Example: a 1×1 convolution from 2 to 2 channels on one pixel takes 2×2 weight-stationary PEs with two ports
    3 cycles, two of which load the weights.
    """
    buffer = Buffer(layer, np.asarray(inputs), np.asarray(weights), Counts(), sums)
    if dataflow == "rs":
        run_row_stationary(layer, buffer, machine, Mapping(*mapping))
    elif dataflow.startswith("scalesim_"):
        run_systolic(dataflow, layer, buffer, machine)
    elif unit := _unit_named(dataflow, machine):
        sizes = mapping or [size for _, size in unit.unroll]
        unroll = tuple((loop, size) for (loop, _), size in zip(unit.unroll, sizes, strict=True))
        run_unit(unit._replace(unroll=unroll), layer, buffer, machine, unfinished=unfinished)
    else:
        used: dict[str, Any] = dict(zip(_USED, mapping, strict=False))
        on = dataclasses.replace(machine, **used)
        if dataflow == "ws":
            run_weight_stationary(layer, buffer, on)
        else:
            run_output_stationary(layer, buffer, on, *mapping[len(_USED) :])
    return buffer.outputs, buffer.counts


def _unit_named(name: str, machine: Machine) -> Unit | None:
    return next((unit for unit in machine.units if unit.name == name), None)


_USED = ("rows", "cols", "psum_words")
"""What a mapping of `ws`, the first two, or `os` says that a tile uses of the array."""


class Tile(NamedTuple):
    """Sizes of a tile, as in the pipeline's axes."""

    n: int
    y: int
    x: int
    g: int
    k: int
    c: int


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """A tile of a layer, on a machine, with a dataflow; *resumed* where there are partial sums already.

    With accumulators those of an *unfinished* tile do not leave the array.
    """

    layer: Layer
    tile: Tile
    machine: Machine
    dataflow: str
    resumed: bool
    seed: int
    unfinished: bool = False

    def as_layer(self) -> Layer:
        """The tile as a layer of its own, at the first pixels and channels of its layer."""
        n, y, x, g, k, c = self.tile
        if is_matrix_product(self.layer) and self.machine.flattens:
            return dataclasses.replace(self.layer, n=1, oy=1, iy=1, ox=x, ix=x, g=g, k=k, c=c)
        return dataclasses.replace(self.layer, n=n, oy=y, ox=x, g=g, k=k, c=c)


def whole(layer: Layer, machine: Machine) -> Tile:
    """The untiled layer as a tile."""
    work = workload_of([layer], machine)[0]
    return Tile(*(int(getattr(work, axis)[0]) for axis in Tile._fields))


def simulated(case: Case) -> tuple[bool, Counts]:
    """Whether the array computes what the convolution is, and what happened in it."""
    tile, rng = case.as_layer(), np.random.default_rng(case.seed)
    work = workload_of([case.layer], case.machine)[0]
    q, r = divmod(int(work.nonzeros[0]), int(work.slices[0]))
    larger = -(-tile.g * tile.k * tile.c * r // int(work.slices[0]))  # a tile's share is rounded up
    mapping = found_mapping(case)
    words = mapping[2] if case.dataflow == "os" else case.machine.psum_words
    weights = dealt_weights(tile, q, larger, words, rng)
    inputs = rng.integers(-99, 100, (tile.n, tile.g * tile.c, tile.iy, tile.ix))
    sums: Ints | None = None
    if case.resumed:
        sums = rng.integers(-99, 100, (tile.n, tile.g * tile.k, tile.oy, tile.ox))
    outputs, counts = simulate_array(
        tile, inputs, weights, case.machine, case.dataflow, sums, mapping, unfinished=case.unfinished
    )
    expected = convolution(tile, inputs, weights) + (0 if sums is None else sums)
    return np.array_equal(outputs, expected), counts


def found_mapping(case: Case) -> tuple[int, ...]:
    """What was found for the tile, as ``simulate_array`` takes it; nothing for dataflows that need none."""
    work, tile = _problem_and_tile(case)
    if case.dataflow == "ws":
        blocks = ws.blocks_of(work, tile, case.machine)
        return int(blocks.high[0]), int(blocks.wide[0])
    if case.dataflow == "os":
        use = os.used(work, tile, case.machine)
        return tuple(int(value[0]) for value in (use.rows, use.cols, use.words, use.pixels))
    if unit := _unit_named(case.dataflow, case.machine):
        names = ["p"] if unit.by("p") > 1 else [*"nyx"]
        names += [*"gkc"] + (["t"] if unit.by("t") > 1 else ["fy", "fx"])
        cuts = dict(zip(names, unit_blocks.used(unit, work, tile, case.machine).every, strict=True))
        return tuple(int(np.ravel(cuts[loop].size)[0]) if loop in cuts else 1 for loop, _ in unit.unroll)
    if case.dataflow != "rs":
        return ()
    found = rs.mapping(work, tile, case.machine)
    return tuple(int(value[0]) for value in found[: len(Mapping._fields)])


def _problem_and_tile(case: Case) -> tuple[Workload, Tiles]:
    work = workload_of([case.layer], case.machine)[0]
    unfinished = np.array([case.unfinished and case.machine.accumulators > 0])
    return work, Tiles(*(np.array([size]) for size in case.tile))._replace(unfinished=unfinished)


def closed_form(case: Case) -> dict[str, int]:
    """What ``cost.dataflow`` says of the tile, under the names of ``Counts``."""
    flows = DATAFLOWS | flows_of(case.machine)
    cost = flows[case.dataflow].tile_cost(*_problem_and_tile(case), case.machine)
    n, y, x, g, k, _ = case.tile
    words = {_count(access): value for access, value in cost.accesses().items()}
    read = words["buffer_psums_read"]
    waits = case.machine.accumulators > 0
    begun = not (case.unfinished if waits else case.resumed)
    words["buffer_psums_read"] = read - n * y * x * g * k * begun
    numbers = dict.fromkeys(ACCESSES, 0) | words
    numbers |= {"cycles": cost.cycles, "stream": cost.stream, "busy": cost.busy}
    return {name: int(np.asarray(value).reshape(-1)[0]) for name, value in numbers.items()}


def _count(access: Access) -> str:
    """The name that an access has in ``Counts``."""
    level, operand, direction = access
    if level != "buffer":
        return f"{level.removesuffix('_file')}_{operand}"
    return f"buffer_{operand}" if operand != "psums" else f"buffer_psums_{_DIRECTIONS[direction]}"


_DIRECTIONS = {"read": "read", "write": "written"}


def differences(case: Case) -> list[str]:
    """One line for each number in which the simulated array and the closed forms differ.

    Example line: ``os cycles: 41 simulated, 40 in closed form``.
    """
    right, counts = simulated(case)
    found = [] if right else [f"{case.dataflow} outputs differ from the convolution"]
    for name, value in closed_form(case).items():
        count = getattr(counts, name)
        if count != value:
            found.append(f"{case.dataflow} {name}: {count} simulated, {value} in closed form")
    if counts.busy + counts.skipped != case.as_layer().macs:
        found.append(f"{case.dataflow}: {counts.busy} + {counts.skipped} MACs of {case.as_layer().macs}")
    return found
