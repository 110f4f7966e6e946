"""New accelerator files: a commented one from a few numbers, or a shipped one under another name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from squeezesim.errors import UsageError, nearest
from squeezesim.hardware import catalog, dataflows
from squeezesim.hardware.config import explain, from_text
from squeezesim.hardware.parts import Specification
from squeezesim.hardware.unit import LOOPS, Unit, misnamed
from squeezesim.yaml_tree import Source

_SIZES = {"": 1.0, "kib": 1.0, "mib": 1024.0, "gib": 1024.0**2, "b": 1 / 1024}
_RATES = {"": 1.0, "gb/s": 1.0, "mb/s": 1e-3, "gib/s": 1.073741824, "mib/s": 1.048576e-3}
_CLOCKS = {"": 1.0, "mhz": 1.0, "ghz": 1e3, "khz": 1e-3}


def _quantity(option: str, text: str, units: Mapping[str, float], example: str) -> float:
    """The number that *text* says, in the unit of the file."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z/]*)\s*", text)
    if not match or match[2].lower() not in units:
        raise UsageError(f"{option} {text!r}; allowed: a number with a unit, as {example}")
    return float(match[1]) * units[match[2].lower()]


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a new file says, as the command line spells it.

    Attributes:
        pes: rows and columns, ``16x16``; empty where there are units alone.
        units: ``conv=c:16,k:16,x:8``, one for each unit.
        sram: size of the buffer, ``256KiB``.
        dram: bandwidth, ``4GB/s``.
        clock: ``800MHz``.
        bits: of weights and activations.
        dataflows: of rows and columns, ``ws+os``.

    Raises:
        UsageError: a text cannot be read, or there are neither PEs nor units.
    """

    pes: str = ""
    units: Sequence[str] = ()
    sram: str = "256KiB"
    dram: str = "12.8GB/s"
    clock: str = "800MHz"
    bits: int = 8
    dataflows: str = "ws+os"

    def text(self, name: str) -> str:
        """Return the YAML of an accelerator called *name*, with what each key is beside it.

        Example:
            >>> Numbers(pes="16x16").text("mine").splitlines()[1]
            'name: mine'
        """
        if not self.pes and not self.units:
            raise UsageError("no array; allowed: --pes ROWSxCOLS, --unit NAME=LOOP:COUNT,… or --like NAME")
        size = _quantity("--sram", self.sram, _SIZES, "256KiB")
        rate = _quantity("--dram", self.dram, _RATES, "4GB/s")
        clock = _quantity("--clock", self.clock, _CLOCKS, "800MHz")
        return "\n".join(
            [
                "# squeezesim hw check FILE reads this file; squeezesim hw show FILE lists every key.",
                f"name: {name}",
                'description: ""  # what it is, in a sentence',
                'source: ""  # what it was taken from',
                "",
                f"clock_mhz: {clock:.10g}  # of the array and the buffer",
                "",
                "array:",
                *self._shared(),
                *self._units(),
                "",
                "precision:  # of layers that bring no widths of their own",
                f"  weight_bits: {self.bits}",
                f"  activation_bits: {self.bits}",
                "  accumulator_bits: 32",
                "  # rates: [{weights: 4, activations: 8, macs: 2}]  # MACs a cycle in a PE; of other widths 1",
                "",
                "memory:",
                "  global_buffer:",
                f"    size_kib: {size:.10g}  # 1 KiB = 1024 bytes; tiles of all operands share it",
                "    double_buffered: [inputs, weights, outputs]  # transferred while the array works",
                "    keeps: [activations]  # feature maps may stay from layer to layer; []: all go through DRAM",
                "  dram:",
                '    # A value may say where it comes from: {value: 12.8, provenance: datasheet, source: "…"}',
                f"    bandwidth_gb_s: {rate:.10g}  # peak, 1 GB = 1e9 bytes",
                "    usable_fraction: 0.8  # of the peak, that long transfers reach",
                "    latency_ns: 100  # until a transfer that nothing prefetches begins",
                "",
                "control:",
                "  layer_setup_cycles: 1000  # that every layer pays once",
                "",
                "mapper:",
                "  objective: latency  # or energy, or edp",
                "  latency_slack: 0.05  # share of time that is given for fewer DRAM bytes",
                "",
                "vector:",
                f"  lanes: null  # operations a cycle of pooling, additions, softmax; null: {self._lanes()}",
                "",
                "energy:",
                "  table: cacti_45nm  # one of docs/hardware.md, or overrides of your own",
                "",
            ]
        )

    def _lanes(self) -> str:
        if not self.units:
            return "one for each column"
        return f"one for each {'column or ' * bool(self.pes)}output of a unit's step"

    def _shared(self) -> list[str]:
        if not self.pes:
            return []
        match = re.fullmatch(r"(\d+)[x×X*](\d+)", self.pes.strip())
        if not match:
            raise UsageError(f"--pes {self.pes!r}; allowed: ROWSxCOLS, as 16x16")
        return [
            f"  rows: {match[1]}",
            f"  cols: {match[2]}",
            f"  dataflows: [{', '.join(self.dataflows.split('+'))}]  # each layer gets the best",
            "  ports: null  # words a cycle of preload and drain; null: one for each column",
            "  register_file:",
            "    psum_words: 64  # partial sums that a PE keeps in os",
        ]

    def _units(self) -> list[str]:
        mistakes: list[str] = []
        names: list[str] = []
        lines = ["  units:  # loops in space: {unroll, stationary, runs, output_words, …}"] * bool(self.units)
        for text in self.units:
            name, sign, loops = text.partition("=")
            pairs = [part.strip().partition(":") for part in loops.split(",")]
            for _, colon, count in pairs:
                if not sign or not colon or not count.strip().isdigit():
                    raise UsageError(f"--unit {text!r}; allowed: NAME=LOOP:COUNT,…, as conv=c:16,k:16,x:8")
            loops_given, known = [loop.strip() for loop, _, _ in pairs], tuple(LOOPS)
            mistakes += [
                f"--unit {text!r} unrolls {loop!r}; allowed: {', '.join(known)}{nearest(loop, known)}"
                for loop in dict.fromkeys(loops_given)
                if loop not in known
            ]
            unroll = {loop.strip(): int(count) for loop, _, count in pairs}
            if len(unroll) < len(pairs):
                twice = next(loop for loop in loops_given if loops_given.count(loop) > 1)
                mistakes.append(f"--unit {text!r} unrolls {twice!r} twice; allowed: once")
            if wrong := misnamed(name.strip(), dataflows.names()):
                mistakes.append(f"--unit {text!r} is named {wrong}")
            elif name.strip() in names:
                mistakes.append(
                    f"--unit {text!r} is the second one named {name.strip()!r}; allowed: another name"
                )
            names.append(name.strip())
            mistakes += [f"--unit {text!r}: {mistake}" for mistake in _mistakes(unroll, known)]
            given = ", ".join(f"{loop}: {count}" for loop, count in unroll.items())
            lines.append(f"    {name.strip()}: {{unroll: {{{given}}}, stationary: outputs}}")
        if mistakes:
            raise UsageError(*mistakes)
        return lines


def _mistakes(unroll: Mapping[str, int], known: Sequence[str]) -> list[str]:
    """What is wrong with the *known* loops of a unit, if it has any."""
    named = {loop: count for loop, count in unroll.items() if loop in known}
    try:
        Unit.model_validate({"unroll": named or {known[0]: 1}})
    except ValidationError as error:
        found = (
            explain({**detail, "loc": ("array", "units", "unit", *detail["loc"])})
            for detail in error.errors()
        )
        return [each.message.removeprefix("array.units.unit").removeprefix(".").strip() for each in found]
    return []


def like(shipped: str, name: str) -> str:
    """Return the file of the accelerator *shipped*, comments and provenance included, with the name *name*.

    Raises:
        HardwareError: there is no such accelerator.
    """
    catalog.named(shipped, Specification)
    text = (catalog.directory() / f"{shipped}.yaml").read_text(encoding="utf-8")
    return re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1)


def check(text: str, path: str) -> None:
    """Check that a new file's *text* is an accelerator; HardwareError with its mistakes."""
    from_text(Source(path, text), Specification)
