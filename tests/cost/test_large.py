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

    name, changes, sizes = json.loads(sys.argv[1])
    accelerator = Accelerator.named(name).replace(changes)

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 2**10)

    evaluate([Layer.matmul("small", m=8, n=8, k=8)], [accelerator])
    before, start = peak(), time.process_time()
    costs = evaluate([Layer.matmul("large", **sizes)], [accelerator])
    seconds = time.process_time() - start
    print(json.dumps({"mib": (peak() - before) / 2**20, "seconds": seconds, "cycles": int(costs.cycles[0, 0])}))
    """
)
WIDE = {"m": 65_536, "n": 65_536, "k": 65_536}
FLOWS = ("ws", "os", "scalesim_os", "scalesim_ws", "scalesim_is")
CASES: list[tuple[str, dict[str, object]]] = [
    (name, {}) for name in ("os_32x32", "ws_32x32", "hybrid_32x32", "squeezelerator_8x8")
]
CASES += [
    ("squeezelerator_16x16", {"array.dataflows": [flow], "mapper.objective": objective})
    for flow in FLOWS
    for objective in ("latency", "energy", "edp")
]


CASES += [("eyeriss", {})] + [
    ("squeezelerator_16x16", {"array.dataflows": ["rs"], "mapper.objective": objective})
    for objective in ("latency", "energy", "edp")
]


CASES += [
    ("squeezelerator_16x16", {"mapper.constraints": [rule]})
    for rule in ({"stays": "inputs"}, {"stays": "weights"}, {"order": "KCP"})
]


def run(name: str, changes: dict[str, object], sizes: dict[str, int]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps([name, changes, sizes])],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return {key: float(value) for key, value in json.loads(done.stdout).items()}


def check(name: str, changes: dict[str, object]) -> None:
    found = run(name, changes, WIDE)
    accelerator = Accelerator.named(name)
    pes = accelerator.array.pes
    # Bounds that know what stays have 24 terms for each option, others 9.
    assert found["mib"] <= (512 if accelerator.mapper.residency == "best" else 300)
    assert found["seconds"] <= 10  # 0.1 to 0.6 on a machine that is idle
    assert found["cycles"] >= WIDE["m"] * WIDE["n"] * WIDE["k"] / pes


def test_a_wide_product_takes_little_memory() -> None:
    check("squeezelerator_16x16", {})


@pytest.mark.slow
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_a_wide_product_takes_little_memory_everywhere(name: str, changes: dict[str, object]) -> None:
    check(name, changes)
