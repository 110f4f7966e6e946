"""FrozenDict: a dictionary that cannot be changed, and can therefore be hashed."""

from __future__ import annotations

from typing import NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """A ``dict`` whose changing methods raise TypeError, so that an Accelerator stays hashable and constant.

    Example:
        >>> hash(FrozenDict({"dram": 100.0})) == hash(FrozenDict({"dram": 100.0}))
        True
    """

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)

    def _refuse(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise TypeError("an accelerator is frozen; use Accelerator.replace for a changed copy")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse
