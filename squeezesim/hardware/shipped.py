"""The accelerators that ship with the package, by name."""

from __future__ import annotations

from pathlib import Path

from squeezesim.errors import HardwareError, nearest
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.hardware.config import load

_PACKAGE = Path(__file__).resolve().parents[1]


def directory() -> Path:
    """Return the folder of the shipped files: inside the package in a wheel, beside it in an editable install."""
    inside = _PACKAGE / "hwconfigs"
    return inside if inside.is_dir() else _PACKAGE.parent / "hwconfigs"


def names() -> tuple[str, ...]:
    """Return the names of the shipped accelerators, sorted."""
    return tuple(sorted(path.stem for path in directory().glob("*.yaml")))


def named(name: str) -> Accelerator:
    """Return the shipped accelerator *name*; HardwareError with the nearest names where there is none."""
    if name not in names():
        raise HardwareError(
            f"unknown accelerator {name!r}; allowed: {', '.join(names())}{nearest(name, names())}"
        )
    return load(directory() / f"{name}.yaml")


def resolve(text: str) -> Accelerator:
    """Return the accelerator that *text* means: the name of a shipped one, otherwise the path of a YAML file.

    Errors:
        HardwareError: there is neither such a name nor such a file; or the file is wrong (with line and column).
    """
    if text in names():
        return named(text)
    if Path(text).exists():
        return load(text)
    stem = Path(text).stem or text
    hint = f"; did you mean {stem!r}?" if stem in names() else nearest(stem, names())
    raise HardwareError(
        f"no accelerator {text!r}, neither a file nor a shipped one; allowed: a YAML file or {', '.join(names())}{hint}"
    )
