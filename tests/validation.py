"""Write what validation commits: docs/validation.md, errors beside the names of ``hw list``, the figure of the devices.

python -m tests.validation
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from squeezesim.files import atomic_write
from squeezesim.papers.devices.check import DEVICES, Compared, compared
from squeezesim.papers.devices.errors import FILE, Error, mean_of, written
from squeezesim.papers.devices.figure import figure
from squeezesim.reference.record import Check
from squeezesim.report.figures.style import render
from squeezesim.validate import SOURCES, markdown, run, verdict

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "img" / "devices.png"
PRINTED = {
    ("squeezelerator_16x16", "relative times"): ("squeezenext", "relative time, 16×16 PEs"),
    ("squeezelerator_8x8", "relative times"): ("squeezenext", "relative time, 8×8 PEs"),
    ("eyeriss", "layers"): ("eyeriss", "processing latency"),
    ("eyeriss_isca16", "energies"): ("eyeriss", "energy, DRAM"),
}
"""Whose printed figures stand beside the machines of papers: a check, and one of its quantities."""


def errors_of(found: Iterable[Compared], checks: Sequence[Check]) -> list[Error]:
    """The mean errors of the accelerators of devices, and of those of papers whose checks are among *checks*."""
    errors = []
    for (accelerator, rows), (name, quantity) in PRINTED.items():
        of_check = (row for check in checks if check.name == name for row in check.rows)
        if ours := [row.error for row in of_check if row.quantity == quantity]:
            errors.append(mean_of(accelerator, rows, ours))
    for each in found:
        for group in ("networks", "calibrated networks", "layers", "points"):
            rows = each.of(group)
            for accelerator in dict.fromkeys(one.item.accelerator for one in rows):
                own = [one.error for one in rows if one.item.accelerator == accelerator]
                what = "networks" if group == "points" else group
                errors.append(mean_of(accelerator, what.removesuffix("s") if len(own) == 1 else what, own))
    return errors


def main() -> int:
    checks = [run(name) for name in SOURCES]
    atomic_write(ROOT / "docs" / "validation.md", markdown(checks))
    found = [compared(device) for device in DEVICES]
    data = ROOT / "squeezesim" / "papers" / "data"
    atomic_write(data.joinpath(*FILE.split("/")), written(errors_of(found, checks)))
    PICTURE.write_bytes(render(lambda: figure(found), "png"))
    for check in checks:
        print(verdict(check))
    return 0 if all(check.holds for check in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
