"""Where the values of tensors come from, followed by storage: through views and writes in place."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch.multiprocessing.reductions import StorageWeakRef

Region = tuple[int, tuple[int, ...], tuple[int, ...]]  # offset, sizes, strides: a view within its storage


@dataclass(frozen=True, slots=True)
class Origin:
    """What made some values, by number: layers (inputs of the network count down from −1) and parameters."""

    layers: tuple[int, ...] = ()
    params: tuple[int, ...] = ()

    def __or__(self, other: Origin) -> Origin:
        return Origin(_union(self.layers, other.layers), _union(self.params, other.params))


@dataclass(slots=True)
class _Storage:
    base: Origin
    alive: StorageWeakRef  # keeps the address of a dead storage from being used again
    written: dict[Region, Origin] = field(default_factory=dict)


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
        if region in storage.written:
            return storage.written[region]
        origin = storage.base
        for other, written in storage.written.items():
            if not _disjoint(region, other):
                origin |= written
        return origin

    def set(self, tensor: torch.Tensor, origin: Origin, *, in_place: bool = False) -> None:
        """Say what made *tensor*: *in_place* writes leave the rest of its storage as it is."""
        key, memory = storage_key(tensor), tensor.untyped_storage()
        if in_place and key in self._storages and tensor.numel() * tensor.element_size() < memory.nbytes():
            self._storages[key].written[region_of(tensor)] = origin
        else:
            self._storages[key] = _Storage(origin, StorageWeakRef(memory))  # type: ignore[no-untyped-call]


def storage_key(tensor: torch.Tensor) -> int:
    """Return the identity of the memory of *tensor*, which its views share."""
    return int(tensor.untyped_storage()._cdata)


def region_of(tensor: torch.Tensor) -> Region:
    """Return which part of its storage *tensor* is."""
    return int(tensor.storage_offset()), tuple(tensor.shape), tuple(tensor.stride())


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


def _union(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(first + second)) if first and second else first or second
