"""The machine that is measured, and the versions of what runs on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("squeezesim", "numpy", "pandas", "pyarrow", "torch", "torchvision")


def machine() -> dict[str, str]:
    """Return what a reader needs to place the numbers, by label; nothing that names the host."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()}, {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores, over a minute",
        "Python": platform.python_version(),
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    """The processor as it calls itself; virtual machines often name a family only."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
    fields = dict(line.replace("\t", "").split(":", 1) for line in reversed(lines) if ":" in line)
    name = fields.get("model name", platform.processor()).strip()
    virtual = ", a virtual machine" if "hypervisor" in fields.get("flags", "").split() else ""
    return f"{name or 'unknown'}{virtual}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
