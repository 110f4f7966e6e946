"""Which result each result is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from squeezesim.errors import UsageError, nearest
from squeezesim.explore.compare.result import Result

Places = tuple[int | None, ...]
"""For each result the place of its baseline, None where it has none."""


def named(results: Sequence[Result], name: str | None) -> Places:
    """Return the baselines that *name* means: by default the first result for all.

    ``NETWORK on ACCELERATOR`` is one result for all. A network's name is the result of that network on the same
    accelerator, and an accelerator's name that of the same network on it; where there is only one result of that name,
    it is the baseline of all.

    Raises:
        UsageError: nothing is called *name*.
    """
    if name is None:
        return (0,) * len(results)
    for place, result in enumerate(results):
        if str(result) == name:
            return (place,) * len(results)
    networks = dict.fromkeys(result.network for result in results)
    accelerators = dict.fromkeys(result.accelerator for result in results)
    if name in networks:
        return _matched(results, lambda one: one.network == name, lambda one: one.accelerator)
    if name in accelerators:
        return _matched(results, lambda one: one.accelerator == name, lambda one: one.report.network.name)
    known = [*networks, *accelerators]
    raise UsageError(f"baseline {name!r} is not compared; allowed: {', '.join(known)}{nearest(name, known)}")


def against(results: Sequence[Result], saved: int) -> Places:
    """Return the baselines where the first *saved* results are those of saved reports.

    A result is compared with the saved one of the same network and accelerator, by their names; where only one is
    saved, with that one.

    Raises:
        UsageError: several are saved, and none of them is of a result's network and accelerator.
    """
    if saved == 1:
        return (0,) * len(results)
    places: list[int | None] = list(range(saved))
    for result in results[saved:]:
        same = [place for place in range(saved) if _name(results[place]) == _name(result)]
        if not same:
            known = ", ".join(" on ".join(_name(other)) for other in results[:saved])
            raise UsageError(f"none of the saved reports is of {result}; they are of {known}")
        places.append(same[0])
    return tuple(places)


def _name(result: Result) -> tuple[str, str]:
    return result.report.network.name, result.accelerator


def _matched(
    results: Sequence[Result], is_one: Callable[[Result], bool], key: Callable[[Result], str]
) -> Places:
    """For each result the first that *is_one* and has the same *key*; the only one where it is alone."""
    ones = [place for place, result in enumerate(results) if is_one(result)]
    if len(ones) == 1:
        return (ones[0],) * len(results)
    return tuple(
        next((place for place in ones if key(results[place]) == key(result)), None) for result in results
    )
