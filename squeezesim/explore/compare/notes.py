"""Sentences on what a reader of a comparison must know: energies that are not alike, accelerators that changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from squeezesim.explore.compare.comparison import Comparison
from squeezesim.hardware.show import ideals
from squeezesim.report.energies import energy_unit

if TYPE_CHECKING:
    from squeezesim.explore.compare.result import Result
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.parts import Energy

_TEXTS = ("name", "description", "source", "provenance")
_MOST = 4  # parameters that a sentence names


def notes(comparison: Comparison) -> list[str]:
    """Return the sentences, each once."""
    found = [*_changed(comparison), *_ideal(comparison), *_energies(comparison), *_own(comparison)]
    return list(dict.fromkeys(found))


def _changed(comparison: Comparison) -> Iterator[str]:
    """Accelerators of one name that are not one accelerator, and results that are compared with that of another."""
    for place, result in enumerate(comparison.results):
        other = comparison.baseline(place)
        if other is None:
            continue
        if other.accelerator != result.accelerator:
            if comparison.saved == 1 and place >= comparison.saved:
                yield f"{result} is compared with {_whose(other)}, which is of {other.accelerator}"
            continue
        before, after = _parameters(other.report.accelerator), _parameters(result.report.accelerator)
        paths = [path for path in before | after if before.get(path) != after.get(path)]
        if paths:
            listed = [
                f"{path} is {after.get(path, 'not set')}, not {before.get(path, 'set')}"
                for path in paths[:_MOST]
            ]
            more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
            whose = f"{result.accelerator} of {_whose(result)} differs from that of {_whose(other)}"
            yield f"{whose}: {', '.join(listed)}{more}"


def _whose(result: Result) -> str:
    return result.origin or result.network


def _parameters(accelerator: Accelerator) -> dict[str, Any]:
    """Values by dotted path."""

    def walk(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(walk("", accelerator.model_dump(mode="json", exclude=set(_TEXTS))))


def _ideal(comparison: Comparison) -> Iterator[str]:
    """Accelerators that are faster than any real one, where others are not or lack something else."""
    found = {result.accelerator: ideals(result.report.accelerator) for result in comparison.results}
    if len({tuple(lacks) for lacks in found.values()}) > 1:
        for name, lacks in found.items():
            if lacks:
                yield f"{name} is an ideal accelerator: {', '.join(lacks.values())}"


def _energies(comparison: Comparison) -> Iterator[str]:
    accelerators = {result.accelerator: result for result in comparison.results}
    units = {energy_unit(result.report) for result in comparison.results}
    tables = {name: result.report.accelerator.energy for name, result in accelerators.items()}
    if len(set(tables.values())) > 1:
        listed = ", ".join(f"{name} {_table(energy)}" for name, energy in tables.items())
        apart = " and are of different units" if len(units) > 1 else ""
        yield f"energies come from different tables{apart}: {listed}"
    relative = [name for name, result in accelerators.items() if result.report.scale.pj_per_unit is None]
    if relative:
        one = len(units) == 1
        yield (
            f"energy is in units of one MAC{'' if one else ' of each accelerator'}, since the energy table of "
            f"{' and of '.join(relative)} is relative"
        )


def _table(energy: Energy) -> str:
    return energy.table + (" with overrides" if energy.overrides else "")


def _own(comparison: Comparison) -> Iterator[str]:
    for result in comparison.results:
        if result.report.unmodelled:
            listed = ", ".join(f"{item.op} ×{item.count}" for item in result.report.unmodelled)
            yield f"{result.network}: not modelled, and in no number: {listed}"
        yield from (f"{result.network}: {note}" for note in result.report.notes)
