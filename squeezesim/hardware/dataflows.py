"""The names of the dataflows that an accelerator may offer."""

from __future__ import annotations

from typing import Literal, get_args

Dataflow = Literal["ws", "os", "rs", "scalesim_os", "scalesim_ws", "scalesim_is"]
"""``ws``: weight stationary, input × output channels; ``os``: output stationary, a block of pixels; ``rs``: row
stationary, filter rows × output rows; ``scalesim_*``: SCALE-Sim's systolic array, outputs, weights or inputs
stationary."""

DATAFLOWS: tuple[Dataflow, ...] = get_args(Dataflow)

SkippingDataflow = Literal["os"]
"""Those that can leave out zero weights."""

SKIPPING: tuple[SkippingDataflow, ...] = get_args(SkippingDataflow)
