"""Layings: a machine as it is for some of its dataflows and units, which lay tiles on the array by one objective.

What a tile uses of the array is chosen for the tile alone: the fastest, or what moves the fewest words. Neither is the
best of a layer for certain where both cycles and words count: by ``edp``, by energy where each cycle leaks, and where
the buffer can be too slow for the words. There a layer is searched in each laying (``alternatives``).

Matrix products have their pixels in x alone where all that runs them sees them so. Units that see rows and columns are
a laying by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import replace

from squeezesim.cost.costs import Costs
from squeezesim.cost.dataflow import Dataflow, flows_of
from squeezesim.cost.machine import Machine
from squeezesim.cost.rates import EDP, ENERGY, LATENCY

LAID_BY = ("", LATENCY, ENERGY, EDP)
"""By which objective a tile is laid on the array, in the order of ``Costs.laid_by``; the first: the machine's own."""


def layings(machine: Machine) -> Sequence[Machine]:
    """Return the layings in which the search of a layer looks for its best tiling.

    Example:
        >>> from squeezesim.hardware import Accelerator
        >>> on = Accelerator.named("os_32x32").replace({"mapper.objective": "edp"})
        >>> [laying.laid_by for laying in layings(Machine.of(on))]
        ['', 'energy']
    """
    found = []
    for seen in _by_sight(machine):
        flows = flows_of(seen)
        found.append(seen)
        for by in LAID_BY[1:]:
            others = {name for name, flow in flows.items() if by in _others(flow, machine)}
            if others:
                found.append(replace(_restricted(seen, others), laid_by=by))
    return found


def laying_of(machine: Machine, dataflow: str, laid_by: str = "") -> Machine:
    """Return the laying in which *dataflow* lays tiles by *laid_by*; *machine* itself where it has no such dataflow.

    Example:
        >>> from squeezesim.hardware import Accelerator
        >>> machine = Machine.of(Accelerator.named("hybrid_32x32"))
        >>> laying_of(machine, "ws", "energy").moves_least
        True
    """
    seen = next((each for each in _by_sight(machine) if dataflow in each.flows), machine)
    return replace(seen, laid_by=laid_by) if laid_by else seen


def laying_in(machine: Machine, costs: Costs, layer: int) -> Machine:
    """Return the laying in which *layer*, which has MACs, runs on the only *machine* of *costs*."""
    return laying_of(
        machine, costs.dataflows[int(costs.dataflow[0, layer])], LAID_BY[int(costs.laid_by[0, layer])]
    )


def _by_sight(machine: Machine) -> Sequence[Machine]:
    """The machine for what sees pixels of matrix products in x alone, and for what sees rows and columns."""
    flat = {*machine.dataflows, *(unit.name for unit in machine.units if unit.by("p") > 1)}
    others = {*machine.flows} - flat
    if not others or not flat:
        return [machine]
    return [_restricted(machine, flat), _restricted(machine, others)]


def _restricted(machine: Machine, flows: Container[str]) -> Machine:
    return replace(
        machine,
        dataflows=tuple(name for name in machine.dataflows if name in flows),
        units=tuple(unit for unit in machine.units if unit.name in flows),
    )


def _others(flow: Dataflow, machine: Machine) -> tuple[str, ...]:
    """Objectives by which *flow* lays some tiles otherwise than by the machine's own, and may be better."""
    if machine.whole_blocks or not flow.lays:
        return ()
    own = machine.objective
    if EDP not in flow.lays:
        own = ENERGY if machine.moves_least else LATENCY
    if machine.objective == LATENCY:
        wanted = math.isfinite(machine.buffer_bits_per_cycle)
    else:
        wanted = machine.objective == EDP or machine.leaks
    return tuple(by for by in flow.lays if wanted and by != own)
