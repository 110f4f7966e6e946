"""The names of the dataflows that an accelerator may offer."""

from __future__ import annotations

from typing import Literal, get_args

Dataflow = Literal["ws", "os", "rs"]
"""``ws``: weight stationary, input × output channels; ``os``: output stationary, a block of pixels; ``rs``: row
stationary, filter rows × output rows."""

DATAFLOWS: tuple[Dataflow, ...] = get_args(Dataflow)
