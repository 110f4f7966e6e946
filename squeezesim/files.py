"""Writing files whole or not at all; reading those of strangers up to a size; JSON, to write and to read."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isinf
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from squeezesim.errors import OutputError, SqueezesimError


def atomic_write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write *content* to *path* so that a reader sees the old file or the whole of the other, never a part.

    Text is written as UTF-8 with ``\\n`` line ends, halves of surrogate pairs as ``\\udcff``. Missing folders are made,
    and a symbolic link is followed.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        target = Path(
            os.path.realpath(path)
        )  # of a path that is not absolute, the working directory may be gone
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name[:64]}.", suffix=".part"
        )
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            # mkstemp makes files that only the owner reads; a result is an ordinary file.
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise OutputError(f"cannot write {os.fspath(path)!r}: {error.strerror or error}") from error


def check_place(path: str | os.PathLike[str]) -> None:
    """Check that a file or a folder can be made at *path*, or a file in that folder; leave nothing behind.

    Raises:
        OutputError: the nearest folder that is there cannot be written or is none, or the working directory is gone.
    """
    name = os.fspath(path)
    try:
        target = Path(os.path.realpath(path))
    except OSError as error:
        here = os.environ.get("PWD", ".")
        raise OutputError(f"cannot write {name!r}: the working directory {here!r} is gone") from error
    folder = target
    try:
        places = target.parents if target.is_file() else (target, *target.parents)
        folder = next(place for place in places if place.exists())
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError as error:  # a folder that is there, and takes no files, as /proc
        raise OutputError(f"cannot write {name!r}: no file can be made in {str(folder)!r}") from error
    except OSError as error:
        where = "" if folder == target else f": {str(folder)!r}"
        raise OutputError(f"cannot write {name!r}: {error.strerror or error}{where}") from error


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a folder that is there for the length of the block.

    Raises:
        OutputError: there is no folder for temporary files in which one can be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    except OSError as error:
        where = os.environ.get("TMPDIR", "")
        raise OutputError(
            f"cannot make a temporary folder{f' in {where!r}' if where else ''}: {error.strerror or error}; "
            "allowed: TMPDIR names a folder that can be written"
        ) from error
    with folder as name:
        yield Path(name)


def open_to_read(path: str | os.PathLike[str], error: type[SqueezesimError] = SqueezesimError) -> BinaryIO:
    """Open a regular file: what could wait or go on for ever, as a FIFO or a device does, is refused at once.

    Raises:
        error: there is no such file, it cannot be opened, or it is no regular file; the text names it.
    """
    name = os.fspath(path)
    try:
        kind = Path(name).stat().st_mode
        if stat.S_ISREG(kind):
            # Not to wait where it became a FIFO in between; reading a regular file is not changed by the flag.
            handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            kind = os.fstat(handle).st_mode
            if stat.S_ISREG(kind):
                return os.fdopen(handle, "rb")
            os.close(handle)
    except OSError as reason:
        raise error(f"cannot read {name!r}: {reason.strerror or reason}") from reason
    except ValueError as reason:
        raise error(f"cannot read {name!r}: embedded null byte") from reason
    if stat.S_ISDIR(kind):
        raise error(f"cannot read {name!r}: {os.strerror(errno.EISDIR)}")
    raise error(f"{name!r} is no regular file")


def read_bytes(
    path: str | os.PathLike[str], most: int, kind: str, error: type[SqueezesimError] = SqueezesimError
) -> bytes:
    """Return what is in a regular file of at most *most* bytes.

    Raises:
        error: the file cannot be read, is no regular one, or is larger; *kind* is what it should have been.
    """
    name = os.fspath(path)
    with open_to_read(name, error) as file:
        try:
            data = file.read(most + 1)
        except OSError as reason:
            raise error(f"cannot read {name!r}: {reason.strerror or reason}") from reason
    if len(data) > most:
        size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
        raise error(f"{name!r} is larger than {size}, the largest {kind} read")
    return data


def read_text(
    path: str | os.PathLike[str], most: int, kind: str, error: type[SqueezesimError] = SqueezesimError
) -> str:
    """Return the text of a regular file of at most *most* bytes, without a byte-order mark.

    Raises:
        error: as ``read_bytes``, or it is not UTF-8.
    """
    data = read_bytes(path, most, kind, error)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error(
            f"{os.fspath(path)!r} is no {kind}: byte {reason.start + 1} is not UTF-8 text"
        ) from reason


def round_floats(value: Any) -> Any:
    """Return *value* with ten significant digits in its floats, so that no text of it depends on the last bit.

    Mappings and sequences become dictionaries and lists, as JSON has them.

    Example:
        >>> round_floats({"share": 1 / 3, "of": (1, "all")})
        {'share': 0.3333333333, 'of': [1, 'all']}
    """
    if isinstance(value, float):
        rounded = float(f"{value:.10g}")
        return value if isinf(rounded) else rounded  # the largest would round up to more than a float holds
    if isinstance(value, Mapping):
        return {name: round_floats(item) for name, item in value.items()}
    return [round_floats(item) for item in value] if isinstance(value, (list, tuple)) else value


def json_line(value: object) -> str:
    """Return *value* as JSON on one line.

    Example:
        >>> json_line({"a": [1, None]})
        '{"a":[1,null]}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def json_page(value: object) -> str:
    """Return *value* as JSON of many lines, for a file or a screen."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def parse_json(text: str | bytes, kind: str, error: type[SqueezesimError] = SqueezesimError) -> Any:
    """Return what *text* says, which should be JSON without NaN, infinities and keys that stand twice.

    Raises:
        error: it is not, or is nested too deeply; *kind* is what it should have been.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except RecursionError:
        raise error(f"{kind} is nested too deeply") from None
    except ValueError as reason:  # bad JSON, bad UTF-8, an integer of thousands of digits
        raise error(f"{kind} is not JSON: {' '.join(str(reason).split())[:200]}") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"{twice[:100]!r} stands twice in an object")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number here")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
