"""What ONNX's operators become: a rule turns a node into a layer.

Of real values it is half of that: the count by which such transforms are compared, Frigo and Johnson, The Design and
Implementation of FFTW3, 2005, https://www.fftw.org/speed/method.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from squeezesim.errors import ModelError
from squeezesim.frontends.onnx.node import Node, Part, Rule, UnmodelledError
from squeezesim.frontends.torch import operators
from squeezesim.frontends.torch.operators import Call, Operand
from squeezesim.network import Layer, ops
from squeezesim.network.checks import MAX_SIZE, show

Shape = tuple[int, ...]


def _gemm(node: Node) -> Layer:
    left, right, added = node.operand(0), node.operand(1), node.optional(2)
    if node.integer("transA", 0):
        left = replace(left, shape=left.shape[::-1], rows=None)
    if node.integer("transB", 0):
        right = replace(right, shape=right.shape[::-1])
    if len(left.shape) != 2 or len(right.shape) != 2 or left.shape[1] != right.shape[0]:
        raise ModelError(f"a product of {show(left.shape)} with {show(right.shape)} does not fit")
    if added is None:
        return operators.PRODUCT_RULES["mm"](Call("mm", {"self": left, "mat2": right}, node.output))
    arguments = {"self": added, "mat1": left, "mat2": right, "beta": 1}
    return operators.PRODUCT_RULES["addmm"](Call("addmm", arguments, node.output))


def _matmul(left: int = 0, right: int = 1) -> Rule:
    """A product as ``numpy.matmul`` has it, of those inputs of the node."""

    def rule(node: Node) -> Layer:
        return product(node.operand(left), node.operand(right), node.output)

    return rule


def product(left: Operand, right: Operand, output: Shape) -> Layer:
    """Return the product of two stacks of matrices; a matrix that all the others share is not repeated.

    Raises:
        ModelError: one is a scalar.
    """
    if not left.shape or not right.shape:
        raise ModelError("a product needs at least a vector on both sides")
    first = left.shape if len(left.shape) > 1 else (1, *left.shape)
    second = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    rows, reduced, columns = first[-2], first[-1], second[-1]
    if len(second) == 2 and (left.is_activation or not right.is_activation):
        if right.is_activation:
            return ops.matmul(1, prod(first[:-1]), reduced, columns)
        return ops.linear(left.rows or first, columns)
    if len(first) == 2 and not left.is_activation:
        return ops.linear((*second[:-2], columns, reduced), rows)
    batch = max(1, prod(output)) // max(1, rows * columns)
    stacks = [prod((item.distinct or item.shape)[:-2]) for item in (left, right)]
    sizes = [(batch, rows, reduced), (batch, reduced, columns)]
    flat = [
        Operand(size, item.is_activation, distinct=(stack, *size[1:]) if batch % stack == 0 else None)
        for item, size, stack in zip((left, right), sizes, stacks, strict=True)
    ]
    return operators.PRODUCT_RULES["bmm"](
        Call("bmm", {"self": flat[0], "mat2": flat[1]}, (batch, rows, columns))
    )


PRODUCT_RULES: dict[str, Rule] = {
    "Gemm": _gemm,
    "MatMul": _matmul(),
    "MatMulInteger": _matmul(),
    "QLinearMatMul": _matmul(0, 3),
}


@dataclass(frozen=True, slots=True)
class _Term:
    """An operand of an einsum or what the operands before it became: its letters and what made it."""

    letters: str
    is_activation: bool
    inputs: tuple[int, ...] = ()
    after: tuple[int, ...] = ()


def _einsum(node: Node) -> list[Part]:
    """Operands are contracted from the first to the last; letters that none else has are summed before."""
    operands = [node.operand(index) for index in range(len(node.inputs))]
    terms, result = _terms(node.text("equation"), [operand.shape for operand in operands])
    sizes: dict[str, int] = {}
    for letters, operand in zip(terms, operands, strict=True):
        if len(letters) != len(operand.shape):
            raise ModelError(f"{show(letters)} does not fit an operand of {show(operand.shape)}")
        for letter, size in zip(letters, operand.shape, strict=True):
            if sizes.setdefault(letter, size) != size and 1 not in (size, sizes[letter]):
                raise ModelError(f"{letter!r} is {sizes[letter]} and {size}")
            sizes[letter] = max(sizes[letter], size)
    parts: list[Part] = []
    pending = [
        _Term("".join(dict.fromkeys(letters)), operand.is_activation, inputs=(index,))
        for index, (letters, operand) in enumerate(zip(terms, operands, strict=True))
    ]
    current = pending.pop(0)
    while pending:
        right = pending.pop(0)
        kept = set(result).union(*(term.letters for term in pending))
        current = _summed(current, kept | set(right.letters), sizes, parts)
        right = _summed(right, kept | set(current.letters), sizes, parts)
        current = _contracted(current, right, kept, sizes, parts)
    _summed(current, set(result), sizes, parts)
    return parts


def _terms(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """Letters of each operand and of the result, an ellipsis written out in letters that nothing else has."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    letters = left.replace("...", "").replace(",", "") + result.replace("...", "")
    if len(terms) != len(shapes) or not (letters.isascii() and (letters.isalpha() or not letters)):
        raise ModelError(f"equation {show(equation)} does not fit {len(shapes)} operands")
    longest = ""
    for index, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        hidden = max(0, len(shape) - len(term.replace("...", "")))
        written = "".join(chr(ord("À") + number) for number in reversed(range(hidden)))
        terms[index] = term.replace("...", written)
        longest = max(longest, written, key=len) if "..." in term else longest
    if not arrow:
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        return terms, longest + "".join(once)
    return terms, result.replace("...", longest)


def _summed(term: _Term, kept: set[str], sizes: Mapping[str, int], parts: list[Part]) -> _Term:
    """The term without the letters that are not *kept*."""
    left = "".join(letter for letter in term.letters if letter in kept)
    if left == term.letters:
        return term
    layer = ops.reduction("sum", _shape(term.letters, sizes), _shape(left, sizes))
    parts.append(Part(layer, term.inputs, term.after))
    return _Term(left, term.is_activation, after=(len(parts) - 1,))


def _contracted(
    left: _Term, right: _Term, kept: set[str], sizes: Mapping[str, int], parts: list[Part]
) -> _Term:
    shared = [letter for letter in left.letters if letter in right.letters]
    reduced = "".join(letter for letter in shared if letter not in kept)
    batch = "".join(letter for letter in shared if letter in kept)
    rows = "".join(letter for letter in left.letters if letter not in shared)
    columns = "".join(letter for letter in right.letters if letter not in shared)
    layer = _contraction(left, right, [prod(_shape(part, sizes)) for part in (batch, rows, reduced, columns)])
    if not reduced:
        shapes = [_shape(term.letters, sizes) for term in (left, right) if term.is_activation]
        layer = ops.elementwise("mul", _shape(batch + rows + columns, sizes), shapes)
    parts.append(Part(layer, left.inputs + right.inputs, left.after + right.after))
    is_activation = left.is_activation or right.is_activation
    return _Term(batch + rows + columns, is_activation, after=(len(parts) - 1,))


def _contraction(left: _Term, right: _Term, sizes: Sequence[int]) -> Layer:
    batch, rows, reduced, columns = sizes
    first = Operand((batch, rows, reduced), left.is_activation)
    second = Operand((batch, reduced, columns), right.is_activation)
    return operators.PRODUCT_RULES["bmm"](
        Call("bmm", {"self": first, "mat2": second}, (batch, rows, columns))
    )


def _shape(letters: str, sizes: Mapping[str, int]) -> Shape:
    return tuple(sizes[letter] for letter in letters)


def _attention(node: Node) -> list[Part]:
    """Scaled products of queries and keys, softmax, and their product with the values, as the operator's text says."""
    (batch, heads, rows, size), keys, values = (_heads(node, index) for index in range(3))
    columns = keys[2] + (node.operand(4).shape[2] if node.optional(4) else 0)  # past keys
    return attended(
        node,
        (batch, heads, rows, size),
        (keys[1], columns, values[3]),
        queries=((0,), ()),
        keys=((1, 4), ()),
        values=((2, 5), ()),
        added=(3,),
        first=0,
    )


Reads = tuple[tuple[int, ...], tuple[int, ...]]
"""The inputs of a node and the parts before that something comes from."""


def attended(
    node: Node,
    query: tuple[int, int, int, int],
    key: tuple[int, int, int],
    *,
    queries: Reads,
    keys: Reads,
    values: Reads,
    added: Sequence[int],
    first: int,
) -> list[Part]:
    """Return attention from queries on: scores, softmax, product with values, as that of PyTorch.

    Args:
        node: the operator.
        query: batch, heads, rows, size of a head.
        key: heads of keys and values, each of which serves as many heads of queries; keys; size of a head of values.
        queries: where they come from, as *keys* and *values*.
        added: the inputs that are added to the scores, where they are there.
        first: how many parts there are before.
    """
    batch, heads, rows, size = query
    shared, columns, width = key
    if heads % shared:
        raise ModelError(f"{heads} heads of queries do not share {shared} heads of keys")
    there = [(place, operand) for place in added if (operand := node.optional(place)) is not None]
    own = [operand.shape for _, operand in there if operand.is_activation]
    capped = node.attributes.get("softcap") not in (None, 0.0)
    scores, softmax, product = operators.attention(
        _read(node, queries, (batch, heads, rows, size)),
        _read(node, keys, (batch, shared, columns, size)),
        _read(node, values, (batch, shared, columns, width)),
        own,
        len(there) - len(own) + capped,
    )
    return [
        Part(scores, (*queries[0], *keys[0]), (*queries[1], *keys[1])),
        Part(softmax, tuple(place for place, _ in there), (first,)),
        Part(product, values[0], (first + 1, *values[1])),
    ]


def _read(node: Node, reads: Reads, shape: Shape) -> Operand:
    """What comes from there, as an operand of *shape*."""
    places, parts = reads
    operands = [operand for place in places if (operand := node.optional(place)) is not None]
    alone = not parts and len(operands) == 1 and operands[0].shape == shape
    return Operand(
        shape,
        bool(parts) or any(operand.is_activation for operand in operands),
        distinct=operands[0].distinct if alone else None,
    )


def _heads(node: Node, index: int) -> tuple[int, int, int, int]:
    """(batch, heads, rows, size of a head) of queries, keys or values."""
    shape = node.operand(index).shape
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    heads = node.integer("kv_num_heads" if index else "q_num_heads", 0)
    if len(shape) != 3 or heads < 1 or shape[2] % heads:
        raise ModelError(f"{show(shape)} in {heads} heads is not modelled")
    return shape[0], heads, shape[1], shape[2] // heads


CONTRACTION_RULES: dict[str, Rule] = {"Attention": _attention, "Einsum": _einsum}


@dataclass(frozen=True, slots=True)
class _Window:
    """Stride, dilation, and padding before and after, along each spatial axis."""

    stride: list[int]
    dilation: list[int]
    before: list[int]


def _window(node: Node, source: Shape, kernel: Sequence[int]) -> _Window:
    """The window of a convolution or pooling; ``SAME`` pads to ⌈in / stride⌉ outputs.

    Of an odd padding ``SAME_UPPER`` has the larger part after, ``SAME_LOWER`` before.
    """
    ones = [1] * len(kernel)
    stride, dilation = node.integers("strides", ones), node.integers("dilations", ones)
    if any(size < 1 for size in (*stride, *dilation)):
        raise ModelError(f"strides and dilations must be positive, found {show(stride)} and {show(dilation)}")
    automatic = node.text("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        before = []
        for size, taps, step, gap in zip(source[2:], kernel, stride, dilation, strict=True):
            total = max(0, (-(-size // step) - 1) * step + (taps - 1) * gap + 1 - size)
            before.append(total // 2 if automatic == "SAME_UPPER" else total - total // 2)
    elif automatic == "VALID":
        before = [0] * len(kernel)
    else:
        before = node.integers("pads", [0, 0] * len(kernel))[: len(kernel)]
    return _Window(stride, dilation, before)


def _convolution(source: int = 0, weight: int = 1, bias: int | None = 2) -> Rule:
    """A convolution whose operands are those inputs of the node."""

    def rule(node: Node) -> Layer:
        image, filters = node.operand(source), node.operand(weight)
        groups = _groups(node, image.shape, filters.shape, transposed=False)
        window = _window(node, image.shape, filters.shape[2:])
        arguments = {
            "input": image,
            "weight": filters,
            "bias": None if bias is None else node.optional(bias),
            "stride": window.stride,
            "padding": window.before,
            "dilation": window.dilation,
            "groups": groups,
        }
        return operators.PRODUCT_RULES["convolution"](Call("convolution", arguments, node.output))

    return rule


def _transposed_convolution(node: Node) -> Layer:
    image, filters = node.operand(0), node.operand(1)
    groups = _groups(node, image.shape, filters.shape, transposed=True)
    window = _window(node, image.shape, filters.shape[2:])
    return ops.transposed_convolution(
        image.shape,
        filters.shape,
        node.output,
        stride=window.stride,
        dilation=window.dilation,
        groups=groups,
        bias=node.optional(2) is not None,
    )


def _deformable_convolution(node: Node) -> list[Part]:
    """Each tap is sampled between pixels, weighed where there is a mask, and the samples are convolved."""
    image, filters, offsets = node.operand(0), node.operand(1), node.operand(2)
    groups = _groups(node, image.shape, filters.shape, transposed=False)
    pixels, taps = node.output[2:], prod(filters.shape[2:])
    sampled = (image.shape[0], image.shape[1] * taps, *pixels)
    parts = [Part(ops.elementwise("grid_sample", sampled, [image.shape, offsets.shape]), (0, 2))]
    if (mask := node.optional(4)) is not None:
        parts.append(Part(ops.elementwise("mul", sampled, [sampled, mask.shape]), (4,), (0,)))
    ones = [1] * len(pixels)
    layer = ops.convolution(
        sampled,
        (filters.shape[0], filters.shape[1] * taps, *ones),
        node.output,
        stride=ones,
        padding=[0] * len(pixels),
        dilation=ones,
        groups=groups,
        bias=node.optional(3) is not None,
    )
    return [*parts, Part(layer, (1, 3), (len(parts) - 1,))]


def _groups(node: Node, image: Shape, filters: Shape, *, transposed: bool) -> int:
    """The groups of a convolution of (N, C, …) with (K, C/G, …), or with (C, K/G, …) if it is *transposed*."""
    if not 3 <= len(filters) == len(image) <= 5:
        raise ModelError(f"a convolution of {show(image)} with {show(filters)} is not modelled")
    groups = node.integer("group", 1)
    channels = filters[0] if transposed else filters[1] * groups
    if groups < 1 or filters[0] % groups or image[1] != channels:
        raise ModelError(f"weights {show(filters)} in {groups} groups do not fit an input of {show(image)}")
    return groups


def _pool(op: str) -> Rule:
    def rule(node: Node) -> Layer:
        source = node.operand(0).shape
        kernel = node.integers("kernel_shape", [1] * (len(source) - 2))
        if not 1 <= len(kernel) <= 3 or any(size < 1 for size in kernel):
            raise ModelError(f"a window of {show(kernel)} over {show(source)} is not modelled")
        window = _window(node, source, kernel)
        return ops.pooling(
            op,
            source,
            node.output,
            kernel=kernel,
            stride=window.stride,
            padding=window.before,
            dilation=window.dilation,
        )

    return rule


def _global_pool(op: str) -> Rule:
    def rule(node: Node) -> Layer:
        source = node.operand(0).shape
        if len(source) < 3:
            raise ModelError(f"a global pooling needs (N, C, …), found {show(source)}")
        return ops.pooling(op, source, node.output, kernel=source[2:])

    return rule


WINDOW_RULES: dict[str, Rule] = {
    "AveragePool": _pool("avg_pool"),
    "Conv": _convolution(),
    "ConvInteger": _convolution(bias=None),
    "ConvTranspose": _transposed_convolution,
    "DeformConv": _deformable_convolution,
    "GlobalAveragePool": _global_pool("avg_pool"),
    "GlobalLpPool": _global_pool("lp_pool"),
    "GlobalMaxPool": _global_pool("max_pool"),
    "LpPool": _pool("lp_pool"),
    "MaxPool": _pool("max_pool"),
    "QLinearConv": _convolution(0, 3, 8),
}


MAX_STEPS = 20_000
"""Most steps of one operator, all directions together."""

_SOURCE, _WEIGHT, _RECURRENT, _BIAS = range(4)  # then come states, and the peepholes of an LSTM


def _recurrent(op: str, gates: int, work: int) -> Rule:
    """An operator of *gates* matrices, with *work* vector operations for each hidden value and step beside biases.

    With T steps of B rows, I inputs and H hidden values each direction has T · B · gates · H · (I + H) MACs.
    """

    def rule(node: Node) -> list[Part]:
        source = node.operand(_SOURCE).shape
        weight, recurrent = node.operand(_WEIGHT).shape, node.operand(_RECURRENT).shape
        if not len(source) == len(weight) == len(recurrent) == 3:
            raise ModelError(f"an input of {show(source)} with weights of {show(weight)} is not modelled")
        batch, steps, inputs = source if node.integer("layout", 0) else (source[1], source[0], source[2])
        directions, hidden = weight[0], recurrent[-1]
        if weight != (directions, gates * hidden, inputs) or recurrent != (
            directions,
            gates * hidden,
            hidden,
        ):
            raise ModelError(
                f"weights of {show(weight)} and {show(recurrent)} do not fit an input of {show(source)}"
            )
        if steps * directions > MAX_STEPS:
            raise ModelError(f"has {steps * directions} steps, more than {MAX_STEPS}")
        bias = node.optional(_BIAS) is not None
        states = tuple(range(_BIAS + 1, len(node.inputs)))
        entering = Part(
            ops.linear((steps, batch, inputs), gates * hidden, bias=bias), (_SOURCE, _WEIGHT, _BIAS)
        )
        product = ops.linear((batch, hidden), gates * hidden, bias=bias)
        cell = ops.elementwise(op, (batch, hidden), [(batch, gates * hidden)] * 2)
        cell = replace(cell, vector_ops=work * batch * hidden)
        parts: list[Part] = []
        cells: list[int] = []
        for at, way in enumerate(("forward", "reverse")[:directions] if directions > 1 else ("",)):
            start = len(parts)
            before = (start + 2,) if steps > 1 else ()
            recurred = Part(product.repeated(steps), (_RECURRENT, *states), (), before)
            parts.append(replace(entering, at=at, direction=way, role="ih"))
            parts.append(replace(recurred, at=at, direction=way, role="hh"))
            parts.append(Part(cell.repeated(steps), (), (start, start + 1), direction=way))
            cells.append(start + 2)
        if steps * directions > 1:
            joined = ops.view(
                "concat", (batch, steps * directions * hidden), [(batch, hidden)] * (steps * directions)
            )
            parts.append(Part(joined, (), tuple(cells)))
        return parts

    return rule


RECURRENT_RULES: dict[str, Rule] = {
    # The sum of both products and a function for each gate, then the state and the output that they make.
    "GRU": _recurrent("gru_cell", 3, 10),
    "LSTM": _recurrent("lstm_cell", 4, 13),
    "RNN": _recurrent("rnn_cell", 1, 2),
}


_AXIS_INPUT, _AXIS_IS_INPUT = 2, 20  # of DFT, from this operator set on; before it is an attribute


def transform_ops(size: int, *, is_real: bool) -> int:
    """Return the operations of one transform of *size* values.

    Example:
        >>> transform_ops(1024, is_real=False)
        51200
    """
    operations = 5 * size * (size - 1).bit_length()
    return operations // 2 if is_real else operations


def _dft(node: Node) -> Layer:
    """A transform along one axis for each of the other values; the last axis holds real and imaginary parts."""
    source = node.operand(0).shape
    given = node.constant(_AXIS_INPUT)
    if given is None and node.optional(_AXIS_INPUT) is not None:
        raise UnmodelledError("its axis is data")
    default = 1 if node.version < _AXIS_IS_INPUT else -2
    axis = node.integer("axis", default) if given is None else int(given.reshape(-1)[0])
    axis += len(source) if axis < 0 else 0
    if not 0 <= axis < len(source) - 1 or source[-1] not in (1, 2):
        raise ModelError(f"a transform of {show(source)} along axis {axis} does not fit")
    length = node.constant(1)
    to_real = bool(node.integer("onesided", 0) and node.integer("inverse", 0))
    size = 2 * (source[axis] - 1) if to_real else source[axis]
    if length is not None:
        size = int(length.reshape(-1)[0])
    if not 1 <= size <= MAX_SIZE:
        raise ModelError(f"a transform of {size} values does not fit")
    count = prod(source[:axis]) * prod(source[axis + 1 : -1])
    is_real = to_real or source[-1] == 1
    layer = ops.elementwise("fft", node.output, [source])
    return replace(layer, vector_ops=count * transform_ops(size, is_real=is_real))


def _stft(node: Node) -> Layer:
    """A window of values times a function, and its transform, for each frame."""
    source, window = node.operand(0).shape, node.optional(2)
    length = node.constant(3)
    if length is not None:
        size = int(length.reshape(-1)[0])
    elif window is not None and len(window.shape) == 1:
        size = window.shape[0]
    else:
        raise UnmodelledError("the length of its frames is not known")
    if not 1 <= size <= MAX_SIZE:
        raise ModelError(f"a transform of {size} values does not fit")
    frames = prod(node.output[:2])
    work = frames * transform_ops(size, is_real=len(source) < 3 or source[-1] == 1)
    if window is not None:
        work += frames * size
    return replace(ops.elementwise("stft", node.output, [source]), vector_ops=work)


RULES: dict[str, Rule] = {"DFT": _dft, "STFT": _stft}
