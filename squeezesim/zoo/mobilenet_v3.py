"""MobileNet v3, large and small: inverted residuals with squeeze-and-excitation and hard-swish.

Source: A. Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244, Tables 1 and 2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from squeezesim.zoo.parts import Conv, InvertedResidual, SqueezeExcite, Staged, at, blocks, divisible


@dataclass(frozen=True, slots=True)
class Stage:
    """Output channels, kernel, first stride, channels that each block expands to, what the blocks have."""

    channels: int
    size: int
    stride: int
    expanded: tuple[int, ...]
    excites: bool = False
    hard: bool = False  # hard-swish in place of ReLU


LARGE = (
    Stage(16, 3, 1, (16,)),
    Stage(24, 3, 2, (64, 72)),
    Stage(40, 5, 2, (72, 120), excites=True),
    Stage(80, 3, 2, (240, 200, 184), hard=True),
    Stage(112, 3, 1, (480, 672), excites=True, hard=True),
    Stage(160, 5, 2, (672, 960), excites=True, hard=True),
)
SMALL = (
    Stage(16, 3, 2, (16,), excites=True),
    Stage(24, 3, 2, (72, 88)),
    Stage(40, 5, 2, (96, 240), excites=True, hard=True),
    Stage(48, 5, 1, (120, 144), excites=True, hard=True),
    Stage(96, 5, 2, (288, 576), excites=True, hard=True),
)


class MobileNetV3(Staged):
    """MobileNet v3 of any list of *stages*; *width* scales all channels to multiples of 8.

    A block beyond the published ones expands to as many channels as the last of its stage.
    """

    def __init__(
        self, stages: Sequence[Stage], hidden: int, depth: tuple[int, ...], width: float, classes: int
    ) -> None:
        stem = c = divisible(16 * width)
        made: list[nn.Module] = []
        for repeats, stage in zip(depth, stages, strict=True):
            k = divisible(stage.channels * width)
            members: list[nn.Module] = []
            for block in range(repeats):
                members.append(_block(stage, block, c, k, width))
                c = k
            made.append(blocks(members))
        last = 6 * c
        hidden = divisible(hidden * width)
        head = OrderedDict(
            conv=Conv(c, last, activation=nn.Hardswish()),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            hidden=nn.Linear(last, hidden),
            act=nn.Hardswish(),
            dropout=nn.Dropout(0.2),
            fc=nn.Linear(hidden, classes),
        )
        conv = Conv(3, stem, 3, stride=2, padding=1, activation=nn.Hardswish())
        super().__init__(nn.Sequential(OrderedDict(conv=conv)), made, nn.Sequential(head))


class MobileNetV3Large(MobileNetV3):
    """MobileNet v3 large; *depth* is the blocks in each of six stages."""

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 3, 4, 2, 3), width: float = 1.0, classes: int = 1000
    ) -> None:
        super().__init__(LARGE, 1280, depth, width, classes)


class MobileNetV3Small(MobileNetV3):
    """MobileNet v3 small; *depth* is the blocks in each of five stages."""

    def __init__(
        self, depth: tuple[int, ...] = (1, 2, 3, 2, 3), width: float = 1.0, classes: int = 1000
    ) -> None:
        super().__init__(SMALL, 1024, depth, width, classes)


def _block(stage: Stage, block: int, c: int, k: int, width: float) -> InvertedResidual:
    expanded = divisible(at(stage.expanded, block) * width)
    squeezed = divisible(expanded / 4)
    return InvertedResidual(
        c,
        k,
        expanded=expanded,
        size=stage.size,
        stride=1 if block else stage.stride,
        activation=nn.Hardswish if stage.hard else nn.ReLU,
        excite=SqueezeExcite(expanded, squeezed, nn.ReLU(), nn.Hardsigmoid()) if stage.excites else None,
    )
