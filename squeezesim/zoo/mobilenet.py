"""MobileNet v1: 3×3 depthwise and 1×1 convolutions in turn.

Source: A. Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, arXiv:1704.04861.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import Conv, Staged, blocks, classifier

# Output channels of the blocks of each stage; a stage after the first begins with a stride of 2.
STAGES = (64, 128, 256, 512, 1024)


class Block(nn.Sequential):
    """A 3×3 depthwise convolution, then a 1×1 convolution to *k* channels."""

    def __init__(self, c: int, k: int, stride: int) -> None:
        depthwise = Conv(c, c, 3, stride=stride, padding=1, groups=c)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=Conv(c, k)))


class MobileNetV1(Staged):
    """MobileNet v1.

    Args:
        depth: blocks in each stage.
        width: factor on all channels, with at least 8 of them.
    """

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 2, 6, 2), width: float = 1.0, classes: int = 1000
    ) -> None:
        stem = c = _scaled(32, width)
        stages: list[nn.Module] = []
        for repeats, channels in zip(depth, STAGES, strict=True):
            k = _scaled(channels, width)
            first = Block(c, k, stride=2 if stages else 1)
            stages.append(blocks([first, *(Block(k, k, stride=1) for _ in range(repeats - 1))]))
            c = k
        conv = Conv(3, stem, 3, stride=2, padding=1)
        super().__init__(nn.Sequential(OrderedDict(conv=conv)), stages, classifier(c, classes))


def _scaled(channels: int, width: float) -> int:
    return max(8, int(channels * width))
