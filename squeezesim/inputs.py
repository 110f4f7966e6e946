"""What functions of Python are given: networks and accelerators, or what these are called."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath

from squeezesim.errors import UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Network

GivenNetwork = Network | str | PathLike[str]
GivenAccelerator = Accelerator | str | PathLike[str]


def network_of(given: GivenNetwork) -> Network:
    """Return the network that *given* is, or that ``sq.load`` makes of its name.

    Raises:
        ModelError: it is unknown or cannot run.
    """
    return given if isinstance(given, Network) else load(given)


def networks_of(given: GivenNetwork | Iterable[GivenNetwork]) -> list[Network]:
    """Return the networks that *given* are, or that ``sq.load`` makes of their names.

    Raises:
        UsageError: there is none, or one is given twice.
        ModelError: a network is unknown or cannot run.
    """
    items = [given] if isinstance(given, (Network, str, PathLike)) else list(given)
    networks = list(map(network_of, items))
    if not networks:
        raise UsageError("no network is given; allowed: at least one")
    names = [network.name for network in networks]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise UsageError(f"network {twice!r} is given twice; allowed: once")
    return networks


def accelerator_of(given: GivenAccelerator) -> Accelerator:
    """Return the accelerator that *given* is, or that is called so: a shipped name or the path of a file.

    Raises:
        HardwareError: it is unknown, or its file is wrong.
    """
    return given if isinstance(given, Accelerator) else Accelerator.resolve(fspath(given))
