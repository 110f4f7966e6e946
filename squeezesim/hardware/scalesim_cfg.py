"""SCALE-Sim's configuration (.cfg) → Accelerator."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from squeezesim.errors import HardwareError, nearest
from squeezesim.files import read_text
from squeezesim.hardware.config import Record, from_dict

MAX_BYTES = 2**20
"""Largest configuration that is read."""

_CLOCK_MHZ, _BITS = 1000, 8
_AMPLE_GB_S = 1_000_000  # nothing waits: what SCALE-Sim's mode CALC assumes
_DATAFLOWS = ("os", "ws", "is")
_SRAMS = ("IfmapSramSzkB", "FilterSramSzkB", "OfmapSramSzkB")
# Keys that change the cycles by what is not modelled here; off in every configuration but those that try them.
_OFF = ("SparsitySupport", "IfmapCustomLayout", "FilterCustomLayout", "UseRamulatorTrace")
_READ = (
    *("run_name", "ArrayHeight", "ArrayWidth", *_SRAMS, "Dataflow", "Bandwidth", "InterfaceBandwidth"),
    *_OFF,
)
# Keys that change no cycle of what is modelled here: addresses, files, parts of what is off. SCALE-Sim ships files with
# MemoryBanks, which it does not read.
_IDLE = (
    *("IfmapOffset", "FilterOffset", "OfmapOffset", "ReadRequestBuffer", "WriteRequestBuffer"),
    *(f"{operand}SRAMBank{size}" for operand in ("Ifmap", "Filter") for size in ("Bandwidth", "Num", "Port")),
    *(
        "SparseRep",
        "OptimizedMapping",
        "BlockSize",
        "RandomNumberGeneratorSeed",
        "TopologyCsvLoc",
        "MemoryBanks",
    ),
)
_KNOWN = {name.lower(): name for name in (*_READ, *_IDLE)}
_LISTED = 8  # keys that a note lists
# What earlier versions call them.
_OLD = {name.lower().removesuffix("kb"): name.lower() for name in _SRAMS}


@dataclass(frozen=True, slots=True)
class _Entry:
    line: int
    section: str
    key: str
    text: str


class _Config:
    """Keys and values of a file, whatever their section, with their lines."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.entries: dict[str, _Entry] = {}
        section = ""
        for number, raw in enumerate(text.split("\n"), start=1):
            line = raw.strip()
            if not line or line[0] in "#;":
                continue
            if re.fullmatch(r"\[[^\]]+\]", line):
                section = line
                continue
            match = re.fullmatch(r"([^=:]+?)\s*[=:]\s*(.*)", line)
            if match is None:
                self.fail(number, f"a line is [section], key: value or key = value, found {line[:60]!r}")
            key, value = match.groups()
            name = key.lower()
            name = _OLD.get(name, name)
            if name in self.entries:
                self.fail(number, f"{key} is there twice, first in line {self.entries[name].line}")
            self.entries[name] = _Entry(number, section, key, value)

    def fail(self, line: int, message: str) -> NoReturn:
        raise HardwareError(f"{self.path}:{line}: {message}")

    def get(self, key: str) -> _Entry | None:
        return self.entries.get(key.lower())

    def need(self, key: str) -> _Entry:
        entry = self.get(key)
        if entry is None:
            missing = f"there is no {key}, which a SCALE-Sim configuration needs"
            unknown = [name for name in self.entries if name not in _KNOWN]
            for name in difflib.get_close_matches(key.lower(), unknown, n=1):
                found = self.entries[name]
                self.fail(found.line, f"{missing}, but {found.key[:60]!r}; did you mean {key!r}?")
            raise HardwareError(f"{self.path}: {missing}")
        return entry

    def unread(self) -> tuple[str, ...]:
        """What must be said of the keys that are not known, at most a note."""
        absent = [name for name in _KNOWN if name not in self.entries]
        keys = [
            f"{f'{entry.section} {entry.key}'.strip()[:60]!r}{_meant(name, absent)}"
            for name, entry in self.entries.items()
            if name not in _KNOWN
        ]
        rest = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
        return (
            (f"keys of the configuration that are not read: {', '.join(keys[:_LISTED])}{rest}",)
            if keys
            else ()
        )

    def integer(self, key: str, low: int, high: int) -> int:
        entry = self.need(key)
        text = entry.text
        if not (text.isascii() and text.isdigit() and len(text) < 16 and low <= int(text) <= high):
            self.fail(entry.line, f"{key} must be an integer from {low} to {high}, found {text[:60]!r}")
        return int(text)

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        entry = self.get(key) if default is not None else self.need(key)
        if entry is None:
            return default or ""
        if entry.text not in allowed:
            hint = nearest(entry.text, allowed)
            self.fail(entry.line, f"{key} is {entry.text[:60]!r}; allowed: {', '.join(allowed)}{hint}")
        return entry.text


def load(path: str | os.PathLike[str], kind: type[Record]) -> Record:
    """Return the accelerator that a SCALE-Sim configuration describes.

    The three SRAMs become one buffer of their joint size, double-buffered; a word is a byte. With InterfaceBandwidth
    USER, DRAM moves ``Bandwidth`` words a cycle (all operands share them), with CALC nothing waits for it. SCALE-Sim
    knows no clock: 1 GHz stands in, so that 1 word a cycle is 1 GB/s. Offsets and request buffers change no cycle here.
    Keys that are not known, and bandwidths after the first, are in the accelerator's ``notes``.

    Raises:
        HardwareError: the file cannot be read, a key is missing or wrong (file and line), or asks for what is not
            modelled: sparsity, a custom layout, a DRAM trace.
    """
    file = Path(path)
    config = _Config(file, read_text(file, MAX_BYTES, "SCALE-Sim configuration", HardwareError))
    for key in _OFF:
        entry = config.get(key)
        if entry is not None and entry.text.lower() != "false":
            config.fail(entry.line, f"{key} is {entry.text[:60]!r}, which is not modelled; allowed: False")
    dataflow = config.choice("Dataflow", _DATAFLOWS)
    rows, columns = (config.integer(key, 1, 4096) for key in ("ArrayHeight", "ArrayWidth"))
    kib = sum(config.integer(key, 1, 1_000_000) for key in _SRAMS)
    user = config.choice("InterfaceBandwidth", ("CALC", "USER"), "CALC") == "USER"
    run = config.get("run_name")
    return from_dict(
        {
            "name": _name(run.text if run else "", file),
            "description": "SCALE-Sim's array; clock and widths are not in its configuration: 1 GHz, 8 bits",
            "source": f"SCALE-Sim configuration {file.name}",
            "clock_mhz": _CLOCK_MHZ,
            "array": {
                "rows": rows,
                "cols": columns,
                "dataflows": [f"scalesim_{dataflow}"],
                "interconnect": "systolic",
            },
            "precision": {"weight_bits": _BITS, "activation_bits": _BITS, "accumulator_bits": _BITS},
            "memory": {
                "global_buffer": {"size_kib": kib},
                "dram": {"bandwidth_gb_s": _bandwidth(config) if user else _AMPLE_GB_S},
            },
            "mapper": {"residency": "order"},  # its double buffers hold the tiles at hand
            "vector": {"model": "none"},
            "notes": (*config.unread(), *(_further_bandwidths(config) if user else ())),
        },
        kind,
    )


def _bandwidth(config: _Config) -> int:
    """Words a cycle; of several values the first, as SCALE-Sim takes it."""
    entry = config.need("Bandwidth")
    first = entry.text.partition(",")[0].strip()
    if not (first.isascii() and first.isdigit() and len(first) < 8 and 1 <= int(first) <= _AMPLE_GB_S):
        config.fail(
            entry.line, f"Bandwidth must be an integer from 1 to {_AMPLE_GB_S}, found {entry.text[:60]!r}"
        )
    return int(first)


def _further_bandwidths(config: _Config) -> tuple[str, ...]:
    values = [value for value in config.need("Bandwidth").text.split(",") if value.strip()]
    first = f"of {len(values)} values of Bandwidth the first, {_bandwidth(config)} words a cycle, is for all operands"
    return (first,) if len(values) > 1 else ()


def _meant(name: str, absent: list[str]) -> str:
    """The key, of those that are *absent*, that an unknown one is probably meant to be."""
    close = difflib.get_close_matches(name, absent, n=1, cutoff=0.85)
    return f" (did you mean {_KNOWN[close[0]]!r}?)" if close else ""


def _name(run_name: str, file: Path) -> str:
    """The run's name, or the file's, as far as an accelerator may be called so."""
    words = re.sub(r"[^A-Za-z0-9._+-]+", "_", run_name.strip('"') or file.stem)
    return words.lstrip("._+-")[:100] or "scalesim"
