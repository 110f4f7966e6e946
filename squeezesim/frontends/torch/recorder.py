"""What runs in a forward pass: operators, and the layers that they become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from squeezesim.frontends.elements import Ledger, Region, Use, unrepeated
from squeezesim.frontends.torch.modules import ModuleCall, ModuleStack
from squeezesim.frontends.torch.operators import ADDED, BESIDE, NO_WEIGHTS, Call, Chosen, Operand, Part
from squeezesim.frontends.torch.origins import Origin, Origins, Repeats, behind, region_of, storage_key
from squeezesim.frontends.torch.results import Results, frozen
from squeezesim.frontends.torch.rules import has_rule, is_free, parts_of, registered_rule
from squeezesim.frontends.torch.run import MAX_VALUES, is_small, tensors_in, value_before
from squeezesim.network import Layer, Unmodelled
from squeezesim.network.checks import derive
from squeezesim.network.compress.rules import learnt

Shape = tuple[int, ...]

_DECIDING = frozenset({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape})
_DECIDED = "which layers run, or how large they are, depends on values: they are those of the given input"

_BUFFERS = "weights that are buffers, such as int8 ones, are no params: sizes of files and traffic hold them"
_WIDEST = 16  # bits of integers that are weights of narrow types

_FROM_NOTHING = frozenset(
    {
        *("empty_like", "full_like", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like"),
        *("new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros", "fill", "zero"),
    }
)
"""Operators whose results have a tensor's shape, not its values."""

_COPIES = frozenset(
    {
        "_to_copy",
        "alias",
        "clone",
        "contiguous",
        "copy",
        "detach",
        "expand_copy",
        "lift_fresh",
        "lift_fresh_copy",
    }
)
"""Operators that copy values to where they stand in the result."""


_RESHAPED = ("_reshape_copy", "_unsafe_view", "view_copy")
"""Operators that copy values row by row to another shape."""

States = list[torch.Tensor]
_CARRIED = -(2**40)  # and below: what the step before made, in place of a layer


@dataclass(frozen=True, slots=True)
class Recorded:
    """A layer as it ran: without its name, with the numbers of the layers that it reads."""

    layer: Layer
    reads: tuple[int, ...]
    call: ModuleCall | None
    params: tuple[Use, ...] = ()  # the elements of parameters that it uses
    shared: tuple[int, ...] = ()  # the layers that own what it uses as well
    carried: tuple[int, ...] = ()  # layers that each step reads as the step before made them
    is_scale: bool = False  # it multiplies or divides by one number
    role: str = ""  # what it is to the operator that is taken apart, such as a gate of a recurrence

    def like(self, other: Recorded) -> bool:
        """Return whether it is the same work with the same parameters, whoever counts them and whatever both read."""
        return (self.work, self.params) == (other.work, other.params)

    @property
    def work(self) -> Layer:
        """The layer, whoever owns its parameters."""
        layer = self.layer
        if not (layer.params or layer.fixed_weights or layer.kind == "mac"):
            return layer
        constants = layer.constants if layer.kind == "mac" else None
        return derive(layer, params=0, weight_params=None, fixed_weights=0, constant_elements=constants)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operators that run while it is active.

    Tensors are followed by their storage, so that views, and what is written in place, lead to the layer
    that made the values. Work on parameters and constants alone is no layer of the network; a layer that
    reads its result reads the parameters. Each element of a parameter is counted in the first layer that reads it.
    """

    supports_higher_order_operators = True

    def __init__(self, stack: ModuleStack, module: nn.Module, inputs: Iterable[torch.Tensor]):
        super().__init__()  # type: ignore[no-untyped-call]
        self.recorded: list[Recorded] = []
        self._stack = stack
        self._unmodelled: Counter[str] = Counter()
        self._first_module: dict[str, str] = {}
        self._origins = Origins()
        self._rows: dict[tuple[int, Region], tuple[int, ...]] = {}
        self._repeats = Repeats()
        self._chosen: dict[int, Chosen] = {}  # by storage: what is made of the places that a top-k gave alone
        self._arguments: dict[Any, tuple[list[tuple[str, Any]], list[str]]] = {}
        self._results = Results()
        self._parts: dict[Any, list[Part]] = {}
        self._ledger = Ledger()
        self._assumed: Counter[str] = Counter()
        self._role = ""
        for tensor in tensors_in(module):
            if (value := value_before(tensor)) is not None:
                self._origins.set(tensor, Origin())
                self._origins.keep(tensor, value)
        for parameter in module.parameters():
            number = self._ledger.enter(parameter.numel())
            own = Use(number, *region_of(parameter)) if parameter.layout == torch.strided else None
            for tensor, use in behind(parameter, own or Use.whole(number, tuple(parameter.shape))):
                known = self._origins.of(tensor)  # a parameter may be a view of another one's memory
                self._origins.set(tensor, known | Origin(uses=(use,)))
        self._enter_buffers(module)
        for index, tensor in enumerate(inputs):
            self._origins.set(tensor, Origin(layers=(-1 - index,)))

    def _enter_buffers(self, module: nn.Module) -> None:
        """Follow buffers that weights may be made of: no statistics of norms, masks or places."""
        self._widths: dict[int, int] = {}  # of buffers of integers, bits
        self._unsaved: set[int] = set()  # buffers that no file holds
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._NormBase):
                continue
            for name, buffer in part.named_buffers(recurse=False):
                if (
                    buffer.dtype in (torch.bool, torch.int64)
                    or not buffer.numel()
                    or type(buffer) is not torch.Tensor
                    or buffer.layout != torch.strided
                ):
                    continue
                known, value = self._origins.of(buffer), self._origins.value(buffer)
                if known.uses:
                    continue  # the memory of a parameter or of a buffer before it
                number = self._ledger.enter(buffer.numel(), is_buffer=True)
                if name in part._non_persistent_buffers_set:
                    self._unsaved.add(number)
                if not (buffer.is_floating_point() or buffer.is_complex()):
                    self._widths[number] = 8 * buffer.element_size()
                self._origins.set(buffer, Origin(uses=(Use(number, *region_of(buffer)),)))
                if value is not None:
                    self._origins.keep(buffer, value)

    @property
    def unread_params(self) -> int:
        """Learnable values that no layer read."""
        return self._ledger.unread

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, and how often."""
        return tuple(text if count == 1 else f"{text} (×{count})" for text, count in self._assumed.items())

    @property
    def unmodelled(self) -> tuple[Unmodelled, ...]:
        """Operators without a rule, in the order in which they first ran."""
        return tuple(Unmodelled(op, count, self._first_module[op]) for op, count in self._unmodelled.items())

    @contextmanager
    def role(self, role: str) -> Iterator[None]:
        """Say what the layers that are recorded meanwhile are to the operator that they are parts of."""
        self._role = role
        try:
            yield
        finally:
            self._role = ""

    def inside(self, part: str) -> AbstractContextManager[None]:
        """Record layers in a *part* of the running module."""
        return self._stack.inside(part)

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

    def keep(self, constant: torch.Tensor, value: torch.Tensor) -> None:
        """Keep the values of a constant that has none, if they are few integers."""
        if constant.is_meta and is_small(constant):
            self._origins.set(constant, Origin())
            self._origins.keep(constant, value)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run *func* and record it."""
        del types
        kwargs = kwargs or {}
        if isinstance(func, HigherOrderOperator):
            raise NotImplementedError(f"the higher-order operator {func} runs functions that are not traced")
        output = self._results.of(func, args, kwargs)
        outputs = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
        with torch._C.DisableTorchFunction():  # else each size is asked of the modes outside
            if func.is_view:
                self._remember_rows(args[0], outputs)
                self._follow_view(args[0], outputs)
            else:
                self._record(func, args, kwargs, outputs)
        self._keep_values(func, args, kwargs, outputs)
        return output

    def _parts_of(self, name: str, call: Call) -> list[Part]:
        """The layers that *call* becomes; those of equal calls are made once but by rules of the user's."""
        if registered_rule(name):
            return parts_of(name, call)
        key = name, frozen(tuple(call.arguments.values())), call.output
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = parts_of(name, call)
        return parts

    def _arguments_of(self, func: Any) -> tuple[list[tuple[str, Any]], list[str]]:
        """The arguments of *func* with their defaults, and those that it writes to."""
        found = self._arguments.get(func)
        if found is None:
            arguments = func._schema.arguments
            writes = [item.name for item in arguments if item.alias_info and item.alias_info.is_write]
            found = self._arguments[func] = (
                [(item.name, item.default_value) for item in arguments],
                writes,
            )
        return found

    def _record(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: list[torch.Tensor]
    ) -> None:
        defaults, writes = self._arguments_of(func)
        values = {
            key: args[index] if index < len(args) else kwargs.get(key, default)
            for index, (key, default) in enumerate(defaults)
        }
        written = [
            leaf for key in writes for leaf in tree_leaves(values[key]) if isinstance(leaf, torch.Tensor)
        ]
        results = outputs or written
        if not results and torch.Tag.data_dependent_output not in func.tags:
            return
        read = {key: self._read(value) for key, value in values.items()}
        origin = Origin()
        for _, part in chain.from_iterable(read.values()):
            origin |= part
        name = _operator(func._schema.name, bool(written))
        if origin.layers and not _DECIDING.isdisjoint(func.tags) and _may_decide(name, values):
            self._assumed[_DECIDED] += 1
        if is_free(name):
            self._remember_rows(args[0] if args else None, outputs)
        elif not results or not results[0].numel() or self._reads_nothing(values):
            origin = Origin(origin.layers)  # nothing is computed with the parameters
        elif has_rule(name):
            arguments = {key: self._operands(value) for key, value in values.items()}
            call = Call(name, arguments, tuple(results[0].shape))
            parts = self._parts_of(name, call)
            is_product = any(part.layer.kind == "mac" for part in parts)
            if is_product and results[0].is_complex() and not registered_rule(name):
                origin = self._note_unmodelled(f"{name} of complex numbers", origin)  # four MACs, or three
            elif origin.layers or is_product:
                begin = len(self.recorded)
                for one in parts:
                    self._append(name, one, values, read, begin)
                inner = {place for one in parts for place in one.after}
                made = tuple(begin + place for place in range(len(parts)) if place not in inner)
                origin = Origin(layers=made or origin.layers)
        elif origin.layers:
            origin = self._note_unmodelled(name, origin)
        if name in _FROM_NOTHING:
            origin = Origin(origin.layers)
        chosen = self._chosen_by(name, values, results) if self._chosen or name == "topk" else {}
        self._set(func, name, values, read, origin, outputs, written)
        for tensor in (*outputs, *written):
            self._chosen.pop(storage_key(tensor), None)
            is_copy = name in (*_COPIES, *_RESHAPED) or (
                self._scales(name, values) and self._is_number(values["other"])
            )
            is_copy = is_copy and not written and isinstance(args[0], torch.Tensor)
            self._repeats.set(tensor, args[0] if is_copy else None)
        self._chosen |= chosen

    def _chosen_by(
        self, name: str, values: Mapping[str, Any], results: list[torch.Tensor]
    ) -> dict[int, Chosen]:
        """For the results of an operator, by storage, the top-k that they are made of, constants apart."""
        if name == "topk":
            source, axis = values["self"], values["dim"]
            if not source.dim():
                return {}
            size = source.shape[axis]
            return {storage_key(results[1]): Chosen(source.numel() // max(size, 1), values["k"], size)}
        tensors = [leaf for leaf in tree_leaves(dict(values)) if isinstance(leaf, torch.Tensor)]
        found = {self._chosen.get(storage_key(leaf)) for leaf in tensors if self._origins.of(leaf).layers}
        (only,) = found if len(found) == 1 else (None,)
        return {} if only is None else {storage_key(tensor): only for tensor in results}

    def _set(
        self,
        func: Any,
        name: str,
        values: Mapping[str, Any],
        read: Mapping[str, list[tuple[Shape, Origin]]],
        origin: Origin,
        outputs: list[torch.Tensor],
        written: list[torch.Tensor],
    ) -> None:
        """Say what made the results of an operator."""
        for tensor in (*outputs, *written):
            made = origin
            if origin.uses:
                by_element = torch.Tag.pointwise in func.tags or name in _COPIES
                if by_element and not written and not origin.layers and self._copied(values, tensor):
                    continue
                made = self._constant(name, chain.from_iterable(read.values()), tensor, by_element=by_element)
            self._origins.set(tensor, made, in_place=any(tensor is target for target in written))
        if origin.uses and not origin.layers:
            if name in ("cat", "stack"):
                self._join(name, values, outputs[0])
            elif name in ("embedding", "gather", "index", "index_select"):
                self._pick(name, values, outputs[0])

    def _read(self, value: Any) -> list[tuple[Shape, Origin]]:
        """The shapes and origins of the tensors in an argument."""
        leaves = [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
        return [(tuple(leaf.shape), self._origins.of(leaf)) for leaf in leaves]

    def _constant(
        self, name: str, read: Iterable[tuple[Shape, Origin]], result: torch.Tensor, *, by_element: bool
    ) -> Origin:
        """What made a result, element by element or each of its values of all that was read."""
        shape = tuple(result.shape)
        origin = Origin()
        for source, part in read:
            if name == "_unsafe_view":  # the same values, row by row in another shape
                origin |= part.seen(Region.whole(source), Region.whole(shape))
            elif by_element and _broadcasts(source, shape):
                origin |= part.broadcast(shape)
            else:
                origin |= part.scattered(shape)
        return origin

    def _copied(self, values: Mapping[str, Any], result: torch.Tensor) -> bool:
        """Follow what is made of one tensor alone, value by value, with its parts; whether it is."""
        tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]
        sources = [tensor for tensor in tensors if self._origins.of(tensor).uses]
        return len(sources) == 1 and self._origins.copy(sources[0], result)

    def _join(self, name: str, values: Mapping[str, Any], result: torch.Tensor) -> None:
        """Say what made each part of constants that are joined."""
        along, start = int(values.get("dim") or 0), 0
        self._origins.set(result, Origin())
        for tensor in values["tensors"]:
            size = 1 if name == "stack" else tensor.shape[along] if tensor.dim() == result.dim() else 0
            if not size:
                continue  # of an empty tensor
            part = result.narrow(along, start, size)
            part = part.squeeze(along) if name == "stack" else part
            self._origins.set(part, self._origins.of(tensor), in_place=True)
            start += size

    def _pick(self, name: str, values: Mapping[str, Any], result: torch.Tensor) -> None:
        """Say what made each part of a constant that is picked from another by places that are known."""
        is_table = name == "embedding"
        source = values["weight" if is_table else "self"]
        if name == "index":
            indices = list(values["indices"])
        else:
            axis, index = (0, "indices") if is_table else (values["dim"] % max(source.dim(), 1), "index")
            indices = [None] * axis + [values[index]]
        found = [self._places(index) for index in indices]
        places = [place for each in found if each is not None for place in each]
        at = [axis for axis, place in enumerate(places) if place is not None]
        if not at or None in found:
            return
        known = [place for place in places if place is not None]
        if name == "gather":
            if source.dim() != result.dim():
                return
            (axis,), (place,) = at, known
            first = place[tuple(slice(None) if other == axis else slice(1) for other in range(place.dim()))]
            if not torch.equal(place, first.expand_as(place)):
                return  # each value along the other dimensions has a place of its own
            for other, size in enumerate(result.shape):
                source = source if other == axis else source.narrow(other, 0, size)
            known = [first.reshape(-1)]
        axis = at[0] if at == list(range(at[0], at[-1] + 1)) else 0
        joint = np.broadcast_arrays(*(place.numpy() for place in known))
        if any(
            not ((-source.shape[one] <= index) & (index < source.shape[one])).all()
            for one, index in zip(at, joint, strict=True)
        ):
            return  # the forward fails where it has values
        if tuple(result.shape[axis : axis + joint[0].ndim]) != joint[0].shape:
            return
        self._origins.set(result, Origin())
        for spot in np.ndindex(*joint[0].shape):
            part, picked = result, source
            for step in spot:
                part = part.select(axis, step)
            for one, index in zip(reversed(at), reversed(joint), strict=True):
                picked = picked.select(one, int(index[spot]))
            self._origins.set(part, self._origins.of(picked), in_place=True)

    def _places(self, index: torch.Tensor | None) -> Sequence[torch.Tensor | None] | None:
        """The values of an index, one along dimensions that it is expanded over; None where they are not known.

        No index is of one dimension, a mask of as many as it has: its places along each of them.
        """
        if index is None:
            return (None,)
        if index.dtype in (torch.bool, torch.uint8):
            is_known = not (self._origins.of(index).layers or index.is_meta or index.numel() > MAX_VALUES)
            return index.nonzero().unbind(1) if is_known else None
        for axis, stride in enumerate(index.stride()):
            if stride == 0 and index.shape[axis]:
                index = index.narrow(axis, 0, 1)
        if self._origins.of(index).layers or not is_small(index):
            return None
        value = self._origins.value(index) if index.is_meta else index
        return None if value is None else (value,)

    def _follow_view(self, source: Any, outputs: list[torch.Tensor]) -> None:
        """Follow a view that has a memory of its own, as those of tensor subclasses have."""
        if not isinstance(source, torch.Tensor):
            return
        for view in outputs:
            if storage_key(view) != storage_key(source):
                origin = self._origins.of(source)
                self._origins.set(view, origin.scattered(tuple(view.shape)))

    def _keep_values(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], outputs: list[torch.Tensor]
    ) -> None:
        """Keep the values of small constants of integers, such as the ends of groups."""
        if len(outputs) != 1 or not outputs[0].is_meta or not is_small(outputs[0]):
            return
        if func._schema.is_mutable or torch.Tag.nondeterministic_seeded in func.tags:
            return
        found: dict[int, torch.Tensor] = {}
        for leaf in tree_leaves((args, dict(kwargs))):
            if isinstance(leaf, torch.Tensor):
                value = self._origins.value(leaf)
                if value is None:
                    return
                found[id(leaf)] = value

        def known(leaf: Any) -> Any:
            return torch.device("cpu") if isinstance(leaf, torch.device) else found.get(id(leaf), leaf)

        try:
            values = func(*tree_map(known, args), **tree_map(known, dict(kwargs)))
        except (RuntimeError, NotImplementedError):  # it has no kernel for the CPU
            return
        if isinstance(values, torch.Tensor) and not values.is_meta:
            self._origins.keep(outputs[0], values)

    def _reads_nothing(self, values: Mapping[str, Any]) -> bool:
        """Whether a tensor of data that an operator reads is empty: a sum over nothing, what is written nowhere."""
        tensors = [value for value in values.values() if isinstance(value, torch.Tensor)]
        return any(not tensor.numel() and self._origins.of(tensor).layers for tensor in tensors)

    def _note_unmodelled(self, name: str, origin: Origin) -> Origin:
        running = self._stack.current
        self._unmodelled[name] += 1
        self._first_module.setdefault(name, running.path if running else "")
        return Origin(origin.layers)

    def _append(
        self,
        name: str,
        part: Part,
        values: Mapping[str, Any],
        read: Mapping[str, list[tuple[Shape, Origin]]],
        begin: int,
    ) -> None:
        """Record a layer of the operator *name*, whose first one is number *begin*."""
        number = len(self.recorded)
        layer = part.layer
        layers: dict[int, None] = dict.fromkeys(begin + index for index in part.after)
        factors: list[Use] = []
        others: list[Use] = []
        stored: list[Use] = []
        for key, found in read.items():
            if part.arguments is not None and key not in part.arguments:
                continue
            is_factor = key not in BESIDE and key not in ADDED.get(name, ())
            slices = [values[key].select(0, index) for index in part.reads.get(key, ())]
            operands = [(tuple(part.shape), self._origins.of(part)) for part in slices] or found
            for shape, origin in operands:
                layers.update(dict.fromkeys(origin.layers))
                learned = [use for use in origin.uses if not self._ledger.is_buffer(use.param)]
                (factors if is_factor else others).extend(learned)
                if len(learned) < len(origin.uses) and key not in NO_WEIGHTS:
                    stored += self._stored(layer, is_factor, shape, origin, learned)
        params, owned, scales = 0, 0, 0
        owners: tuple[int, ...] = ()
        if factors or others:
            layer = unrepeated(layer, factors)
            owned, shared = self._ledger.claim(number, self._ledger.used(factors))
            more, also = self._ledger.claim(number, self._ledger.used(others))
            params = owned + more
            owners = tuple(sorted({*shared, *also} - {number}))
            if not layer.weight_elements:
                layer = replace(layer, weight_elements=self._ledger.read((*factors, *others)))
        if learnt(layer) and not (layers and self._count(factors) < layer.weight_elements):
            stored = []
        if stored:
            layer, also_from, held = self._with_buffers(number, layer, stored)
            if layer.weight_bits is not None:
                scales = max(held + self._count(factors) - layer.weight_elements, 0)
            owners = tuple(sorted({*owners, *also_from} - {number}))
        if params or layer.params or layer.weight_params is not None:
            layer = layer.owning(params, owned) if learnt(layer) else replace(layer, params=params)
        if learnt(layer):
            layer = layer.reading(self._ledger.read(others) + scales)
        if part.assumes:
            self._assumed[part.assumes] += 1
        uses = tuple(dict.fromkeys((*factors, *others, *stored)))
        is_scale, running = self._scales(name, values), self._stack.current
        recorded = Recorded(layer, tuple(layers), running, uses, owners, is_scale=is_scale, role=self._role)
        self.recorded.append(recorded)

    def _scales(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether an operator multiplies or divides by one number."""
        factors = {"mul": ("other", "self"), "div": ("other",)}.get(name, ())
        return any(self._is_number(values[key]) for key in factors)

    def _is_number(self, value: Any) -> bool:
        """Whether a factor is a number, or a tensor of one that is neither learnt nor made of data."""
        is_one = isinstance(value, torch.Tensor) and not value.dim() and self._origins.of(value) == Origin()
        return is_one or isinstance(value, (int, float))

    def _count(self, uses: Iterable[Use]) -> int:
        """How many elements there are in *uses*, each once."""
        return sum(map(len, self._ledger.used(uses).values()))

    def _stored(
        self, layer: Layer, is_factor: bool, shape: Shape, origin: Origin, learned: Sequence[Use]
    ) -> list[Use]:
        """The buffers that an operand of *layer*, of *shape*, is made of, as far as they may be weights.

        Beside parameters for all of its values they are masks, beside activations a state; what no file holds is
        computed. The weights of a product are made of all its factors that are no activations.
        """
        buffers = [use for use in origin.uses if self._ledger.is_buffer(use.param)]
        if layer.kind == "mac":
            return buffers if is_factor and learnt(layer) else []
        if origin.layers or self._count(learned) >= prod(shape):
            return []
        return [use for use in buffers if use.param not in self._unsaved]

    def _with_buffers(
        self, number: int, layer: Layer, stored: Sequence[Use]
    ) -> tuple[Layer, tuple[int, ...], int]:
        """The layer *number*, of which weights are made of buffers, the layers that own of these what it does not.

        With them how many values, of which some may be packed in an integer, the buffers hold for it.
        The largest buffer of integers holds the weights, several to an integer where they are packed.
        """
        layer = unrepeated(layer, stored)
        used = self._ledger.used(stored)
        integers = [param for param in used if param in self._widths]
        main = max(integers, key=lambda param: len(used[param]), default=-1)
        packed = 1
        if main >= 0:
            width, size = self._widths[main], len(used[main])
            made = [use for use in stored if use.param == main]
            weights = layer.weight_elements if learnt(layer) else max(prod(use.sizes) for use in made)
            count, rest = divmod(weights, max(size, 1))
            if any(use.spread for use in made) and not rest and 2 * count <= width:
                packed = max(count, 1)
            is_most = size * packed == weights if learnt(layer) else 2 * size >= sum(map(len, used.values()))
            if is_most and width // packed <= _WIDEST:
                layer = replace(layer, weight_bits=width // packed)
        owned, elements_used, owners = 0, 0, set[int]()
        for param, elements in used.items():
            gained, others = self._ledger.claim(number, {param: elements})
            each = packed if param == main else 1
            owned, elements_used = owned + gained * each, elements_used + len(elements) * each
            owners.update(others)
        self._assumed[_BUFFERS] += 1
        read = min(elements_used, sum(prod(use.sizes) for use in dict.fromkeys(stored)))
        layer = replace(layer, weight_elements=layer.weight_elements or read)
        return replace(layer, fixed_weights=owned), tuple(owners), elements_used

    def _operands(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            rows = self._rows.get((storage_key(value), region_of(value)))
            origin = self._origins.of(value)
            chosen = self._chosen.get(storage_key(value))
            integers = self._integers(value, origin)
            distinct = self._repeats.distinct(value)
            return Operand(tuple(value.shape), bool(origin.layers), rows, integers, chosen, distinct)
        if isinstance(value, (list, tuple)):
            return [
                self._operands(item)
                for item in value
                if not isinstance(item, torch.Tensor) or item.numel()  # a part without elements joins nothing
            ]
        return value

    def _integers(self, tensor: torch.Tensor, origin: Origin) -> tuple[int, ...] | None:
        """The values of a small constant of integers, where they are known."""
        if origin.layers or tensor.dim() != 1 or not is_small(tensor):
            return None
        values = self._origins.value(tensor) if tensor.is_meta else tensor
        return None if values is None else tuple(int(value) for value in values.tolist())

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


def _may_decide(name: str, values: Mapping[str, Any]) -> bool:
    """Whether values may decide of a shape: those of indices do where they are masks, not where they are places."""
    indices = values["indices"] if name == "index" else ()
    return name != "index" or any(
        index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices
    )


class Literals(TorchFunctionMode):
    """Hands a recorder the values of tensors that are made of numbers in the code."""

    def __init__(self, recorder: Recorder):
        super().__init__()
        self._recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run *func* and keep what it was given."""
        del types
        if func is torch.Tensor.__getitem__ and args[0].is_meta:
            args = args[0], self._indexed(args[1], args[0].device)
        result = func(*args, **(kwargs or {}))
        is_literal = (
            func in (torch.tensor, torch.as_tensor) and args and not isinstance(args[0], torch.Tensor)
        )
        if is_literal and isinstance(result, torch.Tensor) and result.is_meta and is_small(result):
            self._recorder.keep(result, torch.tensor(args[0], dtype=result.dtype, device="cpu"))
        return result

    def _indexed(self, index: Any, device: torch.device) -> Any:
        """An index with tensors, whose values are kept, in place of lists of integers."""
        if isinstance(index, tuple):
            return tuple(self._indexed(part, device) for part in index)
        if not isinstance(index, list) or not index or any(type(place) is not int for place in index):
            return index
        made = torch.tensor(index, device=device)
        self._recorder.keep(made, torch.tensor(index, device="cpu"))
        return made


def _operator(qualified: str, in_place: bool) -> str:
    """``aten::relu_`` → ``relu``; another library's operator keeps its namespace."""
    namespace, _, name = qualified.partition("::")
    if in_place and name.endswith("_") and not name.endswith("__"):
        name = name.removesuffix("_")
    return name if namespace == "aten" else f"{namespace}.{name}"


def _broadcasts(source: Shape, result: Shape) -> bool:
    """Whether a tensor of one shape is spread over another's."""
    if len(source) > len(result):
        return False
    return all(size in (1, other) for size, other in zip(reversed(source), reversed(result), strict=False))
