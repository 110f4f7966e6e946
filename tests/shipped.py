"""Shipped accelerators for tests that loop over them: one of each family, and the others where they are slow."""

from __future__ import annotations

from typing import Any

import pytest

from squeezesim.hardware.accelerator import Accelerator

FAMILIES = (
    "dpu_b4096",
    "edge_tpu",
    "ethos_u55_256",
    "eyeriss",
    "gemmini_16x16",
    "hybrid_32x32",
    "nvdla_256",
    "squeezelerator_16x16",
    "vta_pynq",
)
"""One of each family."""

EACH: list[Any] = [
    *FAMILIES,
    *(pytest.param(name, marks=pytest.mark.slow) for name in Accelerator.names() if name not in FAMILIES),
]
"""All, those beside ``FAMILIES`` in slow tests."""
