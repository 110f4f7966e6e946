"""Data movement: what joins tensors is a free layer, what lays one out anew is none."""

from __future__ import annotations

from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer

FREE = frozenset(
    {
        "_conj",
        "_reshape_copy",
        "_to_copy",
        "_unsafe_view",
        "alias",
        "as_strided",
        "as_strided_copy",
        "bernoulli",
        "channel_shuffle",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "copy",
        "detach",
        "empty_like",
        "expand_copy",
        "fill",
        "flip",
        "full_like",
        "im2col",
        "lift_fresh",
        "lift_fresh_copy",
        "native_channel_shuffle",
        "native_dropout",
        "new_empty",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones_like",
        "pixel_shuffle",
        "pixel_unshuffle",
        "rand_like",
        "randn_like",
        "reflection_pad1d",
        "reflection_pad2d",
        "repeat",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "resize",
        "roll",
        "slice_scatter",
        "split_with_sizes_copy",
        "uniform",
        "unfold_copy",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "zero",
        "zeros_like",
    }
)
"""Operators that lay data out anew, or make it from nothing: no layer, readers see through them."""


def _join(op: str) -> Rule:
    def rule(call: Call) -> Layer:
        return ops.view(op, call.output, call.activations)

    return rule


RULES: dict[str, Rule] = {"cat": _join("concat"), "stack": _join("concat")}
