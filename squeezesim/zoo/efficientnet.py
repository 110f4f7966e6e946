"""EfficientNet: inverted residuals with squeeze-and-excitation, scaled in depth, width and resolution at once.

Source: M. Tan, Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019,
arXiv:1905.11946, Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import Conv, InvertedResidual, SqueezeExcite, Staged, blocks, divisible

# Expansion, kernel, output channels and first stride of each stage.
STAGES = (
    (1, 3, 16, 1),
    (6, 3, 24, 2),
    (6, 5, 40, 2),
    (6, 3, 80, 2),
    (6, 5, 112, 1),
    (6, 5, 192, 2),
    (6, 3, 320, 1),
)


class EfficientNet(Staged):
    """EfficientNet: b0 as it is, b1 and larger with more blocks and channels at a larger input.

    Args:
        depth: blocks in each of seven stages; those of b0 times the depth coefficient, rounded up.
        width: the width coefficient on all channels, rounded to multiples of 8.
    """

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1), width: float = 1.0, classes: int = 1000
    ) -> None:
        stem = c = divisible(32 * width)
        stages: list[nn.Module] = []
        for repeats, (expansion, size, channels, stride) in zip(depth, STAGES, strict=True):
            k = divisible(channels * width)
            members: list[nn.Module] = []
            for block in range(repeats):
                members.append(_block(c, k, expansion, size, stride=1 if block else stride))
                c = k
            stages.append(blocks(members))
        last = divisible(1280 * width)
        head = OrderedDict(
            conv=Conv(c, last, activation=nn.SiLU()),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=nn.Dropout(0.2),
            fc=nn.Linear(last, classes),
        )
        conv = Conv(3, stem, 3, stride=2, padding=1, activation=nn.SiLU())
        super().__init__(nn.Sequential(OrderedDict(conv=conv)), stages, nn.Sequential(head))


def _block(c: int, k: int, expansion: int, size: int, stride: int) -> InvertedResidual:
    # The excitation squeezes to a quarter of the block's input, not of what it is expanded to.
    expanded = divisible(c * expansion)
    return InvertedResidual(
        c,
        k,
        expanded=expanded,
        size=size,
        stride=stride,
        activation=nn.SiLU,
        excite=SqueezeExcite(expanded, max(1, c // 4), nn.SiLU(), nn.Sigmoid()),
    )
