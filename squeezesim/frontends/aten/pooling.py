"""Pooling: the operators that slide a window without weights."""

from __future__ import annotations

from collections.abc import Sequence

from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer


def _pool(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        source = call["self"].shape
        kernel = call["kernel_size"]
        dimensions = int(call.name.split("pool")[1][0])
        return ops.pooling(
            op,
            source,
            call.output,
            kernel=_each(kernel, dimensions),
            stride=_each(call.get("stride") or kernel, dimensions),
            padding=_each(call.get("padding", 0), dimensions),
            dilation=_each(call.get("dilation", 1), dimensions),
        )

    return rule


def _adaptive_pool(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        dimensions = int(call.name.split("pool")[1][0])
        return ops.adaptive_pooling(op, call["self"].shape, call.output, dimensions)

    return rule


def _each(value: int | Sequence[int], dimensions: int) -> Sequence[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dimensions if len(values) == 1 else values


RULES: dict[str, Rule] = {
    "_adaptive_avg_pool2d": _adaptive_pool("avg_pool"),
    "_adaptive_avg_pool3d": _adaptive_pool("avg_pool"),
    "adaptive_avg_pool1d": _adaptive_pool("avg_pool"),
    "adaptive_max_pool2d": _adaptive_pool("max_pool"),
    "adaptive_max_pool3d": _adaptive_pool("max_pool"),
    "avg_pool1d": _pool("avg_pool"),
    "avg_pool2d": _pool("avg_pool"),
    "avg_pool3d": _pool("avg_pool"),
    "max_pool2d_with_indices": _pool("max_pool"),
    "max_pool3d_with_indices": _pool("max_pool"),
}
