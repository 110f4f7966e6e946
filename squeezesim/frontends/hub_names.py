"""The names of other libraries' models, which are looked up without importing the library."""

from __future__ import annotations

from collections.abc import Collection


def is_named(library: str, name: str, names: Collection[str]) -> bool:
    """Return whether *name* is one of *library*'s *names*; timm's may be followed by a dot and the name of weights.

    Example:
        >>> is_named("timm", "vit_tiny_patch16_224.augreg_in21k", ["vit_tiny_patch16_224"])
        True
    """
    return name in names or (library == "timm" and name.partition(".")[0] in names)
