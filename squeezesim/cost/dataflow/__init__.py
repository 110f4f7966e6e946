"""One module for each dataflow: cycles, active PEs and accesses of a tile on the array."""

from collections.abc import Callable

from squeezesim.cost.dataflow.base import NO_BOUNDS, Access, Accesses, Bounds, Dataflow, Tile, TileCost
from squeezesim.cost.dataflow.os import OS
from squeezesim.cost.dataflow.rs import RS
from squeezesim.cost.dataflow.scalesim import SCALESIM
from squeezesim.cost.dataflow.unit import dataflow_of
from squeezesim.cost.dataflow.ws import WS
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import Workload
from squeezesim.hardware.dataflows import DECLARED, Declaration

DATAFLOWS: dict[str, Dataflow] = {flow.name: flow for flow in (WS, OS, RS, *SCALESIM.values())}
"""Every dataflow, by name."""


def flows_of(machine: Machine) -> dict[str, Dataflow]:
    """Return what a layer can run on, by name: the dataflows of *machine*, then its units."""
    shared = {name: DATAFLOWS[name] for name in machine.dataflows}
    return shared | {unit.name: dataflow_of(unit) for unit in machine.units}


def family_of(machine: Machine) -> Machine:
    """Return the family of *machine*: with its prices where a dataflow looks at them when it lays a tile."""
    return machine.family(priced=any(flow.reads_prices for flow in flows_of(machine).values()))


def register(
    declaration: Declaration,
    tile_cost: Callable[[Workload, Tile, Machine], TileCost],
    bounds: Bounds = NO_BOUNDS,
) -> Dataflow:
    """Add a dataflow that accelerators can name from now on, and return it.

    Without *bounds* each tile is costed: the result is the same, and the search slower. Call it at the top level of a
    module: processes of a sweep with several ``jobs`` run that anew, and know no other registered dataflows.

    Raises:
        ValueError: there is a dataflow of this name.
    """
    if declaration.name in DECLARED:
        raise ValueError(f"there is a dataflow {declaration.name!r} already")
    flow = Dataflow(declaration, tile_cost, bounds)
    DECLARED[declaration.name], DATAFLOWS[declaration.name] = declaration, flow
    return flow


__all__ = [
    "DATAFLOWS",
    "Access",
    "Accesses",
    "Dataflow",
    "Tile",
    "TileCost",
    "family_of",
    "flows_of",
    "register",
]
