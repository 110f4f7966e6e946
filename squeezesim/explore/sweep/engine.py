"""Engine: the totals of networks on many accelerators at once, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from squeezesim.cost.evaluate import Costs, evaluate_each
from squeezesim.errors import HardwareError
from squeezesim.report.metrics import bounds, total_columns
from squeezesim.report.tally import Scale, Tally, stored_bytes

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

Columns = dict[str, Any]


def totals(network: Network, designs: Sequence[Accelerator | HardwareError]) -> Columns:
    """Return the totals of a fused *network* on each of *designs*, those of ``Report.totals`` to the last bit.

    ``bound`` is what set the pace of the most cycles. Where there is no such accelerator or the network does
    not fit its buffer, ``problem`` says why, and the other columns are None.
    """
    there = [index for index, design in enumerate(designs) if not isinstance(design, HardwareError)]
    accelerators = [design for design in designs if not isinstance(design, HardwareError)]
    problems = [str(design) if isinstance(design, HardwareError) else None for design in designs]
    columns: Columns = {}
    if accelerators:
        costs, misfits = evaluate_each(network.layers, accelerators)
        for index, misfit in zip(there, misfits, strict=True):
            problems[index] = misfit
        columns = _columns(network, costs, accelerators)
    placed = {name: _placed(column, there, problems) for name, column in columns.items()}
    return {**placed, "problem": problems}


def _columns(network: Network, costs: Costs, accelerators: Sequence[Accelerator]) -> Columns:
    tally = _tally(network, costs, accelerators)
    columns = total_columns(tally, _scale(accelerators))
    params = np.full(len(accelerators), network.params, np.int64)
    return {**columns, "params": params, "bound": bounds(tally)}


def _tally(network: Network, costs: Costs, accelerators: Sequence[Accelerator]) -> Tally:
    """One row for each accelerator: the sums over the layers, those of energy in their order as in ``Tally.total``."""
    layers, count = network.layers, len(accelerators)
    weights: dict[object, Any] = {}
    for accelerator in accelerators:
        key = accelerator.precision, accelerator.sparsity
        if key not in weights:
            weights[key] = stored_bytes(layers, accelerator).sum(axis=0)
    counts = np.array([(1, layer.params, layer.macs, layer.vector_ops) for layer in layers], np.int64)
    number, params, macs, vector_ops = np.tile(counts.sum(axis=0), (count, 1)).T
    return Tally(
        layers=number,
        params=params,
        macs=macs,
        vector_ops=vector_ops,
        cycles=costs.cycles.sum(axis=1),
        executed=costs.executed.sum(axis=1),
        losses=costs.losses.sum(axis=1),
        time=costs.time.sum(axis=1),
        dram=costs.dram_bytes.sum(axis=1),
        buffer_bytes=costs.buffer_bytes.sum(axis=1),
        energy=np.ascontiguousarray(np.cumsum(costs.energy, axis=1)[:, -1]),
        weights=np.array([weights[a.precision, a.sparsity] for a in accelerators]),
    )


def _scale(accelerators: Sequence[Accelerator]) -> Scale:
    """The scale of each row of a tally: its formulas broadcast."""
    each = [Scale.of(accelerator) for accelerator in accelerators]
    return Scale(
        pes=cast(int, np.array([scale.pes for scale in each], np.int64)),
        clock_mhz=cast(float, np.array([scale.clock_mhz for scale in each])),
        mac_energy=cast(float, np.array([[scale.mac_energy] for scale in each])),
        pj_per_unit=cast(
            float, np.array([[np.nan if s.pj_per_unit is None else s.pj_per_unit] for s in each])
        ),
    )


def _placed(column: Any, there: Sequence[int], problems: Sequence[str | None]) -> list[Any]:
    """The column with an entry for each design, None where there is a problem or no number."""
    values = column.tolist() if isinstance(column, np.ndarray) else column
    placed: list[Any] = [None] * len(problems)
    for index, value in zip(there, values, strict=True):
        if problems[index] is None and value == value:  # noqa: PLR0124  NaN differs from itself
            placed[index] = value
    return placed
