"""Accelerator: where a network runs, as one frozen, validated record."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

from squeezesim.hardware import catalog, config, display
from squeezesim.hardware.parts import Specification


class Accelerator(Specification):
    """A PE array with its memories, its mapper and its energy table, frozen and validated.

    Parameters are attributes, as ``array.rows`` or ``memory.dram.bandwidth_gb_s``; docs/hardware.md has all with unit
    and range. PEs = rows · cols, or of units the most that one multiplies in a cycle.

    Raises:
        HardwareError: a value is of the wrong type or outside its range.

    Example:
        >>> Accelerator.named("squeezelerator_8x8").replace({"array.rows": 16}).array.pes
        128
    """

    @classmethod
    def from_yaml(cls, path: str | PathLike[str]) -> Accelerator:
        """Read an accelerator from the YAML file *path*; docs/hardware.md has its keys with their units.

        Raises:
            HardwareError: the file cannot be read, or a key or value is wrong; with file, line and column.

        Example:
            >>> Accelerator.from_yaml("my.yaml")  # doctest: +SKIP
        """
        return config.load(path, cls)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Accelerator:
        """Build an accelerator from nested mappings with the keys of a YAML file.

        Raises:
            HardwareError: a key or value is wrong; with its dotted path.

        Example:
            >>> import yaml
            >>> text = Accelerator.named("eyeriss").to_yaml()
            >>> Accelerator.from_dict(yaml.safe_load(text)) == Accelerator.named("eyeriss")
            True
        """
        return config.from_dict(data, cls)

    @classmethod
    def named(cls, name: str) -> Accelerator:
        """Return the shipped accelerator *name*, one of ``sq.accelerators()``.

        Raises:
            HardwareError: there is none of this name; with the nearest ones.

        Example:
            >>> Accelerator.named("os_32x32").array.pes
            1024
        """
        return catalog.named(name, cls)

    @classmethod
    def resolve(cls, text: str) -> Accelerator:
        """Return the accelerator that *text* means: a shipped one's name, the path of a YAML or a SCALE-Sim file.

        Raises:
            HardwareError: it means none, or the file is wrong.

        Example:
            >>> Accelerator.resolve("os_32x32") == Accelerator.named("os_32x32")
            True
        """
        return catalog.resolve(text, cls)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the shipped accelerators, sorted.

        Example:
            >>> "eyeriss" in Accelerator.names()
            True
        """
        return catalog.names()

    def replace(self, changes: Mapping[str, object]) -> Accelerator:
        """Return a validated copy with the parameters at dotted paths changed.

        Changes apply in order, then the whole is validated, so that ``memory.dram.latency_ns`` can be given
        together with ``memory.dram.latency_cycles: None``. The provenance of a value that changes is dropped.

        Raises:
            HardwareError: a path is unknown (with the nearest ones), or a value is out of its range.

        Example:
            >>> hw = Accelerator.named("squeezelerator_16x16")
            >>> hw.replace({"array.rows": 32, "memory.global_buffer.size_kib": 64}).array.rows
            32
        """
        return config.replace(self, changes)

    def to_yaml(self) -> str:
        """Return the accelerator as YAML text, provenance included; reading it gives an equal accelerator.

        Example:
            >>> Accelerator.named("os_32x32").to_yaml().splitlines()[0]
            'name: os_32x32'
        """
        return config.to_yaml(self)

    def __str__(self) -> str:
        return display.summary(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return display.html(self)
