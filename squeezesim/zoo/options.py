"""Options of a family of networks: their types, their text form, their ranges."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from squeezesim.errors import ModelError, nearest
from squeezesim.network.checks import show

Value = int | float | str | tuple[int, ...]

INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
"""Text of an integer: Python's own reader also takes ``1_0``, spaces and the digits of other scripts."""

NUMBER = re.compile(r"[+-]?([0-9]{1,18}(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
"""Text of a number, with or without a point and an exponent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What an option may be: a number in *low* … *high*, *length* of them, or one of *choices*.

    Example:
        >>> depth = Option(name="depth", kind="ints", low=1, high=100, length=4, default=(6, 6, 8, 1))
        >>> depth.parse("2-4-14-1")
        (2, 4, 14, 1)
    """

    name: str
    kind: Literal["int", "float", "ints", "choice"]
    default: Value
    low: float = 0
    high: float = 0
    length: int = 0
    choices: tuple[str, ...] = ()

    def parse(self, value: object) -> Value:
        """Return *value*, which may be text such as ``2-4-14-1`` or ``1.5``, in the option's type.

        Raises:
            ModelError: it is none, or out of range.
        """
        match self.kind:
            case "choice":
                if isinstance(value, str) and value in self.choices:
                    return value
                hint = nearest(value, self.choices) if isinstance(value, str) else ""
                raise self._error(value, hint)
            case "ints":
                parts = value.split("-") if isinstance(value, str) else value
                if not isinstance(parts, (list, tuple)) or len(parts) != self.length:
                    raise self._error(value)
                return tuple(int(self._number(part, value, whole=True)) for part in parts)
            case "int":
                return int(self._number(value, value, whole=True))
            case "float":
                return float(self._number(value, value, whole=False))

    def format(self, value: Value) -> str:
        """Return *value* as the text that ``parse`` reads."""
        if isinstance(value, tuple):
            return "-".join(map(str, value))
        return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)

    @property
    def allowed(self) -> str:
        """What the option may be, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        span = f"from {self.low:g} to {self.high:g}"
        if self.kind == "ints":
            return f"{self.length} integers {span} joined by '-'"
        return f"{'an integer' if self.kind == 'int' else 'a number'} {span}"

    def _number(self, part: object, value: object, *, whole: bool) -> float:
        if isinstance(part, str):
            if not (INTEGER if whole else NUMBER).fullmatch(part):
                raise self._error(value)
            part = int(part) if whole else float(part)
        if isinstance(part, bool) or not isinstance(part, int if whole else (int, float)):
            raise self._error(value)
        if not math.isfinite(part) or not self.low <= part <= self.high:
            raise self._error(value)
        return part

    def _error(self, value: object, hint: str = "") -> ModelError:
        return ModelError(f"option {self.name!r} must be {self.allowed}, found {show(value)}{hint}")
