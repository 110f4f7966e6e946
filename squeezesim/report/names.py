"""Names of layers in sentences."""

from __future__ import annotations

import re

from squeezesim.network.checks import show
from squeezesim.report import units


def display_name(name: str) -> str:
    """Return *name* as a sentence says it: as it is where that reads like a name, else as a layer's.

    Example:
        >>> display_name("stage1.conv"), display_name("5"), display_name("a b")
        ('stage1.conv', 'layer 5', "layer 'a b'")
    """
    if re.fullmatch(r"[\w./:-]+", name):
        return f"layer {name}" if re.fullmatch(r"[\W\d_]+", name) else name
    return f"layer {show(name)}"


def display_names(name: str, count: int) -> str:
    """Return what a sentence calls *count* layers of one shape: one by its name, the others by their number."""
    return display_name(name) + (f" and {units.plural(count - 1, 'layer')} of its shape" if count > 1 else "")
