"""Layer by layer against modules of torchvision, timm and pytorchcv: built-in networks, and some an option away."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from squeezesim.frontends.hubs import import_torchvision
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Layer, Network
from squeezesim.zoo.registry import build, parse_spec

pytestmark = pytest.mark.slow

TORCHVISION: list[tuple[str, str, dict[str, Any]]] = [
    *((name, name, {}) for name in ("vgg16", "vgg19", "resnet18", "resnet34", "resnet50", "densenet121")),
    *((name, name, {}) for name in ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")),
    *((f"shufflenet_v2_x{width}",) * 2 + ({},) for width in ("0_5", "1_0", "1_5", "2_0")),
    *((f"efficientnet_b{number}",) * 2 + ({},) for number in range(5)),
    ("alexnet_owt", "alexnet", {}),
    ("squeezenet_1_0", "squeezenet1_0", {}),
    ("squeezenet_1_1", "squeezenet1_1", {}),
    ("vgg16@depth=1-1-2-2-2", "vgg11", {}),
    ("resnet50@depth=3-4-23-3", "resnet101", {}),
    ("mobilenet_v2@width=1.4", "mobilenet_v2", {"width_mult": 1.4}),
    ("mobilenet_v3_large@width=0.75", "mobilenet_v3_large", {"width_mult": 0.75}),
]
TIMM = [
    ("ghostnet", "ghostnet_100"),
    ("ghostnet@width=1.3", "ghostnet_130"),
    ("deit_tiny", "deit_tiny_patch16_224"),
    ("deit_tiny@dim=384,heads=6", "deit_small_patch16_224"),
    ("vit_b_16", "vit_base_patch16_224"),
    ("vit_b_16@patch=32,resolution=384", "vit_base_patch32_384"),
]
PYTORCHCV = [
    *((f"shufflenet_v1_g{groups}", f"shufflenet_g{groups}_w1") for groups in (1, 2, 3, 4, 8)),
    ("mobilenet_v1", "mobilenet_w1"),
    ("tiny_darknet", "darknet_tiny"),
    ("squeezenet_1_0_bypass", "squeezeresnet_v1_0"),
    ("squeezenet_1_1_bypass", "squeezeresnet_v1_1"),
]


def mac_layers(network: Network) -> list[tuple[object, ...]]:
    def sizes(layer: Layer) -> tuple[object, ...]:
        return (
            *(layer.n, layer.g, layer.k, layer.c, layer.oy, layer.ox, layer.fy, layer.fx, layer.iy, layer.ix),
            *(layer.stride, layer.padding, layer.dilation, layer.weights_are_activations, layer.params),
        )

    return [sizes(layer) for layer in network.layers if layer.kind == "mac"]


def both(text: str, module: torch.nn.Module) -> tuple[Network, Network]:
    spec = parse_spec(text)
    shape = (1, *spec.input)
    return trace(build(spec, device="meta"), shape), trace(module, shape)


@pytest.mark.parametrize(("text", "name", "options"), TORCHVISION, ids=str)
def test_every_mac_layer_is_torchvision_s(text: str, name: str, options: dict[str, Any]) -> None:
    with torch.device("meta"):
        module = getattr(import_torchvision().models, name)(**options)
    ours, theirs = both(text, module)
    assert mac_layers(ours) == mac_layers(theirs)
    assert ours.params == theirs.params


@pytest.mark.parametrize(("text", "name"), TIMM)
def test_every_mac_layer_is_timm_s(text: str, name: str) -> None:
    import_torchvision()
    import timm

    with torch.device("meta"):
        module = timm.create_model(name)
    ours, theirs = both(text, module)
    assert mac_layers(ours) == mac_layers(theirs)
    assert ours.params == theirs.params


@pytest.mark.parametrize(("text", "name"), PYTORCHCV)
def test_every_mac_layer_is_pytorchcv_s(text: str, name: str) -> None:
    from pytorchcv.model_provider import get_model

    with torch.device("meta"):
        module = get_model(name)
    ours, theirs = both(text, module)
    assert mac_layers(ours) == mac_layers(theirs)
    assert ours.params == theirs.params


def test_the_paper_s_resnet_50_has_the_layers_of_pytorchcv_s_which_runs_shortcuts_first() -> None:
    from pytorchcv.model_provider import get_model

    with torch.device("meta"):
        module = get_model("resnet50")
    ours, theirs = both("resnet50_v1", module)
    assert sorted(map(repr, mac_layers(ours))) == sorted(map(repr, mac_layers(theirs)))


def test_vit_b_16_has_the_macs_of_torchvision_s_which_lays_out_attention_otherwise() -> None:
    with torch.device("meta"):
        module = import_torchvision().models.vit_b_16()
    ours, theirs = both("vit_b_16", module)
    assert [layer.macs for layer in ours.layers if layer.macs] == [
        layer.macs for layer in theirs.layers if layer.macs
    ]
    assert ours.params == theirs.params
