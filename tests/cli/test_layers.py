from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from squeezesim.network import Network
from tests.cli.conftest import Run
from tests.report.cases import network


def test_csv_lists_every_layer(run: Run) -> None:
    code, out, err = run("layers", "small.graph.json", "--format", "csv")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["name"] for row in rows] == [layer.name for layer in network().layers]
    assert sum(int(row["macs"]) for row in rows) == network().macs
    assert rows[0]["stride"] == "2x2"


def test_json_is_the_network(run: Run) -> None:
    assert Network.from_json(run("layers", "small.graph.json", "--format", "json").out) == network()


def test_a_table_ends_with_the_totals(run: Run) -> None:
    code, out, _ = run("layers", "squeezenet_1_1")
    assert code == 0
    assert "  64 layers, 1,235,496 params, 349,151,936 MACs, " in out


@pytest.mark.torch
def test_a_cross_check_that_agrees(run: Run) -> None:
    code, out, err = run("layers", "squeezenet_1_1", "--cross-check", "--input", "3x64x64")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["module", "MACs", "fvcore", "torch"]
    assert out.endswith("\n26 modules with MACs, none counted differently by fvcore or torch\n")


@pytest.mark.torch
def test_a_cross_check_that_differs_is_a_failed_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from squeezesim.frontends.torch.crosscheck import CrossCheck

    def differing(model: str, **options: object) -> list[CrossCheck]:
        assert model == "alexnet"
        assert options == {"input_shape": None, "batch": 2}
        return [
            CrossCheck("a", 1000, 1000, 1000),
            CrossCheck("b", 5, 0, 5, "fvcore has no rule for lstm"),
            CrossCheck("", 7, 8, 7),
        ]

    monkeypatch.setattr(sys.modules["squeezesim.load"], "cross_check", differing)
    code, out, err = run("layers", "alexnet", "--cross-check", "--batch", "2")
    assert (code, err) == (1, "")
    assert out == (
        "module     MACs  fvcore  torch\n"
        "a         1,000   1,000  1,000\n"
        "b             5       0      5  differ\n"
        "(itself)      7       8      7  differ\n"
        "\n3 modules with MACs, 2 counted differently by fvcore or torch\n"
        "  fvcore has no rule for lstm: 1 module, such as b\n"
        "  no reason known: 1 module, such as (itself)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alexnet", "--format", "cvs"], "--format 'cvs'; allowed: table, csv, json; did you mean 'csv'?"),
        (
            ["alexnet", "--cross-check", "--format", "csv"],
            "--cross-check prints a table; --format cannot be given with it",
        ),
        (
            ["alexnet", "--input", "3x1x1", "--input", "3x2x2"],
            "several inputs need names, such as --input image=1x3x224x224, found 3x1x1, 3x2x2",
        ),
        (
            ["small.graph.json", "--cross-check"],
            "'small.graph.json' is a traced network: there is no module to count again",
        ),
        (
            ["alexnet", "--input", "x=1x3:f32"],
            "input 'x': unknown type 'f32'; allowed: float16, bfloat16, float32, float64, int8, uint8, int16, int32, "
            "int64, bool; did you mean 'float32'?",
        ),
    ],
)
def test_mistakes(run: Run, arguments: list[str], message: str) -> None:
    assert run("layers", *arguments) == (2, "", f"error: {message}\n")


@pytest.mark.torch
def test_a_named_input_may_bring_its_type(run: Run) -> None:
    Path("tokens.py").write_text(
        "from torch import nn\n"
        "class Model(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.embedding, self.head = nn.Embedding(100, 32), nn.Linear(32, 10)\n"
        "    def forward(self, tokens):\n"
        "        return self.head(self.embedding(tokens))\n"
    )
    code, out, err = run("layers", "tokens.py:Model", "--input", "tokens=1x128:int64", "--format", "csv")
    assert (code, err) == (0, "")
    macs = {row["op"]: int(row["macs"]) for row in csv.DictReader(io.StringIO(out))}
    assert macs["linear"] == 128 * 32 * 10

    code, out, err = run("layers", "tokens.py:Model", "--input", "tokens=1x128", "--format", "csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: tokens.py:Model rejects tokens 1x128: layer 'embedding' ")


SORTING = """
import torch

class Sorting(torch.nn.Module):
    def forward(self, x):
        return torch.sort(x @ torch.ones(8, 8, device=x.device)).values
"""


@pytest.mark.torch
@pytest.mark.parametrize(
    ("command", "listed"),
    [
        (["layers"], "  not modelled: sort ×1\n"),
        (["profile", "--hw", "small_8x8.yaml", "--no-files"], "sort ×1, first in the network"),
    ],
)
def test_what_is_not_modelled_is_listed_and_strict_fails(run: Run, command: list[str], listed: str) -> None:
    Path("my.py").write_text(SORTING)
    arguments = [command[0], "my.py:Sorting", "--input", "8", *command[1:]]
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert listed in out
    assert run(*arguments, "--strict") == (1, out, "")
    assert run(*arguments[:4], *command[1:], "--strict", "--format", "csv").code == 1


def test_strict_passes_what_is_modelled_whole(run: Run) -> None:
    assert run("layers", "squeezenet_1_1", "--strict").code == 0


@pytest.mark.torch
def test_a_cross_check_of_inputs_by_name(run: Run) -> None:
    Path("my.py").write_text(
        "import torch\n"
        "class Product(torch.nn.Module):\n"
        "    def forward(self, left, right):\n"
        "        return left @ right\n"
    )
    code, out, err = run(
        "layers", "my.py:Product", "--input", "right=4x5", "--input", "left=3x4", "--cross-check"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["(itself)", "60", "60", "60"]


@pytest.mark.torch
def test_a_cross_check_lists_what_is_not_modelled_and_may_be_strict(run: Run) -> None:
    Path("my.py").write_text(SORTING)
    arguments = ["layers", "my.py:Sorting", "--input", "8x8", "--cross-check"]
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert out.endswith(
        "1 module with MACs, none counted differently by fvcore or torch\n"
        "  not modelled: sort ×1, first in the network\n"
    )
    assert run(*arguments, "--strict") == (1, out, "")
    assert run("layers", "squeezenet_1_1", "--input", "3x64x64", "--cross-check", "--strict").code == 0


@pytest.mark.torch
@pytest.mark.parametrize(
    "command", [["layers"], ["profile", "--hw", "small_8x8.yaml"], ["compare", "--hw", "small_8x8.yaml"]]
)
def test_an_input_that_is_missing_is_named_as_its_option(run: Run, command: list[str]) -> None:
    Path("my.py").write_text(SORTING)
    assert run(command[0], "my.py:Sorting", *command[1:]) == (
        2,
        "",
        "error: my.py:Sorting needs its input: --input 3x224x224, of token ids --input input_ids=1x128:int64, "
        "in Python input_shape or inputs\n",
    )
