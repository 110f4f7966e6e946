"""The inputs of an ONNX graph with all their sizes, those that the file leaves open as the user gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import GraphProto, ValueInfoProto

from squeezesim.errors import ModelError, nearest
from squeezesim.frontends.onnx.values import Shape, check_shape
from squeezesim.network.checks import show


def input_shapes(
    graph: GraphProto, given: Mapping[str, Sequence[int]], batch: int | None
) -> list[tuple[str, Shape]]:
    """Return every input that is no initializer, with all its sizes, *given* ones where the file leaves any open.

    Raises:
        ModelError: a size is open and not given, or what is given does not fit the file.
    """
    initial = {tensor.name for tensor in graph.initializer}
    declared = [value for value in graph.input if value.name not in initial]
    names = [value.name for value in declared]
    for name in given:
        if name not in names:
            raise ModelError(f"has no input {show(name)}; it has {', '.join(names)}{nearest(name, names)}")
    return [(value.name, _input_shape(value, given.get(value.name), batch)) for value in declared]


def _input_shape(value: ValueInfoProto, given: Sequence[int] | None, batch: int | None) -> Shape:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or (not tensor.HasField("shape") and given is None):
        raise ModelError(f"input {show(value.name)} is no tensor of known rank: give its shape")
    dims = tensor.shape.dim
    sizes = [dim.dim_value if dim.dim_value > 0 else None for dim in dims]
    labels = [str(size) if size else dim.dim_param or "?" for size, dim in zip(sizes, dims, strict=True)]
    written = "x".join(labels)
    if given is not None:
        shape = tuple(given)
        check_shape(f"input {show(value.name)}", shape)
        fits = len(shape) == len(sizes) and all(a in (None, b) for a, b in zip(sizes, shape, strict=True))
        if tensor.HasField("shape") and not fits:
            raise ModelError(
                f"input {show(value.name)} is {written}; {'x'.join(map(str, shape))} does not fit"
            )
        return shape
    if batch is not None and sizes:
        if sizes[0] not in (None, batch):
            raise ModelError(f"input {show(value.name)} is {written}; a batch of {batch} does not fit")
        sizes[0] = batch
    for index, size in enumerate(sizes):
        if size is None:
            raise ModelError(
                f"input {show(value.name)} is {written}: dimension {index}, {labels[index]!r}, is open; give its shape"
            )
    shape = tuple(size for size in sizes if size is not None)
    check_shape(f"input {show(value.name)}", shape)
    return shape
