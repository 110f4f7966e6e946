"""Attention: scores, softmax and values, K and V read as they are, the same from torch and from ONNX."""

from __future__ import annotations

import itertools
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

import squeezesim as sq
from squeezesim.frontends.onnx.file import read
from squeezesim.frontends.onnx.values import Value, runs_of, tensor_type
from squeezesim.frontends.torch.run import decomposed, undisturbed
from squeezesim.frontends.torch.trace import trace
from squeezesim.network import Layer, Network
from tests.draws import among
from tests.frontends.onnx.graphs import essence, export, model, network, node
from tests.frontends.torch.test_exactness import Function

MS = "com.microsoft"


class Case(NamedTuple):
    """Sizes of attention: *group* heads of queries share a head of keys and values."""

    batch: int
    shared: int
    group: int
    queries: int
    keys: int
    size: int

    @property
    def heads(self) -> int:
        return self.shared * self.group

    @property
    def query(self) -> tuple[int, ...]:
        return self.batch, self.heads, self.queries, self.size

    @property
    def key(self) -> tuple[int, ...]:
        return self.batch, self.shared, self.keys, self.size

    @property
    def scores(self) -> int:
        return self.batch * self.heads * self.queries * self.keys


sizes = st.integers(1, 6)
cases = st.builds(Case, sizes, st.integers(1, 4), st.integers(1, 4), sizes, st.integers(1, 12), sizes)


def products(found: Network) -> list[Layer]:
    return [layer for layer in found.layers if layer.kind == "mac"]


def check(found: Network, case: Case, added: int = 0, places: int = 0) -> None:
    """Scores, softmax and values of *case*; *added* is read beside the scores in *places* additions."""
    assert [layer.op for layer in found.layers] == ["matmul", "softmax", "matmul"]
    assert not found.unmodelled
    scores, softmax, values = found.layers
    rows = case.group * case.queries
    assert (scores.g, scores.oy, scores.c, scores.k) == (
        case.batch * case.shared,
        rows,
        case.size,
        case.keys,
    )
    assert (values.g, values.oy, values.c, values.k) == (
        case.batch * case.shared,
        rows,
        case.keys,
        case.size,
    )
    assert found.macs == 2 * case.scores * case.size
    assert (scores.input_elements, values.output_elements) == (prod(case.query), prod(case.query))
    assert scores.weight_elements == values.weight_elements == prod(case.key)
    assert scores.output_elements == values.input_elements == softmax.output_elements == case.scores
    assert (softmax.input_elements, softmax.vector_ops) == (case.scores + added, case.scores * (1 + places))
    assert scores.name in softmax.inputs
    assert softmax.name in values.inputs
    assert [layer.weights_are_activations for layer in found.layers] == [True, False, True]
    assert found.params == 0


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, **options: Any) -> Tensor:
    return scaled_dot_product_attention(q, k, v, mask, enable_gqa=True, **options)


@given(case=cases, scale=st.sampled_from([None, 0.5]), causal=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_keys_and_values_are_read_as_they_are(
    case: Case, scale: float | None, causal: bool, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"scale": scale, "is_causal": causal}
    shapes = {"q": case.query, "k": case.key, "v": case.key}
    traced = trace(Function(lambda q, k, v: attend(q, k, v, **options)), inputs=list(shapes.values()))
    check(traced, case)
    assert [layer.inputs for layer in traced.layers[1:]] == [("matmul",), ("softmax", traced.inputs[2][0])]
    tensors = [torch.zeros(shape) for shape in shapes.values()]
    with undisturbed(), decomposed(), FlopCounterMode(display=False) as counter:
        attend(*tensors, **options)
    assert traced.macs == counter.get_total_flops() // 2
    attributes: dict[str, Any] = {"is_causal": int(causal)} | ({} if scale is None else {"scale": scale})
    stated = network(tmp_path, model([node("Attention", list(shapes), **attributes)], shapes, opset=23))
    check(stated, case)
    assert essence(stated) == essence(traced)
    flat = {
        "q": (case.batch, case.queries, case.heads * case.size),
        "k": (case.batch, case.keys, case.shared * case.size),
        "v": (case.batch, case.keys, case.shared * case.size),
    }
    heads: dict[str, Any] = {"q_num_heads": case.heads, "kv_num_heads": case.shared}
    made = model([node("Attention", list(flat), **heads)], flat, opset=23)
    check(network(tmp_path, made), case)
    grouped = helper.make_node(
        "GroupQueryAttention", list(flat), ["y"], domain=MS, num_heads=case.heads, kv_num_heads=case.shared
    )
    check(network(tmp_path, model([grouped], flat, opset=23, domains=[MS])), case)
    if case.group == 1:
        plain = helper.make_node("MultiHeadAttention", list(flat), ["y"], domain=MS, num_heads=case.heads)
        check(network(tmp_path, model([plain], flat, opset=23, domains=[MS])), case)


def shapes_of_masks(case: Case) -> list[tuple[int, ...]]:
    """Every shape that broadcasts to the scores."""
    whole = (case.batch, case.heads, case.queries, case.keys)
    return [*itertools.product(*({1, size} for size in whole)), whole[2:], whole[3:]]


@given(data=st.data(), case=cases, expanded=st.booleans(), as_bool=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mask_is_read_once_and_as_it_is(
    data: st.DataObject, case: Case, expanded: bool, as_bool: bool, tmp_path: Path
) -> None:
    shape = data.draw(st.sampled_from(shapes_of_masks(case)))

    def masked(q: Tensor, k: Tensor, v: Tensor, m: Tensor) -> Tensor:
        if expanded:
            m = m.expand(case.batch, case.heads, case.queries, case.keys)
        return attend(q, k, v, m)

    mask = torch.zeros(shape, dtype=torch.bool if as_bool else torch.float32)
    traced = trace(Function(masked), inputs=[case.query, case.key, case.key, mask])
    check(traced, case, prod(shape), 1)
    assert traced.layers[1].inputs == (traced.layers[0].name, traced.inputs[3][0])
    shapes = {"q": case.query, "k": case.key, "v": case.key, "m": shape}
    stated = network(tmp_path, model([node("Attention", list(shapes))], shapes, opset=23))
    check(stated, case, prod(shape), 1)


def repeated(x: Tensor, times: int) -> Tensor:
    """Heads that are repeated as libraries write it."""
    batch, heads, rows, size = x.shape
    return x[:, :, None].expand(batch, heads, times, rows, size).reshape(batch, heads * times, rows, size)


@pytest.mark.parametrize("repeat", [repeated, lambda x, times: x.repeat_interleave(times, 1)])
@given(case=cases)
@settings(max_examples=25, deadline=None)
def test_heads_that_a_model_repeats_are_read_once(repeat: Any, case: Case) -> None:
    def written(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = repeat(k, case.group) * 0.5, repeat(v, case.group)
        return torch.softmax(q @ k.transpose(2, 3), -1) @ v

    def called(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, repeat(k, case.group), repeat(v, case.group))

    for function in (written, called):
        check(trace(Function(function), inputs=[case.query, case.key, case.key]), case)


def test_heads_that_are_written_after_they_were_repeated_differ() -> None:
    def written(q: Tensor, k: Tensor) -> Tensor:
        k = repeated(k, 3)
        k[:, 0] = q[:, 0]
        return q @ k.transpose(2, 3)

    found = trace(Function(written), inputs=[(2, 6, 4, 8), (2, 2, 4, 8)])
    assert products(found)[-1].weight_elements == 2 * 6 * 4 * 8


@given(
    lead=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), min_size=0, max_size=3),
    sizes=st.tuples(sizes, sizes, sizes, sizes),
)
@settings(max_examples=40, deadline=None)
def test_any_leading_dimensions(lead: list[tuple[int, bool, bool]], sizes: tuple[int, int, int, int]) -> None:
    """Keys, values or both are broadcast over any of the leading dimensions of the queries."""
    rows, keys, size, width = sizes
    heads = tuple(count for count, _, _ in lead)
    of_keys = tuple(1 if alone else count for count, alone, _ in lead)
    of_values = tuple(1 if alone else count for count, _, alone in lead)
    shapes = [(*heads, rows, size), (*of_keys, keys, size), (*of_values, keys, width)]
    found = trace(Function(scaled_dot_product_attention), inputs=shapes)
    scores, _, values = found.layers
    assert scores.macs == prod(heads) * rows * keys * size
    assert values.macs == prod(heads) * rows * keys * width
    assert (scores.input_elements, scores.weight_elements) == (prod(shapes[0]), prod(shapes[1]))
    assert values.weight_elements == prod(shapes[2])


class Multi(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.attention(x, x, x, **self.options)[0]
        return made


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("weights", [True, False])
def test_multi_head_attention_scales_nothing_in_a_layer_of_its_own(fast: bool, weights: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        found = trace(Multi(need_weights=weights), (3, 5, 8))
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    expected = ["linear", "bias", "matmul", "softmax", "matmul", "linear", *["mean"] * weights]
    assert [layer.op for layer in found.layers] == expected
    scores, values = (layer for layer in found.layers if layer.weights_are_activations)
    assert (scores.weight_elements, values.weight_elements) == (3 * 5 * 8, 3 * 5 * 8)
    assert found.macs == 3 * (4 * 5 * 8 * 8 + 2 * 2 * 5 * 5 * 4)
    assert found.params == 4 * 8 * 8 + 4 * 8


def test_learnt_queries_and_keys_are_weights() -> None:
    class Learnt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.latent = nn.Parameter(torch.zeros(1, 2, 3, 4))

        def forward(self, x: Tensor) -> Tensor:
            pooled = scaled_dot_product_attention(self.latent, x, x)
            return scaled_dot_product_attention(pooled, self.latent, self.latent)

    found = trace(Learnt(), (1, 2, 5, 4))
    macs = [layer for layer in found.layers if layer.kind == "mac"]
    assert [layer.weights_are_activations for layer in macs] == [False, True, False, False]
    assert [layer.params for layer in macs] == [24, 0, 0, 0]
    assert found.macs == 4 * (2 * 3 * 5 * 4) - 2 * (2 * 3 * 2 * 4)
    assert found.params == 24


def test_a_step_of_a_long_text_reads_its_keys_and_values_once() -> None:
    """32 heads of queries and 8 of keys and values, 128 values each, after 4,096 tokens.

    K and V are 2 · 8 · 4,096 · 128 values of 8 bits, 8.39 MB. Beside them are queries and results, 32 · 128 each, and
    32 · 4,096 scores, which are written, read and written by the softmax, and read again, or stay in the buffer.
    """
    shapes = [(1, 32, 1, 128), (1, 8, 4096, 128), (1, 8, 4096, 128)]
    found = trace(Function(attend), inputs=shapes)
    on = sq.Accelerator.named("ws_32x32")
    costs = sq.simulate(found, on.replace({"memory.placement": "layer"})).costs
    pairs, scores = 2 * 8 * 4096 * 128, 32 * 4096
    assert costs.dram_bytes.sum() == pairs + 2 * 32 * 128 + 4 * scores == 8_921_088
    assert costs.cycles.sum() < 720_000
    assert sq.simulate(found, on).costs.dram_bytes.sum() == pairs + 2 * 32 * 128


def test_operators_that_name_a_kernel_are_attention_too() -> None:
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    found = trace(Function(lambda q, k, v: kernel(q, k, v)[0]), inputs=[(2, 3, 4, 8)] * 3)
    check(found, Case(2, 3, 1, 4, 4, 8))


def test_a_cap_of_scores_is_an_operation_for_each(tmp_path: Path) -> None:
    shapes = {"q": (2, 3, 4, 8), "k": (2, 3, 5, 8), "v": (2, 3, 5, 8)}
    made = model([node("Attention", list(shapes), softcap=30.0)], shapes, opset=23)
    check(network(tmp_path, made), Case(2, 3, 1, 4, 5, 8), places=1)


def written(scaled: Any) -> Any:
    return lambda q, k, v: torch.softmax(scaled(q, k), -1) @ v


@pytest.mark.parametrize(
    ("scaled", "left"),
    [
        (lambda q, k: (q * 0.5) @ k.transpose(2, 3), []),
        (lambda q, k: (q / 2) @ (k * 0.5).transpose(2, 3), []),
        (lambda q, k: 0.5 * q @ k.transpose(2, 3), []),
        (lambda q, k: (q @ k.transpose(2, 3)) * 0.5, []),
        (lambda q, k: q @ k.transpose(2, 3) / torch.tensor(8.0).sqrt(), []),
        (lambda q, k: (q * 0.5 / 3) @ k.transpose(2, 3) / 2 * 0.5, []),
        (lambda q, k: (q @ k.transpose(2, 3)).mul_(0.5) + k[..., :1, 0:1], ["add"]),  # a mask
        (lambda q, k: torch.where(k[..., :4, :5] > 0, q @ k.transpose(2, 3) / 2, -1.0), ["gt", "where"]),
        (
            lambda q, k: (q @ k.transpose(2, 3) / 2).tanh(),
            ["div", "tanh"],
        ),  # what softmax does not read stays
        (lambda q, k: (y := q @ k.transpose(2, 3)) * 0.5 + y.sum(), ["mul", "sum", "add"]),
        (lambda q, k: (q / k[..., :1, :]) @ k.transpose(2, 3), ["div"]),  # so does what is no number
        (
            lambda q, k: (y := q * 0.5) @ k.transpose(2, 3) + y.sum(),
            ["mul", "sum", "add"],
        ),  # or is read otherwise
    ],
)
def test_a_factor_of_products_of_activations_is_no_layer(
    scaled: Any, left: list[str], tmp_path: Path
) -> None:
    case = Case(2, 3, 1, 4, 5, 8)
    module = Function(written(scaled))
    shapes = [case.query, case.key, case.key]
    traced = trace(module, inputs=shapes)
    assert [layer.op for layer in traced.layers if layer.op not in ("matmul", "softmax")] == left
    if not left:
        check(traced, case)
    path = tmp_path / "m.onnx"
    export(module, tuple(torch.zeros(shape) for shape in shapes), path, dynamo=False)
    assert essence(read(path)) == essence(traced)


@pytest.mark.parametrize("dynamo", [True, False])
def test_a_file_of_today_has_the_attention_of_its_module(dynamo: bool, tmp_path: Path) -> None:
    case = Case(2, 2, 3, 4, 5, 8)
    module = Function(scaled_dot_product_attention)
    shapes = [case.query, case.query, case.query]
    path = tmp_path / "m.onnx"
    export(module, tuple(torch.zeros(shape) for shape in shapes), path, dynamo=dynamo)
    assert essence(read(path)) == essence(trace(module, inputs=shapes))


@pytest.mark.parametrize("opset", [18, 23])
@pytest.mark.parametrize("is_repeated", [True, False])
def test_a_file_reads_repeated_heads_once(opset: int, is_repeated: bool, tmp_path: Path) -> None:
    """Exporters repeat heads by Expand and Reshape, and scale them after that."""
    case = Case(2, 2, 3, 4, 5, 8)
    module = Function(
        (lambda q, k, v: scaled_dot_product_attention(q, repeated(k, 3), repeated(v, 3)))
        if is_repeated
        else attend
    )
    inputs = tuple(torch.zeros(shape) for shape in (case.query, case.key, case.key))
    path = tmp_path / "m.onnx"
    export(module, inputs, path, dynamo=True, opset_version=opset)
    found = read(path)
    check(found, case)
    assert essence(found) == essence(trace(module, inputs=inputs))


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    data=st.data(),
)
def test_runs_of_moved_data_are_those_of_values(shape: list[int], data: st.DataObject) -> None:
    """Whatever is expanded, reshaped and transposed: slices that are said to repeat are equal."""
    values = np.arange(prod(shape)).reshape(shape)
    value = Value(tensor_type(1, tuple(shape)))
    for _ in range(4):
        attributes: dict[str, Any] = {}
        op = data.draw(among("Expand", "Reshape", "Transpose"))
        if op == "Expand":
            made = tuple(data.draw(among(1, 2, 3)) if size == 1 else size for size in values.shape)
            moved = np.broadcast_to(values, made)
        elif op == "Reshape":
            others = data.draw(st.permutations(values.shape))
            moved = values.reshape(data.draw(st.sampled_from([(-1,), (1, *values.shape), others])))
        else:
            axes = data.draw(st.permutations(range(values.ndim)))
            moved, attributes = values.transpose(axes), {"perm": axes}
        runs = runs_of(helper.make_node(op, ["x"], ["y"], **attributes), value, moved.shape)
        value, values = Value(tensor_type(1, moved.shape), runs=runs), np.ascontiguousarray(moved)
        for axis, run in enumerate(runs or ()):
            assert prod(size for size, _ in run) == values.shape[axis]
            split = np.moveaxis(values, axis, 0).reshape(*(size for size, _ in reversed(run)), -1)
            for place, (_, is_repeated) in enumerate(reversed(run)):
                if is_repeated:
                    assert (split == split.take([0], place)).all()


def test_a_result_of_attention_is_written_to_as_any_other() -> None:
    def attend_in_place(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        result = scaled_dot_product_attention(q, k, v)
        result += 1
        return result.relu_()

    found = trace(Function(attend_in_place), inputs=[(2, 3, 4, 8)] * 3)
    assert [layer.op for layer in found.layers] == ["matmul", "softmax", "matmul", "add", "relu"]
    assert [layer.inputs for layer in found.layers[3:]] == [(found.layers[2].name,), ("add",)]
