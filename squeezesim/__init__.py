"""squeezesim: latency, utilization and energy of neural networks on PE-array accelerators, layer by layer.

Public names are loaded on first use, so that importing the package imports neither torch nor pandas nor matplotlib.

Example:
    >>> import squeezesim as sq
    >>> report = sq.simulate("squeezenext_23", "os_32x32")
    >>> report.totals["macs"]
    277999808
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from squeezesim._version import __version__ as __version__

if TYPE_CHECKING:
    from squeezesim.cost.given import LayerHomes, LayerMapping
    from squeezesim.errors import (
        HardwareError,
        MappingError,
        ModelError,
        OutputError,
        ReportError,
        SqueezesimError,
        UsageError,
    )
    from squeezesim.explore.advise import advise
    from squeezesim.explore.allocate.study import allocate
    from squeezesim.explore.calibrate import calibrate
    from squeezesim.explore.compare.compare import compare
    from squeezesim.explore.pareto import pareto
    from squeezesim.explore.sensitivity import sensitivity
    from squeezesim.explore.sizes import buffer_sizes
    from squeezesim.explore.sweep.sweep import sweep
    from squeezesim.frontends.torch.rules import register_operator
    from squeezesim.frontends.torch.weights import densities, weights
    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.hardware.shipped import accelerators
    from squeezesim.load import load, models
    from squeezesim.mapping import Mapping
    from squeezesim.network import Layer, Network
    from squeezesim.passes import compress, low_rank, prune, prune_channels, quantize
    from squeezesim.report.explain import explain
    from squeezesim.report.report import Report
    from squeezesim.simulate import simulate


__all__ = [
    "Accelerator",
    "HardwareError",
    "Layer",
    "LayerHomes",
    "LayerMapping",
    "Mapping",
    "MappingError",
    "ModelError",
    "Network",
    "OutputError",
    "Report",
    "ReportError",
    "SqueezesimError",
    "UsageError",
    "accelerators",
    "advise",
    "allocate",
    "buffer_sizes",
    "calibrate",
    "compare",
    "compress",
    "densities",
    "explain",
    "load",
    "low_rank",
    "models",
    "pareto",
    "prune",
    "prune_channels",
    "quantize",
    "register_operator",
    "sensitivity",
    "simulate",
    "sweep",
    "weights",
]

_HOMES = {
    "squeezesim.cost.given": ("LayerHomes", "LayerMapping"),
    "squeezesim.errors": (
        "HardwareError",
        "MappingError",
        "ModelError",
        "OutputError",
        "ReportError",
        "SqueezesimError",
        "UsageError",
    ),
    "squeezesim.explore.advise": ("advise",),
    "squeezesim.explore.allocate.study": ("allocate",),
    "squeezesim.explore.calibrate": ("calibrate",),
    "squeezesim.explore.compare.compare": ("compare",),
    "squeezesim.explore.pareto": ("pareto",),
    "squeezesim.explore.sensitivity": ("sensitivity",),
    "squeezesim.explore.sizes": ("buffer_sizes",),
    "squeezesim.explore.sweep.sweep": ("sweep",),
    "squeezesim.frontends.torch.rules": ("register_operator",),
    "squeezesim.frontends.torch.weights": (
        "densities",
        "weights",
    ),
    "squeezesim.hardware.accelerator": ("Accelerator",),
    "squeezesim.hardware.shipped": ("accelerators",),
    "squeezesim.load": (
        "load",
        "models",
    ),
    "squeezesim.mapping": ("Mapping",),
    "squeezesim.network": (
        "Layer",
        "Network",
    ),
    "squeezesim.passes": (
        "compress",
        "low_rank",
        "prune",
        "prune_channels",
        "quantize",
    ),
    "squeezesim.report.explain": ("explain",),
    "squeezesim.report.report": ("Report",),
    "squeezesim.simulate": ("simulate",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from squeezesim.errors import installed

    with installed("torch"):
        value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """The package: importing the modules ``load`` and ``simulate`` must not hide the functions of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, ModuleType) and _HOME_OF.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
