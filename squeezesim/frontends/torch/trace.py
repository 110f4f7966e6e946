"""From a torch.nn.Module to a Network: one forward pass, recorded, the module left as it was."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten_with_path

from squeezesim.errors import ModelError
from squeezesim.frontends.torch.attention import Attention
from squeezesim.frontends.torch.fold import folded
from squeezesim.frontends.torch.modules import ModuleStack
from squeezesim.frontends.torch.recorder import Literals, Recorded, Recorder
from squeezesim.frontends.torch.recurrence import Recurrences
from squeezesim.frontends.torch.rules import RuleError
from squeezesim.frontends.torch.run import Args, Kwargs, arguments, forward, said
from squeezesim.network import Layer, Network
from squeezesim.network.checks import derive, shape_text

Shape = tuple[int, ...]


def trace(
    module: nn.Module,
    input_shape: Sequence[int] | None = None,
    inputs: Sequence[Any] | Mapping[str, Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Network:
    """Return the network that one forward pass of *module* in eval mode runs: stages marked, nothing fused.

    The module's modes, buffers, hooks and the random states are as before afterwards.

    Args:
        module: the model.
        input_shape: the shape of its only input, batch included.
        inputs: its positional inputs, or inputs by the name of the argument: tensors, shapes in place of
            float tensors, or dicts, tuples and lists of them.
        kwargs: further arguments of its forward.
        name: the network's name; the class's by default.

    Raises:
        ModelError: the forward fails with this input; names the layer that failed and the shapes that it got.

    Example:
        >>> trace(nn.Conv2d(3, 8, 3), (1, 3, 32, 32)).macs
        194400
    """
    name = name or type(module).__name__
    args, named = arguments(module, input_shape, inputs, kwargs)
    return forward(module, args, named, name, partial(_record, name=name))


def _record(module: nn.Module, args: Args, kwargs: Kwargs, name: str) -> Network:
    named = _input_tensors(module, args, kwargs)
    stack = ModuleStack(module)
    recorder = Recorder(stack, module, [tensor for _, tensor in named])
    shapes = tuple((label, tuple(tensor.shape)) for label, tensor in named)
    try:
        with stack, Literals(recorder), recorder, Recurrences(recorder), Attention():
            module(*args, **kwargs)
    except RuleError:
        raise
    except (Exception, SystemExit) as error:
        hint = _way_out(module, said(error), shapes)
        raise ModelError(_failure(name, shapes, stack, error) + hint) from error
    network = Network(
        name=name,
        layers=tuple(_named(folded(recorder.recorded), [label for label, _ in shapes])),
        inputs=shapes,
        unmodelled=recorder.unmodelled,
        unread_params=recorder.unread_params,
        notes=recorder.notes,
        source=f"{type(module).__module__}.{type(module).__qualname__}",
    )
    return network.with_stages()


def _input_tensors(module: nn.Module, args: Args, kwargs: Kwargs) -> list[tuple[str, torch.Tensor]]:
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
    layers: list[Layer] = []
    for item in recorded:
        path = item.call.path if item.call else ""
        alone = item.call is not None and item.call.is_operator and own[item.call.serial] == 1
        op = "_".join(filter(None, (item.layer.op, item.role)))
        base = path if path and alone else "/".join(filter(None, (path, op)))
        used[base] += 1
        name = base if used[base] == 1 else f"{base}#{used[base]}"
        reads = tuple(names[index] if index >= 0 else inputs[-1 - index] for index in item.reads)
        names.append(name)
        layers.append(replace(item.layer, name=name, module=path, inputs=reads))
    for layer, item in zip(layers, recorded, strict=True):
        carried, shared = (tuple(names[index] for index in found) for found in (item.carried, item.shared))
        yield derive(layer, carried=carried, shared=shared) if carried or shared else layer


def _failure(name: str, inputs: Iterable[tuple[str, Shape]], stack: ModuleStack, error: BaseException) -> str:
    given = ", ".join(f"{label} {shape_text(shape)}" for label, shape in inputs)
    reason = said(error)
    return f"{name} rejects {given}: {stack.describe()}: {reason}"


def _way_out(module: nn.Module, reason: str, inputs: Sequence[tuple[str, Shape]]) -> str:
    """What helps where token ids, or floats of another width, were meant."""
    label, shape = inputs[0] if inputs else ("input", ())
    names = list(inspect.signature(module.forward).parameters)
    is_only = label == "input"  # what the only input is called, whatever its name in the forward
    if is_only:
        label = next(iter(names), "input_ids")
    if unknown := _HAS_NO_ARGUMENT.search(reason):
        return _named_otherwise(unknown[1], names, dict(inputs))
    if _WANTS_IDS.search(reason):
        # Ids have a batch and a length: one more size is the batch that a shape without a name has got before it.
        ids = shape[1:] if is_only and len(shape) == 3 and shape[0] == 1 else shape
        return f"; ids are integers: --input {_written(label, ids)}:int64"
    written = _written(label, shape)
    if _WANTS_IDS_BY_NAME.search(reason):
        return "; inputs have names, ids are integers: --input input_ids=1x128:int64"
    if _WANTS_BFLOAT16.search(reason):
        return (
            "; for a kernel of bfloat16 make the model with dtype=bfloat16, "
            f"and its input as --input {written}:bfloat16"
        )
    return ""


def _written(label: str, shape: Shape) -> str:
    return f"{label}={'x'.join(map(str, shape)) or '1x128'}"


def _named_otherwise(unknown: str, names: Sequence[str], inputs: Mapping[str, Shape]) -> str:
    """The nearest argument of a forward that has none called *unknown*, and how its input is written."""
    if unknown not in inputs or not names:
        return ""
    parts = {part: name for name in reversed(names) for part in (name, *name.split("_"))}  # ids of input_ids
    close = get_close_matches(unknown, parts, n=1, cutoff=0.6)
    name = parts[close[0]] if close else names[0]
    kind = ":int64" if name.endswith("ids") else ""
    shown = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"; its arguments are {shown}: --input {_written(name, inputs[unknown])}{kind}"


_MOST_NAMES = 6  # arguments of a forward in a message

# What PyTorch and transformers say, and what is meant.
_WANTS_IDS = re.compile(r"scalar types: Long, Int|tensors used as indices must be long")
_WANTS_IDS_BY_NAME = re.compile(r"missing \d+ required positional arguments?: .*_ids|specify .*input_ids")
_HAS_NO_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'")
_WANTS_BFLOAT16 = re.compile(r"bfloat16|\bbf16\b", re.IGNORECASE)
