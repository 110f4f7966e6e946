"""The built-in networks as data: names, defaults of their options, inputs, published facts.

Facts: accuracy on ImageNet (top-1 and top-5, single crop, per cent) as the source of the family prints it,
for SqueezeNext Tables 1 to 3 of arXiv:1803.10615. Params and MACs are exact counts of the published
network.
"""

from __future__ import annotations

from squeezesim.zoo.options import Option, Value
from squeezesim.zoo.registry import Entry, Facts, Family

_SQUEEZENEXT = Family(
    name="squeezenext",
    source="Gholami et al., SqueezeNext, 2018, arXiv:1803.10615",
    year=2018,
    module="squeezesim.zoo.squeezenext",
    factory="SqueezeNext",
    options=(
        Option(name="depth", kind="ints", low=1, high=200, length=4),
        Option(name="width", kind="float", low=0.125, high=16),
        Option(name="conv1", kind="int", low=1, high=15),
        Option(name="groups", kind="int", low=1, high=64),
        Option(name="wiring", kind="choice", choices=("parallel", "serial")),
    ),
)
_SQUEEZENET = Family(
    name="squeezenet",
    source="Iandola et al., SqueezeNet, 2016, arXiv:1602.07360",
    year=2016,
    module="squeezesim.zoo.squeezenet",
    factory="SqueezeNet",
    options=(
        Option(name="version", kind="choice", choices=("1.0", "1.1")),
        Option(name="bypass", kind="choice", choices=("none", "simple", "complex")),
    ),
)
_ALEXNET = Family(
    name="alexnet",
    source="Krizhevsky et al., ImageNet Classification with Deep CNNs, NIPS 2012; BVLC reference model",
    year=2012,
    module="squeezesim.zoo.alexnet",
    factory="AlexNet",
)
_MOBILENET = Family(
    name="mobilenet",
    source="Howard et al., MobileNets, 2017, arXiv:1704.04861",
    year=2017,
    module="squeezesim.zoo.mobilenet",
    factory="MobileNetV1",
    options=(Option(name="width", kind="float", low=0.125, high=16),),
)
_DARKNET = Family(
    name="darknet",
    source="Redmon, Tiny Darknet, 2016, https://pjreddie.com/darknet/tiny-darknet/",
    year=2016,
    module="squeezesim.zoo.darknet",
    factory="TinyDarknet",
)


def _squeezenext(
    name: str,
    title: str,
    facts: Facts,
    *,
    depth: tuple[int, int, int, int] = (6, 6, 8, 1),
    width: float = 1.0,
    conv1: int = 7,
    groups: int = 1,
) -> Entry:
    # The variants with a 5×5 first convolution are those whose squeeze reads the shortcut's output.
    wiring = "serial" if conv1 == 5 else "parallel"
    defaults: dict[str, Value] = {
        "depth": depth,
        "width": width,
        "conv1": conv1,
        "groups": groups,
        "wiring": wiring,
    }
    return Entry(
        name=name, title=title, family=_SQUEEZENEXT, input=(3, 227, 227), defaults=defaults, facts=facts
    )


def _squeezenet(name: str, title: str, facts: Facts, version: str = "1.0", bypass: str = "none") -> Entry:
    defaults: dict[str, Value] = {"version": version, "bypass": bypass}
    return Entry(
        name=name, title=title, family=_SQUEEZENET, input=(3, 224, 224), defaults=defaults, facts=facts
    )


_V5 = (2, 4, 14, 1)

CATALOGUE: tuple[Entry, ...] = (
    _squeezenext("squeezenext_23", "1.0-SqNxt-23", Facts(717_280, 277_999_808, 59.05, 82.60)),
    _squeezenext("squeezenext_23_v2", "1.0-SqNxt-23v2", Facts(733_664, 224_916_480, 58.55, 82.09), conv1=5),
    _squeezenext(
        "squeezenext_23_v3",
        "1.0-SqNxt-23v3",
        Facts(747_840, 224_916_480, 58.18, 81.96),
        depth=(4, 8, 8, 1),
        conv1=5,
    ),
    _squeezenext(
        "squeezenext_23_v4",
        "1.0-SqNxt-23v4",
        Facts(762_016, 224_916_480, 59.09, 82.41),
        depth=(2, 10, 8, 1),
        conv1=5,
    ),
    _squeezenext(
        "squeezenext_23_v5", "1.0-SqNxt-23v5", Facts(930_016, 224_916_480, 59.24, 82.41), depth=_V5, conv1=5
    ),
    _squeezenext("squeezenext_23_g", "1.0-G-SqNxt-23", Facts(543_072, 224_191_552, 57.16, 80.23), groups=2),
    _squeezenext("squeezenext_23_1_5x", "1.5-SqNxt-23", Facts(1_406_384, None, 63.52, 85.66), width=1.5),
    _squeezenext("squeezenext_23_2x", "2.0-SqNxt-23", Facts(2_361_728, 742_070_464, 67.18, 88.17), width=2.0),
    _squeezenext(
        "squeezenext_23_2x_v4",
        "2.0-SqNxt-23v4",
        Facts(2_555_136, 702_592_000, 66.95, 87.89),
        depth=(2, 10, 8, 1),
        width=2.0,
        conv1=5,
    ),
    _squeezenext(
        "squeezenext_23_2x_v5",
        "2.0-SqNxt-23v5",
        Facts(3_222_912, 702_592_000, 67.44, 88.20),
        depth=_V5,
        width=2.0,
        conv1=5,
    ),
    _squeezenext(
        "squeezenext_44", "1.0-SqNxt-44", Facts(1_238_976, None, 62.64, 85.15), depth=(12, 12, 16, 2)
    ),
    _squeezenext(
        "squeezenext_44_2x",
        "2.0-SqNxt-44",
        Facts(4_428_096, None, 69.59, 89.53),
        depth=(12, 12, 16, 2),
        width=2.0,
    ),
    _squeezenet("squeezenet_1_0", "SqueezeNet v1.0", Facts(1_248_424, 818_924_576, 57.5, 80.3)),
    _squeezenet(
        "squeezenet_1_0_bypass",
        "SqueezeNet v1.0, simple bypass",
        Facts(1_248_424, 818_924_576, 60.4, 82.5),
        bypass="simple",
    ),
    _squeezenet(
        "squeezenet_1_0_complex_bypass",
        "SqueezeNet v1.0, complex bypass",
        Facts(1_589_672, None, 58.8, 82.0),
        bypass="complex",
    ),
    _squeezenet(
        "squeezenet_1_1", "SqueezeNet v1.1", Facts(1_235_496, 349_151_936, 57.1, 80.3), version="1.1"
    ),
    Entry(
        name="alexnet",
        title="AlexNet",
        family=_ALEXNET,
        input=(3, 227, 227),
        facts=Facts(60_965_224, 724_406_816, 57.1, 80.3),
    ),
    Entry(
        name="mobilenet_v1",
        title="MobileNet v1",
        family=_MOBILENET,
        input=(3, 224, 224),
        defaults={"width": 1.0},
        facts=Facts(4_231_976, 568_740_352, 70.6, None),
    ),
    Entry(
        name="tiny_darknet",
        title="Tiny Darknet",
        family=_DARKNET,
        input=(3, 224, 224),
        facts=Facts(1_042_104, 491_524_096, 58.7, 81.7),
    ),
)
