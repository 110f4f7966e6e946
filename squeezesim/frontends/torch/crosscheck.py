"""Second opinions: our MACs of each module beside those of fvcore and of PyTorch's own counter."""

from __future__ import annotations

import copy
import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from squeezesim.errors import ModelError
from squeezesim.frontends.torch.modules import ModuleStack
from squeezesim.frontends.torch.operators import GROUPED, PRODUCT_RULES
from squeezesim.frontends.torch.run import (
    Args,
    Kwargs,
    arguments,
    decomposed,
    forward,
    said,
    tensors_of,
    too_large_to_run,
    undisturbed,
)
from squeezesim.frontends.torch.trace import trace

# fvcore's names of operators that multiply and accumulate; it also counts normalisations and upsampling.
_FVCORE_PRODUCTS = frozenset({"addmm", "bmm", "conv", "einsum", "linear", "matmul", "mm"})

# Operators with products that fvcore, which sees the module before PyTorch takes them apart, has no rule for.
_FVCORE_LACKS = frozenset(
    {
        *(
            "addbmm",
            "addmv",
            "baddbmm",
            "bilinear",
            "dot",
            "gru",
            "gru_cell",
            "inner",
            "linalg_multi_dot",
            "lstm",
        ),
        *("lstm_cell", "mv", "outer", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"),
        *("scaled_dot_product_attention", "tensordot", "vdot"),
    }
)

_FUNCTION = "prim::PythonOp."
"""What fvcore calls a ``torch.autograd.Function``, followed by the class's name."""


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """MACs of the operators that one module calls itself, its submodules left out.

    Attributes:
        module: its path.
        macs: as squeezesim counts.
        fvcore_macs: as fvcore does; None where it cannot run the model.
        torch_macs: half the operations that ``torch.utils.flop_counter.FlopCounterMode`` counts.
        why: for every count that differs, the reason in words; empty where it is not known.
    """

    module: str
    macs: int
    fvcore_macs: int | None
    torch_macs: int
    why: str = ""

    @property
    def agrees(self) -> bool:
        """Whether all counts that there are are equal."""
        return self.torch_macs == self.macs and self.fvcore_macs in (self.macs, None)


@dataclass(slots=True)
class _Opinion:
    """What another counter says: MACs by module, the operators with products that it has no rule for, and the
    autograd functions that it does not look into."""

    macs: Counter[str] = field(default_factory=Counter)
    lacks: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    closed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failure: str = ""

    def why(self, who: str, path: str, macs: int) -> str | None:
        """Return why it counts otherwise, empty if there is no difference, None if the reason is not known."""
        if self.failure:
            return f"{who} cannot run the model: {self.failure}"
        if self.macs[path] == macs:
            return ""
        reasons = []
        if self.lacks[path]:
            reasons.append(f"{who} has no rule for {', '.join(sorted(self.lacks[path]))}")
        if self.closed[path]:
            reasons.append(
                f"{who} does not look into autograd functions: {', '.join(sorted(self.closed[path]))}"
            )
        return "; ".join(reasons) if reasons and self.macs[path] < macs else None


def cross_check(module: nn.Module, inputs: Sequence[Any] | Mapping[str, Any]) -> list[CrossCheck]:
    """Return three counts of the MACs of every module of *module* in which any counts some.

    Args:
        module: the model.
        inputs: its inputs as ``trace`` takes them.

    Raises:
        ModelError: the forward fails with this input.

    Example:
        >>> cross_check(nn.Linear(8, 4), [(2, 8)])
        [CrossCheck(module='', macs=64, fvcore_macs=64, torch_macs=64, why='')]
    """
    ours: Counter[str] = Counter()
    counted_in = _counted_in(module)
    for layer in trace(module, inputs=inputs).layers:
        ours[counted_in(layer.module)] += layer.macs
    args, kwargs = arguments(module, None, inputs, None)
    torchs = forward(module, args, kwargs, type(module).__name__, _torch_opinion)
    fvcores = _fvcore_opinion(module, args, kwargs)
    paths = [path for path, _ in module.named_modules()]
    paths += [path for path in ours if path not in paths]
    rows = []
    for path in paths:
        reasons = [
            opinion.why(who, path, ours[path]) for who, opinion in (("fvcore", fvcores), ("torch", torchs))
        ]
        why = "" if None in reasons else "; ".join(filter(None, reasons))
        fvcore_macs = None if fvcores.failure else fvcores.macs[path]
        rows.append(CrossCheck(path, ours[path], fvcore_macs, torchs.macs[path], why))
    return [row for row in rows if row.macs or row.fvcore_macs or row.torch_macs]


def _counted_in(module: nn.Module) -> Callable[[str], str]:
    """What the counters call the module of a layer: a shared one its first path, parts of a recurrence the whole."""
    first = {id(part): path for path, part in module.named_modules()}

    @cache
    def name(path: str) -> str:
        above = path
        while True:
            try:
                part = module.get_submodule(above)
            except AttributeError:
                above = above.rpartition(".")[0]
            else:
                return first[id(part)] if above == path or isinstance(part, nn.RNNBase) else path

    return name


class _Attributing(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Says which module every operation that *counter* counts ran in, by the paths that our layers have."""

    def __init__(self, module: nn.Module, counter: FlopCounterMode, stack: ModuleStack, opinion: _Opinion):
        super().__init__()  # type: ignore[no-untyped-call]
        self._counted_in = _counted_in(module)
        self._counter = counter
        self._stack = stack
        self._opinion = opinion

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Args = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run *func* under the counter."""
        del types
        before = self._counter.get_total_flops()
        output = func(*args, **(kwargs or {}))
        path = self._counted_in(self._stack.current.path if self._stack.current else "")
        counted = self._counter.get_total_flops() - before
        self._opinion.macs[path] += counted // 2
        if not counted and func._schema.name.removeprefix("aten::") in GROUPED.keys() | PRODUCT_RULES.keys():
            self._opinion.lacks[path].add(func._schema.name.removeprefix("aten::"))
        return output


def _torch_opinion(module: nn.Module, args: Args, kwargs: Kwargs) -> _Opinion:
    opinion, stack = _Opinion(), ModuleStack(module)
    module.requires_grad_(False)  # FlopCounterMode fails on a parameter that is passed to a module
    counter = FlopCounterMode(display=False)
    try:
        with stack, counter, _Attributing(module, counter, stack, opinion):
            module(*args, **kwargs)
    except SystemExit as error:
        raise ModelError(said(error)) from error
    return opinion


def _fvcore_opinion(module: nn.Module, args: Args, kwargs: Kwargs) -> _Opinion:
    """It runs the forward to trace it, which needs values, takes time without oneDNN and has no names."""
    opinion = _Opinion()
    try:
        if too_large := too_large_to_run(module, tensors_of(args, kwargs)):
            raise ModelError(too_large)
        if kwargs:
            args, kwargs = _positional(module, args, kwargs)
        with undisturbed(), decomposed(onednn=True):
            from fvcore.nn import FlopCountAnalysis  # in here, for its import warns

            values = tuple(arg.contiguous() if isinstance(arg, torch.Tensor) else arg for arg in args)
            analysis = FlopCountAnalysis(copy.deepcopy(module).eval(), values)
            analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
            counted = analysis.by_module_and_operator()
            lacks = {path: analysis.unsupported_ops(path) for path in counted}
    except (Exception, SystemExit) as error:
        opinion.failure = said(error)[:100]
        return opinion
    for path, operators in counted.items():
        macs = sum(int(macs) for op, macs in operators.items() if op in _FVCORE_PRODUCTS)
        opinion.macs[path] += macs
        if path:
            opinion.macs[path.rpartition(".")[0]] -= macs
    for path in counted:
        below = Counter[str]()
        for other in counted:
            if other and other != path and other.rpartition(".")[0] == path:
                below += lacks[other]
        own = {op.removeprefix("aten::") for op in lacks[path] - below}
        opinion.lacks[path] = own & _FVCORE_LACKS
        opinion.closed[path] = {op.removeprefix(_FUNCTION) for op in own if op.startswith(_FUNCTION)}
    return opinion


def _positional(module: nn.Module, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    bound = inspect.signature(module.forward).bind(*args, **kwargs)
    if bound.kwargs:
        raise ModelError(f"it takes no keyword arguments, such as {next(iter(bound.kwargs))}")
    return bound.args, {}
