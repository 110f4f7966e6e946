"""Modules that several families share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TypeVar

import torch
from torch import nn

_T = TypeVar("_T")


class Staged(nn.Sequential):
    """A network as its children ``stem``, ``stage1`` … ``stageN``, ``head`` in turn: images (N, 3, H, W) to scores."""

    def __init__(self, stem: nn.Module | None, stages: Iterable[nn.Module], head: nn.Module) -> None:
        parts = {} if stem is None else {"stem": stem}
        super().__init__(OrderedDict(**parts, **numbered("stage", stages), head=head))


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


class SqueezeExcite(nn.Module):
    """Each channel scaled by a gate that two fully connected layers compute from the means of all channels."""

    def __init__(self, c: int, squeezed: int, activation: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(c, squeezed, 1)
        self.act = activation
        self.expand = nn.Conv2d(squeezed, c, 1)
        self.gate = gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x · gate(x)."""
        y: torch.Tensor = x * self.gate(self.expand(self.act(self.reduce(self.pool(x)))))
        return y


class InvertedResidual(nn.Module):
    """A 1×1 expansion, a depthwise convolution, squeeze-and-excitation if any, a 1×1 projection, a shortcut.

    There is no expansion where *expanded* is *c*, and a shortcut where the block keeps the shape of its input.
    """

    def __init__(
        self,
        c: int,
        k: int,
        *,
        expanded: int,
        size: int,
        stride: int,
        activation: type[nn.Module],
        excite: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.adds_input = stride == 1 and c == k
        self.expand = None if expanded == c else Conv(c, expanded, activation=activation())
        self.depthwise = Conv(
            expanded,
            expanded,
            size,
            stride=stride,
            padding=size // 2,
            groups=expanded,
            activation=activation(),
        )
        self.excite = excite
        self.project = Conv(expanded, k, activation=nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the projection, plus *x* where their shapes are the same."""
        y = self.depthwise(x if self.expand is None else self.expand(x))
        y = self.project(y if self.excite is None else self.excite(y))
        z: torch.Tensor = x + y if self.adds_input else y
        return z


def numbered(prefix: str, modules: Iterable[nn.Module]) -> OrderedDict[str, nn.Module]:
    """Return *modules* named ``prefix1``, ``prefix2`` …"""
    return OrderedDict((f"{prefix}{number}", module) for number, module in enumerate(modules, 1))


def blocks(modules: Iterable[nn.Module]) -> nn.Sequential:
    """Return *modules* in turn, named ``block1``, ``block2`` …"""
    return nn.Sequential(numbered("block", modules))


def classifier(c: int, classes: int, *, conv: nn.Module | None = None) -> nn.Sequential:
    """Return *conv*, if there is one, the mean over all pixels of *c* channels, and a fully connected layer."""
    before = {} if conv is None else {"conv": conv}
    return nn.Sequential(
        OrderedDict(**before, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(c, classes))
    )


def divisible(channels: float, by: int = 8) -> int:
    """Return the multiple of *by* nearest to *channels*, at least *by* and not below 90 % of *channels*.

    Source: how the MobileNets (arXiv:1801.04381 and its code) round channels that a width scales.

    Example:
        >>> divisible(16 * 0.75), divisible(24 * 1.4)
        (16, 32)
    """
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded if rounded >= 0.9 * channels else rounded + by


def at(items: Sequence[_T], index: int) -> _T:
    """Return the item of a published list, for an *index* beyond its end the last."""
    return items[min(index, len(items) - 1)]
