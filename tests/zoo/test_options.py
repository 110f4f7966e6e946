"""What the options of the families do to the networks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.errors import ModelError
from squeezesim.frontends.torch.trace import trace
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.zoo.registry import Spec, build, catalogue, parse_spec

FAMILIES = {entry.family.name: entry for entry in reversed(catalogue().values())}
STAGED = sorted(
    name
    for name, entry in FAMILIES.items()
    if any((option.name, option.kind) == ("depth", "ints") for option in entry.family.options)
)
FIXED = ("vgg", "vit", "deit")
WIDE = sorted(name for name in STAGED if "width" in FAMILIES[name].defaults)


def network(spec: Spec) -> Network:
    shape = spec.input if spec.entry.family.name in FIXED else (3, 96, 96)
    return trace(build(spec, device="meta"), (1, *shape))


def test_every_family_with_stages_has_their_depth_as_an_option() -> None:
    assert sorted(FAMILIES.keys() - set(STAGED)) == ["alexnet", "alexnet_owt", "deit", "vit"]


@pytest.mark.parametrize("family", STAGED)
@given(data=st.data())
@settings(max_examples=2)
def test_depth_is_the_number_of_blocks_in_each_stage(family: str, data: st.DataObject) -> None:
    entry = FAMILIES[family]
    published = entry.defaults["depth"]
    assert isinstance(published, tuple)
    depth = data.draw(st.tuples(*[st.integers(1, 3)] * len(published)))
    spec = parse_spec(entry.name, {"depth": depth})
    children = dict(build(spec, device="meta").named_children())
    for number, blocks in enumerate(depth, 1):
        names = [name for name, _ in children[f"stage{number}"].named_children()]
        repeated = [name for name in names if name not in ("pool", "transition")]
        extra = (blocks if number > 1 else 0) + (number == 4) if family == "darknet" else 0
        assert len(repeated) == blocks + extra
    made = network(spec)
    assert made.unmodelled == ()
    assert list(made.stages) == list(children)


@pytest.mark.parametrize("family", WIDE)
def test_width_scales_params_by_its_square_at_most(family: str) -> None:
    entry = FAMILIES[family]
    published = entry.defaults["depth"]
    assert isinstance(published, tuple)
    shallow = {"depth": (1,) * len(published)}
    narrow, full, wide = (
        network(parse_spec(entry.name, shallow | {"width": width})) for width in (0.5, 1.0, 2.0)
    )
    assert full.params / 4 < narrow.params < full.params < wide.params <= 4 * full.params
    assert narrow.macs < full.macs < wide.macs <= 4.2 * full.macs


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_groups_of_shufflenet_divide_the_channels_of_any_width(groups: int) -> None:
    for width in (0.125, 0.5, 1.7):
        made = network(parse_spec("shufflenet_v1_g3@depth=1-2-1", {"groups": groups, "width": width}))
        assert {layer.g for layer in made.layers if layer.op == "conv2d" and layer.fx == 1} <= {1, groups}


def test_resolution_sets_the_input_of_a_transformer() -> None:
    spec = parse_spec("vit_b_16@resolution=384")
    assert spec.input == (3, 384, 384)
    assert parse_spec("vit_b_16").input == parse_spec("resnet50@width=2").input == (3, 224, 224)
    tokens = 384 * 384 // (16 * 16) + 1
    large, small = load("vit_b_16@resolution=384"), load("vit_b_16")
    assert large.inputs == (("input", (1, 3, 384, 384)),)
    assert large.params - small.params == (tokens - 197) * 768


def test_a_transformer_says_which_option_another_input_needs() -> None:
    with pytest.raises(ModelError, match=r"576 patches but 196 positions; .* set option resolution"):
        load("vit_b_16", input_shape="3x384x384")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vit_b_16@heads=5", "heads = 5 must divide dim = 768"),
        ("deit_tiny@patch=15", "patch = 15 must divide resolution = 224"),
        ("shufflenet_v1_g3@groups=5", "groups = 5; allowed: 1, 2, 3, 4, 8"),
        ("squeezenext_23@groups=3", "groups = 3 must divide the 64 channels of the first convolution"),
    ],
)
def test_options_that_do_not_fit_together(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(text)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("resnet18@depth=3-4-6-3", ("same as resnet34",)),
        ("squeezenet_1_0@conv1=3,stem=64,depth=2-2-4", ("same as squeezenet_1_1",)),
        ("efficientnet_b0@depth=2-3-3-4-4-5-2", ("same as efficientnet_b1",)),
        ("vgg16@depth=2-2-4-4-4,width=0.5", ("differs from vgg19 in width",)),
    ],
)
def test_notes_name_the_built_in_network_that_is_near(text: str, notes: tuple[str, ...]) -> None:
    assert parse_spec(text).notes == notes
