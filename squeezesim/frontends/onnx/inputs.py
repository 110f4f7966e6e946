"""The inputs of an ONNX graph with all their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import GraphProto, ValueInfoProto

from squeezesim.errors import ModelError
from squeezesim.frontends.open_sizes import Shape, check_names, check_shape, filled
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
    check_names(given, [value.name for value in declared])
    return [(value.name, _shape(value, given.get(value.name), batch)) for value in declared]


def _shape(value: ValueInfoProto, given: Sequence[int] | None, batch: int | None) -> Shape:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type" or (not tensor.HasField("shape") and given is None):
        raise ModelError(f"input {show(value.name)} is no tensor of known rank: give its shape")
    if not tensor.HasField("shape") and given is not None:
        check_shape(f"input {show(value.name)}", given)
        return tuple(given)
    dims = tensor.shape.dim
    sizes = [
        dim.dim_value if dim.dim_value > 0 else None for dim in dims
    ]  # exporters write 0 and -1 for open
    labels = {index: dim.dim_param for index, dim in enumerate(dims) if dim.dim_param}
    return filled(value.name, sizes, labels, given, batch)
