from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

import squeezesim as sq
from squeezesim import cli
from squeezesim.errors import SqueezesimError
from squeezesim.network import Layer, Network
from squeezesim.serve.session import Given, Question, Session
from squeezesim.yaml_tree import Source

HOSTILE = "<script>document.title='owned'</script>{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(Given())


def question(
    network: str = "squeezenext_23",
    accelerator: str = "squeezelerator_16x16",
    options: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Question:
    return Question.of(
        {
            "network": network,
            "options": dict(options or {}),
            "accelerator": accelerator,
            "changes": dict(changes or {}),
        }
    )


def profiled(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The totals that a command line prints."""
    words = shlex.split(command)
    assert words[:2] == ["squeezesim", "profile"]
    assert cli.main([*words[1:], "--format", "json"]) == 0
    totals: dict[str, Any] = json.loads(capsys.readouterr().out)["totals"]
    return totals


@pytest.mark.parametrize(
    "asked",
    [
        question(),
        question(changes={"array.rows": 24, "memory.dram.bandwidth_gb_s": 6.4, "precision.weight_bits": 4}),
        question(accelerator="os_32x32", changes={"memory.global_buffer.size_kib": 96}),
        question("mobilenet_v1", "vta_pynq", changes={"array.units.gemm.unroll.k": 24, "clock_mhz": 156.2}),
        question(
            "squeezenext_23", "ethos_u55_64", changes={"memory.global_buffer.parts.weights.size_kib": 192}
        ),
    ],
)
def test_numbers_are_those_of_the_command_that_it_says(
    session: Session, asked: Question, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = session.answer(asked)
    totals = profiled(answer["command"], capsys)
    for name in ("cycles", "latency_us", "utilization", "energy_mac_equiv", "energy_uj", "dram_bytes"):
        assert answer["numbers"][name] == totals[name], name


@pytest.mark.torch
def test_blocks_width_and_resolution_are_those_of_profile(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (
        {"depth.1": 1, "depth.3": 4},
        {"width": 0.5, "resolution": 64},
    ):
        answer = session.answer(question("resnet18", options=options))
        totals = profiled(answer["command"], capsys)
        assert answer["numbers"]["cycles"] == totals["cycles"]
        assert answer["numbers"]["energy_mac_equiv"] == totals["energy_mac_equiv"]
    assert answer["command"].split()[2:5] == ["resnet18@width=0.5", "--input", "3x64x64"]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("squeezenext_23", {"depth.1": 2, "depth.2": 4, "depth.3": 14}),
        ("squeezenext_23", {"width": 1.25, "depth.4": 3, "resolution": 160}),
        ("squeezenet_1_0", {"depth.2": 3}),
        ("tiny_darknet", {"depth.4": 4}),
        ("mobilenet_v2", {"depth.3": 1, "depth.7": 3}),
        ("mobilenet_v3_small", {"depth.2": 4}),
        ("efficientnet_b0", {"depth.1": 3, "depth.5": 1}),
        ("densenet121", {"depth.1": 2}),
        ("shufflenet_v2_x0_5", {"depth.2": 3}),
        ("ghostnet", {"depth.4": 1}),
        ("vgg16", {"depth.5": 5}),
        ("deit_tiny", {"depth.1": 5, "resolution": 192}),
    ],
)
def test_networks_of_every_family_are_those_that_their_names_mean(
    session: Session, name: str, options: Mapping[str, Any]
) -> None:
    asked = question(name, options=options)
    words = shlex.split(session.answer(asked)["command"])
    shape = words[words.index("--input") + 1] if "--input" in words else None
    network, _ = session._network(asked)
    assert network == sq.load(words[2], input_shape=shape).fused


def test_the_yaml_is_the_accelerator(session: Session) -> None:
    asked = question(accelerator="os_32x32", changes={"array.cols": 12, "memory.dram.bandwidth_gb_s": 3.2})
    answer = session.answer(asked)
    from squeezesim.hardware.config import from_text

    read = from_text(Source("page.yaml", answer["yaml"]), sq.Accelerator)
    own = sq.Accelerator.named("os_32x32").replace(asked.changes)
    assert sq.simulate("squeezenext_23", read).totals == sq.simulate("squeezenext_23", own).totals
    assert read.name == answer["accelerator"]


def test_what_the_command_line_gave_is_there_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    layer = Layer.conv(HOSTILE, c=8, k=8, oy=8, ox=8, fy=3, fx=3)
    network = Network.from_layers([layer], HOSTILE)
    accelerator = sq.Accelerator.named("os_32x32").replace({"array.rows": 8})
    given = Given("net.py:make", network, ["--batch", "2"], "os_32x32", accelerator, (), {"array.rows": 8})
    session = Session(given)
    start = session.opening()["start"]
    assert start["network"] == HOSTILE
    assert start["accelerator"] == "os_32x32 (given)"
    answer = session.answer(Question.of({**start, "changes": {"array.rows": 16, "array.cols": 4}}))
    words = shlex.split(answer["command"])
    assert words[2:5] == ["net.py:make", "--batch", "2"]
    assert words[5:] == ["--hw", "os_32x32", "--set", "array.rows=16", "--set", "array.cols=4"]
    assert answer["result"]["layers"]["name"] == [HOSTILE]
    assert "cols: 4" in answer["yaml"]
    with pytest.raises(SqueezesimError, match="no options here"):
        session.answer(Question.of({**start, "options": {"width": 2}}))
    assert session.describe(Question.of(start))["controls"][0]["value"] == 8
    assert capsys.readouterr().out == ""


def test_a_built_in_network_with_options_is_one_of_the_choices() -> None:
    session = Session(Given(model="squeezenext_23@conv1=5"))
    start = session.opening()["start"]
    assert start["network"] == "squeezenext_23@conv1=5"
    assert {"name": start["network"], "group": "given"} in session.opening()["networks"]
    described = session.describe(Question.of(start))
    assert "depth.1" in [control["path"] for control in described["controls"]]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "a question is an object of network, options, accelerator, changes"),
        ({"network": "alexnet"}, "a question is an object"),
        (question()._asdict() | {"network": 1}, "network must be a text"),
        (question()._asdict() | {"changes": []}, "changes must be an object"),
        (question()._asdict() | {"changes": {"array.rows": [1]}}, "array.rows is \\[1\\]; allowed: a number"),
        (question()._asdict() | {"changes": {"array.rows": None}}, "array.rows is None"),
        (question()._asdict() | {"changes": {"array.rows": True}}, "array.rows is True"),
        (question()._asdict() | {"changes": {str(n): n for n in range(101)}}, "at most 100 values"),
    ],
)
def test_a_question_that_is_none_is_refused(asked: object, says: str) -> None:
    with pytest.raises(SqueezesimError, match=says):
        Question.of(asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (question("nowhere_23"), "there is no network 'nowhere_23'"),
        (question("/etc/passwd"), "there is no network"),
        (question("my.py:make"), "there is no network"),
        (question("torchvision:resnet18"), "there is no network"),
        (question(accelerator="../hwconfigs/os_32x32.yaml"), "unknown accelerator"),
        (
            question(changes={"array.rows": 0}),
            "array.rows is 0; allowed: an integer from 1 to 4096 \\(PEs\\)",
        ),
        (question(changes={"array.rows": 2.5}), "array.rows is 2.5; allowed: an integer"),
        (question(changes={"array.rows": "many"}), "array.rows is 'many'; allowed: an integer"),
        (question(changes={"memory.dram.bandwidth_gb_s": 1e300}), "bandwidth_gb_s is 1e\\+300; allowed"),
        (question(changes={"energy.table": "/etc/passwd"}), "no control 'energy.table'"),
        (question(changes={"name": "other"}), "no control 'name'"),
        (question(changes={"array.row": 3}), "no control 'array.row'; did you mean 'array.rows'"),
        (question(options={"conv1": 5}), "no control 'conv1'"),
        (question(options={"width": 1000}), "option 'width' must be a number from 0.125 to 16"),
        (question(options={"resolution": 4096}), "'resolution' must be an integer from 1 to 2048"),
        (question(options={"depth.1": 201}), "'depth.1' must be an integer from 1 to 200"),
        (question(options={"depth.9": 1}), "no control 'depth.9'"),
    ],
)
def test_values_are_bounded_as_in_files(session: Session, asked: Question, says: str) -> None:
    with pytest.raises(SqueezesimError, match=says) as caught:
        session.answer(asked)
    assert "\n" not in str(caught.value)


def test_equal_questions_are_answered_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question("alexnet", changes={"array.rows": 12, "array.cols": 20})
    first = session.text(asked)
    monkeypatch.setattr("squeezesim.serve.session.simulate", None)
    assert session.text(question("alexnet", changes={"array.rows": 12, "array.cols": 20})) == first


def test_the_name_of_a_network_is_data() -> None:
    network = replace(sq.load("alexnet").fused, name=HOSTILE)
    answer = Session(Given("a.onnx", network)).answer(question(HOSTILE))
    assert answer["network"] == HOSTILE
