"""squeezesim: latency, utilization and energy of neural networks on PE-array accelerators, layer by layer."""

from __future__ import annotations

__version__ = "0.1.0"
