"""SqueezeNet v1.0 and v1.1, plain or with bypasses around fire modules.

Source: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", 2016, arXiv:1602.07360. Pooling is in ceil mode, as in the published Caffe files. Their padding of 1
on the last 1×1 convolution, which only adds outputs of the bias, is left out, as in most ports.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from squeezesim.zoo.parts import BiasConv

Bypass = Literal["none", "simple", "complex"]

# Squeeze channels and expand channels (1×1 and 3×3 each) of fire2 to fire9.
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))

# Version → kernel and channels of conv1, the number of the fire module that each stage begins with.
VERSIONS = {"1.0": (7, 96, (2, 5, 9)), "1.1": (3, 64, (2, 4, 6))}


class Fire(nn.Module):
    """A 1×1 squeeze, then a 1×1 and a 3×3 expansion side by side, with an optional bypass around it all."""

    def __init__(self, c: int, squeeze: int, expand: int, bypass: Bypass) -> None:
        super().__init__()
        self.squeeze = BiasConv(c, squeeze, 1)
        self.expand1x1 = BiasConv(squeeze, expand, 1)
        self.expand3x3 = BiasConv(squeeze, expand, 3, padding=1)
        same = c == 2 * expand
        self.adds_input = same and bypass != "none"
        self.bypass = nn.Conv2d(c, 2 * expand, 1) if bypass == "complex" and not same else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the concatenated expansions of *x*, plus its bypass."""
        s = self.squeeze(x)
        y = torch.cat([self.expand1x1(s), self.expand3x3(s)], dim=1)
        if self.adds_input:
            y = y + x
        elif self.bypass is not None:
            y = y + self.bypass(x)
        return y


class SqueezeNet(nn.Module):
    """SqueezeNet.

    Args:
        version: ``1.0`` or ``1.1``, which pools earlier.
        bypass: ``simple`` adds the input of every fire module that keeps the number of channels, ``complex``
            adds a 1×1 convolution of it around the others too.
    """

    def __init__(self, version: str = "1.0", bypass: Bypass = "none", classes: int = 1000) -> None:
        super().__init__()
        kernel, c, begins = VERSIONS[version]
        self.stem = nn.Sequential(OrderedDict(conv1=BiasConv(3, c, kernel, stride=2)))
        stages: list[OrderedDict[str, nn.Module]] = []
        for number, (squeeze, expand) in enumerate(FIRES, 2):
            if number in begins:
                stages.append(OrderedDict(pool=nn.MaxPool2d(3, stride=2, ceil_mode=True)))
            stages[-1][f"fire{number}"] = Fire(c, squeeze, expand, bypass)
            c = 2 * expand
        for number, members in enumerate(stages, 1):
            self.add_module(f"stage{number}", nn.Sequential(members))
        self.head = nn.Sequential(
            OrderedDict(
                dropout=nn.Dropout(),
                conv10=BiasConv(c, classes, 1),
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes for images (N, 3, H, W)."""
        for part in self.children():
            x = part(x)
        return x
