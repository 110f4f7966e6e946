"""Layers so large that no bound of each tiling could be held: the time, the memory and what is chosen."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from squeezesim.hardware.accelerator import Accelerator

CHILD = textwrap.dedent(
    """
    import json, resource, sys, time
    from squeezesim.cost.evaluate import evaluate
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network.layer import Layer

    cases, sizes = json.loads(sys.argv[1])
    accelerators = [Accelerator.named(name).replace(changes) for name, changes in cases]

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)

    evaluate([Layer.matmul("small", m=8, n=8, k=8)], accelerators)
    before, found = peak(), []
    for accelerator in accelerators:
        start = time.process_time()
        costs = evaluate([Layer.matmul("large", **sizes)], [accelerator])
        seconds = time.process_time() - start
        mib = (peak() - before) / 2**20  # the most of the cases so far
        found.append({"mib": mib, "seconds": seconds, "cycles": int(costs.cycles[0, 0])})
    print(json.dumps(found))
    """
)
WIDE = {"m": 65_536, "n": 65_536, "k": 65_536}
HALF = {axis: size // 2 for axis, size in WIDE.items()}
"""Still so large that bounds of all tilings would take more memory than there may be."""
FLOWS = ("ws", "os", "rs", "scalesim_os", "scalesim_ws", "scalesim_is")
Case = tuple[str, dict[str, object]]
PROCESSES: list[list[Case]] = [
    [(name, {}) for name in ("os_32x32", "ws_32x32", "hybrid_32x32", "squeezelerator_8x8", "eyeriss")],
    *(
        [
            ("squeezelerator_16x16", {"array.dataflows": [flow], "mapper.objective": objective})
            for objective in ("latency", "energy", "edp")
        ]
        for flow in FLOWS
    ),
    [
        ("squeezelerator_16x16", {"mapper.constraints": [rule]})
        for rule in ({"stays": "inputs"}, {"stays": "weights"}, {"order": "KCP"})
    ],
]
"""Accelerators by the process that costs them one after the other."""


def run(cases: list[Case], sizes: dict[str, int]) -> list[dict[str, float]]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps([cases, sizes])],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return [{key: float(value) for key, value in each.items()} for each in json.loads(done.stdout)]


def check(cases: list[Case], sizes: dict[str, int]) -> None:
    accelerators = [Accelerator.named(name) for name, _ in cases]
    # Bounds that know what stays have 24 terms for each option, others 9.
    most = 512 if any(each.mapper.residency == "best" for each in accelerators) else 300
    for accelerator, found in zip(accelerators, run(cases, sizes), strict=True):
        assert found["mib"] <= most
        assert found["seconds"] <= 10  # 0.1 to 0.6 on a machine that is idle
        assert found["cycles"] >= sizes["m"] * sizes["n"] * sizes["k"] / accelerator.array.pes


def test_a_wide_product_takes_little_memory() -> None:
    check([("squeezelerator_16x16", {})], WIDE)


@pytest.mark.slow
@pytest.mark.parametrize("cases", PROCESSES, ids=lambda cases: " ".join(map(str, cases[0])))
def test_a_wide_product_takes_little_memory_everywhere(cases: list[Case]) -> None:
    check(cases, HALF)
