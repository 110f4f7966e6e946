"""Small ONNX graphs by hand, and modules as PyTorch exports them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import nn

from squeezesim.frontends.onnx.file import read
from squeezesim.network import Layer, Network

Dims = Sequence[int | str | None]


def tensor(name: str, dims: Dims, element: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, dims)


def weights(name: str, dims: Sequence[int], element: int = TensorProto.FLOAT) -> onnx.TensorProto:
    """A tensor whose values are kept in another file, which is not there."""
    made = onnx.TensorProto(name=name, data_type=element, dims=dims, data_location=TensorProto.EXTERNAL)
    made.external_data.add(key="location", value="nowhere.bin")
    return made


def integers(name: str, values: Sequence[int]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    initializers: Sequence[onnx.TensorProto] = (),
    outputs: Sequence[str] = (),
    opset: int = 21,
    domains: Sequence[str] = (),
    **more: Any,
) -> onnx.ModelProto:
    made = outputs or [nodes[-1].output[0]]
    graph = helper.make_graph(
        nodes,
        "graph",
        [tensor(name, dims) for name, dims in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in made],
        initializers,
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    return helper.make_model(graph, opset_imports=imports, **more)


def network(folder: Path, made: onnx.ModelProto, **options: Any) -> Network:
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return read(path, **options)


def node(op: str, inputs: Sequence[str], output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [output], **attributes)


def export(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], path: Path, *, dynamo: bool, **more: Any
) -> None:
    """Write what one of PyTorch's two exporters makes of *module*."""
    quiet = {"verbose": False} if dynamo else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, str(path), dynamo=dynamo, **quiet, **more)


SIZES = (
    "kind",
    "op",
    "n",
    "g",
    "k",
    "c",
    "oy",
    "ox",
    "fy",
    "fx",
    "iy",
    "ix",
    "stride",
    "dilation",
    "padding",
    "input_elements",
    "weight_elements",
    "output_elements",
    "weights_are_activations",
)


def essence(given: Network) -> list[tuple[object, ...]]:
    """Every layer but views as sizes, and what it reads by number through them: all that a simulation sees."""
    numbers: dict[str, tuple[int, ...]] = {name: (-1 - i,) for i, (name, _) in enumerate(given.inputs)}
    found: list[tuple[object, ...]] = []
    for layer in given.layers:
        reads = tuple(sorted({number for name in layer.inputs for number in numbers[name]}))
        if layer.kind == "view":
            numbers[layer.name] = reads
            continue
        numbers[layer.name] = (len(found),)
        found.append((*(getattr(layer, name) for name in SIZES), reads))
    return found


def only(given: Network) -> Layer:
    (layer,) = given.layers
    return layer
