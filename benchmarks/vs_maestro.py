"""Beside MAESTRO in one run: MACs of every layer, and how long each takes for one.

MAESTRO is built from a checkout, by the system's C++ compiler into a folder that goes; it needs Boost's headers and
`boost_program_options` (Debian: `libboost-program-options-dev`, `libboost-filesystem-dev`). In the folder of this one:

    git clone https://github.com/maestro-project/maestro /tmp/maestro
    .venv/bin/python -m benchmarks.vs_maestro /tmp/maestro

Both cost the layers of `resnet50` on 256 PEs. The dataflow is what MAESTRO's own `Resnet50_kcp_ws.m` gives its layers.
Exit code 1 where the MACs of a layer differ, 2 where MAESTRO cannot be built.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import squeezesim as sq
from benchmarks.block import Block, duration, times
from benchmarks.measure import Times, repeated
from squeezesim.network.layer import Layer

NETWORK = "resnet50"
MAPPING = Path("data/mapping/Resnet50_kcp_ws.m")
HARDWARE = Path("data/hw/accelerator_1.m")
HARDWARE_HERE = "squeezelerator_16x16"
COLUMNS = (
    *("network", "layers", "MACs equal", "MAESTRO", "without its start", "a layer"),
    *("squeezesim", "a layer", "ratio"),
)
HOW = """\
MAESTRO at commit {commit}, built with -O2, and squeezesim on the layers of `{network}` that multiply, on 256 PEs, in
one run; medians. MAESTRO is a process that reads the layers and prints their costs; *without its start* is that time
less the time of a process with one layer. squeezesim is `sq.simulate` in one process on `{hardware}`, network and
accelerator loaded before. *Ratio* is of the times of a layer, MAESTRO's without its start to squeezesim's.

Not the same question: MAESTRO costs one mapping that its file gives, here the weight-stationary one of its own
`{mapping}`; squeezesim finds the dataflow, tiling and loop order of least latency, and costs the layers between
these too.
"""


class Found(NamedTuple):
    """What MAESTRO makes of the layers: MACs in their order; seconds of all of them, and of one."""

    macs: Sequence[int]
    every: Times
    one: Times


def main() -> int:
    parser = argparse.ArgumentParser(description="squeezesim beside MAESTRO")
    parser.add_argument("checkout", type=Path, help="a checkout of maestro-project/maestro")
    parser.add_argument("--json", action="store_true", help="print what python -m benchmarks reads")
    options = parser.parse_args()
    network = sq.load(NETWORK).fused
    layers = [layer for layer in network.layers if layer.kind == "mac"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = build(options.checkout, Path(folder))
            found = run(program, options.checkout, layers, Path(folder))
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"MAESTRO cannot be built and run: {error}; the script's first lines say how", file=sys.stderr
            )
            return 2
    on = sq.Accelerator.named(HARDWARE_HERE)
    ours = repeated(lambda: sq.simulate(network, on))
    how = HOW.format(
        commit=commit_of(options.checkout), network=NETWORK, hardware=HARDWARE_HERE, mapping=MAPPING
    )
    block = Block.of("Beside MAESTRO", COLUMNS, [row(found, [layer.macs for layer in layers], ours)], how)
    print(block.to_json() if options.json else block.text())
    return 0 if list(found.macs) == [layer.macs for layer in layers] else 1


def row(theirs: Found, macs: Sequence[int], ours: Times) -> list[str]:
    """The row of ``COLUMNS``."""
    count = len(macs)
    equal = sum(their == our for their, our in zip(theirs.macs, macs, strict=False))
    work = theirs.every.median - theirs.one.median
    each, own = work / (count - 1), ours.median / count
    return [
        NETWORK,
        str(count),
        f"{equal} of {count}",
        duration(theirs.every.median),
        duration(work),
        duration(each),
        duration(ours.median),
        duration(own),
        times(each / own),
    ]


def build(checkout: Path, folder: Path) -> Path:
    """Compile MAESTRO of *checkout* into *folder*, and return the program."""
    compiler = shutil.which("c++") or "g++"
    headers = [
        ".",
        "cost-model/src",
        "cost-model/include",
        *_below(checkout / "cost-model/include", checkout),
    ]
    sources = ("maestro-top.cpp", "cost-model/src/BASE_base-objects.cpp")
    libraries = (f"-lboost_{name}" for name in ("program_options", "filesystem", "system"))
    program = folder / "maestro"
    subprocess.run(
        [
            *(compiler, "-O2", "-w", "-std=c++17"),
            *(f"-I{checkout / header}" for header in headers),
            *(str(checkout / source) for source in sources),
            *("-o", str(program)),
            *libraries,
        ],
        check=True,
    )
    return program


def _below(folder: Path, root: Path) -> list[str]:
    return [str(each.relative_to(root)) for each in sorted(folder.iterdir()) if each.is_dir()]


def run(program: Path, checkout: Path, layers: Sequence[Layer], folder: Path) -> Found:
    """Run *program* on *layers*, and on the first of them alone."""
    dataflow = re.search(r"Dataflow \{.*?\n\t\t\}", (checkout / MAPPING).read_text(encoding="utf-8"), re.S)
    if dataflow is None:
        raise OSError(f"{MAPPING} has no dataflow")

    def command(which: Sequence[Layer], name: str) -> list[str]:
        file = folder / f"{name}.m"
        file.write_text(described(which, dataflow[0]), encoding="utf-8")
        return [
            str(program),
            f"--HW_file={checkout / HARDWARE}",
            f"--Mapping_file={file}",
            *("--print_res=true", "--print_res_csv_file=false", "--print_log_file=false"),
        ]

    def printed(words: Sequence[str]) -> str:
        return subprocess.run(words, check=True, capture_output=True, encoding="utf-8", cwd=folder).stdout

    every, one = command(layers, "every"), command(layers[:1], "one")
    macs = [int(number) for number in re.findall(r"^Num MACs: (\d+)$", printed(every), re.M)]
    return Found(macs, repeated(lambda: printed(every)), repeated(lambda: printed(one)))


def described(layers: Iterable[Layer], dataflow: str) -> str:
    """The *layers* in MAESTRO's notation, each with *dataflow*; inputs have their padding."""
    found = []
    for number, layer in enumerate(layers):
        y, x = (
            (size - 1) * stride + taps
            for size, stride, taps in (
                (layer.oy, layer.stride[0], layer.fy),
                (layer.ox, layer.stride[1], layer.fx),
            )
        )
        found.append(
            f"\tLayer L{number} {{\n\t\tType: CONV\n\t\tStride {{ X: {layer.stride[1]}, Y: {layer.stride[0]} }}\n"
            f"\t\tDimensions {{ K: {layer.k}, C: {layer.c}, R: {layer.fy}, S: {layer.fx}, Y: {y}, X: {x} }}\n"
            f"\t\t{dataflow}\n\t}}\n"
        )
    return "Network net {\n" + "".join(found) + "}\n"


def commit_of(checkout: Path) -> str:
    """The commit of *checkout*, or "unknown"."""
    done = subprocess.run(
        ["git", "-C", str(checkout), "rev-parse", "--short=10", "HEAD"],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
