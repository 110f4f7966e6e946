"""What stays on the chip: where operands live, as columns of layers; in sentences what stays, and what is moved."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from squeezesim.cost.costs import HOMED, HOMES
from squeezesim.cost.placement import MOST_DROPPED, MOST_STATES
from squeezesim.cost.problem import operands_of, workload_of
from squeezesim.cost.recurrence import staying
from squeezesim.cost.residents import left_out
from squeezesim.cost.weights import has_weights, own_bits, weight_bits
from squeezesim.report import units
from squeezesim.report.names import display_name

if TYPE_CHECKING:
    from squeezesim.cost.machine import Machine
    from squeezesim.cost.problem import Ints
    from squeezesim.network.network import Network
    from squeezesim.report.data import ReportData


_OBJECTIVE = {"latency": "time", "energy": "energy", "edp": "time and energy as it weighs them"}


def homes_in(report: ReportData, operand: str) -> list[str] | None:
    """Return where an operand of each layer lives.

    None where the buffer keeps nothing; of weights where none stay from one inference to the next.
    """
    if not (_keeps_weights(report) if operand == "weights" else _keeps(report)):
        return None
    of = report.costs.cycles[0].tolist()
    if operand == "weights":
        of = [layer.weight_elements * (layer.kind != "view") for layer in report.network.layers]
    codes = report.costs.homes[0, :, HOMED.index(operand)].tolist()
    return [HOMES[code] if some else "" for code, some in zip(codes, of, strict=True)]


def kept_bytes(report: ReportData) -> Ints | None:
    """Return the bytes of the buffer that whole tensors take; None where it may keep no maps, and keeps no weights."""
    kept = report.costs.kept_bytes[0]
    return kept if _keeps(report) or kept.any() else None


def _keeps(report: ReportData) -> bool:
    return "activations" in report.accelerator.memory.global_buffer.keeps


def _keeps_weights(report: ReportData) -> bool:
    """Whether some may stay from one inference to the next."""
    memory = report.accelerator.memory
    return memory.stays.size_kib > 0 or "weights" in memory.global_buffer.keeps


def notes(report: ReportData) -> Iterable[str]:
    """Yield which maps and weights stay, the traffic that is left, and what is loaded beside the layer before."""
    yield from _maps(report)
    yield from _weights_of_steps(report)
    yield from _weights_between_inferences(report)
    if report.machine.loads_ahead:
        ahead = report.costs.ahead_bytes[0]
        count, size = units.plural(int((ahead > 0).sum()), "layer"), units.size(int(ahead.sum()))
        yield f"the first weights of {count}, {size}, are loaded beside the layer before (memory.prefetch)"


def _maps(report: ReportData) -> Iterable[str]:
    """How many feature maps live in the buffer, where it may keep them, and the DRAM traffic that is left."""
    memory, costs = report.accelerator.memory, report.costs
    if not _keeps(report):
        return
    if memory.placement == "layer":
        yield "memory.placement layer: no feature map stays in the buffer"
        return
    if report.mapped and not costs.homes.any():
        yield "mappings are given that keep no feature map in the buffer; every one passes DRAM"
        return
    written = sum(layer.kind != "view" for layer in report.network.layers)
    kept = sum(home > 0 for home in costs.homes[0, :, HOMED.index("outputs")].tolist())
    moved, least = int(report.tally.dram_bytes.sum()), least_dram_bytes(report)
    yield (
        f"{kept:,} of {units.plural(written, 'feature map')} stay in the buffer; DRAM traffic "
        f"{units.size(moved)}, compulsory {units.size(min(least, moved))}"
    )
    layers, found = report.network.layers, left_out(report.network.layers, report.machine)
    if found.states is not None:
        yield (
            f"after {layers[found.states].name} there are more than {MOST_STATES:,} ways to fill the buffer, of "
            "which the fullest were followed: another placement may be better"
        )
    if found.drops is not None:
        yield (
            f"before {layers[found.drops].name} more than {MOST_DROPPED} feature maps can be in both homes, of which "
            "none, one or all were dropped at once: another placement may be better"
        )

    if report.machine.contiguous and not report.mapped:
        what = _OBJECTIVE[report.machine.objective]
        best = f"another placement may take up to {units.share(found.share)} less {what}"
        yield (
            "tensors and tiles have addresses, each in one piece (memory.global_buffer.layout); "
            + (best if found.share else "no placement that has some is better")
        )


def _weights_of_steps(report: ReportData) -> Iterable[str]:
    """The weights of recurrences that stay in the buffer from step to step."""
    layers, machine = report.ran, report.machine
    inside = report.costs.homes[0, :, HOMED.index("weights")] == HOMES.index("buffer")
    if report.mapped and not inside.any() and any(staying(layers, machine)):
        yield "mappings are given, so that the weights of recurrences are loaded in every step"
    kept = [layer for layer, stays in zip(layers, inside, strict=True) if stays and has_weights(layer)]
    if kept:
        size = sum(weight_bits(layer, machine) for layer in kept) // 8
        who = display_name(kept[0].name) if len(kept) == 1 else f"{len(kept):,} layers that repeat"
        yield f"the weights of {who} stay in the buffer from step to step, {units.size(size)}, and are loaded once"


def _weights_between_inferences(report: ReportData) -> Iterable[str]:
    """The weights that stay from one inference to the next, of which the figures are then those of later ones."""
    if not _keeps_weights(report):
        return
    stay, bits = _lasting(report), own_bits(report.network.layers, report.machine)
    rest = [number for number in bits if number not in stay]
    every, held = (units.size(sum(bits[each] for each in of) // 8) for of in (bits, stay))
    what = f"all weights, {every}," if not rest else f"{held} of {every} of weights"
    text = f"figures are of the second and later inferences: {what} stay on the chip"
    if rest:
        who = display_name(report.network.layers[rest[0]].name)
        text += f"; those of {who}, {units.size(bits[rest[0]] // 8)}, are the first that do not"
    yield text


def _lasting(report: ReportData) -> frozenset[int]:
    """Layers whose weights stay from one inference to the next."""
    homes = report.costs.homes[0, :, HOMED.index("weights")]
    return frozenset(np.flatnonzero(homes == HOMES.index("stays")).tolist())


def least_dram_bytes(report: ReportData) -> int:
    """Return the bytes that no placement of feature maps moves less than: weights, inputs and outputs, each once.

    Weights that stay from one inference to the next are not loaded.
    """
    layers, stay = report.network.layers, _lasting(report)
    mac = [layer for number, layer in enumerate(layers) if has_weights(layer) and number not in stay]
    work, rows = workload_of(mac, report.machine)
    weights = int((-(-(work.stored_weights + work.constants) // 8))[rows].sum()) if mac else 0
    others = [number for number, layer in enumerate(layers) if layer.kind != "mac"]
    weights += int(report.tally.part("dram", "weights").reshape(-1)[others].sum())
    return sum(network_bytes(report.network, report.machine)) + weights


def network_bytes(network: Network, machine: Machine) -> tuple[int, int]:
    """Return the bytes of the inputs of a network, and of its outputs: those that no layer reads."""
    layers = network.layers
    read = {name for layer in layers for name in (*layer.inputs, *layer.carried)}
    outputs = sum(
        -(-layer.output_elements * layer.repeat * operands_of(layer, machine).activation_bits // 8)
        for layer in layers
        if layer.kind != "view" and layer.name not in read
    )
    inputs = sum(prod(shape) for _, shape in network.inputs) * machine.activation_bits
    return -(-inputs // 8), outputs
