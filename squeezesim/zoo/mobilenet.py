"""MobileNet v1: 3×3 depthwise and 1×1 convolutions in turn.

Source: A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, arXiv:1704.04861.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.zoo.parts import Conv

# Output channels of the blocks of each stage; a stage after the first begins with a stride of 2.
STAGES = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


class Block(nn.Sequential):
    """A 3×3 depthwise convolution, then a 1×1 convolution to *k* channels."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        depthwise = Conv(c, c, 3, stride=stride, padding=1, groups=c)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=Conv(c, k)))


class MobileNetV1(nn.Module):
    """MobileNet v1; *width* is the factor on all channels, with at least 8 of them."""

    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        c = _scaled(32, width)
        self.stem = nn.Sequential(OrderedDict(conv=Conv(3, c, 3, stride=2, padding=1)))
        for stage, channels in enumerate(STAGES, 1):
            members: OrderedDict[str, nn.Module] = OrderedDict()
            for block, full in enumerate(channels, 1):
                k = _scaled(full, width)
                members[f"block{block}"] = Block(c, k, stride=2 if block == 1 and stage > 1 else 1)
                c = k
            self.add_module(f"stage{stage}", nn.Sequential(members))
        self.head = nn.Sequential(
            OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(c, classes))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes for images (N, 3, H, W)."""
        for part in self.children():
            x = part(x)
        return x


def _scaled(channels: int, width: float) -> int:
    return max(8, int(channels * width))
