"""The families of built-in networks: the class that builds each, its options and their defaults, its source."""

from __future__ import annotations

from squeezesim.zoo.options import Option
from squeezesim.zoo.records import Family


def _depth(*blocks: int) -> Option:
    return Option(name="depth", kind="ints", low=1, high=200, length=len(blocks), default=blocks)


def _integer(name: str, default: int, low: int, high: int) -> Option:
    return Option(name=name, kind="int", low=low, high=high, default=default)


def _choice(name: str, *choices: str) -> Option:
    return Option(name=name, kind="choice", choices=choices, default=choices[0])


_WIDTH = Option(name="width", kind="float", low=0.125, high=16, default=1.0)


def _vit(name: str, source: str, dim: int, heads: int) -> Family:
    return Family(
        name=name,
        source=source,
        year=2020,
        module="squeezesim.zoo.vit",
        factory="ViT",
        options=(
            _integer("depth", 12, 1, 200),
            _integer("dim", dim, 1, 8192),
            _integer("heads", heads, 1, 128),
            _integer("patch", 16, 1, 64),
            _integer("resolution", 224, 1, 2048),
        ),
    )


FAMILIES = (
    Family(
        name="squeezenext",
        source="Gholami et al., SqueezeNext, 2018, arXiv:1803.10615",
        year=2018,
        module="squeezesim.zoo.squeezenext",
        factory="SqueezeNext",
        options=(
            _depth(6, 6, 8, 1),
            _WIDTH,
            _integer("conv1", 7, 1, 15),
            _integer("groups", 1, 1, 64),
            _choice("wiring", "parallel", "serial"),
        ),
    ),
    Family(
        name="squeezenet",
        source="Iandola et al., SqueezeNet, 2016, arXiv:1602.07360",
        year=2016,
        module="squeezesim.zoo.squeezenet",
        factory="SqueezeNet",
        options=(
            _depth(3, 4, 1),
            _WIDTH,
            _integer("conv1", 7, 1, 15),
            _integer("stem", 96, 1, 1024),
            _choice("bypass", "none", "simple", "complex"),
        ),
    ),
    Family(
        name="alexnet",
        source="Krizhevsky et al., ImageNet Classification with Deep CNNs, NIPS 2012; BVLC reference model",
        year=2012,
        module="squeezesim.zoo.alexnet",
        factory="AlexNet",
    ),
    Family(
        name="alexnet_owt",
        source="Krizhevsky, One weird trick, 2014, arXiv:1404.5997; channels as in torchvision",
        year=2014,
        module="squeezesim.zoo.alexnet",
        factory="AlexNetOneTower",
    ),
    Family(
        name="vgg",
        source="Simonyan and Zisserman, Very Deep Convolutional Networks, 2014, arXiv:1409.1556",
        year=2014,
        module="squeezesim.zoo.vgg",
        factory="VGG",
        options=(_depth(2, 2, 3, 3, 3), _WIDTH),
    ),
    Family(
        name="resnet",
        source="He et al., Deep Residual Learning, 2015, arXiv:1512.03385",
        year=2015,
        module="squeezesim.zoo.resnet",
        factory="ResNet",
        options=(
            _depth(2, 2, 2, 2),
            _WIDTH,
            _choice("block", "basic", "bottleneck"),
            _choice("strided", "3x3", "1x1"),
        ),
    ),
    Family(
        name="densenet",
        source="Huang et al., Densely Connected Convolutional Networks, 2016, arXiv:1608.06993",
        year=2016,
        module="squeezesim.zoo.densenet",
        factory="DenseNet",
        options=(_depth(6, 12, 24, 16), _integer("growth", 32, 1, 512)),
    ),
    Family(
        name="darknet",
        source="Redmon, Tiny Darknet, 2016, https://pjreddie.com/darknet/tiny-darknet/",
        year=2016,
        module="squeezesim.zoo.darknet",
        factory="TinyDarknet",
        options=(_depth(1, 2, 2, 2), _WIDTH),
    ),
    Family(
        name="mobilenet",
        source="Howard et al., MobileNets, 2017, arXiv:1704.04861",
        year=2017,
        module="squeezesim.zoo.mobilenet",
        factory="MobileNetV1",
        options=(_depth(1, 2, 2, 6, 2), _WIDTH),
    ),
    Family(
        name="mobilenet_v2",
        source="Sandler et al., MobileNetV2, 2018, arXiv:1801.04381",
        year=2018,
        module="squeezesim.zoo.mobilenet_v2",
        factory="MobileNetV2",
        options=(_depth(1, 2, 3, 4, 3, 3, 1), _WIDTH),
    ),
    Family(
        name="mobilenet_v3_small",
        source="Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244",
        year=2019,
        module="squeezesim.zoo.mobilenet_v3",
        factory="MobileNetV3Small",
        options=(_depth(1, 2, 3, 2, 3), _WIDTH),
    ),
    Family(
        name="mobilenet_v3_large",
        source="Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244",
        year=2019,
        module="squeezesim.zoo.mobilenet_v3",
        factory="MobileNetV3Large",
        options=(_depth(1, 2, 3, 4, 2, 3), _WIDTH),
    ),
    Family(
        name="shufflenet_v1",
        source="Zhang et al., ShuffleNet, 2017, arXiv:1707.01083",
        year=2017,
        module="squeezesim.zoo.shufflenet",
        factory="ShuffleNetV1",
        options=(_depth(4, 8, 4), _WIDTH, _integer("groups", 3, 1, 8)),
    ),
    Family(
        name="shufflenet_v2",
        source="Ma et al., ShuffleNet V2, 2018, arXiv:1807.11164",
        year=2018,
        module="squeezesim.zoo.shufflenet_v2",
        factory="ShuffleNetV2",
        options=(_depth(4, 8, 4), _integer("channels", 116, 2, 2048), _integer("tail", 1024, 1, 16384)),
    ),
    Family(
        name="efficientnet",
        source="Tan and Le, EfficientNet, 2019, arXiv:1905.11946",
        year=2019,
        module="squeezesim.zoo.efficientnet",
        factory="EfficientNet",
        options=(_depth(1, 2, 2, 3, 3, 4, 1), _WIDTH),
    ),
    Family(
        name="ghostnet",
        source="Han et al., GhostNet, 2020, arXiv:1911.11907",
        year=2020,
        module="squeezesim.zoo.ghostnet",
        factory="GhostNet",
        options=(_depth(1, 2, 2, 4, 2, 5), _WIDTH),
    ),
    _vit(
        "deit", "Touvron et al., Training data-efficient image transformers, 2020, arXiv:2012.12877", 192, 3
    ),
    _vit("vit", "Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv:2010.11929", 768, 12),
)
