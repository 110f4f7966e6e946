from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from squeezesim import Network, compress
from tests.cli.conftest import Run
from tests.report.cases import network

PROFILE = ("profile", "small.graph.json", "--hw", "small_8x8.yaml")

MODEL = """
import torch
from torch import nn

def make():
    model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 8, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.outer(torch.ones(8), torch.arange(8.0)))
    return model
"""


def test_options_are_a_recipe(run: Run) -> None:
    options = ("--prune", "stem*=0.5", "--prune", "2:4", "--quantize", "w4a8", "--low-rank", "*b=rank:4")
    out = run(
        "layers", "small.graph.json", *options, "--prune-channels", "stage1.b=0.5", "--format", "json"
    ).out
    made = Network.from_json(out)
    recipe = {
        "prune_channels": {"stage1.b": "0.5"},
        "low_rank": {"*b": "rank:4"},
        "prune": {"stem*": "0.5", "*": "2:4"},
        "quantize": "w4a8",
    }
    assert made == compress(network(), recipe)
    assert made.name == (
        "small+prune_channels=stage1.b=0.5+low_rank=*b=rank:4+prune=stem*=0.5+prune=2:4+quantize=w4a8"
    )


def test_a_file_goes_after_the_options(run: Run) -> None:
    Path("recipe.yaml").write_text("prune: {stem*: 0.25, '*': 0.75}\nquantize: w8a8\n")
    out = run(
        "layers", "small.graph.json", "--prune", "*=0.5", "--compress", "recipe.yaml", "--format", "csv"
    ).out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["weight_density"] for row in rows} == {"0.5", ""}
    assert {row["activation_bits"] for row in rows} >= {"8"}


def test_sizes_are_printed_for_compressed_networks_alone(run: Run) -> None:
    assert "weights stored" not in run("layers", "small.graph.json").out
    out = run("layers", "small.graph.json", "--prune", "0.5").out
    table = out.partition("weights stored")[2].splitlines()[1:]
    assert [line.split("  ")[0] for line in table] == [
        "dense",
        "non-zeros alone",
        "bitmap",
        "relative index, 4 bits",
        "relative index, 5 bits",
        "csr",
        "smallest of each layer",
    ]
    assert table[0].endswith(f"{network().params * 4:,}")


def test_a_profile_says_what_was_compressed_and_keeps_its_files_apart(run: Run) -> None:
    result = run(*PROFILE, "--prune", "0.4", "--quantize", "w8a8")
    assert result.code == 0
    assert result.out.startswith("small+prune=0.4+quantize=w8a8 on small_8x8\n")
    (folder,) = Path("reports").iterdir()
    assert folder.name.startswith("small")
    assert "prune-0.4" in folder.name
    totals = json.loads((folder / "report.json").read_text())["totals"]
    assert (
        totals["weights_bytes"] < json.loads(run(*PROFILE, "--format", "json").out)["totals"]["weights_bytes"]
    )


@pytest.mark.torch
def test_real_weights_of_a_users_module(run: Run) -> None:
    Path("my.py").write_text(MODEL)
    arguments = ("layers", "my.py:make", "--input", "8", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--prune", "weights").out)))
    assert [row["weight_density"] for row in rows] == ["0.875", "", "1.0"]
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--low-rank", "energy:0.99").out)))
    assert [(row["name"], row["k"]) for row in rows[:2]] == [("0/low_rank", "1"), ("0", "8")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prune", "stm*=0.4"), "pattern 'stm*' matches no layer of network 'small'; did you mean 'stem'?"),
        (("--prune", "="), "--prune is written VALUE or PATTERN=VALUE, found '='"),
        (("--prune", "a=0.4", "--prune", "a=0.5"), "--prune gives the pattern 'a' two values"),
        (("--quantize", "int8"), "widths are written as w8a8, w4a8 or w8a8acc32, found 'int8'"),
        (
            ("--prune", "weights"),
            "'weights' and 'energy:' are of a trained module, as my.py:factory gives it, found 'small.graph.json'",
        ),
        (
            ("--compress", "none.yaml"),
            "cannot read 'none.yaml': No such file or directory",
        ),
    ],
)
def test_mistakes_are_one_line(run: Run, options: tuple[str, ...], message: str) -> None:
    for command in (PROFILE, ("layers", "small.graph.json")):
        result = run(*command, *options)
        assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n")
    assert not Path("reports").exists()


@pytest.mark.parametrize("words", [("alexnet", "--prune", "0.5"), ("alexnet+prune=0.5",)])
def test_a_cross_check_is_of_the_model_as_it_is(run: Run, words: tuple[str, ...]) -> None:
    result = run("layers", *words, "--cross-check")
    assert result.err == "error: a cross-check counts the model as it is; it cannot be compressed\n"


def test_a_model_says_what_compresses_it_where_options_would(run: Run) -> None:
    options = ("--prune", "stem*=0.5", "--prune", "2:4", "--quantize", "w4a8")
    word = "small.graph.json+prune=stem*=0.5+quantize=w4a8+prune=2:4"
    assert run("layers", word).out == run("layers", "small.graph.json", *options).out
    both = run("profile", f"{word}+low-rank=0.5", *PROFILE[2:], "--prune", "0.5", "--format", "csv")
    alone = run(*PROFILE, *options, "--low-rank", "0.5", "--format", "csv")
    assert (both.code, both.out == alone.out) == (0, False)  # what the options say comes after the word
    saved = run("layers", "small.graph.json", *options, "--format", "json")
    Path("pruned.graph.json").write_text(saved.out)
    assert (
        run("layers", "pruned.graph.json").out + "\n"
        == run("layers", word).out.partition("weights stored")[0]
    )


def test_what_changes_no_layer_is_not_compressed(run: Run) -> None:
    out = run("layers", "small.graph.json", "--low-rank", "rank:100000000", "--format", "json").out
    made = Network.from_json(out)
    assert made.layers == network().layers
    assert made.name == "small"
    assert made.notes[-1] == "no layer changes: low_rank rank:100000000"
