"""Options that commands share, and the command as words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from squeezesim.cli import output
from squeezesim.cli import output as cli_output

if TYPE_CHECKING:
    from squeezesim.load.compression import Compression
    from squeezesim.network import Network

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


def asked(
    prune: Sequence[str] | None,
    prune_channels: Sequence[str] | None,
    low_rank: Sequence[str] | None,
    quantize: Sequence[str] | None,
    file: Path | None,
) -> Compression:
    """Return what the options ask for.

    Raises:
        UsageError: one has no value, or a pattern stands twice.
    """
    from squeezesim.load.compression import Compression

    given = {"prune_channels": prune_channels, "low_rank": low_rank, "prune": prune, "quantize": quantize}
    return Compression.read(given, str(file) if file else "")


def settings(compression: Compression) -> list[str]:
    """Return what sets this run apart from one without compression, as parts of a folder's name."""
    parts = [
        f"{name}-{value}" if pattern == "*" else f"{name}-{pattern}-{value}"
        for name, rules in compression.rules.items()
        for pattern, value in rules.items()
    ]
    return [*parts, *(f"compress-{Path(file).stem}" for file in compression.files)]


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
    cli_output.tell()
    columns = [Column("weights stored", left=True), Column("size"), Column("bytes")]
    output.print_grid(Grid(columns, cells, elsewhere=output.PIPE))


Given = Mapping[str, Sequence[str]]
"""Values by option; an option without a value was not given."""


def options(
    hw: Sequence[str] | None,
    inputs: Sequence[str] | None,
    batch: int | None,
    prune: Sequence[str] | None,
    prune_channels: Sequence[str] | None,
    low_rank: Sequence[str] | None,
    quantize: Sequence[str] | None,
    compress: Path | None,
    dataflow: str,
    objective: str | None,
    stages: Sequence[str] | None = None,
) -> Given:
    """Return the options that change a result, in the order in which they are told."""
    return {
        "--hw": hw or (),
        "--input": inputs or (),
        "--batch": [str(batch)] if batch is not None else (),
        "--prune": prune or (),
        "--prune-channels": prune_channels or (),
        "--low-rank": low_rank or (),
        "--quantize": quantize or (),
        "--compress": [str(compress)] if compress else (),
        "--dataflow": [dataflow] if dataflow != "best" else (),
        "--objective": [objective] if objective else (),
        "--stages": stages or (),
    }


def words(
    name: str, models: Iterable[str], given: Given, files: Iterable[tuple[str, Path]] = ()
) -> list[str]:
    """Return the words of the command *name*; *files* are those that it writes, each with its option.

    Example:
        >>> words("profile", ["alexnet"], {"--hw": ["os_32x32"], "--batch": []}, [("-o", Path("a.csv"))])
        ['profile', 'alexnet', '--hw', 'os_32x32', '-o', 'a.csv']
    """
    pairs = [(option, value) for option, values in given.items() for value in values]
    written = [(option, str(path)) for option, path in files]
    return [name, *models, *(word for pair in (*pairs, *written) for word in pair)]
