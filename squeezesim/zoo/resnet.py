"""ResNet: blocks of two 3×3 convolutions, or of a 3×3 between two 1×1, around which the input is added.

Source: K. He et al., "Deep Residual Learning for Image Recognition", 2015, arXiv:1512.03385, Table 1; shortcuts
that change shape are 1×1 convolutions (option B).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from squeezesim.zoo.parts import Conv, Staged, blocks, classifier

Kind = Literal["basic", "bottleneck"]
Strided = Literal["1x1", "3x3"]

# Channels of the 3×3 convolutions of each stage; a stage after the first begins with a stride of 2.
STAGES = (64, 128, 256, 512)


class Basic(nn.Module):
    """Two 3×3 convolutions, plus the input or a 1×1 convolution of it."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv(c, k, 3, stride=stride, padding=1)
        self.conv2 = Conv(k, k, 3, padding=1, activation=nn.Identity())
        self.shortcut = _shortcut(c, k, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu(convolutions of x + shortcut(x))."""
        y: torch.Tensor = self.relu(self.conv2(self.conv1(x)) + self.shortcut(x))
        return y


class Bottleneck(nn.Module):
    """A 1×1, a 3×3 and a 1×1 convolution, plus the input or a 1×1 convolution of it."""

    def __init__(self, c: int, hidden: int, stride: int, strided: Strided) -> None:
        super().__init__()
        k = 4 * hidden
        self.reduce = Conv(c, hidden, stride=stride if strided == "1x1" else 1)
        self.conv = Conv(hidden, hidden, 3, stride=stride if strided == "3x3" else 1, padding=1)
        self.expand = Conv(hidden, k, activation=nn.Identity())
        self.shortcut = _shortcut(c, k, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu(convolutions of x + shortcut(x))."""
        y: torch.Tensor = self.relu(self.expand(self.conv(self.reduce(x))) + self.shortcut(x))
        return y


class ResNet(Staged):
    """ResNet.

    Args:
        depth: blocks in each of four stages.
        width: factor on all channels.
        block: ``basic`` for two 3×3 convolutions, ``bottleneck`` for 1×1, 3×3 and a 1×1 to four times the channels.
        strided: which convolution of a bottleneck has the stride: the paper's first 1×1, or the 3×3 as in
            torchvision and most networks since ("v1.5").
    """

    def __init__(
        self,
        depth: tuple[int, ...] = (3, 4, 6, 3),
        width: float = 1.0,
        block: Kind = "bottleneck",
        strided: Strided = "3x3",
        classes: int = 1000,
    ) -> None:
        stem = c = max(1, round(64 * width))
        stages: list[nn.Module] = []
        for repeats, channels in zip(depth, STAGES, strict=True):
            hidden = max(1, round(channels * width))
            members: list[nn.Module] = []
            for number in range(repeats):
                stride = 2 if stages and number == 0 else 1
                if block == "basic":
                    members.append(Basic(c, hidden, stride))
                    c = hidden
                else:
                    members.append(Bottleneck(c, hidden, stride, strided))
                    c = 4 * hidden
            stages.append(blocks(members))
        members_of_stem = OrderedDict(
            conv=Conv(3, stem, 7, stride=2, padding=3), pool=nn.MaxPool2d(3, stride=2, padding=1)
        )
        super().__init__(nn.Sequential(members_of_stem), stages, classifier(c, classes))


def _shortcut(c: int, k: int, stride: int) -> nn.Module:
    return nn.Identity() if stride == 1 and c == k else Conv(c, k, stride=stride, activation=nn.Identity())
