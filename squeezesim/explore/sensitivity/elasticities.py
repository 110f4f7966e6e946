"""Elasticities: by how many per cent latency and energy change for each per cent of a parameter.

    elasticity = (log f(upper) − log f(lower)) / (log upper − log lower)

of latency or energy f, between values of the parameter that are a given share below and above its own. −1 of bandwidth
means that twice the bandwidth halves the latency; 0 that it does not matter there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log
from typing import TYPE_CHECKING, Any

from squeezesim.errors import HardwareError
from squeezesim.explore.sweep.engine import totals
from squeezesim.hardware.config import to_dict
from squeezesim.hardware.energy import WORD_BITS, energy_costs
from squeezesim.hardware.energy_levels import LEVELS
from squeezesim.hardware.paths import OVERRIDES, parameters
from squeezesim.report.tally import Scale

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network


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
    values = dict(_values(accelerator))
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


def _values(accelerator: Accelerator) -> Iterator[tuple[str, float]]:
    """Numeric parameters above 0, and what an access at each level costs."""
    tree = to_dict(accelerator)
    for path, known in parameters().items():
        value: Any = tree
        for key in path.split("."):
            value = None if value is None else value.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value > 0 and known.allowed.startswith(("an integer", "a number")):
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
        is_whole = path in parameters() and parameters()[path].allowed.startswith("an integer")
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
            energy.append(relative * Scale.of(design).mac_energy)
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
