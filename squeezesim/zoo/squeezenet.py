"""SqueezeNet v1.0 and v1.1, plain or with bypasses around fire modules.

Source: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", 2016, arXiv:1602.07360; v1.1 from its code, https://github.com/forresti/SqueezeNet. Pooling is in ceil
mode, as in the published Caffe files. Their padding of 1 on the last 1×1 convolution, which only adds outputs
of the bias, is left out, as in most ports.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from squeezesim.zoo.parts import BiasConv, Staged

Bypass = Literal["none", "simple", "complex"]


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


class SqueezeNet(Staged):
    """SqueezeNet: fire modules that widen after every second one, numbered from 2 as in the paper.

    Args:
        depth: fire modules in each of three stages, which begin with a max-pool.
        width: factor on all channels, in steps of 16 after the first convolution.
        conv1: size of the first convolution's kernel.
        stem: output channels of the first convolution, before *width*.
        bypass: ``simple`` adds the input of every fire module that keeps the number of channels, ``complex``
            adds a 1×1 convolution of it around the others too.
    """

    def __init__(
        self,
        depth: tuple[int, ...] = (3, 4, 1),
        width: float = 1.0,
        conv1: int = 7,
        stem: int = 96,
        bypass: Bypass = "none",
        classes: int = 1000,
    ) -> None:
        first = c = max(1, round(stem * width))
        stages: list[nn.Module] = []
        number = 2
        for fires in depth:
            members: OrderedDict[str, nn.Module] = OrderedDict(pool=nn.MaxPool2d(3, stride=2, ceil_mode=True))
            for _ in range(fires):
                squeeze = max(1, round(number // 2 * width)) * 16
                members[f"fire{number}"] = Fire(c, squeeze, 4 * squeeze, bypass)
                c = 8 * squeeze
                number += 1
            stages.append(nn.Sequential(members))
        head = OrderedDict(
            dropout=nn.Dropout(),
            conv10=BiasConv(c, classes, 1),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
        conv = BiasConv(3, first, conv1, stride=2)
        super().__init__(nn.Sequential(OrderedDict(conv1=conv)), stages, nn.Sequential(head))
