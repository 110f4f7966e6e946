"""Widths and density with which a layer runs: its own, or the accelerator's where it brings none."""

from __future__ import annotations

from typing import NamedTuple

from squeezesim.cost.machine import Machine
from squeezesim.network.layer import Layer


class Operands(NamedTuple):
    """Bits of the operands in memory, and the share of the second one that is not zero."""

    weight_bits: int
    activation_bits: int
    accumulator_bits: int
    weight_density: float


def operands_of(layer: Layer, machine: Machine) -> Operands:
    """Return the operands of *layer* on *machine*; a product of activations has two dense ones, equally wide."""
    activation_bits = layer.activation_bits or machine.activation_bits
    accumulator_bits = layer.accumulator_bits or machine.accumulator_bits
    if layer.weights_are_activations:
        return Operands(activation_bits, activation_bits, accumulator_bits, 1.0)
    density = machine.weight_density if layer.weight_density is None else layer.weight_density
    return Operands(layer.weight_bits or machine.weight_bits, activation_bits, accumulator_bits, density)
