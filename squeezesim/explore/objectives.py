"""What a user may ask for as an objective or a column to sort by: one check for fronts, sweeps and allocations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError, nearest
from squeezesim.report.tally import Scale

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator


def check_column(what: str, name: str, known: Iterable[str]) -> None:
    """Check that *name*, wanted as *what*, is one of the columns *known*.

    Raises:
        UsageError: it is none of them.
    """
    names = list(known)
    if name not in names:
        raise UsageError(f"there is no {what} {name!r}; allowed: {', '.join(names)}{nearest(name, names)}")


def check_objectives(names: Sequence[str], known: Iterable[str] | None = None) -> None:
    """Check that a Pareto front can be of *names*: there is one, each is a column *known*, none is there twice.

    Raises:
        UsageError: it cannot.
    """
    columns = None if known is None else list(known)
    if not names:
        allowed = "names of columns in minimise or maximise" if columns is None else ", ".join(columns)
        raise UsageError(f"a Pareto front needs an objective; allowed: {allowed}")
    for name in names if columns is not None else ():
        check_column("objective", name, columns or ())
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"objective {twice!r} is named twice; allowed: once")


def without_joules(accelerator: Accelerator) -> str:
    """Return why no energy on *accelerator* is in µJ; empty where it is.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> without_joules(Accelerator.named("squeezelerator_16x16"))
        'the energy table of squeezelerator_16x16 is relative, without joules'
        >>> without_joules(Accelerator.named("os_32x32"))
        ''
    """
    if Scale.of([accelerator]).has_joules:
        return ""
    return f"the energy table of {accelerator.name} is relative, without joules"
