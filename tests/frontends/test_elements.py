"""Elements of parameters against sets of integers; what layers use and own against values that pass through a model."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize, prune

from squeezesim import Accelerator, Network, simulate
from squeezesim.cost.machine import Machine
from squeezesim.cost.problem import operands_of
from squeezesim.frontends.elements import Elements, Ledger, Region, Use, contiguous
from squeezesim.frontends.torch.trace import trace
from squeezesim.report.tally import stored_bytes
from tests.draws import among

sizes = st.integers(1, 4)
dims = st.lists(st.tuples(sizes, st.integers(0, 13)), max_size=4)


def places(offset: int, dims: list[tuple[int, int]]) -> set[int]:
    steps = product(*(range(size) for size, _ in dims))
    return {offset + sum(at * stride for at, (_, stride) in zip(step, dims, strict=True)) for step in steps}


def members(elements: Elements) -> set[int]:
    runs = zip(elements.starts.tolist(), elements.ends.tolist(), strict=True)
    return {place for start, end in runs for place in range(start, end)}


@given(st.lists(st.tuples(st.integers(0, 20), dims), min_size=1, max_size=4))
def test_elements_are_those_of_the_boxes(boxes: list[tuple[int, list[tuple[int, int]]]]) -> None:
    found = [Elements.of(offset, box) for offset, box in boxes]
    wanted = [places(offset, box) for offset, box in boxes]
    assert [members(one) for one in found] == wanted
    union = Elements.union(found)
    assert members(union) == set().union(*wanted)
    assert len(union) == len(members(union))
    assert (union.starts[1:] > union.ends[:-1]).all()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20), dims), max_size=8))
def test_each_element_belongs_to_the_first_layer_that_uses_it(
    claims: list[tuple[int, int, list[tuple[int, int]]]],
) -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.enter(200)
    owners: dict[tuple[int, int], int] = {}
    for layer, (param, offset, box) in enumerate(claims):
        wanted = places(offset, box)
        use = Use(param, offset, tuple(size for size, _ in box), tuple(stride for _, stride in box))
        count, shared = ledger.claim(layer, ledger.used([use, use]))
        fresh = {place for place in wanted if (param, place) not in owners}
        assert count == len(fresh)
        assert set(shared) == {owners[param, place] for place in wanted - fresh}
        owners |= {(param, place): layer for place in fresh}
    assert ledger.unread == 400 - len(owners)


@given(st.data())
def test_a_view_of_a_copy_is_made_of_the_elements_that_it_shows(data: st.DataObject) -> None:
    """A tensor is copied in another order of its dimensions; numpy says which elements a view of the copy shows."""
    shape = tuple(data.draw(st.lists(sizes, min_size=1, max_size=3)))
    values = np.arange(np.prod(shape)).reshape(shape)
    order = data.draw(st.permutations(range(len(shape))))
    copy = np.ascontiguousarray(values.transpose(order))
    strides = tuple(contiguous(shape)[axis] for axis in order)
    use = Use(0, 0, copy.shape, strides)
    own = Region(0, copy.shape, contiguous(copy.shape))
    view = copy
    for axis, size in enumerate(copy.shape):
        start = data.draw(st.integers(0, size - 1))
        step = data.draw(st.integers(1, 3))
        view = view[(slice(None),) * axis + (slice(start, None, step),)]
    view = view.transpose(data.draw(st.permutations(range(view.ndim))))
    place = (view.__array_interface__["data"][0] - copy.__array_interface__["data"][0]) // copy.itemsize
    seen = Region(place, view.shape, tuple(stride // copy.itemsize for stride in view.strides))
    assert members(use.seen(own, seen).elements()) == set(view.ravel().tolist())
    flat = Region(0, (copy.size,), (1,))
    assert members(use.seen(own, flat).elements()) == set(range(copy.size))


Weight = Callable[[list[Tensor]], Tensor]


class Products(nn.Module):
    """A linear layer for each function of the parameters, which gives its weights."""

    def __init__(self, params: list[Tensor], weights: list[Weight]) -> None:
        super().__init__()
        self.params = nn.ParameterList(nn.Parameter(param, requires_grad=False) for param in params)
        self.weights = weights

    def forward(self, x: Tensor) -> list[Tensor]:
        made = (weight(list(self.params)) for weight in self.weights)
        return [functional.linear(x[:, : weight.shape[1]], weight) for weight in made]


@st.composite
def parts(draw: st.DrawFn) -> Weight:
    """Part of a parameter, copied and cut again, or of two joined, as a matrix."""
    first, second = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    joined = draw(among("", "cat", "stack", "written"))
    cuts = [
        (draw(st.integers(0, 2)), draw(st.integers(0, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 2)))
        for _ in range(4)
    ]
    turn, copy = draw(st.booleans()), draw(among("", "contiguous", "cast", "scaled"))

    def cut(tensor: Tensor, axis: int, start: int, size: int, step: int) -> Tensor:
        axis = min(axis, tensor.dim() - 1)
        return (
            tensor.narrow(axis, start % tensor.shape[axis], 1).narrow(axis, 0, 1)
            if size == 1
            else tensor[(slice(None),) * axis + (slice(start % tensor.shape[axis], None, step),)]
        )

    def weight(params: list[Tensor]) -> Tensor:
        found = params[first]
        if joined == "cat":
            found = torch.cat([cut(found, *cuts[0]), cut(params[first], *cuts[0])])
        elif joined == "stack":
            found = torch.stack([found[0], params[first][1]])
        elif joined == "written":
            found = torch.zeros_like(found)
            found[:2] = params[second].reshape(found.shape)[:2]
            found[2:] = params[first][2:]
        rest = [(0, one[1], 1, 1) if joined else one for one in cuts[1:]]  # of joined parts, a row
        found = found if joined else cut(found, *rest[0])
        found = found.transpose(0, -1) if turn and not joined else found
        if copy == "contiguous":
            found = found.contiguous()
        elif copy == "cast":
            found = found.to(torch.float64).to(torch.float32)
        elif copy == "scaled":
            found = found * torch.ones((), device=found.device)
        found = cut(cut(found, *rest[1]), *rest[2])
        return found.reshape(found.shape[0], -1)

    weight.__name__ = f"{first} {second} {joined} {cuts} {turn} {copy}"
    return weight


@given(st.lists(parts(), min_size=1, max_size=5))
def test_layers_own_the_elements_that_are_used_each_once(weights: list[Weight]) -> None:
    """Oracle: every element of the parameters has a value of its own, so that weights say what they are made of."""
    params = [torch.arange(1.0, 61).reshape(4, 3, 5), torch.arange(61.0, 121).reshape(4, 15)]
    network = trace(Products(params, weights), (2, 60))
    owners: dict[float, str] = {}
    for layer, weight in zip(network.layers, weights, strict=True):
        used = set(weight(params).ravel().tolist()) - {0.0}
        fresh = {value for value in used if value not in owners}
        assert (layer.params, layer.owned_weights) == (len(fresh), len(fresh))
        assert layer.weight_elements == layer.g * layer.k * layer.c
        assert set(layer.shared) == {owners[value] for value in used - fresh}
        owners |= dict.fromkeys(fresh, layer.name)
    assert sum(layer.params for layer in network.layers) == len(owners)
    assert network.unread_params == 120 - len(owners)
    machine = Machine.of(Accelerator.named("os_32x32"))
    bits = machine.weight_bits
    stored = stored_bytes(network.layers, [operands_of(layer, machine) for layer in network.layers])[
        :, 1
    ].tolist()
    assert stored == [-(-layer.params * bits // 8) for layer in network.layers]
    assert Network.from_json(network.to_json()) == network
    fused = network.fused
    assert (fused.params, [layer.shared for layer in fused.layers]) == (
        network.params,
        [layer.shared for layer in network.layers],
    )


class Quantised(torch.Tensor):
    """Integers with a scale for each row, as weight-only quantisation keeps them."""

    @staticmethod
    def __new__(cls, integers: Tensor, scale: Tensor) -> Quantised:
        made: Quantised = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, integers.shape, dtype=torch.float32, device=integers.device
        )
        return made

    def __init__(self, integers: Tensor, scale: Tensor) -> None:
        self.integers, self.scale = integers, scale

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["integers", "scale"], None

    @classmethod
    def __tensor_unflatten__(
        cls, inner: dict[str, Tensor], _meta: Any, _size: Any, _stride: Any
    ) -> Quantised:
        return cls(inner["integers"], inner["scale"])

    def dequantised(self) -> Tensor:
        return self.integers.float() * self.scale

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aten = torch.ops.aten
        if func is aten.detach.default:
            return cls(args[0].integers, args[0].scale)
        if func is aten.t.default:
            return cls(args[0].integers.t(), args[0].scale.t())
        plain = torch.utils._pytree.tree_map_only(cls, cls.dequantised, (args, kwargs or {}))
        return func(*plain[0], **plain[1])


class Unpacked(Quantised):
    """The same, taken apart before operators see it."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.linear:
            return functional.linear(args[0], args[1].dequantised(), *args[2:], **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs or {})


class Packed(Unpacked):
    """Two narrow integers in each byte."""

    @staticmethod
    def __new__(cls, integers: Tensor, scale: Tensor) -> Packed:
        shape = (integers.shape[0], 2 * integers.shape[1])
        made: Packed = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, shape, dtype=torch.float32, device=integers.device
        )
        return made

    def dequantised(self) -> Tensor:
        both = torch.stack([self.integers & 15, self.integers >> 4], dim=-1)
        return both.reshape(self.integers.shape[0], -1).float() * self.scale


@pytest.mark.parametrize("kind", [Quantised, Unpacked, Packed])
def test_weights_of_a_tensor_subclass(kind: type[Quantised]) -> None:
    module = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8, bias=False))
    for layer in (module[0], module[2]):
        rows, columns = layer.weight.shape
        integers = torch.zeros(rows, columns // (2 if kind is Packed else 1), dtype=torch.uint8)
        layer.weight = nn.Parameter(kind(integers, torch.ones(rows, 1)), requires_grad=False)
    network = trace(module, (4, 16))
    assert [(layer.params, layer.owned_weights) for layer in network.layers] == [
        (544, 512),
        (0, 0),
        (256, 256),
    ]
    assert network.params == sum(parameter.numel() for parameter in module.parameters()) == 800


class Buffered(nn.Module):
    """A linear layer of 32 inputs and 64 outputs with weights that are made of buffers, run twice."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        shape, dtype = {
            "float": ((64, 32), torch.float32),
            "int8": ((64, 32), torch.int8),
            "int4": ((64, 16), torch.uint8),
            "gptq": ((64, 4), torch.int32),
        }[kind]
        self.kind = kind
        self.register_buffer("kept", torch.zeros(shape, dtype=dtype))
        self.register_buffer("scale", torch.ones(64, 1))
        self.register_buffer("mask", torch.ones(64, 32, dtype=torch.bool))
        self.register_buffer("places", torch.arange(32))

    def forward(self, x: Tensor) -> Tensor:
        kept: Any = self.kept
        if self.kind == "int4":
            kept = torch.stack([kept & 15, kept >> 4], -1).reshape(64, 32)
        if self.kind == "gptq":
            kept = ((kept.unsqueeze(-1) >> torch.arange(0, 32, 4, device=kept.device)) & 15).reshape(64, 32)
        weight = kept if self.kind == "float" else kept.float() * self.scale
        weight = weight[:, self.places] * self.mask if self.kind == "int8" else weight
        return functional.linear(x, weight) + functional.linear(x.relu(), weight)


@pytest.mark.parametrize(
    ("kind", "bits", "scales"), [("float", None, 0), ("int8", 8, 64), ("int4", 4, 64), ("gptq", 4, 64)]
)
def test_weights_that_are_buffers_take_bytes_and_are_no_params(
    kind: str, bits: int | None, scales: int
) -> None:
    network = trace(Buffered(kind), (4, 32))
    first, second = (layer for layer in network.layers if layer.op == "linear")
    assert (network.params, network.unread_params, len(network.notes)) == (0, 0, 1)
    assert (first.fixed_weights, second.fixed_weights) == (64 * 32 + scales, 0)
    assert (first.weight_bits, second.weight_bits) == (bits, bits)
    assert second.shared == (first.name,)
    report = simulate(network, Accelerator.named("os_32x32"))
    scale_bytes = scales * 32 // 8  # as wide as the accumulators
    bytes_of = 64 * 32 * (bits or 8) // 8 + scale_bytes
    assert int(report.tally.weights[:, 0].sum()) == bytes_of
    traffic = report.costs.dram_bytes[..., 1].ravel().tolist()
    assert traffic == [bytes_of if layer.kind == "mac" else 0 for layer in report.network.layers]
    assert Network.from_json(network.to_json()) == network


def test_masks_and_statistics_are_no_weights() -> None:
    pruned = nn.Conv2d(3, 8, 3, bias=False)
    prune.random_unstructured(pruned, "weight", 0.5)
    network = trace(nn.Sequential(pruned, nn.BatchNorm2d(8)), (1, 3, 8, 8))
    assert [layer.fixed_weights for layer in network.layers] == [0, 0]
    assert (network.params, network.notes) == (3 * 8 * 9 + 16, ())


class Stored(nn.Module):
    """A table that is looked up, a base with a low-rank product added, and a scale: parameters or buffers."""

    def __init__(self, kind: str, *, persistent: bool = True) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.zeros(4, 64)), nn.Parameter(torch.zeros(64, 4))
        self.packed = kind == "int4"
        tables = {"table": (1000, 64), "base": (64, 64), "scale": (64,)}
        for name, shape in tables.items():
            if kind == "parameter":
                self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
            elif self.packed and name != "scale":
                packed = torch.zeros((*shape[:-1], shape[-1] // 2), dtype=torch.uint8)
                self.register_buffer(name, packed, persistent=persistent)
            else:
                dtype = torch.int8 if kind == "int8" else torch.float32
                self.register_buffer(name, torch.zeros(shape, dtype=dtype), persistent=persistent)

    def forward(self, i: Tensor) -> Tensor:
        table, base = (self._values(each) for each in (self.table, self.base))
        x = functional.embedding(i, table)
        return functional.linear(x, base + self.b @ self.a) * self.scale.float()

    def _values(self, kept: Any) -> Tensor:
        if self.packed:
            kept = torch.stack([kept & 15, kept >> 4], -1).flatten(1)
        return kept.float()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "bits"), [("int8", 8), ("float", None), ("int4", 4)])
def test_buffers_of_layers_without_macs_take_what_parameters_take(kind: str, bits: int | None) -> None:
    tokens = {"i": torch.ones(4, dtype=torch.int64)}
    kept, learnt = (trace(Stored(each), inputs=tokens) for each in (kind, "parameter"))
    own = [layer.params + layer.fixed_weights for layer in kept.layers]
    assert own == [layer.params for layer in learnt.layers]
    assert sorted(own) == [0, 64, 512, 64 * 64, 1000 * 64]
    machine = Accelerator.named("os_32x32")
    report, other = simulate(kept, machine), simulate(learnt, machine)
    assert [layer.weight_elements for layer in kept.layers] == [
        layer.weight_elements for layer in learnt.layers
    ]
    assert [layer.weight_bits for layer in kept.layers if layer.op in ("embedding", "add")] == [bits, bits]
    scale = bits or 8
    assert report.totals["weights_bytes"] == 64 + 512 + (64 * 64 + 1000 * 64) * scale // 8
    saved = (64 * 64 + 4 * 64) * (8 - scale) // 8  # the base and the rows that are looked up
    assert report.totals["dram_bytes"] == other.totals["dram_bytes"] - saved
    assert Network.from_json(kept.to_json()) == kept


def test_a_base_of_int8_with_low_rank_parameters_moves_both() -> None:
    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.zeros(4, 64)), nn.Parameter(torch.zeros(64, 4))
            self.register_buffer("base", torch.zeros(64, 64, dtype=torch.int8))

        def forward(self, x: Tensor) -> Tensor:
            base: Any = self.base
            return functional.linear(x, base.to(x.dtype) + self.b @ self.a)

    on = Accelerator.named("os_32x32").replace({"memory.placement": "layer"})
    totals = simulate(trace(LowRank(), (4, 64)), on).totals
    # a, b and the product; the product, the base and their sum; the input, the sum and the output
    moved = (256 + 256 + 4096) + (4096 + 4096 + 4096) + (256 + 4096 + 256)
    assert (totals["weights_bytes"], totals["dram_bytes"]) == (4096 + 512, moved)


def test_caches_places_and_what_no_file_holds_are_no_weights() -> None:
    class Cached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(8, 8)
            self.register_buffer("cache", torch.zeros(16, 8))
            self.register_buffer("order", torch.arange(8, dtype=torch.int32))
            self.register_buffer("angles", torch.zeros(8), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            kept: list[Any] = [self.cache, self.order, self.angles]
            cache, order, angles = kept
            y = self.fc(x).index_select(1, order) * angles
            cache[:4] = y
            return (cache * 2).softmax(-1) @ y.t()[:, :4]

    network = trace(Cached(), (4, 8))
    assert [layer.fixed_weights for layer in network.layers] == [0] * len(network.layers)
    assert network.notes == ()


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).t()


def test_weights_that_are_computed_belong_to_the_layer_that_uses_them() -> None:
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    first, second = trace(nn.Sequential(layer, layer), (3, 8)).layers
    assert (first.params, first.owned_weights, first.shared) == (72, 64, ())
    assert (second.params, second.owned_weights, second.shared) == (0, 0, ("0",))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(100, 16), nn.Linear(16, 100)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.head(self.embed(x)))


def test_a_look_up_reads_its_rows_and_owns_the_table() -> None:
    look_up, head = trace(Tied(), inputs=[torch.zeros(2, 5, dtype=torch.long)]).layers
    assert (look_up.params, look_up.weight_elements) == (1600, 2 * 5 * 16)
    assert (head.params, head.weight_elements, head.owned_weights, head.shared) == (100, 1600, 0, ("embed",))


class CrossAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.MultiheadAttention(64, 4, batch_first=True, bias=False)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return torch.as_tensor(self.m(x, memory, memory, need_weights=False)[0])


def test_packed_attention_weights() -> None:
    network = trace(CrossAttention(), inputs=[(1, 16, 64), (1, 20, 64)])
    linear = [layer.params for layer in network.layers if layer.op == "linear"]
    assert linear == [64 * 64, 2 * 64 * 64, 64 * 64]
    assert int(simulate(network, Accelerator.named("os_32x32")).tally.weights[:, 0].sum()) == 16 * 1024


class Experts(nn.Module):
    """Rows of one matrix, grouped, each group times a matrix of its own."""

    def __init__(self, ends: Callable[[Tensor], Tensor], count: int = 8, size: int = 64) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(count, size, size, dtype=torch.bfloat16))
        self.register_buffer("kept", torch.tensor([4, 4, 8, 16, 16, 24, 28, 32], dtype=torch.int32))
        self.ends = ends

    def forward(self, x: Tensor) -> Tensor:
        return torch._grouped_mm(x, self.w, offs=self.ends(x) if self.ends is not None else self.kept)


def even(x: Tensor) -> Tensor:
    return torch.arange(4, 33, 4, dtype=torch.int32, device=x.device)


def listed(x: Tensor) -> Tensor:
    return torch.tensor([4, 4, 8, 16, 16, 24, 28, 32], dtype=torch.int32, device=x.device)


def routed(x: Tensor) -> Tensor:
    return (x[:8, 0] > 0).cumsum(0).int()


def rows() -> Tensor:
    return torch.zeros(32, 64, dtype=torch.bfloat16)


def test_groups_of_equal_size_are_one_layer_and_cost_what_as_many_layers_do() -> None:
    class Separate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.ModuleList(nn.Linear(1024, 1024, bias=False) for _ in range(8))

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([layer(part) for layer, part in zip(self.w, x.chunk(8), strict=True)])

    grouped = trace(Experts(even, size=1024), inputs=[torch.zeros(32, 1024, dtype=torch.bfloat16)])
    separate = trace(Separate(), (32, 1024))
    (layer,) = grouped.layers
    assert (layer.g, layer.oy, layer.params, layer.weight_elements) == (8, 4, 8 * 2**20, 8 * 2**20)
    assert (grouped.macs, grouped.params) == (separate.macs, separate.params)
    for hardware in map(Accelerator.named, ("os_32x32", "ws_32x32")):
        one, many = simulate(grouped, hardware), simulate(separate, hardware)
        weights = [int(report.costs.dram_bytes[..., 1].sum()) for report in (one, many)]
        assert weights[0] == weights[1] >= 8 * 2**20
        assert int(one.costs.cycles.sum()) == pytest.approx(int(many.costs.cycles.sum()), rel=0.02)


@pytest.mark.parametrize("ends", [listed, None])
def test_groups_of_unequal_sizes_read_the_matrices_that_are_hit(ends: Any) -> None:
    network = trace(Experts(ends), inputs=[rows()])
    assert [(layer.g, layer.oy) for layer in network.layers] == [(4, 4), (2, 8)]
    assert network.macs == 32 * 64 * 64
    assert [layer.params for layer in network.layers] == [4 * 64 * 64, 2 * 64 * 64]
    assert (network.unread_params, network.notes) == (2 * 64 * 64, ())


def test_groups_that_depend_on_the_input_are_spread_evenly_and_a_note_says_so() -> None:
    network = trace(Experts(routed), inputs=[rows()])
    product = network.layers[-1]
    assert (product.g, product.oy, product.params, network.unread_params) == (8, 4, 8 * 64 * 64, 0)
    assert len(network.notes) == 1
    few = trace(Experts(lambda x: (x[:1, :8] > 0).sum(0).cumsum(0).int()), inputs=[rows()[:5]])
    assert [(layer.g, layer.oy) for layer in few.layers if layer.op == "linear"] == [(5, 1)]
    assert [layer.params for layer in few.layers if layer.op == "linear"] == [8 * 64 * 64]


def test_columns_and_the_reduced_dimension_in_groups() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(2, 16, 32, dtype=torch.bfloat16))

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            ends = torch.tensor([16, 48], dtype=torch.int32, device=x.device)
            return torch._grouped_mm(self.w, x.t(), offs=ends), torch._grouped_mm(x.t(), x, offs=ends)

    network = trace(Both(), inputs=[torch.zeros(48, 32, dtype=torch.bfloat16)])
    columns, reduced = network.layers[:2], network.layers[2:]
    assert [(layer.g, layer.oy, layer.k, layer.c) for layer in columns] == [(1, 16, 16, 32), (1, 32, 16, 32)]
    assert [layer.params for layer in columns] == [512, 512]
    assert [(layer.g, layer.oy, layer.k, layer.c) for layer in reduced] == [(1, 32, 32, 16), (1, 32, 32, 32)]


@pytest.mark.parametrize(
    ("tokens", "chosen", "hit", "notes"), [(1, 2, 2, 0), (4, 8, 8, 0), (4, 2, 8, 1), (2, 2, 4, 1)]
)
def test_experts_that_a_top_k_makes_certain_need_no_note(
    tokens: int, chosen: int, hit: int, notes: int
) -> None:
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.router = nn.Linear(64, 8, bias=False, dtype=torch.bfloat16)
            self.w = nn.Parameter(torch.zeros(8, 64, 64, dtype=torch.bfloat16))

        def forward(self, x: Tensor) -> Tensor:
            places = self.router(x).topk(chosen).indices
            hits = torch.zeros(len(x), 8, device=x.device).scatter_(1, places, 1)
            order = places.flatten().argsort() // chosen
            return torch._grouped_mm(x[order], self.w, offs=hits.sum(0).cumsum(0).int())

    network = trace(Routed(), inputs=[torch.zeros(tokens, 64, dtype=torch.bfloat16)])
    product = network.layers[-1]
    assert (product.g * product.oy, product.g) == (tokens * chosen, hit)
    assert (len(network.notes), network.params) == (notes, 8 * 64 + 8 * 64 * 64)


def test_a_product_owns_what_a_constant_picks() -> None:
    """Oracle: every element of the parameter has a value of its own."""

    def at(*places: int) -> Tensor:
        return torch.tensor(places, device=torch.empty(0).device)  # where the forward runs

    def gathered(w: Tensor) -> Tensor:
        return w.gather(0, at(0, 3, 3, 5)[:, None, None].expand(4, 6, 5))

    picks: list[tuple[Callable[[Tensor], Tensor], int]] = [
        (lambda w: w[at(0, 3, 3, 5)], 3),
        (lambda w: w[[7, -1, 7]], 1),
        (lambda w: w.index_select(0, at(2, 6)), 2),
        (lambda w: w[at(1, 4, 2, 4).reshape(2, 2)].flatten(0, 1), 3),
        (lambda w: w[:4][at(3, 0)], 2),
        (lambda w: w.reshape(2, 4, 6, 5)[at(0, 1, 1), at(3, 0, 0)], 2),
        (gathered, 3),
        (lambda w: w[torch.tensor([i in (0, 3, 7) for i in range(8)])], 3),
        (lambda w: w.reshape(2, 4, 6, 5)[torch.eye(2, 4).bool()], 2),
    ]

    class Picked(nn.Module):
        def __init__(self, pick: Callable[[Tensor], Tensor]) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.arange(240.0).reshape(8, 6, 5))
            self.pick = pick

        def forward(self, x: Tensor) -> Tensor:
            weight = self.pick(self.w)
            return torch.bmm(x.expand(len(weight), 3, 6), weight)

    for pick, distinct in picks:
        module = Picked(pick)
        values = len(set(pick(module.w).flatten().tolist()))
        network = trace(module, (1, 3, 6))
        assert values == distinct * 30
        assert (network.layers[-1].params, network.layers[-1].owned_weights) == (values, values)
        assert (network.params, network.unread_params) == (240, 240 - values)


class Added(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (nn.Conv2d(8, 8, 3, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.one(x) + self.other(x)).relu()


@pytest.mark.parametrize(
    ("module", "beside"),
    [
        (nn.Conv2d(8, 16, 3, bias=False), [0]),
        (nn.Conv2d(8, 16, 3), [16]),
        (nn.Sequential(nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16)), [16]),
        (nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.PReLU(16)), [32]),
        (nn.Sequential(nn.ConvTranspose2d(8, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16)), [16]),
        (Added(), [0, 0, 16]),
    ],
    ids=["none", "bias", "norm", "slopes", "transposed", "add"],
)
def test_what_is_joined_is_loaded_with_the_layer(module: nn.Module, beside: list[int]) -> None:
    """A norm leaves a shift for each channel of a convolution; joined to an add it is read whole."""
    network = trace(module.eval(), (1, 8, 12, 12)).fused
    assert [
        layer.constants or layer.weight_elements * (layer.kind != "mac") for layer in network.layers
    ] == beside
    report = simulate(network, Accelerator.named("os_32x32"))
    bits = report.machine.accumulator_bits
    for layer, moved in zip(network.layers, report.costs.dram_bytes[0, :, 1].tolist(), strict=True):
        stored = layer.weight_elements * report.machine.weight_bits
        assert moved == (stored + layer.constants * bits) // 8
