"""The sources that the model is checked against, by name; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from squeezesim.errors import UsageError, nearest
from squeezesim.verify.record import Check


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thorough a check is, and who is told of its progress."""

    quick: bool = False
    progress: Callable[[str], None] = lambda _: None


def _squeezenext(options: Options) -> Check:
    from squeezesim.verify.squeezenext import check

    return check(quick=options.quick, progress=options.progress)


def _array(options: Options) -> Check:
    from squeezesim.verify.array_check import check

    return check(cases=50 if options.quick else 400)


def _eyeriss(options: Options) -> Check:
    del options
    from squeezesim.verify.eyeriss import check

    return check()


def _scalesim(options: Options) -> Check:
    del options
    from squeezesim.verify.scalesim import check

    return check()


SOURCES: dict[str, Callable[[Options], Check]] = {
    "squeezenext": _squeezenext,
    "array": _array,
    "scalesim": _scalesim,
    "eyeriss": _eyeriss,
}


def run(name: str, options: Options | None = None) -> Check:
    """Return the check against the source *name*, recomputed.

    Raises:
        UsageError: there is no such source.

    Example:
        >>> run("squeezenext", Options(quick=True)).holds
        True
    """
    known(name)
    return SOURCES[name](options or Options())


def known(name: str) -> str:
    """Return *name*.

    Raises:
        UsageError: there is no source of this name.
    """
    if name not in SOURCES:
        raise UsageError(
            f"there is no source {name!r}; allowed: {', '.join(SOURCES)}{nearest(name, SOURCES)}"
        )
    return name
