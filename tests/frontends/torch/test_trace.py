import copy
import random
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

from squeezesim.errors import ModelError
from squeezesim.frontends.torch.crosscheck import cross_check
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Network
from tests.frontends.torch import models


def edges(network: Network) -> dict[str, tuple[str, ...]]:
    return {layer.name: layer.inputs for layer in network.layers}


def test_edges_of_a_residual_and_a_concat():
    assert edges(trace(models.Residual(), (1, 3, 8, 8))) == {
        "first": ("input",),
        "act": ("first",),
        "second": ("act",),
        "act#2": ("second",),
        "add": ("act#2", "act"),
        "concat": ("act", "add"),
        "last": ("concat",),
    }


def test_names_modules_and_counts_of_a_residual():
    network = trace(models.Residual(), (2, 3, 8, 8))
    layers = {layer.name: layer for layer in network.layers}
    assert layers["act#2"].module == "act"
    assert layers["add"].module == ""
    assert layers["first"].fused == ("bias",)
    assert layers["first"].vector_ops == 2 * 4 * 64
    assert layers["second"].vector_ops == 0
    assert layers["concat"].kind == "view"
    assert layers["add"].vector_ops == 2 * 4 * 64
    assert network.macs == 2 * 64 * (3 * 4 * 9 + 4 * 4 * 9 + 8 * 2)
    assert network.inputs == (("input", (2, 3, 8, 8)),)
    assert network.name == "Residual"


def test_a_module_that_runs_three_times_is_three_layers_and_counted_once():
    network = trace(models.Repeated(), (5, 4))
    assert [layer.name for layer in network.layers] == ["step", "step#2", "step#3"]
    assert [layer.params for layer in network.layers] == [20, 0, 0]
    assert network.macs == 3 * 5 * 16


class SharedActivations(nn.Module):
    """Blocks with one activation that all hold, one that none registers, and one that the model alone holds."""

    class Block(nn.Module):
        def __init__(self, held: nn.Module, free: nn.Module, outer: nn.Module) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.act = held
            self.others = (free, outer)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            free, outer = self.others
            return outer(free(self.act(self.fc(x))))

    def __init__(self) -> None:
        super().__init__()
        self.act, self.outer = nn.ReLU(), nn.Tanh()
        self.blocks = nn.Sequential(*(self.Block(self.act, nn.SiLU(), self.outer) for _ in range(3)))
        self.down = nn.Sequential(nn.Linear(4, 2), self.act)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.down(self.blocks(x)))


def test_a_shared_activation_belongs_to_the_module_that_calls_it():
    network = trace(SharedActivations(), (1, 4))
    blocks = [f"blocks.{at}.{part}" for at in range(3) for part in ("fc", "act", "SiLU", "outer")]
    assert [layer.name for layer in network.layers] == [*blocks, "down.0", "down.1", "act"]
    assert [layer.module for layer in network.layers] == [*blocks, "down.0", "down.1", "act"]
    assert network.with_stages("blocks.*", "down").stages == (
        "blocks.0",
        "blocks.1",
        "blocks.2",
        "down",
        "rest",
    )


def test_tied_weights_count_once_and_unread_ones_too():
    module = models.Tied()
    network = trace(module, inputs=(torch.zeros(1, 7, dtype=torch.int64),))
    assert [(layer.name, layer.params) for layer in network.layers] == [("embed", 60), ("decode", 0)]
    assert network.unread_params == 5
    assert network.params == sum(parameter.numel() for parameter in module.parameters()) == 65
    assert network.layers[1].weight_elements == 60


def disturbing_state(module: nn.Module) -> dict[str, object]:
    return {
        "modes": [part.training for part in module.modules()],
        "state": copy.deepcopy(module.state_dict()),
        "devices": [str(tensor.device) for tensor in module.state_dict().values()],
        "hooks": [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()],
        "global hooks": len(nn.modules.module._global_forward_hooks)
        + len(nn.modules.module._global_forward_pre_hooks),
        "grad": torch.is_grad_enabled(),
        "torch": torch.random.get_rng_state(),
        "numpy": np.random.get_state(),  # noqa: NPY002
        "python": random.getstate(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "mkldnn": torch._C._get_mkldnn_enabled(),
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "filters": list(warnings.filters),
    }


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor | np.ndarray):
        return bool((one == other).all())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fail", [True, False])
def test_the_module_and_the_process_are_as_before(training, fail):
    module = models.Counting(fail=fail).train(training)
    module.norm.eval()
    module.norm.register_forward_hook(lambda *_: None)
    before = disturbing_state(module)
    if fail:
        with pytest.raises(ModelError):
            trace(module, (2, 3, 4, 4))
    else:
        assert len(trace(module, (2, 3, 4, 4)).layers) == 2
    after = disturbing_state(module)
    assert [key for key in before if not same(before[key], after[key])] == []


class Uncopyable(models.NeedsValue):
    """Runs itself, for want of a copy."""

    def __deepcopy__(self, memo: object) -> nn.Module:
        raise TypeError("not to be copied")


@pytest.mark.parametrize("kind", [models.NeedsValue, Uncopyable])
def test_a_forward_that_needs_a_value_runs_on_the_cpu_and_changes_nothing(kind):
    module = kind().train()
    before = disturbing_state(module)
    network = trace(module, (3, 4))
    assert [layer.name for layer in network.layers] == ["step", "norm", "step#2", "norm#2"]
    assert network.layers[3].inputs == ("step#2",)
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    after = disturbing_state(module)
    assert [key for key in before if not same(before[key], after[key])] == []


def test_training_mode_does_not_show():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout())
    assert trace(module.train(), (1, 3, 2, 2)) == trace(module.eval(), (1, 3, 2, 2))


@pytest.mark.parametrize("fast_path", [True, False])
def test_attention_is_decomposed_into_its_products(fast_path):
    """Batch 3, 5 tokens of 8 features, 2 heads: 4 projections of 5×8×8, and two products of 5×5×4 a head."""
    previous = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast_path)
    try:
        network = trace(models.Attention().eval(), (3, 5, 8))
    finally:
        torch.backends.mha.set_fastpath_enabled(previous)
    products = [layer for layer in network.layers if layer.op == "matmul"]
    assert [(layer.g, layer.oy, layer.k, layer.c) for layer in products] == [(6, 5, 5, 4), (6, 5, 4, 5)]
    assert all(layer.weights_are_activations and layer.params == 0 for layer in products)
    assert network.macs == 3 * (4 * 5 * 8 * 8 + 2 * 2 * 5 * 5 * 4)
    assert [layer.op for layer in network.layers].count("softmax") == 1
    assert network.unmodelled == ()
    assert network.params == 4 * 8 * 8 + 4 * 8


def test_scaled_dot_product_attention_is_decomposed():
    class Heads(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)

    network = trace(Heads(), (2, 3, 5, 4))
    assert network.macs == 2 * 2 * 3 * 5 * 5 * 4
    assert network.unmodelled == ()


def test_a_linear_layer_knows_batch_and_rows():
    network = trace(nn.Linear(8, 6), (2, 5, 8))
    (layer,) = network.layers
    assert (layer.n, layer.oy, layer.c, layer.k, layer.name) == (2, 5, 8, 6, "linear")


def test_a_linear_layer_on_one_token_has_one_row():
    network = trace(models.FirstToken(), (2, 5, 8))
    assert (network.macs, network.layers[-1].n, network.layers[-1].oy) == (2 * 8 * 3, 2, 1)


def test_what_has_no_rule_is_listed_and_its_edges_stay():
    network = trace(models.Sorting(), (3, 4))
    assert [(item.op, item.count, item.module) for item in network.unmodelled] == [("sort", 1, "")]
    assert edges(network) == {"first": ("input",), "last": ("first",)}


def test_writes_to_parts_of_a_tensor_keep_their_edges_apart():
    assert edges(trace(models.Halves(), (3, 4))) == {
        "make": ("input",),
        "sigmoid": ("make",),
        "tanh": ("make",),
        "mul": ("sigmoid", "tanh"),
        "exp": ("make", "sigmoid", "tanh"),
        "add": ("mul", "exp"),
    }


@pytest.mark.parametrize(
    "inputs",
    [
        {"inputs": (torch.zeros(2, 4), torch.zeros(2, 6))},
        {"inputs": {"image": (2, 4), "text": (2, 6)}},
        {"inputs": {"text": torch.zeros(2, 6), "image": (2, 4)}, "kwargs": {"scale": 2.0}},
    ],
)
def test_several_inputs_have_the_names_of_the_arguments(inputs):
    network = trace(models.Merge(), **inputs)
    assert dict(network.inputs) == {"image": (2, 4), "text": (2, 6)}
    assert edges(network) == {
        "left": ("image",),
        "right": ("text",),
        "mul": ("right",),
        "add": ("left", "mul"),
    }


def test_nested_inputs_are_named_by_their_place():
    class Pair(nn.Module):
        def forward(self, pair: list[torch.Tensor]) -> torch.Tensor:
            return pair[0] + pair[1]

    network = trace(Pair(), inputs=([torch.zeros(2), torch.zeros(2)],))
    assert [name for name, _ in network.inputs] == ["pair[0]", "pair[1]"]
    assert edges(network) == {"add": ("pair[0]", "pair[1]")}


@pytest.mark.parametrize(
    ("module", "shape", "parts"),
    [
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(5, 4, 3)),
            (1, 3, 8, 8),
            ["layer '1' Conv2d(5, 4", "got 1x4x6x6"],
        ),
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 2)), (2, 3), ["layer '1' Linear(in_features=7", "got 2x3"]),
        (nn.Conv2d(3, 4, 9), (1, 3, 4, 4), ["input 1x3x4x4", "Kernel size"]),
        (
            models.Counting(fail=True),
            (1, 3, 4, 4),
            ["Counting rejects input 1x3x4x4", "on purpose and on two lines"],
        ),
        (models.Merge(), (1, 4), ["Merge rejects", "text"]),
    ],
)
def test_a_rejected_input_names_layer_and_shapes_on_one_line(module, shape, parts):
    with pytest.raises(ModelError) as caught:
        trace(module, shape)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_neither_and_both_inputs_are_refused():
    for given in ({}, {"input_shape": (1, 4), "inputs": (torch.zeros(1, 4),)}):
        with pytest.raises(ModelError, match="either input_shape or inputs"):
            trace(nn.Linear(4, 4), **given)


def test_lazy_modules_are_refused():
    with pytest.raises(ModelError, match="lazy parameters"):
        trace(nn.LazyLinear(4), (1, 4))


def test_nothing_is_printed_or_warned(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace(models.Attention(), (3, 5, 8))
        trace(models.NeedsValue(), (3, 4))
    assert capfd.readouterr() == ("", "")


def test_half_precision_models_get_inputs_of_their_own():
    assert trace(nn.Linear(4, 4).half(), (1, 4)).macs == 16


def test_weight_normalisation_is_no_layer_of_the_network():
    module = nn.utils.parametrizations.weight_norm(nn.Linear(4, 6))
    network = trace(module, (1, 4))
    assert [layer.op for layer in network.layers] == ["linear"]
    assert network.params == sum(parameter.numel() for parameter in module.parameters()) == 24 + 6 + 6
    assert network.unread_params == 0


@pytest.mark.parametrize(
    ("code", "said"), [((), "SystemExit"), ((0,), "SystemExit: 0"), (("no\nway",), "SystemExit: no way")]
)
def test_a_forward_that_exits_is_a_mistake(code, said):
    class Leaving(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):  # noqa: ARG002
            sys.exit(*code)

    for count in (trace, cross_check):
        with pytest.raises(ModelError) as caught:
            count(nn.Sequential(nn.ReLU(), Leaving()), inputs=[(1, 4)])
        assert str(caught.value) == f"Sequential rejects input 1x4: layer '1' Leaving() got 1x4: {said}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda it: torch.jit.trace(it, torch.zeros(1, 4))])
def test_torchscript_is_refused(compiled):
    module = nn.Linear(4, 3)
    for count in (trace, cross_check):
        with pytest.raises(ModelError, match=r"is a TorchScript module, .*: give the torch\.nn\.Module that"):
            count(compiled(module), inputs=[(1, 4)])
    assert trace(nn.Sequential(compiled(module)), (1, 4)).macs == 12


class Applied(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.to_sparse() @ x, "sparse tensors are not supported: they have no storage by which to follow them"),
        (lambda x: x.to_sparse_csr() @ x, "sparse tensors are not supported: they have no storage by which to "
         "follow them"),
        (lambda x: torch.nested.nested_tensor([x, x]).relu(), "nested tensors are not supported: they have no shape"),
        (
            lambda x: flex_attention(x[None, None], x[None, None], x[None, None]),
            "the higher-order operator flex_attention runs functions that are not traced",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_traced_is_said_in_words(function, reason):
    with pytest.raises(ModelError) as caught:
        trace(Applied(function), (16, 16))
    assert str(caught.value) == f"Applied rejects input 16x16: the module Applied() got 16x16: {reason}"


def test_products_of_complex_numbers_are_not_modelled():
    network = trace(Applied(lambda x: (x.to(torch.complex64) @ torch.polar(x, x)).real.relu()), (8, 8))
    assert [(item.op, item.count) for item in network.unmodelled] == [("mm of complex numbers", 1)]
    assert network.macs == 0
    assert network.layers[-1].op == "relu"


class Drawn(nn.Module):
    """As many products as random weights, drawn when it is made, and random numbers of its forward say."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        kept = (self.linear.weight[:, 0] > 0).nonzero().numel()
        drawn = int(torch.randint(1, 1000, ())) + random.randint(1, 1000) + int(np.random.randint(1, 1000))  # noqa: NPY002
        return torch.ones(drawn, kept + 1) @ torch.ones(kept + 1, 1) + self.linear(x).sum()


def test_a_model_that_draws_is_the_same_each_time():
    module = Drawn()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    counts = {trace(module, (1, 8)).macs for _ in range(3)}
    assert len(counts) == 1
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # noqa: NPY002


def test_learnt_values_that_meet_nothing_are_unread():
    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.found, self.head = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(x).sum() + torch.relu(self.found(x[x[:, 0] > 1])).sum()

    network = trace(Sparse(), (5, 4))
    assert network.unread_params == 15
    assert network.params == 25
    assert [layer.params for layer in network.layers if layer.params] == [10]
