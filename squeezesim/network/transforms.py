"""Transforms of networks: what hardware does on the way out becomes part of a layer; stages are marked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise, takewhile

from squeezesim.errors import ModelError, UsageError, nearest
from squeezesim.network.checks import derive, show
from squeezesim.network.layer import Layer, check_count, check_name, recurrences
from squeezesim.network.ops import ACTIVATIONS

Path = tuple[str, ...]

RESOLUTION, REST = "resolution", "rest"
MOST_CHILDREN = 12
"""Children of a numbered list that are stages of their own."""
NEARLY_ALL = 0.9
"""Share of the layers that multiply from which on a child's own children are the stages; of all where none does."""

_FUSIBLE = ACTIVATIONS | {"batch_norm", "bias"}
_ADDS = ("add", "sub")
_MASKS = ("add", "masked_fill", "where")

MAX_UNROLLED = 1_000_000
"""Most layers of a network whose steps are layers of their own."""

_NUMBERED = re.compile(r"(.*?)(\d+)")
_STAGE = re.compile(r"stem|head|stage\d+")


def fuse(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return *layers* with batch-norm, bias and activations made part of the layer that they follow.

    An operator is fused into a MAC layer or an add if it reads nothing else, alone, and all of it, step by step where
    it repeats. The producer takes over its params and vector operations and lists it in ``fused``; what read the
    operator reads the producer, and what shares its params shares the producer's.

    Example:
        >>> relu = Layer.vector("relu", op="relu", k=64)
        >>> fuse([Layer.matmul("fc", m=1, n=64, k=128), derive(relu, inputs=("fc",))])[0].fused
        ('relu',)
    """
    place = {layer.name: number for number, layer in enumerate(layers)}
    owners = producers(
        layers,
        [[place.get(source, -1) for source in layer.inputs] for layer in layers],
        [[place[source] for source in layer.carried] for layer in layers],
    )
    parts: dict[str, list[Layer]] = {}  # each layer that stays, and what becomes part of it
    producer_of: dict[str, str] = {}  # a fused operator's name → the layer that it becomes part of
    for number, (layer, owner) in enumerate(zip(layers, owners, strict=True)):
        parts.setdefault(layers[owner].name, []).append(layer)
        if owner != number:
            producer_of[layer.name] = layers[owner].name
    return tuple(_joined(part, producer_of) for part in parts.values())


def producers(
    layers: Sequence[Layer], reads: Sequence[Sequence[int]], carried: Sequence[Sequence[int]]
) -> list[int]:
    """Return the number of the layer that each layer becomes part of when the network is fused, its own if none.

    *reads* and *carried* are ``inputs`` and ``carried`` of each by number, those of the network's inputs negative.
    """
    readers = [0] * len(layers)
    for sources, before in zip(reads, carried, strict=True):
        for source in {*sources, *before} if before or len(sources) > 1 else sources:
            if source >= 0:
                readers[source] += 1
    owners = list(range(len(layers)))
    for number, sources in enumerate(reads):
        if len(sources) != 1 or sources[0] < 0 or readers[sources[0]] != 1 or carried[number]:
            continue
        owner = owners[sources[0]]
        if _fits(layers[number], layers[owner]):
            owners[number] = owner
    return owners


def scales_of_products(
    layers: Sequence[Layer],
    reads: Sequence[Sequence[int]],
    carried: Sequence[Sequence[int]],
    scales: Iterable[int],
) -> set[int]:
    """Return which of *scales*, layers that multiply by one number, are no work: factors of products of activations.

    Either only such products read what is scaled, or it is a product that nothing else reads, and only a softmax reads
    the result, perhaps behind a mask. The softmax applies the number on its way, as it does in attention.
    *reads* and *carried* are as for ``producers``.
    """
    found, outside = set(scales), {number for before in carried for number in before}
    if not found:
        return set()
    readers: list[list[int]] = [[] for _ in layers]
    for number, sources in enumerate(reads):
        for source in sources:
            if source >= 0:
                readers[source].append(number)

    def alone(number: int) -> int | None:
        """The only layer that reads *number*."""
        return readers[number][0] if len(readers[number]) == 1 and number not in outside else None

    def is_softened(number: int) -> bool:
        """Whether only a softmax reads *number*, all of it, behind other scales and masks."""
        size, reader = layers[number].output_elements, alone(number)
        while reader is not None and layers[reader].output_elements == size:
            if layers[reader].op == "softmax":
                return True
            reader = alone(reader) if reader in found or layers[reader].op in _MASKS else None
        return False

    def is_product(number: int) -> bool:
        """Whether *number* scales a product of two activations that nothing else reads, perhaps scaled already."""
        while number in found and len(reads[number]) == 1 and reads[number][0] >= 0:
            source = reads[number][0]
            if alone(source) != number:
                return False
            if layers[source].weights_are_activations:
                return layers[source].output_elements == layers[number].output_elements
            number = source
        return False

    free: set[int] = set()
    for number in sorted(found, reverse=True):
        factors = (reader in free or layers[reader].weights_are_activations for reader in readers[number])
        is_factor = bool(readers[number]) and number not in outside and all(factors)
        if not carried[number] and (is_factor or (is_product(number) and is_softened(number))):
            free.add(number)
    return free


def without(
    left_out: Collection[int], reads: Sequence[Sequence[int]]
) -> Callable[[Iterable[int]], tuple[int, ...]]:
    """Return a function of numbers of layers: their numbers without those *left_out*, which are what these read."""
    numbers: dict[int, int] = {}
    behind: dict[int, list[int]] = {}
    for number, sources in enumerate(reads):
        if number in left_out:
            behind[number] = [each for source in sources for each in behind.get(source, [source])]
        else:
            numbers[number] = len(numbers)

    def renumbered(found: Iterable[int]) -> tuple[int, ...]:
        named = (source for number in found for source in behind.get(number, [number]))
        return tuple(dict.fromkeys(numbers.get(source, source) for source in named))

    return renumbered


def unroll(name: str, inputs: Sequence[str], layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the *layers* of network *name* without recurrences; see ``Network.unrolled``."""
    if sum(layer.repeat for layer in layers) > MAX_UNROLLED:
        raise ModelError(f"network {show(name)} has more than {MAX_UNROLLED:,} layers where steps are layers")
    steps: dict[str, list[str]] = {}  # of a layer or an input, the names of its steps
    unrolled: list[Layer] = []
    taken = set(inputs) | {layer.name for layer in layers}
    for source in inputs:
        steps[source] = [source]
    for run in recurrences(layers):
        repeat = run[0].repeat
        steps |= _steps_of(run, taken)
        for layer in run:
            check_name(layer.name, "name", max(steps[layer.name], key=len), empty=False)
        inside = {layer.name for layer in run}
        for at in range(repeat):
            for layer in run:
                before = [steps[source][at - 1] for source in layer.carried] if at else []
                reads = [
                    name
                    for source in layer.inputs
                    for name in (
                        [steps[source][at]]
                        if source in inside or len(steps[source]) == repeat
                        else steps[source]
                    )
                ]
                unrolled.append(
                    derive(
                        layer,
                        name=steps[layer.name][at],
                        inputs=tuple(dict.fromkeys([*reads, *before])),
                        params=0 if at else layer.params,
                        weight_params=None if at else layer.weight_params,
                        fixed_weights=0 if at else layer.fixed_weights,
                        constant_elements=layer.constants if at else layer.constant_elements,
                        shared=(layer.name, *layer.shared)
                        if at and (layer.params or layer.fixed_weights)
                        else layer.shared,
                        vector_ops=layer.vector_ops // repeat,
                        repeat=1,
                        carried=(),
                    )
                )
    return tuple(unrolled)


def _steps_of(run: Sequence[Layer], taken: set[str]) -> dict[str, list[str]]:
    """Names of the steps of each layer of a recurrence, which are *taken* from now on.

    The numbers of layers that differ by their number alone go on from step to step, as where every step is traced:
    ``a#2`` and ``a#3`` are ``a#4`` and ``a#5`` in the second step. Where others have such names, steps get a number of
    their own, ``a#2#2``.
    """
    alike: dict[str, list[tuple[Layer, int]]] = {}
    for layer in run:
        base, _, number = layer.name.rpartition("#")
        numbered = base and re.fullmatch(r"[1-9]\d{0,8}", number, re.ASCII)
        alike.setdefault(base if numbered else layer.name, []).append((layer, int(number) if numbered else 1))
    found: dict[str, list[str]] = {}
    for base, members in alike.items():
        later = range(len(members), len(members) * run[0].repeat, len(members))
        made = {layer.name: [f"{base}#{number + more}" for more in later] for layer, number in members}
        names = {name for each in made.values() for name in each}
        if len(names) < len(members) * len(later) or not names.isdisjoint(taken):
            for name in made:
                made[name] = [_free(f"{name}#{step}", taken) for step in range(2, run[0].repeat + 1)]
        taken |= names
        found |= {name: [name, *each] for name, each in made.items()}
    return found


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def mark_stages(layers: tuple[Layer, ...], *rules: str) -> tuple[Layer, ...]:
    """Return *layers* with the stage of each.

    Without *rules*: where components of the module paths are called ``stem``, ``stage1`` … ``stageN``, ``head``, or
    ``stages.0`` for the first of a list, they say it. Where none is, the children of the module are the stages; of a
    child that holds nearly all layers that multiply its own children are, those of a numbered list in equal runs if
    they are more than a dozen. A layer without a module of its own belongs where the layer before it does. Where layers
    have no modules, the rule is ``resolution``.

    *rules* are ``resolution``, by which a stage begins where the spatial size shrinks (the first size is the stem, and
    the head is what comes after the last layer larger than 1×1), or patterns of module paths: ``blocks.*`` makes a
    stage of each path that it matches, ``early=blocks.[0-3]`` one of all. Layers that none matches are ``rest``.

    Raises:
        UsageError: a pattern matches no layer, or is empty.

    Example:
        >>> layers = [Layer.matmul(f"blocks.{i}.fc", m=1, n=8, k=8) for i in range(2)]
        >>> [layer.stage for layer in mark_stages(tuple(layers))]
        ['blocks.0', 'blocks.1']
    """
    named = [_named_stage(layer) for layer in layers]
    if rules == (RESOLUTION,):
        stages = _by_size(layers)
    elif rules:
        stages = _by_patterns(layers, rules)
    elif any(stage.startswith("stage") for stage in named):
        stages = _inherited(named, "stem")
    else:
        stages = _by_children(layers) or _by_size(layers)
    for stage, layer in dict(
        zip(reversed(stages), reversed(layers), strict=True)
    ).items():  # the first of each
        check_name(layer.name, "stage", stage, empty=True)
    marked = (
        layer if layer.stage == stage else derive(layer, stage=stage)
        for layer, stage in zip(layers, stages, strict=True)
    )
    return tuple(marked)


def _joined(part: list[Layer], producer_of: dict[str, str]) -> Layer:
    producer, *fused = part
    inputs = tuple(producer_of.get(source, source) for source in producer.inputs)
    carried = tuple(producer_of.get(source, source) for source in producer.carried)
    owners = [producer_of.get(owner, owner) for layer in part for owner in layer.shared]
    shared = tuple(dict.fromkeys(owner for owner in owners if owner != producer.name))
    if not fused:
        same = (inputs, carried, shared) == (producer.inputs, producer.carried, producer.shared)
        return producer if same else derive(producer, inputs=inputs, carried=carried, shared=shared)
    counts = ("params", "fixed_weights", "vector_ops")
    sums = {field: sum(getattr(layer, field) for layer in part) for field in counts}
    if producer.kind == "mac":
        constants = _constants(producer, fused)
    else:  # it reads them as it reads its own
        constants = 0
        sums["weight_elements"] = sum(layer.weight_elements for layer in part)
    for field, count in sums.items():
        check_count(producer.name, field, count)
    return derive(
        producer,
        **sums,
        inputs=inputs,
        carried=carried,
        shared=shared,
        fused=(*producer.fused, *(layer.op for layer in fused)),
        weight_params=producer.weight_params_of(sums["params"], producer.owned_weights),
    ).reading(constants)


def _constants(producer: Layer, fused: Sequence[Layer]) -> int:
    """Values that a MAC layer reads beside its weights with *fused* in it.

    A norm's scale is part of the weights and its shift one of the bias: one value for each of its channels. Scales of
    quantised weights stay beside them.
    """
    scales = 0
    if producer.weight_bits is not None:
        scales = max(producer.constants - (producer.params - producer.owned_weights), 0)
    bias, others = producer.constants - scales, 0
    for layer in fused:
        if layer.op in ("batch_norm", "bias"):
            bias = max(bias, layer.weight_elements // (2 if layer.op == "batch_norm" else 1))
        else:
            others += layer.weight_elements
    return scales + bias + others


def _fits(layer: Layer, producer: Layer) -> bool:
    return (
        layer.kind == "vector"
        and layer.op in _FUSIBLE
        and (producer.kind == "mac" or producer.op in _ADDS)
        and layer.repeat == producer.repeat
        and layer.input_elements == layer.output_elements == producer.output_elements
    )


def _named_stage(layer: Layer) -> str:
    parts = layer.module.split(".")
    listed = [f"stage{int(at) + 1}" for of, at in pairwise(parts) if of == "stages" and at.isdecimal()]
    return next((part for part in parts if _STAGE.fullmatch(part)), "") or next(iter(listed), "")


def _inherited(named: list[str], first: str) -> list[str]:
    """Stages where those without a name are that of the layer before; *first* is that of those before any."""
    stages, current = [], first
    for stage in named:
        current = stage or current
        stages.append(current)
    return stages


def _by_children(layers: tuple[Layer, ...]) -> list[str]:
    """The children of the module, or of the one in it that does nearly all the work; nothing where there are none."""
    paths = [tuple(filter(None, layer.module.split("."))) for layer in layers]
    known = [path for path in paths if path]
    if not known or (max(map(len, known)) == 1 and len(set(known)) > MOST_CHILDREN):
        return []
    work = [path for path, layer in zip(paths, layers, strict=True) if path and layer.macs] or known
    inside: Path = ()
    while True:
        depth = len(inside) + 1
        held = Counter(path[:depth] for path in work if path[: depth - 1] == inside)
        child, count = max(held.items(), key=lambda item: item[1], default=(inside, 0))
        if count < NEARLY_ALL * len(work) or not any(
            path[:depth] == child and len(path) > depth for path in known
        ):
            break
        inside = child
    children = dict.fromkeys(
        path[:depth] for path in known if path[: depth - 1] == inside and len(path) >= depth
    )
    names = _runs(list(children))
    named = []
    for path in paths:
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, inside, strict=False)))
        named.append(names.get(path[:depth]) or ".".join(path[: shared + 1] if shared < len(path) else ()))
    return _inherited(named, next(filter(None, named)))


def _runs(children: Sequence[Path]) -> dict[Path, str]:
    """What the stage of each child is called; more than a dozen that differ in a number are in equal runs."""
    parts = [_NUMBERED.fullmatch(child[-1]) for child in children]
    alike = {part[1] for part in parts if part} if all(parts) else set()
    count = len(children)
    if count <= MOST_CHILDREN or len(alike) != 1:
        return {child: ".".join(child) for child in children}
    runs = max((n for n in range(4, MOST_CHILDREN + 1) if count % n == 0), default=0)
    size = count // runs if runs else -(-count // MOST_CHILDREN)
    names = {}
    for start in range(0, count, size):
        run = children[start : start + size]
        label = ".".join(run[0]) + (f"-{run[-1][-1].removeprefix(*alike)}" if len(run) > 1 else "")
        names.update(dict.fromkeys(run, label))
    return names


def _by_patterns(layers: tuple[Layer, ...], rules: Sequence[str]) -> list[str]:
    patterns = []
    for rule in rules:
        label, equals, pattern = rule.rpartition("=")
        if not pattern or (equals and not label):
            raise UsageError(f"a stage is PATTERN or NAME=PATTERN, such as blocks.*, found {rule!r}")
        patterns.append((label, pattern.split("."), rule))
    has_modules = any(layer.module for layer in layers)
    stages: list[str] = []
    used: set[str] = set()
    reached: tuple[str, Path] = REST, ("",)
    for layer in layers:
        path = tuple(filter(None, (layer.module if has_modules else layer.name).split(".")))
        for name, parts, rule in patterns:
            if len(path) >= len(parts) and all(map(fnmatchcase, path, parts)):
                found = path[: len(parts)]
                reached = name or ".".join(found), found
                used.add(rule)
                break
        else:
            if (
                path != reached[1][: len(path)]
            ):  # a layer of the module itself that holds the stage is part of it
                reached = REST, ("",)
        stages.append(reached[0])
    for rule in rules:
        if rule not in used:
            tops = dict.fromkeys(layer.module.partition(".")[0] for layer in layers if layer.module)
            raise UsageError(
                f"no layer is in a module {rule.rpartition('=')[2]!r}; modules: {', '.join(tops) or 'none'}"
                f"{nearest(rule.rpartition('=')[2].partition('.')[0], tops)}"
            )
    return stages


def _by_size(layers: tuple[Layer, ...]) -> list[str]:
    # Elementwise layers on (B, T, F) look spatial where they are not, so windows and products decide.
    sizes = [layer.oy * layer.ox if layer.kind == "mac" or layer.fy * layer.fx > 1 else 0 for layer in layers]
    last_spatial = max((i for i, layer in enumerate(layers) if layer.oy * layer.ox > 1), default=-1)
    stages: list[str] = []
    smallest, number = 0, 0
    for index, size in enumerate(sizes):
        if size > 1:
            number += smallest > size
            smallest = min(smallest or size, size)
        stages.append("head" if index > last_spatial else f"stage{number}" if number else "stem")
    return stages if number else ["stage1" if stage == "stem" else stage for stage in stages]
