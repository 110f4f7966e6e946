"""MobileNet v2: inverted residuals, 1×1 convolutions that widen and narrow around a depthwise one.

Source: M. Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, arXiv:1801.04381,
Table 2.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import Conv, InvertedResidual, Staged, blocks, classifier, divisible

# Expansion, output channels and first stride of each stage.
STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 2), (6, 64, 2), (6, 96, 1), (6, 160, 2), (6, 320, 1))


class MobileNetV2(Staged):
    """MobileNet v2.

    Args:
        depth: blocks in each of seven stages, the rows of the paper's table.
        width: factor on all channels, rounded to multiples of 8; the last 1280 never shrink.
    """

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1), width: float = 1.0, classes: int = 1000
    ) -> None:
        stem = c = divisible(32 * width)
        stages: list[nn.Module] = []
        for repeats, (expansion, channels, stride) in zip(depth, STAGES, strict=True):
            k = divisible(channels * width)
            members: list[nn.Module] = []
            for block in range(repeats):
                members.append(
                    InvertedResidual(
                        c,
                        k,
                        expanded=c * expansion,
                        size=3,
                        stride=1 if block else stride,
                        activation=nn.ReLU6,
                    )
                )
                c = k
            stages.append(blocks(members))
        last = divisible(1280 * max(1.0, width))
        head = classifier(last, classes, conv=Conv(c, last, activation=nn.ReLU6()))
        conv = Conv(3, stem, 3, stride=2, padding=1, activation=nn.ReLU6())
        super().__init__(nn.Sequential(OrderedDict(conv=conv)), stages, head)
