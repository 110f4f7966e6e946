"""GhostNet: half of a layer's channels by a 1×1 convolution, the other half by a depthwise one of them.

Source: K. Han et al., "GhostNet: More Features from Cheap Operations", 2020, arXiv:1911.11907, Table 1.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from squeezesim.zoo.parts import Conv, SqueezeExcite, Staged, at, blocks, divisible


@dataclass(frozen=True, slots=True)
class Stage:
    """Output channels, kernel, first stride, and for each block what it expands to and whether it excites."""

    channels: int
    size: int
    stride: int
    expanded: tuple[int, ...]
    excites: tuple[bool, ...] = (False,)


STAGES = (
    Stage(16, 3, 1, (16,)),
    Stage(24, 3, 2, (48, 72)),
    Stage(40, 5, 2, (72, 120), (True,)),
    Stage(80, 3, 2, (240, 200, 184)),
    Stage(112, 3, 1, (480, 672), (True,)),
    Stage(160, 5, 2, (672, 960), (True, False, True, False, True)),
)


class Ghost(nn.Module):
    """A 1×1 convolution to half of *k* channels and a 3×3 depthwise convolution of these, concatenated."""

    def __init__(self, c: int, k: int, activation: type[nn.Module]) -> None:
        super().__init__()
        half = k // 2
        self.primary = Conv(c, half, activation=activation())
        self.cheap = Conv(half, half, 3, padding=1, groups=half, activation=activation())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return both halves."""
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], dim=1)


class Bottleneck(nn.Module):
    """Two ghost modules, between them a depthwise convolution where there is a stride, beside a shortcut."""

    def __init__(self, c: int, k: int, *, expanded: int, size: int, stride: int, excites: bool) -> None:
        super().__init__()
        self.ghost1 = Ghost(c, expanded, nn.ReLU)
        self.depthwise = None if stride == 1 else _depthwise(expanded, size, stride)
        self.excite: nn.Module | None = None
        if excites:
            self.excite = SqueezeExcite(expanded, divisible(expanded / 4, 4), nn.ReLU(), nn.Hardsigmoid())
        self.ghost2 = Ghost(expanded, k, nn.Identity)
        self.shortcut: nn.Module | None = None
        if stride != 1 or c != k:
            pointwise = Conv(c, k, activation=nn.Identity())
            self.shortcut = nn.Sequential(
                OrderedDict(depthwise=_depthwise(c, size, stride), pointwise=pointwise)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the second ghost module's output plus the shortcut."""
        y = self.ghost1(x)
        if self.depthwise is not None:
            y = self.depthwise(y)
        if self.excite is not None:
            y = self.excite(y)
        y = self.ghost2(y)
        z: torch.Tensor = y + (x if self.shortcut is None else self.shortcut(x))
        return z


class GhostNet(Staged):
    """GhostNet.

    Args:
        depth: bottlenecks in each of six stages, by their output channels; those beyond the published ones are as
            the last of their stage.
        width: factor on all channels but the last 1280, rounded to multiples of 4.
    """

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 2, 4, 2, 5), width: float = 1.0, classes: int = 1000
    ) -> None:
        stem = c = divisible(16 * width, 4)
        stages: list[nn.Module] = []
        for repeats, stage in zip(depth, STAGES, strict=True):
            k = divisible(stage.channels * width, 4)
            members: list[nn.Module] = []
            for block in range(repeats):
                members.append(
                    Bottleneck(
                        c,
                        k,
                        expanded=divisible(at(stage.expanded, block) * width, 4),
                        size=stage.size,
                        stride=1 if block else stage.stride,
                        excites=at(stage.excites, block),
                    )
                )
                c = k
            stages.append(blocks(members))
        last, hidden = divisible(960 * width, 4), 1280
        head = OrderedDict(
            conv=Conv(c, last),
            pool=nn.AdaptiveAvgPool2d(1),
            hidden=nn.Conv2d(last, hidden, 1),
            act=nn.ReLU(inplace=True),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.2),
            fc=nn.Linear(hidden, classes),
        )
        conv = Conv(3, stem, 3, stride=2, padding=1)
        super().__init__(nn.Sequential(OrderedDict(conv=conv)), stages, nn.Sequential(head))


def _depthwise(c: int, size: int, stride: int) -> Conv:
    return Conv(c, c, size, stride=stride, padding=size // 2, groups=c, activation=nn.Identity())
