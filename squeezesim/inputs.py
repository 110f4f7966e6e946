"""What functions of Python are given: networks and accelerators, or what these are called."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath

from squeezesim.errors import UsageError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.network.checks import show

GivenNetwork = Network | str | PathLike[str]
GivenAccelerator = Accelerator | str | PathLike[str]


_NETWORKS = "a Network, or the name or path of one"
_ACCELERATORS = "an Accelerator, a name of squeezesim hw list or the path of a YAML file"


def network_of(given: GivenNetwork) -> Network:
    """Return the network that *given* is, or that ``sq.load`` makes of its name.

    Raises:
        UsageError: it is neither.
        ModelError: it is unknown or cannot run.
    """
    if isinstance(given, Network):
        return given
    if not isinstance(given, (str, PathLike)):
        raise _refused("network", given, _NETWORKS)
    return load(given)


def networks_of(given: GivenNetwork | Iterable[GivenNetwork]) -> list[Network]:
    """Return the networks that *given* are, or that ``sq.load`` makes of their names.

    Raises:
        UsageError: there is none, one is given twice, or one is no network and no name.
        ModelError: a network is unknown or cannot run.
    """
    if not isinstance(given, (Network, str, PathLike, Iterable)):
        raise _refused("network", given, f"{_NETWORKS}, or a list of these")
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
        UsageError: it is neither.
        HardwareError: it is unknown, or its file is wrong.
    """
    if isinstance(given, Accelerator):
        return given
    if not isinstance(given, (str, PathLike)):
        raise _refused("accelerator", given, _ACCELERATORS)
    return Accelerator.resolve(fspath(given))


def accelerators_of(given: GivenAccelerator | Iterable[GivenAccelerator]) -> list[Accelerator]:
    """Return the accelerators that *given* are, one or several, or that are called so.

    Raises:
        UsageError: one is neither.
        HardwareError: one is unknown, or its file is wrong.
    """
    if isinstance(given, (Accelerator, str, PathLike)) or not isinstance(given, Iterable):
        given = [given]
    return list(map(accelerator_of, given))


def _refused(what: str, given: object, allowed: str) -> UsageError:
    return UsageError(f"{what} {show(given)}; allowed: {allowed}")
