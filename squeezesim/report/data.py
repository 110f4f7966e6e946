"""What a report holds, before anything is derived from it; what made it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from squeezesim._version import __version__
from squeezesim.cost.costs import Costs
from squeezesim.cost.evaluate import evaluate_each
from squeezesim.cost.lowering import as_run, joined
from squeezesim.cost.machine import Machine
from squeezesim.cost.occupancy import Occupancy, occupancy
from squeezesim.cost.problem import Operands, operands_of
from squeezesim.errors import MappingError, ReportError
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Network
from squeezesim.network.checks import MAX_TEXT, show
from squeezesim.network.layer import Layer
from squeezesim.report.tally import Scale, Tally

MOST_WORDS = 1000
"""Words of the longest command that is read."""


@dataclass(frozen=True, slots=True)
class Maker:
    """What made a report.

    Versions of Python and of libraries are no part of it, so that the same report is the same file on every machine.

    Attributes:
        version: of squeezesim; empty where a file does not say it.
        command: words of the command after ``squeezesim``, without the files that it writes; empty from Python.
        saved: whether the report was read from a file.

    Example:
        >>> str(Maker(command=("profile", "my net.onnx", "--hw", "os_32x32")))
        "squeezesim profile 'my net.onnx' --hw os_32x32"
    """

    version: str = __version__
    command: tuple[str, ...] = ()
    saved: bool = False

    @classmethod
    def of(cls, words: Sequence[str]) -> Maker:
        """Return this version with the command of *words*; without it where one is no text for a line."""
        return cls(command=tuple(words) if all(map(_is_word, words)) else ())

    def __str__(self) -> str:
        return shlex.join(["squeezesim", *self.command]) if self.command else ""


def _is_word(text: str) -> bool:
    return len(text) <= MAX_TEXT and text.isprintable()


def to_data(maker: Maker) -> dict[str, Any]:
    """Return *maker* as what ``report.json`` holds."""
    command = {"command": list(maker.command)} if maker.command else {}
    return {"squeezesim": maker.version, **command}


def from_data(data: Any) -> Maker:
    """Return the maker that ``report.json`` holds; None for a file that has none.

    Raises:
        ReportError: one line that says what is wrong.
    """
    if data is None:
        return Maker(version="", saved=True)
    if not isinstance(data, dict):
        raise ReportError(f"made_by must be an object, found {show(data)}")
    version, words = data.get("squeezesim", ""), data.get("command", [])
    if not isinstance(words, list) or len(words) > MOST_WORDS:
        raise ReportError(
            f"made_by: command must be a list of at most {MOST_WORDS:,} words, found {show(words)}"
        )
    for where, word in [("squeezesim", version), *(("a word of command", word) for word in words)]:
        if not (isinstance(word, str) and _is_word(word)):
            raise ReportError(
                f"made_by: {where} must be printable text of at most {MAX_TEXT} characters, found {show(word)}"
            )
    return Maker(version, tuple(words), saved=True)


@dataclass(frozen=True, eq=False)
class ReportData:
    """What *network* costs on *accelerator*, as what writers read; ``costs`` has one row, of this accelerator.

    What follows from the three is made once, on first use. ``made_by`` says which version and which command made it;
    data that differ in that alone are equal.
    """

    network: Network
    accelerator: Accelerator
    costs: Costs
    made_by: Maker = field(default_factory=Maker)
    mapped: tuple[str, ...] = ()  # layers whose mapping was given, not searched

    @cached_property
    def machine(self) -> Machine:
        """The numbers of the accelerator that the cost formulas read."""
        return Machine.of(self.accelerator)

    @cached_property
    def joined(self) -> Mapping[int, int]:
        """The layers that joined another one, by number, each with that of the layer."""
        return joined(self.network.layers, self.machine, self.costs.cycles[0].tolist())

    @cached_property
    def ran(self) -> Sequence[Layer]:
        """The layers as the accelerator ran them, with what joined them."""
        return as_run(self.network.layers, self.machine, self.costs.cycles[0].tolist())

    @cached_property
    def operands(self) -> tuple[Operands, ...]:
        """Widths and density with which each layer runs, its own or the accelerator's."""
        return tuple(operands_of(layer, self.machine) for layer in self.network.layers)

    @cached_property
    def memories(self) -> dict[str, tuple[str, ...]]:
        """What DRAM and each memory beside it holds of ``Costs.operands``; partial sums live with outputs."""
        homes = {
            operand: self.machine.home("outputs" if operand == "psums" else operand)
            for operand in self.costs.operands
        }
        return {
            name: tuple(operand for operand, home in homes.items() if home == place)
            for place, name in enumerate(self.machine.memory_names)
        }

    @property
    def memory_words(self) -> str:
        """What operands pass: ``DRAM``, or ``memories`` where some live beside it."""
        return "DRAM" if len(self.memories) == 1 else "memories"

    @cached_property
    def where_maps_stay(self) -> ReportData | None:
        """The same where feature maps may stay in the buffer, costed anew; None where they may here, or cannot."""
        buffer = self.accelerator.memory.global_buffer
        if "activations" in buffer.keeps or buffer.parts or self.mapped:
            return None
        changed = self.accelerator.replace({"memory.global_buffer.keeps": ["activations", *buffer.keeps]})
        (costs, (misfit,)) = evaluate_each(self.network.layers, [changed])
        return None if misfit else ReportData(self.network, changed, costs)

    @cached_property
    def occupancy(self) -> Occupancy | None:
        """What is in the buffer while each layer runs; None where nothing stays, or homes that were read contradict."""
        if not self.costs.kept_bytes.any():
            return None
        inputs = {name: prod(shape) for name, shape in self.network.inputs}
        with suppress(MappingError):
            return occupancy(self.network.layers, inputs, self.machine, self.costs)
        return None

    @cached_property
    def scale(self) -> Scale:
        """What turns sums into ratios and units."""
        return Scale.of([self.accelerator])

    @cached_property
    def tally(self) -> Tally:
        """The sums behind every table, one row for each layer."""
        return Tally.of(self.network.layers, self.costs, [self.operands]).take(0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ReportData):
            return NotImplemented
        same = self.network == other.network and self.accelerator == other.accelerator
        return same and self.costs.equals(other.costs)

    __hash__ = None  # type: ignore[assignment]
