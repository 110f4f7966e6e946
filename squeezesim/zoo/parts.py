"""Modules that several families share."""

from __future__ import annotations

import torch
from torch import nn


class Conv(nn.Conv2d):
    """A convolution without bias, followed by batch-norm and an activation, ReLU by default."""

    def __init__(
        self,
        c: int,
        k: int,
        size: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__(c, k, size, stride=stride, padding=padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(k)
        self.act = nn.ReLU(inplace=True) if activation is None else activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return act(norm(conv(x)))."""
        y: torch.Tensor = self.act(self.norm(super().forward(x)))
        return y


class BiasConv(nn.Conv2d):
    """A convolution with bias, followed by ReLU."""

    def __init__(
        self, c: int, k: int, size: int, *, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> None:
        super().__init__(c, k, size, stride=stride, padding=padding, groups=groups)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu(conv(x))."""
        y: torch.Tensor = self.act(super().forward(x))
        return y
