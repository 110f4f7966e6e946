"""Layer: a frozen record of the loop sizes, operands, parameters and edges of one operator."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import lcm
from typing import Any, Literal, NamedTuple

from squeezesim.errors import ModelError, nearest
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, MAX_TEXT, check_text, derive, show

Kind = Literal["mac", "vector", "view"]


class Pool(NamedTuple):
    """A pooling of a layer's outputs: pooled rows and columns, and the windows that they are made of.

    Windows are clipped at the border of the map; with dilation their size is from the first to the last element.
    """

    rows: int
    columns: int
    window_y: int
    window_x: int
    stride_y: int
    stride_x: int
    padding_y: int
    padding_x: int
    sums: int = 0  # 1: of sums, as wide as accumulators until they are finished; 0: of the largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operator of a network, as loop sizes and operand sizes.

    A layer of kind ``mac`` is the loop nest

        out[n, g·K+k, y, x] += in[n, g·C+c, y·sy + fy·dy − py, x·sx + fx·dx − px] · w[g·K+k, c, fy, fx]

    over N (batch), G (groups), K (output channels in a group), C (input channels in a group), OY, OX, FY, FX.
    A matrix product has FY = FX = 1, one row of its left operand for each (n, oy). Kind ``vector`` is work on
    single elements (pooling, add, softmax, an activation); kind ``view`` is free (concat).

    Sizes of operands are in elements of the tensors in memory, padding excluded.

    A layer with a ``repeat`` is that many equal steps of a recurrence, one after the other, with the same weights.
    Loop sizes and elements are those of one step; ``macs``, ``vector_ops`` and ``params`` count all of them, so that
    sums over layers are those of the network. A step may read what the step before it made, which ``carried`` names.

    The constructor and ``dataclasses.replace`` check every field; passes make layers of checked ones with ``derive``.

    Raises:
        ModelError: a field has the wrong type or lies outside its range.

    Example:
        >>> layer = Layer.conv("a", c=64, k=32, oy=56, ox=56, fy=3, fx=3)
        >>> layer.g, layer.k, layer.c, layer.macs
        (1, 32, 64, 57802752)
    """

    name: str
    op: str
    kind: Kind
    module: str = ""
    stage: str = ""
    inputs: tuple[str, ...] = ()
    n: int = 1
    g: int = 1
    k: int = 1
    c: int = 1
    oy: int = 1
    ox: int = 1
    fy: int = 1
    fx: int = 1
    iy: int = 1
    ix: int = 1
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (
        0,
        0,
    )  # above and to the left; below and to the right it follows from the sizes
    input_elements: int = 0
    weight_elements: int = 0
    output_elements: int = 0
    params: int = 0  # learnable values that the layer owns: no layer before it uses them
    weight_params: int | None = (
        None  # of these, those that weights are made of; None: all weights, if it owns as many
    )
    shared: tuple[str, ...] = ()  # layers that own other learnable values that it uses
    vector_ops: int = 0
    weights_are_activations: bool = False  # a product of two activations, as in attention
    fused: tuple[str, ...] = ()  # operators applied to the output before it leaves the array
    weight_bits: int | None = None
    activation_bits: int | None = None
    accumulator_bits: int | None = None
    weight_density: float | None = None
    repeat: int = 1  # equal steps of a recurrence
    carried: tuple[
        str, ...
    ] = ()  # layers of the recurrence that each step reads as the step before made them
    weight_pattern: str = ""  # ``N:M``: of every M input channels in order, N weights at most are not zero
    fixed_weights: int = (
        0  # values that weights are made of and that are no params, such as int8 buffers; it owns them
    )
    second_elements: int = 0  # of a second operand that is added to the outputs on their way out
    pool: tuple[int, ...] = ()  # a pooling of the outputs on their way out, as a ``Pool``; none
    constant_elements: int | None = None  # values that it reads beside its weights; None: those that it owns

    def __post_init__(self) -> None:
        check_layer(self)

    @property
    def macs(self) -> int:
        """Multiply–accumulates: N·G·K·C·OY·OX·FY·FX · repeat for a convolution or matrix product, 0 otherwise."""
        if self.kind != "mac":
            return 0
        return self.n * self.g * self.k * self.c * self.oy * self.ox * self.fy * self.fx * self.repeat

    @property
    def pattern(self) -> tuple[int, int]:
        """N and M of ``weight_pattern``; 1 and 1 where there is none.

        Example:
            >>> Layer.matmul("fc", m=1, n=8, k=8).pattern
            (1, 1)
        """
        return _parsed(self.weight_pattern) if self.weight_pattern else (1, 1)

    def packed_as(self, patterns: Iterable[str]) -> tuple[int, int]:
        """Return N and M of that of *patterns* which its weights fit and which keeps the least share; 1 and 1 if none.

        Weights of a pattern n:m fit N:M if no M channels in order, from a multiple of M on, can hold more than N.

        Example: 1 of 4 is at most 2 of 4, which is what the layer takes where a machine has that alone.

            >>> fc = replace(Layer.matmul("fc", m=1, n=8, k=8), weight_pattern="1:4")
            >>> fc.packed_as(["2:4", "4:8"]), fc.packed_as(["1:2", "1:4"]), fc.packed_as([])
            ((2, 4), (1, 4), (1, 1))
        """
        fitting = [
            (kept / size, size, kept) for kept, size in map(_parsed, patterns) if self._keeps(size) <= kept
        ]
        _, size, kept = min(fitting, default=(1.0, 1, 1))
        return kept, size

    def _keeps(self, block: int) -> int:
        """Most weights that are not zero of *block* channels in order, from a multiple of it on."""
        kept, size = self.pattern
        return max(
            sum(
                min(kept, min(start + block, first + size) - max(start, first))
                for first in range(start // size * size, start + block, size)
            )
            for start in range(0, lcm(block, size), block)
        )

    def repeated(self, times: int) -> Layer:
        """Return the layer as *times* equal steps, of which each does what it does now.

        Raises:
            ModelError: the counts of all steps together are out of range.

        Example:
            >>> Layer.matmul("h", m=1, n=256, k=64).repeated(10).macs
            163840
        """
        return replace(self, repeat=self.repeat * times, vector_ops=self.vector_ops * times)

    @property
    def owned_weights(self) -> int:
        """Of the values that the weights of a product are made of, those that the layer owns."""
        if self.weight_params is not None:
            return self.weight_params
        return self.weight_elements if self.params >= self.weight_elements else 0

    @property
    def constants(self) -> int:
        """Values that a MAC layer reads beside its weights: biases, joined norms, scales and zero points.

        Unless ``constant_elements`` says it, they are its params but for the weights, and of a layer with
        ``weight_bits`` what more its weights are made of than they are.

        Example:
            >>> Layer.matmul("fc", m=1, n=8, k=4, bias=True).constants
            8
        """
        if self.constant_elements is not None:
            return self.constant_elements
        return self._owned_constants()

    def _owned_constants(self) -> int:
        if self.kind != "mac":
            return 0
        scales = 0
        if self.weight_bits is not None and not self.weights_are_activations:
            scales = max(self.owned_weights + self.fixed_weights - self.weight_elements, 0)
        return self.params - self.owned_weights + scales

    def reading(self, constants: int) -> Layer:
        """Return the layer with *constants* beside its weights, whoever owns them."""
        said = None if constants == self._owned_constants() else constants
        if said == self.constant_elements:
            return self
        check_count(self.name, "constant_elements", constants)
        return derive(self, constant_elements=said)

    def owning(self, params: int, weights: int) -> Layer:
        """Return the layer with *params* of its own, of which *weights* are weights that it multiplies by."""
        return replace(self, params=params, weight_params=self.weight_params_of(params, weights))

    def weight_params_of(self, params: int, weights: int) -> int | None:
        """Return the ``weight_params`` with which *weights* of *params* of its own are weights; None says it."""
        return None if weights == (self.weight_elements if params >= self.weight_elements else 0) else weights

    @classmethod
    def conv(
        cls,
        name: str,
        *,
        c: int,
        k: int,
        oy: int,
        ox: int,
        fy: int,
        fx: int,
        n: int = 1,
        groups: int = 1,
        stride: int | tuple[int, int] = 1,
        dilation: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | None = None,
        iy: int | None = None,
        ix: int | None = None,
        bias: bool = False,
        stage: str = "",
        inputs: Iterable[str] = (),
    ) -> Layer:
        """Return a 2-d convolution of *c* input into *k* output channels (both in total, over all groups).

        Without *padding* it is "same": (span − 1) // 2 above and to the left, an input of stride times the
        output, where span = (f − 1)·dilation + 1. With *padding* on all four sides and no *iy*, *ix*, the
        input is the smallest that gives the output: (o − 1)·stride + span − 2·padding.

        Raises:
            ModelError: a size is out of range, or *groups* does not divide the channels.

        Example:
            >>> Layer.conv("a", c=64, k=32, oy=56, ox=56, fy=3, fx=3).macs
            57802752
        """
        if groups < 1 or c % groups or k % groups:
            raise ModelError(f"layer {name!r}: groups = {groups} does not divide c = {c} and k = {k}")
        strides, dilations = pair(name, "stride", stride), pair(name, "dilation", dilation)
        spans = tuple((f - 1) * d + 1 for f, d in zip((fy, fx), dilations, strict=True))
        if padding is None:
            paddings = ((spans[0] - 1) // 2, (spans[1] - 1) // 2)
            extents = [o * s for o, s in zip((oy, ox), strides, strict=True)]
        else:
            paddings = pair(name, "padding", padding)
            sizes = zip((oy, ox), strides, spans, paddings, strict=True)
            extents = [(o - 1) * s + span - 2 * p for o, s, span, p in sizes]
        iy, ix = extents[0] if iy is None else iy, extents[1] if ix is None else ix
        weights, outputs = k * (c // groups) * fy * fx, n * k * oy * ox
        return cls(
            name=name,
            op="conv2d",
            kind="mac",
            module=name,
            stage=stage,
            inputs=tuple(inputs),
            n=n,
            g=groups,
            k=k // groups,
            c=c // groups,
            oy=oy,
            ox=ox,
            fy=fy,
            fx=fx,
            iy=iy,
            ix=ix,
            stride=strides,
            dilation=dilations,
            padding=paddings,
            input_elements=n * c * iy * ix,
            weight_elements=weights,
            output_elements=outputs,
            params=weights + (k if bias else 0),
            vector_ops=outputs if bias else 0,
            fused=("bias",) if bias else (),
        )

    @classmethod
    def matmul(
        cls,
        name: str,
        *,
        m: int,
        n: int,
        k: int,
        batch: int = 1,
        bias: bool = False,
        weights_are_activations: bool = False,
        stage: str = "",
        inputs: Iterable[str] = (),
    ) -> Layer:
        """Return the matrix product of m×k by k×n, *batch* times, each with its own second operand.

        In the fields of a layer: rows m are ``oy``, columns n are ``k``, the reduced dimension k is ``c``
        and the batch is ``g``. The second operand is learnt, unless *weights_are_activations*.

        Raises:
            ModelError: a size is out of range.

        Example:
            >>> Layer.matmul("b", m=196, n=64, k=512).macs
            6422528
        """
        weights, outputs = batch * k * n, batch * m * n
        learnt = 0 if weights_are_activations else weights
        return cls(
            name=name,
            op="matmul",
            kind="mac",
            module=name,
            stage=stage,
            inputs=tuple(inputs),
            g=batch,
            k=n,
            c=k,
            oy=m,
            iy=m,
            input_elements=batch * m * k,
            weight_elements=weights,
            output_elements=outputs,
            params=learnt + (batch * n if bias else 0),
            vector_ops=outputs if bias else 0,
            weights_are_activations=weights_are_activations,
            fused=("bias",) if bias else (),
        )

    @classmethod
    def vector(
        cls,
        name: str,
        *,
        op: str,
        k: int,
        oy: int = 1,
        ox: int = 1,
        n: int = 1,
        fy: int = 1,
        fx: int = 1,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        iy: int | None = None,
        ix: int | None = None,
        operands: int = 1,
        params: int = 0,
        stage: str = "",
        inputs: Iterable[str] = (),
    ) -> Layer:
        """Return work on single elements of *k* channels: an add of two *operands*, an activation, a pooling.

        vector_ops = n·k·oy·ox·fy·fx: one for each output element and operator, for pooling one for each
        element of each fy×fx window. The input is the smallest that gives the output, unless *iy*, *ix* say
        more.

        Raises:
            ModelError: a size is out of range.

        Example:
            >>> Layer.vector("pool", op="max_pool", k=64, oy=28, ox=28, fy=3, fx=3, stride=2).vector_ops
            451584
        """
        strides, paddings = pair(name, "stride", stride), pair(name, "padding", padding)
        iy = (oy - 1) * strides[0] + fy - 2 * paddings[0] if iy is None else iy
        ix = (ox - 1) * strides[1] + fx - 2 * paddings[1] if ix is None else ix
        outputs = n * k * oy * ox
        return cls(
            name=name,
            op=op,
            kind="vector",
            module=name,
            stage=stage,
            inputs=tuple(inputs),
            n=n,
            k=k,
            c=k,
            oy=oy,
            ox=ox,
            fy=fy,
            fx=fx,
            iy=iy,
            ix=ix,
            stride=strides,
            padding=paddings,
            input_elements=operands * n * k * iy * ix,
            weight_elements=params,
            output_elements=outputs,
            params=params,
            vector_ops=outputs * fy * fx,
        )


MAX_TOTAL = 2**56
"""Largest sum of a count over a network: its bits still fit 64-bit integers."""


KINDS = ("mac", "vector", "view")


_SIZES = ("n", "g", "k", "c", "oy", "ox", "fy", "fx", "iy", "ix")


_ELEMENTS = ("input_elements", "weight_elements", "output_elements")


_COUNTS = (*_ELEMENTS, "params", "fixed_weights", "vector_ops")


_BITS = ("weight_bits", "activation_bits", "accumulator_bits")


_PAIRS = (("stride", 1), ("dilation", 1), ("padding", 0))


def pair(layer: str, field: str, value: int | tuple[int, int]) -> tuple[int, int]:
    """Return *value* as (vertical, horizontal): one integer stands for both.

    Raises:
        ModelError: it is neither an integer nor two of them.
    """
    if isinstance(value, int):
        return value, value
    if isinstance(value, Sequence) and len(value) == 2:
        return value[0], value[1]
    raise ModelError(f"layer {show(layer)}: {field} must be an integer or two of them, found {show(value)}")


def check_layer(layer: Layer) -> None:
    """Check types and ranges of every field of *layer*.

    Raises:
        ModelError: names the layer, the field, the value and what is allowed.
    """
    _check_texts(layer)
    _check_sizes(layer)
    if layer.pool:
        _check_pool(layer.name, layer.pool)
    if layer.repeat > 1:
        _check_steps(layer)
    _check_precision(layer)


def _check_texts(layer: Layer) -> None:
    name = layer.name
    for field in ("name", "op", "kind"):
        check_name(name, field, getattr(layer, field), empty=False)
    for field in ("module", "stage"):
        check_name(name, field, getattr(layer, field), empty=True)
    for field in ("inputs", "fused", "carried", "shared"):
        _texts(name, field, getattr(layer, field))
    if layer.kind not in KINDS:
        raise ModelError(
            f"layer {show(name)}: kind must be one of {', '.join(KINDS)}, found {show(layer.kind)}"
        )


def _check_sizes(layer: Layer) -> None:
    name = layer.name
    for field in (*_SIZES, "repeat"):
        size = getattr(layer, field)
        if type(size) is not int or not 1 <= size <= MAX_SIZE:
            raise _out_of_range(name, field, size, 1, MAX_SIZE)
    loops = layer.n * layer.g * layer.k * layer.oy * layer.ox * layer.fy * layer.fx
    if (
        layer.kind == "mac"
    ):  # others go through their input and output channels, not through each pair of them
        loops *= layer.c
    product = max(loops, layer.n * layer.g * layer.c * layer.iy * layer.ix) * layer.repeat
    if product > MAX_COUNT:
        raise ModelError(
            f"layer {show(name)}: the product of its loop sizes, {product}, is more than {MAX_COUNT}"
        )
    for field in _COUNTS:
        check_count(name, field, getattr(layer, field))
    if layer.second_elements:
        check_count(name, "second_elements", layer.second_elements)
    if layer.constant_elements is not None:
        check_count(name, "constant_elements", layer.constant_elements)
    own = layer.weight_params
    if own is not None and (type(own) is not int or not 0 <= own <= layer.params):
        raise _out_of_range(name, "weight_params", own, 0, layer.params)
    for field, low in _PAIRS:
        sizes = getattr(layer, field)
        if type(sizes) is not tuple or len(sizes) != 2:
            raise ModelError(f"layer {show(name)}: {field} must be two integers, found {show(sizes)}")
        for size in sizes:
            if type(size) is not int or not low <= size <= MAX_SIZE:
                raise _out_of_range(name, field, size, low, MAX_SIZE)


def _check_pool(name: str, pool: object) -> None:
    if type(pool) not in (tuple, Pool) or len(pool) != len(Pool._fields):  # type: ignore[arg-type]
        raise ModelError(
            f"layer {show(name)}: pool must be {len(Pool._fields)} integers, {', '.join(Pool._fields)}, "
            f"found {show(pool)}"
        )
    for field, size in zip(Pool._fields, pool, strict=True):  # type: ignore[call-overload]
        low, high = (0, 1) if field == "sums" else (0 if field.startswith("padding") else 1, MAX_SIZE)
        if type(size) is not int or not low <= size <= high:
            raise _out_of_range(name, f"pool {field}", size, low, high)


def _check_steps(layer: Layer) -> None:
    name, repeat = layer.name, layer.repeat
    for field in _ELEMENTS:
        if (elements := getattr(layer, field) * repeat) > MAX_COUNT:
            raise ModelError(
                f"layer {show(name)}: {field} of {repeat} steps are {elements}, more than {MAX_COUNT}"
            )
    if layer.vector_ops % repeat:
        raise ModelError(
            f"layer {show(name)}: vector_ops must be those of all of its {repeat} steps, which are equal, "
            f"found {layer.vector_ops}"
        )


def _check_precision(layer: Layer) -> None:
    name = layer.name
    for field in _BITS:
        bits = getattr(layer, field)
        if bits is not None and (type(bits) is not int or not 1 <= bits <= 64):
            raise _out_of_range(name, field, bits, 1, 64)
    density = layer.weight_density
    if density is not None and not (type(density) in (int, float) and 0 <= density <= 1):
        raise ModelError(
            f"layer {show(name)}: weight_density must be a number from 0 to 1, found {show(density)}"
        )
    pattern = layer.weight_pattern
    found = (
        re.fullmatch(r"([1-9]\d{0,3}):([1-9]\d{0,3})", pattern, re.ASCII) if type(pattern) is str else None
    )
    if pattern != "" and not (found and int(found[1]) <= int(found[2])):
        raise ModelError(f"layer {show(name)}: weight_pattern must be N:M with N ≤ M, found {show(pattern)}")
    if type(layer.weights_are_activations) is not bool:
        flag = show(layer.weights_are_activations)
        raise ModelError(f"layer {show(name)}: weights_are_activations must be true or false, found {flag}")


def check_edges(network: str, inputs: Iterable[str], layers: Iterable[Layer]) -> None:
    """Check that names are unique, that every layer reads only inputs and layers before it, and carries its steps'.

    What a layer shares belongs to another one.

    Raises:
        ModelError: names the layer and what it reads.
    """
    known, given = set(inputs), list(layers)
    for layer in given:
        for source in layer.inputs:
            if source not in known:
                hint = nearest(source, known)
                raise ModelError(
                    f"network {show(network)}: layer {show(layer.name)} reads {show(source)}, "
                    f"which is no input and no layer before it{hint}"
                )
        if layer.name in known:
            raise ModelError(f"network {show(network)}: the name {show(layer.name)} is used twice")
        known.add(layer.name)
    for steps in recurrences(given):
        names = {layer.name for layer in steps}
        for layer in steps:
            for source in layer.carried:
                if layer.repeat == 1 or source not in names:
                    raise ModelError(
                        f"network {show(network)}: layer {show(layer.name)} carries {show(source)} from step to step, "
                        f"which is no layer of the same recurrence{nearest(source, names)}"
                    )
    names = {layer.name for layer in given}
    for layer in given:
        for owner in layer.shared:
            if owner not in names or owner == layer.name:
                raise ModelError(
                    f"network {show(network)}: layer {show(layer.name)} shares params of {show(owner)}, "
                    f"which is no other layer{nearest(owner, names)}"
                )


def recurrences(layers: Iterable[Layer]) -> Iterator[list[Layer]]:
    """Yield successive layers that repeat as often, and all others by themselves.

    Example: ``[a, b ×9, c ×9, d]`` → ``[a]``, ``[b, c]``, ``[d]``.
    """
    for repeat, run in groupby(layers, key=lambda layer: layer.repeat):
        if repeat > 1:
            yield list(run)
        else:
            yield from ([layer] for layer in run)


def check_totals(network: str, layers: Sequence[Layer]) -> None:
    """Check that sums over a network can be counted in 64-bit integers, in bits too.

    Raises:
        ModelError: names the count and its sum.
    """
    for field in ("macs", "constants", *_COUNTS):
        each_step = field in ("constants", *_ELEMENTS)
        total = sum(getattr(layer, field) * (layer.repeat if each_step else 1) for layer in layers)
        if total > MAX_TOTAL:
            raise ModelError(
                f"network {show(network)}: the sum of {field} over its layers, {total}, is more than {MAX_TOTAL}"
            )


def check_count(layer: str, field: str, count: object) -> None:
    """Check the *count* of elements, params or operations of *layer*, which is its *field*.

    Raises:
        ModelError: it is no integer, or out of range.
    """
    if type(count) is not int or not 0 <= count <= MAX_COUNT:
        raise _out_of_range(layer, field, count, 0, MAX_COUNT)


def check_name(layer: str, field: str, value: Any, *, empty: bool) -> None:
    """Check the name *value* of *layer*, or what it names, which is its *field*.

    Raises:
        ModelError: it is no text that can be printed on one line.
    """
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        check_text(f"layer {show(layer)}: {field}", value, empty=empty)


def _texts(layer: str, field: str, values: Any) -> None:
    if type(values) is not tuple:
        raise ModelError(f"layer {show(layer)}: {field} must be a tuple of names, found {show(values)}")
    for value in values:
        check_name(layer, field, value, empty=False)


def _out_of_range(layer: str, field: str, value: object, low: int, high: int) -> ModelError:
    return ModelError(
        f"layer {show(layer)}: {field} must be an integer from {low} to {high}, found {show(value)}"
    )


def _parsed(pattern: str) -> tuple[int, int]:
    """N and M of a pattern N:M."""
    kept, _, size = pattern.partition(":")
    return int(kept), int(size)
