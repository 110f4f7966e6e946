"""Tiny Darknet: 3×3 convolutions between 1×1 squeezes.

Source: J. Redmon, "Tiny Darknet", 2016, https://pjreddie.com/darknet/tiny-darknet/.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import Conv, Staged, numbered

# Channels of the 3×3 convolutions of each stage, and of the 1×1 squeeze before each of them.
STAGES = ((32, None), (128, 16), (256, 32), (512, 64))


class TinyDarknet(Staged):
    """Tiny Darknet: every stage begins with a 2×2 max-pool; leaky ReLU throughout.

    Args:
        depth: 3×3 convolutions in each stage; those of the first stage have no squeeze before them.
        width: factor on all channels.
    """

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 2, 2), width: float = 1.0, classes: int = 1000
    ) -> None:
        def scaled(channels: int) -> int:
            return max(1, int(channels * width))

        stem = c = scaled(16)
        stages: list[nn.Module] = []
        for repeats, (wide, squeezed) in zip(depth, STAGES, strict=True):
            channels = [scaled(wide)] if squeezed is None else [scaled(squeezed), scaled(wide)]
            convs: list[nn.Module] = []
            for number, k in enumerate(channels * repeats):
                convs.append(_conv(c, k, 3 if (number + 1) % len(channels) == 0 else 1))
                c = k
            if len(stages) == len(STAGES) - 1:
                convs.append(_conv(c, scaled(128), 1))
                c = scaled(128)
            stages.append(nn.Sequential(OrderedDict(pool=nn.MaxPool2d(2), **numbered("conv", convs))))
        head = OrderedDict(
            conv=nn.Conv2d(c, classes, 1),
            act=nn.LeakyReLU(0.1, inplace=True),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
        super().__init__(nn.Sequential(OrderedDict(conv=_conv(3, stem, 3))), stages, nn.Sequential(head))


def _conv(c: int, k: int, size: int) -> Conv:
    return Conv(c, k, size, padding=size // 2, activation=nn.LeakyReLU(0.1, inplace=True))
