"""The options that compress a network before it is listed or costed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import output
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from squeezesim.network import Network
    from squeezesim.network.compress.rules import Given, Value

_EACH = "for layers that match PATTERN, the first that matches wins; may be given several times."

Prune = Annotated[
    list[str] | None,
    typer.Option(
        "--prune",
        metavar="[PATTERN=]DENSITY",
        help=f"Share of the weights that stays, as 0.4, 2:4, or weights, those of my.py:factory; {_EACH}",
    ),
]
PruneChannels = Annotated[
    list[str] | None,
    typer.Option(
        "--prune-channels",
        metavar="[PATTERN=]SHARE",
        help=f"Share of the filters that stays, as 0.5, with the channels of who reads them; {_EACH}",
    ),
]
LowRank = Annotated[
    list[str] | None,
    typer.Option(
        "--low-rank",
        metavar="[PATTERN=]RANK",
        help=f"Two factors in place of a layer: a share of the full rank, rank:16 or energy:0.9; {_EACH}",
    ),
]
Quantize = Annotated[
    list[str] | None,
    typer.Option(
        "--quantize",
        metavar="[PATTERN=]WIDTHS",
        help=f"Bits of weights, activations and partial sums, as w8a8 or w4a8acc32; {_EACH}",
    ),
]
Compress = Annotated[
    Path | None,
    typer.Option(
        "--compress", metavar="FILE", parser=output.path, help="A recipe in YAML; options go before it."
    ),
]


@dataclass(frozen=True, slots=True)
class Compression:
    """What the options ask for."""

    rules: Mapping[str, Mapping[str, Value]]  # pass → pattern → value
    file: Path | None

    @classmethod
    def of(
        cls,
        prune: Sequence[str] | None,
        prune_channels: Sequence[str] | None,
        low_rank: Sequence[str] | None,
        quantize: Sequence[str] | None,
        file: Path | None,
    ) -> Compression:
        """Read the options.

        Raises:
            UsageError: one has no value, or a pattern stands twice.
        """
        given = {"prune_channels": prune_channels, "low_rank": low_rank, "prune": prune, "quantize": quantize}
        return cls({name: _rules(name, texts) for name, texts in given.items() if texts}, file)

    @property
    def settings(self) -> list[str]:
        """What sets this run apart from one without compression, as parts of a folder's name."""
        parts = [
            f"{name}-{value}" if pattern == "*" else f"{name}-{pattern}-{value}"
            for name, rules in self.rules.items()
            for pattern, value in rules.items()
        ]
        return [*parts, *([f"compress-{self.file.stem}"] if self.file else [])]

    @property
    def inputs(self) -> list[str]:
        """The files that are read."""
        return [str(self.file)] if self.file else []

    @property
    def _text(self) -> str:
        parts = [
            f"{name} {value}" if pattern == "*" else f"{name} {pattern}={value}"
            for name, rules in self.rules.items()
            for pattern, value in rules.items()
        ]
        return ", ".join([*parts, *self.inputs])

    def __bool__(self) -> bool:
        return bool(self.rules or self.file)

    def applied(self, network: Network, model: str) -> Network:
        """Return *network*, which *model* means, after the passes, with a note of them and of whether they change it.

        Raises:
            UsageError: a value or a pattern is none of a pass, or real weights are asked of a model without them.
            ModelError: filters that a pattern names in full cannot be removed.
        """
        if not self:
            return network
        from squeezesim.network.checks import MAX_TEXT
        from squeezesim.network.compress.recipe import compress, read_recipe

        recipe: dict[str, Given] = dict(read_recipe(self.file)) if self.file else {}
        for name, rules in self.rules.items():
            later = recipe.get(name, {})
            recipe[name] = {**rules, **_without(later if isinstance(later, Mapping) else {"*": later}, rules)}
        weights = None
        if any(_of_weights(value) for given in recipe.values() for value in _values(given)):
            from squeezesim.frontends.weights import weights as weights_of

            weights = weights_of(network, _module(model))
        compressed = compress(network, recipe, weights)
        said = "no layer changes" if compressed.layers == network.layers else "compressed"
        return replace(compressed, notes=(*compressed.notes, f"{said}: {self._text}"[:MAX_TEXT]))


def print_sizes(network: Network) -> None:
    """Print what the learnt values of *network* take, stored in each form."""
    from squeezesim.network.compress.storage import network_sizes
    from squeezesim.report import units
    from squeezesim.report.grid import Column, Grid

    sizes, least = network_sizes(network.layers)
    forms = {
        "dense": sizes.dense,
        "non-zeros alone": sizes.values,
        "bitmap": sizes.bitmap,
        "relative index, 4 bits": sizes.relative4,
        "relative index, 5 bits": sizes.relative5,
        "csr": sizes.csr,
        "smallest of each layer": least,
    }
    cells = [[form, units.size(-(-bits // 8)), f"{-(-bits // 8):,}"] for form, bits in forms.items()]
    print()
    output.print_grid(Grid([Column("weights stored", left=True), Column("size"), Column("bytes")], cells))


def _rules(name: str, texts: Sequence[str]) -> dict[str, Value]:
    rules: dict[str, Value] = {}
    option = f"--{name.replace('_', '-')}"
    for text in texts:
        pattern, equals, value = text.rpartition("=")
        if not value or (equals and not pattern):
            raise UsageError(f"{option} is written VALUE or PATTERN=VALUE, found {text!r}")
        if rules.setdefault(pattern or "*", value) != value:
            raise UsageError(f"{option} gives the pattern {pattern or '*'!r} two values")
    return rules


def _without(later: Mapping[str, Value], earlier: Mapping[str, Value]) -> dict[str, Value]:
    return {pattern: value for pattern, value in later.items() if pattern not in earlier}


def _values(given: Given) -> list[Value]:
    return list(given.values()) if isinstance(given, Mapping) else [given]


def _of_weights(value: Value) -> bool:
    return isinstance(value, str) and (value == "weights" or value.startswith("energy:"))


def _module(model: str) -> nn.Module:
    from squeezesim.load import load_module
    from squeezesim.load.python_file import is_python

    if not is_python(model):
        raise UsageError(
            f"'weights' and 'energy:' are of a trained module, as my.py:factory gives it, found {model!r}"
        )
    return load_module(model)[0]
