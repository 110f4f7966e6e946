"""An accelerator as plain rows and as a short text."""

from __future__ import annotations

from typing import Any, NamedTuple

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import to_dict
from squeezesim.hardware.energy_levels import LEVELS
from squeezesim.hardware.mistakes import shown
from squeezesim.hardware.paths import OVERRIDES, parameters


class Row(NamedTuple):
    """One parameter for display; ``provenance`` and ``source`` are empty where the file states none."""

    path: str
    value: str
    unit: str
    provenance: str
    source: str


def rows(accelerator: Accelerator) -> list[Row]:
    """Return every parameter of *accelerator* in schema order, defaults included.

    Example:
        >>> rows(Accelerator.named("squeezelerator_8x8"))[4][:3]
        ('array.rows', '8', 'PEs')
    """
    data = to_dict(accelerator)
    overridden = [f"{OVERRIDES}.{level}" for level in LEVELS if level in accelerator.energy.overrides]
    found = []
    for path in (*parameters(), *overridden):
        value = _value(data, path)
        if path == OVERRIDES:
            continue
        unit = parameters()[OVERRIDES if path in overridden else path].unit
        origin = accelerator.provenance.get(path)
        text = value if isinstance(value, str) else _text(value)
        found.append(
            Row(path, text, unit, origin.provenance if origin else "", origin.source if origin else "")
        )
    return found


def summary(accelerator: Accelerator) -> str:
    """Return the accelerator on a few lines, for ``print``."""
    lines = [f"  {part:<9} {text}" for part, text in facts(accelerator).items()]
    return "\n".join([heading(accelerator), *lines])


def heading(accelerator: Accelerator) -> str:
    """Return the accelerator's name and description."""
    return f"{accelerator.name}: {accelerator.description}".removesuffix(": ")


def facts(accelerator: Accelerator) -> dict[str, str]:
    """Return what there is to say of each part of *accelerator*."""
    array, buffer, dram = accelerator.array, accelerator.memory.global_buffer, accelerator.memory.dram
    bits, sparsity = accelerator.precision, accelerator.sparsity
    energy, mapper, vector = accelerator.energy, accelerator.mapper, accelerator.vector
    rate = "" if buffer.bytes_per_cycle is None else f", {buffer.bytes_per_cycle:g} B/cycle"
    double_buffered = " ".join(buffer.double_buffered) or "nothing"
    skipped = f", zeros skipped by {' '.join(sparsity.skipped_by)}" if sparsity.skipped_by else ""
    return {
        "clock": f"{accelerator.clock_mhz:g} MHz",
        "array": f"{array.rows}×{array.cols} PEs, {' or '.join(array.dataflows)}, {array.interconnect}, "
        f"{array.port_words} port words/cycle, {array.register_file.psum_words} partial sums/PE",
        "precision": f"{bits.weight_bits}-bit weights, {bits.activation_bits}-bit activations, "
        f"{bits.accumulator_bits}-bit partial sums",
        "buffer": f"{buffer.size_kib:g} KiB{rate}, double-buffered: {double_buffered}",
        "dram": f"{dram.bandwidth_gb_s:g} GB/s × {dram.usable_fraction:g} = "
        f"{accelerator.dram_bytes_per_cycle:.4g} B/cycle, latency {accelerator.dram_latency_cycles} cycles",
        "control": f"{accelerator.setup_cycles} cycles set-up a layer, DMA granularity "
        f"{accelerator.dma.granularity}",
        "mapper": f"{mapper.objective}, slack {mapper.latency_slack:g}",
        "sparsity": f"{sparsity.weights:.0%} zero weights{skipped}",
        "vector": f"{f'{vector.lanes} lanes' if vector.model == 'lanes' else 'none'}",
        "energy": f"{energy.table}"
        + "".join(f", {level} {value:g}" for level, value in energy.overrides.items()),
    }


def _value(data: dict[str, Any], path: str) -> object:
    value: Any = data
    for key in path.split("."):
        value = value[key]
    return value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return f"{value:.10g}" if isinstance(value, float) else shown(value)
