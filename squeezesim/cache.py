"""What takes long to find, kept on disk: traced networks, and the names of the models of other libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from squeezesim.errors import OutputError, SqueezesimError
from squeezesim.files import atomic_write, read_bytes
from squeezesim.network import Network
from squeezesim.network.network import MAX_BYTES

_SOURCES = ("network", "frontends", "zoo")


def cache_folder() -> Path:
    """Return the folder of the cached networks, in the user's cache folder."""
    import platformdirs

    return platformdirs.user_cache_path("squeezesim") / "networks"


def cached(key: Mapping[str, object], build: Callable[[], Network]) -> Network:
    """Return the network that *build* makes, from the cache where *key* was built before.

    The key is completed by the versions of squeezesim and torch and by a hash of the sources that trace, so
    that a graph of other sources is never read. A file that is not what was written under its key is built
    again; a cache that cannot be written is passed over.
    """
    from squeezesim._version import __version__

    complete = {
        "squeezesim": __version__,
        "torch": installed_version("torch"),
        "sources": _sources_hash(),
        **key,
    }
    text = json.dumps(complete, sort_keys=True, default=str)
    path = cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.graph.json"
    with suppress(SqueezesimError):
        return Network.from_json(_kept(path, text))
    network = build()
    _keep(path, text, network.to_json())
    return network


def cached_names(package: str, build: Callable[[], Iterable[str]]) -> frozenset[str]:
    """Return the names that *build* gives, from the cache where they were asked for in this version of *package*.

    A file that is not what was written is built again; a cache that cannot be written is passed over.
    """
    key = f"{package}-{installed_version(package)}"
    path = cache_folder().with_name("names") / f"{key}.json"
    with suppress(SqueezesimError):
        return frozenset(json.loads(_kept(path, key)))
    names = sorted(build())
    _keep(path, key, json.dumps(names))
    return frozenset(names)


def _keep(path: Path, key: str, content: str) -> None:
    """Write *content* below a line with a digest of it and of its *key*."""
    data = content.encode()
    with suppress(OutputError):
        atomic_write(path, _digest(key, data) + b"\n" + data)


def _kept(path: Path, key: str) -> bytes:
    """Return what was written under *key*.

    Raises:
        SqueezesimError: nothing, or it was changed since.
    """
    digest, _, data = read_bytes(path, MAX_BYTES, "cached file").partition(b"\n")
    if digest != _digest(key, data):
        raise SqueezesimError(f"{str(path)!r} is not what was written")
    return data


def _digest(key: str, data: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + data).hexdigest().encode()


def installed_version(package: str) -> str:
    """Return the version of *package* as it was installed, which needs no import."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@cache
def _sources_hash() -> str:
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((package / folder).rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
