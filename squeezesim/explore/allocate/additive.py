"""Costs of allocations as sums: every layer is costed once, a block's costs are added."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.costs import Costs
from squeezesim.cost.evaluate import evaluate
from squeezesim.errors import ModelError, UsageError, nearest
from squeezesim.explore.allocate.allocations import Depth
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.network.checks import derive, show
from squeezesim.report.report import Report
from squeezesim.report.tally import ARRAYS, Scale, Tally, layer_operands
from squeezesim.zoo.options import Option, Value
from squeezesim.zoo.records import Entry
from squeezesim.zoo.registry import Spec, catalogue, parse_spec

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs
    from squeezesim.cost.problem import Floats
    from squeezesim.explore.allocate.allocations import Depth, Ints
    from squeezesim.hardware.accelerator import Accelerator

_NUMBERED = re.compile(r"[a-z]+\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A fused network cut into what is there at every depth and the blocks of each stage.

    Attributes:
        network: the network, of ``depth`` blocks in each stage.
        owner: of each layer the stage and the block, numbers from 0; the stage is −1 for stem and head, the block
            −1 for what a stage has at every depth, such as a pool.
    """

    network: Network
    depth: Depth
    owner: tuple[tuple[int, int], ...]

    def at(self, depth: Depth) -> list[Layer]:
        """Return the layers that the network has at no more blocks: those of the first *depth* of each stage."""
        return [
            layer
            for layer, (stage, block) in zip(self.network.layers, self.owner, strict=True)
            if block < 0 or block < depth[stage]
        ]

    def assembled(self, depth: Depth, name: str, notes: tuple[str, ...] = ()) -> Network:
        """Return the network of no more than *depth* blocks in each stage, fused, as a trace of it is, called *name*.

        What reads a block that is not there reads the last one that is.

        Raises:
            ModelError: what is after a block reads more than one layer of it.
        """
        owner = dict(zip((layer.name for layer in self.network.layers), self.owner, strict=True))
        read: dict[tuple[int, int], dict[str, None]] = {}  # what of each block is read outside of it
        for layer in self.network.layers:
            for source in layer.inputs:
                if owner.get(source, owner[layer.name]) != owner[layer.name]:
                    read.setdefault(owner[source], {})[source] = None

        def there(source: str) -> str:
            stage, block = owner.get(source, (-1, -1))
            if block < 0 or block < depth[stage]:
                return source
            ends: list[str] = [*read.get((stage, depth[stage] - 1), ())]
            if len(ends) != 1:
                raise ModelError(f"{name!r}: {len(ends)} layers of a block are read after it; allowed: one")
            return ends[0]

        layers = tuple(derive(layer, inputs=tuple(map(there, layer.inputs))) for layer in self.at(depth))
        return derive(self.network, name=name, layers=layers, notes=notes)


def cut(network: Network, depth: Depth, other: Network, other_depth: Depth) -> Pieces:
    """Return the pieces of *network*, which is fused, by comparison with *other*, of fewer blocks in some stages.

    The children of a stage that are numbered, as ``block3`` and ``conv4`` are, belong to its blocks in turn; how many
    to one follows from how many more of them the deeper stage has. Stages as deep in both have no blocks to cut.

    Raises:
        ModelError: *other* is not *network* without some of its blocks.
    """
    names = [f"stage{number}" for number in range(1, len(depth) + 1)]
    rest = {name: (number, -1) for number, name in enumerate(names)}
    children, others = _children(network, names), _children(other, names)
    owners: dict[str, tuple[int, int]] = {}
    for number, (deep, shallow, blocks, fewer) in enumerate(
        zip(children, others, depth, other_depth, strict=True)
    ):
        if blocks == fewer:
            continue
        each, odd = divmod(len(deep) - len(shallow), blocks - fewer)
        if odd or each < 1:
            raise _not_additive(network, depth, other_depth)
        owners |= {child: (number, place // each) for place, child in enumerate(deep[: each * blocks])}
    pieces = Pieces(
        network=network,
        depth=depth,
        owner=tuple(owners.get(_child(layer), rest.get(layer.stage, (-1, -1))) for layer in network.layers),
    )
    check(pieces, other, other_depth)
    return pieces


def check(pieces: Pieces, other: Network, depth: Depth) -> None:
    """Check that *other*, of *depth* blocks and fused, is the network of *pieces* without its further blocks.

    Raises:
        ModelError: it is not: a layer is another one, so that its costs do not follow from the pieces.
    """
    ours = pieces.at(depth)
    unlike = next(
        (layer.name for layer, own in zip(other.layers, ours, strict=False) if _alone(layer) != _alone(own)),
        "",
    )
    if unlike or len(ours) != len(other.layers) or pieces.network.unread_params != other.unread_params:
        raise _not_additive(pieces.network, pieces.depth, depth, unlike)


def _not_additive(network: Network, depth: Depth, other: Depth, layer: str = "") -> ModelError:
    texts = ["-".join(map(str, blocks)) for blocks in (depth, other)]
    which = f"layer {layer!r} is not the same" if layer else "the layers are not the same"
    return ModelError(
        f"the blocks of {network.name.partition('@')[0]!r} depend on how many there are: {which} at depths "
        f"{texts[0]} and {texts[1]}, so that an allocation is no sum over its blocks"
    )


def _alone(layer: Layer) -> Layer:
    """The layer without its place in the network."""
    return derive(layer, name="layer", module="", inputs=(), carried=(), shared=())


def _child(layer: Layer) -> str:
    """The child of a stage that a layer is in, as ``stage1.block3``; empty where it is in none."""
    return ".".join(layer.module.split(".")[:2])


def _children(network: Network, names: Sequence[str]) -> list[list[str]]:
    """Numbered children of each stage in the order in which they run."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for child, _ in groupby(network.layers, _child):
        stage, _, own = child.partition(".")
        if stage in found and _NUMBERED.fullmatch(own) and child not in found[stage]:
            found[stage].append(child)
    return [found[name] for name in names]


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
        return load(str(spec), input_shape=shape, cache=cache).fused

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
            check(pieces, Network.load(entry.graph).fused, depth_of(Spec(entry, {})))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Running sums of a network's blocks on one accelerator.

    ``rest`` is one row for stem and head, ``stages[s]`` has a row for each number of blocks of stage s, from 0.
    """

    scale: Scale
    rest: Tally
    stages: tuple[Tally, ...]

    @classmethod
    def of(cls, pieces: Pieces, costs: Costs, accelerator: Accelerator) -> Sums:
        """Return the sums of the layers of *pieces*, whose *costs* have one row, of *accelerator*."""
        # Row 0 is stem and head; a stage's first row is what it has at every depth, its blocks follow.
        offsets = np.cumsum([1, *(blocks + 1 for blocks in pieces.depth)])
        stage, block = np.array(pieces.owner, np.int64).T
        groups = np.where(stage < 0, 0, offsets[stage] + block + 1)
        layers = pieces.network.layers
        each = Tally.of(layers, costs, layer_operands(layers, [accelerator])).take(0)
        blocks = each.grouped(groups, int(offsets[-1]))
        rest = blocks.take(slice(0, 1))
        return cls(
            scale=Scale.of([accelerator]),
            rest=replace(rest, params=rest.params + pieces.network.unread_params),
            stages=tuple(
                _running(blocks.take(slice(first, last))) for first, last in pairwise(offsets.tolist())
            ),
        )

    def tally(self, depths: Ints) -> Tally:
        """Return one row for each allocation of *depths*, (allocations, stages).

        Integers are exact; energy is the sum of the blocks in another order than that of a simulated network, and so
        the same but for rounding.
        """
        columns = {}
        for name in ARRAYS:
            sums = getattr(self.rest, name)
            for stage, table in enumerate(self.stages):
                sums = sums + getattr(table, name)[depths[:, stage]]
            columns[name] = sums
        return replace(self.rest, **columns)

    def late_share(self, depths: Ints) -> Floats:
        """Return the share of params in the last half of the stages for each allocation of *depths*."""
        columns = [table.params[depths[:, stage]] for stage, table in enumerate(self.stages)]
        return late_share(np.stack(columns, axis=-1))

    def latency_by_stage(self, depth: Depth) -> Floats:
        """Return latency in µs of stem and head, and of each stage, for one allocation."""
        parts = [self.rest.cycles[0], *(table.cycles[n] for table, n in zip(self.stages, depth, strict=True))]
        return np.array(parts) / self.scale.clock_mhz


def late_share(params: Ints) -> Floats:
    """Share of the last ⌊S / 2⌋ of S stages in the *params* of all stages, (…, S); not a number where S is 1.

    A stand-in for how much a network can learn where features are abstract. It says nothing of its accuracy.

    Example: 1, 2, 3 and 4 params in four stages are 0.7.
    """
    late, total = params[..., params.shape[-1] - params.shape[-1] // 2 :].sum(axis=-1), params.sum(axis=-1)
    known = total * (params.shape[-1] > 1)
    share = np.full(known.shape, np.nan)
    np.divide(late, known, out=share, where=known != 0)
    return share


def _running(blocks: Tally) -> Tally:
    """Sums over the first row, the first two, and so on."""
    return blocks.map(lambda column: column.cumsum(axis=0))


def costs_of(networks: Sequence[Network], accelerator: Accelerator) -> list[Costs]:
    """Return the costs of each of *networks*, which are fused; layers equal in shape are costed once for all.

    Raises:
        HardwareError: a layer does not fit the global buffer at its smallest tile.
    """
    layers = [layer for network in networks for layer in network.layers]
    costs = evaluate(layers, [accelerator])
    ends = np.cumsum([len(network.layers) for network in networks]).tolist()
    return [costs.take(slice(start, end)) for start, end in zip([0, *ends], ends, strict=False)]


def totals_of(network: Network, costs: Costs, accelerator: Accelerator, stages: int) -> dict[str, Any]:
    """Return the totals of *network*, whose layers have *costs*, with its ``late_share``."""
    params = [
        sum(layer.params for layer in network.layers if layer.stage == f"stage{number}")
        for number in range(1, stages + 1)
    ]
    share = float(late_share(np.array(params, np.int64)))
    totals = Report(network=network, accelerator=accelerator, costs=costs).totals
    return {**totals, "late_share": None if np.isnan(share) else share}
