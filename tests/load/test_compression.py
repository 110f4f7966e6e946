from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import squeezesim as sq
from squeezesim.errors import ModelError, UsageError
from squeezesim.load.compression import split

NAME = "squeezenet_1_0"
RULES = {
    "prune_channels": st.sampled_from(["0.5", "*squeeze=0.75"]),
    "low_rank": st.sampled_from(["0.25", "rank:8", "head.*=rank:16"]),
    "prune": st.sampled_from(["0.4", "2:4", "stem*=0.5", "*[13]=1:8"]),
    "quantize": st.sampled_from(["w8a8", "w4a8acc32", "head*=w4"]),
}
PARTS = st.lists(
    st.sampled_from(sorted(RULES)).flatmap(lambda name: st.tuples(st.just(name), RULES[name])),
    min_size=1,
    max_size=5,
    unique=True,
)


def recipe_of(parts: list[tuple[str, str]]) -> dict[str, dict[str, str]]:
    recipe: dict[str, dict[str, str]] = {}
    for name, text in parts:
        pattern, _, value = text.rpartition("=")
        recipe.setdefault(name, {})[pattern or "*"] = value
    return recipe


@given(PARTS.filter(lambda parts: len({(name, "=" in text or "*") for name, text in parts}) == len(parts)))
def test_a_word_is_a_recipe_and_the_name_of_what_it_makes(parts: list[tuple[str, str]]) -> None:
    word = NAME + "".join(f"+{name.replace('_', '-')}={text}" for name, text in parts)
    made = sq.load(word)
    assert made == sq.compress(sq.load(NAME), recipe_of(parts))
    again = sq.load(made.name)
    assert (again.name, again.layers) == (made.name, made.layers)


def test_a_recipe_in_a_file_comes_after_the_word(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("prune: {stem*: 0.25, '*': 0.75}\nquantize: w8a8\n")
    made = sq.load(f"{NAME}+compress={path}+prune=head*=0.5")
    assert made.name == f"{NAME}+prune=head*=0.5+prune=stem*=0.25+prune=0.75+quantize=w8a8"


def test_of_many_values_the_name_has_the_first_ones() -> None:
    network = sq.load(NAME)
    densities = {layer.name: 0.5 for layer in network.layers if layer.kind == "mac"}
    first = list(densities)[:3]
    made = sq.prune(network, densities)
    assert made.name == NAME + "".join(f"+prune={name}=0.5" for name in first) + "+prune=…"


@pytest.mark.torch
def test_real_weights_are_those_of_the_factory(tmp_path: Path) -> None:
    path = tmp_path / "my.py"
    path.write_text(
        "import torch\nfrom torch import nn\n\n"
        "def make(size=4):\n    layer = nn.Linear(size, 2, bias=False)\n"
        "    nn.init.ones_(layer.weight)\n    layer.weight.data[0] = 0\n    return layer\n"
    )
    made = sq.load(f"{path}:make@size=6+prune=weights", input_shape="6")
    assert [(layer.c, layer.weight_density) for layer in made.layers] == [(6, 0.5)]
    made = sq.load(f"{path}:make+prune=weights", size=8, input_shape="8")
    assert [(layer.c, layer.weight_density) for layer in made.layers] == [(8, 0.5)]


def test_a_file_of_that_very_name_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "a+prune=0.4.graph.json"
    sq.load(NAME).save(path)
    assert sq.load(path) == sq.load(NAME)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("+prun=0.4", "unknown pass 'prun' in model 'squeezenet_1_0+prun=0.4'; allowed: prune_channels, low_rank, "),
        ("+prune=", "+prune is written VALUE or PATTERN=VALUE, found ''"),
        ("+prune-channels=0.5+prune-channels=0.4", "+prune-channels gives the pattern '*' two values"),
        ("+compress=", "a recipe is written +compress=FILE, once in a model, found 'squeezenet_1_0+compress='"),
        ("+compress=a+compress=b", "a recipe is written +compress=FILE, once in a model, found "),
        ("+prune=0.5" * 3000 + "+prune=0.4", "+prune gives the pattern '*' two values"),
        ("+prune=weights", "'weights' and 'energy:' are of a trained module, as my.py:factory gives it, found "),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(text: str, message: str) -> None:
    with pytest.raises((UsageError, ModelError)) as caught:
        sq.load(NAME + text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_without_a_part_it_is_a_model() -> None:
    for text in ("a+b.onnx", "my.py:make@x=1e+5,y=2", "c++/net.pt2", "a=b"):
        model, compression = split(text)
        assert (model, bool(compression)) == (text, False)
