"""SqueezeNext: a family of small networks of 1×1, 3×1 and 1×3 convolutions.

Source: A. Gholami et al., "SqueezeNext: Hardware-Aware Neural Network Design", 2018, arXiv:1803.10615.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.zoo.parts import Conv, Staged, blocks

Wiring = Literal["parallel", "serial"]

STEM = 64
"""Channels of the first convolution, which width does not scale; nor does it scale the tail."""

TAIL = 128
"""Channels of the convolution before the classifier."""


class Block(nn.Module):
    """Two 1×1 squeezes to a quarter of the channels, a 3×1 and a 1×3, a 1×1 expansion, and a shortcut.

    Of the first block of a stage the shortcut is a 1×1 convolution. With ``parallel`` wiring the first
    squeeze reads what the shortcut reads, with ``serial`` wiring it reads the shortcut's output.
    """

    def __init__(
        self, c: int, k: int, *, first: bool, stride: int, tall_first: bool, groups: int, wiring: Wiring
    ) -> None:
        super().__init__()
        self.serial = first and wiring == "serial"
        self.shortcut = Conv(c, k, stride=stride) if first else None
        read, step = (k, 1) if self.serial else (c, stride)
        self.squeeze1 = Conv(read, k // 2, stride=step, groups=groups)
        self.squeeze2 = Conv(k // 2, k // 4)
        tall, wide = ((3, 1), (1, 0)), ((1, 3), (0, 1))
        (size1, padding1), (size2, padding2) = (tall, wide) if tall_first else (wide, tall)
        self.conv1 = Conv(k // 4, k // 2, size1, padding=padding1, groups=groups)
        self.conv2 = Conv(k // 2, k // 2, size2, padding=padding2, groups=groups)
        self.expand = Conv(k // 2, k)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu(shortcut(x) + the five convolutions of x)."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        y = self.squeeze2(self.squeeze1(shortcut if self.serial else x))
        y = self.expand(self.conv2(self.conv1(y)))
        z: torch.Tensor = self.relu(shortcut + y)
        return z


class SqueezeNext(Staged):
    """The network of a number of blocks for each of four stages.

    Args:
        depth: blocks in each stage.
        width: factor on the channels of the stages (32, 64, 128, 256), rounded to what a block can divide.
        conv1: size of the first convolution's kernel.
        groups: groups of the first squeeze, the 3×1 and the 1×3.
        wiring: how the first block of a stage reads its input.
    """

    def __init__(
        self,
        depth: tuple[int, ...] = (6, 6, 8, 1),
        width: float = 1.0,
        conv1: int = 7,
        groups: int = 1,
        wiring: Wiring = "parallel",
        *,
        classes: int = 1000,
    ) -> None:
        if wiring == "parallel" and STEM % groups:
            raise ModelError(f"groups = {groups} must divide the {STEM} channels of the first convolution")
        unit = 4 * groups
        channels = [max(unit, round(c * width / unit) * unit) for c in (32, 64, 128, 256)]
        stages: list[nn.Module] = []
        c = STEM
        for repeats, k in zip(depth, channels, strict=True):
            members: list[nn.Module] = []
            for block in range(repeats):
                first = block == 0
                members.append(
                    Block(
                        c,
                        k,
                        first=first,
                        stride=2 if first and stages else 1,
                        tall_first=block % 2 == 0,
                        groups=groups,
                        wiring=wiring,
                    )
                )
                c = k
            stages.append(blocks(members))
        stem = OrderedDict(
            conv=Conv(3, STEM, conv1, stride=2), pool=nn.MaxPool2d(3, stride=2, ceil_mode=True)
        )
        head = OrderedDict(
            conv=Conv(c, TAIL),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(TAIL, classes, bias=False),
        )
        super().__init__(nn.Sequential(stem), stages, nn.Sequential(head))
