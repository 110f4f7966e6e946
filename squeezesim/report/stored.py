"""Bytes that learnt values take in a compressed file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from squeezesim.cost.machine import Machine
from squeezesim.cost.operands import operands_of
from squeezesim.network.compress.storage import layer_sizes

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Layer


def stored_bytes(layers: Iterable[Layer], accelerator: Accelerator) -> NDArray[np.int64]:
    """Return what each layer's learnt values take, (layers, 2): in the smallest form, and without an index."""
    machine = Machine.of(accelerator)
    rows = []
    for layer in layers:
        bits = operands_of(layer, machine)
        sizes = layer_sizes(layer, bits.weight_bits, bits.accumulator_bits, bits.weight_density)
        rows.append([-(-size // 8) for size in (sizes.least, sizes.values)])
    return np.array(rows, np.int64).reshape(len(rows), 2)
