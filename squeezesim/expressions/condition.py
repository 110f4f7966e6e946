"""Condition: what was parsed, and where it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from squeezesim.errors import UsageError
from squeezesim.expressions.terms import Columns, Truth


@dataclass(frozen=True)
class Condition:
    """A condition that ``parse`` read.

    Attributes:
        text: as it was written.
        names: the names in it, in the order in which they appear.
        is_relative: it compares with a baseline.
        truth: what it says of columns and of those of the baseline.
    """

    text: str
    names: tuple[str, ...]
    is_relative: bool
    truth: Truth

    @overload
    def holds(
        self, values: Mapping[str, float | None], baseline: Mapping[str, float | None] | None = None
    ) -> bool: ...

    @overload
    def holds(
        self, values: Mapping[str, NDArray[Any]], baseline: Mapping[str, ArrayLike | None] | None = None
    ) -> NDArray[np.bool_]: ...

    def holds(
        self,
        values: Mapping[str, Any],
        baseline: Mapping[str, Any] | None = None,
    ) -> bool | NDArray[np.bool_]:
        """Return whether the condition is true: of numbers a bool, of arrays an array.

        It is not where that depends on a number that is missing (None or not a number), negated or not.

        Args:
            values: a number or an array for each of ``names``; more do not matter.
            baseline: the same of what relative conditions compare with.

        Raises:
            UsageError: the condition is relative and there is no baseline.

        Example:
            >>> slower = parse("latency_us > +2%", ["latency_us"])
            >>> slower.holds({"latency_us": 103.0}, {"latency_us": 100.0})
            True
        """
        if self.is_relative and baseline is None:
            raise UsageError(
                f"{self.text!r} compares with a baseline, and there is none; allowed: numbers, as 1.3ms"
            )
        before = None if baseline is None or not self.is_relative else self._columns(baseline)
        with np.errstate(all="ignore"):
            true, _ = self.truth(self._columns(values), before)
        return true if true.ndim else bool(true)

    def _columns(self, values: Mapping[str, Any]) -> Columns:
        return {name: np.asarray(values[name], np.float64) for name in self.names}
