"""VGG: 3×3 convolutions and max-pools, then three fully connected layers.

Source: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014,
arXiv:1409.1556, Table 1.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import BiasConv, Staged, numbered

# Channels of the convolutions of each stage, which ends with a 2×2 max-pool.
STAGES = (64, 128, 256, 512, 512)


class VGG(Staged):
    """VGG for images of 224×224 pixels, to which its first fully connected layer fixes it.

    Args:
        depth: convolutions in each of five stages.
        width: factor on the channels of the convolutions.
    """

    def __init__(
        self, depth: tuple[int, ...] = (2, 2, 3, 3, 3), width: float = 1.0, classes: int = 1000
    ) -> None:
        c = 3
        stages: list[nn.Module] = []
        for repeats, channels in zip(depth, STAGES, strict=True):
            k = max(1, round(channels * width))
            convs = [BiasConv(c if number == 0 else k, k, 3, padding=1) for number in range(repeats)]
            stages.append(nn.Sequential(OrderedDict(**numbered("conv", convs), pool=nn.MaxPool2d(2))))
            c = k
        head = OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(c * 7 * 7, 4096),
            relu1=nn.ReLU(inplace=True),
            dropout1=nn.Dropout(),
            fc2=nn.Linear(4096, 4096),
            relu2=nn.ReLU(inplace=True),
            dropout2=nn.Dropout(),
            fc3=nn.Linear(4096, classes),
        )
        super().__init__(None, stages, nn.Sequential(head))
