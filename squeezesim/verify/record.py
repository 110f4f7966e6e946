"""What a check of the model against a source yields: rows of reference and ours, and the bounds that must hold."""

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
    """

    name: str
    title: str
    source: str
    method: str
    rows: tuple[Row, ...]
    bounds: tuple[Bound, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether every bound holds."""
        return all(bound.holds for bound in self.bounds)
