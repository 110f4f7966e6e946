"""DenseNet: every layer reads the outputs of all layers before it in its stage.

Source: G. Huang et al., "Densely Connected Convolutional Networks", 2016, arXiv:1608.06993, Table 1 (DenseNet-BC).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.zoo.parts import Conv, Staged, blocks


class Layer(nn.Module):
    """Batch-norm, ReLU and a 1×1 to four times *growth* channels, the same and a 3×3 to *growth*, beside the input."""

    def __init__(self, c: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)
        self.reduce = Conv(c, 4 * growth)
        self.conv = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return *x* with the channels of this layer concatenated."""
        return torch.cat([x, self.conv(self.reduce(self.relu(self.norm(x))))], dim=1)


class DenseNet(Staged):
    """DenseNet-BC; between two stages a 1×1 convolution halves the channels and a 2×2 average pool the pixels.

    Args:
        depth: layers in each of four stages.
        growth: channels that a layer adds; the first convolution has twice as many.
    """

    def __init__(
        self, depth: tuple[int, ...] = (6, 12, 24, 16), growth: int = 32, classes: int = 1000
    ) -> None:
        stem = c = 2 * growth
        stages: list[nn.Module] = []
        for stage, repeats in enumerate(depth, 1):
            members = blocks(Layer(c + growth * block, growth) for block in range(repeats))
            c += growth * repeats
            if stage < len(depth):
                members.add_module("transition", _transition(c))
                c //= 2
            stages.append(members)
        head = OrderedDict(
            norm=nn.BatchNorm2d(c),
            relu=nn.ReLU(inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(c, classes),
        )
        members_of_stem = OrderedDict(
            conv=Conv(3, stem, 7, stride=2, padding=3), pool=nn.MaxPool2d(3, stride=2, padding=1)
        )
        super().__init__(nn.Sequential(members_of_stem), stages, nn.Sequential(head))


def _transition(c: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(c),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(c, c // 2, 1, bias=False),
            pool=nn.AvgPool2d(2),
        )
    )
