"""Random accelerators, as the nested data of a YAML file."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from squeezesim.hardware import DATAFLOWS
from squeezesim.hardware.config import parameters
from squeezesim.hardware.dataflows import skipping
from squeezesim.hardware.parts import LEVELS, tables
from squeezesim.network.compress.storage import FORMS
from tests.draws import among

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,20}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
FLOATS = {"allow_nan": False, "allow_infinity": False}


def section(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


def reals(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, **FLOATS) | st.sampled_from([low, high])


BITS = st.integers(1, 64)
WORDS = st.integers(1, 65536)
DRAM = section({"bandwidth_gb_s": reals(0.001, 1e6)}, {"usable_fraction": reals(0.001, 1)}) | section(
    {"bandwidth_gb_s": reals(0.001, 1e6)}, {"latency_ns": reals(0, 1e6)}
)
DRAM = DRAM | section({"bandwidth_gb_s": reals(0.001, 1e6)}, {"latency_cycles": st.integers(0, 10**9)})

SIZES = st.integers(1, 10**12)
CONSTRAINTS = section(
    {
        "tile": section(
            {"k": SIZES}, {"x": section({"min": st.just(1)}, {"max": SIZES, "multiple_of": SIZES})}
        )
    },
    {
        "layers": st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
        "op": st.sampled_from(["conv2d", ["linear", "depthwise"]]),
        "order": st.sampled_from(["PKC", ["KCP", "PCK"]]),
        "stays": st.sampled_from(["weights", ["outputs", "inputs"]]),
    },
)

ACCELERATORS = section(
    {
        "name": NAMES,
        "clock_mhz": reals(0.001, 100_000),
        "array": section(
            {
                "rows": st.integers(1, 4096),
                "cols": st.integers(1, 4096),
                "dataflows": st.lists(st.sampled_from(DATAFLOWS), min_size=1, unique=True),
            },
            {
                "interconnect": st.sampled_from(["broadcast", "systolic"]),
                "ports": st.none() | st.integers(1, 65536),
                "register_file": section(
                    {}, dict.fromkeys(("psum_words", "filter_words", "input_words"), WORDS)
                ),
                "network": section(
                    {}, dict.fromkeys(("weights_words", "inputs_words", "psums_words"), WORDS)
                ),
            },
        ),
        "memory": st.fixed_dictionaries(
            {
                "global_buffer": section(
                    {"size_kib": reals(0.001, 4194304)},
                    {
                        "weights_kib": st.floats(0, 0.0009, **FLOATS),
                        "bytes_per_cycle": st.none() | reals(0.001, 1e6),
                        "double_buffered": st.lists(
                            st.sampled_from(["inputs", "weights", "outputs"]), unique=True
                        ),
                    },
                ),
                "dram": DRAM,
            },
            optional={"row_words": st.integers(1, 1024)},
        ),
    },
    {
        "description": TEXTS,
        "source": TEXTS,
        "precision": section({}, {"weight_bits": BITS, "activation_bits": BITS, "accumulator_bits": BITS}),
        "control": section({}, {"layer_setup_cycles": st.integers(0, 10**9)}),
        "mapper": section(
            {},
            {
                "objective": st.sampled_from(["latency", "energy", "edp"]),
                "latency_slack": reals(0, 10),
                "residency": st.sampled_from(["order", "best"]),
                "input_channels": st.sampled_from(["best", "whole"]),
                "constraints": st.lists(CONSTRAINTS, max_size=2),
            },
        ),
        "dma": section({}, {"granularity": st.sampled_from(["whole", "row", "element"])}),
        "sparsity": section(
            {},
            {
                "weights": st.floats(0, 1, exclude_max=True, **FLOATS),
                "skipped_by": st.lists(st.sampled_from(skipping()), unique=True),
                "structured": st.sampled_from([[], ["2:4"], ["1:2", "4:8"]]),
                "compressed": st.sampled_from([[], ["dram"]]),
                "form": st.sampled_from(FORMS),
            },
        ),
        "vector": section({}, {"model": st.sampled_from(["lanes", "none"]), "lanes": st.integers(1, 65536)}),
        "energy": section(
            {},
            {
                "table": st.sampled_from(tables()),
                "overrides": st.dictionaries(st.sampled_from(LEVELS), reals(0, 1e9)),
                "pj_per_unit": st.none() | reals(1e-6, 1e9),
            },
        ),
    },
)


def leaves(data: dict[str, Any], above: str = "") -> list[str]:
    """Dotted paths of the single values in *data*."""
    found = []
    for key, value in data.items():
        if key == "constraints":  # they have no provenance
            continue
        if isinstance(value, dict):
            found += leaves(value, f"{above}{key}.")
        else:
            found.append(f"{above}{key}")
    return found


def annotate(data: dict[str, Any], path: str, provenance: str, source: str) -> None:
    """Wrap the value at *path* into ``{value, provenance, source}``."""
    *above, key = path.split(".")
    for name in above:
        data = data.setdefault(name, {})
    data[key] = {
        "value": data[key] if key in data else parameters()[path].default,
        "provenance": provenance,
        "source": source,
    }


@st.composite
def annotated_accelerators(draw: st.DrawFn) -> dict[str, Any]:
    """Accelerators with the provenance of some of their values."""
    data = draw(ACCELERATORS)
    for path in draw(st.lists(st.sampled_from(leaves(data)), unique=True, max_size=4)):
        annotate(data, path, draw(among("paper", "datasheet", "calibrated", "guess")), draw(TEXTS))
    return data
