"""simulate(network, accelerator) → Report: what runs, where it runs, what it costs, what that says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from squeezesim.cost.evaluate import evaluate
from squeezesim.network.checks import check_multiplies
from squeezesim.report.report import Report

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network


def simulate(network: Network, accelerator: Accelerator) -> Report:
    """Return what *network* costs on *accelerator*, layer by layer; pure, without input or output.

    Batch-norm, bias and activations are first made part of the layer that they follow.

    Raises:
        ModelError: no layer of the network multiplies.
        HardwareError: a layer does not fit the global buffer at its smallest tile.

    Example:
        >>> from squeezesim import Accelerator, load
        >>> simulate(load("squeezenext_23"), Accelerator.named("os_32x32")).totals["macs"]
        277999808
    """
    check_multiplies(network)
    costs = evaluate(network.fused.layers, [accelerator])
    return Report(network=network.fused, accelerator=accelerator, costs=costs)
