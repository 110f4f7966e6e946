"""What figures call the losses, the levels of energy and the operands."""

from __future__ import annotations

from collections.abc import Mapping

CAUSES: Mapping[str, str] = {
    "executed": "MACs",
    "edge": "edge: PEs without work",
    "zeros": "zeros: zero weights not skipped",
    "fill": "fill: preload and drain",
    "dram": "dram: waiting for DRAM",
    "buffer": "buffer: waiting for the buffer",
    "startup": "startup: first load, last store",
    "setup": "setup: once a layer",
    "vector": "vector: vector lanes at work",
}
LEVELS: Mapping[str, str] = {
    "mac": "MACs",
    "register_file": "registers",
    "inter_pe": "between PEs",
    "buffer": "buffer",
    "dram": "DRAM",
    "vector": "vector lanes",
    "leakage": "leakage",
}
OPERANDS: Mapping[str, str] = {
    "inputs": "inputs",
    "weights": "weights",
    "outputs": "outputs",
    "psums": "partial sums",
}
