"""What PyTorch exports, read back: the network that tracing the module gives, layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import squeezesim as sq
from squeezesim.frontends.onnx.file import read
from squeezesim.frontends.torch.trace import trace
from squeezesim.zoo.registry import build, catalogue, parse_spec
from tests.frontends.onnx.graphs import essence, export
from tests.frontends.torch.models import Attention, Residual

HARDWARE = ("os_32x32", "hybrid_32x32")

FAMILIES = sorted({entry.family.name: name for name, entry in reversed(catalogue().items())}.values())


def assert_same(module: nn.Module, shape: tuple[int, ...], folder: Path, *, dynamo: bool) -> None:
    """Both ways in give the same layers, and these the same cycles."""
    path = folder / "model.onnx"
    for name, values in module.named_parameters():
        if name.endswith("bias"):  # exporters leave out those that are zero, as they are at first
            nn.init.constant_(values, 0.5)
    export(module, (torch.zeros(shape),), path, dynamo=dynamo)
    Path(f"{path}.data").unlink(missing_ok=True)  # the weights
    traced, exported = trace(module, shape), read(path)
    assert not exported.unmodelled
    assert exported.macs == traced.macs > 0
    assert essence(exported.fused) == essence(traced.fused)
    for name in HARDWARE:
        cycles = []
        for network in (traced, exported):
            report = sq.simulate(network, sq.Accelerator.named(name))
            costed = [layer.kind != "view" for layer in report.network.layers]
            cycles.append(report.costs.cycles[0][np.array(costed)])
        np.testing.assert_array_equal(*cycles)


class Gates(nn.Module):
    """Activations that exporters write as several nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList([nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 4, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, third = self.steps
        x = nn.functional.silu(first(x))
        x = nn.functional.hardswish(second(x))
        x = third(x)
        return nn.functional.gelu(x) * torch.sigmoid(x)  # no silu: its factors differ


class Bottle(nn.Module):
    """Inverted residual with squeeze and excitation, an average over pixels, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(12, 12, 3, stride=2, padding=1, groups=12, bias=False), nn.BatchNorm2d(12), nn.SiLU()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 3, 1), nn.SiLU(), nn.Conv2d(3, 12, 1), nn.Sigmoid()
        )
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.expand(x))
        x = self.pool(torch.cat([x * self.squeeze(x), x], 1)[:, 6:18])
        return self.fc(x.mean((2, 3))).softmax(1)


@pytest.mark.parametrize(
    "dynamo", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["torchscript", "dynamo"]
)
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (Residual(), (1, 3, 9, 9)),
        (Bottle(), (2, 3, 20, 17)),
        (Gates(), (1, 3, 6, 6)),
        (Attention(), (2, 5, 8)),
    ],
    ids=["residual", "bottle", "gates", "attention"],
)
def test_small_modules(module: nn.Module, shape: tuple[int, ...], dynamo: bool, tmp_path: Path) -> None:
    assert_same(module, shape, tmp_path, dynamo=dynamo)


@pytest.mark.parametrize("name", ["squeezenext_23@depth=1-1-1-1", "squeezenet_1_0_bypass", "tiny_darknet"])
def test_built_in_networks(name: str, tmp_path: Path) -> None:
    spec = parse_spec(name, {})
    assert_same(build(spec), (1, *spec.entry.input), tmp_path, dynamo=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_of_every_family(name: str, tmp_path: Path) -> None:
    """Narrow where most of the time is that of weights, at small images where the network has no input of its own."""
    spec = parse_spec(name, {"width": 0.25} if name.startswith("vgg") else {})
    fixed = name.startswith(("alexnet", "vgg", "vit", "deit"))
    assert_same(build(spec), (1, *(spec.entry.input if fixed else (3, 67, 67))), tmp_path, dynamo=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenext_23@depth=1-1-1-1", "mobilenet_v1"])
def test_built_in_networks_of_the_newer_exporter(name: str, tmp_path: Path) -> None:
    spec = parse_spec(name, {})
    assert_same(build(spec), (1, *spec.entry.input), tmp_path, dynamo=True)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_names_are_those_of_the_modules(dynamo: bool, tmp_path: Path) -> None:
    module, shape = Bottle(), (1, 3, 20, 17)
    export(module, (torch.zeros(shape),), tmp_path / "m.onnx", dynamo=dynamo)
    names = [layer.name for layer in read(tmp_path / "m.onnx").fused.layers if layer.kind == "mac"]
    assert names == [layer.name for layer in trace(module, shape).fused.layers if layer.kind == "mac"]
    assert names[:2] == ["expand.0", "depthwise.0"]


@pytest.mark.parametrize(
    ("kind", "dynamo"),
    [
        *((kind, False) for kind in (nn.LSTM, nn.GRU, nn.RNN)),
        *(pytest.param(kind, True, marks=pytest.mark.slow) for kind in (nn.LSTM, nn.GRU)),
    ],
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_have_the_work_of_their_steps(
    kind: type[nn.RNNBase], bidirectional: bool, dynamo: bool, tmp_path: Path
) -> None:
    module = kind(4, 3, num_layers=2, bidirectional=bidirectional)
    export(module, (torch.zeros(5, 2, 4),), tmp_path / "m.onnx", dynamo=dynamo)
    exported, traced = read(tmp_path / "m.onnx"), trace(module, (5, 2, 4))
    assert not exported.unmodelled
    assert (exported.macs, exported.vector_ops) == (traced.macs, traced.vector_ops)
    if not dynamo:
        assert exported.params == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_layers_and_directions_are_modules_as_in_a_trace(dynamo: bool, tmp_path: Path) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(6, 8, 2, bidirectional=True)
            self.head = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x)[0])

    export(Tagger(), (torch.zeros(5, 1, 6),), tmp_path / "m.onnx", dynamo=dynamo)
    exported, traced = read(tmp_path / "m.onnx"), trace(Tagger(), (5, 1, 6))
    products = [layer.name for layer in exported.layers if layer.kind == "mac"]
    assert set(products) == {layer.name.partition("#")[0] for layer in traced.layers if layer.kind == "mac"}
    assert len(products) == 9
    assert exported.with_stages("rnn.*", "head").stages == ("rnn.l0", "rnn.l1", "head")
    assert {layer.module for layer in exported.layers} - {"rnn"} == {
        layer.module for layer in traced.layers
    } - {"rnn"}


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_an_open_batch(dynamo: bool, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    axes = {"dynamic_shapes": {"x": {0: "batch"}}} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
    names = {} if dynamo else {"input_names": ["x"]}
    export(Transposed(), (torch.zeros(2, 6, 8),), path, dynamo=dynamo, **axes, **names)
    network = read(path, batch=3)
    assert network.inputs[0][1] == (3, 6, 8)
    assert essence(network.fused) == essence(trace(Transposed(), (3, 6, 8)).fused)


class Transposed(nn.Module):
    """Shapes that depend on the batch: heads split and joined by what the input's sizes say."""

    def __init__(self) -> None:
        super().__init__()
        self.make = nn.Linear(8, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, rows, _ = x.shape
        heads = self.make(x).reshape(batch, rows, 3, 4).transpose(1, 2)
        scores = heads @ heads.transpose(2, 3)
        return (scores @ heads).transpose(1, 2).reshape(batch, rows, 12)
