"""simulate(network, accelerator) → Report: what runs, where it runs, what it costs, what that says."""

from __future__ import annotations

from squeezesim.cost.evaluate import evaluate
from squeezesim.inputs import GivenAccelerator, GivenNetwork, accelerator_of, network_of
from squeezesim.network.network import check_multiplies
from squeezesim.report.report import Report


def simulate(network: GivenNetwork, accelerator: GivenAccelerator) -> Report:
    """Return what *network* costs on *accelerator*, layer by layer.

    Each may be given as itself or by its name: of a network what ``sq.load`` takes, of an accelerator a shipped one's
    name or the path of a file. Batch-norm, bias and activations are first made part of the layer that they follow.

    Raises:
        ModelError: the network is unknown or cannot run, or no layer of it multiplies.
        HardwareError: the accelerator is unknown, or a layer does not fit its global buffer at the smallest tile.

    Example:
        >>> simulate("squeezenext_23", "os_32x32").totals["macs"]
        277999808
    """
    runs, machine = network_of(network), accelerator_of(accelerator)
    check_multiplies(runs)
    costs = evaluate(runs.fused.layers, [machine])
    return Report(network=runs.fused, accelerator=machine, costs=costs)
