"""A command as it is typed: its models, the options that change a result, and what it writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

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
