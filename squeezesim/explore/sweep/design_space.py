"""Design space: parameters with their values, and the accelerators that they make."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import product
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from squeezesim.errors import HardwareError, UsageError, nearest
from squeezesim.expressions import parse
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import (
    PARTS,
    STORES,
    UNITS,
    allowed_text,
    is_leaf,
    parameters,
    sections,
    to_dict,
    unknown_path,
)
from squeezesim.hardware.energy import energy_costs
from squeezesim.report.metrics import units_by_name
from squeezesim.yaml_tree import plain_scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = object
"""What a parameter may hold: a number, a text, a list, or None."""

MOST = 100_000
"""Values of one parameter."""

_PATH = re.compile(r"[a-z_]+(\.[a-z_]+)+", re.IGNORECASE)
_FORMS = "allowed: from:to:step, from:to:xFACTOR, or from:to and from:to:log where designs are sampled"


@dataclass(frozen=True, slots=True)
class Axis:
    """The values that one parameter takes: some, all between two, or those of another parameter.

    Attributes:
        path: the parameter.
        values: in the order in which they were given; none of an interval and of a link.
        interval: least and greatest of all values between.
        is_log: values between are even on a logarithmic scale.
        link: the parameter whose values it takes.
    """

    path: str
    values: tuple[Value, ...] = ()
    interval: tuple[float, float] | None = None
    is_log: bool = False
    link: str | None = None

    def at(self, share: float) -> Value:
        """Return the value at *share* of the axis, from 0 to below 1.

        Example:
            >>> Axis("array.rows", (8, 16, 32)).at(0.5), Axis("array.rows", interval=(8, 64)).at(0.5)
            (16, 36)
        """
        if self.interval is None:
            return self.values[int(share * len(self.values))]
        low, high = self.interval
        if is_whole(self.path):
            low, high = math.ceil(low), math.floor(high)
            if self.is_log:
                return max(low, min(int(low * ((high + 1) / low) ** share), high))
            return max(low, min(int(low + math.floor(share * (high + 1 - low))), high))
        value = low * (high / low) ** share if self.is_log else low + share * (high - low)
        return max(low, min(value, high))  # rounding leads past an end


def parse_axis(path: str, given: str | Sequence[Value]) -> Axis:
    """Return the values that *given* means for the parameter *path*.

    Raises:
        HardwareError: there is no such parameter, or none that it takes the value of, with the nearest ones.
        UsageError: there is no value in *given*, or it is not written so.

    Example:
        >>> parse_axis("memory.global_buffer.size_kib", "32:128:x2").values
        (32, 64, 128)
    """
    if not is_leaf(path):
        raise HardwareError(unknown_path(path))
    if not isinstance(given, str):
        values = tuple(given)
    elif is_leaf(given):
        return Axis(path, link=given)
    else:
        if _is_like_a_path(given):
            raise HardwareError(f"{path}={given}: {unknown_path(given)}")
        pieces = [piece.strip() for piece in given.split(",")]
        if len(pieces) == 1 and (between := _parse_interval(path, pieces[0])):
            return between
        values = tuple(value for piece in pieces for value in _parse_values(path, piece))
    if not values:
        raise UsageError(f"{path} has no values; allowed: one or more")
    distinct: dict[object, Value] = {}
    for value in values:
        distinct.setdefault(_identity(value), value)
    return Axis(path, tuple(distinct.values()))


def is_whole(path: str) -> bool:
    """Return whether the parameter *path* takes integers alone."""
    return is_leaf(path) and allowed_text(path).startswith("an integer")


def _is_list(path: str) -> bool:
    """Whether the parameter *path* takes lists, whose words may have colons."""
    return is_leaf(path) and allowed_text(path).startswith("a list")


def _identity(value: Value) -> object:
    """Return a key that duplicates share, as 8 and 8.0 do."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _is_like_a_path(given: str) -> bool:
    """Whether *given*, no parameter, is meant as one: words with dots between, the first almost a section's."""
    return bool(_PATH.fullmatch(given) and nearest(given.partition(".")[0], sections()[""]))


def _parse_interval(path: str, piece: str) -> Axis | None:
    """The axis of all values between two, if *piece* says one."""
    parts = [piece] if _is_list(path) else piece.split(":")
    is_log = parts[2:] == ["log"]
    if len(parts) != 2 and not is_log:
        return None
    low, high = (_parse_number(path, piece, part) for part in parts[:2])
    if low > high:
        raise UsageError(f"{path}: range {piece!r} is empty; {_FORMS}, from below to")
    if is_log and low <= 0:
        raise UsageError(f"{path}: range {piece!r} has no logarithm; allowed: from above 0")
    if is_whole(path) and math.ceil(low) > math.floor(high):
        raise UsageError(f"{path}: range {piece!r} holds no integer; allowed: {allowed_text(path)}")
    return Axis(path, interval=(float(low), float(high)), is_log=is_log)


def _parse_values(path: str, piece: str) -> Iterator[Value]:
    parts = [piece] if _is_list(path) else piece.split(":")
    if len(parts) == 1:
        yield _parse_scalar(path, piece)
        return
    if len(parts) != 3:
        raise UsageError(f"{path}: {piece!r} is no range; {_FORMS}")
    low, high = _parse_number(path, piece, parts[0]), _parse_number(path, piece, parts[1])
    is_factor = parts[2].startswith("x")
    step = _parse_number(path, piece, parts[2].removeprefix("x"))
    if step <= is_factor or (is_factor and low <= 0):
        raise UsageError(f"{path}: range {piece!r} never ends; allowed: a step above 0, a factor above 1")
    if low > high:
        raise UsageError(f"{path}: range {piece!r} is empty; {_FORMS}, from below to")
    factors: float | Fraction
    if is_factor:
        # Of logarithms the difference: the quotient of two numbers may be larger than any float.
        factors = (math.log(high) - math.log(low)) / max(math.log1p(step - 1), sys.float_info.min)
    else:
        factors = (high - low) / step
    if factors > MOST:
        raise UsageError(f"{path}: range {piece!r} has more than {MOST:,} values; allowed: at most that")
    for value in _multiples(low, high, step, int(factors) + 2) if is_factor else _steps(low, high, step):
        yield int(value) if value == int(value) else float(value)


def _steps(low: Fraction, high: Fraction, step: Fraction) -> Iterator[Fraction]:
    return (low + number * step for number in range(int((high - low) / step) + 1))


def _multiples(low: Fraction, high: Fraction, factor: Fraction, most: int) -> Iterator[Decimal]:
    """At most *most* values, each *factor* times the one before; with 60 digits, since a fraction's would never end."""
    with localcontext(Context(prec=60, Emin=-9999, Emax=9999)):
        value, last, times = (Decimal(n.numerator) / Decimal(n.denominator) for n in (low, high, factor))
        for _ in range(most):
            if value > last:
                return
            yield value
            value *= times


def _parse_number(path: str, piece: str, text: str) -> Fraction:
    value = plain_scalar(text.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{path}: {text!r} in {piece!r} is no number; {_FORMS}")
    return Fraction(repr(value))


def _parse_scalar(path: str, piece: str) -> Value:
    if not piece:
        raise UsageError(f"{path} has an empty value; allowed: values with commas between")
    if _is_list(path):
        return [] if piece == "none" else piece.split("+")
    return plain_scalar(piece)


MOST_DESIGNS = 1_000_000
"""Designs of a sweep."""
PES = "array.pes"
"""What rows · cols are called among parameters."""
BELOW_ONE = float(np.nextafter(1.0, 0.0))
"""The greatest share of an axis."""

# Machines that differ in these parameters alone share the costly search: they vary the fastest.
_CHEAP = (
    "clock_mhz",
    "memory.global_buffer",
    "memory.dram",
    "control",
    "vector",
    "mapper.latency_slack",
    "energy",
)


@dataclass(frozen=True, slots=True)
class Designs:
    """The designs in the order in which they are costed: what the array is changes the slowest."""

    base: Accelerator
    columns: Mapping[str, tuple[Value, ...]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def accelerators(self) -> list[Accelerator | HardwareError]:
        """Return each design, or the mistake where values do not go together."""
        tree = to_dict(self.base)
        rows = zip(*self.columns.values(), strict=True)
        return [_build(tree, dict(zip(self.columns, row, strict=True))) for row in rows]

    def part(self, start: int, stop: int) -> Designs:
        """Return designs *start* to *stop*."""
        return Designs(self.base, {path: column[start:stop] for path, column in self.columns.items()})

    def turns(self) -> list[int]:
        """Return the designs that share no search with their predecessor: those where the array changes."""
        costly = [column for path, column in self.columns.items() if not _is_cheap(path)]
        if not costly:
            return []
        rows = list(zip(*costly, strict=True))
        return [number for number in range(1, len(rows)) if rows[number] != rows[number - 1]]

    def where(self, conditions: Sequence[str]) -> Designs:
        """Return the designs that meet all of *conditions* on numeric parameters and ``array.pes``.

        Raises:
            UsageError: a condition cannot be read, or no design meets them.
        """
        kept = self.meets(conditions)
        if not kept.any():
            raise UsageError(f"none of {len(self):,} designs meets {' and '.join(map(repr, conditions))}")
        return self._take(np.flatnonzero(kept).tolist())

    def meets(self, conditions: Sequence[str]) -> NDArray[np.bool_]:
        """Return which designs meet all of *conditions*, as for ``where``."""
        return evaluate_conditions(conditions, self.base, self.columns, numeric_names(self.base))

    def _take(self, index: Sequence[int]) -> Designs:
        columns = {path: tuple(column[i] for i in index) for path, column in self.columns.items()}
        return Designs(self.base, columns)


def grid(base: Accelerator, axes: Sequence[Axis]) -> Designs:
    """Return every combination of the values of *axes*.

    Raises:
        HardwareError: a value is not allowed.
        UsageError: an axis has no single values, a parameter is given twice, or there are too many designs.
    """
    for axis in axes:
        if axis.interval is not None:
            low, high = axis.interval
            raise UsageError(
                f"{axis.path} takes all values from {low:g} to {high:g}; allowed without a number of samples: "
                "a step, as from:to:step or from:to:xFACTOR"
            )
    free = _slowest_first(free_axes(axes))
    count = prod(len(axis.values) for axis in free)
    if count > MOST_DESIGNS:
        raise UsageError(f"{count:,} designs; allowed: at most {MOST_DESIGNS:,}, or a number of samples")
    check_axes(base, axes)
    rows = list(product(*(axis.values for axis in free)))
    columns = {axis.path: column for axis, column in zip(free, zip(*rows, strict=True), strict=True)}
    return _resolve_links(base, axes, columns)


def sample(base: Accelerator, axes: Sequence[Axis], count: int, seed: int, *, latin: bool = True) -> Designs:
    """Return *count* designs drawn from the values of *axes*, each independently, the same for the same *seed*.

    With *latin*, a Latin hypercube: of each axis every count-th part is drawn from once.

    Raises:
        HardwareError: a value is not allowed.
        UsageError: a parameter is given twice, or there are too many designs.
    """
    check_axes(base, axes)
    if not 1 <= count <= MOST_DESIGNS:
        raise UsageError(f"{count:,} samples; allowed: from 1 to {MOST_DESIGNS:,}")
    random = np.random.default_rng(seed)
    drawn: dict[str, Sequence[float]] = {}
    for axis in sorted(
        free_axes(axes), key=lambda axis: axis.path
    ):  # so that the order of options does not matter
        shares = random.random(count)
        drawn[axis.path] = ((random.permutation(count) + shares) / count if latin else shares).tolist()
    designs = designs_at(base, axes, drawn)
    costly = [designs.columns[axis.path] for axis in free_axes(axes) if not _is_cheap(axis.path)]
    return designs._take(sorted(range(count), key=lambda i: [repr(column[i]) for column in costly]))


def designs_at(base: Accelerator, axes: Sequence[Axis], shares: Mapping[str, Sequence[float]]) -> Designs:
    """Return the designs at *shares* of each free axis, from 0 to 1."""
    columns = {
        axis.path: tuple(axis.at(min(share, BELOW_ONE)) for share in shares[axis.path])
        for axis in free_axes(axes)
    }
    return _resolve_links(base, axes, columns)


def free_axes(axes: Sequence[Axis]) -> list[Axis]:
    """Return those of *axes* that do not take another parameter's value."""
    return [axis for axis in axes if axis.link is None]


def numeric_names(base: Accelerator | None = None) -> list[str]:
    """Return the names that conditions on designs may use, those of units, parts and stores of *base* among them."""
    numbers = [
        path for path, known in parameters().items() if known.allowed.startswith(("an integer", "a number"))
    ]
    return [PES, *numbers, *(own_numbers(base) if base is not None else ())]


def own_numbers(base: Accelerator) -> dict[str, float | None]:
    """Return the numbers of units, parts of the buffer and stores of *base*, by path, defaults among them."""
    found: dict[str, float | None] = {}
    memory = base.memory
    sections = (UNITS, base.array.units), (PARTS, memory.global_buffer.parts), (STORES, memory.stores)
    for section, named in sections:
        for name, part in named.items():
            for key, value in part:
                below = (
                    {f".{loop}": size for loop, size in value.items()}
                    if isinstance(value, dict)
                    else {"": value}
                )
                for end, number in below.items():
                    path = f"{section}.{name}.{key}{end}"
                    if allowed_text(path).startswith(("an integer", "a number")):
                        found[path] = number
    return found


def evaluate_conditions(
    conditions: Sequence[str],
    base: Accelerator,
    columns: Mapping[str, Sequence[Any]],
    names: Sequence[str],
) -> NDArray[np.bool_]:
    """Return the rows of *columns* that meet all of *conditions* on *names*; parameters without a column are *base*'s.

    Raises:
        UsageError: a condition cannot be read.
    """
    count = len(next(iter(columns.values())))
    kept = np.ones(count, np.bool_)
    for text in conditions:
        condition = parse(text, names, units_by_name())
        kept &= condition.holds(
            {name: numeric_column(name, base, columns, count) for name in condition.names}
        )
    return kept


def numeric_column(
    name: str, base: Accelerator, columns: Mapping[str, Sequence[Any]], count: int
) -> NDArray[np.float64]:
    """Return the numbers of *name* in *count* rows of *columns*, or else *base*'s; NaN where there is none."""
    if name == PES:
        return _pes(base, columns, count)
    if name in columns:
        values = columns[name]
    else:
        own = own_numbers(base)
        values = (own[name] if name in own else _value_at(to_dict(base), name),) * count
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _pes(base: Accelerator, columns: Mapping[str, Sequence[Value]], count: int) -> NDArray[np.float64]:
    """PEs of each design: rows · cols, or those of the largest unit if it has more."""
    array = base.array
    shared = [("array.rows", "array.cols")] * bool(array.dataflows)
    sizes = [
        np.prod([numeric_column(path, base, columns, count) for path in factors], axis=0)
        for factors in shared
    ]
    for name in array.units:
        unit = f"{UNITS}.{name}"
        unrolled = {path for path in (*own_numbers(base), *columns) if path.startswith(f"{unit}.unroll.")}
        places = np.prod([numeric_column(path, base, columns, count) for path in sorted(unrolled)], axis=0)
        sizes.append(places // numeric_column(f"{unit}.interval", base, columns, count))
    return np.asarray(np.max(sizes, axis=0), np.float64)


def check_axes(base: Accelerator, axes: Sequence[Axis]) -> None:
    """Refuse values that no design can have: each one beside the first of the other parameters.

    Raises:
        HardwareError: a value is not allowed.
        UsageError: there is no axis, a parameter is given twice, or a link leads to a link.
    """
    if not axes:
        raise UsageError("no parameter varies; allowed: one or more, as array.rows=8,16,32")
    paths = [axis.path for axis in axes]
    if len(set(paths)) < len(paths):
        twice = next(path for path in paths if paths.count(path) > 1)
        raise UsageError(f"{twice} is given twice; allowed: once, with all its values")
    links = {axis.path: axis.link for axis in axes if axis.link is not None}
    for path, link in links.items():
        if link in links or link == path:
            raise UsageError(f"{path}={link}: {link} is a link itself; allowed: a parameter with values")
    first = {
        axis.path: axis.values[0] if axis.interval is None else axis.at(0.0) for axis in axes if not axis.link
    }
    tree = to_dict(base)
    for axis in axes:
        for value in _validation_probes(axis):
            changes = {**first, axis.path: value}
            for path, link in links.items():
                changes[path] = changes.get(link, _value_at(tree, link))
            base.replace(changes)


def _validation_probes(axis: Axis) -> list[Value]:
    """Return representative values, valid if and only if all of *axis* are: both extremes and one non-integer."""
    if axis.interval is not None:
        return [axis.at(0.0), axis.at(BELOW_ONE)]
    numbers = [v for v in axis.values if isinstance(v, int | float) and not isinstance(v, bool)]
    others = [v for v in axis.values if not isinstance(v, int | float) or isinstance(v, bool)]
    broken = [value for value in numbers if not isfinite(value) or value != int(value)][:1]
    return [*(dict.fromkeys((min(numbers), max(numbers), *broken)) if numbers else ()), *others]


def _slowest_first(axes: Sequence[Axis]) -> list[Axis]:
    return sorted(axes, key=lambda axis: _is_cheap(axis.path))


def _is_cheap(path: str) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in _CHEAP)


def _resolve_links(
    base: Accelerator, axes: Sequence[Axis], columns: Mapping[str, tuple[Value, ...]]
) -> Designs:
    """The designs with the columns of linked parameters, all in the order of *axes*."""
    count = len(next(iter(columns.values()))) if columns else 1
    tree = to_dict(base)

    def column(axis: Axis) -> tuple[Value, ...]:
        if axis.link is None:
            return columns[axis.path]
        return columns[axis.link] if axis.link in columns else (_value_at(tree, axis.link),) * count

    return Designs(base, {axis.path: column(axis) for axis in axes})


def _build(tree: Mapping[str, Any], changes: Mapping[str, Value]) -> Accelerator | HardwareError:
    """The accelerator *tree* with *changes*, of which only the sections above them are copied."""
    changed = dict(tree)
    for path, value in changes.items():
        *above, key = path.split(".")
        section = changed
        for name in above:
            section[name] = copy(section[name])
            section = section[name]
        section[key] = value
    try:
        accelerator = _validate(changed)
        energy_costs(accelerator)  # an energy table may not reach the buffer's size
    except HardwareError as error:
        return error
    return accelerator


def _validate(tree: Mapping[str, Any]) -> Accelerator:
    try:
        return Accelerator.model_validate(tree)
    except ValidationError:
        return Accelerator.from_dict(tree)  # says what is wrong in one line


def _value_at(tree: Mapping[str, Any], path: str) -> Value:
    assert is_leaf(path)
    value: Any = tree
    for key in path.split("."):
        value = None if value is None else value.get(key)
    return value
