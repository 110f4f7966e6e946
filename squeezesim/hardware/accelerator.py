"""Accelerator: where a network runs, as one frozen, validated record."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from squeezesim.hardware import catalog, config, display
from squeezesim.hardware.parts import Specification


class Accelerator(Specification):
    """A PE array with its memories, its mapper and its energy table.

    Example:
        >>> Accelerator.named("squeezelerator_8x8").replace({"array.rows": 16}).array.pes
        128
    """

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Accelerator:
        """Read an accelerator from a YAML file; HardwareError names file, line and column of a mistake."""
        return config.load(path, cls)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Accelerator:
        """Build an accelerator from nested mappings; HardwareError names the dotted path of a mistake."""
        return config.from_dict(data, cls)

    @classmethod
    def named(cls, name: str) -> Accelerator:
        """Return the shipped accelerator *name*; HardwareError with the nearest names where there is none."""
        return catalog.named(name, cls)

    @classmethod
    def resolve(cls, text: str) -> Accelerator:
        """Return the accelerator that *text* means: a shipped one's name, the path of a YAML or a SCALE-Sim file."""
        return catalog.resolve(text, cls)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the shipped accelerators, sorted."""
        return catalog.names()

    def replace(self, changes: Mapping[str, object]) -> Accelerator:
        """Return a validated copy with the parameters at dotted paths changed.

        Changes apply in order, then the whole is validated, so that ``memory.dram.latency_ns`` can be given
        together with ``memory.dram.latency_cycles: None``. The provenance of a value that changes is dropped.

        Errors:
            HardwareError: a path is unknown (with the nearest ones), or a value is out of its range.

        Example:
            >>> hw = Accelerator.named("squeezelerator_16x16")
            >>> hw.replace({"array.rows": 32, "memory.global_buffer.size_kib": 64}).array.rows
            32
        """
        return config.replace(self, changes)

    def to_yaml(self) -> str:
        """Return the accelerator as YAML text, provenance included; reading it gives an equal accelerator."""
        return config.to_yaml(self)

    def __str__(self) -> str:
        return display.summary(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return display.html(self)
