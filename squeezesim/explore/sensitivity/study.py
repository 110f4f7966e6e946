"""sensitivity(networks, accelerator) → DataFrame: the elasticities of latency and energy to each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, UsageError
from squeezesim.explore.sensitivity.bandwidth import break_even
from squeezesim.explore.sensitivity.elasticities import Elasticity, elasticities
from squeezesim.explore.sensitivity.tables import Rank, ranks

if TYPE_CHECKING:
    import pandas as pd

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network


@dataclass(frozen=True, slots=True)
class Study:
    """What an accelerator's parameters do to networks.

    Attributes:
        accelerator: its name.
        bandwidth_gb_s: the bandwidth that it has.
        elasticities: of each network and parameter.
        break_even_gb_s: for each network the bandwidth from which on it does not wait for DRAM most of the time.
        ranks: of the networks by energy under each table; none for a single network.
    """

    accelerator: str
    bandwidth_gb_s: float
    change: float
    elasticities: list[Elasticity]
    break_even_gb_s: dict[str, float | None]
    ranks: list[Rank]

    def rows(self) -> list[dict[str, Any]]:
        """Return the elasticities as rows of the table that ``sensitivity`` returns."""
        names = {"latency": "latency_elasticity", "energy": "energy_elasticity"}
        return [
            {names.get(name, name): value for name, value in asdict(entry).items()}
            for entry in self.elasticities
        ]


def study(networks: Sequence[Network], accelerator: Accelerator, change: float = 0.1) -> Study:
    """Return what the parameters of *accelerator* do to *networks*; see ``sensitivity``."""
    if not 0 < change < 1:
        raise UsageError(f"a change of {change:g}; allowed: a share above 0 and below 1, as 0.1")
    for network in networks:
        if network.macs == 0:
            raise ModelError(
                f"network {network.name!r} has no MAC layer: nothing in it is a convolution or a matrix product"
            )
    return Study(
        accelerator=accelerator.name,
        bandwidth_gb_s=accelerator.memory.dram.bandwidth_gb_s,
        change=change,
        elasticities=[e for network in networks for e in elasticities(network, accelerator, change)],
        break_even_gb_s={network.name: break_even(network, accelerator) for network in networks},
        ranks=ranks(networks, accelerator) if len(networks) > 1 else [],
    )


def sensitivity(
    networks: Network | Sequence[Network], accelerator: Accelerator, change: float = 0.1
) -> pd.DataFrame:
    """Return by how many per cent latency and energy change for each per cent of a parameter, a row for each.

    elasticity = (log f(upper) − log f(lower)) / (log upper − log lower), between values *change* below and above the
    accelerator's, rounded to such as the parameter can have. Prices of accesses are ``energy.overrides``.

    Raises:
        HardwareError: a network does not fit.
        ModelError: a network does not multiply.
        UsageError: *change* is not between 0 and 1.

    Example:
        >>> from squeezesim import Accelerator, load
        >>> table = sensitivity(load("squeezenext_23"), Accelerator.named("squeezelerator_16x16"))
        >>> bool(table.set_index("parameter").latency_elasticity["clock_mhz"] < 0)
        True
    """
    import pandas as pd

    from squeezesim.network import Network

    several = [networks] if isinstance(networks, Network) else list(networks)
    rows = study(several, accelerator, change).rows()
    names = {"latency": "latency_elasticity", "energy": "energy_elasticity"}
    columns = [names.get(field.name, field.name) for field in fields(Elasticity)]
    return pd.DataFrame(rows, columns=columns)
