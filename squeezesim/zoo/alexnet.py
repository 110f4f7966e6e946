"""AlexNet: as BVLC published it for Caffe, two groups in conv2, conv4 and conv5, and as one tower.

Sources: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NIPS 2012; layers as in BVLC's reference model. A. Krizhevsky, "One weird trick for parallelizing
convolutional neural networks", 2014, arXiv:1404.5997; channels as in torchvision.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from squeezesim.zoo.parts import BiasConv, Staged


class AlexNet(Staged):
    """Five convolutions, two of them with local response normalisation, and three fully connected layers."""

    def __init__(self, classes: int = 1000) -> None:
        stem = OrderedDict(conv1=BiasConv(3, 96, 11, stride=4), norm1=_norm(), pool1=_pool())
        stage1 = OrderedDict(
            conv2=BiasConv(96, 256, 5, padding=2, groups=2),
            norm2=_norm(),
            pool2=_pool(),
        )
        stage2 = OrderedDict(
            conv3=BiasConv(256, 384, 3, padding=1),
            conv4=BiasConv(384, 384, 3, padding=1, groups=2),
            conv5=BiasConv(384, 256, 3, padding=1, groups=2),
            pool5=_pool(),
        )
        super().__init__(
            nn.Sequential(stem), [nn.Sequential(stage1), nn.Sequential(stage2)], _head(256, classes)
        )


class AlexNetOneTower(Staged):
    """Five convolutions without groups or normalisation, and three fully connected layers."""

    def __init__(self, classes: int = 1000) -> None:
        stem = OrderedDict(conv1=BiasConv(3, 64, 11, stride=4, padding=2), pool1=_pool())
        stage1 = OrderedDict(conv2=BiasConv(64, 192, 5, padding=2), pool2=_pool())
        stage2 = OrderedDict(
            conv3=BiasConv(192, 384, 3, padding=1),
            conv4=BiasConv(384, 256, 3, padding=1),
            conv5=BiasConv(256, 256, 3, padding=1),
            pool5=_pool(),
        )
        super().__init__(
            nn.Sequential(stem), [nn.Sequential(stage1), nn.Sequential(stage2)], _head(256, classes)
        )


def _head(c: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc6=nn.Linear(c * 6 * 6, 4096),
            relu6=nn.ReLU(inplace=True),
            drop6=nn.Dropout(),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(inplace=True),
            drop7=nn.Dropout(),
            fc8=nn.Linear(4096, classes),
        )
    )


def _norm() -> nn.Module:
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)


def _pool() -> nn.Module:
    return nn.MaxPool2d(3, stride=2)
