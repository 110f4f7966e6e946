"""sensitivity(networks, accelerator) → DataFrame: the elasticities of latency and energy to each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from squeezesim.errors import UsageError
from squeezesim.explore.sensitivity.bandwidth import break_even
from squeezesim.explore.sensitivity.elasticities import Elasticity, elasticities
from squeezesim.explore.sensitivity.tables import Rank, ranks
from squeezesim.given import GivenAccelerator, GivenNetwork, accelerator_of, networks_of
from squeezesim.hardware.show import fixed_widths
from squeezesim.network.checks import check_multiplies

if TYPE_CHECKING:
    import pandas as pd

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

_COLUMNS = {"latency": "latency_elasticity", "energy": "energy_elasticity"}


@dataclass(frozen=True, slots=True)
class Study:
    """What an accelerator's parameters do to networks.

    Attributes:
        accelerator: its name.
        bandwidth_gb_s: the bandwidth that it has.
        elasticities: of each network and parameter.
        change: the share by which parameters are less and more.
        break_even_gb_s: for each network the bandwidth from which on DRAM does not set the pace of the most cycles.
        ranks: of the networks by energy under each table; none for a single network.
        kept: what stays as it is while rows and columns change, as a sentence; empty where all follows.
    """

    accelerator: str
    bandwidth_gb_s: float
    change: float
    elasticities: list[Elasticity]
    break_even_gb_s: dict[str, float | None]
    ranks: list[Rank]
    kept: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """Return the elasticities as rows of the table that ``sensitivity`` returns."""
        return [
            {_COLUMNS.get(name, name): value for name, value in asdict(entry).items()}
            for entry in self.elasticities
        ]


def study(networks: Sequence[Network], accelerator: Accelerator, change: float = 0.1) -> Study:
    """Return what the parameters of *accelerator* do to *networks*; see ``sensitivity``."""
    if not 0 < change < 1:
        raise UsageError(f"a change of {change:g}; allowed: a share above 0 and below 1, as 0.1")
    for network in networks:
        check_multiplies(network)
    return Study(
        accelerator=accelerator.name,
        bandwidth_gb_s=accelerator.memory.dram.bandwidth_gb_s,
        change=change,
        elasticities=[e for network in networks for e in elasticities(network, accelerator, change)],
        break_even_gb_s={network.name: break_even(network, accelerator) for network in networks},
        ranks=ranks(networks, accelerator) if len(networks) > 1 else [],
        kept=fixed_widths(accelerator, ("array.rows", "array.cols")),
    )


def sensitivity(
    networks: GivenNetwork | Iterable[GivenNetwork], accelerator: GivenAccelerator, change: float = 0.1
) -> pd.DataFrame:
    """Return by how many per cent latency and energy change for each per cent of a parameter, a row for each.

    elasticity = (log f(upper) − log f(lower)) / (log upper − log lower), between values *change* below and above the
    accelerator's, rounded to such as the parameter can have. Prices of accesses are ``energy.overrides``.

    The table's ``attrs`` hold the rest of what ``squeezesim sensitivity`` prints: ``break_even_gb_s`` by network, None
    where DRAM leads at any bandwidth; ``ranks``, a dictionary for each network under each energy table; ``kept``, what
    stays as it is while rows and columns change.

    Raises:
        HardwareError: a network does not fit, or the accelerator is unknown.
        ModelError: a network does not multiply, or is unknown.
        UsageError: *change* is not between 0 and 1; no network is given, or one twice.

    Example:
        >>> table = sensitivity("squeezenext_23", "squeezelerator_16x16")
        >>> bool(table.set_index("parameter").latency_elasticity["clock_mhz"] < 0)
        True
        >>> round(table.attrs["break_even_gb_s"]["squeezenext_23"], 1)
        15.9
    """
    import pandas as pd

    done = study(networks_of(networks), accelerator_of(accelerator), change)
    columns = [_COLUMNS.get(field.name, field.name) for field in fields(Elasticity)]
    table = pd.DataFrame(done.rows(), columns=columns)
    table.attrs |= {"break_even_gb_s": done.break_even_gb_s, "ranks": [asdict(rank) for rank in done.ranks]}
    table.attrs["kept"] = done.kept
    return table
