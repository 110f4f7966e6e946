"""sweep(): networks on many accelerators at once, as a table."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from math import prod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from squeezesim.errors import ArgumentError, UsageError
from squeezesim.explore.sweep.design_space import Axis, Value, free_axes, grid, parse_axis, sample
from squeezesim.explore.sweep.execute import Cost, Progress, Store, cluster, local, run
from squeezesim.explore.sweep.nsga import Search, generations
from squeezesim.explore.sweep.plan import (
    CHUNK,
    Plan,
    Planned,
    feasible_mask,
    resolve_objectives,
    split_conditions,
)
from squeezesim.files import temporary_folder
from squeezesim.inputs import GivenAccelerator, GivenNetwork, accelerator_of, networks_of
from squeezesim.network.network import check_multiplies
from squeezesim.report.frame import results

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_LISTED = 100_000  # combinations that are enumerated to see whether a search would cover all of them


def plan(
    networks: Sequence[Network],
    accelerator: Accelerator,
    values: Mapping[str, str | Sequence[Value]],
    *,
    where: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    latin: bool = True,
    chunk: int = CHUNK,
) -> Plan:
    """Return the plan of a sweep without a search; see ``sweep``."""
    fused, axes = _fuse(networks), _parse_axes(values)
    known, limits = split_conditions(where, accelerator, values)
    designs = (
        grid(accelerator, axes) if samples is None else sample(accelerator, axes, samples, seed, latin=latin)
    )
    return Plan(fused, designs.where(known) if known else designs, chunk, limits)


def plan_search(
    networks: Sequence[Network],
    accelerator: Accelerator,
    values: Mapping[str, str | Sequence[Value]],
    count: int,
    *,
    where: Sequence[str] = (),
    objectives: Sequence[str] | None = None,
    seed: int = 0,
) -> Plan | Search:
    """Return a search of *count* designs, or a plan of all combinations where there are no more than that."""
    axes = _parse_axes(values)
    known, limits = split_conditions(where, accelerator, values)
    aims = resolve_objectives(objectives, accelerator, values)
    found = Search(_fuse(networks), accelerator, axes, count, aims, known, limits, seed)
    free = free_axes(axes)
    if any(axis.interval for axis in free) or prod(len(axis.values) for axis in free) > _LISTED:
        return found
    designs = grid(accelerator, axes).where(known)
    return found if len(designs) > count else Plan(found.networks, designs, limits=limits)


def _fuse(networks: Sequence[Network]) -> tuple[Network, ...]:
    for network in networks:
        check_multiplies(network)
    return tuple(network.fused for network in networks)


def _parse_axes(values: Mapping[str, str | Sequence[Value]]) -> tuple[Axis, ...]:
    return tuple(parse_axis(path, given) for path, given in values.items())


def _choose_runner(store: Store, of: Plan | Search, jobs: int, address: str | None) -> Cost:
    if isinstance(of, Search):
        return generations(of, store)
    return local(of, jobs) if address is None else cluster(of, address)


def filter_feasible(of: Plan | Search, table: pa.Table) -> pa.Table:
    """Return the feasible rows: those that meet the limits of *of*.

    Raises:
        UsageError: none does.
    """
    if not of.limits:
        return table
    kept = feasible_mask(table, of.base, of.limits)
    if not kept.any():
        raise UsageError(f"none of {table.num_rows:,} rows meets {' and '.join(map(repr, of.limits))}")
    return table.filter(kept)


def check_choice(samples: int | None, search: int | None) -> None:
    """Refuse *samples* beside a *search*."""
    if search is not None and samples is not None:
        raise ArgumentError("{samples} and {a search} both choose designs; allowed: one of them")


def ignore(*_: object) -> None:
    """Tell nobody."""


def run_sweep(
    networks: GivenNetwork | Iterable[GivenNetwork],
    accelerator: GivenAccelerator,
    values: Mapping[str, str | Sequence[Value]],
    *,
    where: Sequence[str] = (),
    samples: int | None = None,
    search: int | None = None,
    objectives: Sequence[str] | None = None,
    seed: int = 0,
    latin: bool = True,
    jobs: int = 1,
    address: str | None = None,
    place: Callable[[Planned], Path | None] = ignore,
    status: Callable[[str], None] = ignore,
    progress: Progress = ignore,
    say: Callable[[str], None] = warnings.warn,
) -> tuple[Plan | Search, pa.Table]:
    """Return the plan or search and all its rows, infeasible ones included; see ``sweep``.

    *address* is that of a Dask scheduler that runs chunks instead of processes here. *place* returns the folder of what
    was planned, None for a temporary one. *status* is told of stages, *progress* of rows, *say* of files that are
    costed again.
    """
    check_choice(samples, search)
    status("reading networks")
    several, base = networks_of(networks), accelerator_of(accelerator)
    status("making designs")
    of: Plan | Search
    if search is None:
        of = plan(several, base, values, where=where, samples=samples, seed=seed, latin=latin)
    else:
        of = plan_search(several, base, values, search, where=where, objectives=objectives, seed=seed)
    path = place(of)
    status("costing designs")
    if path is None and isinstance(of, Plan) and jobs == 1 and address is None:
        import pyarrow as pa

        return of, pa.concat_tables(of.table(number) for number in range(of.chunks))
    with temporary_folder() if path is None else nullcontext(path) as folder:
        store = Store(folder, of)
        run(store, _choose_runner(store, of, jobs, address), progress, say)
        status("reading results")
        return of, store.read()


def sweep(
    networks: GivenNetwork | Iterable[GivenNetwork],
    accelerator: GivenAccelerator,
    values: Mapping[str, str | Sequence[Value]],
    *,
    where: str | Sequence[str] = (),
    samples: int | None = None,
    search: int | None = None,
    objectives: str | Sequence[str] | None = None,
    seed: int = 0,
    latin: bool = True,
    path: str | PathLike[str] | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Return the totals of *networks* on *accelerator* with every combination of *values*, a row for each.

    Columns: ``design``, ``network``, the parameters of *values*, those of ``Report.totals``, ``bound`` and ``problem``.
    Accelerators are costed together; the numbers are those of ``simulate`` for each. A row in which values do not go
    together, or that the network does not fit, says so in ``problem``.

    Args:
        networks: one or several, or their names, as for ``load``.
        accelerator: what the parameters that do not vary are taken from, its name or the path of its file.
        values: parameter path → values, or a text: ``"8,16,32"``, ``"32:1024:x2"``, ``"array.cols"`` for what another
            parameter has, ``"4:64"`` for all between where designs are sampled.
        where: conditions that rows meet, on numeric parameters, ``array.pes`` and totals, such as
            ``"array.pes <= 1024"`` or ``"latency_us < 1.3ms"``. Designs that do not meet those on parameters alone are
            not costed; a search prefers designs that meet the others.
        samples: how many designs to draw instead of taking all combinations.
        search: how many designs to cost on the way to the Pareto front of *objectives*, by NSGA-II of Optuna.
        objectives: totals that *search* is for; more is better of ``utilization`` and ``efficiency``. By default
            latency and energy, the latter in µJ where all designs have that, else in MACs.
        seed: of the samples, or of the search.
        latin: draw a Latin hypercube, else each value by itself.
        path: a folder for the results as Parquet; what is there of the same sweep is not costed again, unless it was
            changed: then a warning says so.
        jobs: processes; a search has one.

    Raises:
        HardwareError: the accelerator or a parameter is unknown, or a value not allowed.
        ModelError: a network is unknown, or does not multiply.
        OutputError: *path* holds something else.
        UsageError: there are no networks or one is given twice, no values, too many designs or none; arguments do not
            go together, or a search needs Optuna.

    Example:
        >>> table = sweep("squeezenext_23", "os_32x32", {"array.rows": [16, 32]})
        >>> table["array.rows"].tolist()
        [16, 32]
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs; allowed: 1 or more")
    if search is None and objectives is not None:
        raise UsageError("objectives are those of a search; allowed: with search")
    if search is not None and jobs > 1:
        raise UsageError(f"a search costs a generation after the other; allowed: one job, not {jobs}")
    of, table = run_sweep(
        networks,
        accelerator,
        values,
        where=[where] if isinstance(where, str) and where else where,
        samples=samples,
        search=search,
        objectives=[objectives] if isinstance(objectives, str) else objectives,
        seed=seed,
        latin=latin,
        jobs=jobs,
        place=lambda _: None if path is None else Path(path),
    )
    frame: pd.DataFrame = (
        filter_feasible(of, table).replace_schema_metadata(None).to_pandas(use_threads=False)
    )
    return results(frame, f"{len(set(frame['design'])):,} designs on the base of {of.base.name}")
