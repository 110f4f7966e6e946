"""A second opinion: our MACs of each module beside those that fvcore counts."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from squeezesim.frontends.isolate import decomposed, undisturbed
from squeezesim.frontends.trace import trace

# fvcore's names of operators that multiply and accumulate; it also counts normalisations and upsampling.
_MAC_OPERATORS = frozenset({"addmm", "bmm", "baddbmm", "conv", "einsum", "linear", "matmul", "mm"})


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """MACs of the operators that one module calls itself, its submodules left out."""

    module: str
    macs: int
    fvcore_macs: int

    @property
    def agrees(self) -> bool:
        """Whether both counts are equal."""
        return self.macs == self.fvcore_macs


def cross_check(module: nn.Module, input_shape: Sequence[int]) -> list[CrossCheck]:
    """Return our and fvcore's MACs of every module of *module* in which either counts some.

    fvcore has no rule for some operators that we count, scaled dot-product attention among them: there its count is
    lower.

    Raises:
        ModelError: the forward fails with this input.

    Example:
        >>> cross_check(nn.Linear(8, 4), (2, 8))
        [CrossCheck(module='', macs=64, fvcore_macs=64)]
    """
    network = trace(module, input_shape)
    ours: Counter[str] = Counter()
    for layer in network.layers:
        ours[layer.module] += layer.macs
    theirs = _fvcore_macs(module, input_shape)
    paths = [path for path, _ in module.named_modules()]
    paths += [path for path in ours if path not in paths]
    rows = [CrossCheck(path, ours[path], theirs.get(path, 0)) for path in paths]
    return [row for row in rows if row.macs or row.fvcore_macs]


def _fvcore_macs(module: nn.Module, input_shape: Sequence[int]) -> Mapping[str, int]:
    with undisturbed(), decomposed(onednn=True):
        from fvcore.nn import FlopCountAnalysis  # in here, for its import warns

        # It runs the forward to trace it, which needs values and takes time without oneDNN.
        analysis = FlopCountAnalysis(copy.deepcopy(module).eval(), torch.zeros(tuple(input_shape)))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counted = analysis.by_module_and_operator()
    whole = {
        path: sum(int(macs) for op, macs in operators.items() if op in _MAC_OPERATORS)
        for path, operators in counted.items()
    }
    own = dict(whole)
    for path, macs in whole.items():
        if path:
            own[path.rpartition(".")[0]] -= macs
    return own
