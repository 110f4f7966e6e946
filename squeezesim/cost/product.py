"""The least (Σ cycles) · (Σ energy) of a network: the weights of both under which each layer is chosen by itself.

A choice of a tiling for every layer is a point (ΣT, ΣE). The product is least at a vertex of the lower convex hull of
these points: between two neighbours it is no smaller than at one of them. A vertex has the least a · ΣT + b · ΣE for
some weights a, b ≥ 0. That is a sum over layers, so that each takes the tiling of its own least a · T + b · E.

The vertices are found from the ends, (1, 0) and (0, 1), on: for two vertices P and Q the weights of the line through
them give a vertex between, or show that there is none. What lies between is within the triangle of P, Q and the point
where the lines of their own weights meet; where no product there is below the least one found, it is left alone.

Source: a quasi-concave function is least at an extreme point of a polytope; Horst and Tuy, "Global Optimization",
section I.2; for two sums: Konno and Kuno, "Linear multiplicative programming", Mathematical Programming 56 (1992).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from squeezesim.cost.problem import Floats, Ints

_EQUAL = 1e-12  # of sums of floats


class _Vertex(NamedTuple):
    """A point (cycles, energy) with the least weighted sum for its weights."""

    point: Floats
    weights: Floats


class _Edge(NamedTuple):
    """Two vertices, the one with fewer cycles first."""

    fast: _Vertex
    frugal: _Vertex

    @property
    def normal(self) -> Floats:
        """Weights for which both vertices have the same sum."""
        (fewer, more), (larger, smaller) = zip(self.fast.point, self.frugal.point, strict=True)
        normal = np.array([larger - smaller, more - fewer])
        return np.asarray(normal / np.abs(normal).max()) if normal.any() else normal

    def least(self) -> float:
        """Return what no product of a point between the vertices is below."""
        lines = np.array([self.fast.weights, self.frugal.weights])
        sums = np.array([vertex.weights @ vertex.point for vertex in self])
        if abs(np.linalg.det(lines)) < _EQUAL:
            return 0.0
        return float(min(np.prod(np.linalg.solve(lines, sums)), *(np.prod(vertex.point) for vertex in self)))


Sums = Callable[[Ints, Floats], Floats]
"""(machines, weights of each) → (ΣT, ΣE) of each, with every layer's tiling chosen by its weighted sum."""


def least_product(machines: int, sums: Sums) -> Floats:
    """Return the weights of cycles and of energy, (machines, 2), whose choice has the least product of the sums.

    *sums* is called with all machines that are not done, so that each call searches for all of them.

    Example: of the points (1, 9), (2, 4), (8, 1) and (4, 2.5) the first three are vertices; the product is least, 8,
    at the second and the third:

        >>> points = np.array([[1, 9], [2, 4], [8, 1], [4, 2.5]])
        >>> def sums(machines, weights):
        ...     return points[(weights @ points.T).argmin(axis=1)]
        >>> weights = least_product(1, sums)
        >>> float(np.prod(sums(None, weights)))
        8.0
    """
    every = np.arange(machines)
    ends = [
        [_Vertex(point, np.array(weights)) for point in sums(every, np.tile(weights, (machines, 1)))]
        for weights in ((1.0, 0.0), (0.0, 1.0))
    ]
    best = [min(pair, key=_product) for pair in zip(*ends, strict=True)]
    open_edges = [[_Edge(*pair)] for pair in zip(*ends, strict=True)]
    while True:
        wanted = {machine: edge for machine in every if (edge := _next(open_edges[machine], best[machine]))}
        if not wanted:
            return np.array([vertex.weights for vertex in best])
        weights = np.array([edge.normal for edge in wanted.values()])
        points = sums(np.array(list(wanted)), weights)
        for (machine, edge), point, normal in zip(wanted.items(), points, weights, strict=True):
            if normal @ point < (normal @ edge.fast.point) * (1 - _EQUAL):
                between = _Vertex(point, normal)
                best[machine] = min(best[machine], between, key=_product)
                open_edges[machine] += [_Edge(edge.fast, between), _Edge(between, edge.frugal)]


def _product(vertex: _Vertex) -> float:
    return float(np.prod(vertex.point))


def _next(edges: list[_Edge], best: _Vertex) -> _Edge | None:
    """Take the next edge beside which there may be a smaller product than the *best*."""
    while edges:
        edge = edges.pop()
        if (edge.normal > 0).all() and edge.least() < _product(best) * (1 - _EQUAL):
            return edge
    return None
