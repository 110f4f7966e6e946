"""Writes the traced graphs of the built-in networks: ``python -m squeezesim.zoo.build``."""

from __future__ import annotations

from dataclasses import replace

from squeezesim.network import Network
from squeezesim.zoo.records import Entry
from squeezesim.zoo.registry import Spec, build, catalogue


def trace_entry(entry: Entry) -> Network:
    """Return the network of *entry* at its own input, traced anew."""
    from squeezesim.frontends.torch.trace import trace

    module = build(Spec(entry, {}), device="meta")
    return replace(trace(module, (1, *entry.input), name=entry.name), source="built-in")


def main() -> None:
    """Write one file for each built-in network."""
    for entry in catalogue().values():
        trace_entry(entry).save(entry.graph)


if __name__ == "__main__":
    main()
