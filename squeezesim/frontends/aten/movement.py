"""Data movement: what joins tensors is a free layer, what lays one out anew is none."""

from __future__ import annotations

from squeezesim.frontends.aten.call import Call, Rule
from squeezesim.network import ops
from squeezesim.network.layer import Layer

FREE = frozenset(
    {
        "alias",
        "alias_copy",
        "as_strided",
        "as_strided_copy",
        "as_strided_scatter",
        "bernoulli",
        "channel_shuffle",
        "clone",
        "_conj",
        "constant_pad_nd",
        "contiguous",
        "copy",
        "detach",
        "diag_embed",
        "diagonal_copy",
        "diagonal_scatter",
        "empty_like",
        "expand_copy",
        "fill",
        "flip",
        "full_like",
        "im2col",
        "lift_fresh",
        "lift_fresh_copy",
        "narrow_copy",
        "native_channel_shuffle",
        "native_dropout",
        "new_empty",
        "new_empty_strided",
        "new_full",
        "new_ones",
        "new_zeros",
        "normal",
        "ones_like",
        "permute_copy",
        "pixel_shuffle",
        "pixel_unshuffle",
        "rand_like",
        "randint_like",
        "randn_like",
        "reflection_pad1d",
        "reflection_pad2d",
        "reflection_pad3d",
        "repeat",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "_reshape_alias_copy",
        "_reshape_copy",
        "resize",
        "resize_as",
        "roll",
        "rot90",
        "select_copy",
        "select_scatter",
        "set",
        "slice_copy",
        "slice_scatter",
        "split_copy",
        "split_with_sizes_copy",
        "squeeze",
        "squeeze_copy",
        "t",
        "t_copy",
        "_to_copy",
        "transpose",
        "transpose_copy",
        "unbind_copy",
        "unfold_copy",
        "uniform",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "_unsafe_view",
        "unsqueeze",
        "unsqueeze_copy",
        "view_as_complex_copy",
        "view_as_real_copy",
        "view_copy",
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
