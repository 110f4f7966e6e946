"""One file for each dataflow: cycles, active PEs and accesses of a tile on the array."""

from squeezesim.cost.dataflow.base import Accesses, Dataflow, Work
from squeezesim.cost.dataflow.os import OS
from squeezesim.cost.dataflow.rs import RS
from squeezesim.cost.dataflow.scalesim import SCALESIM
from squeezesim.cost.dataflow.ws import WS

DATAFLOWS: dict[str, Dataflow] = {flow.name: flow for flow in (WS, OS, RS, *SCALESIM.values())}

__all__ = ["DATAFLOWS", "Accesses", "Dataflow", "Work"]
