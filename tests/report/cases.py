"""A small network, a small accelerator, and reports of random ones, that the tests of reports share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Layer, Network, Unmodelled
from squeezesim.report.report import Report
from squeezesim.simulate import simulate
from tests.draws import among

few = settings(max_examples=25)
"""For tests that simulate a network for each example."""


def accelerator(changes: dict[str, Any] | None = None) -> Accelerator:
    """8×8 PEs whose numbers belong to these tests; its energy table is relative."""
    small = Accelerator.from_dict(
        {
            "name": "small_8x8",
            "clock_mhz": 500,
            "array": {"rows": 8, "cols": 8, "dataflows": ["ws", "os"]},
            "precision": {"weight_bits": 16, "activation_bits": 16, "accumulator_bits": 16},
            "memory": {
                "global_buffer": {"size_kib": 16},
                "dram": {
                    "bandwidth_gb_s": {"value": 2, "provenance": "datasheet", "source": "a test"},
                    "latency_ns": 40,
                },
            },
            "control": {"layer_setup_cycles": 100},
            "vector": {"model": "lanes", "lanes": 8},
            "energy": {"table": "eyeriss_relative"},
        }
    )
    return small.replace(changes or {})


def network() -> Network:
    """Convolutions with a fused ReLU, a depthwise one, a residual add, a concat, a pooling, a product; 16×16 pixels."""
    stem = [
        Layer.conv("stem.conv", c=3, k=16, oy=16, ox=16, fy=3, fx=3, stride=2, bias=True, stage="stem"),
        Layer.vector("stem.relu", op="relu", k=16, oy=16, ox=16, stage="stem"),
    ]
    stage = [
        Layer.conv("stage1.depthwise", c=16, k=16, oy=16, ox=16, fy=3, fx=3, groups=16, stage="stage1"),
        Layer.conv(
            "stage1.a_branch_with_a_long_name.expand", c=16, k=24, oy=16, ox=16, fy=1, fx=1, stage="stage1"
        ),
        Layer.conv(
            "stage1.b", c=16, k=24, oy=16, ox=16, fy=1, fx=3, stage="stage1", inputs=["stage1.depthwise"]
        ),
        Layer.vector(
            "stage1.add",
            op="add",
            k=24,
            oy=16,
            ox=16,
            operands=2,
            stage="stage1",
            inputs=["stage1.a_branch_with_a_long_name.expand", "stage1.b"],
        ),
        replace(
            Layer.vector("stage1.concat", op="concat", k=48, oy=16, ox=16, stage="stage1"),
            kind="view",
            vector_ops=0,
            inputs=("stage1.add", "stage1.b"),
        ),
    ]
    head = [
        Layer.vector("head.pool", op="avg_pool", k=48, fy=16, fx=16, stride=16, stage="head"),
        Layer.matmul("head.fc", m=1, n=10, k=48, stage="head"),
    ]
    plain = Network.from_layers([*stem, *stage, *head], name="small")
    return replace(
        plain, unmodelled=(Unmodelled("fft", 2, "stage1"),), notes=("differs from smaller in depth",)
    )


def report(changes: dict[str, Any] | None = None) -> Report:
    return simulate(network(), accelerator(changes))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Reports of one to six random layers on a random accelerator."""
    small = st.integers(1, 20)
    layers: list[Layer] = []
    for number in range(draw(st.integers(1, 6))):
        name, stage = f"layer{number}", draw(among("", "stem", "stage1"))
        kind = draw(among("conv", "matmul", "vector")) if number else "conv"
        if kind == "conv":
            groups = draw(among(1, 1, 2))
            sizes = {
                "oy": draw(small),
                "ox": draw(small),
                "fy": draw(st.integers(1, 3)),
                "fx": draw(st.integers(1, 3)),
            }
            channels = {"c": groups * draw(small), "k": groups * draw(small)}
            layers.append(Layer.conv(name, **channels, **sizes, groups=groups, stage=stage))
        elif kind == "matmul":
            layers.append(Layer.matmul(name, m=draw(small), n=draw(small), k=draw(small), stage=stage))
        else:
            layers.append(
                Layer.vector(name, op="max_pool", k=draw(small), oy=draw(small), ox=draw(small), stage=stage)
            )
    changes = {
        "array.rows": draw(st.integers(1, 9)),
        "array.cols": draw(st.integers(1, 9)),
        "array.dataflows": draw(st.sampled_from([["ws"], ["os"], ["ws", "os"]])),
        "memory.row_words": draw(among(1, 2)),
        "sparsity.weights": draw(among(0, 0.4)),
        "sparsity.skipped_by": draw(st.sampled_from([[], ["os"]])),
        "vector.model": draw(among("none", "lanes")),
        "energy.pj_per_unit": draw(among(None, 2.5)),
    }
    return simulate(Network.from_layers(layers, name="random"), accelerator(changes))
