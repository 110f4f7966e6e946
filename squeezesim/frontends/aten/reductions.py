"""Sums, maxima and means over dimensions: a vector operation for each input element."""

from __future__ import annotations

from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer

REDUCTIONS = {
    "all": "all",
    "amax": "max",
    "amin": "min",
    "aminmax": "aminmax",
    "any": "any",
    "argmax": "argmax",
    "argmin": "argmin",
    "count_nonzero": "count_nonzero",
    "linalg_vector_norm": "norm",
    "logsumexp": "logsumexp",
    "max": "max",
    "mean": "mean",
    "median": "median",
    "min": "min",
    "nanmedian": "median",
    "nansum": "sum",
    "norm": "norm",
    "prod": "prod",
    "std": "std",
    "sum": "sum",
    "var": "var",
    "var_mean": "var",
}
"""One vector operation for each input element."""


def _reduce(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        source = call["self"].shape
        rank = len(source)
        dims = call.get("dim", ())
        over = sorted(dim % rank for dim in ([dims] if isinstance(dims, int) else dims)) if rank else []
        if op == "mean" and rank == 4 and over == [2, 3]:
            pooled = (*source[:2], 1, 1)
            return ops.pooling("avg_pool", source, pooled, kernel=source[2:])
        return ops.reduction(op, source, call.output)

    return rule


def _fold(call: Call) -> Layer:
    return ops.reduction("fold", call["self"].shape, call.output)


RULES: dict[str, Rule] = {**{name: _reduce(op) for name, op in REDUCTIONS.items()}, "col2im": _fold}
