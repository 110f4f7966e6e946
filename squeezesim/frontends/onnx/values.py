"""Values, shapes and widths of an ONNX graph's tensors, as far as they are known without running it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, TypeProto, helper, numpy_helper, shape_inference
from onnx.defs import OpSchema
from onnx.reference import ReferenceEvaluator

from squeezesim.errors import ModelError
from squeezesim.frontends.elements import Use
from squeezesim.frontends.open_sizes import Shape, check_shape
from squeezesim.network import Layer
from squeezesim.network.checks import show

Array = np.ndarray[Any, np.dtype[Any]]

MAX_VALUES = 1024
"""Most elements of a tensor whose values are followed; shapes and indices are far smaller."""

FOLDED = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "Cast",
        "CastLike",
        "Ceil",
        "Concat",
        "ConstantOfShape",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Floor",
        "Gather",
        "GatherElements",
        "GatherND",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "NonZero",
        "Not",
        "Or",
        "Pow",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "ScatterElements",
        "ScatterND",
        "Sign",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Sum",
        "Tile",
        "Transpose",
        "Unsqueeze",
        "Where",
        "Xor",
    }
)
"""Operators that are computed where all their inputs are small constants: what exporters compute shapes with."""

_DATA_DEPENDENT = {"NonZero"}  # the shape of the output follows from values, so it cannot be known before


@dataclass(frozen=True, slots=True)
class Piece:
    """Values of a tensor that are made of elements of one weight: a box from *start* on, of the sizes of *use*."""

    start: Shape
    use: Use


Runs = tuple[tuple[tuple[int, bool], ...], ...]
"""Of each dimension sizes that multiply to its own, from the innermost on, and whether slices along one are equal."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: its type, its values if they are few and constant, and what made it.

    Attributes:
        type: its ONNX type; without a shape where that is not known.
        constant: its values.
        layers: the layers that it was computed from; inputs of the network count down from −1.
        params: the elements of weights of the file that it was computed from.
        bits: the width that it was quantised to.
        rows: its shape before its leading dimensions were flattened, as before a ``Gemm``.
        runs: where slices of it are equal, the runs of each dimension, see ``runs_of``.
        scales: scales and zero points that integers of the file were made numbers with.
    """

    type: TypeProto
    constant: Array | None = None
    layers: tuple[int, ...] = ()
    params: tuple[Piece, ...] = ()
    bits: int | None = None
    rows: Shape | None = None
    runs: Runs | None = None
    scales: int = 0

    @property
    def shape(self) -> Shape | None:
        """Its sizes, or None where one is not known."""
        return shape_of(self.type)

    @property
    def distinct(self) -> Shape | None:
        """How many slices differ along each dimension, None where all may."""
        if self.runs is None:
            return None
        return tuple(prod(size for size, repeated in run if not repeated) for run in self.runs)

    @property
    def element(self) -> int:
        """The ONNX number of its element type."""
        return int(self.type.tensor_type.elem_type)


def runs_of(node: NodeProto, value: Value | None, made: Shape | None) -> Runs | None:
    """Return the runs of what *node*, which moves data, makes of *value*; None where no slices are equal for certain.

    Example: heads (2, 4, 7, 8) that are expanded to (2, 4, 3, 7, 8) and reshaped to (2, 12, 7, 8) have, as the runs of
    their second dimension, 3 that are equal and 4 that are not.
    """
    if value is None or value.shape is None or made is None or not prod(made):
        return None
    runs = value.runs or tuple(((size, False),) for size in value.shape)
    found: Runs | None = None
    if node.op_type == "Expand" and len(made) >= len(runs):
        new = [((1, False),)] * (len(made) - len(runs))
        found = tuple(
            run if prod(part for part, _ in run) == size else ((size, True),)
            for run, size in zip((*new, *runs), made, strict=True)
        )
    elif node.op_type == "Transpose":
        axes = next((list(item.ints) for item in node.attribute if item.name == "perm"), None)
        found = tuple(runs[axis] for axis in (axes or reversed(range(len(runs)))))
    elif node.op_type in _KEEPS_ORDER:
        found = _regrouped(runs, made)
    return found if found and any(repeated for run in found for _, repeated in run) else None


_KEEPS_ORDER = frozenset({"Cast", "Div", "Flatten", "Identity", "Mul", "Reshape", "Squeeze", "Unsqueeze"})


def _regrouped(runs: Runs, made: Shape) -> Runs | None:
    """The same runs in row-major order as those of a tensor of another shape."""
    parts = [part for run in reversed(runs) for part in run if part[0] > 1]  # from the innermost on
    found: list[tuple[tuple[int, bool], ...]] = []
    for size in reversed(made):
        run, left = [], size
        while left > 1:
            part, repeated = parts.pop(0)
            taken = min(part, left)
            if part % taken or left % taken:
                return None
            if part > taken:
                parts.insert(0, (part // taken, repeated))
            run.append((taken, repeated))
            left //= taken
        found.append(tuple(run))
    return tuple(reversed(found))


def shape_of(kind: TypeProto) -> Shape | None:
    """Return the sizes that *kind* says, or None where it leaves one open."""
    tensor = kind.tensor_type
    if kind.WhichOneof("value") != "tensor_type" or not tensor.HasField("shape"):
        return None
    dims = tensor.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None


def sizes_of(kind: TypeProto | None) -> tuple[int | None, ...] | None:
    """Return the sizes that *kind* says, None for one that it leaves open, 0 and below as exporters write it, too.

    It is None where it does not say how many there are.
    """
    if kind is None or kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.dim_value > 0 else None for dim in kind.tensor_type.shape.dim)


def _has_elements(kind: TypeProto) -> bool:
    """Whether a type says what its elements are."""
    which = kind.WhichOneof("value")
    return which is not None and (
        which != "tensor_type" or kind.tensor_type.elem_type != TensorProto.UNDEFINED
    )


def tensor_type(element: int, shape: Sequence[int] | None) -> TypeProto:
    """Return the type of a tensor."""
    return helper.make_tensor_type_proto(element, shape)


def values_of(tensor: TensorProto) -> Array | None:
    """Return the values of a small numeric tensor that are in the file; None for any other.

    Raises:
        ModelError: it holds more or fewer values than its shape says, or none.
    """
    is_elsewhere = tensor.data_location == TensorProto.EXTERNAL
    numeric = {*TensorProto.DataType.values()} - {TensorProto.UNDEFINED, TensorProto.STRING}
    if is_elsewhere or tensor.data_type not in numeric or prod(tensor.dims) > MAX_VALUES:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:
        raise ModelError(
            f"initializer {show(tensor.name)} does not hold what its shape {show(tuple(tensor.dims))} says"
        ) from error


@dataclass(frozen=True, slots=True)
class Inference:
    """Shapes and small values, one node at a time, by the rules of onnx for the model's operator sets."""

    opsets: Mapping[str, int]
    ir_version: int

    def schema(self, node: onnx.NodeProto) -> OpSchema | None:
        """Return the definition of the node's operator, None where onnx has none."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        version = self.opsets.get(domain)
        if version is None or not onnx.defs.has(node.op_type, domain):
            return None
        try:
            return onnx.defs.get_schema(node.op_type, version, domain)
        except onnx.defs.SchemaError:
            return None

    def types(
        self, node: onnx.NodeProto, schema: OpSchema, inputs: Mapping[str, Value]
    ) -> dict[str, TypeProto]:
        """Return the types of the node's outputs, as far as they follow from its inputs.

        Raises:
            ModelError: the inputs do not fit the operator.
        """
        imports = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        vague = {name for name, value in inputs.items() if not _has_elements(value.type)}
        known = {
            name: tensor_type(TensorProto.FLOAT, value.shape) if name in vague else value.type
            for name, value in inputs.items()
        }
        data = {
            name: numpy_helper.from_array(value.constant, name)
            for name, value in inputs.items()
            if value.constant is not None
        }
        try:
            types = shape_inference.infer_node_outputs(
                schema, node, known, data, opset_imports=imports, ir_version=self.ir_version
            )
        except Exception as error:  # the library raises several unrelated types
            if vague:  # what comes from an operator without a definition may be anything
                return {}
            raise ModelError(f"{' '.join(str(error).split())[:300]}") from error
        for name, kind in types.items():
            if (shape := shape_of(kind)) is not None:
                check_shape(f"tensor {show(name)}", shape)
                source = inputs[node.input[0]].shape if node.op_type == "Reshape" else None
                if source is not None and prod(source) != prod(shape):
                    raise ModelError(f"{show(source)} cannot be laid out as {show(shape)}")
        return types

    def evaluate(
        self, node: onnx.NodeProto, inputs: Sequence[Value | None], types: Mapping[str, TypeProto]
    ) -> list[Array] | None:
        """Return the values of the node's outputs where they are few and follow from constants, else None."""
        if node.op_type == "Constant":
            return _constant(node)
        if node.op_type in ("Shape", "Size"):
            return _measured(node, inputs)
        given = [value for value in inputs if value is not None]
        if node.op_type not in FOLDED or not given or any(value.constant is None for value in given):
            return None
        shapes = [shape_of(types[name]) if name in types else None for name in node.output if name]
        if node.op_type not in _DATA_DEPENDENT and any(
            shape is None or prod(shape) > MAX_VALUES for shape in shapes
        ):
            return None
        names = [name for name in dict.fromkeys(node.input) if name]
        graph = helper.make_graph(
            [node],
            "constants",
            [helper.make_value_info(name, TypeProto()) for name in names],
            [helper.make_value_info(name, TypeProto()) for name in node.output if name],
        )
        imports = [helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        model = helper.make_model(graph, opset_imports=imports)
        feeds = {name: value.constant for name, value in zip(node.input, inputs, strict=True) if value}
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = ReferenceEvaluator(model).run(None, feeds)
        except Exception:  # what cannot be computed here is not known, and its readers say so
            return None
        return [np.asarray(result) for result in results]


def _constant(node: onnx.NodeProto) -> list[Array] | None:
    """The value of a ``Constant``, in any of the ways to write one."""
    if len(node.attribute) != 1:
        raise ModelError("Constant needs exactly one attribute")
    attribute = node.attribute[0]
    if attribute.name == "value":
        values = values_of(attribute.t)
        return None if values is None else [values]
    scalar = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    if attribute.name not in scalar:
        return None
    found = np.asarray(helper.get_attribute_value(attribute), dtype=scalar[attribute.name])
    return [found] if found.size <= MAX_VALUES else None


def _measured(node: onnx.NodeProto, inputs: Sequence[Value | None]) -> list[Array] | None:
    """What ``Shape`` and ``Size`` say of a tensor whose shape is known."""
    shape = inputs[0].shape if inputs and inputs[0] is not None else None
    if shape is None:
        return None
    if node.op_type == "Size":
        return [np.asarray(prod(shape), dtype=np.int64)]
    bounds = {attribute.name: int(attribute.i) for attribute in node.attribute}
    return [np.asarray(shape[bounds.get("start", 0) : bounds.get("end", len(shape))], dtype=np.int64)]


QUANTISED: dict[int, int] = {
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.FLOAT8E4M3FN: 8,
    TensorProto.FLOAT8E5M2: 8,
}
"""Widths in bits of the types that values are quantised to."""


def carried_bits(node: NodeProto, inputs: Sequence[Value | None]) -> int | None:
    """Return the width of what a node that moves data hands on."""
    source = inputs[0] if inputs else None
    if source is None:
        return None
    return QUANTISED.get(source.element) if node.op_type == "DequantizeLinear" else source.bits


_SCALES = {
    "DequantizeLinear": (1, 2),
    "ConvInteger": (3,),
    "MatMulInteger": (3,),
    "QLinearConv": (4, 5),
    "QLinearMatMul": (4, 5),
    "QGemm": (4, 5),
}
"""Scales and zero points of the weights among the inputs of operators, by place."""


def scales_of(node: NodeProto, inputs: Sequence[Value | None], added: Sequence[int] = ()) -> int:
    """Return how many scales and zero points of weights a node reads: its own, those of *inputs* but *added* ones."""
    read = [inputs[place] for place in _SCALES.get(node.op_type, ()) if place < len(inputs)]
    own = sum(prod(value.shape) for value in read if value is not None and value.shape is not None)
    return own + sum(value.scales for place, value in enumerate(inputs) if value and place not in added)


def quantised(layer: Layer, sources: Sequence[Value]) -> Layer:
    """Return *layer* with the widths that its operands were quantised to, where they were."""

    def width(value: Value) -> int | None:
        return value.bits or QUANTISED.get(value.element)

    activations = [width(value) for value in sources if value.layers]
    weights = [width(value) for value in sources if not value.layers and value.params][:1]
    if layer.weights_are_activations:
        activations, weights = activations[:1], activations[1:]
    known = [bits for bits in activations if bits is not None]
    if known and len(known) == len(activations):
        layer = replace(layer, activation_bits=max(known))
    if layer.kind == "mac" and weights and weights[0] is not None:
        layer = replace(layer, weight_bits=weights[0])
    return layer
