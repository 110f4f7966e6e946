"""The built-in networks, read from ``catalogue.csv``: a row for each network of ``families``.

Columns: ``options`` where they differ from the family's; ``params`` and ``macs``, exact counts of the published
network at ``input`` (C×H×W); ``top1`` and ``top5``, accuracy on ImageNet, single crop, in per cent, as printed in
``printed_in``: a table of the family's source, where nothing else is named.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from squeezesim.zoo.families import FAMILIES
from squeezesim.zoo.registry import Entry, Facts

_FILE = Path(__file__).with_name("catalogue.csv")


def _entry(row: Mapping[str, str]) -> Entry:
    family = next(family for family in FAMILIES if family.name == row["family"])
    options = {option.name: option for option in family.options}
    written = dict(item.split("=") for item in row["options"].split())
    return Entry(
        name=row["name"],
        published_as=row["published_as"],
        family=family,
        input=tuple(map(int, row["input"].split("x"))),
        defaults={name: option.default for name, option in options.items()}
        | {name: options[name].parse(value) for name, value in written.items()},
        facts=Facts(
            params=int(row["params"]),
            macs=int(row["macs"]),
            top1=_per_cent(row["top1"]),
            top5=_per_cent(row["top5"]),
            printed_in=row["printed_in"],
        ),
    )


def _per_cent(text: str) -> float | None:
    return float(text) if text else None


with _FILE.open(encoding="utf-8", newline="") as _rows:
    CATALOGUE: tuple[Entry, ...] = tuple(map(_entry, csv.DictReader(_rows)))
