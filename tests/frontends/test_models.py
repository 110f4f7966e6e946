"""Whole models of other libraries: MACs beside PyTorch's own count, params beside PyTorch's, both beside print.

``FlopCounterMode`` counts what a forward pass dispatches, half its operations being MACs. It has no rule for products
with vectors, those written in place, ``bilinear`` and grouped products of experts, which none of these models has.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from squeezesim.errors import ModelError
from squeezesim.frontends.hubs import import_torchvision, make_model
from squeezesim.frontends.torch.run import decomposed, undisturbed
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Network

from .model_cases import PYTORCHCV, TIMM, TORCHVISION

pytestmark = pytest.mark.slow


def without(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find_spec(library), reason=f"{library} is not installed")


def dispatched(module: nn.Module, args: list[torch.Tensor], kwargs: dict[str, torch.Tensor]) -> int:
    module.requires_grad_(False)  # FlopCounterMode fails on a parameter that is passed to a module
    with undisturbed(), decomposed(), FlopCounterMode(display=False) as counter:
        module.eval()(*args, **kwargs)
    return int(counter.get_total_flops()) // 2


def same_counts(library: str, name: str, arguments: dict[str, object]) -> Network:
    """The trace of a model at its own input, after a comparison; without values unless it needs them."""
    for device in ("meta", "cpu"):
        try:
            module, inputs = make_model(library, name, arguments, device=device)
            break
        except ModelError:  # it cannot be made without values
            assert device == "meta"
    shapes = [(1, *shape) for shape in inputs]
    network = trace(module, inputs=shapes)
    assert network.macs == dispatched(module, [torch.zeros(shape, device=device) for shape in shapes], {})
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.unmodelled == ()
    return network


@without("torchvision")
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    """Also beside the GMACs, to three digits after the point, and the params that torchvision states."""
    network = same_counts("torchvision", name, TORCHVISION[name])
    weights: Any = import_torchvision().models.get_model_weights(name)
    stated = {(entry.meta["_ops"], entry.meta["num_params"]) for entry in weights}
    assert (round(network.macs / 1e9, 3), network.params) in stated


@without("torchvision")
@pytest.mark.parametrize("name", ["ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn"])
def test_detection(name: str) -> None:
    """Beside the GMACs that torchvision states; which boxes are left is what cannot be modelled."""
    module, inputs = make_model("torchvision", name, {})
    network = trace(module, inputs=[(1, *shape) for shape in inputs])
    weights: Any = import_torchvision().models.get_model_weights(name)
    assert round(network.macs / 1e9, 2) in {round(entry.meta["_ops"], 2) for entry in weights}
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert {item.op for item in network.unmodelled} <= {
        "nonzero",
        "sort",
        "topk",
        "torchvision.nms",
        "_unique2",
    }


@without("timm")
@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    assert same_counts("timm", name, {}).macs > 0


@without("pytorchcv")
@pytest.mark.parametrize("name", PYTORCHCV)
def test_pytorchcv(name: str) -> None:
    assert same_counts("pytorchcv", name, {}).macs > 0


SIZES = {"num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 100}
TRANSFORMERS: dict[str, dict[str, Any]] = {
    "Bert": {"model": "BertModel", "hidden_size": 32, "num_attention_heads": 2, **SIZES},
    "GPT2": {"model": "GPT2LMHeadModel", "n_embd": 32, "n_layer": 2, "n_head": 2, "vocab_size": 100},
    "Llama": {
        "model": "LlamaForCausalLM",
        "hidden_size": 32,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        **SIZES,
    },
    "T5": {
        "model": "T5ForConditionalGeneration",
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": 100,
    },
    "ViT": {
        "model": "ViTModel",
        "hidden_size": 32,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        **SIZES,
    },
}


@without("transformers")
@pytest.mark.parametrize("family", TRANSFORMERS)
def test_transformers(family: str) -> None:
    if find_spec("torchvision"):
        import_torchvision()  # which transformers imports
    import transformers

    settings = dict(TRANSFORMERS[family])
    model, tokens = settings.pop("model"), torch.zeros(2, 16, dtype=torch.int64)
    if family in ("GPT2", "Bert"):
        settings |= {"bos_token_id": 0, "eos_token_id": 0}
    module: nn.Module = getattr(transformers, model)(
        getattr(transformers, f"{family}Config")(**settings)
    ).eval()
    inputs = {"pixel_values": torch.zeros(2, 3, 32, 32)} if family == "ViT" else {"input_ids": tokens}
    if family == "T5":
        inputs["decoder_input_ids"] = tokens[:, :8]
    network = trace(module, inputs=inputs)
    assert network.macs == dispatched(module, [], inputs)
    assert network.params == sum(parameter.numel() for parameter in module.parameters())
    assert network.unmodelled == ()
