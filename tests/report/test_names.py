from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.load import load
from squeezesim.report.grid import short_names, shorten

parts = st.one_of(
    st.sampled_from(
        ["features", "denseblock1", "denseblock11", "layer1", "layer2", "conv", "f", "l1", "d11", ""]
    ),
    st.text("ab12", max_size=12),
)
paths = st.builds(str.join, st.sampled_from([".", "/"]), st.lists(parts, min_size=1, max_size=5))


@given(paths, st.integers(3, 40))
def test_a_shortened_name_keeps_both_ends(name: str, width: int) -> None:
    short = shorten(name, width)
    if len(name) <= width:
        assert short == name
    else:
        assert len(short) == width
        front, back = short.split("…")
        assert name.startswith(front)
        assert name.endswith(back)


@given(st.lists(paths, max_size=30), st.integers(8, 40))
def test_different_names_stay_different(names: list[str], width: int) -> None:
    short = short_names(names, width)
    assert len(set(short)) == len(set(names))
    assert len(set(zip(names, short, strict=True))) == len(set(names))
    assert all(len(text) <= width for text in short)
    assert all(text == name for name, text in zip(names, short, strict=True) if len(name) <= width)


@pytest.mark.parametrize("width", [8, 9, 16, 28])
@pytest.mark.parametrize("model", ["squeezenext_23", "densenet121"])
def test_layers_of_networks_stay_different(model: str, width: int) -> None:
    names = [layer.name for layer in load(model).layers]
    short = short_names(names, width)
    assert len(set(short)) == len(names)
    if width >= 16:
        assert not any("#" in text or "…" in text for text in short)


def test_first_parts_are_abbreviated_first() -> None:
    blocks = [f"features.denseblock{number}.denselayer1.conv2" for number in (1, 3, 4)]
    assert short_names(blocks, 24) == [
        "f.d1.denselayer1.conv2",
        "f.d3.denselayer1.conv2",
        "f.d4.denselayer1.conv2",
    ]
    assert short_names(blocks, 12) == ["f.d1.d1.con2", "f.d3.d1.con2", "f.d4.d1.con2"]


def test_an_abbreviation_is_not_another_name() -> None:
    names = ["features.convolution", "f.convolution", "fe.convolution", "features.c"]
    assert short_names(names, 16) == ["fea.convolution", "f.convolution", "fe.convolution", "features.c"]


def test_what_cannot_be_told_apart_has_its_place() -> None:
    names = [f"{'a' * 20}{letter}{'1' * 20}" for letter in "xy"]
    assert short_names(names, 10) == ["aaa…1111#1", "aaa…1111#2"]
    assert short_names([names[0], "fc", names[0]], 10) == ["aaaa…11111", "fc", "aaaa…11111"]


def test_names_of_any_depth_are_short_soon() -> None:
    names = [f"{'a.' * 20_000}{number}" for number in range(20)]
    short = short_names(names, 20)
    assert len(set(short)) == 20
    assert max(map(len, short)) == 20
