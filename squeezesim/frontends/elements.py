"""Which elements of the parameters values are made of, and which layer is the first to use each of them.

Elements are told apart by their place in the parameter's memory. A layer *uses* all that it reads, and *owns* what no
layer before it used, so that Σ owned over the layers = the number of elements that are used, each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from squeezesim.network.layer import Layer

Dim = tuple[int, int]  # size, stride
Ints = NDArray[np.int64]

MAX_RUNS = 2**24
"""Most runs of neighbouring elements that are told apart in a parameter."""


class Region(NamedTuple):
    """A strided view of a memory: value i, j, … stands at offset + i·strides[0] + j·strides[1] + …"""

    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def whole(cls, sizes: tuple[int, ...]) -> Region:
        """Return a tensor of *sizes* that is laid out row by row."""
        return cls(0, sizes, contiguous(sizes))


@dataclass(frozen=True, slots=True)
class Use:
    """Elements of one parameter that a tensor of values is made of.

    Value i, j, … is made of the elements at offset + i·strides[0] + j·strides[1] + … and, from each of these on, at all
    steps of ``spread``. A stride is 0 where all values along a dimension are made of the same.

    Example: of a 4×6 parameter, its transpose is ``Use(0, 0, (6, 4), (1, 6))``, a scale for each row
    ``Use(0, 0, (4, 1), (6, 0), ((6, 1),))``.
    """

    param: int
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    spread: tuple[Dim, ...] = ()

    @classmethod
    def whole(cls, param: int, sizes: Sequence[int]) -> Use:
        """Return the use of a parameter that is laid out row by row, by the values of itself."""
        return cls(param, 0, tuple(sizes), contiguous(sizes))

    def broadcast(self, sizes: Sequence[int]) -> Use:
        """Return the use by values of *sizes*, made element by element of these and others."""
        missing = len(sizes) - len(self.sizes)
        own = (0 if size == 1 else stride for size, stride in zip(self.sizes, self.strides, strict=True))
        return Use(self.param, self.offset, tuple(sizes), (*[0] * missing, *own), self.spread)

    def scattered(self, sizes: Sequence[int]) -> Use:
        """Return the use by values of *sizes*, each of which may be made of all of these."""
        dims = zip(self.sizes, self.strides, strict=True)
        spread = (*(dim for dim in dims if dim[0] != 1 and dim[1]), *self.spread)
        return Use(self.param, self.offset, tuple(sizes), (0,) * len(sizes), spread)

    def seen(self, own: Region, view: Region) -> Use:
        """Return the use by the values of *view* in a memory where *own* is where these values stand.

        Where the view is no regular part of these values, it is made of all of them.
        """
        if own == view:
            return self
        return self._seen(own, view) or self.scattered(view.sizes)

    def _seen(self, own: Region, view: Region) -> Use | None:
        dims = _merged(own, self.strides)
        start = _steps(view.offset - own.offset, dims)
        if start is None or any(outer[1] < inner[0] * inner[1] for outer, inner in pairwise(dims)):
            return None
        last = list(start)
        strides: list[int] = []
        spread = list(self.spread)
        for size, stride in zip(view.sizes, view.strides, strict=True):
            pieces = _split(size, stride, dims)
            along = []
            for count, step in pieces:
                moved = _steps(step, dims)
                if moved is None:
                    return None
                last = [at + (count - 1) * by for at, by in zip(last, moved, strict=True)]
                along.append((count, sum(by * dim[2] for by, dim in zip(moved, dims, strict=True))))
            if len(along) == 1:
                strides.append(along[0][1])
            else:
                strides.append(0)
                spread += along
        if any(at >= dim[0] for at, dim in zip(last, dims, strict=True)):
            return None
        offset = self.offset + sum(by * dim[2] for by, dim in zip(start, dims, strict=True))
        return Use(self.param, offset, view.sizes, tuple(strides), tuple(spread))

    def elements(self) -> Elements:
        """Return the elements that all the values are made of."""
        return Elements.of(self.offset, (*zip(self.sizes, self.strides, strict=True), *self.spread))


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """A set of elements of one parameter: runs from *starts* to before *ends*, in order and apart."""

    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, offset: int, dims: Iterable[Dim]) -> Elements:
        """Return the elements of a strided box.

        Example:
            >>> len(Elements.of(2, [(3, 4), (2, 1)]))  # 2, 3, 6, 7, 10, 11
            6
        """
        given = [(stride, size) for size, stride in dims if stride and size != 1]
        offset += sum((size - 1) * stride for stride, size in given if stride < 0)
        left = sorted((abs(stride), size) for stride, size in given)
        if any(size == 0 for _, size in left):
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        run = 1
        while left and left[0][0] <= run:
            stride, size = left.pop(0)
            run += (size - 1) * stride
        starts = np.array([offset], np.int64)
        for stride, size in left:
            if len(starts) * size > MAX_RUNS:  # too many to tell apart: all from the first to the last
                run += int(starts[-1] - starts[0]) + sum((size - 1) * stride for stride, size in left)
                return cls._normal(np.array([offset], np.int64), run)
            starts = (starts[:, None] + np.arange(size) * stride).ravel()
        return cls._normal(np.unique(starts), run)

    @classmethod
    def union(cls, sets: Iterable[Elements]) -> Elements:
        """Return the elements that are in any of *sets*."""
        given = [part for part in sets if len(part.starts)]
        if len(given) < 2:
            return given[0] if given else cls(np.zeros(0, np.int64), np.zeros(0, np.int64))
        starts = np.concatenate([part.starts for part in given])
        order = np.argsort(starts, kind="stable")
        starts, reach = (
            starts[order],
            np.maximum.accumulate(np.concatenate([part.ends for part in given])[order]),
        )
        begins = np.append(True, starts[1:] > reach[:-1])
        return cls(starts[begins], reach[np.append(begins[1:], True)])

    @classmethod
    def _normal(cls, starts: Ints, run: int) -> Elements:
        """Runs of one length from sorted starts, those that touch made one."""
        apart = np.flatnonzero(np.diff(starts) > run)
        last = np.append(apart, len(starts) - 1)
        return cls(starts[np.append(0, apart + 1)], starts[last] + run)

    def __len__(self) -> int:
        return int((self.ends - self.starts).sum())


class Ledger:
    """Which layer owns which elements of the parameters: the first that uses them."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._buffers: set[int] = set()
        self._owned: dict[int, tuple[Elements, Ints]] = {}  # sets of runs, and the layer that owns each run
        self._counts: list[int] = []

    def __len__(self) -> int:
        return len(self._sizes)

    def enter(self, size: int, *, is_buffer: bool = False) -> int:
        """Return the number of a new parameter of *size* elements, or of a buffer, which need not be used."""
        if is_buffer:
            self._buffers.add(len(self._sizes))
        self._sizes.append(size)
        self._counts.append(0)
        return len(self._sizes) - 1

    def resize(self, param: int, size: int) -> None:
        """Set how many elements *param*, which no layer uses yet, has."""
        self._sizes[param] = size

    def is_buffer(self, param: int) -> bool:
        """Return whether *param* is a buffer."""
        return param in self._buffers

    @property
    def unread(self) -> int:
        """Elements that no layer uses."""
        pairs = enumerate(zip(self._sizes, self._counts, strict=True))
        return sum(size - count for param, (size, count) in pairs if param not in self._buffers)

    @property
    def partly_unread(self) -> int:
        """Elements that no layer uses, of parameters of which some are."""
        return sum(
            size - count for size, count in zip(self._sizes, self._counts, strict=True) if 0 < count < size
        )

    def used(self, uses: Iterable[Use]) -> dict[int, Elements]:
        """Return the elements of each parameter in *uses*."""
        sets: dict[int, list[Elements]] = {}
        for use in dict.fromkeys(uses):
            sets.setdefault(use.param, []).append(use.elements())
        return {param: Elements.union(found) for param, found in sets.items()}

    def read(self, uses: Iterable[Use]) -> int:
        """Return how many values of *uses* are read: elements, each once, or what is made of them, where that is less.

        What is made of parameters alone is made once, before the network runs.

        Example: a sum over the rows of a 4×6 parameter is 6 values of 24 elements.
        """
        found = tuple(dict.fromkeys(uses))
        made: dict[int, int] = {}
        for use in found:
            made[use.param] = made.get(use.param, 0) + prod(use.sizes)
        return sum(min(len(elements), made[param]) for param, elements in self.used(found).items())

    def claim(self, layer: int, used: dict[int, Elements]) -> tuple[int, tuple[int, ...]]:
        """Return how many elements *layer*, which uses *used*, owns, and the layers before it that own the others."""
        count, owners = 0, set[int]()
        for param, elements in used.items():
            gained, others = self._claim(layer, param, elements)
            self._counts[param] += gained
            count += gained
            owners |= others
        return count, tuple(sorted(owners - {layer}))

    def _claim(self, layer: int, param: int, wanted: Elements) -> tuple[int, set[int]]:
        if not len(wanted.starts):
            return 0, set()
        if param not in self._owned:
            self._owned[param] = wanted, np.full(len(wanted.starts), layer, np.int64)
            return len(wanted), set()
        owned, owners = self._owned[param]
        edges = np.unique(np.concatenate([owned.starts, owned.ends, wanted.starts, wanted.ends]))
        cells = edges[:-1]
        place, is_wanted = _inside(wanted, cells)
        place, is_owned = _inside(owned, cells)
        owner = np.where(is_owned, owners[place], layer)
        kept = is_owned | is_wanted
        gained = int((edges[1:] - cells)[is_wanted & ~is_owned].sum())
        others = set(owner[is_wanted & is_owned].tolist())
        if gained:
            starts, ends, owner = cells[kept], edges[1:][kept], owner[kept]
            begins = np.append(True, (starts[1:] != ends[:-1]) | (owner[1:] != owner[:-1]))
            closes = np.append(begins[1:], True)
            self._owned[param] = Elements(starts[begins], ends[closes]), owner[begins]
        return gained, others


def unrepeated(layer: Layer, factors: Iterable[Use]) -> Layer:
    """Return *layer*, a stack of products by weights made of *factors*, with each matrix that several share once.

    G products by D matrices are N = G / D images of D products.

    Example: a batch of 4 times a 64×32 parameter that is expanded over it is N=4, G=1 with 2048 weights, not 8192.
    """
    uses = set(factors)
    if layer.op != "matmul" or layer.weights_are_activations or layer.n != 1 or len(uses) != 1:
        return layer
    (use,) = uses
    size = layer.c * layer.k
    is_matrix = {*use.sizes[-2:]} == {layer.c, layer.k} and all(
        one == 1 or stride for one, stride in zip(use.sizes[-2:], use.strides[-2:], strict=True)
    )
    distinct, rest = divmod(len(use.elements()), size)
    if not is_matrix or rest or not 0 < distinct < layer.g or layer.g % distinct:
        return layer
    return replace(layer, n=layer.g // distinct, g=distinct, weight_elements=distinct * size)


def contiguous(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a tensor of *sizes* that is laid out row by row.

    Example:
        >>> contiguous((2, 3, 4))
        (12, 4, 1)
    """
    strides, stride = [], 1
    for size in reversed(sizes):
        strides.append(stride)
        stride *= size
    return tuple(reversed(strides))


def _inside(elements: Elements, at: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """For each place the run that begins last before it, and whether it lies in that."""
    run = np.searchsorted(elements.starts, at, "right") - 1
    found = np.maximum(run, 0)
    return found, (run >= 0) & (at < elements.ends[found]) if len(elements.starts) else run >= 0


def _merged(own: Region, strides: Sequence[int]) -> list[tuple[int, int, int]]:
    """(size, stride in memory, stride in the parameter) from the largest stride, dimensions that are one merged."""
    dims = [dim for dim in zip(own.sizes, own.strides, strides, strict=True) if dim[0] != 1 and dim[1]]
    dims.sort(key=lambda dim: -dim[1])
    merged: list[tuple[int, int, int]] = []
    for size, stride, inner in dims:
        if merged and merged[-1][1] == size * stride and merged[-1][2] == size * inner:
            merged[-1] = (merged[-1][0] * size, stride, inner)
        else:
            merged.append((size, stride, inner))
    return merged


def _steps(distance: int, dims: Sequence[tuple[int, int, int]]) -> list[int] | None:
    """How many steps along each dimension make *distance*; None where none do."""
    if distance < 0:
        return None
    steps = []
    for _, stride, _ in dims:
        step, distance = divmod(distance, stride)
        steps.append(step)
    return None if distance else steps


def _split(size: int, stride: int, dims: Sequence[tuple[int, int, int]]) -> list[Dim]:
    """A dimension of a view as pieces that lie within one dimension each, as far as it is regular."""
    if size == 1 or stride == 0:
        return [(size, 0)]
    for count, step, _ in reversed(dims):
        whole = count * step
        if step <= stride < whole < size * stride and whole % stride == 0 and size % (whole // stride) == 0:
            inner = whole // stride
            return [*_split(size // inner, whole, dims), (inner, stride)]
    return [(size, stride)]
