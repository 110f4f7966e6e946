"""Sensitivity: what a small change of each parameter of an accelerator changes.

elasticity = (log f(upper) − log f(lower)) / (log upper − log lower)

of latency or energy f, between values of the parameter that are a given share below and above its own. −1 of bandwidth
means that twice the bandwidth halves the latency; 0 that it does not matter there.

Integers move by more than others, and some parameters to one side alone: the values stand beside the name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil, floor, log
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.errors import HardwareError, UsageError
from squeezesim.explore.sweep.plan import totals
from squeezesim.hardware.config import OVERRIDES, allowed_text, is_leaf, to_dict
from squeezesim.hardware.display import every_path, fixed_widths
from squeezesim.hardware.energy import WORD_BITS, energy_costs
from squeezesim.hardware.parts import LEVELS, tables
from squeezesim.inputs import GivenAccelerator, GivenNetwork, accelerator_of, networks_of
from squeezesim.network.network import check_multiplies
from squeezesim.report import units
from squeezesim.report.figures.style import NORMAL, SMALL, Sheet, draw_grid_lines, patch, render
from squeezesim.report.frame import results
from squeezesim.report.grid import Column, Grid
from squeezesim.report.tally import Scale
from squeezesim.report.text import Section

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_PATH = "memory.dram.bandwidth_gb_s"
_LEAST, _MOST = 1e-3, 1e6  # what the parameter can be
_POINTS, _ROUNDS = 33, 4


def break_even(network: Network, accelerator: Accelerator) -> float | None:
    """Return the bandwidth in GB/s from which on DRAM is not the bottleneck of the most cycles.

    Cycles are those of the whole network by bottleneck, as in ``bound`` of its totals.

    Each round parts the interval in which it lies into 32; the last one is less than 0.1 % wide. None where DRAM sets
    it even at 1,000,000 GB/s, 0.001 where it never does.

    Example: 15.9 for squeezenext_23 on squeezelerator_16x16, which has 16.
    """
    low, high = _LEAST, _MOST
    fused = network.fused
    for number in range(_ROUNDS):
        points = np.geomspace(low, high, _POINTS)
        bound = totals(fused, [accelerator.replace({_PATH: float(point)}) for point in points])["bound"]
        waiting = np.flatnonzero([name == "dram" for name in bound])
        if len(waiting) == 0:
            return low if number == 0 else high
        if waiting[-1] == _POINTS - 1:
            return None if number == 0 else high
        low, high = float(points[waiting[-1]]), float(points[waiting[-1] + 1])
    return high


@dataclass(frozen=True, slots=True)
class Elasticity:
    """What a parameter does to a network's latency and energy; None where it is unknown.

    Attributes:
        parameter: its path.
        value: what the accelerator has.
        lower, upper: between which values the network was costed; its own where it has no other on that side.
        latency_lower, latency_upper: latency there, relative to that of the accelerator: 0.1 is 10 % more.
        energy_lower, energy_upper: energy there, likewise.
        latency, energy: the elasticities.
    """

    network: str
    parameter: str
    value: float
    lower: float
    upper: float
    latency_lower: float | None
    latency_upper: float | None
    energy_lower: float | None
    energy_upper: float | None
    latency: float | None
    energy: float | None


def elasticities(network: Network, accelerator: Accelerator, change: float) -> list[Elasticity]:
    """Return the elasticities of each numeric parameter above 0, the greatest in latency first.

    *change* is the share below and above; the values are rounded to the next ones that the parameter can have.
    """
    values = dict(numeric_values(accelerator))
    around = {path: _around(accelerator, path, value, change) for path, value in values.items()}
    designs: list[Accelerator | HardwareError] = [accelerator]
    designs += [design for pair in around.values() for _, design in pair]
    latency, energy = _measures(network.fused, designs)
    found = []
    for number, (path, value) in enumerate(values.items()):
        (lower, _), (upper, _) = around[path]
        places = 1 + 2 * number, 2 + 2 * number
        ends = [_relative(measure, at) for measure in (latency, energy) for at in places]
        slopes = [_slope(measure, places, lower, upper) for measure in (latency, energy)]
        found.append(Elasticity(network.name, path, value, lower, upper, *ends, *slopes))
    return sorted(found, key=lambda e: (-abs(e.latency or 0), -abs(e.energy or 0)))


def numeric_values(accelerator: Accelerator) -> Iterator[tuple[str, float]]:
    """Yield numeric parameters above 0, and what an access at each level costs."""
    tree = to_dict(accelerator)
    for path in every_path(accelerator):
        value: Any = tree
        for key in path.split("."):
            value = None if value is None else value.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value > 0 and allowed_text(path).startswith(("an integer", "a number")):
            yield path, value
    costs = energy_costs(accelerator)
    prices = {
        "mac": costs.mac(16, 16, 32),
        "register_file": costs.register_file_per_bit * WORD_BITS,
        "inter_pe": costs.inter_pe_per_bit * WORD_BITS,
        "buffer": costs.buffer_read_per_bit * WORD_BITS,
        "dram": costs.dram_per_bit * WORD_BITS,
        "vector_op": costs.vector_op_per_bit * WORD_BITS,
    }
    if costs.buffer_read_per_bit != costs.buffer_write_per_bit:
        del prices["buffer"]  # an override is one price for both
    yield from ((f"{OVERRIDES}.{level}", prices[level]) for level in LEVELS if prices.get(level))


def _around(
    accelerator: Accelerator, path: str, value: float, change: float
) -> list[tuple[float, Accelerator | HardwareError]]:
    """The value below and the one above with their accelerators; the value itself where there is no such."""
    found: list[tuple[float, Accelerator | HardwareError]] = []
    for wanted, rounded in ((value * (1 - change), floor), (value * (1 + change), ceil)):
        is_whole = is_leaf(path) and allowed_text(path).startswith("an integer")
        changed = rounded(wanted) if is_whole else wanted
        try:
            design = accelerator.replace({path: changed})
            energy_costs(design)
            found.append((changed, design))
        except HardwareError:
            found.append((value, accelerator))
    return found


def _measures(
    network: Network, designs: Sequence[Accelerator | HardwareError]
) -> tuple[list[float | None], list[float | None]]:
    """Latency and energy on each design, in one unit for all."""
    columns = totals(network, designs)
    energy: list[float | None] = []
    for design, absolute, relative in zip(
        designs, columns["energy_uj"], columns["energy_mac_equiv"], strict=True
    ):
        if absolute is not None or relative is None or isinstance(design, HardwareError):
            energy.append(absolute)
        else:
            energy.append(relative * float(Scale.of([design]).mac_energy[0]))
    return columns["latency_us"], energy


def _relative(measure: Sequence[float | None], at: int) -> float | None:
    value, own = measure[at], measure[0]
    return None if value is None or not own else value / own - 1


def _slope(
    measure: Sequence[float | None], places: tuple[int, int], lower: float, upper: float
) -> float | None:
    below, above = measure[places[0]], measure[places[1]]
    if not below or not above or lower <= 0 or lower == upper:
        return None
    return log(above / below) / log(upper / lower)


OWN = "(own)"
"""In place of a table's name: the accelerator's, with its overrides."""


@dataclass(frozen=True, slots=True)
class Rank:
    """A network's energy under one table, in MACs, and its place among the others, 1 the least; None if unknown."""

    table: str
    network: str
    energy_mac_equiv: float | None
    rank: int | None


def ranks(networks: Sequence[Network], accelerator: Accelerator) -> list[Rank]:
    """Return the networks' energies and ranks, under the accelerator's own prices first, then under each table's.

    Overrides are the accelerator's own. Tables that do not reach the buffer's size are left out.
    """
    designs = {OWN: accelerator}
    for table in tables():
        changed = accelerator.replace(
            {"energy.table": table, "energy.overrides": {}, "energy.pj_per_unit": None}
        )
        try:
            energy_costs(changed)
        except HardwareError:
            continue
        designs[table] = changed
    energies = [totals(network.fused, list(designs.values()))["energy_mac_equiv"] for network in networks]
    found = []
    for number, table in enumerate(designs):
        column = [energy[number] for energy in energies]
        known = sorted(energy for energy in column if energy is not None)
        found += [
            Rank(table, network.name, energy, None if energy is None else known.index(energy) + 1)
            for network, energy in zip(networks, column, strict=True)
        ]
    return found


_COLUMNS = {"latency": "latency_elasticity", "energy": "energy_elasticity"}


@dataclass(frozen=True, slots=True)
class Study:
    """What an accelerator's parameters do to networks.

    Attributes:
        accelerator: its name.
        bandwidth_gb_s: the bandwidth that it has.
        elasticities: of each network and parameter.
        change: the share by which parameters are less and more.
        break_even_gb_s: for each network the bandwidth from which on DRAM is not the bottleneck of the most cycles.
        ranks: of the networks by energy under each table; none for a single network.
        kept: what stays as it is while rows and columns change, as a sentence; empty where all follows.
    """

    accelerator: str
    bandwidth_gb_s: float
    change: float
    elasticities: list[Elasticity]
    break_even_gb_s: dict[str, float | None]
    ranks: list[Rank]
    kept: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """Return the elasticities as rows of the table that ``sensitivity`` returns."""
        return [
            {_COLUMNS.get(name, name): value for name, value in asdict(entry).items()}
            for entry in self.elasticities
        ]


def study(networks: Sequence[Network], accelerator: Accelerator, change: float = 0.1) -> Study:
    """Return what the parameters of *accelerator* do to *networks*; see ``sensitivity``."""
    if not 0 < change < 1:
        raise UsageError(f"a change of {change:g}; allowed: a share above 0 and below 1, as 0.1")
    for network in networks:
        check_multiplies(network)
    return Study(
        accelerator=accelerator.name,
        bandwidth_gb_s=accelerator.memory.dram.bandwidth_gb_s,
        change=change,
        elasticities=[e for network in networks for e in elasticities(network, accelerator, change)],
        break_even_gb_s={network.name: break_even(network, accelerator) for network in networks},
        ranks=ranks(networks, accelerator) if len(networks) > 1 else [],
        kept=fixed_widths(accelerator, ("array.rows", "array.cols")),
    )


def sensitivity(
    networks: GivenNetwork | Iterable[GivenNetwork], accelerator: GivenAccelerator, change: float = 0.1
) -> pd.DataFrame:
    """Return by how many per cent latency and energy change for each per cent of a parameter, a row for each.

    elasticity = (log f(upper) − log f(lower)) / (log upper − log lower), between values *change* below and above the
    accelerator's, rounded to such as the parameter can have. Prices of accesses are ``energy.overrides``.

    The table's ``attrs`` hold the rest of what ``squeezesim sensitivity`` prints: ``break_even_gb_s`` by network, None
    where DRAM leads at any bandwidth; ``ranks``, a dictionary for each network under each energy table; ``kept``, what
    stays as it is while rows and columns change.

    Raises:
        HardwareError: a network does not fit, or the accelerator is unknown.
        ModelError: a network does not multiply, or is unknown.
        UsageError: *change* is not between 0 and 1; no network is given, or one twice.

    Example:
        >>> table = sensitivity("squeezenext_23", "squeezelerator_16x16")
        >>> bool(table.set_index("parameter").latency_elasticity["clock_mhz"] < 0)
        True
        >>> round(table.attrs["break_even_gb_s"]["squeezenext_23"], 1)
        15.6
    """
    import pandas as pd

    done = study(networks_of(networks), accelerator_of(accelerator), change)
    columns = [_COLUMNS.get(field.name, field.name) for field in fields(Elasticity)]
    table = pd.DataFrame(done.rows(), columns=columns)
    table.attrs |= {"break_even_gb_s": done.break_even_gb_s, "ranks": [asdict(rank) for rank in done.ranks]}
    table.attrs["kept"] = done.kept
    return results(table, f"elasticities on {done.accelerator}")


TOP = 12
"""Parameters that are shown where nothing else is asked for."""


def sections(study: Study, top: int = TOP) -> list[Section]:
    """Return the parts of the text in their order."""
    parts = []
    for network, bandwidth in study.break_even_gb_s.items():
        parts.append(
            Section(f"{network} on {study.accelerator}: elasticities", _elasticities(study, network, top))
        )
        parts.append(Section("DRAM bandwidth", [_break_even(study, bandwidth)]))
    if study.ranks:
        parts.append(Section("energy by table, and rank", _ranks(study)))
    if study.kept:
        parts.append(Section("rows and columns", [study.kept]))
    return parts


def _elasticities(study: Study, network: str, top: int) -> Grid:
    entries = [e for e in study.elasticities if e.network == network and (e.latency or e.energy)]
    columns = [
        Column("parameter", left=True),
        *map(Column, ("value", "from", "to", "latency", "energy")),
    ]
    cells = [
        [
            entry.parameter,
            f"{entry.value:g}",
            f"{entry.lower:g}",
            f"{entry.upper:g}",
            *map(_signed, (entry.latency, entry.energy)),
        ]
        for entry in entries[:top]
    ]
    return Grid(columns, cells, units.part(len(cells), len(entries), "parameter"))


def _signed(value: float | None) -> str:
    if value is None:
        return units.EMPTY
    text = f"{abs(value):.3f}"
    return text if text == "0.000" else f"{'−' if value < 0 else '+'}{text}"


def _break_even(study: Study, bandwidth: float | None) -> str:
    has = f"(configured: {study.bandwidth_gb_s:g})"
    if bandwidth is None:
        return f"DRAM-bound at any bandwidth {has}"
    if bandwidth <= _LEAST:
        return f"DRAM-bound at no bandwidth {has}"
    return f"DRAM-bound below {bandwidth:.4g} GB/s {has}"


def _ranks(study: Study) -> Grid:
    networks = list(study.break_even_gb_s)
    by_table: dict[str, dict[str, str]] = {}
    for rank in study.ranks:
        text = f"{units.count(rank.energy_mac_equiv)} ({rank.rank})" if rank.rank else units.EMPTY
        by_table.setdefault(rank.table, {})[rank.network] = text
    columns = [Column("table", left=True), *map(Column, networks)]
    return Grid(columns, [[table, *(cells[name] for name in networks)] for table, cells in by_table.items()])


_MOST_BARS = 16  # parameters that are drawn
_SEEN = 0.05  # per cent, from which on a bar is seen


def draw(study: Study, file_format: str) -> bytes:
    """Return the figure as ``png`` or ``svg``: a panel for latency and one for energy, a row for each network."""
    return render(lambda: tornado(study), file_format)


def tornado(study: Study) -> Figure:
    """Return two bars a parameter, the change at its lower value above that at its upper one, the longest on top."""
    names = list(study.break_even_gb_s)
    sheet = Sheet.open(None, "light", (11, 1.3 + 0.3 * _MOST_BARS * len(names)), len(names), 2)
    colours = dict(zip(("lower", "upper"), sheet.theme.series, strict=False))
    measures = [(name, measure) for name in names for measure in ("latency", "energy")]
    for axes, (name, measure) in zip(sheet.panels, measures, strict=True):
        ends = [
            (entry, [100 * (getattr(entry, f"{measure}_{end}") or 0.0) for end in colours])
            for entry in study.elasticities
            if entry.network == name
        ]
        moved = sorted(
            (end for end in ends if max(map(abs, end[1])) >= _SEEN), key=lambda end: max(map(abs, end[1]))
        )
        shown = moved[-_MOST_BARS:]
        for number, colour in enumerate(colours.values()):
            places = np.arange(len(shown)) + (0.2, -0.2)[number]
            axes.barh(places, [values[number] for _, values in shown], 0.4, color=colour, zorder=2)
        texts = [f"{entry.parameter}  {entry.lower:.4g} … {entry.upper:.4g}" for entry, _ in shown]
        axes.set_yticks(range(len(shown)), texts, fontsize=SMALL, parse_math=False)
        axes.axvline(0, color=sheet.theme.ink, linewidth=0.8, zorder=3)
        axes.set_xlabel(f"change of {measure} of {name} (%)", fontsize=NORMAL, parse_math=False)
        draw_grid_lines(axes, sheet.theme, "x")
    sheet.title(f"{study.accelerator}: each parameter {100 * study.change:g} % lower and higher")
    sheet.legend({f"at the {end} value": patch(colour) for end, colour in colours.items()})
    return sheet.figure
