"""simulate(network, accelerator) → Report: what runs, where it runs, what it costs, what that says."""

from __future__ import annotations

from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.machine import Machine
from squeezesim.cost.residents import given_places
from squeezesim.errors import MappingError
from squeezesim.inputs import GivenAccelerator, GivenNetwork, accelerator_of, network_of
from squeezesim.mapping import GivenMapping, Mapping, mapping_of
from squeezesim.network.network import check_multiplies
from squeezesim.report.report import Report


def simulate(
    network: GivenNetwork, accelerator: GivenAccelerator, *, mapping: GivenMapping | None = None
) -> Report:
    """Return what *network* costs on *accelerator*, layer by layer.

    Each may be given as itself or by its name: of a network what ``sq.load`` takes, of an accelerator a shipped one's
    name or the path of a file. Batch-norm, bias and activations are first made part of the layer that they follow.

    Each layer has the best tiling that is found; those of *mapping*, a ``Mapping`` or the path of a file, have the one
    that it says, and operands live where it says, or in memories.

    Raises:
        ModelError: the network is unknown or cannot run, or no layer of it multiplies.
        HardwareError: the accelerator is unknown, or a layer does not fit its global buffer at the smallest tile.
        MappingError: the mapping cannot be read, or a layer or the accelerator cannot have what it says.

    Example:
        >>> simulate("squeezenext_23", "os_32x32").totals["macs"]
        277999808
    """
    runs, machine = network_of(network), accelerator_of(accelerator)
    check_multiplies(runs)
    layers, given = runs.fused.layers, Mapping({}) if mapping is None else mapping_of(mapping)
    try:
        mappings = given.of_layers(layers)
        homes = given.homes_of_layers(layers)
        places = [at.place for at in given_places(layers, Machine.of(machine), homes)] if homes else ()
        costs = evaluate(layers, [machine], mappings, places=places)
    except MappingError as error:
        raise MappingError(f"{repr(given.source) if given.source else 'mapping'}: {error}") from None
    mapped = tuple(layers[number].name for number in sorted(mappings))
    report = Report(network=runs.fused, accelerator=machine, costs=costs, mapped=mapped)
    if places and report.machine.contiguous and report.occupancy and not report.occupancy.has_addresses:
        raise MappingError(
            f"{repr(given.source) if given.source else 'mapping'}: what it keeps in the buffer has no addresses beside "
            "the tiles; allowed with memory.global_buffer.layout contiguous: what has a range of them each"
        )
    return report
