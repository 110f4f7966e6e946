"""What the strategies of several parts share."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hypothesis import strategies as st


@lru_cache(typed=True, maxsize=1024)
def among(*values: Any) -> st.SearchStrategy[Any]:
    """One of *values*, from the same strategy each time: a new one is checked anew, which takes longer than a draw."""
    return st.sampled_from(values)
