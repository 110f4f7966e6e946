"""An exported program as a module: its graph, node by node, on tensors without values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload, OpOverloadPacket

from squeezesim.errors import ModelError
from squeezesim.frontends.open_sizes import check_shape
from squeezesim.frontends.pt2_inline import inlined
from squeezesim.network.checks import show

MAX_TENSORS = 2**14
"""Most tensors that one operator makes, and most steps of a recurrent one."""

_DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    9: torch.complex32,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
    28: torch.uint16,
    29: torch.float8_e4m3fn,
    30: torch.float8_e5m2,
}
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_META = torch.device("meta")

_SCALARS: dict[str, Callable[..., Any]] = {
    **{
        f"_operator.{name}": getattr(operator, name)
        for name in (
            "add",
            "sub",
            "mul",
            "floordiv",
            "mod",
            "truediv",
            "neg",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
        )
    },
    **{f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc", "sqrt")},
    "torch.sym_float": float,
    "torch.sym_int": int,
    "torch.sym_max": max,
    "torch.sym_min": min,
    "torch.sym_not": operator.not_,
}
"""What a graph computes with sizes."""

_CHECKS = ("_assert_scalar", "_assert_async", "_assert_tensor_metadata", "sym_constrain_range")
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


@dataclass(frozen=True, slots=True)
class _Node:
    """A call of an operator, and the module in which it was."""

    function: Callable[..., Any]
    arguments: tuple[tuple[str, Mapping[str, Any]], ...]
    outputs: tuple[Mapping[str, Any], ...]
    path: tuple[str, ...]
    scope: str  # tells apart the calls of one module

    def __deepcopy__(self, memo: dict[int, Any]) -> _Node:
        return self


class ExportedModule(nn.Module):
    """A module of the exported model, for its path."""

    def forward(self, run: Callable[[], None]) -> None:
        """Run what the module ran."""
        run()


class ExportedOperator(nn.Identity):
    """The same for a module of ``torch.nn`` that computes, which by itself names its layer."""

    def forward(self, run: Callable[[], None]) -> None:  # type: ignore[override]
        """Run what the module ran."""
        run()


class Program(nn.Module):
    """The module whose forward, with inputs by name, runs the graph of an exported program.

    Args:
        graph_module: the JSON of the graph and its signature.
        stored: where each parameter is stored, by its name; two that are stored in one place are one.

    Attributes:
        inputs: the sizes of every input by its name, None for one that is left open.

    Raises:
        ModelError: the graph is not understood or has an operator that is not PyTorch's.
    """

    def __init__(self, graph_module: Any, stored: Mapping[str, str]):
        super().__init__()
        self.inputs: dict[str, list[int | None]] = {}
        self._types: dict[str, torch.dtype] = {}
        self._tensors: dict[str, str] = {}
        self._constants: dict[str, Any] = {}
        # A module with meta tensors cannot be run on the CPU, where sizes from the file would take memory.
        self.register_buffer("_none", torch.empty(0, device=_META))
        try:
            graph = graph_module["graph"]
            self._enter_inputs(graph_module["signature"]["input_specs"], graph["tensor_values"], stored)
            descriptions = inlined(graph["nodes"])
            self._nodes = tuple(map(_node, descriptions))
            for item, description in zip(self._nodes, descriptions, strict=True):
                self._add_scope(item.path, _module_class(description))
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
            reason = " ".join(str(error).split())[:100]
            raise ModelError(
                f"has a graph that is not understood: {type(error).__name__} {reason}"
            ) from error

    def tensor(self, name: str, shape: Sequence[int]) -> torch.Tensor:
        """Return a tensor without values for an input."""
        return torch.empty(tuple(shape), dtype=self._types[name], device=_META)

    def forward(self, /, **tensors: torch.Tensor) -> None:
        """Run the graph."""
        values: dict[str, Any] = dict(self._constants)
        values |= {name: getattr(self, key) for name, key in self._tensors.items()}
        values |= tensors
        for (path, _), nodes in groupby(self._nodes, key=lambda node: (node.path, node.scope)):
            _within(self, path, list(nodes), values)

    def _enter_inputs(
        self, specs: Sequence[Mapping[str, Any]], types: Mapping[str, Any], stored: Mapping[str, str]
    ) -> None:
        tied: dict[tuple[object, ...], str] = {}
        for index, spec in enumerate(specs):
            ((kind, content),) = spec.items()
            if kind == "constant_input":
                ((_, self._constants[content["name"]]),) = content["value"].items()
                continue
            if kind not in ("user_input", "parameter", "buffer", "tensor_constant"):
                raise ModelError(f"has an input of kind {show(kind)}, which is not read")
            argument = content["arg"]
            name = argument["as_tensor"]["name"] if kind == "user_input" else argument["name"]
            meta = types[name]
            self._types[name] = _DTYPES[meta["dtype"]]
            sizes = [size.get("as_int") for size in meta["sizes"]]
            if kind == "user_input":
                self.inputs[name] = sizes
                continue
            check_shape(f"tensor {show(name)}", sizes)
            made = self.tensor(name, sizes)
            if kind == "parameter":
                place = stored.get(content["parameter_name"], index)
                self._tensors[name] = tied.setdefault((place, *sizes), f"p{index}")
                learnt = bool(meta["requires_grad"]) and made.is_floating_point()
                if self._tensors[name] == f"p{index}":
                    self.register_parameter(f"p{index}", nn.Parameter(made, requires_grad=learnt))
            else:
                self._tensors[name] = f"b{index}"
                self.register_buffer(f"b{index}", made)

    def _add_scope(self, path: tuple[str, ...], kind: str) -> None:
        scope: nn.Module = self
        for depth, part in enumerate(path, start=1):
            if part not in scope._modules:
                computes = depth == len(path) and kind.startswith("torch.nn.modules.")
                computes = computes and not kind.startswith("torch.nn.modules.container.")
                scope._modules[part] = ExportedOperator() if computes else ExportedModule()
            child = scope._modules[part]
            assert child is not None
            scope = child


def _within(scope: nn.Module, path: tuple[str, ...], nodes: Sequence[_Node], values: dict[str, Any]) -> None:
    """Run nodes inside the calls of all modules on their path."""
    if not path:
        for node in nodes:
            _run(node, values)
        return
    child = scope._modules[path[0]]
    assert child is not None
    child(lambda: _within(child, path[1:], nodes, values))


def _run(node: _Node, values: dict[str, Any]) -> None:
    arguments = {name: _value(argument, values) for name, argument in node.arguments}
    if isinstance(node.function, OpOverload):
        results = node.function(**_checked(node.function, arguments))
    else:
        results = node.function(*arguments.values())
        if type(results) is int and abs(results) > 2**62:
            raise ModelError("computes a size that is too large")
    names = [_names(output) for output in node.outputs]
    if len(names) <= 1:
        results = (results,)  # None of a check, which makes nothing
    for made, result in zip(names, results, strict=False):
        if isinstance(made, list):
            values.update(zip(made, result, strict=True))
        elif made:
            values[made] = result


def _checked(function: OpOverload, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with no other device than meta; those that would make tensors without end are refused."""
    schema = function._schema
    dims = [size for item in arguments.values() for size in _sizes(item)]
    counts = [value for value in arguments.values() if type(value) is int]
    makes_list = any("[]" in str(result.type) or "List" in str(result.type) for result in schema.returns)
    if makes_list and max((*dims, *counts), default=0) > MAX_TENSORS:
        raise ModelError(f"{schema.name} may make more than {MAX_TENSORS} tensors")
    if schema.name.removeprefix("aten::") in _RECURRENT and max(dims, default=0) > MAX_TENSORS:
        raise ModelError(f"{schema.name} may run more than {MAX_TENSORS} steps")
    for argument in schema.arguments:
        if argument.name == "device":
            arguments["device"] = _META
    return arguments


def _sizes(value: Any) -> list[int]:
    items = value if isinstance(value, list) else [value]
    return [size for item in items if isinstance(item, torch.Tensor) for size in item.shape]


def _node(description: Mapping[str, Any]) -> _Node:
    stack = description["metadata"].get("nn_module_stack", "")
    module = stack.split(";")[-1].split(",") if stack else ["", ""]
    path = module[1].partition("@")[0] if len(module) > 1 else ""
    return _Node(
        function=_function(description["target"]),
        arguments=tuple((item["name"], item["arg"]) for item in description["inputs"]),
        outputs=tuple(description["outputs"]),
        path=tuple(path.split("."))[:50] if path else (),
        scope=stack,
    )


def _module_class(description: Mapping[str, Any]) -> str:
    """The class of the module in which a node was."""
    return str(description["metadata"].get("nn_module_stack", "").split(";")[-1].split(",")[-1])


def _function(target: str) -> Callable[..., Any]:
    """The operator that a target names; none but PyTorch's own on tensors, and arithmetic on sizes."""
    if target in _SCALARS:
        return _SCALARS[target]
    space, _, rest = target.partition(".aten.")
    name, _, overload = rest.partition(".")
    if space != "torch.ops" or name == "from_file":
        raise ModelError(f"has the operator {show(target)}, which is not one of PyTorch's own")
    if name in _CHECKS:
        return lambda *_: None
    packet = getattr(torch.ops.aten, name, None)
    found = getattr(packet, overload, None) if isinstance(packet, OpOverloadPacket) else None
    if not isinstance(found, OpOverload):
        raise ModelError(f"has the operator {show(target)}, which this version of PyTorch does not know")
    return found


def _value(argument: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """What an argument is: tensors and sizes by name, all else as it stands."""
    ((kind, content),) = argument.items()
    if kind not in _READ:
        raise ModelError(f"has an argument of kind {show(kind)}, which is not read")
    return _READ[kind](content, values)


def _named(content: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A size by name, or one that stands as it is; a tensor, or none."""
    ((kind, value),) = content.items()
    if kind == "as_name":
        return values[value]
    return values[value["name"]] if kind == "as_tensor" else None if kind == "as_none" else value


def _names(output: Mapping[str, Any]) -> str | list[str]:
    """The name or names under which a result is known."""
    ((kind, content),) = output.items()
    if kind == "as_tensors":
        return [str(item["name"]) for item in content]
    if kind == "as_tensor":
        return str(content["name"])
    return str(content.get("as_name", "")) if isinstance(content, dict) else ""


_READ: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    **dict.fromkeys(
        ("as_int", "as_ints", "as_bool", "as_bools", "as_string", "as_strings"), lambda it, _: it
    ),
    **dict.fromkeys(("as_optional_tensor", "as_sym_int", "as_sym_bool", "as_sym_float"), _named),
    **dict.fromkeys(
        ("as_optional_tensors", "as_sym_ints", "as_sym_bools", "as_sym_floats"),
        lambda items, values: [_named(item, values) for item in items],
    ),
    "as_device": lambda *_: _META,
    "as_float": lambda value, _: float(value),
    "as_floats": lambda items, _: [float(item) for item in items],
    "as_layout": lambda *_: torch.strided,
    "as_memory_format": lambda value, _: _MEMORY_FORMATS[value],
    "as_none": lambda *_: None,
    "as_scalar_type": lambda value, _: _DTYPES[value],
    "as_tensor": lambda item, values: values[item["name"]],
    "as_tensors": lambda items, values: [values[item["name"]] for item in items],
}
"""Kinds of arguments, and what they are."""
