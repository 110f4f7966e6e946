"""ONNX files: read within bounds, without the values of large weights.

A parser makes objects of every few bytes, so a small file can fill the memory. Here a message is walked by its fields
first: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from squeezesim.errors import ModelError, installed
from squeezesim.files import open_to_read
from squeezesim.network import Network
from squeezesim.network.checks import show

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

MAX_FIELDS = 2_000_000
"""Most fields of all messages of a file together; a message of less than 256 bytes counts as one for every 8."""

MAX_KEPT = 32 * 2**20
"""Most bytes that are kept of a file."""

MAX_DEPTH = 100
LONG = 2**14
"""Values of tensors of at least as many bytes are left out."""

_SHORT = 256
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _MalformedError(Exception):
    """The bytes are no message."""


def without_tensors(data: Any, message: Any) -> bytes:
    """Return the message in *data*, a buffer, of the type that the descriptor *message* says, without long tensors.

    Raises:
        ModelError: it is no such message, or larger without tensors than allowed.
    """
    try:
        return _Skimmer(data).message(0, len(data), message, 0)
    except (_MalformedError, IndexError):
        raise ModelError("is no ONNX model, or only a part of one") from None


@dataclass(slots=True)
class _Skimmer:
    data: Any
    fields: int = 0
    kept: int = 0

    def message(self, start: int, end: int, kind: Any, depth: int) -> bytes:
        """The fields from *start* to *end*, each rewritten."""
        if depth > MAX_DEPTH:
            raise _MalformedError
        known = kind.fields_by_number
        pieces: list[bytes] = []
        while start < end:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise ModelError(f"has more than {MAX_FIELDS} fields")
            tag, body = self._varint(start, end)
            after = self._end(tag & 7, body, end)
            field = known.get(tag >> 3)
            inner = field.message_type if field is not None and tag & 7 == _BYTES else None
            if inner is not None and after - body < _SHORT:
                self.fields += (after - body) // 8
            elif inner is not None:
                whole = self.message(self._varint(body, end)[1], after, inner, depth + 1)
                pieces += (self.data[start:body], _encoded(len(whole)), whole)
                start = after
                continue
            if kind.name != "TensorProto" or after - body < LONG:
                self.kept += after - start
                if self.kept > MAX_KEPT:
                    raise ModelError(f"has more than {MAX_KEPT} bytes without its weights")
                pieces.append(self.data[start:after])
            start = after
        return b"".join(pieces)

    def _end(self, wire: int, body: int, end: int) -> int:
        """Where the value ends that begins at *body*."""
        if wire == _VARINT:
            after = self._varint(body, end)[1]
        elif wire == _BYTES:
            size, after = self._varint(body, end)
            after += size
        elif wire in (_FIXED64, _FIXED32):
            after = body + (8 if wire == _FIXED64 else 4)
        else:
            raise _MalformedError
        if after > end:
            raise _MalformedError
        return after

    def _varint(self, start: int, end: int) -> tuple[int, int]:
        """An unsigned integer and where it ends."""
        value = shift = 0
        for index in range(start, min(end, start + 10)):
            byte = self.data[index]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, index + 1
            shift += 7
        raise _MalformedError


def _encoded(value: int) -> bytes:
    """An unsigned integer as a varint."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


MAX_BYTES = 2**31 - 1
"""Largest file that is read; protobuf allows no more."""

MAX_NODES = 100_000
"""Most nodes, those of subgraphs and of functions included, each as often as it is called."""

OLDEST_OPSET = 7
_OLDEST_RULES = 11  # of operator sets before, onnx converts the graph to this one


def read(
    path: str | os.PathLike[str],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, Any] | None = None,
    batch: int | None = None,
) -> Network:
    """Return the network of an ONNX graph: stages marked, nothing fused, no weights loaded.

    Args:
        path: the file. Weights that it keeps in other files are not needed.
        input_shapes: shapes of inputs by name, batch included, for the dimensions that the file leaves open.
        values: arrays by the name of an input that is known before it runs, such as a sample rate: what follows
            from it is known too, as the branch of an ``If``. The one size in ``input_shapes`` of a scalar is its value.
        batch: the first dimension of every input that leaves it open.

    Raises:
        ModelError: the file cannot be read or holds no valid graph, an input's dimension is open and not given,
            or the package onnx is not installed.

    Example:
        >>> read("squeezenet1.1.onnx", batch=1).macs  # doctest: +SKIP
        349152000
    """
    with installed("onnx"):
        import onnx  # noqa: F401 - an extra
    from squeezesim.frontends.onnx.graph import network_of

    name = os.fspath(path)
    stream = open_to_read(name, ModelError)
    try:
        with stream:
            model = _model(stream)
        return network_of(
            model, input_shapes or {}, batch, values=values or {}, name=Path(name).stem, source=name
        )
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error.__cause__


def _model(stream: BinaryIO) -> ModelProto:
    """The parsed file without its weights, with the functions that it defines inlined."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        model = ModelProto.FromString(_structure(stream, ModelProto.DESCRIPTOR))
    except DecodeError:
        raise ModelError("is no ONNX model, or only a part of one") from None
    if not model.HasField("graph") or not model.opset_import:
        raise ModelError("is no ONNX model: it has no graph or no operator set")
    _check_opset(model)
    _check_nodes(model)
    if not all(type(text) is str for text in _texts(model)):  # protobuf gives bytes where it cannot decode
        raise ModelError("has names that are not UTF-8")
    return _converted(_inlined(model) if model.functions else model)


def _structure(stream: BinaryIO, kind: Any) -> bytes:
    """What a file says beside the values of its weights."""
    size = os.fstat(stream.fileno()).st_size
    if not 0 < size <= MAX_BYTES:
        raise ModelError(f"has {size} bytes; allowed are 1 to {MAX_BYTES}")
    try:
        with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ) as data:
            return without_tensors(data, kind)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror or error}") from None


def _check_opset(model: ModelProto) -> None:
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx") and not OLDEST_OPSET <= opset.version <= newest:
            way = ": a newer onnx reads more" if opset.version > newest else ""
            raise ModelError(f"has operator set {opset.version}; read are {OLDEST_OPSET} to {newest}{way}")


def _check_nodes(model: ModelProto) -> None:
    """Check that functions do not call themselves and that inlining them gives no more than MAX_NODES."""
    functions = {(item.domain, item.name): item.node for item in model.functions}
    counts: dict[tuple[str, str], int] = {}
    running: set[tuple[str, str]] = set()

    def count(nodes: Iterable[NodeProto]) -> int:
        total = 0
        for node in nodes:
            total += called((node.domain, node.op_type)) + sum(
                count(graph.node) for graph in _subgraphs(node)
            )
        return total

    def called(key: tuple[str, str]) -> int:
        if key not in functions:
            return 1
        if key in running:
            raise ModelError(f"function {show(key[1])} calls itself")
        if key not in counts:
            running.add(key)
            counts[key] = count(functions[key])
            running.discard(key)
        return counts[key]

    try:
        total = count(model.graph.node)
    except RecursionError:
        raise ModelError("functions or subgraphs are nested too deeply") from None
    if total > MAX_NODES:
        raise ModelError(f"has {total} nodes, more than {MAX_NODES}")


def _subgraphs(node: NodeProto) -> Iterable[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _texts(model: ModelProto) -> Iterator[str]:
    """Every name that is read."""
    pending = [model.graph]
    nodes: list[NodeProto] = [node for function in model.functions for node in function.node]
    while pending:
        graph = pending.pop()
        nodes += graph.node
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield value.name
            yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
        yield from (tensor.name for tensor in graph.initializer)
        pending += (inner for node in graph.node for inner in _subgraphs(node))
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
        yield from (text for item in node.metadata_props for text in (item.key, item.value))


def _converted(model: ModelProto) -> ModelProto:
    """The model in an operator set that the rules are of."""
    from onnx import version_converter

    versions = [item.version for item in model.opset_import if item.domain in ("", "ai.onnx")]
    if not versions or max(versions) >= _OLDEST_RULES:
        return model
    model.ir_version = max(model.ir_version, 4)  # before, every initializer was an input too
    try:
        return version_converter.convert_version(model, _OLDEST_RULES)
    except Exception as error:  # the library raises several unrelated types
        said = " ".join(str(error).split())[:300]
        raise ModelError(
            f"has operator set {max(versions)}, which cannot be converted to {_OLDEST_RULES}: {said}"
        ) from error


def _inlined(model: ModelProto) -> ModelProto:
    from onnx.inliner import inline_local_functions

    try:
        return inline_local_functions(model)
    except Exception as error:  # the library raises several unrelated types
        raise ModelError(f"functions cannot be inlined: {' '.join(str(error).split())[:300]}") from error
