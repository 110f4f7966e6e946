"""sq.compare: results, or networks × accelerators, as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError
from squeezesim.explore.compare import comparison as baselines
from squeezesim.explore.compare.comparison import (
    Comparison,
    Result,
    names_of_empty,
    of_report,
    saved,
    told_apart,
    with_top1,
)
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.inputs import GivenAccelerator, accelerators_of, network_of
from squeezesim.network import Network
from squeezesim.report.files import is_report
from squeezesim.report.frame import results as shown
from squeezesim.report.report import Report
from squeezesim.simulate import simulate

if TYPE_CHECKING:
    import pandas as pd

Given = Report | Network | str | PathLike[str]


def compare(
    results: Given | Iterable[Given],
    accelerators: GivenAccelerator | Iterable[GivenAccelerator] = (),
    *,
    baseline: str | None = None,
    by: str = "result",
    top1: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Return results side by side, relative to a baseline.

    One row a result: ``network``, ``accelerator``, ``top1_percent`` where it is known, the columns of
    ``Report.totals``, and quantities over those of the baseline, ``latency_relative`` and others. *by* stage or
    layer there is one row for each of them and each result, aligned by their names.

    Args:
        results: reports, paths of saved ones (``.json``), or networks, which run on each of *accelerators*.
        accelerators: accelerators, their names or the paths of their files.
        baseline: the name of a network, of an accelerator, or ``NETWORK on ACCELERATOR``; by default the first result.
        by: ``result``, ``stage`` or ``layer``.
        top1: accuracies in per cent by network, beside the published ones of built-in networks.

    Raises:
        UsageError: there is nothing to compare, a network and no accelerator, no such baseline, or no such *by*.
        ModelError: a network is unknown or cannot run.
        HardwareError: an accelerator is unknown.
        ReportError: a saved report cannot be read.

    Example:
        >>> import squeezesim as sq
        >>> table = sq.compare(["squeezenext_23", "squeezenext_23_v5"], "squeezelerator_16x16")
        >>> table.latency_relative.round(2).tolist()
        [1.0, 0.81]
    """
    import pandas as pd

    machines = accelerators_of(accelerators)
    found: list[Result] = []
    if isinstance(results, (Report, Network, str, PathLike)) or not isinstance(results, Iterable):
        results = [results]
    for item in results:
        found += results_of(item, machines)
    rows = comparison(found, baseline=baseline, top1=top1 or {}).rows(by)
    numbers = [name for name in names_of_empty() if name in rows[0]]
    table = pd.DataFrame(rows).astype(dict.fromkeys(numbers, "float64"))
    return shown(table, f"{by}s side by side")


def comparison(
    found: Iterable[Result],
    *,
    baseline: str | None = None,
    against: Iterable[Result] = (),
    top1: Mapping[str, float] | None = None,
) -> Comparison:
    """Return results beside those of saved reports, which are then their baselines.

    Raises:
        UsageError: there is no result, or no such baseline.
    """
    before, after = list(against), list(found)
    if not after:
        raise UsageError("there is nothing to compare; allowed: reports, or networks and accelerators")
    results = told_apart(with_top1([*before, *after], top1 or {}))
    if before:
        return Comparison(results, baselines.against(results, len(before)), len(before))
    return Comparison(results, baselines.named(results, baseline))


def results_of(item: Given, accelerators: Iterable[Accelerator]) -> Iterator[Result]:
    """Yield the result of a report, or those of a network on each of *accelerators*.

    Raises:
        UsageError: a network comes without an accelerator.
    """
    if isinstance(item, Report):
        yield of_report(item)
    elif isinstance(item, (str, PathLike)) and is_report(item):
        yield saved(item)
    else:
        network = network_of(item)
        machines = list(accelerators)
        if not machines:
            raise UsageError(f"network {network.name!r} needs an accelerator; allowed: saved reports without")
        for accelerator in machines:
            yield of_report(simulate(network, accelerator))
