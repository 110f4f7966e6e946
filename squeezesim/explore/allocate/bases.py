"""Bases: the networks whose blocks are allocated, one for each combination of other options, and their pieces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from squeezesim.errors import ModelError, UsageError, nearest
from squeezesim.explore.allocate.pieces import Pieces, check, cut
from squeezesim.explore.allocate.space import Depth
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.network.checks import show
from squeezesim.network.passes import fuse
from squeezesim.zoo.options import Option, Value
from squeezesim.zoo.records import Entry
from squeezesim.zoo.registry import Spec, catalogue, parse_spec

MOST = 100
"""Combinations of options that are tried."""

NOT_ADDITIVE = ("squeezenet", "densenet")
"""Families whose blocks depend on how many are before them, so that ``cut`` refuses them."""

_RESOLUTION = Option(name="resolution", kind="int", low=1, high=2048, default=224)

Choices = Mapping[str, object]
"""Values by option: several, or one alone."""


@dataclass(frozen=True, slots=True)
class Base:
    """A built-in network of any depth.

    Attributes:
        spec: the network; its depth is that of the model that was asked for.
        resolution: pixels along each side of the input, where they are not the network's own.
        values: the options that were set.
    """

    spec: Spec
    resolution: int | None
    values: Mapping[str, Value]

    def network(self, depth: Depth, *, cache: bool) -> Network:
        """Return the fused network of *depth* blocks in each stage.

        Raises:
            ModelError: the options do not fit together, or the network does not accept the input.
        """
        entry, side = self.spec.entry, self.resolution
        changes = {**self.spec.changes, "depth": depth if option_of(entry).length else depth[0]}
        spec = Spec(entry, {name: value for name, value in changes.items() if value != entry.defaults[name]})
        shape = None if side is None else f"{spec.input[0]}x{side}x{side}"
        return fuse(load(str(spec), input_shape=shape, cache=cache))

    def is_like(self, spec: Spec) -> bool:
        """Whether *spec* is this network but for its depth."""
        ours, theirs = self.spec.options, spec.options
        return (
            self.resolution is None
            and self.spec.entry.family.name == spec.entry.family.name
            and self.spec.input == spec.input
            and all(ours[key] == theirs[key] for key in ours if key != "depth")
        )

    def pieces(self, least: Depth, greatest: Depth, published: Sequence[Entry], *, cache: bool) -> Pieces:
        """Return the pieces for *least* to *greatest* blocks in each stage, from two traces.

        The graphs of *published* networks, which are of this base and not deeper, are checked against them too.

        Raises:
            ModelError: the network is no sum of its blocks.
        """
        deep = self.network(greatest, cache=cache)
        pieces = cut(deep, greatest, self.network(least, cache=cache), least)
        for entry in published:
            check(pieces, fuse(Network.load(entry.graph)), depth_of(Spec(entry, {})))
        return pieces


def depth_of(spec: Spec) -> Depth:
    """Return the blocks of each stage of *spec*."""
    value = spec.options["depth"]
    assert isinstance(value, (int, tuple))
    return value if isinstance(value, tuple) else (value,)


def option_of(entry: Entry) -> Option:
    """Return the option that says how deep each stage of *entry* is.

    Raises:
        ModelError: it has none.
    """
    found = next((option for option in entry.family.options if option.name == "depth"), None)
    if found is None:
        have: dict[str, str] = {}
        for each in catalogue().values():
            if "depth" in each.defaults and each.family.name not in NOT_ADDITIVE:
                have.setdefault(each.family.name, each.name)
        raise ModelError(
            f"network {entry.name!r} has no blocks to allocate; allowed: {', '.join(have.values())} and the others "
            "of their families"
        )
    return found


def parse_model(model: str) -> Spec:
    """Return the built-in network *model*, with or without options, whose depth is one of them.

    Raises:
        UsageError: it is no text.
        ModelError: it is no built-in network, or it has no blocks to allocate.
    """
    if not isinstance(model, str):
        raise UsageError(
            f"allocate builds networks by name, such as 'squeezenext_23_v5@width=1.5', found a {type(model).__name__}"
        )
    name = model.partition("@")[0]
    if name not in catalogue():
        raise ModelError(
            f"{show(name)} is no built-in network; allocate needs one that has a depth, such as squeezenext_23_v5"
            f"{nearest(name, catalogue())}"
        )
    spec = parse_spec(model)
    option_of(spec.entry)
    return spec


def bases(spec: Spec, choices: Choices) -> list[Base]:
    """Return *spec* with every combination of *choices*, values by option, in order.

    Raises:
        ModelError: an option is unknown, or a value is not allowed.
        UsageError: depth is one of them, an option has no value, or there are more than 100 combinations.
    """
    options = {option.name: option for option in spec.entry.family.options if option.name != "depth"}
    options.setdefault("resolution", _RESOLUTION)
    values: dict[str, list[Value]] = {}
    for name, listed in choices.items():
        if name == "depth":
            raise UsageError("depth is what is allocated: its ranges are --blocks and --stage")
        if name not in options:
            raise ModelError(
                f"{spec.entry.name!r} has no option {show(name)}; allowed: {', '.join(options)}"
                f"{nearest(name, options)}"
            )
        several = listed if isinstance(listed, Iterable) and not isinstance(listed, str) else [listed]
        values[name] = list(dict.fromkeys(options[name].parse(value) for value in several))
        if not values[name]:
            raise UsageError(f"option {name!r} has no values")
    count = prod(map(len, values.values()))
    if count > MOST:
        raise UsageError(f"{count:,} combinations of options; allowed: at most {MOST}")
    return [
        _base(spec, dict(zip(values, combination, strict=True))) for combination in product(*values.values())
    ]


def parse_choices(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return what ``conv1=5,7`` says of each option: its values.

    Raises:
        UsageError: one is not written so, or an option is given twice.

    Example:
        >>> parse_choices(["conv1=5,7", "wiring=serial"])
        {'conv1': ['5', '7'], 'wiring': ['serial']}
    """
    choices: dict[str, list[str]] = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        if not equals or not name or not all(listed.split(",")):
            raise UsageError(f"values of an option are written option=value,value, found {show(text)}")
        if name in choices:
            raise UsageError(f"option {name!r} is given twice")
        choices[name] = listed.split(",")
    return choices


def _base(spec: Spec, chosen: Mapping[str, Value]) -> Base:
    defaults = spec.entry.defaults
    own = {name: value for name, value in chosen.items() if name in defaults}
    changes = {name: value for name, value in {**spec.changes, **own}.items() if value != defaults[name]}
    resolution = chosen.get("resolution") if "resolution" not in defaults else None
    side = resolution if isinstance(resolution, int) and resolution != spec.input[1] else None
    return Base(Spec(spec.entry, changes), side, chosen)
