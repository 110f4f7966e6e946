"""allocate: the allocations of a network as a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError
from squeezesim.explore.allocate.budgets import where as budget
from squeezesim.explore.allocate.study import study
from squeezesim.hardware.accelerator import Accelerator

if TYPE_CHECKING:
    import pandas as pd

    from squeezesim.explore.allocate.bases import Choices


def allocate(
    model: str,
    hw: Accelerator | str | Sequence[Accelerator | str],
    *,
    blocks: int | None = None,
    stages: Sequence[tuple[int, int]] | None = None,
    options: Choices | None = None,
    where: str | Sequence[str] = (),
    objectives: str | Sequence[str] | None = None,
    sort: str = "latency_us",
    cache: bool = True,
) -> pd.DataFrame:
    """Return every way to spread the blocks of a network over its stages, one row for each and each accelerator.

    What a stage costs is the sum of its blocks, so that the network is traced and costed once, at its deepest:
    counts, cycles and bytes are those that ``simulate`` gives for the network itself, energy is the same but for
    rounding.

    Columns: ``accelerator``, those of *options*, ``depth`` (a tuple of blocks by stage), ``blocks``, those of
    ``Report.totals``, ``late_share`` (share of the last half of the stages in the params of all stages, a stand-in for
    capacity and no accuracy), ``pareto`` and ``published`` (the built-in network that a row is).

    Its ``attrs`` hold what the command prints below, as lists of rows: ``networks``, the model and published networks
    with their ``place`` by *sort*, and ``moves`` of blocks from the model that gain most, with relative ``changes``.

    Args:
        model: the name of a built-in network with a depth, with or without ``@option=value,…``.
        hw: accelerators, their names or files.
        blocks: blocks in all stages together; those of *model*, unless *stages* is given.
        stages: the least and the greatest number of blocks of each stage.
        options: values of other options, each combination of which is tried, as ``{"conv1": [5, 7], "width": 1.5}``;
            ``resolution`` is the side of the input.
        where: conditions that rows meet, such as ``"latency_us <= 1.3ms"``; changes, as in ``"params < +5%"``, are
            from *model*; ``stage1`` … are the blocks of a stage.
        objectives: columns of which ``pareto`` says that no other row of the accelerator is better in one and as good
            in the others; more is better of ``utilization``, ``efficiency`` and ``late_share``. By default latency,
            energy in MACs' worth, params, MACs and the late share.
        sort: the column by which each accelerator's rows are ordered, the best first.
        cache: keep and read traced networks on disk.

    Raises:
        ModelError: there is no such network, it has no blocks to allocate, or its costs are no sum over them.
        UsageError: *model* is no name; there are no allocations, none that meets *where*, or more than 2,000,000 rows.
        HardwareError: a layer does not fit a buffer.

    Example:
        >>> import squeezesim as sq
        >>> len(sq.allocate("squeezenext_23_v5", "squeezelerator_16x16", blocks=21))
        1140
    """
    import pandas as pd

    given = [hw] if isinstance(hw, Accelerator | str) else list(hw)
    accelerators = [Accelerator.resolve(item) if isinstance(item, str) else item for item in given]
    if not accelerators:
        raise UsageError("allocate needs an accelerator")
    conditions = [where] if isinstance(where, str) else list(where)
    done = study(
        model,
        accelerators,
        blocks=blocks,
        stages=stages,
        choices=options,
        budgets=lambda count: [budget(text, count) for text in conditions],
        objectives=objectives,
        sort=sort,
        cache=cache,
    )
    table = pd.concat(
        [pd.DataFrame(result.candidates.columns()) for result in done.results], ignore_index=True
    )
    table.attrs["networks"] = [
        {"accelerator": result.accelerator.name, **standing.record}
        for result in done.results
        for standing in result.standings
    ]
    table.attrs["moves"] = [
        {"accelerator": result.accelerator.name, **move.record}
        for result in done.results
        for move in result.moves or ()
    ]
    return table
