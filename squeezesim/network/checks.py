"""What a layer and a network may say: types, ranges and edges, for they may come from a stranger's file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, nearest

if TYPE_CHECKING:
    from squeezesim.network.graph import Network
    from squeezesim.network.layer import Layer

MAX_SIZE = 2**31
"""Largest loop size."""

MAX_COUNT = 2**50
"""Largest product of loop sizes and largest count of elements: bits and cycles still fit 64-bit integers."""

MAX_TOTAL = 2**56
"""Largest sum of a count over a network: its bits still fit 64-bit integers."""

MAX_TEXT = 1000
"""Longest name."""

_MOST_LISTED = 5

KINDS = ("mac", "vector", "view")

_SIZES = ("n", "g", "k", "c", "oy", "ox", "fy", "fx", "iy", "ix")
_ELEMENTS = ("input_elements", "weight_elements", "output_elements")
_COUNTS = (*_ELEMENTS, "params", "vector_ops")
_BITS = ("weight_bits", "activation_bits", "accumulator_bits")
_PAIRS = (("stride", 1), ("dilation", 1), ("padding", 0))


def show(value: object) -> str:
    """Return *value* for an error message, on one line and never long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list nested without end
        return f"a {type(value).__name__}"
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_multiplies(network: Network) -> None:
    """Check that there is something to cost in *network*.

    Raises:
        ModelError: no layer of it multiplies.
    """
    if network.macs == 0:
        why = "nothing in it is a convolution or a matrix product"
        if network.unmodelled:
            listed = [f"{item.op} ×{item.count}" for item in network.unmodelled]
            more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
            why = f"nothing that is modelled in it multiplies; not modelled: {', '.join(listed[:_MOST_LISTED])}{more}"
        raise ModelError(f"network {show(network.name)} has no MAC layer: {why}")


def pair(layer: str, field: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Return *value* as (vertical, horizontal): one integer stands for both.

    Raises:
        ModelError: it is neither an integer nor two of them.
    """
    if isinstance(value, int):
        return value, value
    if isinstance(value, Sequence) and len(value) == 2:
        return value[0], value[1]
    raise ModelError(f"layer {show(layer)}: {field} must be an integer or two of them, found {show(value)}")


def check_layer(layer: Layer) -> None:
    """Check types and ranges of every field of *layer*.

    Raises:
        ModelError: names the layer, the field, the value and what is allowed.
    """
    _check_texts(layer)
    _check_sizes(layer)
    if layer.repeat > 1:
        _check_steps(layer)
    _check_precision(layer)


def _check_texts(layer: Layer) -> None:
    name = layer.name
    for field in ("name", "op", "kind"):
        _text(name, field, getattr(layer, field), empty=False)
    for field in ("module", "stage"):
        _text(name, field, getattr(layer, field), empty=True)
    for field in ("inputs", "fused", "carried", "shared"):
        _texts(name, field, getattr(layer, field))
    if layer.kind not in KINDS:
        raise ModelError(
            f"layer {show(name)}: kind must be one of {', '.join(KINDS)}, found {show(layer.kind)}"
        )


def _check_sizes(layer: Layer) -> None:
    name = layer.name
    for field in (*_SIZES, "repeat"):
        size = getattr(layer, field)
        if type(size) is not int or not 1 <= size <= MAX_SIZE:
            raise _out_of_range(name, field, size, 1, MAX_SIZE)
    loops = layer.n * layer.g * layer.k * layer.oy * layer.ox * layer.fy * layer.fx
    if (
        layer.kind == "mac"
    ):  # others go through their input and output channels, not through each pair of them
        loops *= layer.c
    product = max(loops, layer.n * layer.g * layer.c * layer.iy * layer.ix) * layer.repeat
    if product > MAX_COUNT:
        raise ModelError(
            f"layer {show(name)}: the product of its loop sizes, {product}, is more than {MAX_COUNT}"
        )
    for field in _COUNTS:
        count = getattr(layer, field)
        if type(count) is not int or not 0 <= count <= MAX_COUNT:
            raise _out_of_range(name, field, count, 0, MAX_COUNT)
    own = layer.weight_params
    if own is not None and (type(own) is not int or not 0 <= own <= layer.params):
        raise _out_of_range(name, "weight_params", own, 0, layer.params)
    for field, low in _PAIRS:
        sizes = getattr(layer, field)
        if type(sizes) is not tuple or len(sizes) != 2:
            raise ModelError(f"layer {show(name)}: {field} must be two integers, found {show(sizes)}")
        for size in sizes:
            if type(size) is not int or not low <= size <= MAX_SIZE:
                raise _out_of_range(name, field, size, low, MAX_SIZE)


def _check_steps(layer: Layer) -> None:
    name, repeat = layer.name, layer.repeat
    for field in _ELEMENTS:
        if (elements := getattr(layer, field) * repeat) > MAX_COUNT:
            raise ModelError(
                f"layer {show(name)}: {field} of {repeat} steps are {elements}, more than {MAX_COUNT}"
            )
    if layer.vector_ops % repeat:
        raise ModelError(
            f"layer {show(name)}: vector_ops must be those of all of its {repeat} steps, which are equal, "
            f"found {layer.vector_ops}"
        )


def _check_precision(layer: Layer) -> None:
    name = layer.name
    for field in _BITS:
        bits = getattr(layer, field)
        if bits is not None and (type(bits) is not int or not 1 <= bits <= 64):
            raise _out_of_range(name, field, bits, 1, 64)
    density = layer.weight_density
    if density is not None and not (type(density) in (int, float) and 0 <= density <= 1):
        raise ModelError(
            f"layer {show(name)}: weight_density must be a number from 0 to 1, found {show(density)}"
        )
    if type(layer.weights_are_activations) is not bool:
        flag = show(layer.weights_are_activations)
        raise ModelError(f"layer {show(name)}: weights_are_activations must be true or false, found {flag}")


def check_edges(network: str, inputs: Iterable[str], layers: Iterable[Layer]) -> None:
    """Check that names are unique, that every layer reads only inputs and layers before it, and carries its steps'.

    What a layer shares belongs to another one.

    Raises:
        ModelError: names the layer and what it reads.
    """
    known, given = set(inputs), list(layers)
    for layer in given:
        for source in layer.inputs:
            if source not in known:
                hint = nearest(source, known)
                raise ModelError(
                    f"network {show(network)}: layer {show(layer.name)} reads {show(source)}, "
                    f"which is no input and no layer before it{hint}"
                )
        if layer.name in known:
            raise ModelError(f"network {show(network)}: the name {show(layer.name)} is used twice")
        known.add(layer.name)
    for steps in recurrences(given):
        names = {layer.name for layer in steps}
        for layer in steps:
            for source in layer.carried:
                if layer.repeat == 1 or source not in names:
                    raise ModelError(
                        f"network {show(network)}: layer {show(layer.name)} carries {show(source)} from step to step, "
                        f"which is no layer of the same recurrence{nearest(source, names)}"
                    )
    names = {layer.name for layer in given}
    for layer in given:
        for owner in layer.shared:
            if owner not in names or owner == layer.name:
                raise ModelError(
                    f"network {show(network)}: layer {show(layer.name)} shares params of {show(owner)}, "
                    f"which is no other layer{nearest(owner, names)}"
                )


def recurrences(layers: Iterable[Layer]) -> Iterator[list[Layer]]:
    """Yield successive layers that repeat as often, and all others by themselves.

    Example: ``[a, b ×9, c ×9, d]`` → ``[a]``, ``[b, c]``, ``[d]``.
    """
    for repeat, run in groupby(layers, key=lambda layer: layer.repeat):
        if repeat > 1:
            yield list(run)
        else:
            yield from ([layer] for layer in run)


def check_totals(network: str, layers: Sequence[Layer]) -> None:
    """Check that sums over a network can be counted in 64-bit integers, in bits too.

    Raises:
        ModelError: names the count and its sum.
    """
    for field in ("macs", *_COUNTS):
        total = sum(getattr(layer, field) for layer in layers)
        if total > MAX_TOTAL:
            raise ModelError(
                f"network {show(network)}: the sum of {field} over its layers, {total}, is more than {MAX_TOTAL}"
            )


def check_text(where: str, value: Any, *, empty: bool = True) -> None:
    """Check that *value* is text that can be printed on one line.

    Raises:
        ModelError: it is not; *where* says what it is for.
    """
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        limits = f"{'' if empty else 'non-empty '}printable text of at most {MAX_TEXT} characters"
        raise ModelError(f"{where} must be {limits}, found {show(value)}")


def _text(layer: str, field: str, value: Any, *, empty: bool) -> None:
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        check_text(f"layer {show(layer)}: {field}", value, empty=empty)


def _texts(layer: str, field: str, values: Any) -> None:
    if type(values) is not tuple:
        raise ModelError(f"layer {show(layer)}: {field} must be a tuple of names, found {show(values)}")
    for value in values:
        _text(layer, field, value, empty=False)


def _out_of_range(layer: str, field: str, value: object, low: int, high: int) -> ModelError:
    return ModelError(
        f"layer {show(layer)}: {field} must be an integer from {low} to {high}, found {show(value)}"
    )
