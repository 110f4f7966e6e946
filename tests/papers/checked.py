"""The checks that ``validate`` runs, whole, once in a process."""

from __future__ import annotations

from functools import cache

from squeezesim.reference.record import Check
from squeezesim.validate import SOURCES, Options

_COMPUTED = dict(SOURCES)


@cache
def checked(name: str) -> Check:
    """The check against the source *name*."""
    return _COMPUTED[name](Options())
