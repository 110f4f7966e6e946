"""Writing files whole or not at all; reading those of strangers up to a size."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from squeezesim.errors import OutputError, SqueezesimError


def atomic_write(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write *content* to *path* so that a reader sees the old file or the whole of the other, never a part.

    Text is written as UTF-8 with ``\\n`` line ends. Missing folders are made, and a symbolic link is followed.

    Raises:
        OutputError: the folder or the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    data = content.encode() if isinstance(content, str) else content
    try:
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


def read_text(
    path: str | os.PathLike[str], most: int, kind: str, error: type[SqueezesimError] = SqueezesimError
) -> str:
    """Return the text of a file of at most *most* bytes, without a byte-order mark.

    Raises:
        error: the file cannot be read, is larger, or is not UTF-8; *kind* is what it should have been.
    """
    name = os.fspath(path)
    try:
        with Path(name).open("rb") as file:
            data = file.read(most + 1)
    except OSError as reason:
        raise error(f"cannot read {name!r}: {reason.strerror or reason}") from reason
    if len(data) > most:
        raise error(f"{name!r} is larger than {most // 2**20} MiB, the largest {kind} read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        raise error(f"{name!r} is no {kind}: it is not UTF-8 text") from reason


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
