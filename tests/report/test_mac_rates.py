"""Reports on accelerators whose PEs do several MACs in a cycle, or one in several, at some widths."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from squeezesim.errors import ReportError
from squeezesim.explore.sweep.sweep import sweep
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer, Network
from squeezesim.report.figures.losses import waterfall
from squeezesim.report.figures.roofline import ceilings
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode, encode
from squeezesim.simulate import simulate

HW: dict[str, Any] = {
    "name": "rated",
    "clock_mhz": 500,
    "array": {"rows": 3, "cols": 5, "dataflows": ["ws", "os"]},
    "memory": {"global_buffer": {"size_kib": 16}, "dram": {"bandwidth_gb_s": 2}},
    "precision": {"weight_bits": 8, "activation_bits": 8, "rates": ["w4a8:2", "w16a16:0.25", "w2a2:8"]},
    "mapper": {"residency": "order"},
}


def layer(name: str, weights: int, activations: int, **more: Any) -> Layer:
    made = Layer.conv(name, c=7, k=9, oy=6, ox=6, fy=3, fx=3)
    return replace(made, weight_bits=weights, activation_bits=activations, **more)


@cache
def made() -> Report:
    layers = (
        layer("narrow", 4, 8, stage="one"),
        layer("wide", 16, 16, stage="one", repeat=3),
        layer("plain", 8, 8, stage="two"),
        Layer(name="add", op="add", kind="vector", input_elements=640, output_elements=320, vector_ops=320),
    )
    return simulate(Network("mixed", layers), Accelerator.from_dict(HW))


def test_totals_sum_the_slots_of_each_layer() -> None:
    report = made()
    narrow, wide, plain, add = report.tally.cycles.tolist()
    slots = 15 * (2 * narrow + plain + add) + 3 * (wide // 3 * 15 // 4)
    assert report.totals["utilization"] == report.tally.executed.sum() / slots
    losses = report.losses
    assert losses["pe_cycles"].sum() == slots
    assert (
        losses.iloc[:, losses.columns.get_loc("pe_cycles") + 1 :].sum(axis=1) == losses["pe_cycles"]
    ).all()
    assert report.layers["macs_per_pe"].tolist()[:3] == [2.0, 0.25, 1.0]
    assert report.layers["macs_per_pe"].isna().tolist()[3]


def test_bars_of_cycles_end_where_the_network_does() -> None:
    *steps, (_, _, _, cycles) = waterfall(made())
    assert steps[-1][3] == pytest.approx(cycles, rel=1e-9)
    by_stage = made().tally.in_pe_cycles(made().scale).grouped(np.array([0, 0, 1, 2]), 3)
    spent = (by_stage.executed + by_stage.losses.sum(axis=1)) / 15
    assert spent == pytest.approx(by_stage.cycles, rel=1e-9)


def test_the_array_has_a_ceiling_for_each_rate_that_layers_have() -> None:
    (roof,) = ceilings(made(), np.arange(3))
    assert (roof.widths, roof.macs_a_second) == ("w4a8", 15 * 2 * 500e6)
    assert roof.others == (("w8a8", 15 * 500e6), ("w16a16", 15 * 500e6 / 4))
    alone = simulate(made().network, made().accelerator.replace({"precision.rates": []}))
    (roof,) = ceilings(alone, np.arange(3))
    assert (roof.widths, roof.macs_a_second, roof.others) == ("", 15 * 500e6, ())


def test_notes_say_what_widths_make_of_the_pes() -> None:
    assert [note for note in made().notes if "w" in note] == [
        "operands of 1 layer are w4a8: 2 MACs a cycle in each PE",
        "operands of 1 layer are w16a16: one MAC in 4 cycles in each PE",
        "precision.rates w2a2:8: no layer with MACs has operands of such widths here",
    ]
    alone = simulate(made().network, made().accelerator.replace({"precision.rates": []}))
    assert [note.partition(" w8a8")[0] for note in alone.notes] == [
        "operands of 1 layer are wider than",
        "operands of 1 layer are narrower than",
    ]


def test_a_report_is_read_back_and_its_slots_are_checked() -> None:
    text = encode(made())
    assert decode(text) == made()
    stays = simulate(made().network, made().accelerator.replace({"mapper.residency": "best"}))
    assert stays.costs.homes_at(1).weights
    assert decode(encode(stays)) == stays
    data = json.loads(text)
    data["accelerator"]["precision"]["rates"].pop(0)
    with pytest.raises(ReportError, match=r"'narrow': PEs · cycles are not executed_macs \+ the losses"):
        decode(json.dumps(data))


def test_rates_are_swept_and_set() -> None:
    frame = sweep(made().network, made().accelerator, {"precision.rates": "none,w4a8:2,w4a8:2+w8a8:4"})
    assert frame["precision.rates"].tolist() == ["none", "w4a8:2", "w4a8:2+w8a8:4"]
    assert frame["cycles"].is_monotonic_decreasing
    assert frame["cycles"].nunique() == 3
    for text, cycles in zip(frame["precision.rates"], frame["cycles"], strict=True):
        rates = [] if text == "none" else text.split("+")
        alone = simulate(made().network, made().accelerator.replace({"precision.rates": rates}))
        assert alone.totals["cycles"] == cycles
