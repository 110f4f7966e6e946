"""What is said of a device: rows that were measured, what is aimed at, the mechanisms that its file has."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.reference.record import Row, Table
from squeezesim.report.host import inference_us
from squeezesim.report.report import Report
from squeezesim.simulate import simulate

Change = Callable[[Accelerator], Accelerator]
"""What takes a mechanism away from an accelerator."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a source prints: its name, its unit, and which of ours it is.

    Attributes:
        name: as rows say it.
        unit: of the number.
        of: ours, from the totals of a report or from the row of a layer.
        us: the time that a number stands for, in µs on an accelerator's clock of so many MHz; None: it is no time.
    """

    name: str
    unit: str
    of: Callable[[Mapping[str, Any]], float]
    us: Callable[[float, float], float] | None = None


MILLISECONDS = Quantity("latency", "ms", lambda ours: ours["latency_us"] / 1e3, lambda ms, _: ms * 1e3)
INFERENCE = Quantity("inference", "ms", lambda ours: ours["inference_us"] / 1e3, lambda ms, _: ms * 1e3)
"""With the host's work."""
FRAMES = Quantity(
    "throughput", "frames/s", lambda ours: 1e6 / ours["latency_us"], lambda frames, _: 1e6 / frames
)
CYCLES = Quantity("cycles", "cycles", lambda ours: ours["cycles"], lambda cycles, mhz: cycles / mhz)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One number that was measured, and what has to run for ours.

    Attributes:
        subject: what rows call it.
        quantity: which number it is.
        value: the number.
        network: what runs.
        accelerator: the shipped accelerator on which it does.
        layer: the layer of the network whose number it is; empty: that of the whole network.
        groups: the means that it counts in; without one it is printed alone.
    """

    subject: str
    quantity: Quantity
    value: float
    network: Network
    accelerator: str
    layer: str = ""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """A number that was measured beside ours."""

    item: Measured
    ours: float
    clock_mhz: float

    @property
    def error(self) -> float:
        """Ours / measured − 1."""
        return self.ours / self.item.value - 1

    @property
    def times_us(self) -> tuple[float, float] | None:
        """Measured time and ours in µs; None of what is no time."""
        us = self.item.quantity.us
        return us and (us(self.item.value, self.clock_mhz), us(self.ours, self.clock_mhz))

    @property
    def row(self) -> Row:
        """The row that prints it."""
        item = self.item
        return Row(
            f"{item.accelerator}: {item.subject}",
            item.quantity.name,
            item.value,
            self.ours,
            item.quantity.unit,
        )


Measure = Callable[[Sequence[Ran]], float]


def mean_error(ran: Sequence[Ran]) -> float:
    """The mean of the sizes of the errors."""
    return float(np.mean([abs(one.error) for one in ran]))


def largest_error(ran: Sequence[Ran]) -> float:
    """The largest size of an error."""
    return max(abs(one.error) for one in ran)


def disorder(ran: Sequence[Ran]) -> float:
    """One less Spearman's rank correlation of measured and ours; 0 where both have the same order.

    Example:
        >>> disorder([])
        0.0
    """
    if len(ran) < 2:
        return 0.0
    measured, ours = _ranks([one.item.value for one in ran]), _ranks([one.ours for one in ran])
    return 1 - float(np.corrcoef(measured, ours)[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Places in order, equal values at the mean of theirs."""
    _, place, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((ends - counts + ends - 1) / 2)[place]
    return ranks


@dataclass(frozen=True, slots=True)
class Aim:
    """What a measure of a group should not exceed.

    Attributes:
        text: what is aimed at.
        group: rows that it is about.
        measure: of these.
        limit: the most that it may be.
        missing: of an aim that is missed the mechanism that the model lacks; others are bounds of the check.
    """

    text: str
    group: str
    measure: Measure
    limit: float
    missing: str = ""

    def value(self, ran: Iterable[Ran]) -> float:
        """What the measure is of the rows of the group."""
        return self.measure([one for one in ran if self.group in one.item.groups])


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device, what was measured on it, and what is known of how it works.

    Attributes:
        name: of its file, or of the largest of its files.
        title: one line.
        source: where the numbers come from.
        grade: what kind of truth they are: silicon, FPGA, a maker's cycle model, a maker's estimate.
        compared: which of ours stands beside them.
        measured: the numbers.
        mechanisms: what the file has beside a plain array, each with what takes it away.
        aims: what the errors should not exceed.
        missing: what the model lacks for it, the largest first.
        tables: further tables of what was run.
    """

    name: str
    title: str
    source: str
    grade: str
    compared: str
    measured: Callable[[], tuple[Measured, ...]]
    mechanisms: Mapping[str, Change]
    aims: tuple[Aim, ...]
    missing: tuple[str, ...]
    tables: Callable[[Sequence[Ran]], Iterable[Table]] = field(default=lambda _: ())


_SUMMED = ("dram_inputs_bytes", "dram_weights_bytes", "dram_outputs_bytes")


def run(items: Iterable[Measured], change: Change | None = None) -> list[Ran]:
    """Return each number beside ours, on its accelerator or on what *change* makes of that."""
    reports: dict[tuple[int, str], Report] = {}
    found = []
    for item in items:
        key = id(item.network), item.accelerator
        if key not in reports:
            accelerator = Accelerator.named(item.accelerator)
            reports[key] = simulate(item.network, change(accelerator) if change else accelerator)
        report = reports[key]
        rows = report.rows()
        if item.layer:
            ours = next(row for row in rows if row["name"] == item.layer)
        else:
            ours = {
                **report.totals,
                "inference_us": inference_us(report),
                **{key: sum(row[key] for row in rows) for key in _SUMMED},
            }
        found.append(Ran(item, float(item.quantity.of(ours)), report.accelerator.clock_mhz))
    return found


def changed(**changes: object) -> Change:
    """Return what changes parameters; ``__`` in a keyword stands for the dot of its path.

    Example:
        >>> changed(array__post_ops=[])(Accelerator.named("dpu_b4096")).array.post_ops
        ()
    """
    paths = {key.replace("__", "."): value for key, value in changes.items()}
    return lambda accelerator: accelerator.replace(paths)


def without_unit(name: str) -> Change:
    """Return what takes a unit away; the others run what it could run."""

    def change(accelerator: Accelerator) -> Accelerator:
        units = {
            key: {**unit.model_dump(), "runs": ["conv", "depthwise", "grouped", "matmul"]}
            for key, unit in accelerator.array.units.items()
            if key != name
        }
        return accelerator.replace({"array.units": units})

    return change


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of ``data/devices/``.

    Example:
        >>> table("edge_tpu")[0]["usb_accel_ms"]
        '2.4'
    """
    text = (files("squeezesim.papers") / "data" / "devices" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def network(name: str) -> Network:
    """Return a built-in network, the same one each time."""
    return load(name)
