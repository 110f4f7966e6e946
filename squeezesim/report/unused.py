"""Sentences on what an accelerator leaves out: zeros that nothing skips, widths that PEs do not have, vector layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.machine import Machine
from squeezesim.network.compress.rules import learnt
from squeezesim.network.compress.storage import nonzeros
from squeezesim.report import units
from squeezesim.report.columns import dataflows

if TYPE_CHECKING:
    from squeezesim.network import Layer
    from squeezesim.report.report import Report


def notes(report: Report) -> tuple[str, ...]:
    """Return a sentence for each way in which the accelerator makes no use of what a network brings."""
    return (*_zeros(report), *_widths(report), *_vector(report))


def _zeros(report: Report) -> Iterable[str]:
    machine = Machine.of(report.accelerator)
    skipping = {name for name, flow in DATAFLOWS.items() if flow.skips_zeros and name in machine.skips_zeros}
    pruned = [
        (layer, flow)
        for layer, flow in zip(report.network.layers, dataflows(report.costs), strict=True)
        if learnt(layer) and _left(layer) < layer.weight_elements
    ]
    slow = [(layer, flow) for layer, flow in pruned if flow not in skipping]
    if slow:
        flows = sorted({flow for _, flow in slow})
        left = sum(_left(layer) for layer, _ in slow) / sum(layer.weight_elements for layer, _ in slow)
        yield (
            f"weights of {units.plural(len(slow), 'layer')} are {units.share(left)} dense, but "
            f"{' and '.join(flows)} {'skips' if len(flows) == 1 else 'skip'} no zeros here: dense time"
        )
    if pruned:
        yield "zero weights are loaded from DRAM like others; weights_bytes is what a compressed file takes"


def _left(layer: Layer) -> int:
    density = 1.0 if layer.weight_density is None else layer.weight_density
    return nonzeros(layer.weight_elements, density)


def _vector(report: Report) -> Iterable[str]:
    ops = Counter(layer.op for layer in report.network.layers if layer.kind == "vector")
    if ops and report.accelerator.vector.model == "none":
        counted = ", ".join(f"{count} {op}" for op, count in ops.most_common())
        yield f"vector.model is none here, so that {counted} cost nothing"


def _widths(report: Report) -> Iterable[str]:
    precision = report.accelerator.precision
    has = f"w{precision.weight_bits}a{precision.activation_bits}"
    wider = narrower = 0
    for layer in report.network.layers:
        if layer.kind != "mac":
            continue
        own = (layer.weight_bits, precision.weight_bits), (layer.activation_bits, precision.activation_bits)
        wider += any(bits is not None and bits > theirs for bits, theirs in own)
        narrower += any(bits is not None and bits < theirs for bits, theirs in own)
    if wider:
        yield (
            f"operands of {units.plural(wider, 'layer')} are wider than {has} of the PEs, "
            "which is counted in traffic and energy, not in cycles"
        )
    if narrower:
        yield (
            f"operands of {units.plural(narrower, 'layer')} are narrower than {has} of the PEs: "
            "less traffic and energy, but still one MAC a cycle in each PE"
        )
