"""Mappings as files: what is written costs the same when it is read, and what is wrong with a file is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from squeezesim.cost.given import LayerMapping
from squeezesim.errors import MappingError, ReportError, UsageError
from squeezesim.explore.advise import advise
from squeezesim.hardware.accelerator import Accelerator
from squeezesim.load import load
from squeezesim.mapping import Mapping
from squeezesim.network import Layer, Network
from squeezesim.papers.eyeriss import figures
from squeezesim.report.explain import explain
from squeezesim.report.report import Report
from squeezesim.report.serialize import decode, encode
from squeezesim.simulate import simulate
from tests.cost.cases import layers
from tests.cost.test_placement import designs, networks
from tests.report.cases import accelerator, network

MACHINES = ("squeezelerator_16x16", "ws_32x32", "hybrid_32x32", "eyeriss")


def read(text: str, folder: Path) -> Mapping:
    path = folder / "a.mapping.json"
    path.write_text(text, encoding="utf-8")
    return Mapping.load(path)


@settings(max_examples=60)
@given(
    drawn=st.lists(layers(), min_size=1, max_size=4),
    machine=st.sampled_from(MACHINES),
    objective=st.sampled_from(["latency", "energy", "edp"]),
)
def test_the_mapping_of_a_result_costs_the_same_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Layer], machine: str, objective: str
) -> None:
    net = Network.from_layers([replace(layer, name=f"layer{number}") for number, layer in enumerate(drawn)])
    on = Accelerator.named(machine).replace({"mapper.objective": objective})
    before = simulate(net, on)
    path = tmp_path_factory.mktemp("mapping") / "net.mapping.json"
    before.save(path)
    assert Mapping.load(path) == before.mapping
    after = simulate(net, on, mapping=path)
    assert after.costs.equals(before.costs)
    assert after.mapped == tuple(layer.name for layer in net.layers)
    assert simulate(net, on, mapping=before.mapping).costs.equals(before.costs)


@settings(max_examples=40)
@given(networks(), designs())
def test_what_stays_is_written_and_costs_the_same_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Layer], on: Accelerator
) -> None:
    assume(any(layer.kind == "mac" for layer in drawn))
    net = Network(name="net", layers=tuple(drawn), inputs=(("x", (1, 8, 4, 4)),))
    before = simulate(net, on)
    path = tmp_path_factory.mktemp("placement") / "net.mapping.json"
    before.save(path)
    assert Mapping.load(path) == before.mapping
    assert simulate(net, on, mapping=path).costs.equals(before.costs)


@pytest.mark.parametrize("name", ["squeezenext_23", "resnet50"])
def test_the_mapping_of_a_built_in_network_whose_maps_stay(name: str) -> None:
    report = simulate(name, "hybrid_32x32")
    homes = report.costs.homes[0]
    assert (homes > 0).any()
    again = simulate(name, "hybrid_32x32", mapping=report.mapping)
    assert again.costs.equals(report.costs)
    # Without what it says of places every map passes DRAM.
    apart = simulate(name, "hybrid_32x32", mapping=replace(report.mapping, placement={}))
    assert not (apart.costs.homes > 0).any()
    assert apart.tally.dram_bytes.sum() > report.tally.dram_bytes.sum()


def test_weights_that_stay_are_in_the_file_and_stay_without_it() -> None:
    on, none = (
        Accelerator.named("hybrid_32x32").replace({"memory.stays.size_kib": size}) for size in (256, 0)
    )
    report = simulate("squeezenext_23", on)
    first = report.network.layers[0].name
    assert report.mapping.placement[first].homes[1] == "stays"
    for placement in (report.mapping.placement, {}):
        again = simulate("squeezenext_23", on, mapping=replace(report.mapping, placement=placement))
        assert again.tally.part("dram", "weights").tolist() == report.tally.part("dram", "weights").tolist()
    assert simulate("squeezenext_23", on, mapping=report.mapping).costs.equals(report.costs)
    with pytest.raises(
        MappingError,
        match=rf"layer '{first}': weights in stays; allowed here: memory, since none can be there$",
    ):
        simulate("squeezenext_23", none, mapping=report.mapping)


def test_a_place_without_bytes_takes_the_least_of_the_buffer() -> None:
    report = simulate("squeezenext_23", "hybrid_32x32")
    layers = {name: replace(at, kept_bytes=None) for name, at in report.mapping.placement.items()}
    again = simulate("squeezenext_23", "hybrid_32x32", mapping=replace(report.mapping, placement=layers))
    assert again.costs.homes.tolist() == report.costs.homes.tolist()
    assert (again.costs.kept_bytes <= report.costs.kept_bytes).all()
    assert again.tally.cycles.sum() == report.tally.cycles.sum()


def some_given() -> Report:
    """One of the layers in tiles of its own, smaller than those that are found."""
    mapping = simulate(network(), accelerator()).mapping
    name = "stage1.b"
    n, y, x, g, k, c = mapping.layers[name].tile
    own = replace(mapping.layers[name], tile=(n, -(-y // 2), x, g, -(-k // 2), c))
    return simulate(network(), accelerator(), mapping=Mapping({name: own}))


def test_layers_that_are_not_named_are_searched() -> None:
    found, mapped = simulate(network(), accelerator()), some_given()
    number = [layer.name for layer in mapped.network.layers].index("stage1.b")
    differs = (found.costs.cycles != mapped.costs.cycles)[0].nonzero()[0].tolist()
    assert differs == [number]
    assert mapped.costs.cycles[0, number] > found.costs.cycles[0, number]
    assert mapped.mapped == ("stage1.b",)
    count = sum(layer.kind == "mac" for layer in mapped.network.layers)
    assert f"the mapping of 1 layer was given, that of {count - 1} more was searched" in mapped.notes
    assert not any("mapping" in note for note in found.notes)
    whole = simulate(network(), accelerator(), mapping=found.mapping)
    assert f"the mapping of {count} layers was given, none was searched" in whole.notes


def test_a_saved_report_knows_what_was_given(tmp_path: Path) -> None:
    mapped = some_given()
    mapped.save(tmp_path / "r.json")
    again = Report.load(tmp_path / "r.json")
    assert again == mapped
    assert again.mapped == mapped.mapped
    assert again.notes == mapped.notes
    assert again.mapping == mapped.mapping
    document = json.loads(encode(mapped))
    for wrong in ("stage1.b", ["stage1.x"], [["stage1.b"]], ["stage1.pool"]):
        with pytest.raises(ReportError, match="mapped"):
            decode(json.dumps({**document, "mapped": wrong}))


def test_what_saves_time_beside_given_mappings_is_to_search_them() -> None:
    mapped = some_given()
    (proposal,) = advise(mapped)
    assert proposal.kind == "mapping"
    assert proposal.before is mapped
    assert proposal.after == simulate(network(), accelerator())
    assert proposal.saved_cycles > 0
    assert "params" not in str(proposal)
    (part,) = explain(mapped, "stage1.b")
    assert "its mapping was given, not searched" in part.sentences
    assert not any("chosen" in sentence for sentence in part.sentences)


def test_layers_of_one_shape_in_different_mappings_are_explained_apart() -> None:
    one = Layer.conv("a", c=16, k=32, oy=16, ox=16, fy=3, fx=3)
    net = Network.from_layers(
        [one, replace(one, name="b", inputs=("a",), c=16, k=32), replace(one, name="c")]
    )
    mapping = {"c": LayerMapping("ws", "PKC", (1, 4, 16, 1, 8, 8))}
    parts = explain(simulate(net, accelerator(), mapping=Mapping(mapping)))
    assert {part.layers for part in parts} == {("a", "b"), ("c",)}


GOOD: dict[str, Any] = {
    "format": "squeezesim.mapping",
    "version": 1,
    "network": "small",
    "accelerator": "small_8x8",
    "layers": [
        {
            "name": "stage1.b",
            "dataflow": "ws",
            "order": "PKC",
            "tile": {"n": 1, "y": 4, "x": 16, "g": 1, "k": 24, "c": 16},
        }
    ],
}
LAYER = GOOD["layers"][0]
TILE = LAYER["tile"]


def layer(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "layers": [{**LAYER, **changes}]}


def placed(*rows: Any) -> dict[str, Any]:
    return {**GOOD, "version": 3, "placement": rows}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], 'no mapping: it must be an object with "format": "squeezesim.mapping"'),
        ({**GOOD, "format": "squeezesim.report"}, "no mapping: "),
        ({**GOOD, "version": 6}, "a mapping of version 6; this program reads 1 to 5"),
        (
            {key: value for key, value in GOOD.items() if key != "version"},
            "a mapping lacks 'version'; this program reads 1 to 5",
        ),
        ({**GOOD, "version": True}, "a mapping of version True; this program reads 1 to 5"),
        (
            {**GOOD, "layer": []},
            "a mapping: unknown key 'layer'; allowed: format, version, network, accelerator, ",
        ),
        ({**GOOD, "network": 3}, "network must be printable text of at most 1000 characters, found 3"),
        (
            {key: value for key, value in GOOD.items() if key != "layers"},
            "a mapping lacks 'layers'; needed: format, ",
        ),
        ({**GOOD, "layers": {}}, "layers must be a list, found {}"),
        ({**GOOD, "layers": []}, "layers is empty, so that it names no layer; allowed: one or more"),
        ({**GOOD, "layers": [3]}, "entry 1 of layers must be an object, found 3"),
        ({**GOOD, "layers": [{}]}, "entry 1 of layers: name must be printable text"),
        ({**GOOD, "layers": [LAYER, LAYER]}, "layer 'stage1.b' is there twice; allowed: once"),
        (
            layer(dataflows="ws"),
            "layer 'stage1.b': unknown key 'dataflows'; allowed: name, dataflow, order, tile; did",
        ),
        (layer(tile=[1] * 6), "layer 'stage1.b': tile must be an object, found [1, 1, 1, 1, 1, 1]"),
        (
            layer(tile={**TILE, "r": 1}),
            "tile of layer 'stage1.b': unknown key 'r'; allowed: n, y, x, g, k, c",
        ),
        (layer(tile={"n": 1}), "tile of layer 'stage1.b' lacks 'y'; needed: n, y, x, g, k, c"),
        (layer(name="stage1.c"), "layer 'stage1.c' is none of the network's; did you mean 'stage1.b'"),
        (layer(name="stage1.add"), "layer 'stage1.add' has no MACs; allowed: layers that have some"),
        (layer(dataflow="rs"), "layer 'stage1.b': dataflow 'rs'; allowed here: ws, os"),
        (layer(order="CKP"), "layer 'stage1.b': order 'CKP'; allowed here: PKC, PCK, KCP, NKCP"),
        (layer(order=["PKC"]), "layer 'stage1.b': order ['PKC']; allowed here: PKC, PCK, KCP, NKCP"),
        (layer(tile={**TILE, "k": 25}), "layer 'stage1.b': k must be an integer from 1 to 24, found 25"),
        (
            layer(tile={**TILE, "k": 10**400}),
            "layer 'stage1.b': k must be an integer from 1 to 24, found 1000",
        ),
        (layer(tile={**TILE, "y": 16}), "layer 'stage1.b': the tile needs 22,784 bytes of the buffer, "),
        (
            {**GOOD, "placement": []},
            "a mapping: unknown key 'placement'; allowed: format, version, network, ",
        ),
        (placed(3), "entry 1 of placement must be an object, found 3"),
        (placed({}), "entry 1 of placement: name must be printable text"),
        (
            placed({"name": "stage1.b", "output": "buffer"}),
            "placement of layer 'stage1.b': unknown key 'output'; allowed: name, inputs, weights, second, outputs, "
            "kept_bytes; did you mean 'outputs'",
        ),
        (
            placed({"name": "stage1.b", "outputs": "bufer"}),
            "placement of layer 'stage1.b': outputs 'bufer'; allowed: memory, buffer, both; did you mean 'buffer'",
        ),
        (
            placed({"name": "stage1.b", "outputs": "stays"}),
            "placement of layer 'stage1.b': outputs 'stays'; allowed: memory, buffer, both",
        ),
        (
            placed({"name": "stage1.b", "weights": "stay"}),
            "placement of layer 'stage1.b': weights 'stay'; allowed: memory, buffer, both, stays; did you mean "
            "'stays'",
        ),
        (
            placed({"name": "stage1.b", "kept_bytes": -1}),
            "placement of layer 'stage1.b': kept_bytes must be an integer of at least 0, found -1",
        ),
        (placed({"name": "a"}, {"name": "a"}), "placement of layer 'a' is there twice; allowed: once"),
        (placed({"name": "stage1.c"}), "placement: layer 'stage1.c' is none of the network's; did you mean"),
        (
            placed({"name": "stage1.b", "outputs": "buffer"}),
            "layer 'stage1.b': inputs in memory, weights in memory, second in memory, outputs in buffer; allowed ",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, document: Any, words: str) -> None:
    path = tmp_path / "a.mapping.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(MappingError) as caught:
        simulate(network(), accelerator(), mapping=path)
    text = str(caught.value)
    assert text.startswith(f"{str(path)!r}: {words}")
    assert "\n" not in text


def test_the_file_of_these_mistakes_is_read(tmp_path: Path) -> None:
    mapping = read(json.dumps(GOOD), tmp_path)
    assert mapping == Mapping(
        {"stage1.b": LayerMapping("ws", "PKC", (1, 4, 16, 1, 24, 16))}, "small", "small_8x8"
    )
    assert simulate(network(), accelerator(), mapping=mapping).mapped == ("stage1.b",)
    assert read(mapping.to_json(), tmp_path) == mapping


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": NaN}', "\udcff"])
def test_what_is_no_json_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mapping.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(MappingError, match="a mapping is n") as caught:
        Mapping.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_what_is_no_mapping_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot read "):
        simulate(network(), accelerator(), mapping=tmp_path / "none.mapping.json")
    with pytest.raises(UsageError, match=r"^mapping 3; allowed: a Mapping, or the path of a file$"):
        simulate(network(), accelerator(), mapping=3)  # type: ignore[arg-type]
    with pytest.raises(MappingError, match=r"^mapping: layer 'x' is none of the network's"):
        simulate(network(), accelerator(), mapping=Mapping({"x": LayerMapping("ws", "PKC", (1,) * 6)}))


EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    ("name", "batch", "least"), [("alexnet", 4, {"CONV2": 0.02, "CONV3": 0.021}), ("vgg16", 3, {})]
)
def test_published_mappings_take_as_long_as_on_the_chip(
    name: str, batch: int, least: dict[str, float]
) -> None:
    """Processing latency, without waiting for DRAM, of every convolution in the chip's mapping: within 4 %."""
    mapping = Mapping.load(EXAMPLES / f"eyeriss_{name}.mapping.json")
    report = simulate(load(name, batch=batch), "eyeriss", mapping=mapping)
    printed = list(figures(f"eyeriss_{name}").items())
    convolutions = [row for row in report.rows() if row["op"] == "conv2d"]
    assert len(convolutions) == len(printed)
    compared = []
    for row, (layer, figure) in zip(convolutions, printed, strict=True):
        if row["name"] in report.mapped:
            waited = (row["lost_dram"] + row["lost_startup"]) / report.machine.pes
            ours = (row["cycles"] - waited) / report.machine.clock_hz * 1e3
            assert ours == pytest.approx(figure["processing_ms"], rel=least.get(layer, 0.04))
            compared.append(row["name"])
    assert tuple(compared) == report.mapped == tuple(mapping.layers)


def test_a_published_mapping_beyond_the_buffer_says_by_how_much() -> None:
    """CONV4: 2 · 4 · 13 · 13 · 6 inputs and 4 · 13 · 13 · 64 partial sums of 2 bytes."""
    mapping = Mapping({"stage2.conv4": LayerMapping("rs", "PKC", (4, 13, 13, 1, 64, 6))})
    with pytest.raises(MappingError, match=r"needs 102,752 bytes .* there are 102,400$"):
        simulate(load("alexnet", batch=4), "eyeriss", mapping=mapping)
