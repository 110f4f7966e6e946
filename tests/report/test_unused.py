"""What a report says of compression that the accelerator makes no use of, and what compressed weights take."""

from __future__ import annotations

from squeezesim import Network, prune, quantize, simulate
from squeezesim.hardware.accelerator import Accelerator
from tests.report.cases import accelerator, network, report

ZEROS = "zero weights are loaded from DRAM like others; weights_bytes is what a compressed file takes"


def said(of: Network, on: Accelerator) -> tuple[str, ...]:
    """The notes of a report that are not its network's."""
    made = simulate(of, on)
    assert made.notes[: len(of.notes)] == of.notes
    assert all(note in str(made) for note in made.notes)
    return made.notes[len(of.notes) :]


def test_of_a_network_without_compression_nothing_is_said() -> None:
    assert said(network(), accelerator()) == ()


def test_zeros_that_no_dataflow_skips() -> None:
    pruned = prune(network(), 0.4)
    flows = accelerator({"array.dataflows": ["ws"]})
    count = sum(layer.kind == "mac" and not layer.weights_are_activations for layer in pruned.layers)
    assert said(pruned, flows) == (
        f"weights of {count} layers are 40.0 % dense, but ws skips no zeros here: dense time",
        ZEROS,
    )


def test_zeros_that_are_skipped() -> None:
    flows = accelerator({"array.dataflows": ["os"], "sparsity.skipped_by": ["os"]})
    assert said(prune(network(), 0.4), flows) == (ZEROS,)
    assert said(prune(network(), 1), flows) == ()


def test_widths_that_pes_do_not_have() -> None:
    one = {"stem.conv": "w8a8", "*": "w16a16"}
    assert said(quantize(network(), one), accelerator()) == (
        "operands of 1 layer are narrower than w16a16 of the PEs: "
        "less traffic and energy, but still one MAC a cycle in each PE",
    )
    assert said(quantize(network(), {"stem.conv": "w24"}), accelerator()) == (
        "operands of 1 layer are wider than w16a16 of the PEs, which is counted in traffic and energy, not in cycles",
    )


def test_weights_take_what_their_widths_and_zeros_leave() -> None:
    dense = report().totals["weights_bytes"]
    assert dense == report().totals["weights_values_bytes"] == network().params * 2
    made = simulate(quantize(prune(network(), 0.25), "w8"), accelerator())
    rows = {row["name"]: row for row in made.rows()}
    conv, layer = rows["stem.conv"], network().layers[0]
    kept = layer.weight_elements // 4
    biases = 2 * 16
    assert conv["weights_values_bytes"] == kept + biases
    assert conv["weights_bytes"] == kept + layer.weight_elements // 8 + biases  # with a bitmap
    assert (conv["weight_bits"], conv["activation_bits"], conv["weight_density"]) == (8, 16, 0.25)
    assert "compressed," in str(made)


def test_vector_layers_that_cost_nothing() -> None:
    counted = said(network(), accelerator({"vector.model": "none"}))
    assert counted == ("vector.model is none here, so that 1 add, 1 avg_pool cost nothing",)
    assert said(network(), accelerator({"vector.model": "lanes"})) == ()
