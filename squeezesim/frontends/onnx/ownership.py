"""Which elements of the file's weights a tensor is made of, after nodes that move, join or combine them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from squeezesim.frontends.elements import Region, Use, contiguous
from squeezesim.frontends.onnx.node import Node
from squeezesim.frontends.onnx.values import Array, Piece
from squeezesim.frontends.open_sizes import Shape

_SAME = frozenset(
    {"Cast", "CastLike", "Constant", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear"}
)
_LAID_OUT = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_MADE_FROM_NOTHING = frozenset(
    {"ConstantOfShape", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
    | {"Bernoulli", "Range", "Shape", "Size"}
)
_EACH = frozenset(
    {"Abs", "Add", "Ceil", "Clip", "Div", "Exp", "Expand", "Floor", "Max", "Min", "Mod", "Mul", "Neg", "Pow"}
    | {"Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Sub", "Sum", "Tanh", "Where"}
)
"""Operators of which each result is made of the values at its place, broadcast."""

_MOST_RUNS = 256  # of the indices of a ``Gather``, each of which is a piece
_MOST_PIECES = 1000


@dataclass(frozen=True, slots=True)
class _Cut:
    """The steps along one axis of a tensor: from *start* on, *count* of them, *step* apart."""

    axis: int
    start: int
    count: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class _Move:
    """The way from input *place* of a node, which is made of *pieces*, to output *index*."""

    node: Node
    place: int
    index: int
    pieces: tuple[Piece, ...]
    source: Shape
    result: Shape

    @property
    def axis(self) -> int:
        """The axis that the node names."""
        return self.node.integer("axis", 0) % max(1, len(self.source))


def made_of(node: Node, index: int, given: Sequence[tuple[int, tuple[Piece, ...]]]) -> tuple[Piece, ...]:
    """Return what output *index* of *node* is made of, where some inputs, by place, are made of weights.

    Where it is not known how an operator lays its results out, each of them may be made of all.
    """
    if node.op in _MADE_FROM_NOTHING:
        return ()
    result = node.outputs[index] if index < len(node.outputs) else None
    follow = _MOVES.get(node.op)
    found: list[Piece] = []
    for place, pieces in given:
        source = node.operand(place).shape
        moved = None
        is_followed = follow and result is not None and (place == 0 or node.op in (*_EACH, "Concat"))
        if follow and is_followed and all(len(piece.start) == len(source) for piece in pieces):
            moved = follow(_Move(node, place, index, pieces, source, result or ()))
        found += _scattered(pieces, result or ()) if moved is None else moved
    if len(found) > _MOST_PIECES:
        found = [piece for _, pieces in given for piece in _scattered(pieces, result or ())]
    return tuple(dict.fromkeys(found))


def _scattered(pieces: Iterable[Piece], sizes: Shape) -> list[Piece]:
    return [Piece((0,) * len(sizes), piece.use.scattered(sizes)) for piece in pieces]


def _same(move: _Move) -> Iterable[Piece] | None:
    return move.pieces if move.source == move.result else None


def _joined(move: _Move) -> Iterable[Piece]:
    axis, inputs = move.axis, move.node.inputs[: move.place]
    before = sum(operand.shape[axis] for operand in inputs if operand is not None)
    return [Piece(_set(piece.start, axis, piece.start[axis] + before), piece.use) for piece in move.pieces]


def _split(move: _Move) -> Iterable[Piece] | None:
    shapes = [shape for shape in move.node.outputs[: move.index] if shape is not None]
    if len(shapes) < move.index:
        return None
    before = sum(shape[move.axis] for shape in shapes)
    return _cut(move.pieces, _Cut(move.axis, before, move.result[move.axis]))


def _broadcast(move: _Move) -> list[Piece] | None:
    source, result = move.source, move.result
    missing = len(result) - len(source)
    wide = result[missing:]
    if missing < 0 or any(one not in (1, other) for one, other in zip(source, wide, strict=True)):
        return None
    found = []
    for piece in move.pieces:
        own = (
            size if whole == target else target
            for size, whole, target in zip(piece.use.sizes, source, wide, strict=True)
        )
        sizes = (*result[:missing], *own)
        found.append(Piece((0,) * missing + piece.start, piece.use.broadcast(sizes)))
    return found


def _relaid(move: _Move) -> list[Piece] | None:
    return _laid_out(move.pieces, move.source, move.result)


def _laid_out(pieces: Sequence[Piece], source: Shape, result: Shape) -> list[Piece] | None:
    """The same values in row-major order in another shape."""
    if prod(source) != prod(result):
        return None
    found: list[Piece] = []
    for piece in pieces:
        runs = _stretches(piece, source, result)
        if runs is None:
            return None
        for outer, one in runs:
            found += _boxes(one, source, result, outer)
    return found


def _stretches(piece: Piece, source: Shape, result: Shape) -> list[tuple[int, Piece]] | None:
    """A piece as some that are a stretch of values in each of as many equal parts as leading sizes of *result* make.

    None where they would be too many.
    """
    cut = [axis for axis, size in enumerate(source) if piece.use.sizes[axis] != size]
    last = cut[-1] if cut else 0
    outer = prod(source[:last])
    if len(cut) < 2 and outer in {prod(result[:place]) for place in range(len(result) + 1)}:
        return [(outer, piece)]
    if prod(piece.use.sizes[:last]) > _MOST_RUNS:
        return None
    found = [piece]
    for axis in range(last):
        start, size = piece.start[axis], piece.use.sizes[axis]
        found = [
            Piece(_set(one.start, axis, at), one.use)
            for at in range(start, start + size)
            for one in _cut(found, _Cut(axis, at, 1))
        ]
    return [(1, one) for one in found]


def _boxes(piece: Piece, source: Shape, result: Shape, outer: int) -> list[Piece]:
    """What a piece, which is a stretch in each of *outer* parts, becomes in *result*."""
    place = next(at for at in range(len(result) + 1) if prod(result[:at]) == outer)
    flat = sum(at * stride for at, stride in zip(piece.start, contiguous(source), strict=True))
    size = prod(piece.use.sizes) // outer
    own = Region(0, piece.use.sizes, contiguous(piece.use.sizes))
    whole, rest = result[:place], result[place:]
    leading = tuple(stride * size for stride in contiguous(whole))
    found = []
    for start, sizes in _corners(flat, size, rest):
        offset = sum(at * stride for at, stride in zip(start, contiguous(rest), strict=True)) - flat
        view = Region(offset, (*whole, *sizes), (*leading, *contiguous(rest)))
        found.append(Piece((0,) * place + start, piece.use.seen(own, view)))
    return found


def _corners(first: int, size: int, shape: Shape) -> list[tuple[Shape, Shape]]:
    """The boxes, by start and sizes, that *size* values from *first* on are in a tensor of *shape*."""
    if not shape:
        return [((), ())]
    inner = prod(shape[1:])
    row, at = divmod(first, inner)
    found: list[tuple[Shape, Shape]] = []
    if at:
        head = min(inner - at, size)
        found += [((row, *start), (1, *sizes)) for start, sizes in _corners(at, head, shape[1:])]
        row, size = row + 1, size - head
    if rows := size // inner:
        found.append(((row, *[0] * len(shape[1:])), (rows, *shape[1:])))
    if tail := size % inner:
        found += [((row + rows, *start), (1, *sizes)) for start, sizes in _corners(0, tail, shape[1:])]
    return found


def _turned(move: _Move) -> list[Piece]:
    order = move.node.sizes("perm") or list(range(len(move.source)))[::-1]
    found = []
    for piece in move.pieces:
        use = piece.use
        start, sizes, strides = (
            tuple(of[axis] for axis in order) for of in (piece.start, use.sizes, use.strides)
        )
        found.append(Piece(start, Use(use.param, use.offset, sizes, strides, use.spread)))
    return found


def _cut(pieces: Iterable[Piece], cut: _Cut) -> list[Piece]:
    """What the steps of *cut* hold of the pieces."""
    axis, found = cut.axis, []
    for piece in pieces:
        use, start = piece.use, piece.start[axis]
        near, far = (
            start - cut.start,
            start + use.sizes[axis] - 1 - cut.start,
        )  # from the first step of the cut
        if cut.step < 0:
            near, far = -far, -near
        first = max(0, -(-near // abs(cut.step)))
        end = min(cut.count, far // abs(cut.step) + 1)
        if first < end:
            inner = cut.start + first * cut.step - start
            offset = use.offset + inner * use.strides[axis]
            sizes = _set(use.sizes, axis, end - first)
            strides = _set(use.strides, axis, use.strides[axis] * cut.step)
            held = Use(use.param, offset, sizes, strides, use.spread)
            found.append(Piece(_set(piece.start, axis, first), held))
    return found


def _sliced(move: _Move) -> list[Piece] | None:
    node, source, result = move.node, move.source, move.result
    given = [node.constant(place) for place in range(1, 5)]
    starts, axes, steps = given[0], given[2], given[3]
    if starts is None or len(result) != len(source):
        return None
    if any(given[place] is None and node.optional(1 + place) is not None for place in range(4)):
        return None
    along = list(range(len(starts))) if axes is None else [int(axis) % len(source) for axis in axes]
    by = [1] * len(along) if steps is None else [int(step) for step in steps]
    found = list(move.pieces)
    for axis, start, step in zip(along, starts.tolist(), by, strict=True):
        size, count = source[axis], result[axis]
        first = min(max(start + size if start < 0 else start, 0), size - (step < 0))
        found = _cut(found, _Cut(axis, first, count, step))
    return found


def _gathered(move: _Move) -> list[Piece] | None:
    source, result, axis = move.source, move.result, move.axis
    indices = move.node.constant(1)
    if indices is None:
        return None
    runs = _runs(indices, source[axis])
    if len(runs) > _MOST_RUNS:
        return None
    found: list[Piece] = []
    for at, start, count, step in runs:
        held = _cut(move.pieces, _Cut(axis, start, count, step))
        found += (Piece(_set(piece.start, axis, piece.start[axis] + at), piece.use) for piece in held)
    if indices.ndim == 1:
        return found
    flat = _set(source, axis, indices.size)
    return _laid_out(found, flat, result) or _scattered(found, result)


def _runs(indices: Array, size: int) -> list[tuple[int, int, int, int]]:
    """(place, first index, count, step) of stretches of indices that rise evenly."""
    values = [int(index) % size for index in indices.reshape(-1)]
    steps = [after - before for before, after in pairwise(values)]
    runs: list[tuple[int, int, int, int]] = []
    at = 0
    while at < len(values):
        step = steps[at] if at < len(steps) and steps[at] > 0 else 1
        count = 1
        while at + count < len(values) and steps[at + count - 1] == step:
            count += 1
        runs.append((at, values[at], count, step))
        at += count
    return runs


def narrowed(piece: Piece, index: int) -> Piece | None:
    """Return what stands at *index* of the first axis; None where that is nothing of it."""
    found = _cut([piece], _Cut(0, index, 1)) if piece.start else [piece]
    return found[0] if found else None


_MOVES: dict[str, Callable[[_Move], Iterable[Piece] | None]] = {
    **dict.fromkeys(_EACH, _broadcast),
    **dict.fromkeys(_LAID_OUT, _relaid),
    **dict.fromkeys(_SAME, _same),
    "Concat": _joined,
    "Gather": _gathered,
    "Slice": _sliced,
    "Split": _split,
    "Transpose": _turned,
}


def _set(sizes: Shape, axis: int, size: int) -> Shape:
    return (*sizes[:axis], size, *sizes[axis + 1 :])
