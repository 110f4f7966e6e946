"""From a torch.nn.Module to a Network: one forward pass, recorded, the module left as it was."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_flatten_with_path, tree_map

from squeezesim.errors import ModelError
from squeezesim.frontends.isolate import decomposed, evaluating, undisturbed, weightless_copy
from squeezesim.frontends.modules import ModuleStack
from squeezesim.frontends.recorder import Recorded, Recorder
from squeezesim.network import Layer, Network
from squeezesim.network.passes import mark_stages

Shape = tuple[int, ...]


def trace(
    module: nn.Module,
    input_shape: Sequence[int] | None = None,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Network:
    """Return the network that one forward pass of *module* in eval mode runs: stages marked, nothing fused.

    The pass runs on a copy without weights on the meta device, and where the forward needs the value of a
    tensor, on a copy with weights on the CPU. The module's modes, buffers, hooks and the random states are
    as before afterwards.

    Args:
        module: the model.
        input_shape: the shape of its only input, batch included.
        inputs: its positional inputs, or inputs by the name of the argument: tensors, shapes in place of
            float tensors, or any nesting of tensors.
        kwargs: further arguments of its forward.
        name: the network's name; the class's by default.

    Raises:
        ModelError: the forward fails with this input; names the layer that failed and the shapes that it got.

    Example:
        >>> trace(nn.Conv2d(3, 8, 3), (1, 3, 32, 32)).macs
        194400
    """
    name = name or type(module).__name__
    if any(is_lazy(parameter) for parameter in module.parameters()):
        raise ModelError(f"{name} has lazy parameters without a shape: run it once before it is traced")
    args, named = _arguments(module, input_shape, inputs, kwargs)
    with undisturbed(), decomposed():
        try:
            return _on_meta(module, args, named, name)
        except Exception:
            if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
                raise  # it has no values to fall back on
            return _on_cpu(module, args, named, name)


def _on_meta(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Network:
    # Tensors that a forward makes without naming a device have to join the others there.
    with torch.device("meta"):
        return _record(weightless_copy(module), args, kwargs, name, "meta")


def _on_cpu(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Network:
    try:
        duplicate = copy.deepcopy(module).cpu()
    except Exception:  # a module that cannot be copied can still be run and restored
        duplicate = module
    with evaluating(duplicate):
        return _record(duplicate, args, kwargs, name, "cpu")


def _record(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], name: str, device: str
) -> Network:
    def on_device(leaf: Any) -> Any:
        return torch.empty_like(leaf, device=device).copy_(leaf) if isinstance(leaf, torch.Tensor) else leaf

    args, kwargs = tree_map(on_device, (args, kwargs))
    named = _input_tensors(module, args, kwargs)
    stack = ModuleStack()
    recorder = Recorder(stack, module.parameters(), [tensor for _, tensor in named])
    shapes = tuple((label, tuple(tensor.shape)) for label, tensor in named)
    try:
        with stack, recorder:
            module(*args, **kwargs)
    except Exception as error:
        raise ModelError(_failure(name, shapes, stack, error)) from error
    network = Network(
        name=name,
        layers=tuple(_named(recorder.recorded, [label for label, _ in shapes])),
        inputs=shapes,
        unmodelled=recorder.unmodelled,
        unread_params=recorder.unread_params,
        source=f"{type(module).__module__}.{type(module).__qualname__}",
    )
    return mark_stages(network)


def _arguments(
    module: nn.Module,
    input_shape: Sequence[int] | None,
    inputs: Sequence[Any] | Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if (input_shape is None) == (inputs is None):
        raise ModelError("to trace a module, give either input_shape or inputs")
    dtypes = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
    dtype = next(dtypes, torch.float32)

    def tensor(value: Any) -> Any:
        if isinstance(value, (tuple, list)) and value and all(type(size) is int for size in value):
            return torch.zeros((), dtype=dtype).expand(tuple(value))
        return value

    if inputs is None:
        assert input_shape is not None
        return (tensor(tuple(input_shape)),), dict(kwargs or {})
    if isinstance(inputs, Mapping):
        return (), {key: tensor(value) for key, value in inputs.items()} | dict(kwargs or {})
    if isinstance(inputs, torch.Tensor):
        return (inputs,), dict(kwargs or {})
    return tuple(tensor(value) for value in inputs), dict(kwargs or {})


def _input_tensors(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[tuple[str, torch.Tensor]]:
    """The tensors among the arguments with their names: "input" where there is only one positional."""
    names = [parameter.name for parameter in inspect.signature(module.forward).parameters.values()]
    names += [f"input{index}" for index in range(len(names), len(args))]
    named: list[tuple[str, Any]] = list(zip(names, args, strict=False)) + list(kwargs.items())
    found = []
    for name, value in named:
        for path, leaf in tree_flatten_with_path(value)[0]:
            if isinstance(leaf, torch.Tensor):
                found.append(("".join([name, *map(str, path)]), leaf))
    return [("input", found[0][1])] if len(found) == 1 and args else found


def _named(recorded: Sequence[Recorded], inputs: Sequence[str]) -> Iterable[Layer]:
    """Layers under their module's path, or path/operator where it does more than its class's own operator."""
    own = Counter(item.call.serial for item in recorded if item.call)
    used = Counter(inputs)
    names: list[str] = []
    for item in recorded:
        path = item.call.path if item.call else ""
        alone = item.call is not None and item.call.is_operator and own[item.call.serial] == 1
        base = path if path and alone else "/".join(filter(None, (path, item.layer.op)))
        used[base] += 1
        name = base if used[base] == 1 else f"{base}#{used[base]}"
        reads = tuple(names[index] if index >= 0 else inputs[-1 - index] for index in item.reads)
        names.append(name)
        yield replace(item.layer, name=name, module=path, inputs=reads)


def _failure(name: str, inputs: Iterable[tuple[str, Shape]], stack: ModuleStack, error: Exception) -> str:
    given = ", ".join(f"{label} {'x'.join(map(str, shape))}" for label, shape in inputs)
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{name} rejects {given}: {stack.describe()}: {reason}"
