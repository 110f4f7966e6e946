"""Equal layers of a stage, which figures and tables of a paper sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from squeezesim.network import Layer


@dataclass(frozen=True, slots=True)
class Equals:
    """Equal layers of a stage; *places* are theirs among all layers."""

    stage: str
    label: str
    places: tuple[int, ...]

    def __str__(self) -> str:
        count = len(self.places)
        return f"{count} × ({self.label})" if count > 1 else self.label


def equal_layers(layers: Iterable[Layer]) -> list[Equals]:
    """Return *layers* with equal ones of a stage together, in the order of the first of each.

    Equal are those between as many channels, with filters and strides of the same size: a 3×1 and a 1×3 filter are.
    """
    members: dict[tuple[str, str], list[int]] = {}
    for place, layer in enumerate(layers):
        members.setdefault((layer.stage, _label(layer)), []).append(place)
    return [Equals(stage, label, tuple(places)) for (stage, label), places in members.items()]


def _label(layer: Layer) -> str:
    """What makes layers of a stage equal, as ``64→32 1×1/2`` or ``add 64``."""
    if layer.kind != "mac":
        return f"{layer.op} {layer.g * layer.k}"
    short, long = sorted((layer.fy, layer.fx))
    stride = "" if layer.stride == (1, 1) else f"/{layer.stride[0]}"
    depthwise = " depthwise" if layer.g > 1 and layer.c == 1 else ""
    return f"{layer.g * layer.c}→{layer.g * layer.k} {long}×{short}{stride}{depthwise}"
