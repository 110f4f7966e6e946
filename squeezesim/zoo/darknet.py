"""Tiny Darknet: 3×3 convolutions between 1×1 squeezes.

Source: J. Redmon, "Tiny Darknet", 2016, https://pjreddie.com/darknet/tiny-darknet/.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.zoo.parts import Conv

# Channels of the convolutions of each stage; 1×1 where there are fewer than before, 3×3 where there are more.
STAGES = ((32,), (16, 128, 16, 128), (32, 256, 32, 256), (64, 512, 64, 512, 128))


class TinyDarknet(nn.Module):
    """Tiny Darknet: every stage begins with a 2×2 max-pool; leaky ReLU throughout."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        c = 16
        self.stem = nn.Sequential(OrderedDict(conv=_conv(3, c, 3)))
        for stage, channels in enumerate(STAGES, 1):
            members: OrderedDict[str, nn.Module] = OrderedDict(pool=nn.MaxPool2d(2))
            for number, k in enumerate(channels, 1):
                members[f"conv{number}"] = _conv(c, k, 3 if k > c else 1)
                c = k
            self.add_module(f"stage{stage}", nn.Sequential(members))
        self.head = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(c, classes, 1),
                act=nn.LeakyReLU(0.1, inplace=True),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes for images (N, 3, H, W)."""
        for part in self.children():
            x = part(x)
        return x


def _conv(c: int, k: int, size: int) -> Conv:
    return Conv(c, k, size, padding=size // 2, activation=nn.LeakyReLU(0.1, inplace=True))
