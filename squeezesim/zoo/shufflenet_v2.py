"""ShuffleNet v2: half of the channels pass each unit as they are, then both halves are shuffled.

Source: N. Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", 2018,
arXiv:1807.11164, Table 5.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.zoo.parts import Conv, Staged, blocks, classifier
from squeezesim.zoo.shufflenet import shuffled

STEM = 24
"""Channels of the first convolution."""


class Unit(nn.Module):
    """Two branches to half of *k* channels each, concatenated and shuffled.

    With a stride of 2 both read the whole input and one begins with a depthwise convolution of it; else one is half of
    the input as it is.
    """

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        half = k // 2
        self.branch1: nn.Sequential | None = None
        if stride == 2:
            self.branch1 = nn.Sequential(
                OrderedDict(depthwise=_depthwise(c, stride), pointwise=Conv(c, half))
            )
        self.branch2 = nn.Sequential(
            OrderedDict(
                reduce=Conv(c if stride == 2 else half, half),
                depthwise=_depthwise(half, stride),
                expand=Conv(half, half),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the shuffled channels of both branches of *x*."""
        if self.branch1 is None:
            left, right = x.chunk(2, dim=1)
        else:
            left, right = self.branch1(x), x
        return shuffled(torch.cat([left, self.branch2(right)], dim=1), 2)


class ShuffleNetV2(Staged):
    """ShuffleNet v2.

    Args:
        depth: units in each of three stages, the first with a stride of 2 included.
        channels: output channels of the first stage, which double in each later one; an odd number loses one.
        tail: output channels of the last convolution.
    """

    def __init__(
        self,
        depth: tuple[int, ...] = (4, 8, 4),
        channels: int = 116,
        tail: int = 1024,
        classes: int = 1000,
    ) -> None:
        c = STEM
        stages: list[nn.Module] = []
        for stage, repeats in enumerate(depth):
            k = channels // 2 * 2 ** (stage + 1)
            stages.append(blocks([Unit(c, k, stride=2), *(Unit(k, k, stride=1) for _ in range(repeats - 1))]))
            c = k
        stem = OrderedDict(
            conv=Conv(3, STEM, 3, stride=2, padding=1), pool=nn.MaxPool2d(3, stride=2, padding=1)
        )
        super().__init__(nn.Sequential(stem), stages, classifier(tail, classes, conv=Conv(c, tail)))


def _depthwise(c: int, stride: int) -> Conv:
    return Conv(c, c, 3, stride=stride, padding=1, groups=c, activation=nn.Identity())
