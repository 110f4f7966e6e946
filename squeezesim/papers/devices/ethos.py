"""Arm Ethos-U55: MobileNetV2 on the Fast Model of U55-128, Vela's estimate of MobileNet v1's layers on U55-256."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from squeezesim.papers.devices.record import (
    CYCLES,
    Aim,
    Device,
    Measured,
    Quantity,
    Ran,
    changed,
    disorder,
    mean_error,
    network,
    run,
    table,
    without_unit,
)
from squeezesim.reference.record import Table
from squeezesim.report import units

_FVP, _VELA = "ethos_u55_128", "ethos_u55_256"
_BEAT = 8  # bytes


def _moved(name: str, column: str) -> Quantity:
    return Quantity(name, "MB", lambda ours: ours[column] / 1e6)


_BEATS = (
    ("AXI0 reads (SRAM)", "axi0_rd_beats", _moved("SRAM reads, inputs", "dram_inputs_bytes")),
    ("AXI0 writes (SRAM)", "axi0_wr_beats", _moved("SRAM writes, outputs", "dram_outputs_bytes")),
    ("AXI1 reads (flash)", "axi1_rd_beats", _moved("flash reads, weights", "dram_weights_bytes")),
)


def fast_model() -> tuple[Measured, ...]:
    """Return the cycles of the Fast Model, and what its ports moved."""
    (row,) = table("ethos_u55_fvp")
    net = network("mobilenet_v2")
    return (
        Measured(
            subject="mobilenet_v2",
            quantity=CYCLES,
            value=float(row["npu_total_cycles"]),
            network=net,
            accelerator=_FVP,
            groups=("networks",),
        ),
        *(
            Measured(
                subject="mobilenet_v2",
                quantity=quantity,
                value=float(row[column]) * _BEAT / 1e6,
                network=net,
                accelerator=_FVP,
            )
            for _, column, quantity in _BEATS
        ),
    )


def vela() -> tuple[Measured, ...]:
    """Return Vela's cycles of MobileNet v1's convolutions, its classifier among them."""
    net = network("mobilenet_v1")
    rows = [row for row in table("vela_mobilenet_v1_u55_256") if row["operator"].endswith("Conv2D")]
    rows = [
        row for row in rows if not row["name"].startswith("global_average")
    ]  # the pooling, in Vela's operators
    layers = [layer for layer in net.fused.layers if layer.kind == "mac"]
    return tuple(
        Measured(
            subject=f"mobilenet_v1 {layer.name}",
            quantity=CYCLES,
            value=float(row["op_cycles"]),
            network=net,
            accelerator=_VELA,
            layer=layer.name,
            groups=("layers", *(["pointwise layers"] if layer.name.endswith("pointwise") else [])),
        )
        for row, layer in zip(rows, layers, strict=True)
    )


def measured() -> tuple[Measured, ...]:
    """Return what the Fast Model counted, and what Vela estimates."""
    return (*fast_model(), *vela())


def _tables(ran: Sequence[Ran]) -> Iterable[Table]:
    yield _ports(ran)
    yield _free_mapper(ran)


def _ports(ran: Sequence[Ran]) -> Table:
    """The beats of the Fast Model term by term."""
    reads, writes, flash = (
        next(one for one in ran if one.item.quantity is quantity) for _, _, quantity in _BEATS
    )
    weights = network("mobilenet_v2").params / 1e6
    copied = writes.item.value - writes.ours
    cells = (
        (
            _BEATS[1][0],
            units.decimal(writes.item.value),
            f"outputs of all layers {units.decimal(writes.ours)}",
            units.decimal(copied),
            f"weights that are copied there, of {units.decimal(flash.item.value)} that are read from flash; rounding "
            "of channels to 16",
        ),
        (
            _BEATS[0][0],
            units.decimal(reads.item.value),
            f"inputs of all tiles {units.decimal(reads.ours)}",
            units.decimal(reads.item.value - reads.ours),
            "the copied weights, each for every block of pixels; inputs again for every block of channels",
        ),
        (
            _BEATS[2][0],
            units.decimal(flash.item.value),
            f"weights once, with biases {units.decimal(flash.ours)}",
            units.decimal(flash.item.value - flash.ours),
            f"{units.decimal(weights)} M values in the NPU's compressed form",
        ),
    )
    return Table(
        "ethos_u55: what the Fast Model's ports move, MB",
        ("port", "Fast Model", "ours", "the rest", "what the rest can be"),
        cells,
        "Beats of 8 bytes.",
    )


def _free_mapper(ran: Sequence[Ran]) -> Table:
    """What the mapper would gain without Vela's rule of blocks."""
    layers = [one for one in ran if "layers" in one.item.groups]
    free = run([one.item for one in layers], changed(mapper__constraints=[]))
    bound, unbound = (sum(one.ours for one in each) for each in (layers, free))
    cells = (
        ("with Vela's blocks", f"{bound:,.0f}", f"{100 * mean_error(layers):.1f} %"),
        ("free", f"{unbound:,.0f}", f"{100 * mean_error(free):.1f} %"),
    )
    return Table(
        "ethos_u55_256: Vela's rule of blocks and the free mapper, MobileNet v1",
        ("mapper", "cycles of all layers", "mean error by layer"),
        cells,
        f"The free mapper gains {(1 - unbound / bound):.1%} of the cycles.",
    )


ETHOS = Device(
    name=_VELA,
    title="Arm Ethos-U55 with 128 and 256 MACs",
    source=(
        "Arm ML embedded evaluation kit, docs/use_cases/img_class.md (Fast Model, U55-128); run of ethos-u-vela 5.2.0, "
        "Ethos_U55_High_End_Embedded, Shared_Sram (U55-256)"
    ),
    grade="the maker's cycle model, and its estimate",
    compared="Cycles of the network beside the NPU's total; cycles of layers of the network beside Vela's.",
    measured=measured,
    mechanisms={
        "depthwise unit": without_unit("depthwise"),
        "part-kernel mode": without_unit("part"),
        "rate at which outputs leave": lambda accelerator: accelerator.replace(
            {f"array.units.{name}.output_words": None for name in accelerator.array.units}
        ),
        "weights' own port": lambda accelerator: accelerator.replace(
            {
                "memory.stores": {
                    "sram": {
                        **accelerator.memory.stores["sram"].model_dump(),
                        "holds": ["activations", "weights"],
                    }
                }
            }
        ),
        "weights in SRAM": lambda accelerator: accelerator.replace(
            {"memory.global_buffer.parts.weights.size_kib": 8}
        ),
        "Vela's blocks": changed(mapper__constraints=[]),
    },
    aims=(
        Aim(
            "FVP, MobileNetV2: error of the cycles",
            "networks",
            mean_error,
            0.05,
            "weights in the NPU's compressed form, which takes 2.4 % less of the flash's port, and weights of the next "
            "layer that are copied beside a layer: first loads are 1.6 % of the cycles here",
        ),
        Aim("Vela's layers, mean error", "layers", mean_error, 0.10),
        Aim("Vela's layers, 1 − Spearman's correlation", "layers", disorder, 0.02),
        Aim(
            "Vela's pointwise layers, mean error",
            "pointwise layers",
            mean_error,
            0.02,
            "inputs that are read again for every block of 16 or 32 output channels: Vela keeps none in the buffer, "
            "and the file cannot say so of inputs alone",
        ),
    ),
    missing=(
        "inputs that may not stay, and Vela's own choice among blocks",
        "the port of the SRAM for the weights that wait there, their compressed form and their decoder",
        "bursts of the memories: Vela counts more than the bytes for narrow blocks",
    ),
    tables=_tables,
)
