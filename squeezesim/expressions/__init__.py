"""Conditions on columns, such as ``latency_us > +2%`` or ``params < 1M and dram_bytes <= 4MiB``; nothing is evaluated.

Grammar, loosest first::

    condition   and · or · not, comparisons, parentheses
    comparison  side (< <= > >= == !=) side …     0 < x <= 5 is 0 < x and x <= 5
    side        +2% or -5%: a change from the baseline of what stands on the other side; else a sum
    sum         numbers, names and parentheses with + - * /
    number      1300, 1.3e3, 1M, 4Ki, 1.3ms, 4MiB, 60%

A number without a unit is in the unit of the column that it meets, one with a unit is converted to it.
"""

from __future__ import annotations

from squeezesim.expressions.condition import Condition
from squeezesim.expressions.parser import parse, quantity

__all__ = ["Condition", "parse", "quantity"]
