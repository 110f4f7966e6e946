"""An accelerator in a notebook: its memories and its array as a chain, its parts as a table."""

from __future__ import annotations

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.show import facts, heading
from squeezesim.markup import block, chain, table


def html(accelerator: Accelerator) -> str:
    """Return *accelerator* as HTML."""
    array, buffer = accelerator.array, accelerator.memory.global_buffer
    boxes = (
        f"DRAM, {accelerator.dram_bytes_per_cycle:.4g} B/cycle",
        f"buffer, {buffer.size_kib:g} KiB",
        f"{array.rows}×{array.cols} PEs, {' or '.join(array.dataflows)}, {accelerator.clock_mhz:g} MHz",
    )
    return block(heading(accelerator), chain(boxes), table((), facts(accelerator).items(), left=2))
