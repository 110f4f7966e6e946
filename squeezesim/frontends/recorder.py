"""Recorder: sees every operator of a forward pass and keeps the layers and what each of them reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from squeezesim.frontends.aten.call import Call, Operand, Rule
from squeezesim.frontends.aten.rules import is_free, is_registered, rule_for
from squeezesim.frontends.modules import ModuleCall, ModuleStack
from squeezesim.frontends.origins import Origin, Origins, Region, region_of, storage_key
from squeezesim.network import Layer, Unmodelled

States = list[torch.Tensor]
_CARRIED = -(2**40)  # and below: what the step before made, in place of a layer


@dataclass(frozen=True, slots=True)
class Recorded:
    """A layer as it ran: without its name, with the numbers of the layers that it reads and of its parameters."""

    layer: Layer
    reads: tuple[int, ...]
    call: ModuleCall | None
    params: tuple[int, ...] = ()
    carried: tuple[int, ...] = ()  # layers that each step reads as the step before made them

    def like(self, other: Recorded) -> bool:
        """Return whether it is the same work with the same parameters, whoever counts them and whatever both read."""
        mine = replace(self.layer, params=other.layer.params)
        return (mine, self.params) == (other.layer, other.params)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operators that run while it is active.

    Tensors are followed by their storage, so that views, and what is written in place, lead to the layer
    that made the values. Work on parameters and constants alone is no layer of the network; a layer that
    reads its result reads the parameters. Each parameter is counted in the first layer that reads it.
    """

    supports_higher_order_operators = True

    def __init__(
        self, stack: ModuleStack, parameters: Iterable[nn.Parameter], inputs: Iterable[torch.Tensor]
    ):
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorded: list[Recorded] = []
        self._stack = stack
        self._unmodelled: Counter[str] = Counter()
        self._first_module: dict[str, str] = {}
        self._origins = Origins()
        self._rows: dict[tuple[int, Region], tuple[int, ...]] = {}
        self._sizes: list[int] = []
        self._uncounted: set[int] = set()
        self._fresh: dict[Any, bool] = {}
        self._results: dict[Any, tuple[tuple[int, ...], tuple[int, ...], torch.dtype]] = {}
        self._layers: dict[Any, Layer] = {}
        for index, parameter in enumerate(parameters):
            self._sizes.append(parameter.numel())
            self._uncounted.add(index)
            known = self._origins.of(parameter)  # a parameter may be a view of another one's memory
            self._origins.set(parameter, known | Origin(params=(index,)))
        for index, tensor in enumerate(inputs):
            self._origins.set(tensor, Origin(layers=(-1 - index,)))

    @property
    def unread_params(self) -> int:
        """Learnable values that no layer read."""
        return sum(self._sizes[index] for index in self._uncounted)

    @property
    def unmodelled(self) -> tuple[Unmodelled, ...]:
        """Operators without a rule, in the order in which they first ran."""
        return tuple(Unmodelled(op, count, self._first_module[op]) for op, count in self._unmodelled.items())

    def repeat(self, step: Callable[[States], States], states: States, times: int) -> tuple[States, States]:
        """Run *step* from *states* on, *times* of it, at least three, each from the states that the one before made.

        The first is run and, for all the others, one more; they are one where they do the same. Returns the states
        after the first step and after the last.
        """
        begin = len(self.recorded)
        first = step(states)
        middle = len(self.recorded)
        before = [torch.empty_like(state) for state in states]
        for number, state in enumerate(before):
            self._origins.set(state, Origin(layers=(_CARRIED - number,)))
        last = step(before)
        makers = [self._origins.of(state) for state in last]

        def traced(reads: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(dict.fromkeys(read for read in reads if read > _CARRIED))

        for index in range(middle, len(self.recorded)):
            item = self.recorded[index]
            states_read = [_CARRIED - read for read in item.reads if read <= _CARRIED]
            given = (maker for number in states_read for maker in self._origins.of(first[number]).layers)
            made = (maker for number in states_read for maker in makers[number].layers)
            self.recorded[index] = replace(
                item, reads=traced((*item.reads, *given)), carried=traced(tuple(made))
            )
        size = middle - begin
        if self._same(begin, middle):
            for index in range(begin, middle):
                item, after = self.recorded[index], self.recorded[index + size]
                carried = tuple(maker - size for maker in after.carried)
                self.recorded[index] = replace(item, layer=item.layer.repeated(times), carried=carried)
            del self.recorded[middle:]
        else:
            size = 0
            for index in range(middle, len(self.recorded)):
                item = self.recorded[index]
                self.recorded[index] = replace(item, layer=item.layer.repeated(times - 1))
        for state, maker in zip(last, makers, strict=True):
            layers = tuple(read - size if read >= middle else read for read in traced(maker.layers))
            self._origins.set(state, replace(maker, layers=layers))
        return first, last

    def _same(self, begin: int, middle: int) -> bool:
        """Whether the step from *begin* on does what that from *middle* on does, but for what it begins with."""
        size = middle - begin
        if len(self.recorded) != middle + size:
            return False
        for one, other in zip(self.recorded[begin:middle], self.recorded[middle:], strict=True):
            # A step reads what its parts made and, before the first, what the states were.
            reads = {read - size if read >= middle else read for read in other.reads}
            reads -= {read for read in other.reads if begin <= read < middle}
            inside = {read for read in one.reads if read >= begin}
            if not one.like(other) or not inside <= reads <= set(one.reads):
                return False
        return True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run *func* and record it."""
        del types
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            raise NotImplementedError(f"the higher-order operator {func} runs functions that are not traced")
        output = self._run(func, args, kwargs)
        outputs = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
        if func.is_view:
            self._remember_rows(args[0], outputs)
        else:
            self._record(func, args, kwargs, outputs)
        return output

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run *func*; where its result has no values and follows from shapes alone, only the first time."""
        fresh = self._fresh.get(func)
        if fresh is None:
            fresh = self._fresh[func] = _makes_anew(func)
        key = (func, _signed(args), _signed(tuple(kwargs.items()))) if fresh else None
        if key is None or None in key:
            return func(*args, **kwargs)
        known = self._results.get(key)
        if known is not None:
            shape, strides, dtype = known
            return torch.ops.aten.empty_strided.default(shape, strides, dtype=dtype, device="meta")
        result = func(*args, **kwargs)
        if type(result) is torch.Tensor and _is_plain(result) and not result.storage_offset():
            self._results[key] = tuple(result.shape), result.stride(), result.dtype
        return result

    def _layer(self, name: str, rule: Rule, call: Call) -> Layer:
        """The layer that *call* becomes; equal calls become equal layers, each made once but by rules of the user's."""
        if is_registered(name):
            return rule(call)
        key = name, _frozen(tuple(call.arguments.values())), call.output
        layer = self._layers.get(key)
        if layer is None:
            layer = self._layers[key] = rule(call)
        return layer

    def _record(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: list[torch.Tensor]
    ) -> None:
        schema = func._schema
        values = {
            argument.name: args[index]
            if index < len(args)
            else kwargs.get(argument.name, argument.default_value)
            for index, argument in enumerate(schema.arguments)
        }
        written = [
            leaf
            for argument in schema.arguments
            if argument.alias_info is not None and argument.alias_info.is_write
            for leaf in tree_leaves(values[argument.name])
            if isinstance(leaf, torch.Tensor)
        ]
        results = outputs or written
        if not results:
            return
        origin = Origin()
        for leaf in tree_leaves(values):
            if isinstance(leaf, torch.Tensor):
                origin |= self._origins.of(leaf)
        name = _operator(schema.name, bool(written))
        if is_free(name):
            self._remember_rows(args[0] if args else None, outputs)
        elif not results[0].numel() or self._reads_nothing(values):
            origin = Origin(origin.layers)  # nothing is computed with the parameters
        elif rule := rule_for(name):
            arguments = {key: self._operands(value) for key, value in values.items()}
            call = Call(name, arguments, tuple(results[0].shape))
            layer = self._layer(name, rule, call)
            if layer.kind == "mac" and results[0].is_complex() and not is_registered(name):
                origin = self._note_unmodelled(f"{name} of complex numbers", origin)  # four MACs, or three
            elif origin.layers or layer.kind == "mac":
                origin = self._append(layer, origin)
        elif origin.layers:
            origin = self._note_unmodelled(name, origin)
        for tensor in (*outputs, *written):
            self._origins.set(tensor, origin, in_place=any(tensor is target for target in written))

    def _reads_nothing(self, values: Mapping[str, Any]) -> bool:
        """Whether a tensor of data that an operator reads is empty: a sum over nothing, what is written nowhere."""
        tensors = [value for value in values.values() if isinstance(value, torch.Tensor)]
        return any(not tensor.numel() and self._origins.of(tensor).layers for tensor in tensors)

    def _note_unmodelled(self, name: str, origin: Origin) -> Origin:
        running = self._stack.current
        self._unmodelled[name] += 1
        self._first_module.setdefault(name, running.path if running else "")
        return Origin(origin.layers)

    def _append(self, layer: Layer, origin: Origin) -> Origin:
        read = sum(self._sizes[index] for index in origin.params)
        learnt = sum(self._sizes[index] for index in origin.params if index in self._uncounted)
        self._uncounted.difference_update(origin.params)
        weights = layer.weight_elements or read
        if (layer.params, layer.weight_elements) != (learnt, weights):
            layer = replace(layer, params=learnt, weight_elements=weights)
        self.recorded.append(Recorded(layer, origin.layers, self._stack.current, origin.params))
        return Origin(layers=(len(self.recorded) - 1,))

    def _operands(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            shape = tuple(value.shape)
            rows = self._rows.get((storage_key(value), region_of(value)))
            return Operand(shape, bool(self._origins.of(value).layers), rows)
        if isinstance(value, (list, tuple)):
            return [
                self._operands(item)
                for item in value
                if not isinstance(item, torch.Tensor) or item.numel()  # a part without elements joins nothing
            ]
        return value

    def _remember_rows(self, source: Any, outputs: list[torch.Tensor]) -> None:
        """Remember the shape of what is flattened to a matrix, to tell batch and rows of a linear layer."""
        if (
            isinstance(source, torch.Tensor)
            and source.dim() > 2
            and len(outputs) == 1
            and outputs[0].dim() == 2
        ):
            result = outputs[0]
            if result.shape[-1] == source.shape[-1] and result.numel() == source.numel():
                self._rows[storage_key(result), region_of(result)] = tuple(source.shape)


def _makes_anew(func: Any) -> bool:
    """Whether *func* makes one tensor that shares no memory, and always the same of the same."""
    schema = func._schema
    alone = len(schema.returns) == 1 and str(schema.returns[0].type) == "Tensor"
    drawn = torch.Tag.nondeterministic_seeded in func.tags
    return alone and not drawn and not any(item.alias_info for item in (*schema.arguments, *schema.returns))


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether shape, strides and type are all that there is to *tensor*."""
    strided = tensor.is_meta and tensor.layout is torch.strided
    return strided and not (tensor.is_conj() or tensor.is_neg() or tensor.requires_grad)


def _signed(value: Any) -> Any:
    """What the shape of a result can depend on, to look it up by; None where that is more than can be said."""
    if isinstance(value, torch.Tensor):
        plain = (
            type(value) in (torch.Tensor, nn.Parameter) and value.is_meta and value.layout is torch.strided
        )
        if not plain or value.is_conj() or value.is_neg():
            return None
        return tuple(value.shape), value.stride(), value.dtype
    if isinstance(value, (list, tuple)):
        parts = tuple(map(_signed, value))
        return None if None in parts else parts
    return _frozen(value)


def _frozen(value: Any) -> Any:
    """*value*, the argument of a call, to look it up by."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    return (
        value if isinstance(value, Operand) else (type(value), value)
    )  # True is not 1, nor 1 the same as 1.0


def _operator(qualified: str, in_place: bool) -> str:
    """``aten::relu_`` → ``relu``; another library's operator keeps its namespace."""
    namespace, _, name = qualified.partition("::")
    if in_place and name.endswith("_") and not name.endswith("__"):
        name = name.removesuffix("_")
    return name if namespace == "aten" else f"{namespace}.{name}"
