"""What the page asks, and what it is answered: networks, accelerators, and what one costs on the other."""

from __future__ import annotations

import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from squeezesim.errors import ModelError, UsageError, nearest
from squeezesim.explore.allocate.additive import Base, Pieces, cut
from squeezesim.files import json_line, round_floats
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import changed_name, settings, to_changes_yaml
from squeezesim.hardware.shipped import GROUPS, group
from squeezesim.network import Network
from squeezesim.network.checks import MAX_TEXT, show
from squeezesim.report import metrics
from squeezesim.report.figures.charts import Energies
from squeezesim.report.html import assets, data
from squeezesim.serve.controls import (
    DEPTH,
    MOST_SIDE,
    RESOLUTION,
    Control,
    controls_of,
    depths_of,
    most_blocks,
    network_controls,
)
from squeezesim.simulate import simulate
from squeezesim.zoo.options import Option, Value
from squeezesim.zoo.registry import Spec, catalogue, parse_spec

NETWORK, ACCELERATOR = "squeezenext_23", "squeezelerator_16x16"
"""What the page begins with where nothing is given."""

GIVEN = "given"
_MOST_TEXT = 2 * MAX_TEXT  # characters of a name or a value that the page sends
_MOST_CHANGES = 100
_KEPT = 64  # networks, and answers, that are kept
_NUMBERS = (
    *("latency_us", "cycles", "utilization", "energy_uj", "energy_mac_equiv", "dram_bytes"),
    *("macs", "params"),
)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line gave beside the built-in networks and the shipped accelerators.

    Attributes:
        model: the text of the network; that of a built-in one, with or without options, has no *network*.
        network: what other texts and options give.
        options: words of the command line that made it so.
        hw: the text of the accelerator, a shipped name where there is no *accelerator*.
        hw_options: further words of the command line about it.
        changes: parameters that the command line set in it.
    """

    model: str = ""
    network: Network | None = None
    options: Sequence[str] = ()
    hw: str = ""
    accelerator: Accelerator | None = None
    hw_options: Sequence[str] = ()
    changes: Mapping[str, object] = field(default_factory=dict)


class Question(NamedTuple):
    """What the page asks for: a network with options, on an accelerator with changes."""

    network: str
    options: Mapping[str, Any]
    accelerator: str
    changes: Mapping[str, Any]

    @classmethod
    def of(cls, asked: object) -> Question:
        """Return what *asked*, JSON of the page, asks for.

        Raises:
            UsageError: it is not written so.
        """
        keys = cls._fields
        if not isinstance(asked, dict) or set(asked) != set(keys):
            raise UsageError(f"a question is an object of {', '.join(keys)}, found {show(asked)}")
        for key in ("network", "accelerator"):
            if not isinstance(asked[key], str) or len(asked[key]) > _MOST_TEXT:
                raise UsageError(f"{key} must be a text, found {show(asked[key])}")
        for key in ("options", "changes"):
            found = asked[key]
            if not isinstance(found, dict) or len(found) > _MOST_CHANGES:
                raise UsageError(
                    f"{key} must be an object of at most {_MOST_CHANGES} values, found {show(found)}"
                )
            for name, value in found.items():
                if not (_is_number(value) or (isinstance(value, str) and len(value) <= _MOST_TEXT)):
                    raise UsageError(f"{name[:_MOST_TEXT]} is {show(value)}; allowed: a number")
        return cls(**asked)

    @property
    def key(self) -> str:
        """A text that equal questions share."""
        return json_line(
            [self.network, sorted(self.options.items()), self.accelerator, [*self.changes.items()]]
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Kept = TypeVar("Kept")


def _keep(known: dict[str, Kept], key: str, value: Kept) -> Kept:
    """Keep *value* among the last of its kind."""
    known[key] = value
    if len(known) > _KEPT:
        del known[next(iter(known))]
    return value


class Session:
    """Answers questions, and keeps networks and answers for the next ones.

    Example:
        >>> session = Session(Given())
        >>> asked = Question("alexnet", {}, "squeezelerator_16x16", {"array.rows": 32})
        >>> session.answer(asked)["command"]
        'squeezesim profile alexnet --hw squeezelerator_16x16 --set array.rows=32'
    """

    def __init__(self, given: Given, *, cache: bool = True) -> None:
        self._given, self._cache = given, cache
        self._specs = {name: Spec(entry, {}) for name, entry in catalogue().items()}
        if given.model and given.network is None:
            spec = parse_spec(given.model)
            self._specs.setdefault(str(spec), spec)
        self._networks: dict[str, Network] = {}
        self._pieces: dict[str, Pieces | None] = {}
        self._controls: dict[str, list[Control]] = {}
        self._answers: dict[str, str] = {}

    def opening(self) -> dict[str, Any]:
        """Return what there is to choose from, and what the page begins with."""
        given = self._given
        start = str(parse_spec(given.model)) if given.model and given.network is None else given.model
        networks = [
            {"name": name, "group": spec.entry.family.name if name in catalogue() else GIVEN}
            for name, spec in self._specs.items()
        ]
        accelerators = [
            {"name": name, "group": GROUPS[group(name)]}
            for name in sorted(Accelerator.names(), key=lambda name: [*GROUPS].index(group(name)))
        ]
        if given.network is not None:
            networks.insert(0, {"name": self._own_network, "group": GIVEN})
        if given.accelerator is not None:
            accelerators.insert(0, {"name": self._own_accelerator, "group": GIVEN})
        return {
            "networks": networks,
            "accelerators": accelerators,
            "start": {
                "network": self._own_network if given.network is not None else start or NETWORK,
                "options": {},
                "accelerator": self._own_accelerator if given.accelerator else given.hw or ACCELERATOR,
                "changes": {},
            },
        }

    def describe(self, asked: Question) -> dict[str, Any]:
        """Return the controls of the network and of the accelerator that are *asked* for.

        Raises:
            UsageError: there is no such one.
        """
        spec = self._spec(asked.network)
        of_network = network_controls(spec) if spec else []
        found = [*self._controls_of(asked.accelerator), *of_network]
        return {"controls": [each._asdict() | {"values": [*each.values]} for each in found]}

    def text(self, asked: Question) -> str:
        """Return the answer as JSON; the last ones are kept."""
        if asked.key in self._answers:
            return self._answers[asked.key]
        return _keep(self._answers, asked.key, json_line(self.answer(asked)))

    def answer(self, asked: Question) -> dict[str, Any]:
        """Return what the network costs on the accelerator, as the page draws and writes it.

        Raises:
            UsageError: there is no such network or accelerator, or it has no such control.
            ModelError: an option is not allowed, or the network cannot run so.
            HardwareError: a parameter is out of its range, or a layer does not fit.
        """
        base = self._accelerator(asked.accelerator)
        known = {control.path for control in self._controls_of(asked.accelerator)}
        unknown = next((path for path in asked.changes if path not in known), None)
        if unknown is not None:
            raise UsageError(f"{base.name} has no control {show(unknown)}{nearest(unknown, known)}")
        name = changed_name(base.name, asked.changes)
        accelerator = base.replace({**asked.changes, "name": name})
        network, words = self._network(asked)
        report = simulate(network, accelerator)
        names, energies = data.names_of([report]), Energies([report])
        totals = metrics.totals(report)
        return {
            "network": network.name,
            "accelerator": accelerator.name,
            "result": data.charted(report, energies, names),
            "legends": data.legends(names),
            "colours": assets.colours(names),
            "tiles": [tile._asdict() for tile in data.tiles(report)],
            "numbers": round_floats({key: totals[key] for key in _NUMBERS} | {"pes": report.machine.pes}),
            "command": shlex.join(["squeezesim", "profile", *words, *self._hw_words(asked)]),
            "yaml": self._yaml(asked, accelerator),
            "notes": [*report.notes],
        }

    @cached_property
    def _own_network(self) -> str:
        """What the network of the command line is called on the page."""
        assert self._given.network is not None
        return _beside(self._given.network.name, self._specs)

    @cached_property
    def _own_accelerator(self) -> str:
        """What the accelerator of the command line is called on the page."""
        assert self._given.accelerator is not None
        return _beside(self._given.accelerator.name, Accelerator.names())

    def _is_own_network(self, name: str) -> bool:
        return self._given.network is not None and name == self._own_network

    def _is_own_accelerator(self, name: str) -> bool:
        return self._given.accelerator is not None and name == self._own_accelerator

    def _spec(self, name: str) -> Spec | None:
        """The built-in network *name*; None for that of the command line."""
        if self._is_own_network(name):
            return None
        if name not in self._specs:
            raise UsageError(f"there is no network {show(name)}{nearest(name, self._specs)}")
        return self._specs[name]

    def _accelerator(self, name: str) -> Accelerator:
        if self._is_own_accelerator(name) and self._given.accelerator is not None:
            return self._given.accelerator
        return Accelerator.named(name)

    def _controls_of(self, name: str) -> list[Control]:
        if name not in self._controls:
            self._controls[name] = controls_of(self._accelerator(name))
        return self._controls[name]

    def _network(self, asked: Question) -> tuple[Network, list[str]]:
        """The network, fused, and the words of the command line that give it."""
        spec = self._spec(asked.network)
        if spec is None:
            if asked.options:
                raise UsageError(f"{show(asked.network)} has no options here; allowed: built-in networks")
            assert self._given.network is not None
            return self._given.network, [self._given.model, *self._given.options]
        base, depth = _with_options(spec, asked.options)
        key = f"{base.spec} {base.resolution} {depth}"
        network = self._networks.get(key) or _keep(self._networks, key, self._made(base, depth))
        shape = [] if base.resolution is None else ["--input", "x".join(map(str, _shape(base)))]
        changes = {DEPTH: _value(depth)} if depth else {}
        return network, [str(_plain(Spec(spec.entry, {**base.spec.changes, **changes}))), *shape]

    def _made(self, base: Base, depth: tuple[int, ...]) -> Network:
        """The network of *depth* blocks: of another depth than its own it is made of blocks that are known."""
        own = depths_of(base.spec)
        if depth == own:
            return _loaded(base, self._cache)
        pieces = self._pieces_for(base, depth)
        if pieces is None:
            return base.network(depth, cache=self._cache)
        spec = _plain(Spec(base.spec.entry, {**base.spec.changes, DEPTH: _value(depth)}))
        return pieces.assembled(depth, str(spec), spec.notes)

    def _pieces_for(self, base: Base, depth: tuple[int, ...]) -> Pieces | None:
        """Blocks for *depth* and for all that the sliders go to; None where blocks depend on how many there are."""
        key = f"{base.spec} {base.resolution}"
        known = self._pieces.get(key)
        if key in self._pieces and (known is None or _fits(depth, known.depth)):
            return known
        own, most = depths_of(base.spec), most_blocks(base.spec)
        deepest = tuple(map(max, most, depth, known.depth if known else most))
        return _keep(self._pieces, key, _cut(base, own, deepest, self._cache))

    def _hw_words(self, asked: Question) -> list[str]:
        own = self._is_own_accelerator(asked.accelerator)
        changes = {**(self._given.changes if own else {}), **asked.changes}
        words = ["--hw", *([self._given.hw, *self._given.hw_options] if own else [asked.accelerator])]
        return [*words, *(word for text in settings(changes) for word in ("--set", text))]

    def _yaml(self, asked: Question, accelerator: Accelerator) -> str:
        """The change of a shipped accelerator, or all of that of the command line."""
        if self._is_own_accelerator(asked.accelerator):
            return accelerator.to_yaml()
        return to_changes_yaml(accelerator.name, asked.accelerator, asked.changes)


def _beside(name: str, known: Container[str]) -> str:
    return f"{name} ({GIVEN})" if name in known else name


def _with_options(spec: Spec, given: Mapping[str, Any]) -> tuple[Base, tuple[int, ...]]:
    """*spec* with options by the paths of their controls, and the blocks of its stages."""
    known = {option.name: option for option in spec.entry.family.options}
    paths = [control.path for control in network_controls(spec)]
    changes: dict[str, Value] = dict(spec.changes)
    depth, side = [*depths_of(spec)], None
    for path, value in given.items():
        if path not in paths:
            raise ModelError(f"{str(spec)!r} has no control {show(path)}{nearest(path, paths)}")
        name, _, stage = path.partition(".")
        if name == DEPTH:
            low, high = known[DEPTH].low, known[DEPTH].high
            one = Option(name=path, kind="int", default=1, low=low, high=high)
            depth[int(stage) - 1] = _whole(one, value)
        elif name == RESOLUTION and RESOLUTION not in known:
            one = Option(name=RESOLUTION, kind="int", default=1, low=1, high=MOST_SIDE)
            side = _whole(one, value)
        else:
            changes[name] = known[name].parse(value)
    own = _plain(Spec(spec.entry, changes))
    return Base(own, side if side != spec.input[1] else None, {}), tuple(depth)


def _whole(option: Option, value: object) -> int:
    found = option.parse(value)
    assert isinstance(found, int)
    return found


def _value(depth: tuple[int, ...]) -> Value:
    return depth if len(depth) > 1 else depth[0]


def _fits(depth: Sequence[int], most: Sequence[int]) -> bool:
    return all(blocks <= limit for blocks, limit in zip(depth, most, strict=True))


def _shape(base: Base) -> tuple[int, ...]:
    assert base.resolution is not None
    return (base.spec.input[0], base.resolution, base.resolution)


def _plain(spec: Spec) -> Spec:
    """*spec* without options that are the network's own."""
    defaults = spec.entry.defaults
    return Spec(spec.entry, {name: value for name, value in spec.changes.items() if value != defaults[name]})


def _loaded(base: Base, cache: bool) -> Network:
    from squeezesim.load import load

    shape = None if base.resolution is None else _shape(base)
    return load(str(base.spec), input_shape=shape, cache=cache).fused


def _cut(base: Base, own: tuple[int, ...], deepest: tuple[int, ...], cache: bool) -> Pieces | None:
    """The pieces of *base* up to *deepest*; None where its own depth, put together of them, is not what it is."""
    shallow = _loaded(base, cache)
    try:
        pieces = cut(base.network(deepest, cache=cache), deepest, shallow, own)
        alike = pieces.assembled(own, shallow.name, shallow.notes) == shallow
    except ModelError:
        return None
    return pieces if alike else None
