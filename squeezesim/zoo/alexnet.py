"""AlexNet as BVLC published it for Caffe: two groups in conv2, conv4 and conv5.

Source: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NIPS 2012; layers as in BVLC's reference model.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from squeezesim.zoo.parts import BiasConv


class AlexNet(nn.Module):
    """Five convolutions, two of them with local response normalisation, and three fully connected layers."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(conv1=BiasConv(3, 96, 11, stride=4), norm1=_norm(), pool1=nn.MaxPool2d(3, stride=2))
        )
        self.stage1 = nn.Sequential(
            OrderedDict(
                conv2=BiasConv(96, 256, 5, padding=2, groups=2),
                norm2=_norm(),
                pool2=nn.MaxPool2d(3, stride=2),
            )
        )
        self.stage2 = nn.Sequential(
            OrderedDict(
                conv3=BiasConv(256, 384, 3, padding=1),
                conv4=BiasConv(384, 384, 3, padding=1, groups=2),
                conv5=BiasConv(384, 256, 3, padding=1, groups=2),
                pool5=nn.MaxPool2d(3, stride=2),
            )
        )
        self.head = nn.Sequential(
            OrderedDict(
                flatten=nn.Flatten(),
                fc6=nn.Linear(256 * 6 * 6, 4096),
                relu6=nn.ReLU(inplace=True),
                drop6=nn.Dropout(),
                fc7=nn.Linear(4096, 4096),
                relu7=nn.ReLU(inplace=True),
                drop7=nn.Dropout(),
                fc8=nn.Linear(4096, classes),
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scores of the classes for images (N, 3, 227, 227)."""
        for part in self.children():
            x = part(x)
        return x


def _norm() -> nn.Module:
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
