"""A network where an expression ends in it: one screen of text in a terminal, a table with bars in a notebook."""

from __future__ import annotations

from collections import Counter

from squeezesim.markup import Part, bar, block, table
from squeezesim.network.graph import Network, counts

MOST = 16
"""Lines below the heading."""
_MACS, _PARAMS = "#4477AA", "#CC6677"  # of Paul Tol's "bright" and "muted" schemes


def screen(network: Network) -> str:
    """Return *network* on one screen: its text, with what is beyond the first lines counted."""
    lines = str(network).splitlines()
    hidden = len(lines) - 1 - MOST
    return "\n".join([*lines[: MOST + 1], f"  … {hidden} more"] if hidden > 1 else lines)


def html(network: Network) -> str:
    """Return *network* as HTML: its stages with bars of their part of the MACs and of the params."""
    rows = []
    for stage in network.stages[:MOST] or ("",):
        layers = [layer for layer in network.layers if layer.stage == stage]
        kinds = Counter(layer.kind for layer in layers)
        macs, params = sum(layer.macs for layer in layers), sum(layer.params for layer in layers)
        bars = [
            bar([Part(part / whole if whole else 0, colour, f"{part:,} of {whole:,} {what}")], width=100)
            for part, whole, colour, what in (
                (macs, network.macs, _MACS, "MACs"),
                (params, network.params, _PARAMS, "params"),
            )
        ]
        rows.append(
            (stage or "–", str(len(layers)), str(kinds["mac"]), f"{macs:,}", bars[0], f"{params:,}", bars[1])
        )
    headers = ("stage", "layers", "with MACs", "MACs", "part of all", "params", "part of all")
    shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in network.inputs)
    sizes = counts(len(network.layers), network.params, network.macs)
    hidden = len(network.stages) - MOST
    notes = [f"… {hidden} more stages"] if hidden > 0 else []
    unknown = [f"not modelled: {item.op} ×{item.count}" for item in network.unmodelled[:MOST]]
    return block(
        f"{network.name} ({shapes}): {sizes}", table(headers, rows), *notes, *unknown, *network.notes
    )
