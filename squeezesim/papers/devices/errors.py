"""How far each shipped accelerator is from what was measured or printed, as ``make validation`` committed it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

FILE = "devices/errors.csv"
"""Below ``squeezesim/papers/data``."""

NOT_VALIDATED = "not validated"


class Error(NamedTuple):
    """The mean error of some rows of an accelerator."""

    accelerator: str
    rows: str
    number: int
    mean: float

    @property
    def text(self) -> str:
        """As lists say it: ``6.8 % of 5 networks``."""
        return f"{100 * self.mean:.1f} % of {self.number} {self.rows}"


def mean_of(accelerator: str, rows: str, errors: Iterable[float]) -> Error:
    """Return the mean of the sizes of *errors*, to a tenth of a per cent, as it is committed.

    Example:
        >>> mean_of("chip", "layers", [0.1, -0.2]).text
        '15.0 % of 2 layers'
    """
    sizes = [abs(error) for error in errors]
    return Error(accelerator, rows, len(sizes), round(sum(sizes) / len(sizes), 3))


def text(accelerator: str) -> str:
    """Return the committed errors of a shipped accelerator, or that there are none.

    Example:
        >>> text("os_32x32")
        'not validated'
    """
    return ", ".join(each.text for each in committed().get(accelerator, ())) or NOT_VALIDATED


@cache
def committed() -> Mapping[str, tuple[Error, ...]]:
    """Return the committed errors by accelerator."""
    found: dict[str, tuple[Error, ...]] = {}
    content = (files("squeezesim.papers") / "data").joinpath(*FILE.split("/")).read_text(encoding="utf-8")
    for row in csv.DictReader(content.splitlines()):
        each = Error(row["accelerator"], row["rows"], int(row["number"]), float(row["mean_error"]))
        found[each.accelerator] = (*found.get(each.accelerator, ()), each)
    return found


def written(errors: Iterable[Error]) -> str:
    """Return the file of *errors*."""
    lines = [f"{each.accelerator},{each.rows},{each.number},{each.mean:.3f}" for each in errors]
    return "\n".join(["accelerator,rows,number,mean_error", *lines, ""])
