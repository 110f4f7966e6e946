"""Report: what a network costs on an accelerator, as tables, sentences, files and a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.arguments import formerly
from squeezesim.network import Unmodelled
from squeezesim.report import metrics
from squeezesim.report.data import ReportData

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from squeezesim.mapping import Mapping
    from squeezesim.report.diagnosis import Finding
    from squeezesim.report.figures.accessor import Plots


@dataclass(frozen=True, eq=False)
class Report(ReportData):
    """What *network* costs on *accelerator*; ``costs`` has one row, of this accelerator.

    ``made_by`` says which version and which command made it; reports that differ in that alone are equal. Tables are
    pandas DataFrames, made on access; ``rows`` and ``totals`` are plain Python and need no pandas.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("alexnet"), sq.Accelerator.named("squeezelerator_16x16"))
        >>> report.totals["energy_uj"] is None  # the table of this accelerator is relative
        True
    """

    @property
    def totals(self) -> dict[str, int | float | None]:
        """Sums and ratios of the whole, by name; bytes, µs, µJ, shares of 1.

        params, macs, vector_ops, cycles, latency_us, utilization, efficiency, energy_uj, energy_mac_equiv, dram_bytes,
        area_mm2, weights_bytes, weights_values_bytes:
        utilization = executed MACs / (PEs · cycles), efficiency = MACs / (PEs · cycles).
        ``energy_uj`` is None where the energy table is relative and the accelerator gives no ``pj_per_unit``;
        ``energy_mac_equiv`` is the energy in units of one MAC, ``dram_bytes`` what moves between DRAM and buffer,
        ``weights_bytes`` what the learnt values take in a compressed file, ``weights_values_bytes`` without indices.
        """
        return metrics.totals(self)

    def rows(self, by: str = "layer") -> list[dict[str, Any]]:
        """Return one dictionary for each layer, stage or op; None where there is no number.

        Args:
            by: ``layer``, ``stage`` or ``op``.

        Raises:
            UsageError: *by* is none of the three.

        Example:
            >>> import squeezesim as sq
            >>> [row["stage"] for row in sq.simulate("alexnet", "os_32x32").rows("stage")][0]
            'stem'
        """
        return metrics.rows(self, by)

    def columns(self, by: str = "layer") -> metrics.Columns:
        """Return the columns of the table of layers, stages or ops, as arrays and lists by name.

        Raises:
            UsageError: *by* is none of the three.

        Example:
            >>> import squeezesim as sq
            >>> report = sq.simulate("alexnet", "os_32x32")
            >>> int(report.columns()["cycles"].sum()) == report.totals["cycles"]
            True
        """
        return metrics.columns(self, by)

    @property
    def layers(self) -> pd.DataFrame:
        """One row for each layer, fused ones with the layer that they are part of; units: docs/report-format.md."""
        return _frame(self.columns("layer"))

    @property
    def stages(self) -> pd.DataFrame:
        """One row for each stage: sums over its layers, and ``share`` of the network's cycles."""
        return _frame(self.columns("stage"))

    @property
    def losses(self) -> pd.DataFrame:
        """Where each layer's PE-cycles go: pe_cycles = executed_macs + edge + zeros + fill + …, exactly."""
        return _frame(metrics.loss_columns(self))

    @property
    def energy(self) -> pd.DataFrame:
        """Each layer's energy by level, in µJ (NaN where the table is relative) and in units of one MAC."""
        return _frame(metrics.energy_columns(self))

    @property
    def unmodelled(self) -> tuple[Unmodelled, ...]:
        """Operators of the network that have no rule and cost nothing here."""
        return self.network.unmodelled

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know: of the network, and of compression that the accelerator makes no use of."""
        from squeezesim.report.diagnosis import notes

        return notes(self)

    @property
    def mapping(self) -> Mapping:
        """Dataflow, loop order and tile sizes of each layer with MACs, which ``simulate`` takes as ``mapping``."""
        from squeezesim.mapping import Mapping

        return Mapping.of(self.network, self.accelerator.name, self.costs)

    @property
    def plot(self) -> Plots:
        """The figures of this report, as ``report.plot.utilization()``; see ``figures.accessor``."""
        from squeezesim.report.figures.accessor import Plots

        return Plots(self)

    @formerly(n="most")
    def bottlenecks(self, most: int = 3) -> list[Finding]:
        """Return the *most* layers that lose the most PE-cycles, worst first, each with the reason in a sentence.

        Example:
            >>> import squeezesim as sq
            >>> print(sq.simulate("squeezenext_23", "os_32x32").bottlenecks(1)[0])
            head.fc takes 9.4 % of the time at 0.1 % utilization: its 1 output pixel fills 1 of 1,024 PEs, leaving \
96.8 % of its PE-cycles idle
        """
        from squeezesim.report.diagnosis import findings

        return findings(self, most)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the report to *path* in the format of its suffix.

        ``.json`` is all of it, which ``load`` reads; ``.csv`` and ``.parquet`` the layers; ``.md`` what is printed;
        ``.html`` one page with charts and reasons; ``.png`` and ``.svg`` the figure; ``.trace.json`` the tiles over
        time for Perfetto and Chrome; ``.mapping.json`` the mapping of each layer.

        Raises:
            UsageError: the path ends in none of these.
            OutputError: the file cannot be written.

        Example:
            >>> import squeezesim as sq
            >>> sq.simulate("alexnet", "os_32x32").save("alexnet.html")  # doctest: +SKIP
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

        data = load(path)
        return cls(data.network, data.accelerator, data.costs, data.made_by, data.mapped)

    def __str__(self) -> str:
        from squeezesim.report.text import text

        return text(self)

    def __repr__(self) -> str:
        from squeezesim.report.notebook import screen

        return screen(self)

    def _repr_html_(self) -> str:
        from squeezesim.report.notebook import html

        return html(self)


def _frame(table: metrics.Columns) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table)
