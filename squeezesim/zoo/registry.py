"""What the name of a built-in network with options stands for. Imports no torch until it builds."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, nearest
from squeezesim.network.checks import show
from squeezesim.zoo.families import FAMILIES
from squeezesim.zoo.options import Value
from squeezesim.zoo.records import Entry, Facts

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Spec:
    """A built-in network and the options that differ from its own; ``str`` is the text that parses to it."""

    entry: Entry
    changes: Mapping[str, Value]

    @property
    def options(self) -> dict[str, Value]:
        """A value for every option of the family."""
        return dict(self.entry.defaults) | dict(self.changes)

    @property
    def input(self) -> tuple[int, ...]:
        """The input (C, H, W): that of the built-in network, at the option ``resolution`` where there is one."""
        resolution = self.options.get("resolution")
        return (
            (self.entry.input[0], resolution, resolution) if isinstance(resolution, int) else self.entry.input
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """How the network relates to the built-in one that is equal to it, or of the depth asked for."""
        if not self.changes:
            return ()
        options = self.options
        others = [entry for entry in catalogue().values() if entry.family.name == self.entry.family.name]
        unlike = {
            other.name: [key for key in options if options[key] != other.defaults[key]] for other in others
        }

        def distance(name: str) -> int:
            return len(unlike[name])

        alike = min(unlike, key=distance)
        if not unlike[alike]:
            return (f"same as {alike}",)
        twins = [name for name, keys in unlike.items() if "depth" in self.changes and "depth" not in keys]
        if not twins:
            return ()
        twin = min(twins, key=distance)
        return (f"differs from {twin} in {', '.join(unlike[twin])}",)

    def __str__(self) -> str:
        texts = [
            f"{option.name}={option.format(self.changes[option.name])}"
            for option in self.entry.family.options
            if option.name in self.changes
        ]
        return f"{self.entry.name}@{','.join(texts)}" if texts else self.entry.name


_CATALOGUE = Path(__file__).with_name("catalogue.csv")


@cache
def catalogue() -> Mapping[str, Entry]:
    """Return the built-in networks by name, in the order in which they are listed.

    They are read from ``catalogue.csv``, a row for each network of ``families``. Columns: ``options`` where they differ
    from the family's; ``params`` and ``macs``, exact counts of the published network at ``input`` (C×H×W); ``top1`` and
    ``top5``, accuracy on ImageNet, single crop, in per cent, as printed in ``printed_in``: a table of the family's
    source, where nothing else is named.
    """
    with _CATALOGUE.open(encoding="utf-8", newline="") as rows:
        return {entry.name: entry for entry in map(_entry, csv.DictReader(rows))}


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


def models() -> list[str]:
    """Return the names of the built-in networks.

    Example:
        >>> "squeezenext_23" in models()
        True
    """
    return list(catalogue())


def parse_spec(text: str, options: Mapping[str, object] | None = None) -> Spec:
    """Return what ``name`` or ``name@option=value,option=value`` stands for, with *options* added.

    Raises:
        ModelError: the name or an option is unknown, a value cannot be read, or an option is given twice.

    Example:
        >>> str(parse_spec("squeezenext_23@width=1.0,depth=2-4-14-1"))
        'squeezenext_23@depth=2-4-14-1'
    """
    name, at, listed = text.partition("@")
    if name not in catalogue():
        raise ModelError(f"unknown network {show(name)}{nearest(name, catalogue())}")
    entry = catalogue()[name]
    written: list[tuple[str, object]] = []
    for item in listed.split(",") if at else ():
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise ModelError(f"options of {name!r} are written option=value,option=value, found {show(item)}")
        written.append((key, value))
    known = {option.name: option for option in entry.family.options}
    changes: dict[str, Value] = {}
    given: set[str] = set()
    for key, option in (*written, *(options or {}).items()):
        if key in given:
            raise ModelError(f"option {key!r} of {name!r} is given twice")
        given.add(key)
        if key not in known:
            allowed = f"it has {', '.join(known)}" if known else "it has none"
            raise ModelError(f"{name!r} has no option {show(key)}; {allowed}{nearest(key, known)}")
        parsed = known[key].parse(option)
        if parsed != entry.defaults[key]:
            changes[key] = parsed
    return Spec(entry, changes)


def build(spec: Spec, *, device: str = "cpu", seed: int = 0) -> nn.Module:
    """Return the module of *spec* with random weights of *seed*; the global random state stays as it is.

    Raises:
        ModelError: its options do not fit together.
    """
    import torch

    factory: Any = getattr(import_module(spec.entry.family.module), spec.entry.family.factory)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        module: nn.Module = factory(**spec.options)
    return module


def folder_name(model: str) -> str:
    """Return *model* as the name of a folder: the last part of a path, ``-`` for what a shell might read.

    Example:
        >>> folder_name("squeezenext_23@depth=2-4-14-1,width=1.5")
        'squeezenext_23-depth-2-4-14-1-width-1.5'
    """
    last = re.split(r"[/\\]", model)[-1].removesuffix(".graph.json").removesuffix(".csv")
    return re.sub(r"[^A-Za-z0-9_.]+", "-", last).strip(".-") or "network"
