"""Changes of an accelerator that may save time, each with what it assumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.lowering import POST_OPS
from squeezesim.report.metrics import dataflows

if TYPE_CHECKING:
    from squeezesim.report.report import Report

AS_IN_THE_TABLE = "assumes the same clock; energy per access as in the table"


class Change(NamedTuple):
    """Values by dotted path; *kind* is one of ``advise.KINDS``, *text* says what is changed from what to what."""

    kind: str
    values: Mapping[str, object]
    text: str
    assumption: str


def changes_of(report: Report) -> Iterator[Change]:
    """Yield the changes of the accelerator of *report* that are tried, whether or not they can be made or save time."""
    return chain(_of_dataflows(report), _of_array(report), _of_lanes(report), _of_memories(report))


def _of_dataflows(report: Report) -> Iterator[Change]:
    accelerator = report.accelerator
    own = accelerator.array.dataflows
    families = {DATAFLOWS[name].declared.family for name in own} - {""}
    for name, flow in DATAFLOWS.items():
        if name not in own and flow.declared.family in families:
            text = f"array.dataflows {' or '.join(own)} → {' or '.join((*own, name))}, by layer"
            yield Change(
                "dataflow",
                {"array.dataflows": [*own, name]},
                text,
                "assumes the same size, clock and energy per access",
            )


def _of_array(report: Report) -> Iterator[Change]:
    """As many PEs in another shape: rows or columns beyond a layer's loops are idle, whatever else is done."""
    array = report.accelerator.array
    if not array.dataflows or not int(report.tally.total().part("losses", "edge")[0]):
        return
    for rows, cols in ((2 * array.rows, array.cols / 2), (array.rows / 2, 2 * array.cols)):
        if rows == int(rows) and cols == int(cols):
            shape = {"array.rows": int(rows), "array.cols": int(cols)}
            text = f"array {array.rows}×{array.cols} → {rows:g}×{cols:g}, rows × columns"
            yield Change("array", shape, text, "assumes the same clock and energy per access")


def _of_lanes(report: Report) -> Iterator[Change]:
    """What is not multiplied: on the way out of the array, or on more lanes."""
    accelerator = report.accelerator
    own = accelerator.array.post_ops
    timed = zip(report.network.layers, report.tally.cycles.tolist(), strict=True)
    ops = [layer.op for layer, cycles in timed if cycles and layer.kind == "vector"]
    further = [name for name in dict.fromkeys(POST_OPS.get(op, "") for op in ops) if name and name not in own]
    if further:
        words = ["+".join(names) or "none" for names in (own, (*own, *further))]
        yield Change(
            "post_ops",
            {"array.post_ops": [*own, *further]},
            f"array.post_ops {' → '.join(words)}",
            "assumes an output stage that does them beside the array, and a compiler that joins layers",
        )
    lanes = accelerator.vector_lanes
    if lanes and int(report.tally.total().part("losses", "vector")[0]):
        text = f"vector.lanes {lanes:,} → {2 * lanes:,}"
        yield Change("lanes", {"vector.lanes": 2 * lanes}, text, "assumes the same energy per operation")


def _of_memories(report: Report) -> Iterator[Change]:
    accelerator = report.accelerator
    memory, buffer = accelerator.memory, accelerator.memory.global_buffer
    if not ("activations" in buffer.keeps or buffer.parts):
        kept = ["activations", *buffer.keeps]
        yield Change(
            "keeps",
            {"memory.global_buffer.keeps": kept},
            f"memory.global_buffer.keeps [{', '.join(buffer.keeps)}] → [{', '.join(kept)}]",
            "assumes software that leaves feature maps in the buffer from layer to layer",
        )
    if memory.prefetch == "none" and int(report.tally.total().part("losses", "startup")[0]):
        yield Change(
            "prefetch",
            {"memory.prefetch": "weights"},
            "memory.prefetch none → weights",
            "assumes a DMA that loads the first weights of a layer beside the one before",
        )
    parts = {f"memory.global_buffer.parts.{name}": part.size_kib for name, part in buffer.parts.items()}
    for name, size in (parts or {"memory.global_buffer": buffer.size_kib}).items():
        yield Change(
            "buffer",
            {f"{name}.size_kib": 2 * size},
            f"{name}.size_kib {size:g} → {2 * size:g}",
            AS_IN_THE_TABLE,
        )
    if int(report.tally.total().part("losses", "fill")[0]):
        ran = {*dataflows(report.costs)}
        for name, unit in accelerator.array.units.items():
            for key in ("ports", "output_words"):
                if name in ran and (words := getattr(unit, key)):
                    path = f"array.units.{name}.{key}"
                    yield Change(
                        "unit", {path: 2 * words}, f"{path} {words} → {2 * words}", "assumes the same clock"
                    )
    if int(report.tally.total().part("time", "buffer")[0]) and buffer.bytes_per_cycle:
        yield Change(
            "bandwidth",
            {"memory.global_buffer.bytes_per_cycle": 2 * buffer.bytes_per_cycle},
            f"memory.global_buffer.bytes_per_cycle {buffer.bytes_per_cycle:g} → {2 * buffer.bytes_per_cycle:g}",
            "assumes the same energy per access",
        )
    stores = ((f"memory.stores.{name}", store.bandwidth_gb_s) for name, store in memory.stores.items())
    for name, rate in (("memory.dram", memory.dram.bandwidth_gb_s), *stores):
        yield Change(
            "bandwidth",
            {f"{name}.bandwidth_gb_s": 2 * rate},
            f"{name}.bandwidth_gb_s {rate:g} → {2 * rate:g}",
            "assumes the same latency, usable fraction and energy per byte",
        )
