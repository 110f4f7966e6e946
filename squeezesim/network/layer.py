"""Layer and Network: frozen records of loop sizes, operands, parameters, MACs and edges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from squeezesim.errors import ModelError

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

Kind = Literal["mac", "vector", "view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator of a network, as loop sizes and operand sizes.

    A layer of kind ``mac`` is the loop nest
    ``out[n, g·K+k, y, x] += in[n, g·C+c, y·sy + fy·dy − py, x·sx + fx·dx − px] · w[g·K+k, c, fy, fx]``
    over N (batch), G (groups), K (output channels in a group), C (input channels in a group), OY, OX, FY, FX.
    A matrix product has FY = FX = 1, one row of its left operand for each (n, oy). Kind ``vector`` is work on single
    elements (pooling, add, softmax, an activation); kind ``view`` is free (concat).

    Sizes of operands are in elements of the tensors in memory, padding excluded.
    """

    name: str
    op: str
    kind: Kind
    module: str = ""
    stage: str = ""
    inputs: tuple[str, ...] = ()
    n: int = 1
    g: int = 1
    k: int = 1
    c: int = 1
    oy: int = 1
    ox: int = 1
    fy: int = 1
    fx: int = 1
    iy: int = 1
    ix: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)  # above and to the left; what lies below and right follows from the sizes
    input_elements: int = 0
    weight_elements: int = 0
    output_elements: int = 0
    params: int = 0
    vector_ops: int = 0
    weights_are_activations: bool = False  # a product of two activations, as in attention
    fused: tuple[str, ...] = ()  # operators applied to the output before it leaves the array
    weight_bits: int | None = None
    activation_bits: int | None = None
    accumulator_bits: int | None = None
    weight_density: float | None = None

    @property
    def macs(self) -> int:
        """Multiply–accumulates: N·G·K·C·OY·OX·FY·FX for a convolution or matrix product, 0 otherwise."""
        if self.kind != "mac":
            return 0
        return self.n * self.g * self.k * self.c * self.oy * self.ox * self.fy * self.fx
