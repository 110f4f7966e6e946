"""A .pt2 archive of ``torch.export`` → Network: its graph is read as JSON and run on tensors without values.

PyTorch's own loader unpickles parts of the archive. Here nothing but the JSON of the graph is read, and no operator
runs that is not one of PyTorch's own. https://docs.pytorch.org/docs/stable/export/pt2_archive.html
"""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from squeezesim.errors import ModelError
from squeezesim.files import open_to_read
from squeezesim.frontends.open_sizes import check_names, filled
from squeezesim.network import Network
from squeezesim.network.checks import show

MAX_DIRECTORY = 16 * 2**20
"""Most bytes of the list of an archive's members."""

MAX_BYTES = 64 * 2**20
"""Largest graph that is read, unpacked."""

SCHEMA = 8
"""Version of the graph's format."""

_WEIGHTS = "/data/weights/model_weights_config.json"
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error)


def read(
    path: str | os.PathLike[str],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
) -> Network:
    """Return the network of an exported program, as ``torch.export.save`` writes it; no weights are loaded.

    Args:
        path: the archive.
        input_shapes: shapes of inputs by name, batch included, for the dimensions that the file leaves open.
        batch: the first dimension of every input that leaves it open.

    Raises:
        ModelError: the archive cannot be read, an input's dimension is open and not given, or an operator cannot run.

    Example:
        >>> read("squeezenet1_1.pt2").macs  # doctest: +SKIP
        349151936
    """
    name, given = os.fspath(path), input_shapes or {}
    raw = open_to_read(name, ModelError)
    try:
        with raw:
            graph_module, stored = _contents(raw)
        from squeezesim.frontends.pt2_program import Program
        from squeezesim.frontends.trace import trace

        program = Program(graph_module, stored)
        check_names(given, list(program.inputs))
        tensors = {
            label: program.tensor(label, filled(label, sizes, {}, given.get(label), batch))
            for label, sizes in program.inputs.items()
        }
        network = trace(program, inputs=tensors, name=Path(name).stem)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error.__cause__
    return replace(network, source=name)


def _contents(raw: BinaryIO) -> tuple[Any, dict[str, str]]:
    """The graph of the only program in an archive, and where each of its tensors is stored, by name."""
    bounded = _Bounded(raw, MAX_DIRECTORY)
    try:
        with zipfile.ZipFile(bounded) as archive:
            programs = [item for item in archive.infolist() if _is_program(item.filename)]
            if len(programs) != 1:
                raise ModelError(f"holds {len(programs)} exported programs; read is an archive of one")
            bounded.budget = 2 * MAX_BYTES
            graph_module = _graph_module(_text(archive, programs[0]))
            lists = [item for item in archive.infolist() if item.filename.endswith(_WEIGHTS)]
            return graph_module, _stored(_text(archive, lists[0])) if lists else {}
    except OSError as error:
        raise ModelError(error.strerror or str(error)) from None
    except (*_BROKEN, NotImplementedError, RuntimeError, EOFError, ValueError):
        raise ModelError("is no .pt2 archive, or only a part of one") from None


def _text(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without bounds
        raise ModelError("has a graph that is packed in a way that torch does not use")
    with archive.open(member) as content:
        text = content.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise ModelError(f"has a graph of more than {MAX_BYTES} bytes")
    return text


def _stored(text: bytes) -> dict[str, str]:
    """The file of each tensor by its name: names of one file are tied."""
    try:
        return {str(name): str(entry["path_name"]) for name, entry in json.loads(text)["config"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError("has a list of weights that is not understood") from None


def _is_program(member: str) -> bool:
    """Whether a member is the graph of a program, as torch writes it since 2.8, or did before."""
    folder, _, name = member.rpartition("/")
    return name == "serialized_exported_program.json" or (
        folder.rpartition("/")[2] == "models" and name.endswith(".json")
    )


def _graph_module(text: bytes) -> Any:
    try:
        program = json.loads(text)
        version, graph_module = program["schema_version"]["major"], program["graph_module"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError("has a graph that is no exported program") from None
    if version != SCHEMA:
        raise ModelError(
            f"has a graph of format {show(version)}; read is {SCHEMA}, which torch 2.5 and later write"
        )
    return graph_module


class _Bounded(io.RawIOBase):
    """A file of which no more is read than its budget."""

    def __init__(self, raw: BinaryIO, budget: int):
        self.budget = budget
        self._raw = raw

    def read(self, size: int = -1, /) -> bytes:
        """Read *size* bytes, all by default."""
        data = self._raw.read(min(size, self.budget + 1) if size >= 0 else self.budget + 1)
        self.budget -= len(data)
        if self.budget < 0:
            raise ModelError("lists more members, or holds a larger graph, than is read")
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """Return the offset."""
        return self._raw.tell()

    def seekable(self) -> bool:
        """Return that it is."""
        return True
