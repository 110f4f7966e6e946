"""The bytes of a protobuf message without its long tensors, and no more of them than a parser can be trusted with.

A parser makes objects of every few bytes, so a small file can fill the memory. Here a message is walked by its fields
first: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from squeezesim.errors import ModelError

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
