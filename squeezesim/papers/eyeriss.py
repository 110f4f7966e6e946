"""Eyeriss: the chip's and its papers' figures, ours beside them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from statistics import mean
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from squeezesim.cost.costs import cause_named
from squeezesim.cost.dataflow import Tile as ArrayTile
from squeezesim.cost.dataflow.rs import mapping
from squeezesim.cost.dataflow.rs_passes import filter_parts
from squeezesim.cost.evaluate import evaluate
from squeezesim.cost.given import LayerMapping
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import workload_of
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer
from squeezesim.reference.array_case import Case, closed_form, simulated, whole
from squeezesim.reference.record import Bound, Check, Row, Table
from squeezesim.report import units

JSSC = "Chen, Krishna, Emer, Sze: Eyeriss, JSSC 52(1), 2017"
ISCA = "Chen, Emer, Sze: Eyeriss, ISCA 2016"

Tile = tuple[int, int, int, int, int, int]
Figures = Mapping[str, float]


def figures(name: str) -> dict[str, Figures]:
    """Return the published numbers of a file in ``data/`` by layer.

    Example:
        >>> figures("eyeriss_alexnet")["CONV2"]["active_pes"]
        135.0
    """
    text = (files("squeezesim.papers") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return {
        row["layer"]: {key: float(value) for key, value in row.items() if key != "layer"}
        for row in csv.DictReader(text.splitlines())
    }


def _layer(name: str, n: int, c: int, k: int, out: int, taps: int, stride: int = 1, groups: int = 1) -> Layer:
    """A layer as the papers define it: the padding is part of the input."""
    extent = (out - 1) * stride + taps
    return Layer.conv(
        name,
        n=n,
        c=c,
        k=k,
        oy=out,
        ox=out,
        fy=taps,
        fx=taps,
        stride=stride,
        groups=groups,
        padding=0,
        iy=extent,
        ix=extent,
    )


def alexnet(batch: int) -> list[Layer]:
    """The convolutions of AlexNet."""
    return [
        _layer("CONV1", batch, 3, 96, 55, 11, stride=4),
        _layer("CONV2", batch, 96, 256, 27, 5, groups=2),
        _layer("CONV3", batch, 256, 384, 13, 3),
        _layer("CONV4", batch, 384, 384, 13, 3, groups=2),
        _layer("CONV5", batch, 384, 256, 13, 3, groups=2),
    ]


def alexnet_fc(batch: int) -> list[Layer]:
    """The fully connected layers of AlexNet, the first as the convolution that it is."""
    return [
        _layer("FC1", batch, 256, 4096, 1, 6),
        _layer("FC2", batch, 4096, 4096, 1, 1),
        _layer("FC3", batch, 4096, 1000, 1, 1),
    ]


def vgg16(batch: int) -> list[Layer]:
    """The convolutions of VGG-16."""
    blocks = ((64, 224, 2), (128, 112, 2), (256, 56, 3), (512, 28, 3), (512, 14, 3))
    layers, c = [], 3
    for block, (k, out, count) in enumerate(blocks, start=1):
        for number in range(1, count + 1):
            layers.append(_layer(f"CONV{block}-{number}", batch, c, k, out, 3))
            c = k
    return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What ours say of one layer."""

    layer: Layer
    processing_ms: float  # the array, without waiting for DRAM
    total_ms: float
    tile: Tile
    split: tuple[int, int, int, int, int]  # e, p, q, r, t
    active_pes: int
    dram_bytes: Figures  # by operand
    energy: Figures  # by level


def run(
    layers: Sequence[Layer], accelerator: Accelerator, tiles: Mapping[int, Tile] = MappingProxyType({})
) -> list[Ran]:
    """Cost the layers, each cut into those of *tiles* that have its place, or into what the search finds."""
    mappings = {number: LayerMapping("rs", "PKC", tile) for number, tile in tiles.items()}
    costs, machine = evaluate(layers, [accelerator], mappings), Machine.of(accelerator)
    waiting = [place for place, name in enumerate(costs.causes) if cause_named(name).waits]
    results = []
    for number, layer in enumerate(layers):
        cycles = int(costs.cycles[0, number])
        waited = int(costs.losses[0, number, waiting].sum()) // machine.pes
        n, y, x, g, k, c = costs.tile[0, number].tolist()
        split, active = _mapped(layer, (n, y, x, g, k, c), machine)
        results.append(
            Ran(
                layer=layer,
                processing_ms=(cycles - waited) / machine.clock_hz * 1e3,
                total_ms=cycles / machine.clock_hz * 1e3,
                tile=(n, y, x, g, k, c),
                split=split,
                active_pes=active,
                dram_bytes=dict(zip(costs.operands, costs.dram_bytes[0, number].tolist(), strict=True)),
                energy=dict(zip(costs.levels, costs.energy[0, number].tolist(), strict=True)),
            )
        )
    return results


def _mapped(layer: Layer, tile: Tile, machine: Machine) -> tuple[tuple[int, int, int, int, int], int]:
    """(e, p, q, r, t) of a full tile, and the PEs that its passes use."""
    problem, sizes = workload_of([layer], machine)[0], ArrayTile(*(np.array([size]) for size in tile))
    chosen = mapping(problem, sizes, machine)
    e, p, q, r, t = (int(value[0]) for value in chosen[:5])
    return (e, p, q, r, t), int(filter_parts(problem, machine).rows.size[0]) * e * r * t


_IMAGES, _FILTERS, _CHANNELS, _ROWS, _COLUMNS = 2, 16, 1, 3, 27


class Counted(NamedTuple):
    """Register accesses for each MAC, and whether every number of the simulated array is that of the closed forms."""

    name: str
    accesses: float
    agrees: bool


def scaled_down(layer: Layer) -> Layer:
    """A part of a layer with its filter, its stride and, up to 27, its columns: the filters of one PE, few rows.

    Example:
        >>> scaled_down(alexnet(16)[2]).macs
        11232
    """
    rows, columns = min(layer.oy, _ROWS), min(layer.ox, _COLUMNS)
    iy, ix = (rows - 1) * layer.stride[0] + layer.fy, (columns - 1) * layer.stride[1] + layer.fx
    weights = _FILTERS * _CHANNELS * layer.fy * layer.fx
    return replace(
        layer,
        n=_IMAGES,
        g=1,
        k=_FILTERS,
        c=_CHANNELS,
        oy=rows,
        ox=columns,
        iy=iy,
        ix=ix,
        input_elements=_IMAGES * _CHANNELS * iy * ix,
        weight_elements=weights,
        output_elements=_IMAGES * _FILTERS * rows * columns,
        params=weights,
    )


def counted(accelerator: Accelerator) -> Iterator[Counted]:
    """What the simulated array counts for each convolution, scaled down, under the mapping that is found for it."""
    machine = Machine.of(accelerator)
    for layer in map(scaled_down, alexnet(16)):
        case = Case(layer, whole(layer, machine), machine, "rs", resumed=False, seed=0)
        right, counts = simulated(case)
        accesses = counts.register_inputs + counts.register_weights + counts.register_psums
        formed = closed_form(case)
        agrees = right and all(getattr(counts, name) == value for name, value in formed.items())
        yield Counted(layer.name, accesses / layer.macs, agrees)


_LATENCY_AIM, _DRAM_AIM, _REGISTERS_AIM = 0.05, 0.10, 0.03
_METHOD = (
    "The chip is hwconfigs/eyeriss.yaml, the study hwconfigs/eyeriss_isca16.yaml; both run the dataflow rs, whose "
    "tiling and mapping are searched for each layer. As in the papers, padding is part of a layer's input. Processing "
    "latency is the time of the array, without waiting for DRAM; active PEs are those of a full pass. The chip codes "
    "inputs (but the first layer's) and outputs by run length, three pairs of a 5-bit run of zeros and a 16-bit value "
    "in 64 bits: DRAM traffic is ours with (1 − zeros) · 64/48 of those bytes, the zeros of an output being those "
    "printed for the next layer's input. In the study a register access costs as much as a MAC: the registers' energy "
    "by that of the ALU is accesses for each MAC. The array simulated cycle by cycle counts them on layers with the "
    "filter, stride and columns of AlexNet's (at most 27), but 16 filters, one channel, three rows and two images."
)
# Tiles (n, y, x, g, k, c) of VGG-16 that the printed figures point to: the printed active PEs are 3 · 13 or 3 · 14 in
# four sets; 2 / (q·r) buffer accesses for each output and channel give the channels of a pass; then the filters are the
# most (a power of two) whose partial sums fit 100 kB beside the inputs.
_VGG16_TILES: tuple[Tile, ...] = (
    *[(1, 13, 112, 1, 32, 1)] * 4,
    *[(1, 13, 56, 1, 64, 2)] * 3,
    *[(3, 14, 28, 1, 32, 4)] * 3,
    *[(3, 14, 14, 1, 64, 8)] * 3,
)


def check() -> Check:
    """Return the chip's and the study's figures beside ours."""
    chip, study = Accelerator.named("eyeriss"), Accelerator.named("eyeriss_isca16")
    ran, vgg = run(alexnet(4), chip), run(vgg16(3), chip)
    energies = run([*alexnet(16), *alexnet_fc(16)], study)
    latency = _rows(ran, "eyeriss_alexnet", "processing latency", "processing_ms", "ms")
    active = _rows(ran, "eyeriss_alexnet", "active PEs", "active_pes", "PEs")
    given = _given_tiles(chip)
    registers, dram = (
        _energy_rows(energies, quantity, level)
        for quantity, level in (("register file", "register_file"), ("DRAM", "dram"))
    )
    convolutions = registers[:5]
    simulated = list(counted(study))
    accesses = tuple(_register_accesses(simulated))
    return Check(
        name="eyeriss",
        title="Eyeriss: AlexNet and VGG-16 on the chip, energies of the ISCA 2016 study",
        source=f"{JSSC}, Tables V and VI; {ISCA}, figure 10",
        method=_METHOD,
        rows=(
            *latency,
            *_rows(ran, "eyeriss_alexnet", "total latency", "total_ms", "ms"),
            *active,
            *_coded_traffic(ran),
            *_rows(vgg, "eyeriss_vgg16", "processing latency, VGG-16", "processing_ms", "ms"),
            *given,
            *_energy_rows(energies, "ALU", "mac"),
            *registers,
            *accesses,
            *dram,
        ),
        bounds=(
            Bound("AlexNet on the chip: mean error of the processing latency", _mean(latency), _LATENCY_AIM),
            Bound("AlexNet on the chip: largest error of the active PEs", _largest(active), 0.0),
            Bound(
                "VGG-16 on the chip, its tiles: largest error of the processing latency",
                _largest(given),
                _LATENCY_AIM,
            ),
            Bound(
                "study: largest error of the register file's energy, convolutions",
                _largest(convolutions),
                _REGISTERS_AIM,
            ),
            Bound(
                "study: largest error of the register accesses that the simulated array counts",
                _largest(accesses),
                _REGISTERS_AIM,
            ),
            Bound(
                "study: scaled-down layers on which the simulated array differs from the closed forms",
                sum(not one.agrees for one in simulated),
                0,
            ),
            Bound("study: largest error of DRAM's energy", _largest(dram), _DRAM_AIM),
        ),
        notes=_notes(),
        tables=(_mappings(ran), _objectives(chip)),
    )


def _rows(ran: Sequence[Ran], name: str, quantity: str, key: str, unit: str) -> tuple[Row, ...]:
    published = figures(name)
    return tuple(
        Row(one.layer.name, quantity, published[one.layer.name][key], float(getattr(one, key)), unit)
        for one in ran
    )


def _energy_rows(ran: Sequence[Ran], quantity: str, level: str) -> tuple[Row, ...]:
    published = figures("eyeriss_isca16")
    key = {"mac": "alu"}.get(level, level)
    return tuple(
        Row(
            one.layer.name,
            f"energy, {quantity}",
            published[one.layer.name][key],
            one.energy[level] / 1e9,
            "10^9 MACs",
        )
        for one in ran
    )


def _register_accesses(simulated: Iterable[Counted]) -> Iterable[Row]:
    published = figures("eyeriss_isca16")
    for one in simulated:
        figure = published[one.name]
        quantity = "register accesses for each MAC, simulated"
        yield Row(one.name, quantity, figure["register_file"] / figure["alu"], one.accesses, "accesses")


def _given_tiles(chip: Accelerator) -> tuple[Row, ...]:
    ran = run(vgg16(3), chip, dict(enumerate(_VGG16_TILES)))
    return _rows(
        ran, "eyeriss_vgg16", "processing latency, VGG-16 in the chip's tiles", "processing_ms", "ms"
    )


def _coded_traffic(ran: Sequence[Ran]) -> Iterable[Row]:
    published = figures("eyeriss_alexnet")
    zeros = [published[one.layer.name]["input_zeros"] for one in ran]
    for number, one in enumerate(ran):
        coded_in = 1.0 if number == 0 else _coded(zeros[number])
        coded_out = _coded(zeros[min(number + 1, len(zeros) - 1)])
        moved = one.dram_bytes["inputs"] * coded_in + one.dram_bytes["weights"]
        moved += one.dram_bytes["outputs"] * coded_out + one.dram_bytes["psums"]
        yield Row(one.layer.name, "DRAM traffic", published[one.layer.name]["dram_mb"], moved / 1e6, "MB")


def _coded(zeros: float) -> float:
    """Bytes of run-length coded values for each byte of them."""
    return (1 - zeros) * 64 / 48


def _mean(rows: Iterable[Row]) -> float:
    return mean(abs(row.error) for row in rows)


def _largest(rows: Iterable[Row]) -> float:
    return max(abs(row.error) for row in rows)


def _mappings(ran: Sequence[Ran]) -> Table:
    published = {
        "CONV1": "96, 1, 7, 16, 1, 1, 2",
        "CONV2": "64, 1, 27, 16, 2, 1, 1",
        "CONV3": "64, 4, 13, 16, 4, 1, 4",
        "CONV4": "64, 4, 13, 16, 3, 2, 2",
        "CONV5": "64, 4, 13, 16, 3, 2, 2",
    }
    cells = []
    for one in ran:
        n, _, _, _, k, _ = one.tile
        ours = (k, n, *one.split)
        cells.append((one.layer.name, published[one.layer.name], ", ".join(map(str, ours))))
    return Table(
        "Mappings of AlexNet: m, n, e, p, q, r, t",
        ("layer", "JSSC 2017", "found"),
        tuple(cells),
        "m filters and n images of a tile, e output rows; p filters and q channels in a PE, r · t PE sets.",
    )


def _objectives(chip: Accelerator) -> Table:
    published = figures("eyeriss_alexnet")
    cells = []
    for objective, slack in (
        ("latency", 0.0),
        ("latency", 0.05),
        ("latency", 0.1),
        ("edp", 0.0),
        ("energy", 0.0),
    ):
        mapper = {"mapper.objective": objective, "mapper.latency_slack": slack}
        ran = run(alexnet(4), chip.replace(mapper))
        errors = [one.processing_ms / published[one.layer.name]["processing_ms"] - 1 for one in ran]
        cells.append(
            (
                objective,
                f"{slack:.0%}",
                *(f"{units.signed(error)}%" for error in errors),
                f"{mean(map(abs, errors)):.1%}",
            )
        )
    return Table(
        "Errors of the processing latency of AlexNet by what the mapper minimises",
        ("objective", "slack", "CONV1", "CONV2", "CONV3", "CONV4", "CONV5", "mean"),
        tuple(cells),
        "The mapper of the chip is not published; its mappings keep the PEs busy, which energy alone does not ask for.",
    )


def _notes() -> tuple[str, ...]:
    return (
        "CONV4 and CONV5 are mapped alike, with 1.5 times the MACs in CONV4, and took 16.0 and 10.0 ms: a model "
        "without knowledge of the values cannot be near both.",
        "The published mapping of CONV1 keeps the partial sums of 96 filters beside one input tile of 15.9 kB; with a "
        "second input tile for loading it exceeds 100 kB, so that 56 filters are found and inputs are loaded twice.",
        "Blocks 1 to 3 of VGG-16 ran two to four times slower on the chip than the mapping found here would: its "
        "passes held one or two channels, so that partial sums wait for their network. In the tiles that its printed "
        "PEs and buffer accesses point to, ours need the same time.",
        "FC2 and FC3 of the study: the register file's energy is higher than 4 × ALU, since writing weights that are "
        "used for few images into the registers is counted.",
    )
