"""What the page's charts are drawn from, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.energy import LEVELS
from squeezesim.cost.evaluate import LOSSES, OPERANDS
from squeezesim.report.columns import groups
from squeezesim.report.figures import words
from squeezesim.report.figures.losses import waterfall
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.html.cells import numbers
from squeezesim.report.html.lanes import cards
from squeezesim.report.names import short_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from squeezesim.report.figures.scales import Energies
    from squeezesim.report.report import Report
    from squeezesim.report.tally import Tally


LONGEST = 18
"""Letters of a name below a bar."""
_LETTERS = (24, 18, 14, 10, 7)  # of names on a card, tried until all fit


def payload(report: Report, energies: Energies) -> dict[str, Any]:
    """Return the numbers of one report; energies are those that all reports of the page can be given in."""
    names, stages = groups(report, "stage")
    layer_names = [layer.name for layer in report.network.layers]
    return {
        "network": report.network.name,
        "accelerator": report.accelerator.name,
        "pes": report.scale.pes,
        "absolute": energies.absolute,
        "layers": {
            **numbers(report),
            "short": short_names(layer_names, LONGEST),
            "inputs": [list(layer.inputs) for layer in report.network.layers],
        },
        "parts": _parts(report, report.tally, energies),
        "stages": {"names": names, "parts": _parts(report, stages, energies)},
        "whole": _parts(report, report.tally.total(), energies),
        "waterfall": [
            {"label": label, "cause": cause, "from": _short(start), "to": _short(end)}
            for label, cause, start, end in waterfall(report)
        ],
        "roofline": _roofline(report),
        "cards": [
            card._asdict() | _names(layer_names[card.first : card.first + card.rows])
            for card in cards(report.network.layers)
        ],
    }


def _names(names: Sequence[str]) -> dict[str, Any]:
    """What the names of a card begin with, up to a dot or slash, and shorter and shorter names without it."""
    ends = min(names), max(names)  # what these two begin with, all do
    shared = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    shared = shared[: 1 + max(shared.rfind("."), shared.rfind("/"))]
    if shared in names:  # one that ends in its sign
        shared = ""
    rest = [name.removeprefix(shared) for name in names]
    return {"prefix": shared, "short": [short_names(rest, width) for width in _LETTERS]}


def legends() -> dict[str, Any]:
    """Return the names of the parts that bars are made of, with the prefix of their colours."""
    kinds = {
        "causes": ("cause", words.CAUSES, ("executed", *LOSSES)),
        "levels": ("level", words.LEVELS, LEVELS),
        "operands": ("operand", words.OPERANDS, OPERANDS),
    }
    return {
        kind: {"colours": colours, "keys": keys, "labels": [labels[key] for key in keys]}
        for kind, (colours, labels, keys) in kinds.items()
    }


def _parts(report: Report, tally: Tally, energies: Energies) -> dict[str, Any]:
    """Cycles by cause, energy by level and DRAM bytes by operand, a row for each row of *tally*."""
    pe_cycles = np.concatenate([tally.executed[:, None], tally.losses], axis=1)
    return {
        "causes": _rows(pe_cycles / report.scale.pes),
        "levels": _rows(energies.of(report, tally)),
        "operands": tally.dram.tolist(),
    }


def _roofline(report: Report) -> dict[str, Any]:
    """Executed MACs a second of each MAC layer, and what limits them: a roof for each memory."""
    layers = np.flatnonzero(report.tally.macs > 0)
    seconds = report.tally.cycles[layers] / (report.accelerator.clock_mhz * 1e6)
    return {
        "layers": layers.tolist(),
        "speed": _column(report.tally.executed[layers] / seconds),
        "roofs": [
            {
                "memory": roof.memory,
                "array": roof.macs_a_second,
                "bandwidth": roof.bytes_a_second,
                "intensity": _column(roof.intensity),
            }
            for roof in ceilings(report, layers)
        ],
    }


def _column(values: NDArray[np.float64]) -> list[float]:
    return [_short(value) for value in values.tolist()]


def _rows(values: NDArray[np.float64]) -> list[list[float]]:
    return [_column(row) for row in values]


def _short(value: float) -> float:
    """Six digits are more than a chart shows; what is no number, energy where a MAC costs none, has no bar."""
    return float(f"{value:.6g}") if math.isfinite(value) else 0.0
