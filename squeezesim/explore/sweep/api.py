"""sweep(networks, accelerator, values) → DataFrame: a row for each design and network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from squeezesim.errors import ModelError
from squeezesim.explore.sweep.designs import grid, sample
from squeezesim.explore.sweep.plan import CHUNK, Plan
from squeezesim.explore.sweep.run import local, run
from squeezesim.explore.sweep.store import Store
from squeezesim.explore.sweep.values import Value, parse_axis

if TYPE_CHECKING:
    import pandas as pd

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network


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
    """Return what a sweep runs; see ``sweep``."""
    for network in networks:
        if network.macs == 0:
            raise ModelError(
                f"network {network.name!r} has no MAC layer: nothing in it is a convolution or a matrix product"
            )
    axes = [parse_axis(path, given) for path, given in values.items()]
    designs = (
        grid(accelerator, axes) if samples is None else sample(accelerator, axes, samples, seed, latin=latin)
    )
    return Plan(
        tuple(network.fused for network in networks), designs.where(where) if where else designs, chunk
    )


def sweep(
    networks: Network | Sequence[Network],
    accelerator: Accelerator,
    values: Mapping[str, str | Sequence[Value]],
    *,
    where: str | Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
    latin: bool = True,
    path: str | PathLike[str] | None = None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Return the totals of *networks* on *accelerator* with every combination of *values*, a row for each.

    Accelerators are costed together; the numbers are those of ``simulate`` for each. A row in which values do not go
    together, or that the network does not fit, says so in ``problem``.

    Args:
        networks: one or several.
        accelerator: what the parameters that do not vary are taken from.
        values: parameter path → values, or a text: ``"8,16,32"``, ``"32:1024:x2"``, ``"array.cols"`` for what another
            parameter has, ``"4:64"`` for all between where designs are sampled.
        where: conditions on numeric parameters and ``array.pes``, such as ``"array.pes <= 1024"``.
        samples: how many designs to draw instead of taking all combinations.
        seed: of the samples.
        latin: draw a Latin hypercube, else each value by itself.
        path: a folder for the results as Parquet; what is there of the same sweep is not costed again.
        jobs: processes; more than one needs *path*.

    Raises:
        HardwareError: a parameter is unknown, or a value not allowed.
        ModelError: a network does not multiply.
        OutputError: *path* holds something else.
        UsageError: there are no values, too many designs or none.

    Example:
        >>> from squeezesim import Accelerator, load
        >>> table = sweep(load("squeezenext_23"), Accelerator.named("os_32x32"), {"array.rows": [16, 32]})
        >>> table["array.rows"].tolist()
        [16, 32]
    """
    from squeezesim.network import Network

    several = [networks] if isinstance(networks, Network) else list(networks)
    conditions = [where] if isinstance(where, str) else where
    planned = plan(several, accelerator, values, where=conditions, samples=samples, seed=seed, latin=latin)
    if path is None:
        import pyarrow as pa

        tables = [planned.table(number).replace_schema_metadata(None) for number in range(planned.chunks)]
        table = pa.concat_tables(tables)
    else:
        store = Store(Path(path), planned)
        run(store, local(jobs), lambda _done, _total: None)
        table = store.read().replace_schema_metadata(None)
    frame: pd.DataFrame = table.to_pandas()
    return frame
