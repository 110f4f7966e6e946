"""Results as a DataFrame that a notebook shows with units: the columns that people compare, the first rows."""

from __future__ import annotations

from functools import cache
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from squeezesim.markup import block, table
from squeezesim.report import units
from squeezesim.report.metrics import METRICS, format_value, header

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

MOST = 20
"""Rows that are shown."""
LONGEST = 120
"""Characters of a text; more are cut between words."""

_SECONDARY = frozenset(
    {
        *("design", "baseline", "vector_ops", "efficiency", "weights_bytes", "weights_values_bytes"),
        *("late_share", "params_relative", "macs_relative", "cycles_relative"),
    }
)
_CHANGES = frozenset({"latency_lower", "latency_upper", "energy_lower", "energy_upper"})


def results(frame: pd.DataFrame, title: str) -> pd.DataFrame:
    """Return *frame* as a DataFrame that shows itself under *title*; what is made of it is a plain one."""
    found = _results_type()(frame)
    found.attrs = {"title": title, **frame.attrs}
    return found


@cache
def _results_type() -> type[pd.DataFrame]:
    import pandas as pd

    class Results(pd.DataFrame):
        """A DataFrame of results."""

        @property
        def _constructor(self) -> type[pd.DataFrame]:
            return pd.DataFrame

        def __reduce__(self) -> Any:  # a class in a function has no name that a pickle could find
            return _plain, (self.copy(),)

        def _repr_html_(self) -> str:
            return html(self)

    return Results


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def html(frame: pd.DataFrame) -> str:
    """Return the first rows of *frame* as a table of HTML; below it, how many rows and which columns are not shown."""
    shown = [name for name in frame.columns if _is_shown(frame, name)]
    head = frame.head(MOST)
    body = [
        [_cell(name, value) for name, value in zip(shown, row, strict=True)] for row in _rows(head, shown)
    ]
    left = [
        place
        for place, name in enumerate(shown)
        if head[name].map(lambda value: isinstance(value, str)).any()
    ]
    notes = [units.part(len(head), len(frame), "row")]
    if others := [str(name) for name in frame.columns if name not in shown]:
        notes.append(f"more columns: {', '.join(others)}")
    texts = [note for note in notes if note]
    return block(
        str(frame.attrs.get("title", "")), table([_header(name) for name in shown], body, left), *texts
    )


def _is_shown(frame: pd.DataFrame, name: str) -> bool:
    if name in _SECONDARY or (len(frame) and frame[name].isna().all()):
        return False
    return not (name == "energy_mac_equiv" and "energy_uj" in frame and frame["energy_uj"].notna().any())


def _rows(frame: pd.DataFrame, names: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(frame[name].tolist() for name in names), strict=True))


def _header(name: str) -> str:
    return f"{name.removesuffix('_relative')} ×" if name.endswith("_relative") else header(name)


def _cell(name: str, value: Any) -> str:
    if value is None or value is False or value == "" or value != value:  # noqa: PLR0124  NaN differs from itself
        return units.EMPTY
    if name in METRICS:
        return format_value(name, value)
    if name in _CHANGES:
        return units.change(value)
    forms = {"_bytes": units.size, "_us": units.decimal, "_relative": _ratio, "_elasticity": _ratio}
    form = next((form for suffix, form in forms.items() if name.endswith(suffix)), _written)
    return form(value)


def _ratio(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # + 0.0: no −0.00


def _written(value: Any) -> str:
    """A value that is no metric: a parameter as it is given, a tuple of blocks, a mark."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    if value is True:
        return "yes"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", "−")
    return shorten(str(value), LONGEST, placeholder=" …") if isinstance(value, str) else str(value)
