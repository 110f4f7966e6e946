"""Real weights by the names of a trace."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune

from squeezesim import densities, prune, weights
from squeezesim.errors import ModelError
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Network


class Mixed(nn.Module):
    """Weights as a module's, behind a mask, behind a parametrization, bare, computed, and of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.masked = nn.Conv2d(8, 8, 1)
        torch_prune.random_unstructured(self.masked, "weight", amount=0.25)
        self.normed = parametrizations.weight_norm(nn.Conv2d(8, 4, 1))
        self.bare = nn.Parameter(torch.randn(6, 4, 1, 1))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.head = nn.Linear(6, 5, dtype=torch.float32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.normed(self.masked(self.conv(x)))
        x = torch.conv2d(x, self.bare).flatten(2).transpose(1, 2)
        return self.head(self.attention(x, x, x, need_weights=False)[0])


def traced(module: nn.Module) -> Network:
    return trace(module, (1, 3, 4, 4))


def test_weights_are_found_by_layer() -> None:
    module = Mixed()
    network = traced(module)
    found = weights(network, module)
    sizes = {layer.name: layer.weight_elements for layer in network.layers if layer.kind == "mac"}
    learnt = {
        layer.name for layer in network.layers if layer.kind == "mac" and not layer.weights_are_activations
    }
    assert set(found) == learnt
    assert all(values.size == sizes[name] for name, values in found.items())
    assert np.array_equal(found["conv"], module.conv.weight.detach().numpy())
    assert np.array_equal(found["normed"], module.normed.weight.detach().numpy())
    assert np.array_equal(found["conv2d"], module.bare.detach().numpy())


class CrossAttention(nn.Module):
    """Its product of queries uses a part of a parameter, of the size of another layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.m = nn.MultiheadAttention(8, 2, batch_first=True, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        memory = x[:, 1:]
        return torch.as_tensor(self.m(x, memory, memory, need_weights=False)[0])


def test_a_part_of_a_packed_parameter_is_not_taken_for_another() -> None:
    module = CrossAttention()
    network = trace(module, (1, 5, 8))
    learnt = [layer.weight_elements for layer in network.layers if layer.op == "linear"]
    assert learnt == [64, 128, 64]
    assert weights(network, module) == {}


def test_densities_are_the_share_of_values_that_are_not_zero() -> None:
    module = Mixed()
    with torch.no_grad():
        module.conv.weight[0] = 0
    found = densities(traced(module), module)
    assert (found["conv"], found["masked"], found["head"]) == (7 / 8, 0.75, 1.0)
    pruned = {layer.name: layer.weight_density for layer in prune(traced(module), found).layers}
    assert (pruned["conv"], pruned["masked"]) == (7 / 8, 0.75)


def test_bfloat16_has_values_too() -> None:
    module = nn.Linear(4, 4, dtype=torch.bfloat16)
    with torch.no_grad():
        module.weight.fill_(0)
    assert densities(trace(module, (1, 4)), module) == {"linear": 0.0}


def test_two_that_fit_are_none() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.zeros(4, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.a @ self.b

    assert weights(trace(Twice(), (1, 4)), Twice()) == {}


def test_those_of_each_layer_and_direction_of_a_recurrence() -> None:
    module = nn.LSTM(6, 8, 2, bidirectional=True)
    found = weights(trace(module, (7, 1, 6)), module)
    assert {name.partition("#")[0] for name in found} == {
        f"l{layer}.{way}/linear_{which}"
        for layer in (0, 1)
        for way in ("forward", "reverse")
        for which in ("ih", "hh")
    }
    for name, parameter in (
        ("l0.forward/linear_ih", module.weight_ih_l0),
        ("l1.reverse/linear_hh", module.weight_hh_l1_reverse),
    ):
        assert np.array_equal(found[name], parameter.detach().numpy())


def test_another_module_or_one_without_values() -> None:
    with pytest.raises(
        ModelError, match=r"^layer 'conv' ran in 'conv', which the given module does not have$"
    ):
        weights(traced(Mixed()), nn.Linear(3, 3))
    module = nn.Sequential(nn.Linear(4, 4, device="meta"))
    with pytest.raises(
        ModelError, match=r"^the weights of layer '0' have no values: they are on the meta device$"
    ):
        weights(trace(module, (1, 4)), module)
