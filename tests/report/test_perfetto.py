"""Traces keep the rules of the trace-event format and say what the report says."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ReportError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.report import perfetto as module
from squeezesim.report.perfetto import ARRAY, LAYERS, LOADS, STORES, THREADS, VECTOR, tiles_in_slice, trace
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.report.cases import accelerator, few, report, reports

Event = dict[str, Any]


def nanoseconds(time: float) -> int:
    """A time in µs as Perfetto reads it: 1000 times it, cut off."""
    return int(time * 1000)


def checked(made: Report) -> list[Event]:
    """The events of the trace of a report, after all checks of the format."""
    text = trace(made)
    document = json.loads(text)
    assert not re.search(r'"(ts|dur)":[0-9.]+[eE]', text)  # Perfetto reads no exponents of times
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    events: list[Event] = document["traceEvents"]
    allowed = {
        "X": {"name", "ph", "pid", "tid", "ts", "dur", "args"},
        "C": {"name", "ph", "pid", "tid", "ts", "args"},
        "M": {"name", "ph", "pid", "tid", "args"},
    }
    for event in events:
        assert set(event) == allowed[event["ph"]]
        assert isinstance(event["name"], str)
        assert type(event["pid"]) is type(event["tid"]) is int
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
    named = {event["tid"] for event in events if event["name"] == "thread_name"}
    ports = {*range(1, len(THREADS) + 2 * len(made.memories) - 1)}
    assert {event["tid"] for event in events if event["ph"] == "X"} <= named == ports
    tracks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for event in slices(events, *ports):
        tracks[event["tid"]].append((nanoseconds(event["ts"]), nanoseconds(event["dur"])))
    for track in tracks.values():
        open_until: list[int] = []
        for start, length in sorted(track, key=lambda item: (item[0], -item[1])):
            while open_until and open_until[-1] <= start:
                open_until.pop()
            assert not open_until or start + length <= open_until[-1]  # nested, or one after the other
            open_until.append(start + length)
    for name in ("DRAM GB/s", "utilization %"):
        times = [event["ts"] for event in events if event["name"] == name]
        assert times == sorted(times)
    return events


def slices(events: list[Event], *threads: int) -> list[Event]:
    return [event for event in events if event["ph"] == "X" and event["tid"] in (threads or THREADS)]


def integral(events: list[Event], name: str, key: str) -> float:
    """Σ of a counter's value · µs until its next one."""
    counts = [event for event in events if event["name"] == name]
    return sum(float(one["args"][key]) * float(other["ts"] - one["ts"]) for one, other in pairwise(counts))


@few
@given(reports(), st.sampled_from([0.3, 500, 800, 937.5, 1000, 3210]))
def test_it_keeps_the_format_and_ends_with_the_report_s_latency(made: Report, clock: float) -> None:
    made = simulate(made.network, made.accelerator.replace({"clock_mhz": clock}))
    events = checked(made)
    ends = [nanoseconds(event["ts"]) + nanoseconds(event["dur"]) for event in slices(events)]
    assert max(ends) == round(made.totals["latency_us"] * 1000)  # type: ignore[operator]
    begins = [event["ts"] for event in slices(events, LAYERS) if event["name"] != "set-up"]
    timed = [row for row in made.rows() if row["cycles"]]
    assert len(begins) == len(timed)
    assert begins == pytest.approx(np.cumsum([0, *(row["latency_us"] for row in timed)])[:-1], abs=1e-3)


@few
@given(reports())
def test_counters_and_slices_add_up_to_the_report(made: Report) -> None:
    events = checked(made)
    total = made.tally.total()
    moved = sum(event["args"]["bytes"] for event in slices(events, LOADS, STORES))
    # The report rounds up to bytes once for each operand of a layer, the trace for each slice.
    assert abs(moved - int(total.dram.sum())) <= len(events) + 4 * len(made.network.layers)
    gigabytes = integral(events, "DRAM GB/s", "in") + integral(events, "DRAM GB/s", "out")
    assert gigabytes * 1e3 == pytest.approx(moved, rel=0.01, abs=1)
    busy = integral(events, "utilization %", "executed") / 100
    whole = made.totals["latency_us"] * made.totals["utilization"]  # type: ignore[operator]
    assert busy == pytest.approx(whole, rel=0.01)
    assert all(event["args"]["executed"] <= 100 for event in events if event["name"] == "utilization %")


def test_every_port_has_its_tracks_and_its_counter() -> None:
    stores = {
        "sram": {"bandwidth_gb_s": 4, "latency_cycles": 8, "holds": ["activations"]},
        "flash": {"bandwidth_gb_s": 0.5, "holds": ["weights"]},
    }
    made = report({"memory.stores": stores})
    events = checked(made)
    names = {event["args"]["name"]: event["tid"] for event in events if event["name"] == "thread_name"}
    for memory in ("sram", "flash"):
        threads = [names[f"{memory} {way}"] for way in ("in", "out")]
        moved = sum(event["args"]["bytes"] for event in slices(events, *threads))
        whole = sum(row[f"memory_{memory}_bytes"] for row in made.rows())
        assert moved == pytest.approx(whole, abs=len(events))
        gigabytes = sum(integral(events, f"{memory} GB/s", way) for way in ("in", "out"))
        assert gigabytes * 1e3 == pytest.approx(whole, rel=0.01)
    assert not slices(events, LOADS, STORES)  # nothing lives in DRAM


def test_what_the_buffer_keeps_is_a_counter() -> None:
    made = report({"memory.global_buffer.keeps": ["activations"]})
    events = checked(made)
    kept = sum(row["kept_bytes"] / 1024 * row["latency_us"] for row in made.rows())
    assert kept > 0
    assert integral(events, module.KEPT, "kept") == pytest.approx(kept, rel=1e-3)
    stays = {row["name"] for row in made.rows() if row["output_in"] == "buffer"}
    assert stays
    assert not stays & {event["args"]["layer"] for event in slices(events, STORES)}
    assert module.KEPT not in {event["name"] for event in checked(report())}


def test_a_network_on_a_real_accelerator() -> None:
    made = simulate(load("squeezenet_1_1"), Accelerator.named("squeezelerator_8x8"))
    events = checked(made)
    on_array = {event["name"] for event in slices(events, ARRAY)}
    on_lanes = {event["name"] for event in slices(events, VECTOR)}
    assert on_array == {layer.name for layer in made.network.layers if layer.kind == "mac"}
    assert on_lanes == {row["name"] for row in made.rows() if row["cycles"] and row["name"] not in on_array}
    assert len(events) < 5 * module.MOST_SLICES


@pytest.mark.parametrize("most", [1, 7, 50])
def test_many_tiles_are_shown_in_runs_of_equally_many(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "MOST_SLICES", most)
    made = report({"memory.global_buffer.size_kib": 1})
    events = checked(made)
    layers = [event for event in slices(events, LAYERS) if event["name"] != "set-up"]
    assert len(slices(events, ARRAY)) <= max(most, len(layers))
    for layer in layers:
        runs = [event for event in slices(events, ARRAY, VECTOR) if event["name"] == layer["name"]]
        tiles, each = layer["args"]["tiles"], layer["args"]["tiles_in_slice"]
        assert len(runs) == -(-tiles // each)
        last = runs[-1]["args"]["tile"].rpartition("–")[2]
        assert int(last) == tiles - 1
    whole = checked_at(made, 10**6, monkeypatch)
    for thread in (LOADS, STORES):
        one, other = (
            sum(event["args"]["bytes"] for event in slices(part, thread)) for part in (events, whole)
        )
        assert one == pytest.approx(other, abs=len(whole))


def checked_at(made: Report, most: int, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    monkeypatch.setattr(module, "MOST_SLICES", most)
    return checked(made)


def test_layers_of_too_many_tiles_are_a_slice_on_each_track(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PLAYED", 1)
    made = report({"memory.global_buffer.size_kib": 1})
    events = checked(made)
    rows = {row["name"]: row for row in made.rows()}
    for event in slices(events, LAYERS):
        if event["name"] == "set-up" or event["args"]["tiles"] == 1:
            continue
        assert event["args"]["tiles_in_slice"] == event["args"]["tiles"]
        (run,) = [other for other in slices(events, ARRAY) if other["name"] == event["name"]]
        row = rows[event["name"]]
        spent = row["executed_macs"] + sum(
            row[f"lost_{cause}"] for cause in ("edge", "zeros", "fill", "buffer")
        )
        assert run["args"]["busy_cycles"] * made.machine.pes == spent
        moved = [
            other["args"]["bytes"]
            for other in slices(events, LOADS, STORES)
            if other["args"]["layer"] == row["name"]
        ]
        assert sum(moved) == row["dram_bytes"]


def test_a_report_whose_tilings_give_other_cycles_is_refused() -> None:
    made = report()
    more = made.costs.cycles.copy()
    more[0, 0] += 1
    with pytest.raises(
        ReportError, match=r"^layer 'stem.conv' takes [\d,]+ cycles in its tiling, but [\d,]+ in"
    ):
        trace(replace(made, costs=replace(made.costs, cycles=more)))


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=300))
def test_slices_are_bounded_and_shared_evenly(counts: list[int]) -> None:
    each = tiles_in_slice(counts)
    shown = [-(-count // tiles) for count, tiles in zip(counts, each, strict=True)]
    assert sum(shown) <= module.MOST_SLICES
    assert all(tiles == 1 for count, tiles in zip(counts, each, strict=True) if count <= 4000 // len(counts))
    assert sum(counts) > module.MOST_SLICES or set(each) == {1}


def test_a_hostile_layer_name_stays_text() -> None:
    name = '"}],</script><b>'
    made = simulate(Network.from_layers([Layer.conv(name, c=3, k=4, oy=5, ox=5, fy=3, fx=3)]), accelerator())
    assert {event["name"] for event in slices(checked(made), ARRAY)} == {name}
