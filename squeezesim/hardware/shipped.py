"""Where the shipped accelerator files are, and which there are."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

_PAPERS = ("eyeriss", "eyeriss_isca16", "squeezelerator_16x16", "squeezelerator_8x8")
_PROJECT = ("hybrid_32x32", "os_32x32", "ws_32x32")

GROUPS = {
    "paper": "machines of papers whose results this project reproduces",
    "project": "this project's own designs",
    "device": "accelerators that people have",
}
"""Groups of the shipped accelerators, in the order in which they are listed."""


def directory() -> Path:
    """Return the folder of the shipped files: in the package (wheel) or beside it (editable install)."""
    inside = _PACKAGE / "hwconfigs"
    return inside if inside.is_dir() else _PACKAGE.parent / "hwconfigs"


def names() -> tuple[str, ...]:
    """Return the names of the shipped accelerators, sorted."""
    return tuple(sorted(path.stem for path in directory().glob("*.yaml")))


def accelerators() -> list[str]:
    """Return the names of the shipped accelerators, sorted; each is an accelerator wherever one is wanted.

    Example:
        >>> "os_32x32" in accelerators()
        True
    """
    return list(names())


def group(name: str) -> str:
    """Return which of ``GROUPS`` the shipped accelerator *name* is in.

    Example:
        >>> group("os_32x32"), group("dpu_b4096")
        ('project', 'device')
    """
    return "paper" if name in _PAPERS else "project" if name in _PROJECT else "device"
