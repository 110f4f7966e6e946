"""Archives of torch.export (.pt2), read without unpickling.

PyTorch's own loader unpickles parts of the archive. Here nothing but the JSON of the graph is read, and no operator
runs that is not one of PyTorch's own. https://docs.pytorch.org/docs/stable/export/pt2_archive.html
"""

from __future__ import annotations

import io
import json
import math
import operator
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import nn
from torch._ops import OpOverload, OpOverloadPacket

from squeezesim.errors import ModelError
from squeezesim.files import open_to_read
from squeezesim.frontends.open_sizes import check_names, check_shape, filled
from squeezesim.network import Network
from squeezesim.network.checks import show

_SPACE = "torch.ops.higher_order."

# What Python's `with torch.no_grad()` and `with torch.autocast()` become. Types of numbers are not counted.
_WRAPPERS = ("wrap_with_autocast", "wrap_with_set_grad_enabled")

_REASONS = {
    "associative_scan": "runs a graph once for each slice of a tensor",
    "cond": "runs one of two graphs, as the value of a tensor decides",
    "map_impl": "runs a graph once for each slice of a tensor",
    "scan": "runs a graph once for each slice of a tensor",
    "while_loop": "repeats a graph as often as the values of tensors decide",
}


def inlined(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return *nodes*, the JSON of a graph, with the nodes of the graphs that they wrap in the wrappers' places.

    Values of an inner graph get names of their own.

    Raises:
        ModelError: a node runs another graph in a way that is not read; says why.
    """
    return list(_inlined(nodes, {}, "", count(1)))


def _inlined(
    nodes: Sequence[Mapping[str, Any]], scope: dict[str, str], suffix: str, serials: Iterator[int]
) -> Iterator[Mapping[str, Any]]:
    """The nodes under the names of the whole program, which *scope* knows by the names of the graph."""
    for node in nodes:
        target = node["target"]
        if not target.startswith(_SPACE):
            inputs = [{**item, "arg": _renamed(item["arg"], scope)} for item in node["inputs"]]
            scope.update(
                (name, f"{name}{suffix}") for output in node["outputs"] for name in _inner_names(output)
            )
            outputs = [_renamed(output, scope) for output in node["outputs"]]
            yield {**node, "inputs": inputs, "outputs": outputs}
            continue
        operator = target.removeprefix(_SPACE)
        if operator not in _WRAPPERS:
            why = _REASONS.get(operator, "runs a graph of its own in a way that is not read")
            raise ModelError(f"has the operator {show(target)}, which {why}")
        arguments = [item["arg"] for item in node["inputs"]]
        places = [index for index, argument in enumerate(arguments) if "as_graph" in argument]
        if len(places) != 1:
            raise ModelError(f"has the operator {show(target)} with {len(places)} graphs to run; read is one")
        place = places[0]
        graph = arguments[place]["as_graph"]["graph"]
        given = _all_names(arguments[place + 1 :])
        inner = {
            name: scope.get(outer, outer)
            for name, outer in zip(_all_names(graph["inputs"]), given, strict=True)
        }
        yield from _inlined(graph["nodes"], inner, f"@{next(serials)}", serials)
        made = [inner[name] for name in _all_names(graph["outputs"])]
        scope.update(zip(_all_names(node["outputs"]), made, strict=True))


def _all_names(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for value in values for name in _inner_names(value)]


def _inner_names(value: Any) -> list[str]:
    """The names of the tensors and sizes of an argument or a result."""
    if isinstance(value, list):
        return [name for item in value for name in _inner_names(item)]
    if not isinstance(value, dict):
        return []
    own = [item for key, item in value.items() if key in ("name", "as_name") and isinstance(item, str)]
    return own + [name for item in value.values() for name in _inner_names(item)]


def _renamed(value: Any, scope: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: scope.get(item, item)
        if key in ("name", "as_name") and isinstance(item, str)
        else _renamed(item, scope)
        for key, item in value.items()
    }


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


MAX_DIRECTORY = 16 * 2**20
"""Most bytes of the list of an archive's members."""

MAX_BYTES = 64 * 2**20
"""Largest graph that is read, unpacked."""

SCHEMA = 8
"""Version of the graph's format."""

_WEIGHTS = "/data/weights/model_weights_config.json"
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error)


def read(
    path: str | os.PathLike[str],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
) -> Network:
    """Return the network of an exported program, as ``torch.export.save`` writes it; no weights are loaded.

    Args:
        path: the archive.
        input_shapes: shapes of inputs by name, batch included, for the dimensions that the file leaves open.
        batch: the first dimension of every input that leaves it open.

    Raises:
        ModelError: the archive cannot be read, an input's dimension is open and not given, or an operator cannot run.

    Example:
        >>> read("squeezenet1_1.pt2").macs  # doctest: +SKIP
        349151936
    """
    name, given = os.fspath(path), input_shapes or {}
    raw = open_to_read(name, ModelError)
    try:
        with raw:
            graph_module, stored = _contents(raw)
        from squeezesim.frontends.torch.trace import trace

        program = Program(graph_module, stored)
        check_names(given, list(program.inputs))
        tensors = {
            label: program.tensor(label, filled(label, sizes, {}, given.get(label), batch))
            for label, sizes in program.inputs.items()
        }
        network = trace(program, inputs=tensors, name=Path(name).stem)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error.__cause__
    return replace(network, source=name)


def _contents(raw: BinaryIO) -> tuple[Any, dict[str, str]]:
    """The graph of the only program in an archive, and where each of its tensors is stored, by name."""
    bounded = _Bounded(raw, MAX_DIRECTORY)
    try:
        with zipfile.ZipFile(bounded) as archive:
            programs = [item for item in archive.infolist() if _is_program(item.filename)]
            if len(programs) != 1:
                raise ModelError(f"holds {len(programs)} exported programs; read is an archive of one")
            bounded.budget = 2 * MAX_BYTES
            graph_module = _graph_module(_text(archive, programs[0]))
            lists = [item for item in archive.infolist() if item.filename.endswith(_WEIGHTS)]
            return graph_module, _stored(_text(archive, lists[0])) if lists else {}
    except OSError as error:
        raise ModelError(error.strerror or str(error)) from None
    except (*_BROKEN, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise ModelError("is no .pt2 archive, or only a part of one") from None


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without bounds
        raise ModelError("has a graph that is packed in a way that torch does not use")
    with archive.open(member) as content:
        text = content.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ModelError(f"has a graph of more than {MAX_BYTES} bytes")
    return text


def _stored(text: bytes) -> dict[str, str]:
    """The file of each tensor by its name: names of one file are tied."""
    try:
        return {str(name): str(entry["path_name"]) for name, entry in json.loads(text)["config"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError("has a list of weights that is not understood") from None


def _is_program(member: str) -> bool:
    """Whether a member is the graph of a program, as torch writes it since 2.8, or did before."""
    folder, _, name = member.rpartition("/")
    return name == "serialized_exported_program.json" or (
        folder.rpartition("/")[2] == "models" and name.endswith(".json")
    )


def _graph_module(text: bytes) -> Any:
    try:
        program = json.loads(text)
        version, graph_module = program["schema_version"]["major"], program["graph_module"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError("has a graph that is no exported program") from None
    if version != SCHEMA:
        raise ModelError(
            f"has a graph of format {show(version)}; read is {SCHEMA}, which torch 2.5 and later write"
        )
    return graph_module


class _Bounded(io.RawIOBase):
    """A file of which no more is read than its budget."""

    def __init__(self, raw: BinaryIO, budget: int):
        self.budget = budget
        self._raw = raw

    def read(self, size: int = -1, /) -> bytes:
        """Read *size* bytes, all by default."""
        data = self._raw.read(min(size, self.budget + 1) if size >= 0 else self.budget + 1)
        self.budget -= len(data)
        if self.budget < 0:
            raise ModelError("lists more members, or holds a larger graph, than is read")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset."""
        return self._raw.tell()

    def seekable(self) -> bool:
        """Return that it is."""
        return True
