"""Einsum and Attention: operators that are several products."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from squeezesim.errors import ModelError
from squeezesim.frontends.aten import products
from squeezesim.frontends.aten.call import Call, Operand
from squeezesim.frontends.onnx.node import Node, Part, Rule
from squeezesim.network import ops
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


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
    return products.RULES["bmm"](Call("bmm", {"self": first, "mat2": second}, (batch, rows, columns)))


def _shape(letters: str, sizes: Mapping[str, int]) -> Shape:
    return tuple(sizes[letter] for letter in letters)


def _attention(node: Node) -> list[Part]:
    """Scaled products of queries and keys, softmax, and their product with the values, as the operator's text says."""
    queries, keys, values = (_heads(node, index) for index in range(3))
    batch, heads, rows, size = queries
    columns = keys[2] + (node.operand(4).shape[2] if node.optional(4) else 0)  # past keys
    scores, turned = (batch, heads, rows, columns), (*keys[:2], keys[3], keys[2])
    parts = [
        Part(ops.elementwise("mul", queries, [queries]), (0,)),
        Part(ops.elementwise("mul", turned, [turned]), (1,)),
        Part(ops.matmul(batch * heads, rows, size, columns), (4,), (0, 1)),
    ]
    if node.optional(3) is not None:  # a mask
        parts.append(Part(ops.elementwise("add", scores, [scores]), (3,), (len(parts) - 1,)))
    parts.append(Part(ops.elementwise("softmax", scores, [scores]), (), (len(parts) - 1,)))
    parts.append(Part(ops.matmul(batch * heads, rows, columns, values[3]), (2, 5), (len(parts) - 1,)))
    return parts


Reads = tuple[tuple[int, ...], tuple[int, ...]]
"""The inputs of a node and the parts before that something comes from."""


def attended(
    query: tuple[int, int, int, int],
    key: tuple[int, int, int],
    *,
    queries: Reads,
    keys: Reads,
    values: Reads,
    added: Sequence[int],
    first: int,
) -> list[Part]:
    """Return attention from scaled queries on: scores, what is *added* to them, softmax, product with the values.

    Args:
        query: batch, heads, rows, size of a head.
        key: heads of keys and values, each of which serves as many heads of queries; keys; size of a head of values.
        queries: where they come from, as *keys* and *values*.
        added: the inputs that are added to the scores.
        first: how many parts there are before.
    """
    batch, heads, rows, size = query
    shared, columns, width = key
    scores, folded = (batch, heads, rows, columns), rows * (heads // shared)
    parts = [
        Part(ops.elementwise("mul", query, [query]), *queries),
        Part(ops.matmul(batch * shared, folded, size, columns), keys[0], (first, *keys[1])),
    ]
    for place in added:
        parts.append(Part(ops.elementwise("add", scores, [scores]), (place,), (first + len(parts) - 1,)))
    parts.append(Part(ops.elementwise("softmax", scores, [scores]), (), (first + len(parts) - 1,)))
    after = (first + len(parts) - 1, *values[1])
    parts.append(Part(ops.matmul(batch * shared, folded, columns, width), values[0], after))
    return parts


def _heads(node: Node, index: int) -> tuple[int, int, int, int]:
    """(batch, heads, rows, size of a head) of queries, keys or values."""
    shape = node.operand(index).shape
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    heads = node.integer("kv_num_heads" if index else "q_num_heads", 0)
    if len(shape) != 3 or heads < 1 or shape[2] % heads:
        raise ModelError(f"{show(shape)} in {heads} heads is not modelled")
    return shape[0], heads, shape[1], shape[2] // heads


RULES: dict[str, Rule] = {"Attention": _attention, "Einsum": _einsum}
