"""Models of other libraries by name, from the text to the network."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from squeezesim.errors import ModelError, pip_install
from squeezesim.frontends import hubs
from squeezesim.load import dispatch, load, load_module


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find_spec(library), reason=f"{library} is not installed")


@needs("torchvision")
def test_torchvision_with_arguments_and_other_inputs() -> None:
    network = load("torchvision:resnet18@num_classes=10", cache=False)
    assert network.name == "torchvision:resnet18@num_classes=10"
    assert network.source.startswith("torchvision 0.")
    assert network.inputs == (("input", (1, 3, 224, 224)),)
    assert network.params == 11_689_512 - 990 * 513
    assert load("torchvision:resnet18", num_classes=10, batch=2, cache=False).macs == 2 * network.macs
    small = load("torchvision:resnet18", input_shape="3x64x96", cache=False)
    assert small.inputs == (("input", (1, 3, 64, 96)),)


@needs("torchvision")
def test_a_bare_name_is_looked_up_after_the_built_in_ones() -> None:
    assert load("resnext50_32x4d", cache=False).name == "torchvision:resnext50_32x4d"
    assert load("squeezenet_1_1").source == "built-in"


@needs("torchvision")
def test_a_model_of_two_images_gets_a_shape_for_both() -> None:
    once = {"num_flow_updates": 1}
    network = load("torchvision:raft_small", input_shape="3x128x128", kwargs=once, cache=False)
    assert network.inputs == (("image1", (1, 3, 128, 128)), ("image2", (1, 3, 128, 128)))


@needs("torchvision")
def test_a_model_that_is_only_made_with_values() -> None:
    assert load("torchvision:regnet_x_400mf", cache=False).params == 5_495_976


@needs("timm")
def test_timm() -> None:
    network = load("timm:vit_tiny_patch16_224", cache=False)
    assert (network.params, network.macs) == (5_717_416, 1_253_683_200)
    assert load("levit_128s", input_shape="3x224x224", cache=False).name == "timm:levit_128s"


@needs("pytorchcv")
def test_pytorchcv() -> None:
    """Its SqueezeNext is at 224×224: fewer MACs than ours, which is at the paper's 227×227."""
    network = load("pytorchcv:sqnxt23_w1", cache=False)
    assert (network.params, network.macs) == (724_056, 275_920_640)
    assert load_module("sqnxt23_w1")[1] == "pytorchcv:sqnxt23_w1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "macs"),
    [
        ("torchvision:resnet18", "1814073344"),
        ("timm:levit_128s", "304660832"),
        ("pytorchcv:sqnxt23_w1", "275920640"),
    ],
)
def test_a_second_load_reads_the_cache_and_imports_no_torch(model: str, macs: str, tmp_path: Path) -> None:
    """In processes of their own, in which no other library was imported before."""
    if not find_spec(model.partition(":")[0]):
        pytest.skip(f"the library of {model} is not installed")
    code = (
        "import sys, pathlib, squeezesim.cache;"
        f"squeezesim.cache.cache_folder = lambda: pathlib.Path({str(tmp_path)!r});"
        "from squeezesim.load import load;"
        f"print(load({model!r}).macs, 'torch' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in "ab"
    ]
    assert [run.stdout.split() for run in runs] == [[macs, "True"], [macs, "False"]]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("torchvision:resnet5", "torchvision has no model 'resnet5'; did you mean 'resnet50'"),
        ("torchvision:nothing_at_all", "torchvision has no model 'nothing_at_all'"),
        ("torchvision:resnet18@x", "arguments of 'resnet18' are written name=value,name=value, found 'x'"),
        ("torchvision:resnet18@depth=1", "unexpected keyword argument 'depth'"),
        ("torchvision:resnet18@weights=DEFAULT", "weights is not allowed, for weights are never loaded"),
        ("timm:hf-hub:some/model", "timm has no model 'hf-hub:some/model'"),
        ("timm:vit_tiny_patch16_224@pretrained=true", "pretrained is not allowed"),
        ("timm:vit_tiny_patch16_224@checkpoint_path=a.pth", "checkpoint_path is not allowed"),
        ("pytorchcv:sqnxt23_w1@root=/", "root is not allowed"),
        ("resnext50_32x4", "unknown network 'resnext50_32x4'; did you mean 'resnext50_32x4d'"),
    ],
)
def test_mistakes(model: str, message: str) -> None:
    library = model.partition(":")[0]
    if not find_spec(library if library in dispatch.LIBRARIES else "torchvision"):
        pytest.skip(f"{library} is not installed")
    with pytest.raises(ModelError) as caught:
        load(model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@needs("torchvision")
def test_sizes_that_a_model_rejects() -> None:
    with pytest.raises(
        ModelError, match=r"torchvision:squeezenet1_1 rejects input 1x3x9x9: layer 'features.\d+'"
    ):
        load("torchvision:squeezenet1_1", input_shape="3x9x9")
    with pytest.raises(ModelError, match="torchvision:resnet18 rejects input 1x3x0x65: layer 'conv1'"):
        load("torchvision:resnet18", input_shape="3x0x65")


@needs("torchvision")
def test_a_model_too_large_for_the_cpu_is_not_built_there(monkeypatch: pytest.MonkeyPatch) -> None:
    large = "with values it would take about 9,000 GiB"
    monkeypatch.setattr("squeezesim.frontends.torch.run.too_large_to_run", lambda *_: large)
    built = []
    make_model = hubs.make_model

    def make(*args: Any, device: str) -> Any:
        built.append(device)
        return make_model(*args, device=device)

    monkeypatch.setattr(hubs, "make_model", make)
    with pytest.raises(ModelError, match=f"rejects input 1x3x65x65: .*; {large}$"):
        load("torchvision:vit_b_16", input_shape="3x65x65")
    assert built == ["meta"]


@pytest.mark.parametrize("library", dispatch.LIBRARIES)
def test_an_extra_that_is_not_installed_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "find_spec", lambda _: None)
    with pytest.raises(ModelError) as caught:
        load(f"{library}:anything")
    assert str(caught.value) == f"{library} is not installed: {pip_install(library)}"
    with pytest.raises(ModelError) as caught:
        load("anything_else")
    assert str(caught.value) == (
        "unknown network 'anything_else'; torchvision, timm, pytorchcv are not installed: "
        "pip install torchvision timm pytorchcv"
    )


@needs("torchvision")
def test_a_model_that_was_registered_in_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from squeezesim.frontends.hubs import import_torchvision

    models = import_torchvision().models
    assert not dispatch.find("of_my_own")
    monkeypatch.setitem(models._api.BUILTIN_MODELS, "of_my_own", models.resnet18)
    assert dispatch.find("of_my_own") == "torchvision"
