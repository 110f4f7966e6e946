"""Where the values of tensors come from: the layers that made them, the elements of parameters that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeVar

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from squeezesim.frontends.elements import Region, Use
from squeezesim.frontends.torch.run import inner_tensors

Shape = tuple[int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """What made some values: layers by number (inputs of the network count down from −1), elements of parameters."""

    layers: tuple[int, ...] = ()
    uses: tuple[Use, ...] = ()

    def __or__(self, other: Origin) -> Origin:
        return Origin(_union(self.layers, other.layers), _union(self.uses, other.uses))

    @classmethod
    def union(cls, parts: Sequence[Origin]) -> Origin:
        """Return the origin of values that are made of all *parts*."""
        if len(parts) == 1:
            return parts[0]
        layers = dict.fromkeys(layer for part in parts for layer in part.layers)
        return cls(tuple(layers), tuple(dict.fromkeys(use for part in parts for use in part.uses)))

    def seen(self, own: Region, view: Region) -> Origin:
        """Return the origin of the values of *view* in a memory where these values are *own*."""
        return Origin(self.layers, tuple(use.seen(own, view) for use in self.uses)) if self.uses else self

    def broadcast(self, sizes: Shape) -> Origin:
        """Return the origin of values of *sizes* that are made of these element by element."""
        return Origin(self.layers, tuple(use.broadcast(sizes) for use in self.uses)) if self.uses else self

    def scattered(self, sizes: Shape) -> Origin:
        """Return the origin of values of *sizes*, each of which may be made of all of these."""
        return Origin(self.layers, tuple(use.scattered(sizes) for use in self.uses)) if self.uses else self


@dataclass(slots=True)
class _Storage:
    region: Region
    width: int  # bytes of a value
    base: Origin
    alive: StorageWeakRef  # keeps the address of a dead storage from being used again
    written: dict[Region, Origin] = field(default_factory=dict)
    values: dict[Region, torch.Tensor] = field(default_factory=dict)


class Origins:
    """The origin of every tensor that was seen; of one that was not, nothing: it is a constant."""

    def __init__(self) -> None:
        self._storages: dict[int, _Storage] = {}

    def of(self, tensor: torch.Tensor) -> Origin:
        """Return what made the values of *tensor*, without what wrote to other parts of its storage."""
        storage = self._storages.get(storage_key(tensor))
        if storage is None:
            return Origin()
        region = region_of(tensor)
        if tensor.element_size() != storage.width:  # the memory is read as another type
            origin = storage.base.scattered(region.sizes)
            for written in storage.written.values():
                origin |= written.scattered(region.sizes)
            return origin
        if region in storage.written:
            return storage.written[region]
        parts = [storage.base.seen(storage.region, region)]
        parts += [
            written.seen(other, region)
            for other, written in storage.written.items()
            if not _disjoint(region, other)
        ]
        return Origin.union(parts)

    def set(self, tensor: torch.Tensor, origin: Origin, *, in_place: bool = False) -> None:
        """Say what made *tensor*: *in_place* writes leave the rest of its storage as it is."""
        key, memory = storage_key(tensor), tensor.untyped_storage()
        if in_place and key in self._storages and tensor.numel() * tensor.element_size() < memory.nbytes():
            self._storages[key].written[region_of(tensor)] = origin
            self._storages[key].values.clear()
        else:
            alive = StorageWeakRef(memory)  # type: ignore[no-untyped-call]
            self._storages[key] = _Storage(region_of(tensor), tensor.element_size(), origin, alive)

    def copy(self, source: torch.Tensor, tensor: torch.Tensor) -> bool:
        """Say that *tensor* is made of *source* value by value, part by part; whether both are laid out alike."""
        storage, own, other = self._storages.get(storage_key(source)), region_of(source), region_of(tensor)
        alike = (own.sizes, own.strides) == (other.sizes, other.strides)
        if storage is None or not alike or storage.width != source.element_size():
            return False
        moved = other.offset - own.offset
        self.set(tensor, storage.base.seen(storage.region, own))
        for region, origin in list(storage.written.items()):
            if not _disjoint(region, own):
                self._storages[storage_key(tensor)].written[region._replace(offset=region.offset + moved)] = (
                    origin
                )
        return True

    def value(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return the values of a constant, where they were kept."""
        storage, region = self._storages.get(storage_key(tensor)), region_of(tensor)
        if storage is None or region in storage.values:
            return None if storage is None else storage.values[region]
        for other, value in storage.values.items():
            if _plain(other) == _plain(region):
                return value.reshape(region.sizes)
        return None

    def keep(self, tensor: torch.Tensor, value: torch.Tensor) -> None:
        """Keep the values of a constant that was seen."""
        if storage := self._storages.get(storage_key(tensor)):
            storage.values[region_of(tensor)] = value


class Repeats:
    """Which tensors hold slices several times: views with a stride of 0, and copies of these.

    A memory is known by its dimensions from the innermost on, each a size, a stride and whether all slices along it are
    equal. A view of it knows its own dimensions as runs of these.
    """

    def __init__(self) -> None:
        self._memories: dict[int, list[tuple[int, int, bool]]] = {}

    def distinct(self, tensor: torch.Tensor) -> Shape | None:
        """Return how many slices differ along each dimension of *tensor*; None where all may.

        Example: heads of keys (2, 4, 7, 8), each expanded to three and reshaped to (2, 12, 7, 8), are (2, 4, 7, 8).
        """
        if tensor.layout != torch.strided or not tensor.numel():
            return None
        if 0 not in tensor.stride() and storage_key(tensor) not in self._memories:
            return None
        runs = self._runs(tensor)
        sizes = tuple(prod(size for size, repeated in run if not repeated) for run in runs)
        return None if sizes == tuple(tensor.shape) else sizes

    def set(self, tensor: torch.Tensor, source: torch.Tensor | None = None) -> None:
        """Say that *tensor* was written: with what *source* holds, row by row where that has another shape."""
        key, runs = storage_key(tensor), []
        if source is not None and self.distinct(source) is not None:
            runs = self._runs(source)
        self._memories.pop(key, None)
        if not runs or source is None:
            return
        is_alike = source.shape == tensor.shape
        if is_alike or tensor.is_contiguous():
            rows = [prod(source.shape[axis + 1 :]) for axis in range(source.dim())]
            strides = tensor.stride() if is_alike else rows
            dimensions = [
                (size, stride * prod(inner for inner, _ in run[:place]), repeated)
                for run, stride in zip(runs, strides, strict=True)
                for place, (size, repeated) in enumerate(run)
            ]
            self._memories[key] = sorted(dimensions, key=lambda dimension: dimension[1])

    def _runs(self, tensor: torch.Tensor) -> list[list[tuple[int, bool]]]:
        """For each dimension, the runs that it is made of, from the innermost on: sizes, and whether they repeat."""
        memory = self._memories.get(storage_key(tensor), [])
        return [
            _run(size, stride, memory) for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
        ]


def _run(size: int, stride: int, memory: Sequence[tuple[int, int, bool]]) -> list[tuple[int, bool]]:
    if stride == 0 or size == 1:
        return [(size, size > 1)]
    found, left = [], size
    for count, step, repeated in memory:
        if left == 1 or step < stride or count == 1:
            continue
        if step != stride or (left % count and count % left):
            return [(size, False)]
        part = min(left, count)
        found.append((part, repeated))
        left, stride = left // part, stride * count
    return found if left == 1 else [(size, False)]


def behind(tensor: torch.Tensor, use: Use) -> Iterator[tuple[torch.Tensor, Use]]:
    """Yield *tensor* with its *use*, and the tensors that one of a subclass is made of, with the elements they hold.

    Integers that several values are packed in, and scales of several values, hold those that they spread over. Of
    others, which have no place in the tensor, the largest hold all of it.
    """
    yield tensor, use
    inner = [part for part in inner_tensors(tensor).values() if part.numel()]
    largest = max((part.numel() for part in inner), default=0)
    for part in inner:
        held = _held(tuple(part.shape), use)
        if held is None and part.numel() == largest:
            held = use.scattered(tuple(part.shape))
        if held is not None:
            yield from behind(part, held)


def _held(shape: Shape, use: Use) -> Use | None:
    """The elements that a tensor of *shape* holds, each of its values a block of those of *use*."""
    sizes = (*shape, *[1] * (len(use.sizes) - len(shape)))
    if len(sizes) != len(use.sizes) or any(
        size % own for size, own in zip(use.sizes, sizes, strict=True) if size and own
    ):
        return None
    strides, spread = [], list(use.spread)
    for size, own, stride in zip(use.sizes, sizes, use.strides, strict=True):
        block = size // max(own, 1)
        strides.append(stride * block)
        if block > 1:
            spread.append((block, stride))
    return Use(use.param, use.offset, shape, tuple(strides[: len(shape)]), tuple(spread))


def storage_key(tensor: torch.Tensor) -> int:
    """Return the identity of the memory of *tensor*, which its views share."""
    return int(tensor.untyped_storage()._cdata)


def region_of(tensor: torch.Tensor) -> Region:
    """Return which part of its storage *tensor* is."""
    return Region(int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride()))


def _plain(region: Region) -> Region:
    """The region without dimensions of size 1, whose strides say nothing."""
    dims = [dim for dim in zip(region.sizes, region.strides, strict=True) if dim[0] != 1]
    return Region(region.offset, tuple(size for size, _ in dims), tuple(stride for _, stride in dims))


def _disjoint(one: Region, other: Region) -> bool:
    """Whether two regions share no element for certain: their spans, or equally strided slices, lie apart."""
    if one[0] > other[0]:
        one, other = other, one
    if one[0] + sum((size - 1) * stride for size, stride in zip(one[1], one[2], strict=True)) < other[0]:
        return True
    if one[2] != other[2]:
        return False
    distance = other[0] - one[0]
    sizes = [max(pair) for pair in zip(one[1], other[1], strict=True)]
    for stride, size in sorted(zip(one[2], sizes, strict=True), reverse=True):
        if stride == 0:
            continue
        steps, distance = divmod(distance, stride)
        if steps >= size:
            return True
    return False


def _union(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(first + second)) if first and second else first or second
