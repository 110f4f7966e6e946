"""Published networks among the allocations, and those beside them that differ in other options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from squeezesim.explore.allocate.bases import Base, depth_of
from squeezesim.explore.allocate.space import Depth, Space
from squeezesim.zoo.records import Entry
from squeezesim.zoo.registry import Spec, catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A network to be found among the allocations or beside them.

    Attributes:
        base: the number of the base that it is of, None where it is beside all of them.
        differs: in what it differs from the model that was asked for, as ``conv1=7``.
    """

    name: str
    spec: Spec
    depth: Depth
    base: int | None
    differs: str = ""

    @property
    def entry(self) -> Entry:
        """The built-in network that it is, or that its options change."""
        return self.spec.entry


def points(model: Spec, bases: Sequence[Base], space: Space) -> list[Point]:
    """Return *model* itself, then published networks of its family whose blocks are an allocation of *space*.

    Those that are of none of *bases* are taken where they are as wide as the model: with another first convolution,
    another wiring, in groups.
    """
    found = [_point(str(model), model, bases, model)]
    for entry in catalogue().values():
        if entry.family.name != model.entry.family.name:
            continue
        spec = Spec(entry, {})
        point = _point(entry.name, spec, bases, model)
        if point.depth not in space or point.name == str(model):
            continue
        if point.base is not None or spec.options.get("width") == model.options.get("width"):
            found.append(point)
    return found


def _point(name: str, spec: Spec, bases: Sequence[Base], model: Spec) -> Point:
    base = next((number for number, base in enumerate(bases) if base.is_like(spec)), None)
    options = spec.entry.family.options
    differs = [
        f"{option.name}={option.format(spec.options[option.name])}"
        for option in options
        if option.name != "depth" and spec.options[option.name] != model.options[option.name]
    ]
    return Point(name=name, spec=spec, depth=depth_of(spec), base=base, differs=", ".join(differs))
