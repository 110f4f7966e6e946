"""What takes long to find, kept on disk: traced networks, and the names of the models of other libraries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from squeezesim.errors import ModelError, OutputError
from squeezesim.files import atomic_write
from squeezesim.network import Network

_SOURCES = ("network", "frontends", "zoo")


def cache_folder() -> Path:
    """Return the folder of the cached networks, in the user's cache folder."""
    import platformdirs

    return platformdirs.user_cache_path("squeezesim") / "networks"


def cached(key: Mapping[str, object], build: Callable[[], Network]) -> Network:
    """Return the network that *build* makes, from the cache where *key* was built before.

    The key is completed by the versions of squeezesim and torch and by a hash of the sources that trace, so
    that a graph of other sources is never read. A broken file is built again; a cache that cannot be
    written is passed over.
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
    with suppress(ModelError, OSError):
        return Network.load(path)
    network = build()
    with suppress(OutputError, OSError):
        network.save(path)
    return network


def cached_names(package: str, build: Callable[[], Iterable[str]]) -> frozenset[str]:
    """Return the names that *build* gives, from the cache where they were asked for in this version of *package*.

    A broken file is built again; a cache that cannot be written is passed over.
    """
    path = cache_folder().with_name("names") / f"{package}-{installed_version(package)}.json"
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return frozenset(found)
    names = sorted(build())
    with suppress(OutputError, OSError):
        atomic_write(path, json.dumps(names))
    return frozenset(names)


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
