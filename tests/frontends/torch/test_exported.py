"""Archives of torch.export: the network that tracing the module gives, and files that are broken or hostile."""

from __future__ import annotations

import copy
import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.frontends.torch import exported
from squeezesim.frontends.torch.exported import read
from squeezesim.frontends.torch.trace import trace
from squeezesim.zoo.registry import build, parse_spec
from tests.frontends.onnx.graphs import essence
from tests.frontends.torch.models import Attention, Merge, Repeated, Residual, Sorting, Tied


def export(module: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), inputs, **options), path)
    return path


@pytest.mark.parametrize(
    ("module", "inputs"),
    [
        (Residual(), (torch.zeros(1, 3, 9, 9),)),
        (Attention(), (torch.zeros(2, 5, 8),)),
        (Tied(), (torch.zeros(2, 3, dtype=torch.int64),)),
        (Repeated(), (torch.zeros(2, 4),)),
        (Merge(), (torch.zeros(2, 4), torch.zeros(2, 6))),
        (Sorting(), (torch.zeros(2, 4),)),
        (nn.LSTM(4, 3, num_layers=2, bidirectional=True), (torch.zeros(3, 2, 4),)),
        (nn.TransformerEncoderLayer(8, 2, 16), (torch.zeros(3, 2, 8),)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_small_modules(module: nn.Module, inputs: tuple[torch.Tensor, ...], tmp_path: Path) -> None:
    exported = read(export(module, inputs, tmp_path / "m.pt2"))
    traced = trace(module, inputs=inputs)
    assert essence(exported) == essence(traced)
    assert exported.params == traced.params
    assert exported.unmodelled == traced.unmodelled
    assert [layer.params for layer in exported.layers] == [layer.params for layer in traced.layers]


@pytest.mark.parametrize("name", ["squeezenext_23@depth=1-1-1-1", "squeezenet_1_0_bypass"])
def test_built_in_networks(name: str, tmp_path: Path) -> None:
    spec = parse_spec(name, {})
    module, shape = build(spec), (1, *spec.entry.input)
    exported = read(export(module, (torch.zeros(shape),), tmp_path / "m.pt2"))
    traced = trace(module, shape)
    assert essence(exported.fused) == essence(traced.fused)
    assert exported.params == traced.params
    assert exported.stages == traced.stages
    assert [layer.module for layer in exported.layers] == [layer.module for layer in traced.layers]


def test_names_are_those_of_the_modules(tmp_path: Path) -> None:
    path = export(Residual(), (torch.zeros(1, 3, 9, 9),), tmp_path / "res.pt2")
    exported, traced = read(path), trace(Residual(), (1, 3, 9, 9))
    assert [layer.name for layer in exported.layers] == [layer.name for layer in traced.layers]
    assert (exported.name, exported.source, exported.inputs) == ("res", str(path), (("x", (1, 3, 9, 9)),))


class Wrapped(nn.Module):
    """Contexts that export makes graphs within the graph: of one, two and no results that are its own, nested."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        with torch.no_grad():
            z = self.second(y.to(torch.float64).float()).cos()
            total = z.sum(0)
            with torch.autocast("cpu", enabled=False):
                w = self.first(y).relu()
        with torch.autocast("cpu", enabled=False):
            v = self.second(w).cos()
        return torch.cat([(z + total).relu(), v], 1)


@pytest.mark.parametrize("options", [{}, {"dynamic_shapes": {"x": {0: torch.export.Dim("n", max=64)}}}])
def test_contexts_are_run_in_their_place(options: dict[str, Any], tmp_path: Path) -> None:
    with torch.enable_grad():
        path = export(Wrapped(), (torch.zeros(2, 4),), tmp_path / "m.pt2", **options)
    with zipfile.ZipFile(path) as made:
        text = made.read(next(name for name in made.namelist() if "/models/" in name)).decode()
    assert "wrap_with_set_grad_enabled" in text
    assert "wrap_with_autocast" in text
    assert "_assert_tensor_metadata" in text
    exported, traced = read(path, batch=2), trace(Wrapped(), (2, 4))
    assert essence(exported) == essence(traced)
    assert [layer.params for layer in exported.layers] == [layer.params for layer in traced.layers]
    assert [layer.module for layer in exported.layers] == [layer.module for layer in traced.layers]


def test_a_branch_that_values_decide_is_refused(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            branch: torch.Tensor = torch.cond(x.sum() > 0, torch.cos, torch.sin, (x,))
            return branch

    path = export(Branching(), (torch.ones(2, 4),), tmp_path / "m.pt2")
    assert refused(path) == (
        "has the operator 'torch.ops.higher_order.cond', which runs one of two graphs, as the value of a tensor decides"
    )


class Heads(nn.Module):
    """Shapes that depend on the batch, and arithmetic on it."""

    def __init__(self) -> None:
        super().__init__()
        self.make = nn.Linear(8, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, rows, _ = x.shape
        heads = self.make(x).reshape(batch * rows, 3, 4)
        return torch.cat([heads, torch.zeros(batch * rows, 3, 4)], 1).reshape(batch, rows, 24)


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    dims = {"x": {0: torch.export.Dim("batch", max=64)}}
    return export(Heads(), (torch.zeros(2, 6, 8),), tmp_path / "m.pt2", dynamic_shapes=dims)


def test_an_open_batch(heads: Path) -> None:
    for options in ({"batch": 3}, {"input_shapes": {"x": (3, 6, 8)}}):
        exported = read(heads, **options)
        assert essence(exported) == essence(trace(Heads(), (3, 6, 8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "input 'x' is ?x6x8: dimension 0, '?', is open; give its shape, such as --input x=1x6x8"),
        ({"input_shapes": {"x": (3, 7, 8)}}, "input 'x' is ?x6x8; 3x7x8 does not fit"),
        ({"input_shapes": {"y": (3, 7, 8)}}, "has no input 'y'; it has x"),
    ],
)
def test_inputs_that_are_open_or_do_not_fit(options: dict[str, Any], message: str, heads: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read(heads, **options)
    assert str(caught.value) == f"{heads}: {message}"


SMALL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The graph of a small archive, to be changed."""
    path = export(SMALL, (torch.zeros(1, 3, 4, 4),), tmp_path_factory.mktemp("pt2") / "m.pt2")
    with zipfile.ZipFile(path) as archive:
        (name,) = [item for item in archive.namelist() if "/models/" in item]
        return dict(json.loads(archive.read(name)))


def archive(
    path: Path, content: bytes | dict[str, Any], name: str = "m/models/model.json", **options: Any
) -> Path:
    with zipfile.ZipFile(path, "w", **options) as made:
        made.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_only_the_graph_is_read(program: dict[str, Any], tmp_path: Path) -> None:
    """An archive of the graph alone is enough; what else it holds, such as a pickle, is not looked at."""

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return (pytest.fail, ("unpickled",))

    path = archive(tmp_path / "m.pt2", program)
    with zipfile.ZipFile(path, "a") as made:
        made.writestr("m/data/sample_inputs/model.pt", pickle.dumps(Trap()))
    assert read(path).macs == trace(SMALL, (1, 3, 4, 4)).macs


def changed(program: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    twin = copy.deepcopy(program)
    change(twin["graph_module"]["graph"])
    return twin


def retarget(target: str) -> Callable[[dict[str, Any]], None]:
    def change(graph: dict[str, Any]) -> None:
        graph["nodes"][1]["target"] = target

    return change


def unbind(graph: dict[str, Any]) -> None:
    graph["tensor_values"]["input"]["sizes"] = [{"as_int": 2**30}]
    graph["nodes"] = [graph["nodes"][1] | {"target": "torch.ops.aten.unbind.int"}]
    graph["nodes"][0]["inputs"] = [{"name": "self", "arg": {"as_tensor": {"name": "input"}}}]


def huge(graph: dict[str, Any]) -> None:
    graph["tensor_values"]["p_0_weight"]["sizes"][0] = {"as_int": 2**62}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (retarget("os.system"), "has the operator 'os.system', which is not one of PyTorch's own"),
        (retarget("torch.ops.aten.from_file.default"), "has the operator 'torch.ops.aten.from_file.default'"),
        (
            retarget("torch.ops.torchvision.nms.default"),
            "has the operator 'torch.ops.torchvision.nms.default'",
        ),
        (
            retarget("torch.ops.aten.__class__.__init__"),
            "has the operator 'torch.ops.aten.__class__.__init__'",
        ),
        (
            retarget("torch.ops.aten.relu.nothing"),
            "has the operator 'torch.ops.aten.relu.nothing', which this",
        ),
        (
            retarget("torch.ops.higher_order.while_loop"),
            "has the operator 'torch.ops.higher_order.while_loop', which repeats a graph as often as",
        ),
        (
            retarget("torch.ops.higher_order.wrap_with_autocast"),
            "has the operator 'torch.ops.higher_order.wrap_with_autocast' with 0 graphs to run; read is one",
        ),
        (huge, "tensor 'p_0_weight': sizes must be from 0 to"),
        (lambda graph: graph.pop("nodes"), "has a graph that is not understood: KeyError 'nodes'"),
        (lambda graph: graph["nodes"].reverse(), "m rejects input 1x3x4x4"),
        (lambda graph: graph["nodes"].append(7), "has a graph that is not understood: TypeError"),
        (unbind, "m rejects input 1073741824: layer '1' ExportedOperator(): aten::unbind may make more than"),
    ],
)
def test_graphs_that_are_refused(
    change: Callable[[dict[str, Any]], None], message: str, program: dict[str, Any], tmp_path: Path
) -> None:
    assert refused(archive(tmp_path / "m.pt2", changed(program, change))).startswith(message)


def test_archives_that_are_refused(program: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    with pytest.raises(ModelError, match=r"^cannot read '.*m\.pt2': No such file or directory$"):
        read(path)
    path.write_bytes(b"")
    assert refused(path) == "is no .pt2 archive, or only a part of one"
    assert refused(archive(path, b"{}")) == "has a graph that is no exported program"
    assert refused(archive(path, b"[" * 100_000)) == "has a graph that is no exported program"
    assert (
        refused(archive(path, program, "m/other.json"))
        == "holds 0 exported programs; read is an archive of one"
    )
    other = program | {"schema_version": {"major": 99, "minor": 0}}
    assert refused(archive(path, other)).startswith("has a graph of format 99; read is 8")
    packed = archive(path, program, compression=zipfile.ZIP_LZMA)
    assert refused(packed) == "has a graph that is packed in a way that torch does not use"


def test_sizes_are_bounded(program: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "MAX_BYTES", 2**16)
    bomb = archive(tmp_path / "m.pt2", b" " * 2**24, compression=zipfile.ZIP_DEFLATED)
    assert refused(bomb) == f"has a graph of more than {2**16} bytes"
    monkeypatch.setattr(exported, "MAX_DIRECTORY", 16)
    assert refused(archive(bomb, program)).startswith("lists more members")


def test_steps_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = export(nn.LSTM(2, 2), (torch.zeros(5, 1, 2),), tmp_path / "m.pt2")
    monkeypatch.setattr(exported, "MAX_TENSORS", 4)
    assert refused(path).endswith("aten::lstm may run more than 4 steps")


@given(
    cut=st.integers(0, 3000),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=3),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_archives_give_a_network_or_one_line(
    cut: int, flips: list[tuple[int, int]], program: dict[str, Any], tmp_path: Path
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as whole:
        whole.writestr("m/models/model.json", json.dumps(program))
    data = bytearray(made.getvalue())
    del data[len(data) - cut % 200 :]
    for place, change in flips:
        data[place % len(data)] ^= change
    path = tmp_path / "m.pt2"
    path.write_bytes(data)
    said = ""
    try:
        read(path)
    except ModelError as error:
        said = str(error)
    assert "\n" not in said
