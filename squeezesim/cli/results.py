"""What commands are about: networks on accelerators, and reports that were saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from squeezesim.cli import streams
from squeezesim.cli.command import Given
from squeezesim.cli.inputs import load_network
from squeezesim.errors import UsageError

if TYPE_CHECKING:
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.load.compression import Compression
    from squeezesim.report.report import Report


def check_options(models: Sequence[str], given: Given) -> None:
    """Check that networks come with an accelerator, and saved reports alone without options that change results.

    Raises:
        UsageError: they do not.
    """
    saved = _saved(models)
    networks = [text for text in models if text not in saved]
    if networks and not given["--hw"]:
        raise UsageError(
            f"network {networks[0]!r} needs an accelerator: --hw FILE or NAME; allowed without: saved reports, .json"
        )
    idle = [option for option, values in given.items() if values and not networks]
    if idle:
        raise UsageError(
            f"{idle[0]} is for networks; {saved[0]!r} is a saved report, which is not simulated again"
        )


def accuracies(texts: Sequence[str]) -> dict[str, float]:
    """Return the accuracies by network that ``NETWORK=PERCENT``, the values of ``--top1``, say.

    Raises:
        UsageError: one is not written so.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
        if not (name and equals):
            raise UsageError(f"--top1 {text!r}; allowed: NETWORK=PERCENT, such as my_net=70.5")
        found[name] = number
    return found


def results(
    models: Sequence[str],
    accelerators: Sequence[Accelerator],
    inputs: Sequence[str],
    batch: int | None,
    compression: Compression,
    *,
    stages: Sequence[str] | None = None,
    cache: bool,
) -> list[Report]:
    """Return the saved reports among *models*, and the others on each of *accelerators*, in their order."""
    from squeezesim.report.report import Report
    from squeezesim.simulate import simulate

    saved = _saved(models)
    reports: list[Report] = []
    for text in models:
        if text in saved:
            reports.append(Report.load(text))
            continue
        network = load_network(text, inputs, batch, compression=compression, stages=stages, cache=cache)
        for accelerator in accelerators:
            streams.status(f"simulating {network.name} on {accelerator.name}")
            reports.append(simulate(network, accelerator))
    return reports


def is_report(text: str) -> bool:
    """Return whether *text* is the path of a saved report."""
    from squeezesim.explore.compare.result import is_report

    return is_report(text)


def _saved(models: Sequence[str]) -> list[str]:
    return [text for text in models if is_report(text)]
