"""A model that has to be run to be traced: how it is made, what it is called, the input that it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

from squeezesim.errors import ModelError, UsageError
from squeezesim.load.shapes import Shape, Values, check_sizes, literal_shape, parse_shape
from squeezesim.network import Network
from squeezesim.network.network import value_note

if TYPE_CHECKING:
    from torch import nn

Inputs = Sequence[Any] | Mapping[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A module with the shapes of its inputs, batch excluded; none where only the user knows them."""

    module: nn.Module
    inputs: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """With what a model shall run: one shape, or inputs, or nothing for the inputs that it brings."""

    input_shape: str | Sequence[int] | None = None
    inputs: Inputs | None = None
    kwargs: Mapping[str, Any] | None = None
    batch: int | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether the model's own inputs are meant."""
        return all(part is None for part in (self.input_shape, self.inputs, self.kwargs, self.batch))

    @property
    def literally(self) -> Asked | None:
        """The same with the shape as it stands, where a batch is put before it unasked; None elsewhere."""
        if not isinstance(self.input_shape, str) or self.batch is not None:
            return None
        return replace(self, input_shape=parse_shape(self.input_shape))

    def of(self, name: str, default: Sequence[Shape]) -> Inputs:
        """Return the literal inputs of the model *name*, whose own are *default*.

        Raises:
            UsageError: there is none, or a size is out of range.
        """
        if self.inputs is not None:
            _check_shapes(self.inputs)
            return _with_values(self.inputs)
        shape = literal_shape(self.input_shape, self.batch, default[0] if default else None)
        if shape is None:
            raise UsageError(
                f"{name} needs its input: --input 3x224x224, of token ids --input input_ids=1x128:int64, "
                "in Python input_shape or inputs"
            )
        if self.input_shape is None:
            return tuple((self.batch or 1, *sizes) for sizes in default)
        return (shape,) * max(1, len(default))


def as_it_runs(asked: Asked, run: Callable[[Asked], Result], literally: Callable[[Asked], Result]) -> Result:
    """Return *run* of *asked*; where that fails with a batch before the shape, *literally* of the shape as it stands.

    Raises:
        ModelError: neither runs; it is what the first says.
    """
    try:
        return run(asked)
    except ModelError as error:
        literal = asked.literally
        if literal is None:
            raise
        from squeezesim.frontends.torch.rules import RuleError

        if isinstance(error, RuleError):
            raise
        with suppress(ModelError, UsageError):
            return literally(literal)
        raise


def _check_shapes(inputs: Inputs, of: str = "") -> None:
    """Check the sizes of every shape in *inputs*, at any depth."""
    from squeezesim.frontends.torch.run import is_shape

    if not isinstance(inputs, (tuple, list, Mapping)) or (not of and is_shape(inputs)):
        return
    for key, value in inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs):
        label = f"{of}[{key!r}]" if of else f"input {key!r}"
        if is_shape(value):
            check_sizes(value, label)
        else:
            _check_shapes(value, label)


def _as_value(inputs: Inputs | None) -> str:
    """How the first shape of one size in *inputs* is written where it was meant as a value."""
    from squeezesim.frontends.torch.run import is_shape

    given = inputs.items() if isinstance(inputs, Mapping) else ()
    sizes = [(name, shape[0]) for name, shape in given if is_shape(shape) and len(shape) == 1]
    return f"; a value, not a shape, is written --input {quote(sizes[0][0])}=+{sizes[0][1]}" if sizes else ""


def _with_values(inputs: Inputs) -> Inputs:
    """The inputs, those with values as tensors."""
    if not isinstance(inputs, Mapping) or not any(isinstance(value, Values) for value in inputs.values()):
        return inputs
    import torch

    return {
        name: torch.from_numpy(value.array.copy()) if isinstance(value, Values) else value
        for name, value in inputs.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """A model that is made when it is needed.

    Attributes:
        name: what its network is called.
        make: makes it, on the meta device or on the CPU.
        is_fixed: whether the name alone says what it is, so that its trace can be kept on disk.
        versions: the versions of the libraries that it is made of.
        source: where the network is from; its class where empty.
        notes: what the network says of itself.
    """

    name: str
    make: Callable[[str], Made]
    devices: tuple[str, ...] = ("cpu",)
    is_fixed: bool = False
    versions: Mapping[str, str] | None = None
    source: str = ""
    notes: tuple[str, ...] = ()

    def network(self, asked: Asked, *, cache: bool) -> Network:
        """Return the network that one forward pass runs, from the cache where *cache* and it was traced before.

        Raises:
            ModelError: the model cannot be made, or does not accept the input.
            UsageError: there is no input, or a size is out of range.
        """
        from squeezesim.cache import cached
        from squeezesim.frontends.torch.rules import has_registered

        is_fixed = self.is_fixed and asked.inputs is None and not asked.kwargs and not has_registered()
        if not (cache and is_fixed):
            return self._trace(asked)
        key = {"model": self.name, "input": asked.input_shape, "batch": asked.batch, **(self.versions or {})}
        return cached(key, lambda: self._trace(asked))

    def _trace(self, asked: Asked) -> Network:
        made: list[Made] = []
        return as_it_runs(
            asked,
            lambda asked: self._trace_on_some_device(asked, made),
            lambda literal: self._trace_literally(literal, made),
        )

    def _trace_on_some_device(self, asked: Asked, made: list[Made]) -> Network:
        """Trace on the first device on which the model can be made and runs; *made* are those that could be."""
        from squeezesim.frontends.torch.run import too_large_to_run

        *first, last = self.devices
        for device in first:
            try:
                made.append(self.make(device))
            except ModelError:  # it can only be made with values
                continue
            try:
                return self._trace_of(made[-1], asked)
            except ModelError as error:
                if too_large := too_large_to_run(made[-1].module, ()):
                    raise ModelError(f"{error}; {too_large}") from error
        made.append(self.make(last))
        return self._trace_of(made[-1], asked)

    def _trace_literally(self, asked: Asked, made: Sequence[Made]) -> Network:
        """Trace with the shape as it stands, one time, on the first device of which a model was *made*."""
        shape = asked.input_shape or ()
        if not made or any(len(own) == len(shape) for own in made[0].inputs):
            raise ModelError(f"{self.name} does not run without a batch before its input")
        network = self._trace_of(made[0], asked)
        written = "x".join(map(str, shape))
        note = f"input {written} has the batch: with one more before it, 1x{written}, the model does not run"
        return replace(network, notes=(*network.notes, note))

    def _trace_of(self, made: Made, asked: Asked) -> Network:
        from squeezesim.frontends.torch.rules import RuleError
        from squeezesim.frontends.torch.trace import trace

        inputs = asked.of(self.name, made.inputs)
        try:
            network = trace(made.module, inputs=inputs, kwargs=asked.kwargs, name=self.name)
        except RuleError:
            raise
        except ModelError as error:
            raise ModelError(f"{error}{_as_value(asked.inputs)}") from error
        values = asked.inputs.items() if isinstance(asked.inputs, Mapping) else ()
        given = [
            value_note(name, value.array.tolist()) for name, value in values if isinstance(value, Values)
        ]
        notes = (*self.notes, *given, *network.notes)
        return replace(network, source=self.source or network.source, notes=notes)
