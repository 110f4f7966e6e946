"""Operators of ONNX Runtime, domain ``com.microsoft``: what its optimiser, its quantiser and Optimum write.

onnx has no definition of them, so that each has its shapes here beside its rule. Fused ones are the layers of what
they fuse: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from onnx import TensorProto, defs, helper, shape_inference

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx import operators as onnx_operators
from squeezesim.frontends.onnx.elementwise import ELEMENTWISE, folded, look_up, of_elements
from squeezesim.frontends.onnx.elementwise import ELEMENTWISE_RULES as SINGLE
from squeezesim.frontends.onnx.elementwise import first as of_first
from squeezesim.frontends.onnx.node import Node, Part, Rule, Stated, UnmodelledError
from squeezesim.frontends.onnx.operators import Reads, attended
from squeezesim.frontends.onnx.values import shape_of, tensor_type
from squeezesim.frontends.open_sizes import check_shape
from squeezesim.frontends.torch import operators
from squeezesim.frontends.torch.operators import Call, Operand
from squeezesim.network import ops
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]
Shapes = Callable[[Node], Stated]

DOMAIN = "com.microsoft"


def _same(node: Node) -> Stated:
    return [(node.operand(0).shape, 0)]


def _inferred(op: str, shapes: Sequence[Shape], attributes: Mapping[str, Any]) -> Shape:
    """The shape that the standard's operator *op* makes of tensors of these shapes.

    Raises:
        ModelError: they do not fit it.
    """
    schema = defs.get_schema(op)
    names = [f"input{index}" for index in range(len(shapes))]
    known = {
        name: value for name, value in attributes.items() if name in schema.attributes and value is not None
    }
    made = helper.make_node(op, names, ["output"], **known)
    types = {name: tensor_type(TensorProto.FLOAT, shape) for name, shape in zip(names, shapes, strict=True)}
    try:
        result = shape_of(shape_inference.infer_node_outputs(schema, made, types)["output"])
    except Exception as error:  # the library raises several unrelated types
        raise ModelError(f"{' '.join(str(error).split())[:300]}") from error
    if result is None:
        raise UnmodelledError(f"{', '.join(map(show, shapes))} are not modelled")
    check_shape("its output", result)
    return result


def _like(op: str, *places: int, typed: int = 0) -> Shapes:
    """The shape of the standard's operator *op* of the inputs *places*, in the type of the input *typed*."""

    def shapes(node: Node) -> Stated:
        return [(_inferred(op, [node.operand(place).shape for place in places], node.attributes), typed)]

    return shapes


# Convolutions and products


def _activation(node: Node, made: Shape) -> list[Layer]:
    """The activation that a fused operator names, if any."""
    name = node.text("activation")
    if not name:
        return []
    op = {"Clip": "clamp"}.get(name) or ELEMENTWISE.get(name)
    if op is None:
        raise UnmodelledError(f"activation {show(name)} is not modelled")
    limits = [float(value) for value in node.attributes.get("activation_params") or []]
    return [ops.elementwise("relu6" if name == "Clip" and limits == [0, 6] else op, made, [made])]


def _fused(rule: Rule, read: tuple[int, ...], added: int | None = None) -> Rule:
    """What *rule* makes of the inputs *read*, then the sum with input *added*, then the activation that is named."""

    def fused(node: Node) -> list[Part]:
        product = rule(node)
        assert isinstance(product, Layer)
        parts = [Part(product, read)]
        if added is not None and node.optional(added) is not None:
            layer = ops.elementwise("add", node.output, [node.output, node.operand(added).shape])
            parts.append(Part(layer, (added,), (0,)))
        for layer in _activation(node, node.output):
            parts.append(Part(layer, (), (len(parts) - 1,)))
        return parts

    return fused


def _turned(shape: Shape, *, batch: bool, last: bool) -> Shape:
    """The shape of a stack of matrices, after its first axis became its rows and its last two were swapped."""
    if batch and len(shape) > 2:
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if last and len(shape) > 1 else shape


def _stacks(node: Node) -> tuple[Operand, Operand]:
    left, right = node.operand(0), node.operand(1)
    first = _turned(left.shape, batch=_flag(node, "transBatchA"), last=_flag(node, "transA"))
    second = _turned(right.shape, batch=_flag(node, "transBatchB"), last=_flag(node, "transB"))
    return (
        left if first == left.shape else replace(left, shape=first, rows=None),
        replace(right, shape=second),
    )


def _flag(node: Node, name: str) -> bool:
    return bool(node.integer(name, 0))


def _stacked_product(node: Node) -> Layer:
    left, right = _stacks(node)
    return onnx_operators.product(left, right, node.output)


def _stacked_product_shape(node: Node) -> Stated:
    left, right = _stacks(node)
    return [(_inferred("MatMul", [left.shape, right.shape], {}), 0)]


def _integer_product(left: int, right: int, bias: int) -> Rule:
    """A product of integers that is scaled to floats, and a bias that is added where there is one.

    What is float before is quantised to 8 bits first.
    """

    def rule(node: Node) -> list[Part]:
        layer = onnx_operators.product(node.operand(left), node.operand(right), node.output)
        layer = replace(layer, activation_bits=8)
        parts = [Part(layer, (left, right))]
        if (added := node.optional(bias)) is not None:
            parts.append(_added(node.output, bias, added, (0,)))
        return parts

    return rule


def _added(made: Shape, place: int, operand: Operand, after: tuple[int, ...]) -> Part:
    """The sum of what part *after* made and an input of the node: a bias where that is learnt."""
    arguments = {"self": Operand(made), "other": operand}
    return Part(operators.ELEMENTWISE_RULES["add"](Call("add", arguments, made)), (place,), after)


def _packed_sizes(node: Node) -> tuple[int, int]:
    """The reduced size and the columns of a product with packed weights."""
    reduced, columns = node.integer("K", 0), node.integer("N", 0)
    source = node.operand(0).shape
    if reduced < 1 or columns < 1 or not source or source[-1] != reduced:
        raise ModelError(f"K = {reduced}, N = {columns} do not fit an input of {show(source)}")
    return reduced, columns


def _packed_product(bias: int | None) -> Rule:
    """(…, K) times K·N weights of few bits, which one input holds packed."""

    def rule(node: Node) -> list[Part]:
        _, columns = _packed_sizes(node)
        source = node.operand(0)
        added = bias is not None and node.optional(bias) is not None
        layer = ops.linear(source.rows or source.shape, columns, bias=added)
        return [Part(layer, (0, 1, bias) if added and bias is not None else (0, 1))]

    return rule


def _packed_shape(node: Node) -> Stated:
    _, columns = _packed_sizes(node)
    return [((*node.operand(0).shape[:-1], columns), 0)]


def packed(operator: str, attributes: Mapping[str, object]) -> tuple[int, int, int] | None:
    """Return which input of *operator* holds packed weights, how many there are and their bits, if one does."""
    if operator.removeprefix(f"{DOMAIN}.") not in ("MatMulNBits", "MatMulBnb4") or not operator.startswith(
        DOMAIN
    ):
        return None
    reduced, columns, bits = attributes.get("K"), attributes.get("N"), attributes.get("bits", 4)
    if type(reduced) is not int or type(columns) is not int or type(bits) is not int:
        return None
    return (1, reduced * columns, bits) if min(reduced, columns) > 0 and 1 <= bits <= 8 else None


# Normalisation


def _skip_norm(op: str, scale: int, bias: int) -> Rule:
    """The sum of two inputs, and of a bias where there is one, then their normalisation."""

    def rule(node: Node) -> list[Part]:
        made = node.operand(0).shape
        parts = [Part(ops.elementwise("add", made, [made, node.operand(1).shape]), (0, 1))]
        if (added := node.optional(bias)) is not None:
            parts.append(_added(made, bias, added, (0,)))
        learnt = tuple(range(2, scale + 1))
        parts.append(Part(ops.elementwise(op, made, [made]), learnt, (len(parts) - 1,)))
        return parts

    return rule


def _skip_norm_shape(node: Node) -> Stated:
    made = node.operand(0).shape
    statistics = (*made[:-1], 1)
    return [(made, 0), (statistics, 0), (statistics, 0), (made, 0)]


def _embedded(node: Node) -> list[Part]:
    """Rows of two or three tables, their sum, and its layer-norm."""
    made = _embedded_shape(node)[0][0]
    parts: list[Part] = []
    total: int | None = None
    for ids, table in ((0, 2), (8, 3), (1, 4)):
        if node.optional(table) is None:
            continue
        rows = node.optional(ids) or node.operand(0)  # positions are counted where none are given
        parts.append(Part(look_up(node.operand(table), rows, made), (ids, table)))
        if total is not None:
            parts.append(Part(ops.elementwise("add", made, [made, made]), (), (total, len(parts) - 1)))
        total = len(parts) - 1
    assert total is not None
    parts.append(Part(ops.elementwise("layer_norm", made, [made]), (5, 6), (total,)))
    return parts


def _embedded_shape(node: Node) -> Stated:
    ids, table = node.operand(0).shape, node.operand(2).shape
    if len(ids) != 2 or len(table) != 2:
        raise ModelError(f"ids of {show(ids)} do not fit a table of {show(table)}")
    made = (*ids, table[1])
    return [(made, 2), (ids[:1], 0), (made, 2)]


# Activations


def _biased(op: str, bias: int) -> Rule:
    """A bias, where there is one, then an activation."""

    def rule(node: Node) -> list[Part]:
        made = node.operand(0).shape
        parts: list[Part] = []
        if (added := node.optional(bias)) is not None:
            layer = operators.ELEMENTWISE_RULES["add"](
                Call("add", {"self": node.operand(0), "other": added}, made)
            )
            parts.append(Part(layer, (0, bias)))
        read = () if parts else (0,)
        parts.append(Part(ops.elementwise(op, made, [made]), read, tuple(range(len(parts)))))
        return parts

    return rule


# Attention


def _split(size: int, heads: int) -> int:
    if heads < 1 or size % heads:
        raise ModelError(f"{size} values do not fall into {heads} heads")
    return size // heads


def _packed_attention(weight: int, bias: int, mask: int, past: int, more: int | None) -> tuple[Rule, Shapes]:
    """Attention that first multiplies its input by the weights of queries, keys and values in one matrix."""

    def sizes(node: Node) -> tuple[int, int, int, int, int, int, int]:
        source, weights = node.operand(0).shape, node.operand(weight).shape
        heads = node.integer("num_heads", 0)
        if len(source) != 3 or len(weights) != 2 or source[2] != weights[0]:
            raise ModelError(f"an input of {show(source)} does not fit weights of {show(weights)}")
        hidden = node.sizes("qkv_hidden_sizes") or [weights[1] // 3] * 3
        if len(hidden) != 3 or sum(hidden) != weights[1] or hidden[0] != hidden[1]:
            raise ModelError(f"weights of {show(weights)} do not hold queries, keys and values")
        before = node.optional(past)
        columns = source[1] + (before.shape[3] if before is not None and len(before.shape) == 5 else 0)
        return (*source[:2], columns, heads, _split(hidden[0], heads), _split(hidden[2], heads), source[2])

    def rule(node: Node) -> list[Part]:
        batch, rows, columns, heads, size, values, features = sizes(node)
        outputs = heads * (2 * size + values)
        added = node.optional(bias) is not None
        parts = [Part(ops.linear((batch, rows, features), outputs, bias=added), (0, weight, bias))]
        masks = [place for place in (mask, more) if place is not None]
        return parts + attended(
            node, (batch, heads, rows, size), (heads, columns, values), queries=((), (0,)), keys=((past,), (0,)),
            values=((past,), (0,)), added=masks, first=1
        )  # fmt: skip

    def shapes(node: Node) -> Stated:
        batch, rows, columns, heads, size, values, _ = sizes(node)
        return [((batch, rows, heads * values), 0), ((2, batch, heads, columns, size), 0)]

    return rule, shapes


def _multi_head(node: Node) -> list[Part]:
    """Attention of queries, keys and values that are projected already, a bias for all three where there is one."""
    (batch, heads, rows, size), columns, values, sources = _multi_head_sizes(node)
    parts: list[Part] = []
    reads: list[Reads] = [((place,), ()) for place in sources]
    if (bias := node.optional(3)) is not None:
        own = columns - _past(node)
        wide = {0: (rows, size), 1: (own, size), 2: (own, values)}
        for place in dict.fromkeys(sources):
            turns = [turn for turn, source in enumerate(sources) if source == place]
            features = heads * sum(wide[turn][1] for turn in turns)
            arguments = {"self": node.operand(place), "other": Operand((features,), bias.is_activation)}
            layer = operators.ELEMENTWISE_RULES["add"](
                Call("add", arguments, (batch, wide[turns[0]][0], features))
            )
            parts.append(Part(replace(layer, weight_elements=features), (place, 3)))
            for turn in turns:
                reads[turn] = ((), (len(parts) - 1,))
    return parts + attended(
        node,
        (batch, heads, rows, size),
        (heads, columns, values),
        queries=reads[0],
        keys=((*reads[1][0], 6), reads[1][1]),
        values=((*reads[2][0], 7), reads[2][1]),
        added=(4, 5),
        first=len(parts),
    )


def _past(node: Node) -> int:
    """How many keys are there from the steps before."""
    before = node.optional(6)
    return before.shape[2] if before is not None and len(before.shape) == 4 else 0


def _multi_head_sizes(node: Node) -> tuple[tuple[int, int, int, int], int, int, tuple[int, int, int]]:
    """(batch, heads, rows, size of a head), keys, values of a head, and the inputs of queries, keys and values."""
    query, heads = node.operand(0).shape, node.integer("num_heads", 0)
    key, value = node.optional(1), node.optional(2)
    past = _past(node)
    if len(query) == 5 and query[2:4] == (heads, 3) and key is None:  # (batch, rows, heads, 3, size)
        return (query[0], heads, query[1], query[4]), query[1] + past, query[4], (0, 0, 0)
    if len(query) != 3 or key is None:
        raise UnmodelledError(f"queries of {show(query)} in {heads} heads are not modelled")
    first = (query[0], heads, query[1], _split(query[2], heads))
    if len(key.shape) == 5 and value is None:  # (batch, keys, heads, 2, size)
        return first, key.shape[1] + past, key.shape[4], (0, 1, 1)
    if value is None or len(key.shape) not in (3, 4) or len(value.shape) != len(key.shape):
        raise UnmodelledError(f"keys of {show(key.shape)} are not modelled")
    if len(key.shape) == 4:  # (batch, heads, keys, size), as from the step before
        return first, key.shape[2], value.shape[3], (0, 1, 2)
    return first, key.shape[1] + past, _split(value.shape[2], heads), (0, 1, 2)


def _multi_head_shape(node: Node) -> Stated:
    (batch, heads, rows, size), columns, values, _ = _multi_head_sizes(node)
    return [
        ((batch, rows, heads * values), 0),
        ((batch, heads, columns, size), 0),
        ((batch, heads, columns, values), 0),
    ]


def _grouped_sizes(node: Node) -> tuple[tuple[int, int, int, int], int, int, int]:
    """(batch, heads, rows, size of a head), heads of keys, keys that are read, and keys that are kept."""
    query, key, past = node.operand(0).shape, node.optional(1), node.optional(3)
    heads, shared = node.integer("num_heads", 0), node.integer("kv_num_heads", 0)
    if len(query) != 3 or heads < 1 or shared < 1 or heads % shared:
        raise UnmodelledError(
            f"queries of {show(query)} in {heads} heads of {shared} groups are not modelled"
        )
    size = _split(query[2], heads + 2 * shared if key is None else heads)
    before = past.shape[2] if past is not None and len(past.shape) == 4 else 0
    total = node.constant(6)
    if total is not None and total.size == 1:
        columns = max(1, int(total.reshape(-1)[0]))  # the buffer of past keys may be longer
        return (query[0], heads, query[1], size), shared, columns, max(columns, before)
    columns = (query[1] if key is None or len(key.shape) != 3 else key.shape[1]) + before
    return (query[0], heads, query[1], size), shared, columns, columns


def _grouped(node: Node) -> list[Part]:
    """Attention in which several heads of queries read the same keys and values, each of which is read once."""
    (batch, heads, rows, size), shared, columns, _ = _grouped_sizes(node)
    is_packed = node.optional(1) is None
    queries: Reads = ((0,), ())
    keys: Reads = ((0,) if is_packed else (1,), ())
    parts: list[Part] = []
    if _flag(node, "do_rotary"):
        made, own = (batch, rows, heads * size), (batch, rows, shared * size)
        parts.append(Part(ops.elementwise("rotary_embedding", made, [made]), queries[0]))
        parts.append(Part(ops.elementwise("rotary_embedding", own, [own]), keys[0]))
        queries, keys = ((), (0,)), ((), (1,))
    return parts + attended(
        node,
        (batch, heads, rows, size),
        (shared, columns, size),
        queries=queries,
        keys=(keys[0] + (3,), keys[1]),
        values=((0 if is_packed else 2, 4), ()),
        added=(10,),
        first=len(parts),
    )


def _grouped_shape(node: Node) -> Stated:
    (batch, heads, rows, size), shared, _, kept = _grouped_sizes(node)
    present = (batch, shared, kept, size)
    return [((batch, rows, heads * size), 0), (present, 0), (present, 0)]


# Quantised tensors, as onnxruntime's quantiser writes them


def _scaled(rule: Rule, *places: int) -> Rule:
    """What *rule* makes of the tensors among tensors, scales and zero points."""

    def scaled(node: Node) -> Layer | list[Part]:
        plain = replace(
            node,
            inputs=[node.operand(place) for place in places],
            constants=[node.constant(place) for place in places],
        )
        made = rule(plain)
        return [Part(made, places)] if isinstance(made, Layer) else made

    return scaled


def _concatenated(node: Node) -> list[Part]:
    places = tuple(range(2, len(node.inputs), 3))
    tensors = [node.operand(place).shape for place in places]
    return [Part(ops.view("concat", node.output, tensors), places)]


def _concatenated_shape(node: Node) -> Stated:
    tensors = [node.operand(place).shape for place in range(2, len(node.inputs), 3)]
    return [(_inferred("Concat", tensors, node.attributes), 2)]


_ATTENTION = _packed_attention(1, 2, 3, 4, 5)
_QATTENTION = _packed_attention(1, 2, 5, 8, None)

_OPERATORS: dict[str, tuple[Rule, Shapes, tuple[int, ...]]] = {
    # Each with its shapes and which of its inputs are data or learnt, see ``rules.OPERANDS``.
    "Attention": (*_ATTENTION, (0, 1, 2, 4)),
    "BiasAdd": (folded("add"), _same, (0, 1, 2)),
    "BiasGelu": (_biased("gelu", 1), _same, (0, 1)),
    "DynamicQuantizeMatMul": (
        _integer_product(0, 1, 4), _like("MatMul", 0, 1),
        (0, 1, 4),
    ),
    "EmbedLayerNormalization": (_embedded, _embedded_shape, (0, 1, 2, 3, 4, 5, 6, 8)),
    "FastGelu": (_biased("gelu", 1), _same, (0, 1)),
    "FusedConv": (_fused(onnx_operators.WINDOW_RULES["Conv"], (0, 1, 2), 3), _like("Conv", 0, 1), (0, 1, 2, 3)),
    "FusedGemm": (_fused(onnx_operators.PRODUCT_RULES["Gemm"], (0, 1, 2)), _like("Gemm", 0, 1), (0, 1, 2)),
    "FusedMatMul": (_stacked_product, _stacked_product_shape, (0, 1)),
    "Gelu": (of_first("gelu"), _same, (0,)),
    "GroupNorm": (of_first("group_norm"), _same, (0, 1, 2)),
    "GroupQueryAttention": (_grouped, _grouped_shape, (0, 1, 2, 3, 4, 10)),
    "MatMulBnb4": (_packed_product(None), _packed_shape, (0, 1)),
    "MatMulIntegerToFloat": (
        _integer_product(0, 1, 6), _like("MatMul", 0, 1, typed=2),
        (0, 1, 6),
    ),
    "MatMulNBits": (_packed_product(5), _packed_shape, (0, 1, 5)),
    "MultiHeadAttention": (_multi_head, _multi_head_shape, (0, 1, 2, 3, 5, 6, 7)),
    "QAttention": (*_QATTENTION, (0, 1, 2, 8)),
    "QGemm": (_scaled(onnx_operators.PRODUCT_RULES["Gemm"], 0, 3), _like("Gemm", 0, 3), (0, 3, 6)),
    "QLinearAdd": (_scaled(SINGLE["Add"], 0, 3), _like("Add", 0, 3), (0, 3)),
    "QLinearAveragePool": (onnx_operators.WINDOW_RULES["AveragePool"], _like("AveragePool", 0), (0,)),
    "QLinearConcat": (_concatenated, _concatenated_shape, ()),
    "QLinearConv": (onnx_operators.WINDOW_RULES["QLinearConv"], _like("Conv", 0, 3), (0, 3, 8)),
    "QLinearGlobalAveragePool": (onnx_operators.WINDOW_RULES["GlobalAveragePool"], _like("GlobalAveragePool", 0), (0,)),
    "QLinearLeakyRelu": (of_first("leaky_relu"), _same, (0,)),
    "QLinearMul": (_scaled(of_elements("mul"), 0, 3), _like("Add", 0, 3), (0, 3)),
    "QLinearSigmoid": (of_first("sigmoid"), _same, (0,)),
    "QLinearSoftmax": (of_first("softmax"), _same, (0,)),
    "QuickGelu": (of_first("gelu"), _same, (0,)),
    "RotaryEmbedding": (of_first("rotary_embedding"), _same, (0,)),
    "SkipLayerNormalization": (_skip_norm("layer_norm", 3, 4), _skip_norm_shape, (0, 1, 2, 3, 4)),
    "SkipSimplifiedLayerNormalization": (_skip_norm("rms_norm", 2, 3), _skip_norm_shape, (0, 1, 2, 3)),
}  # fmt: skip

RULES: dict[str, Rule] = {
    **{f"{DOMAIN}.{name}": rule for name, (rule, _, _) in _OPERATORS.items()},
    "SimplifiedLayerNormalization": of_first(
        "rms_norm"
    ),  # which onnxruntime defines in the standard's domain
}
SHAPES: dict[str, Shapes] = {
    **{f"{DOMAIN}.{name}": shapes for name, (_, shapes, _) in _OPERATORS.items()},
    "SimplifiedLayerNormalization": _same,
    f"{DOMAIN}.DequantizeLinear": lambda node: [(node.operand(0).shape, 1)],
    f"{DOMAIN}.QuantizeLinear": lambda node: [(node.operand(0).shape, 2)],
}
"""The shape of each output, and the number of the input whose type it has."""

OPERANDS: dict[str, tuple[int, ...]] = {
    **{f"{DOMAIN}.{name}": places for name, (_, _, places) in _OPERATORS.items() if places},
    f"{DOMAIN}.DequantizeLinear": (0,),
    f"{DOMAIN}.QuantizeLinear": (0,),
}
ADDED: dict[str, tuple[int, ...]] = {
    f"{DOMAIN}.{name}": places
    for name, places in {
        "Attention": (2,),
        "DynamicQuantizeMatMul": (4,),
        "FusedConv": (2, 3),
        "FusedGemm": (2,),
        "MatMulIntegerToFloat": (6,),
        "MatMulNBits": (5,),
        "QAttention": (2,),
        "QGemm": (6,),
        "QLinearConv": (8,),
    }.items()
}
FREE = (f"{DOMAIN}.DequantizeLinear", f"{DOMAIN}.QuantizeLinear")
