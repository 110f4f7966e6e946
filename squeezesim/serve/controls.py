"""What the page lets a reader change: parameters of an accelerator, options of a built-in network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from squeezesim.errors import SqueezesimError
from squeezesim.hardware.config import PARTS, STORES, UNITS, allowed_text
from squeezesim.hardware.display import SIZE, unit_of

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.zoo.options import Option
    from squeezesim.zoo.registry import Spec

Number = int | float

_STEPS = (4, 5, 6, 7)  # quarters of a power of two
_OCTAVES = range(-3, 4)  # on both sides of a value
_BITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_KIB = (0, *(16 * 4**power for power in range(8)))  # of a memory that there is not yet
_SIDE = 32  # pixels from one resolution to the next
_WIDTHS = tuple(number / 8 for number in range(2, 17))
DEPTH, WIDTH, RESOLUTION = "depth", "width", "resolution"
MOST_SIDE = 2048
"""Pixels along a side of an input, at most."""


class Control(NamedTuple):
    """A number that is set by a slider or a field.

    Attributes:
        path: what it is: a parameter at its dotted path, an option, ``depth.2`` for the blocks of the second stage.
        values: those of the slider, in order; a field takes any that is allowed.
    """

    path: str
    group: str
    label: str
    unit: str
    value: Number
    values: Sequence[Number]
    allowed: str


def controls_of(accelerator: Accelerator) -> list[Control]:
    """Return a control for each size, rate and width of *accelerator* that decides what a network costs.

    A slider goes from an eighth of the value to eight times as much, in quarters of a power of two, over what the
    accelerator may have.

    Example:
        >>> from squeezesim.hardware.accelerator import Accelerator
        >>> rows = controls_of(Accelerator.named("squeezelerator_16x16"))[0]
        >>> rows.path, rows.value, rows.values[:6], rows.values[-1]
        ('array.rows', 16, [2, 3, 4, 5, 6, 7], 128)
    """
    found = []
    for group, path, label in _paths(accelerator):
        value = _value(accelerator, path)
        values = [number for number in _around(path, value) if _is_allowed(accelerator, path, number)]
        found.append(Control(path, group, label, unit_of(path), value, values, allowed_text(path)))
    return found


def network_controls(spec: Spec) -> list[Control]:
    """Return a control for the width, the resolution and the blocks of each stage of a built-in network."""
    options, known = spec.options, {option.name: option for option in spec.entry.family.options}
    found = []
    if WIDTH in known:
        width = _number(options[WIDTH])
        values = sorted({value for value in (*_WIDTHS, width) if _is_in(known[WIDTH], value)})
        found.append(Control(WIDTH, "Network", WIDTH, "", width, values, known[WIDTH].allowed))
    side = spec.input[1]
    sides = sorted({side, *range(_SIDE, min(2 * side, MOST_SIDE) + 1, _SIDE)})
    allowed = f"an integer from 1 to {MOST_SIDE}"
    found.append(Control(RESOLUTION, "Network", RESOLUTION, "pixels", side, sides, allowed))
    depths = depths_of(spec)
    for number, (blocks, most) in enumerate(zip(depths, most_blocks(spec), strict=True), 1):
        label = f"blocks of stage {number}" if len(depths) > 1 else "blocks"
        text = f"an integer from {known[DEPTH].low:g} to {known[DEPTH].high:g}"
        found.append(Control(f"{DEPTH}.{number}", "Network", label, "", blocks, range(1, most + 1), text))
    return found


def depths_of(spec: Spec) -> tuple[int, ...]:
    """Return the blocks of each stage of *spec*; () where they cannot be chosen."""
    value = spec.options.get(DEPTH, ())
    return value if isinstance(value, tuple) else (int(value),)


def most_blocks(spec: Spec) -> tuple[int, ...]:
    """Return how many blocks the sliders of *spec* go to: twice as many as there are, or four more."""
    return tuple(max(2 * blocks, blocks + 4) for blocks in depths_of(spec))


def _paths(accelerator: Accelerator) -> Iterator[tuple[str, str, str]]:
    """Group, path and label of each parameter."""
    array, memory = accelerator.array, accelerator.memory
    if array.dataflows:
        yield "Array", "array.rows", "rows"
        yield "Array", "array.cols", "columns"
    for name, unit in array.units.items():
        for loop in unit.unroll:
            yield "Array", f"{UNITS}.{name}.unroll.{loop}", f"{name}: {loop}"
    parts = memory.global_buffer.parts
    for name in parts:
        yield "Buffer", f"{PARTS}.{name}.size_kib", name
    if not parts:
        yield "Buffer", SIZE, "size"
    if memory.global_buffer.bytes_per_cycle is not None:
        yield "Buffer", "memory.global_buffer.bytes_per_cycle", "bandwidth"
    yield "Buffer", "memory.stays.size_kib", "weights that stay"
    yield "Memories", "memory.dram.bandwidth_gb_s", "DRAM"
    for name, store in memory.stores.items():
        yield "Memories", f"{STORES}.{name}.bandwidth_gb_s", name
        if store.size_kib is not None:
            yield "Memories", f"{STORES}.{name}.size_kib", f"{name}: size"
    yield "Clock and precision", "clock_mhz", "clock"
    yield "Clock and precision", "precision.weight_bits", "weights"
    yield "Clock and precision", "precision.activation_bits", "activations"
    yield "Clock and precision", "precision.accumulator_bits", "partial sums"


def _value(accelerator: Accelerator, path: str) -> Number:
    value: object = accelerator
    for key in path.split("."):
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    return _number(value)


def _number(value: object) -> Number:
    assert isinstance(value, int | float)
    return int(value) if value == int(value) else value


def _around(path: str, value: Number) -> list[Number]:
    if path.endswith("_bits"):
        return sorted({*_BITS, value})
    if not value:
        return list(_KIB)
    every = [value * step / 4 * 2.0**octave for octave in _OCTAVES for step in _STEPS]
    values = [number for number in every if number <= value * 8] + [value * 8]
    if allowed_text(path).startswith("an integer"):
        return sorted({max(round(number), 1) for number in values} | {value})
    return sorted({_number(float(f"{number:.4g}")) for number in values} | {value})


def _is_allowed(accelerator: Accelerator, path: str, value: Number) -> bool:
    try:
        accelerator.replace({path: value})
    except SqueezesimError:
        return False
    return True


def _is_in(option: Option, value: Number) -> bool:
    return option.low <= value <= option.high
