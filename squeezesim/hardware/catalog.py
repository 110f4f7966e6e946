"""The accelerators that are shipped, by name, and files that mean one."""

from __future__ import annotations

from pathlib import Path

from squeezesim.errors import HardwareError, nearest
from squeezesim.hardware import scalesim_cfg
from squeezesim.hardware.config import Record, load, load_shipped
from squeezesim.hardware.energy import energy_costs
from squeezesim.hardware.shipped import directory, names

__all__ = ["check", "directory", "named", "names", "resolve"]


def named(name: str, kind: type[Record]) -> Record:
    """Return the shipped accelerator *name*; HardwareError with the nearest names where there is none."""
    if name not in names():
        raise HardwareError(
            f"unknown accelerator {name!r}; allowed: {', '.join(names())}{nearest(name, names())}"
        )
    return load_shipped(name, kind)


def resolve(text: str, kind: type[Record]) -> Record:
    """Return the accelerator that *text* means: the name of a shipped one, or the path of a YAML or SCALE-Sim file.

    Errors:
        HardwareError: neither such a name nor such a file exists, or the file is wrong (line and column).
    """
    if text in names():
        return named(text, kind)
    if text and _exists(text):
        return scalesim_cfg.load(text, kind) if Path(text).suffix.lower() == ".cfg" else load(text, kind)
    stem = Path(text).stem or text
    hint = f"; did you mean {stem!r}?" if stem in names() else nearest(stem, names())
    known = ", ".join(names())
    raise HardwareError(
        f"no accelerator {text!r}, neither a file nor a name; allowed: a YAML file, a SCALE-Sim .cfg or {known}{hint}"
    )


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name too long, a zero byte
        return False


def check(text: str, kind: type[Record]) -> Record:
    """Return the accelerator that *text* means after looking up its energies, as a simulation would.

    Errors:
        HardwareError: as ``resolve``; or the energy table does not reach the size of the buffer.
    """
    accelerator = resolve(text, kind)
    energy_costs(accelerator)
    return accelerator
