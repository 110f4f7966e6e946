"""Calibration: an accelerator beside measured times, and the values of its file that are no source's fitted to them.

    error = simulated / measured − 1            loss = Σ over rows of log²(simulated / measured)

Values are fitted in turn, on grids around the best ones so far that become finer, and together by Gauss-Newton steps in
logarithms. A left-out error is that of a row which the values were fitted without.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from squeezesim.cost.evaluate import evaluate_each
from squeezesim.errors import HardwareError, ModelError, UsageError, nearest
from squeezesim.explore.sensitivity import numeric_values
from squeezesim.files import read_text
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import OVERRIDES, allowed_text, is_path, unknown_path
from squeezesim.inputs import GivenAccelerator, accelerator_of, network_of
from squeezesim.report import units
from squeezesim.report.grid import Column, Grid
from squeezesim.report.host import host_work
from squeezesim.report.text import Section, html

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from squeezesim.network import Network

    Floats = NDArray[np.float64]

MAX_BYTES = 2**20
"""Largest table of measurements that is read."""

UNITS = {"latency_us": 1.0, "latency_ms": 1e3, "latency_s": 1e6}
"""Columns of measured times, in µs; ``cycles`` are compared with cycles."""

_COLUMNS = ("model", "layer", *UNITS, "cycles")
_SOURCED = ("paper", "datasheet")
_SPREADS = (4.0, 1.6, 1.17, 1.055, 1.018, 1.006)
"""Of a grid to each side, as ratios; each no less than a step of the one before."""
_FINE = 3  # spreads from there on are tried where rows are left out
_POINTS = 7
_ROUNDS = 3  # over all values, with each spread, as long as they change and are several, or one is at an end
_NEAR = 1.02  # where slopes are taken
_FOLDS = 20  # rows up to which each is left out by itself; of more, so many parts are
_STEP = 1.1  # by which values are changed to see what depends on them
_MATTERS = 1e-3


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured time.

    Attributes:
        model: the network's name or path, as ``sq.load`` takes it.
        layer: one of its layers; empty: the whole network.
        value: in µs, or cycles.
        in_cycles: whether it is cycles.
        line: where it stands in its file.
    """

    model: str
    layer: str
    value: float
    in_cycles: bool
    line: int

    @property
    def subject(self) -> str:
        """What was measured, in words."""
        return f"{self.model} {self.layer}".rstrip()


def read_measured(path: str | PathLike[str]) -> list[Measured]:
    """Read a CSV file with the columns ``model``, one of ``UNITS`` or ``cycles`` and, where there is one, ``layer``.

    Lines that begin with # are comments.

    Raises:
        UsageError: it cannot be read, has other columns or no rows, or a value is no positive number.
    """
    text, where = read_text(path, MAX_BYTES, "table of measurements", UsageError), str(path)
    # Blank lines and comments are not there, but count.
    there = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()[:1] not in ("", "#")
    ]
    reader = csv.DictReader(line for _, line in there)
    head = there[0][0] if there else 1
    names = [str(name or "").strip() for name in reader.fieldnames or ()]
    for name in names:
        if name not in _COLUMNS:
            allowed = ", ".join(_COLUMNS)
            raise UsageError(
                f"{where}:{head}: unknown column {name!r}; allowed: {allowed}{nearest(name, _COLUMNS)}"
            )
    of_time = [name for name in names if name in UNITS or name == "cycles"]
    if "model" not in names or len(of_time) != 1:
        raise UsageError(
            f"{where}:{head}: columns {', '.join(names) or 'none'}; needed: model and one of {_times()}"
        )
    unit, found = of_time[0], []
    reader.fieldnames = names
    for row in reader:
        cells = {name: str(cell or "").strip() for name, cell in row.items() if isinstance(name, str)}
        line = there[reader.line_num - 1][0]
        here = f"{where}:{line}"
        if len(row) > len(names) or not cells["model"]:
            raise UsageError(f"{here}: needed: a model, and a cell for each of {', '.join(names)} at most")
        found.append(
            Measured(
                model=cells["model"],
                layer=cells.get("layer", ""),
                value=_positive(here, unit, cells[unit]) * UNITS.get(unit, 1.0),
                in_cycles=unit == "cycles",
                line=line,
            )
        )
    if not found:
        raise UsageError(f"{where} has no measurements; needed: a row for each")
    return found


def _times() -> str:
    return ", ".join((*UNITS, "cycles"))


def _positive(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise UsageError(f"{where}: {name} {text!r}; allowed: a number above 0")
    return value


@dataclass(frozen=True, slots=True)
class Dependence:
    """A value of the accelerator that no source gives, on which simulated times depend.

    Attributes:
        parameter: its path.
        value: what the accelerator has.
        provenance: guess, calibrated, or empty where the file says nothing.
        change: the largest relative change of a row where it is a tenth more.
    """

    parameter: str
    value: float
    provenance: str
    change: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """An accelerator beside measurements.

    Attributes:
        accelerator: with the fitted values, which say that they are calibrated.
        rows: what was measured.
        simulated: of each row before the fit.
        fitted: of each row after it; as before where nothing is fitted.
        left_out: of each row, fitted without it; None where nothing is fitted or there is one row.
        values: of each fitted parameter the value before and after.
        depends: values without a source, those that matter most first.
    """

    accelerator: Accelerator
    rows: list[Measured]
    simulated: list[float]
    fitted: list[float]
    left_out: list[float] | None
    values: dict[str, tuple[float, float]]
    depends: list[Dependence]

    def mean_error(self, simulated: Sequence[float]) -> float:
        """Return the mean of |error| of *simulated* times.

        Example: 0.05 where one row is 10 % off and another none.
        """
        return float(np.mean(np.abs(_errors(self.rows, np.array(simulated)))))

    def _repr_html_(self) -> str:
        return html(sections(self))

    def data(self) -> list[dict[str, Any]]:
        """Return a row of data for each measurement."""
        left_out: Sequence[float | None] = self.left_out or [None] * len(self.rows)
        return [
            {
                "model": row.model,
                "layer": row.layer,
                "unit": "cycles" if row.in_cycles else "us",
                "measured": row.value,
                "simulated": before,
                "error": before / row.value - 1,
                "fitted": after,
                "fitted_error": after / row.value - 1,
                "left_out_error": None if without is None else without / row.value - 1,
            }
            for row, before, after, without in zip(
                self.rows, self.simulated, self.fitted, left_out, strict=True
            )
        ]


def _errors(rows: Sequence[Measured], simulated: Floats) -> Floats:
    return np.asarray(simulated / np.array([row.value for row in rows]) - 1)


class _Bench:
    """The measured networks, and what they take on accelerators."""

    def __init__(self, rows: Sequence[Measured], where: str) -> None:
        self.rows = rows
        self.networks: dict[str, Network] = {}
        for row in rows:
            try:
                self.networks[row.model] = self.networks.get(row.model) or network_of(row.model).fused
            except ModelError as error:
                raise ModelError(f"{where}:{row.line}: {error}") from error
        self.places = [self._place(row, where) for row in rows]

    def _place(self, row: Measured, where: str) -> int | None:
        """Index of the row's layer; None: all of them."""
        names = [layer.name for layer in self.networks[row.model].layers]
        if not row.layer:
            return None
        if row.layer not in names:
            raise UsageError(
                f"{where}:{row.line}: no layer {row.layer!r} of {row.model}{nearest(row.layer, names)}; squeezesim "
                f"layers {row.model} lists them"
            )
        return names.index(row.layer)

    def times(self, accelerators: Sequence[Accelerator]) -> Floats:
        """µs or cycles of the rows on *accelerators*, (accelerators, rows); NaN where a network does not fit."""
        found = np.full((len(accelerators), len(self.rows)), np.nan)
        clocks = np.array([accelerator.clock_mhz for accelerator in accelerators])
        for model, network in self.networks.items():
            costs, misfits = evaluate_each(network.layers, accelerators)
            fits = np.array([misfit is None for misfit in misfits])
            for number, (row, place) in enumerate(zip(self.rows, self.places, strict=True)):
                if row.model != model:
                    continue
                cycles = costs.cycles.sum(axis=1) if place is None else costs.cycles[:, place]
                times = cycles / (1.0 if row.in_cycles else clocks)
                if place is None and not row.in_cycles:  # an inference has its host's work
                    times = times + [host_work(network, each).us for each in accelerators]
                found[:, number] = np.where(fits, times, np.nan)
        return found


Values = tuple[float, ...]


class _Fit:
    """Values of *paths* fitted to rows; the times at values that were tried are known."""

    def __init__(self, bench: _Bench, accelerator: Accelerator, paths: Sequence[str]) -> None:
        self.bench, self.accelerator, self.paths = bench, accelerator, paths
        own = dict(numeric_values(accelerator))
        self.start: Values = tuple(own[path] for path in paths)
        self.is_whole = [allowed_text(path).startswith("an integer") for path in paths]
        self._known: dict[Values, Floats] = {}

    def times(self, several: Iterable[Values]) -> dict[Values, Floats]:
        """Times of the rows at each of *several* values that are allowed."""
        wanted = list(dict.fromkeys(several))
        designs: dict[Values, Accelerator] = {}
        for values in wanted:
            if values not in self._known:
                try:
                    designs[values] = self.accelerator.replace(dict(zip(self.paths, values, strict=True)))
                except HardwareError:
                    self._known[values] = np.full(len(self.bench.rows), np.nan)
        if designs:
            self._known |= zip(designs, self.bench.times([*designs.values()]), strict=True)
        return {values: self._known[values] for values in wanted}

    def best(self, among: Sequence[int], start: Values, spreads: Sequence[float]) -> Values:
        """The values with the least loss over the rows *among*, near *start*."""
        found = start
        for spread in spreads:
            for _ in range(_ROUNDS):
                before = found
                for number in range(len(self.paths)):
                    found = self._least(among, self._grid(found, number, spread), start)
                found = self._least(among, self._steps(among, found), start)
                moved = [max(one / other, other / one) for one, other in zip(found, before, strict=True)]
                if max(moved) < (spread * 0.99 if len(moved) == 1 else 1 + 1e-6):
                    break
        return found

    def known(self, among: Sequence[int], start: Values) -> Values:
        """The values with the least loss over the rows *among* of those that were tried."""
        return self._least(among, [start, *self._known], start)

    def _least(self, among: Sequence[int], several: Iterable[Values], start: Values) -> Values:
        """The one with the least loss, of equal ones the nearest to *start*."""
        tried = self.times(several)

        def key(values: Values) -> tuple[float, float]:
            loss = float(np.sum(self._logarithms(tried[values], among) ** 2))
            away = sum(abs(np.log(value / own)) for value, own in zip(values, start, strict=True))
            return (np.inf if np.isnan(loss) else round(loss, 12), float(away))

        return min(tried, key=key)

    def _logarithms(self, times: Floats, among: Sequence[int]) -> Floats:
        """log(simulated / measured) of the rows *among*."""
        measured = np.array([self.bench.rows[number].value for number in among])
        return np.asarray(np.log(times[list(among)] / measured))

    def _steps(self, among: Sequence[int], values: Values) -> list[Values]:
        """*values*, and those that would be the best if logarithms of times were linear in those of values."""
        if len(values) == 1:
            return [values]
        beside = [self._with(values, number, value * _NEAR) for number, value in enumerate(values)]
        tried = self.times([values, *beside])
        own = self._logarithms(tried[values], among)
        changes = [
            np.log(other[number] / value) or np.nan
            for number, (other, value) in enumerate(zip(beside, values, strict=True))
        ]
        slopes = np.stack(
            [
                (self._logarithms(tried[other], among) - own) / change
                for other, change in zip(beside, changes, strict=True)
            ],
            axis=1,
        )
        if not np.isfinite(slopes).all():
            return [values]
        step, *_ = np.linalg.lstsq(slopes, -own, rcond=None)
        found = [values]
        for share in (1.0, 0.5, 0.2):
            ratios = np.exp(np.clip(share * step, -1.0, 1.0))
            found.append(
                tuple(
                    self._allowed(n, value * ratio)
                    for n, (value, ratio) in enumerate(zip(values, ratios.tolist(), strict=True))
                )
            )
        return found

    def _with(self, values: Values, number: int, value: float) -> Values:
        return (*values[:number], self._allowed(number, value), *values[number + 1 :])

    def _allowed(self, number: int, value: float) -> float:
        """The value as it is written: whole where it has to be, else with six digits."""
        return float(max(round(value), 1)) if self.is_whole[number] else float(f"{value:.6g}")

    def _grid(self, values: Values, number: int, spread: float) -> list[Values]:
        """*values*, and others for one of them."""
        tried = values[number] * np.geomspace(1 / spread, spread, _POINTS)
        return [values, *(self._with(values, number, value) for value in tried.tolist())]


def calibrate(
    accelerator: GivenAccelerator, measured: str | PathLike[str], fit: Sequence[str] = ()
) -> Calibration:
    """Return *accelerator* beside the table *measured*, with the values of *fit* fitted to it.

    error = simulated / measured − 1; the fit minimises Σ log²(simulated / measured). A value that a paper or a data
    sheet gives is never touched. A notebook shows the result as tables.

    Args:
        accelerator: an accelerator, its name or the path of its file.
        measured: the path of a CSV file: a column ``model``, one of ``latency_us``, ``latency_ms``, ``latency_s`` and
            ``cycles``, and ``layer`` where a time is of one layer alone.
        fit: dotted paths of numeric parameters, as ``memory.dram.usable_fraction``.

    Raises:
        UsageError: the table is wrong, or a value of *fit* is none, has a source or is 0.
        HardwareError: the accelerator is unknown, or a network does not fit it.
        ModelError: a network is unknown.

    Example:
        >>> import squeezesim as sq
        >>> found = sq.calibrate("my.yaml", "measured.csv", ["memory.dram.usable_fraction"])  # doctest: +SKIP
        >>> found.accelerator.to_yaml()  # doctest: +SKIP
    """
    own, rows = accelerator_of(accelerator), read_measured(measured)
    where = str(measured)
    _check_paths(own, fit)
    bench = _Bench(rows, where)
    plain = _Fit(bench, own, fit)
    before = bench.times([own])[0]
    if np.isnan(before).any():
        row = rows[int(np.flatnonzero(np.isnan(before))[0])]
        _, misfits = evaluate_each(bench.networks[row.model].layers, [own])
        raise HardwareError(f"{where}:{row.line}: {misfits[0]}")
    if not before.all():
        row = rows[int(np.flatnonzero(before == 0)[0])]
        raise UsageError(
            f"{where}:{row.line}: {row.subject} takes no time on {own.name}: it is not modelled there"
        )
    depends = _dependences(bench, own, before)
    every = range(len(rows))
    best = plain.best(every, plain.start, _SPREADS) if fit else plain.start
    after = plain.times([best])[best] if fit else before
    left_out = _left_out(plain, best) if fit and len(rows) > 1 else None
    found = Calibration(
        accelerator=own,
        rows=rows,
        simulated=before.tolist(),
        fitted=after.tolist(),
        left_out=left_out,
        values=dict(zip(fit, zip(plain.start, best, strict=True), strict=True)),
        depends=depends,
    )
    return _noted(found, Path(where).name) if fit else found


def _check_paths(accelerator: Accelerator, fit: Sequence[str]) -> None:
    values = dict(numeric_values(accelerator))
    for number, path in enumerate(fit):
        if path in fit[:number]:
            raise UsageError(f"{path} is fitted twice; allowed: once")
        if not is_path(path):
            raise UsageError(unknown_path(path))
        if path not in values or path.startswith(OVERRIDES):
            raise UsageError(
                f"{path} cannot be fitted; allowed: a number above 0 that {accelerator.name} has"
            )
        given = accelerator.provenance.get(path)
        if given is not None and given.provenance in _SOURCED:
            raise UsageError(
                f"{path} of {accelerator.name} is of a {given.provenance} ({given.source}); allowed: values that are "
                "guesses, calibrated, or without provenance"
            )


def _dependences(bench: _Bench, accelerator: Accelerator, before: Floats) -> list[Dependence]:
    """Values without a source, and by how much the rows change where each is a tenth more."""
    tried: list[tuple[str, float, str, Accelerator]] = []
    for path, value in numeric_values(accelerator):
        given = accelerator.provenance.get(path)
        if path.startswith((OVERRIDES, "energy.")) or (given and given.provenance in _SOURCED):
            continue
        is_whole = allowed_text(path).startswith("an integer")
        more = max(int(value * _STEP), int(value) + 1) if is_whole else value * _STEP
        try:
            changed = accelerator.replace({path: more})
        except HardwareError:
            continue
        tried.append((path, value, given.provenance if given else "", changed))
    if not tried:
        return []
    times = bench.times([changed for *_, changed in tried])
    found = [
        Dependence(path, value, provenance, float(np.nanmax(np.abs(row / before - 1), initial=0.0)))
        for (path, value, provenance, _), row in zip(tried, times, strict=True)
    ]
    return sorted((each for each in found if each.change > _MATTERS), key=lambda each: -each.change)


def _left_out(fit: _Fit, best: Values) -> list[float]:
    """Time of each row with values that were fitted without it, or without its part of the rows."""
    count = len(fit.bench.rows)
    parts = min(count, _FOLDS)
    found = np.empty(count)
    for part in range(parts):
        out = np.arange(part, count, parts)
        rest = np.setdiff1d(np.arange(count), out).tolist()
        values = fit.best(rest, fit.known(rest, best), _SPREADS[_FINE:])
        found[out] = fit.times([values])[values][out]
    return [float(value) for value in found]


def _noted(found: Calibration, table: str) -> Calibration:
    """With the accelerator that has the fitted values, and says of each what it was calibrated against."""
    source = f"{table}, {units.plural(len(found.rows), 'row')}: mean error {_fitted_text(found)}"
    changed = found.accelerator.replace({path: after for path, (_, after) in found.values.items()})
    data: dict[str, Any] = yaml.safe_load(changed.to_yaml())
    for path in found.values:
        *above, key = path.split(".")
        section = data
        for name in above:
            section = section[name]
        value = section[key]["value"] if isinstance(section[key], Mapping) else section[key]
        section[key] = {"value": value, "provenance": "calibrated", "source": source}
    return replace(found, accelerator=Accelerator.from_dict(data))


def _fitted_text(found: Calibration) -> str:
    text = units.share(found.mean_error(found.fitted))
    return (
        text
        if found.left_out is None
        else f"{text}, left out {units.share(found.mean_error(found.left_out))}"
    )


def sections(found: Calibration) -> list[Section]:
    """Return the parts of the text in their order."""
    parts = [Section(f"{found.accelerator.name} beside what was measured", _table(found))]
    lines = [f"mean error {units.share(found.mean_error(found.simulated))}"]
    if found.values:
        lines[0] += f"; fitted {_fitted_text(found)}"
    parts.append(Section("errors", lines))
    if found.values:
        cells = [[path, f"{before:g}", f"{after:g}"] for path, (before, after) in found.values.items()]
        columns = [Column("fitted value", left=True), Column("before"), Column("after")]
        parts.append(Section("fit", Grid(columns, cells)))
    cells = [
        [each.parameter, f"{each.value:g}", each.provenance or units.EMPTY, units.share(each.change)]
        for each in found.depends
    ]
    columns = [
        Column("value without a source", left=True),
        Column("value"),
        Column("provenance", left=True),
        Column("largest change for 10 % more"),
    ]
    body: Grid | list[str] = (
        Grid(columns, cells) if cells else ["none that changes a time by more than 0.1 %"]
    )
    parts.append(Section("what the times depend on", body))
    return parts


def _table(found: Calibration) -> Grid:
    names = ["measured", "simulated", "error"] + (["fitted", "error", "left out"] if found.values else [])
    cells = []
    for row in found.data():
        line = [
            f"{row['model']} {row['layer']}".rstrip(),
            row["unit"].replace("us", "µs"),
            *(_number(row[name]) for name in ("measured", "simulated")),
            units.change(row["error"]),
        ]
        if found.values:
            line += [_number(row["fitted"]), units.change(row["fitted_error"])]
            line += [units.change(row["left_out_error"])]
        cells.append(line)
    ranks = {"fitted": 2, "simulated": 1}
    columns = [Column("what", left=True), Column("unit", 3, left=True)]
    return Grid([*columns, *(Column(name, ranks.get(name, 0)) for name in names)], cells)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
