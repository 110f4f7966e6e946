"""What it says: a report of costs as tables, sentences, files and a figure."""

from __future__ import annotations

from squeezesim.report.report import Report

__all__ = ["Report"]
