"""Anything at all as a model: a network, or one clear line; never another error, never much memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from squeezesim.cli import main
from squeezesim.errors import SqueezesimError
from squeezesim.load import load
from squeezesim.network import Network
from tests.report.cases import network

SPECS = st.one_of(
    st.text(max_size=60),
    st.text(st.sampled_from("squeeznt_123@=,-x.:/\\ \x00é\n"), max_size=40),
    st.builds("squeezenext_23@{}={}".format, st.sampled_from(["depth", "width", "x"]), st.text(max_size=20)),
    st.builds("torchvision:{}".format, st.text(max_size=20)),
    st.builds(
        "{}.{}".format, st.text(max_size=20), st.sampled_from(["py", "py:f", "graph.json", "pt", "csv"])
    ),
)


def loads(model: Any, **given: Any) -> str:
    """The message of the error, empty for a network; any other error fails the test."""
    try:
        assert isinstance(load(model, cache=False, **given), Network)
    except SqueezesimError as error:
        return str(error)
    return ""


@settings(max_examples=100, deadline=None)
@given(SPECS)
def test_any_text_is_a_network_or_one_line(text: str) -> None:
    message = loads(text, input_shape="1x1x1")  # no built-in network runs on it
    assert message
    assert "\n" not in message
    assert len(message) < 700


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=SPECS.filter(lambda text: not text.startswith("-")))
def test_the_command_line_prints_one_line_and_exits_with_2(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = main(["layers", text, "--input", "1x1x1"])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**30),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "op", "kind", "n", "inputs", "x"]), values, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


DOCUMENT = json.loads(network().to_json())
PLACES = places(DOCUMENT)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_traced_network_with_any_value_anywhere(place: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    whole: Any = {"document": json.loads(json.dumps(DOCUMENT))}
    owner, last = whole, "document"
    for key in place:
        owner, last = owner[last], key
    owner[last] = value
    file = tmp_path / "net.graph.json"
    file.write_text(json.dumps(whole["document"]))
    assert "\n" not in loads(file)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(end=st.integers(0, len(network().to_json())), extra=st.binary(max_size=20))
def test_a_traced_network_that_is_cut_off(end: int, extra: bytes, tmp_path: Path) -> None:
    file = tmp_path / "net.graph.json"
    file.write_bytes(network().to_json().encode()[:end] + extra)
    assert "\n" not in loads(file)


class Values(nn.Module):
    """A forward that needs the values of its tensors, and a weight of any size that takes no memory."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1).expand(rows, 2**20))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum().item() >= 0 else x @ self.weight


def test_a_model_too_large_to_run_with_values_says_so() -> None:
    message = loads(Values(2**20), input_shape=(1, 8))
    assert message.startswith("Values rejects input 1x8: ")
    assert message.endswith("; with values it would take about 4,096 GiB")
    assert "would take about 128 GiB" in loads(Values(1), input_shape=(2**16, 2**15))
    assert loads(Values(1), input_shape=(1, 8)) == ""


def test_a_model_of_any_size_is_traced_without_values() -> None:
    with torch.device("meta"):
        module = nn.Conv2d(2**15, 2**15, 31)  # 4 TB
    network = load(module, input_shape=(1, 2**15, 31, 31), cache=False)
    assert network.macs == 2**30 * 31 * 31


def test_a_factory_that_asks_for_more_than_there_is(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "from torch import nn\n\n"
        "def make():\n    return nn.Linear(2**22, 2**22)\n\n"
        "def held():\n    return nn.Linear(2**22, 2**22, device='cpu')\n"
    )
    assert loads(f"{tmp_path / 'my.py'}:make", input_shape="4194304") == ""
    message = loads(f"{tmp_path / 'my.py'}:held", input_shape="4194304")
    assert "\n" not in message
    assert f"{tmp_path / 'my.py'}:7: RuntimeError: " in message


@pytest.mark.parametrize("sizes", [(), (-1,), (-1, 3), (2**31 + 1,), (2**31, 2**31), (1.5,), (True,), ("3",)])
def test_sizes_out_of_range(sizes: Any) -> None:
    message = loads(nn.Linear(4, 4), input_shape=sizes)
    assert message.startswith("input: ")
    assert loads(nn.Linear(4, 4), inputs={"input": sizes})
