"""Report: what a network costs on an accelerator, as tables, sentences, files and a figure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from squeezesim.cost.evaluate import Costs
from squeezesim.errors import UsageError, nearest
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.network import Network, Unmodelled
from squeezesim.report import columns
from squeezesim.report.maker import Maker
from squeezesim.report.tally import Scale, Tally

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from squeezesim.report.figures.accessor import Plots
    from squeezesim.report.findings import Finding


@dataclass(frozen=True, eq=False)
class Report:
    """What *network* costs on *accelerator*; ``costs`` has one row, of this accelerator.

    ``made_by`` says which version and which command made it; reports that differ in that alone are equal. Tables are
    pandas DataFrames, made on access; ``rows`` and ``totals`` are plain Python and need no pandas.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("alexnet"), sq.Accelerator.named("squeezelerator_16x16"))
        >>> report.totals["energy_uj"] is None  # the table of this accelerator is relative
        True
    """

    network: Network
    accelerator: Accelerator
    costs: Costs
    made_by: Maker = field(default_factory=Maker)

    @cached_property
    def scale(self) -> Scale:
        """What turns sums into ratios and units."""
        return Scale.of(self.accelerator)

    @cached_property
    def tally(self) -> Tally:
        """The sums behind every table, one row for each layer."""
        return Tally.of(self.network.layers, self.costs, self.accelerator)

    @property
    def totals(self) -> dict[str, int | float | None]:
        """Sums and ratios of the whole, by name.

        params, macs, vector_ops, cycles, latency_us, utilization, efficiency, energy_uj, energy_mac_equiv, dram_bytes,
        weights_bytes, weights_values_bytes:
        ``energy_uj`` is None where the energy table is relative and the accelerator gives no ``pj_per_unit``;
        ``energy_mac_equiv`` is the energy in units of one MAC, ``dram_bytes`` what moves between DRAM and buffer,
        ``weights_bytes`` what the learnt values take in a compressed file, ``weights_values_bytes`` without indices.
        """
        return columns.totals(self)

    def rows(self, by: str = "layer") -> list[dict[str, Any]]:
        """Return one dictionary for each layer, stage or op; None where there is no number.

        Raises:
            UsageError: *by* is none of the three.
        """
        return columns.to_rows(self.columns(by))

    def columns(self, by: str = "layer") -> columns.Columns:
        """Return the columns of the table of layers, stages or ops.

        Raises:
            UsageError: *by* is none of the three.
        """
        if by == "layer":
            return columns.layer_columns(self)
        if by in columns.GROUPS:
            return columns.group_columns(self, by)
        allowed = ", ".join(columns.GROUPS)
        raise UsageError(f"rows are by {allowed}, found {by!r}{nearest(by, columns.GROUPS)}")

    @property
    def layers(self) -> pd.DataFrame:
        """One row for each layer, fused ones with the layer that they are part of."""
        return _frame(self.columns("layer"))

    @property
    def stages(self) -> pd.DataFrame:
        """One row for each stage: sums over its layers, and ``share`` of the network's cycles."""
        return _frame(self.columns("stage"))

    @property
    def losses(self) -> pd.DataFrame:
        """Where each layer's PE-cycles go: pe_cycles = executed_macs + edge + zeros + fill + …, exactly."""
        return _frame(columns.loss_columns(self))

    @property
    def energy(self) -> pd.DataFrame:
        """Each layer's energy by level, in µJ and in units of one MAC."""
        return _frame(columns.energy_columns(self))

    @property
    def unmodelled(self) -> tuple[Unmodelled, ...]:
        """Operators of the network that have no rule and cost nothing here."""
        return self.network.unmodelled

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: of the network, and of compression that the accelerator makes no use of."""
        from squeezesim.report.unused import notes

        return (*self.network.notes, *notes(self))

    @property
    def plot(self) -> Plots:
        """The figures of this report, as ``report.plot.utilization()``; see ``figures.accessor``."""
        from squeezesim.report.figures.accessor import Plots

        return Plots(self)

    def bottlenecks(self, n: int = 3) -> list[Finding]:
        """Return the *n* layers that lose the most PE-cycles, worst first, each with the reason in a sentence."""
        from squeezesim.report.findings import findings

        return findings(self, n)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the report to *path* in the format of its suffix.

        ``.json`` is all of it, which ``load`` reads; ``.csv`` and ``.parquet`` the layers; ``.md`` what is printed;
        ``.html`` one page with charts and reasons; ``.png`` and ``.svg`` the figure; ``.trace.json`` the tiles over
        time for Perfetto and Chrome.

        Raises:
            UsageError: the path ends in none of these.
            OutputError: the file cannot be written.
        """
        from squeezesim.report.files import save

        save(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Report:
        """Read the report that ``save`` wrote to a ``.json`` file; a file of a stranger is safe to load.

        Raises:
            ReportError: the file is missing, unreadable, malformed or of another version.
        """
        from squeezesim.report.files import load

        return load(path)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Report):
            return NotImplemented
        arrays = (
            np.array_equal(getattr(self.costs, field.name), getattr(other.costs, field.name))
            for field in dataclasses.fields(Costs)
        )
        return self.network == other.network and self.accelerator == other.accelerator and all(arrays)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        from squeezesim.report.text import text

        return text(self)

    def __repr__(self) -> str:
        from squeezesim.report.notebook import screen

        return screen(self)

    def _repr_html_(self) -> str:
        from squeezesim.report.notebook import html

        return html(self)


def _frame(table: columns.Columns) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table)
