"""A model that has to be run to be traced: how it is made, what it is called, the input that it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, UsageError
from squeezesim.load.shapes import Shape, Values, check_sizes, literal_shape
from squeezesim.network import Network

if TYPE_CHECKING:
    from torch import nn

Inputs = Sequence[Any] | Mapping[str, Any]


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
        from squeezesim.frontends.torch.operators import has_registered

        is_fixed = self.is_fixed and asked.inputs is None and not asked.kwargs and not has_registered()
        if not (cache and is_fixed):
            return self._trace(asked)
        key = {"model": self.name, "input": asked.input_shape, "batch": asked.batch, **(self.versions or {})}
        return cached(key, lambda: self._trace(asked))

    def _trace(self, asked: Asked) -> Network:
        from squeezesim.frontends.torch.run import too_large_to_run

        *first, last = self.devices
        for device in first:
            try:
                made = self.make(device)
            except ModelError:  # it can only be made with values
                continue
            try:
                return self._trace_of(made, asked)
            except ModelError as error:
                if too_large := too_large_to_run(made.module, ()):
                    raise ModelError(f"{error}; {too_large}") from error
        return self._trace_of(self.make(last), asked)

    def _trace_of(self, made: Made, asked: Asked) -> Network:
        from squeezesim.frontends.torch.trace import trace

        inputs = asked.of(self.name, made.inputs)
        network = trace(made.module, inputs=inputs, kwargs=asked.kwargs, name=self.name)
        return replace(network, source=self.source or network.source, notes=self.notes)
