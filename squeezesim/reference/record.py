"""What a check of the model against a source yields: rows of reference and ours, bounds that must hold."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a source beside ours.

    Example:
        >>> round(Row("AlexNet", "relative time", 8.26, 8.11).error, 3)
        -0.018
    """

    subject: str
    quantity: str
    reference: float
    ours: float
    unit: str = ""

    @property
    def error(self) -> float:
        """Relative error, ours / reference − 1; 0 where both are 0."""
        if self.reference == 0:
            return 0.0 if self.ours == 0 else float("inf")
        return self.ours / self.reference - 1


@dataclass(frozen=True, slots=True)
class Bound:
    """A stated limit: *value* may not exceed *limit*."""

    text: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    """Further numbers, as they are printed: the first column holds names.

    Attributes:
        title: one line.
        headers: one for each column.
        cells: rows of as many texts.
        note: how the table is made, one paragraph.
    """

    title: str
    headers: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """All that is compared with one source.

    Attributes:
        name: short name, as on the command line.
        title: one line.
        source: where the reference comes from.
        method: how ours is computed, a few sentences.
        rows: reference beside ours.
        bounds: what must hold; ``validate`` exits 1 where one does not.
        notes: what differs and why, contradictions of the source.
        tables: what else belongs to the check: errors without a parameter, by family …
    """

    name: str
    title: str
    source: str
    method: str
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = field(default=())
    tables: tuple[Table, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(bound.holds for bound in self.bounds)
