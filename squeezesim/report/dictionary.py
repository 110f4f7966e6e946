"""The data dictionary of a report's layers: type, unit and meaning of every column, in the order of the files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from squeezesim.cost.dataflow import DATAFLOWS
from squeezesim.cost.evaluate import BOUNDS, LOSSES, OPERANDS
from squeezesim.markup import Markdown, code, markdown_table

Kind = Literal["text", "integer", "number"]

_OPERANDS = {"inputs": "inputs", "weights": "weights", "outputs": "finished outputs", "psums": "partial sums"}
_LOSSES = {
    "edge": "find no work",
    "zeros": "are spent on zero weights",
    "fill": "preload and drain the array",
    "dram": "wait for DRAM",
    "buffer": "wait for the buffer's bandwidth",
    "startup": "wait for the first load and the last store",
    "setup": "set the layer up",
    "vector": "pass while vector lanes work",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A column: integers have 64 bits, numbers are doubles; where it *can be empty* there may be no value.

    *meaning* is Markdown.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    can_be_empty: bool = False


COLUMNS = (
    Entry("name", "text", "", "the layer's name, unique in the network"),
    Entry("op", "text", "", "operator"),
    Entry("stage", "text", "", "`stem`, `stage1` … `head`; empty where the network has none"),
    Entry(
        "dataflow",
        "text",
        "",
        f"that was chosen: {', '.join(f'`{name}`' for name in DATAFLOWS)}; empty without MACs",
    ),
    Entry("groups", "integer", "", "groups G"),
    Entry("k", "integer", "", "output channels K of a group"),
    Entry("c", "integer", "", "input channels C of a group"),
    Entry("oy", "integer", "", "output rows"),
    Entry("ox", "integer", "", "output columns"),
    Entry("fy", "integer", "", "filter rows"),
    Entry("fx", "integer", "", "filter columns"),
    Entry("stride", "text", "", "vertical x horizontal"),
    Entry("params", "integer", "", "learnable values, with those of fused operators"),
    Entry("macs", "integer", "MACs", "dense multiply–accumulates"),
    Entry("vector_ops", "integer", "ops", "operations on single elements, with those of fused operators"),
    Entry("cycles", "integer", "cycles", "of the accelerator's clock"),
    Entry("latency_us", "number", "µs", "cycles / clock"),
    Entry("utilization", "number", "1", "executed MACs / (PEs · cycles)", True),
    Entry("efficiency", "number", "1", "dense MACs / (PEs · cycles)", True),
    Entry(
        "bound",
        "text",
        "",
        f"what set the pace of the most cycles: {', '.join(f'`{name}`' for name in BOUNDS)}; empty without cycles",
    ),
    Entry("energy_uj", "number", "µJ", "energy; empty where the energy table is relative", True),
    Entry("dram_bytes", "integer", "bytes", "moved between DRAM and buffer"),
    Entry("buffer_bytes", "integer", "bytes", "read from and written to the buffer"),
    Entry("tiling", "text", "", "loop order and tile sizes; empty without MACs"),
    Entry("energy_mac_equiv", "number", "MACs", "energy in units of one MAC", True),
    Entry("weights_bytes", "integer", "bytes", "of learnt values in the smallest compressed form"),
    Entry("weights_values_bytes", "integer", "bytes", "the same without what finds the non-zeros"),
    Entry("weight_bits", "integer", "bits", "of a weight; empty where there is none", True),
    Entry("activation_bits", "integer", "bits", "of an activation; empty for a view", True),
    Entry(
        "weight_density",
        "number",
        "1",
        "part of the weights that is not zero; empty where none are learnt",
        True,
    ),
    Entry("share", "number", "1", "part of the network's cycles"),
    Entry("n", "integer", "", "images N"),
    Entry("module", "text", "", "module that ran"),
    Entry("fused", "text", "", "operators that are part of the layer, separated by blanks"),
    Entry(
        "executed_macs",
        "integer",
        "MACs",
        "multiply–accumulates that were done: without zero weights that were skipped",
    ),
    *(
        Entry(f"dram_{name}_bytes", "integer", "bytes", f"of {_OPERANDS[name]} in `dram_bytes`")
        for name in OPERANDS
    ),
    *(Entry(f"lost_{name}", "integer", "PE-cycles", f"that {_LOSSES[name]}") for name in LOSSES),
    Entry(
        "repeat",
        "integer",
        "",
        "equal steps of a recurrence: counts and costs are of all of them, sizes of one",
    ),
)
"""Columns of every report."""

SCALESIM_COLUMNS = (
    Entry("scalesim_total_cycles", "integer", "cycles", "that SCALE-Sim prints without stalls", True),
    Entry("scalesim_mapping_efficiency", "number", "1", "that SCALE-Sim prints", True),
)
"""Columns of reports in which a layer runs one of SCALE-Sim's dataflows."""


def column_table() -> str:
    """Return a Markdown table of every column."""
    return markdown_table(
        ("column", "type", "unit", "meaning"),
        (
            (code(entry.name), entry.kind, entry.unit or "–", Markdown(entry.meaning))
            for entry in (*COLUMNS, *SCALESIM_COLUMNS)
        ),
        left=range(4),
    )
