"""Commands from their start to their end: cold, warm, and their memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.block import Block, times
from benchmarks.measure import Run, Times, command

PROFILE = ("profile", "squeezenext_23", "--hw", "os_32x32", "--format", "csv")
TRACED = ("profile", "torchvision:regnet_y_400mf", "--hw", "os_32x32", "--format", "csv")
ALLOCATE = (
    *("allocate", "squeezenext_23_v5", "--blocks", "21"),
    *("--hw", "squeezelerator_16x16", "--hw", "squeezelerator_8x8", "--format", "csv", "--top", "5"),
)
COLUMNS = ("command", "time", "range", "to import numpy", "peak memory")
HOW = """\
Each command is a process of its own in an empty folder, from its start to its end. *First ever* has no compiled
Python files, neither squeezesim's nor a library's (an empty `PYTHONPYCACHEPREFIX`), and no traced networks; the
files may still be in the system's own cache. *Traced* and *first* begin with no traced networks, *again* with those
of a run before. Medians of {few} runs that begin so, and of {many} of the others. Memory is the resident set of the
largest process at its peak (`getrusage`), with Python and its libraries: no command can have less than `import
numpy`.
"""


class Case(NamedTuple):
    """A command to measure, and whether it may use what a run before left: traced networks, compiled files."""

    label: str
    arguments: tuple[str, ...]
    traced: bool = True
    compiled: bool = True

    def run(self, folder: Path) -> Run:
        """Run it in *folder*."""
        own = {} if self.compiled else {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
        return command(self.arguments, folder, own)

    def runs(self, count: int) -> list[Run]:
        """Run it *count* times."""
        if self.traced and self.compiled:
            with tempfile.TemporaryDirectory() as name:
                return [self.run(Path(name)) for _ in range(count + 1)][1:]
        found = []
        for _ in range(count):
            with tempfile.TemporaryDirectory() as name:
                found.append(self.run(Path(name)))
        return found


UNIT = Case('python -c "import numpy"', ("-c", "import numpy"))
CASES = tuple(
    case._replace(arguments=("-m", "squeezesim", *case.arguments))
    for case in (
        Case("--help", ("--help",)),
        Case("profile squeezenext_23: first ever", PROFILE, traced=False, compiled=False),
        Case("profile squeezenext_23: again", PROFILE),
        Case("profile squeezenext_23: again, with its files and figure", PROFILE[:4]),
        Case("profile torchvision:regnet_y_400mf: traced", TRACED, traced=False),
        Case("profile torchvision:regnet_y_400mf: again", TRACED),
        Case("allocate, 1,140 allocations × 2 accelerators: first", ALLOCATE, traced=False),
        Case("allocate, 1,140 allocations × 2 accelerators: again", ALLOCATE),
    )
)


def measure(few: int = 3, many: int = 9) -> list[Block]:
    """Measure ``CASES``, those that begin cold *few* times and the others *many* times."""
    found = {case: case.runs(many if case.traced else few) for case in (UNIT, *CASES)}
    spent = {case: Times.of([run.seconds for run in runs]) for case, runs in found.items()}
    cells = [
        [
            case.label,
            str(spent[case]),
            spent[case].range,
            times(spent[case].median / spent[UNIT].median),
            f"{max(run.mib for run in runs):.0f} MiB",
        ]
        for case, runs in found.items()
    ]
    return [Block.of("Commands", COLUMNS, cells, HOW.format(few=few, many=many))]
