"""Matrix products, of two stacks of matrices or as an einsum says."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from squeezesim.errors import ModelError
from squeezesim.frontends.aten import products
from squeezesim.frontends.aten.call import Call, Operand
from squeezesim.frontends.onnx.node import Node, Rule
from squeezesim.network import ops
from squeezesim.network.checks import show
from squeezesim.network.layer import Layer

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
        return products.RULES["mm"](Call("mm", {"self": left, "mat2": right}, node.output))
    arguments = {"self": added, "mat1": left, "mat2": right, "beta": 1}
    return products.RULES["addmm"](Call("addmm", arguments, node.output))


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
    flat = (
        replace(left, shape=(batch, rows, reduced), rows=None),
        replace(right, shape=(batch, reduced, columns), rows=None),
    )
    return products.RULES["bmm"](Call("bmm", {"self": flat[0], "mat2": flat[1]}, (batch, rows, columns)))


RULES: dict[str, Rule] = {
    "Gemm": _gemm,
    "MatMul": _matmul(),
    "MatMulInteger": _matmul(),
    "QLinearMatMul": _matmul(0, 3),
}
