"""ShuffleNet v1: grouped 1×1 convolutions, between which channels change groups.

Source: X. Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
2017, arXiv:1707.01083, Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.errors import ModelError
from squeezesim.zoo.parts import Conv, Staged, blocks, classifier

# Groups → output channels of the first stage, which double in each later one.
CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}


class Unit(nn.Module):
    """A grouped 1×1 convolution, a shuffle, a 3×3 depthwise and a grouped 1×1 convolution beside a shortcut.

    With a stride of 2 the shortcut is an average pool, concatenated; else it is the input, added.
    """

    def __init__(self, c: int, k: int, *, groups: int, first_groups: int, stride: int) -> None:
        super().__init__()
        hidden = k // 4
        self.groups = groups
        self.reduce = Conv(c, hidden, groups=first_groups)
        self.depthwise = Conv(
            hidden, hidden, 3, stride=stride, padding=1, groups=hidden, activation=nn.Identity()
        )
        self.expand = Conv(hidden, k - c if stride == 2 else k, groups=groups, activation=nn.Identity())
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return relu of the shortcut concatenated with, or plus, the convolutions of *x*."""
        y = self.expand(self.depthwise(shuffled(self.reduce(x), self.groups)))
        z: torch.Tensor = self.relu(x + y if self.pool is None else torch.cat([self.pool(x), y], dim=1))
        return z


class ShuffleNetV1(Staged):
    """ShuffleNet v1.

    Args:
        depth: units in each of three stages, the first with a stride of 2 included.
        width: factor on all channels, of units rounded to multiples of 4 × groups.
        groups: groups of the 1×1 convolutions but the very first, which reads too few channels; it also sets how
            many channels there are.

    Raises:
        ModelError: the paper has no network of so many groups.
    """

    def __init__(
        self,
        depth: tuple[int, ...] = (4, 8, 4),
        width: float = 1.0,
        groups: int = 3,
        classes: int = 1000,
    ) -> None:
        if groups not in CHANNELS:
            raise ModelError(f"groups = {groups}; allowed: {', '.join(map(str, CHANNELS))}")
        unit = 4 * groups
        stem = c = max(groups, round(24 * width / groups) * groups)
        stages: list[nn.Module] = []
        for stage, repeats in enumerate(depth):
            # More than c, for the first unit adds channels to those of its shortcut.
            k = max(c // unit + 1, round(CHANNELS[groups] * 2**stage * width / unit)) * unit
            members: list[nn.Module] = []
            for block in range(repeats):
                members.append(
                    Unit(
                        c,
                        k,
                        groups=groups,
                        first_groups=groups if stages or block else 1,
                        stride=1 if block else 2,
                    )
                )
                c = k
            stages.append(blocks(members))
        members_of_stem = OrderedDict(
            conv=Conv(3, stem, 3, stride=2, padding=1), pool=nn.MaxPool2d(3, stride=2, padding=1)
        )
        super().__init__(nn.Sequential(members_of_stem), stages, classifier(c, classes))


def shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Return *x* with its channels dealt out: those of one group go in turn to all groups."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)
