import contextlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.errors import ModelError, SqueezesimError, UsageError
from squeezesim.load import load
from squeezesim.network import Layer, Network
from squeezesim.network import layer as layer_module
from squeezesim.network.checks import MAX_COUNT, MAX_TEXT, derive
from squeezesim.network.compress.recipe import compress
from squeezesim.network.transforms import scales_of_products, without
from tests.network.strategies import ACTIVATIONS, networks, recurrent_networks


def reachable(network: Network) -> dict[str, set[str]]:
    """Every layer with all that it depends on, directly or not."""
    above: dict[str, set[str]] = {}
    for layer in network.layers:
        above[layer.name] = set(layer.inputs).union(*(above.get(name, set()) for name in layer.inputs))
    return above


@given(networks())
def test_fusing_changes_no_total_and_no_dependency(network):
    fused = network.fused
    assert (fused.params, fused.macs, fused.vector_ops) == (network.params, network.macs, network.vector_ops)
    kept = {layer.name for layer in fused.layers}
    before, after = reachable(network), reachable(fused)
    for name in kept:
        assert after[name] == before[name] & (kept | {"input"})
    gone = [layer for layer in network.layers if layer.name not in kept]
    assert all(layer.op in ACTIVATIONS for layer in gone)
    added = [op for layer in fused.layers for op in layer.fused]
    assert sorted(added) == sorted(
        [op for layer in network.layers for op in layer.fused] + [x.op for x in gone]
    )


@given(networks())
def test_fusing_again_changes_nothing(network):
    assert network.fused.fused == network.fused


def chain(*layers: Layer) -> Network:
    return Network.from_layers(layers)


CONV = Layer.conv("conv", c=3, k=4, oy=6, ox=6, fy=3, fx=3)


def vector(name: str, op: str, **more: object) -> Layer:
    return Layer.vector(name, op=op, k=4, oy=6, ox=6, **more)


def test_a_chain_becomes_part_of_its_convolution():
    network = chain(CONV, vector("norm", "batch_norm", params=8), vector("act", "relu"), vector("sum", "add"))
    conv, add = network.fused.layers
    assert (conv.fused, conv.params, conv.vector_ops) == (("batch_norm", "relu"), CONV.params + 8, 2 * 144)
    assert add.inputs == ("conv",)


def test_what_two_read_is_not_fused():
    network = chain(CONV, vector("act", "relu"), vector("sum", "add", operands=2, inputs=("conv", "act")))
    assert [layer.name for layer in network.fused.layers] == ["conv", "act", "sum"]


def test_an_activation_of_a_part_of_the_output_is_not_fused():
    network = chain(CONV, Layer.vector("act", op="relu", k=2, oy=6, ox=6))
    assert network.fused == network


def test_an_activation_follows_an_add_but_no_pooling():
    pool = Layer.vector("pool", op="max_pool", k=4, oy=6, ox=6, fy=3, fx=3, padding=1)
    network = chain(CONV, pool, vector("a", "relu"), vector("sum", "add", inputs=("a",)), vector("b", "relu"))
    fused = network.fused.layers
    assert [(layer.name, layer.fused) for layer in fused] == [
        ("conv", ()),
        ("pool", ()),
        ("a", ()),
        ("sum", ("relu",)),
    ]


def test_squeezenext_fuses_to_its_published_layers():
    """111 convolutions, 1 product, 21 adds and 2 pools are left; everything else is applied on the way out."""
    layers = load("squeezenext_23").fused.layers
    kinds = [layer.op for layer in layers]
    assert {op: kinds.count(op) for op in set(kinds)} == {
        "conv2d": 111,
        "linear": 1,
        "add": 21,
        "max_pool": 1,
        "avg_pool": 1,
    }
    assert all(layer.fused == ("batch_norm", "relu") for layer in layers if layer.op == "conv2d")
    assert all(layer.fused == ("relu",) for layer in layers if layer.op == "add")


def test_stages_come_from_module_paths():
    layers = [
        Layer.matmul("before", m=1, n=1, k=1),
        Layer.matmul("net.stem.fc", m=1, n=1, k=1),
        Layer.matmul("net.stage12.fc", m=1, n=1, k=1),
        Layer.matmul("between", m=1, n=1, k=1),
        Layer.matmul("net.head.fc", m=1, n=1, k=1),
        Layer.matmul("stagecoach", m=1, n=1, k=1),
    ]
    stages = [layer.stage for layer in Network.from_layers(layers).with_stages().layers]
    assert stages == ["stem", "stem", "stage12", "stage12", "head", "head"]


def test_stages_in_a_list_count_from_one():
    names = ("stem.conv", "stages.0.blocks.1.fc", "stages.1.0", "norm", "head.fc")
    layers = [Layer.matmul(name, m=1, n=1, k=1) for name in names]
    stages = [layer.stage for layer in Network.from_layers(layers).with_stages().layers]
    assert stages == ["stem", "stage1", "stage2", "stage2", "head"]


def marked(*names: str, rules: tuple[str, ...] = ()) -> list[str]:
    layers = [Layer.matmul(name, m=1, n=1, k=1) for name in names]
    return [layer.stage for layer in Network.from_layers(layers).with_stages(*rules).layers]


def test_the_children_of_a_model_are_its_stages():
    names = ["stem.0", "stem.2", *(f"blocks.{i}.0" for i in range(3)), "down", "head.2"]
    assert marked(*names) == ["stem", "stem", "blocks", "blocks", "blocks", "down", "head"]


def test_of_a_child_with_nearly_all_layers_its_children_are_stages():
    blocks = [f"net.body.{i}.{part}" for i in range(3) for part in range(9)]
    stages = marked("net.embed", *blocks, "head")
    assert stages == ["net.embed", *(f"net.body.{i}" for i in range(3) for _ in range(9)), "head"]


def test_nearly_all_is_of_the_layers_that_multiply():
    """A wrapper with 8 of 9 layers and all products in one child; beside it a child of one product in nine."""

    def stages(*others: Layer) -> list[str]:
        body = [
            layer
            for i in range(4)
            for layer in (
                Layer.matmul(f"net.{i}.fc", m=1, n=8, k=8),
                Layer.vector(f"net.{i}.act", op="relu", k=8),
            )
        ]
        return list(Network.from_layers([*body, *others]).with_stages().stages)

    blocks = [f"net.{i}" for i in range(4)]
    assert stages(Layer.vector("out", op="relu", k=8)) == [*blocks, "out"]
    assert stages(*(Layer.vector(f"out.{i}", op="relu", k=8) for i in range(9))) == [*blocks, "out"]
    assert stages(Layer.matmul("head", m=1, n=8, k=8)) == ["net", "head"]
    vectors = [Layer.vector(f"net.{i}", op="relu", k=8) for i in range(9)]
    layers = [*vectors, Layer.vector("out", op="relu", k=8)]
    assert Network.from_layers(layers).with_stages().stages == (*(f"net.{i}" for i in range(9)), "out")


@pytest.mark.parametrize(
    ("count", "runs"),
    [(12, 12), (24, 12), (32, 8), (19, 10), (13, 7), (26, 9)],
)
def test_a_long_list_is_in_equal_runs(count: int, runs: int):
    stages = marked(*(f"layers.{i}.{part}" for i in range(count) for part in "ab"))
    found = list(dict.fromkeys(stages))
    assert len(found) == runs
    sizes = [stages.count(stage) for stage in found]
    assert len(set(sizes[:-1])) <= 1
    assert sizes[-1] <= sizes[0]
    assert found[0] == ("layers.0" if runs == count else f"layers.0-{sizes[0] // 2 - 1}")


@given(
    st.lists(st.sampled_from(["a", "a.b", "a.0.x", "a.1.x", "c.d.e", "c.d.f", "c", "1", "2.1"]), min_size=1)
)
def test_every_layer_has_a_stage_that_its_path_begins_with(modules: list[str]):
    layers = [
        replace(Layer.matmul(f"l{place}", m=1, n=1, k=1), module=module)
        for place, module in enumerate(modules)
    ]
    before = Network.from_layers(layers)
    after = before.with_stages()
    assert all(layer.stage for layer in after.layers)
    assert [replace(layer, stage="") for layer in after.layers] == list(before.layers)
    for layer in after.layers:
        head = layer.stage.rpartition("-")[0] or layer.stage
        inside = f"{layer.module}.".startswith(f"{head}.")
        assert inside or any(f"{layer.stage}.".startswith(f"{path}.") for path in (layer.module, *modules))


def test_patterns_say_stages():
    names = ["stem.0", "blocks.0.0", "blocks.1.0", "blocks.2.0", "blocks", "down", "head.2"]
    each = marked(*names, rules=("blocks.*",))
    assert each == ["rest", "blocks.0", "blocks.1", "blocks.2", "blocks.2", "rest", "rest"]
    grouped = marked(*names, rules=("early=blocks.[01]", "late=blocks.2", "end=head"))
    assert grouped == ["rest", "early", "early", "late", "late", "rest", "end"]


@pytest.mark.parametrize("rule", ["block", "blocks.3", "=stem", "x=", ""])
def test_a_pattern_without_a_layer_is_refused(rule: str):
    with pytest.raises(UsageError) as caught:
        marked("stem.0", "blocks.0", rules=(rule,))
    assert "\n" not in str(caught.value)


def test_a_stem_alone_does_not_say_where_stages_begin():
    sizes = {"stem.conv": 32, "blocks.0": 16, "blocks.1": 8, "head.fc": 1}
    layers = [Layer.conv(name, c=1, k=1, oy=size, ox=size, fy=1, fx=1) for name, size in sizes.items()]
    network = Network.from_layers(layers)
    assert [layer.stage for layer in network.with_stages().layers] == ["stem", "blocks", "blocks", "head"]
    stages = [layer.stage for layer in network.with_stages("resolution").layers]
    assert stages == ["stem", "stage1", "stage2", "head"]


def test_stages_follow_the_spatial_size_where_paths_do_not_say():
    """A squeeze-and-excitation branch at 1×1 begins no stage; the layers after the last spatial one are the head."""

    def conv(name: str, size: int) -> Layer:
        return Layer.conv(name, c=8, k=8, oy=size, ox=size, fy=1, fx=1)

    layers = [
        conv("a", 32), conv("b", 16), conv("squeeze", 1), conv("excite", 1),
        Layer.vector("scale", op="mul", k=8, oy=16, ox=16), conv("c", 8), conv("up", 16), conv("d", 8),
        Layer.vector("pool", op="avg_pool", k=8, fy=8, fx=8), Layer.matmul("fc", m=1, n=10, k=8),
    ]  # fmt: skip
    stages = [layer.stage for layer in Network.from_layers(layers).with_stages("resolution").layers]
    assert stages == ["stem", *["stage1"] * 4, *["stage2"] * 3, "head", "head"]


def test_a_network_whose_size_never_shrinks_is_one_stage():
    layers = [Layer.matmul("a", m=197, n=8, k=8), Layer.matmul("b", m=197, n=8, k=8)]
    assert Network.from_layers(layers).with_stages("resolution").stages == ("stage1",)


def assert_checks(network: Network) -> None:
    """What a pass made says nothing that a network may not say: reading a file checks all of it."""
    assert Network.from_json(network.to_json()) == network


@settings(deadline=None)
@given(networks() | recurrent_networks(), st.floats(0.01, 1), st.floats(0, 1))
def test_passes_make_what_a_file_may_say(network: Network, share: float, density: float) -> None:
    for made in (network.fused, network.unrolled(), network.with_stages("resolution"), network.with_stages()):
        assert_checks(made)
    for key, value in {
        "prune_channels": share,
        "low_rank": share,
        "prune": density,
        "quantize": "w4a8",
    }.items():
        with contextlib.suppress(SqueezesimError):  # there is nothing to compress, or it must not be
            network = compress(network, {key: value})
        assert_checks(network)
        assert_checks(network.fused)


def test_passes_check_no_layer_again(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load("squeezenext_23")
    checked: list[Layer] = []
    monkeypatch.setattr(layer_module, "check_layer", checked.append)
    compress(network, {"prune_channels": 0.5, "prune": 0.4, "quantize": "w8a8"}).with_stages(
        "resolution"
    ).fused.unrolled()
    assert not checked
    assert len(Network.from_json(network.to_json()).layers) == len(checked) == len(network.layers)
    replace(network.layers[0], stage="stem")
    assert checked[-1].stage == "stem"


def test_sums_of_what_is_fused_stay_within_what_is_counted() -> None:
    many = Layer.vector("relu", op="relu", k=64, inputs=["fc"])
    for count, field in ((MAX_COUNT, "vector_ops"), (MAX_COUNT, "params")):
        network = chain(Layer.matmul("fc", m=1, n=64, k=128, bias=True), replace(many, **{field: count}))
        with pytest.raises(ModelError, match=f"layer 'fc': {field} must be an integer from 0 to {MAX_COUNT}"):
            network.fused  # noqa: B018


def test_names_that_users_and_steps_make_are_checked() -> None:
    network = chain(Layer.matmul("x" * MAX_TEXT, m=1, n=8, k=8).repeated(3))
    with pytest.raises(ModelError, match="name must be non-empty printable text of at most 1000 characters"):
        network.unrolled()
    with pytest.raises(ModelError, match=r"layer 'xxx.*: stage must be printable text"):
        network.with_stages("\x1b[2J=*")


def test_a_derived_record_has_no_new_fields() -> None:
    layer = Layer.matmul("fc", m=1, n=8, k=8)
    assert derive(layer, k=9) == replace(layer, k=9)
    with pytest.raises(TypeError, match="Layer has no field kk"):
        derive(layer, kk=9)


SCORES = derive(Layer.matmul("scores", m=36, n=4, k=8), weights_are_activations=True)


def free(*layers: tuple[Layer, list[int]], carried: dict[int, list[int]] | None = None) -> set[int]:
    """Which layers named ``scale`` are free, of layers with the numbers of those that they read."""
    scales = [number for number, (layer, _) in enumerate(layers) if layer.name == "scale"]
    before = [(carried or {}).get(number, []) for number in range(len(layers))]
    return scales_of_products([layer for layer, _ in layers], [reads for _, reads in layers], before, scales)


def test_a_factor_of_a_product_that_softmax_alone_reads_is_free():
    scale, softmax = vector("scale", "mul"), vector("softmax", "softmax")
    add, relu = vector("mask", "add"), vector("relu", "relu")
    scores, scaled, softened = (SCORES, [-1, -2]), (scale, [0]), (softmax, [1])
    assert free(scores, scaled, softened) == {1}
    assert free(scores, scaled, (scale, [1]), (add, [2, -3]), (softmax, [3])) == {1, 2}
    assert free(scores, scaled) == set()  # nothing reads it
    assert free(scores, scaled, (relu, [1]), (softmax, [2])) == set()
    assert free(scores, scaled, softened, (relu, [1])) == set()  # something else reads what is scaled
    assert free(scores, scaled, softened, (relu, [0])) == set()  # or the product
    assert free(scores, (scale, [0, -1]), softened) == set()
    assert free(scores, scaled, (Layer.vector("part", op="softmax", k=3, oy=6, ox=6), [1])) == set()
    assert free((CONV, [-1]), scaled, softened) == set()  # a product by weights
    assert free(scores, scaled, softened, carried={2: [1]}) == set()  # the next step reads it
    assert free((scale, [-1]), (scale, [0]), (SCORES, [1, -2])) == {0, 1}


def test_who_reads_what_is_left_out_reads_what_it_read():
    renumbered = without({1, 2}, [[-1, -2], [0], [1], [2, -3]])
    assert (renumbered([2, -3]), renumbered([3]), renumbered([1, 0])) == ((0, -3), (1,), (0,))
