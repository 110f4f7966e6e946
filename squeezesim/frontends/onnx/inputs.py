"""The inputs of an ONNX graph with all their sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto
from onnx.helper import tensor_dtype_to_np_dtype

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx.values import Array
from squeezesim.frontends.open_sizes import Shape, check_names, check_shape, filled
from squeezesim.network.checks import show


def input_shapes(
    graph: GraphProto, given: Mapping[str, Sequence[int]], batch: int | None, values: Mapping[str, Array]
) -> list[tuple[str, Shape, Array | None]]:
    """Return every input that is no initializer, with all its sizes, *given* ones where the file leaves any open.

    The last of each is its values, where *values* has them or a scalar is given a size.

    Raises:
        ModelError: a size is open and not given, or what is given does not fit the file.
    """
    initial = {tensor.name for tensor in graph.initializer}
    declared = [value for value in graph.input if value.name not in initial]
    check_names({**given, **values}, [value.name for value in declared])
    found = []
    for value in declared:
        array, sizes = values.get(value.name), given.get(value.name)
        tensor = value.type.tensor_type
        if sizes is not None and len(sizes) == 1 and tensor.HasField("shape") and not tensor.shape.dim:
            array, sizes = np.asarray(sizes[0]), None
        if array is not None:
            array, sizes = _of_type(value, array), array.shape
        found.append((value.name, _shape(value, sizes, batch), array))
    return found


def _of_type(value: ValueInfoProto, array: Array) -> Array:
    """The values that are given for an input, in its type."""
    element = value.type.tensor_type.elem_type
    dtype = None if element == TensorProto.STRING else tensor_dtype_to_np_dtype(element)
    result = None if dtype is None else array.astype(dtype)
    if result is None or (result.dtype.kind in "biu" and not (result == array).all()):
        label = TensorProto.DataType.Name(element).lower()
        raise ModelError(f"input {show(value.name)} is of type {label}; {show(array.tolist())} does not fit")
    return result


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
