"""A second, slow pipeline to check the first against: plain Python, tile by tile, from what stays in the buffer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from squeezesim.cost.dataflow.base import Dataflow
from squeezesim.cost.energy import buffer_bits
from squeezesim.cost.machine import Machine
from squeezesim.cost.workload import Workload

READS = {"inputs": "nyxgc", "weights": "gkc", "outputs": "nyxgk"}
LOOPS = {"P": "nyx", "K": "k", "C": "c"}


def touched(start: int, size: int, window: tuple[int, int, int, int, int], skip: bool) -> int:
    """Input positions that a run of outputs loads, counted one by one."""
    stride, taps, dilation, padding, available = window
    reach = (taps - 1) * dilation + 1
    wanted: set[int] = set()
    for output in range(start, start + size):
        first = output * stride - padding
        wanted.update(range(first, first + reach))
    if not (skip and stride > reach):
        wanted = set(range(min(wanted), max(wanted) + 1))
    return len([position for position in wanted if 0 <= position < available])


class Played:
    """What happened: cycles, DRAM bits by operand, array cycles."""

    def __init__(self) -> None:
        self.cycles = 0
        self.array = 0
        self.bits = {"inputs": 0, "weights": 0, "outputs": 0, "psums": 0}


def play(problem: Workload, sizes: dict[str, int], nest: str, flow: Dataflow, machine: Machine) -> Played:
    """Run every tile of one problem; *nest* are the loops inside the groups, outermost first, as in ``PKC``."""
    one = {name: int(getattr(problem, name)[0]) for name in problem.__slots__}
    axes = "g" + "".join(LOOPS[loop] for loop in nest)
    counts = [range(math.ceil(one[axis] / sizes[axis])) for axis in axes]
    steps = [dict(zip(axes, index, strict=True)) for index in itertools.product(*counts)]
    last_c = math.ceil(one["c"] / sizes["c"]) - 1
    result = Played()

    def tile(step: dict[str, int]) -> dict[str, int]:
        return {axis: min(sizes[axis], one[axis] - step[axis] * sizes[axis]) for axis in axes}

    def identity(step: dict[str, int], operand: str) -> tuple[int, ...]:
        return tuple(step[axis] for axis in READS[operand])

    def bits(step: dict[str, int], operand: str) -> int:
        t = tile(step)
        if operand == "weights":
            return t["g"] * t["k"] * t["c"] * one["fy"] * one["fx"] * one["weight_bits"]
        if operand == "outputs":
            return t["n"] * t["y"] * t["x"] * t["g"] * t["k"]
        if one["pointwise"]:
            area = t["y"] * t["x"]
        else:
            y_window = (one["sy"], one["fy"], one["dy"], one["py"], one["iy"])
            x_window = (one["sx"], one["fx"], one["dx"], one["px"], one["ix"])
            area = touched(step["y"] * sizes["y"], t["y"], y_window, machine.skip_rows) * touched(
                step["x"] * sizes["x"], t["x"], x_window, machine.skip_columns
            )
        return t["n"] * area * t["g"] * t["c"] * one["activation_bits"]

    def transfer(amount: int) -> int:
        return math.ceil(math.ceil(amount / 8) / machine.dram_bytes_per_cycle)

    def array(step: dict[str, int]) -> int:
        t = {axis: np.array([size]) for axis, size in tile(step).items()}
        pixel = flow.pixel_terms(problem, t["n"], t["y"], t["x"], machine)
        channel = flow.channel_terms(problem, t["g"], t["k"], t["c"], machine)
        cycles = int(flow.work(problem, pixel, channel, machine).cycles[0])
        if math.isfinite(machine.buffer_bits_per_cycle):
            started = np.array([bits(step, "outputs") if step["c"] == 0 else 0.0])
            used = flow.accesses(
                problem, [p * 1.0 for p in pixel], [c * 1.0 for c in channel], started, machine
            )
            cycles = max(
                cycles,
                math.ceil(
                    sum(part[0] for part in buffer_bits(problem, used)) / machine.buffer_bits_per_cycle
                ),
            )
        return cycles

    doubled = {
        "inputs": machine.double_inputs,
        "weights": machine.double_weights,
        "psums": machine.double_outputs,
        "outputs": machine.double_outputs,
    }

    def loads(step: dict[str, int], before: dict[str, int] | None) -> list[tuple[str, int]]:
        found = [
            (operand, bits(step, operand))
            for operand in ("inputs", "weights")
            if before is None or identity(step, operand) != identity(before, operand)
        ]
        changed = before is None or identity(step, "outputs") != identity(before, "outputs")
        if changed and step["c"] > 0:
            found.append(("psums", bits(step, "outputs") * one["accumulator_bits"]))
        return found

    def stores(step: dict[str, int], after: dict[str, int] | None) -> list[tuple[str, int]]:
        if after is not None and identity(step, "outputs") == identity(after, "outputs"):
            return []
        kind, width = (
            ("outputs", one["activation_bits"]) if step["c"] == last_c else ("psums", one["accumulator_bits"])
        )
        return [(kind, bits(step, "outputs") * width)]

    def count(transfers: list[tuple[str, int]]) -> None:
        for operand, amount in transfers:
            result.bits[operand] += amount

    first = loads(steps[0], None)
    final = stores(steps[-1], None)
    count(first)
    count(final)
    result.cycles = machine.setup + sum(
        machine.dram_latency + transfer(amount) for _, amount in first + final
    )
    for number, step in enumerate(steps):
        moves = []
        if number > 0:
            moves += stores(steps[number - 1], step)
        if number + 1 < len(steps):
            moves += loads(steps[number + 1], step)
        count(moves)
        beside = sum(transfer(amount) for operand, amount in moves if doubled[operand])
        between = sum(
            machine.dram_latency + transfer(amount)
            for operand, amount in moves
            if not doubled[operand] and amount
        )
        busy = array(step)
        result.array += busy
        result.cycles += max(busy, beside) + between
    return result


def footprint(problem: Workload, sizes: dict[str, int], machine: Machine) -> int:
    """Buffer bits: each operand's largest tile, twice where it is double-buffered and not the same all the time."""
    one = {name: int(getattr(problem, name)[0]) for name in problem.__slots__}
    tiles = {axis: math.ceil(one[axis] / sizes[axis]) for axis in sizes}
    if one["pointwise"]:
        area = sizes["x"]
    else:
        area = 1
        for axis, skip in (("y", machine.skip_rows), ("x", machine.skip_columns)):
            window = (one["s" + axis], one["f" + axis], one["d" + axis], one["p" + axis], one["i" + axis])
            area *= max(
                touched(i * sizes[axis], min(sizes[axis], one[axis] - i * sizes[axis]), window, skip)
                for i in range(tiles[axis])
            )
    amounts: dict[str, Any] = {
        "inputs": (
            sizes["n"] * area * sizes["g"] * sizes["c"] * one["activation_bits"],
            machine.double_inputs,
        ),
        "weights": (
            sizes["g"] * sizes["k"] * sizes["c"] * one["fy"] * one["fx"] * one["weight_bits"],
            machine.double_weights,
        ),
        "outputs": (
            sizes["n"] * sizes["y"] * sizes["x"] * sizes["g"] * sizes["k"] * one["accumulator_bits"],
            machine.double_outputs,
        ),
    }
    return sum(
        amount * (2 if double and any(tiles[axis] > 1 for axis in READS[operand]) else 1)
        for operand, (amount, double) in amounts.items()
    )
