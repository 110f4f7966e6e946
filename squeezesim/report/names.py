"""Short names that stay distinct: of a path, its first parts are abbreviated before anything is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

_DEEPEST = 12  # parts of a path; those behind them are one
_BRIEF = 3  # characters of a part, up to which it stays as it is
_READABLE = 8  # characters that are left of a name's last part, from which on both its ends are shown

_Path = tuple[str, ...]


def shorten(name: str, width: int) -> str:
    """Return *name* in at most *width* characters, … in its middle.

    Example:
        >>> shorten("stage1.block1.squeeze1", 15)
        'stage1.…queeze1'
    """
    if len(name) <= width:
        return name
    front = (width - 1) // 2
    return f"{name[:front]}…{name[len(name) - (width - 1 - front) :]}"


def short_names(names: Iterable[str], width: int) -> list[str]:
    """Return *names* in at most *width* characters each, different ones for different names.

    Of ``a.b.c`` or ``a/b/c`` the first parts are abbreviated, as many as need be, to the letters that tell them from
    others in the same place and the number at their end; then the last part is cut. What would still be the same gets
    its place among *names*, as ``#12``, for which *width* must have room.

    Example:
        >>> short_names(["features.denseblock1.conv2", "features.denseblock3.conv2", "classifier"], 20)
        ['f.denseblock1.conv2', 'f.denseblock3.conv2', 'classifier']
        >>> short_names(["stage1.block1.depthwise", "stage1.block1.pointwise"], 9)
        ['s1.b1.dep', 's1.b1.poi']
    """
    wanted = list(names)
    found = {name: name for name in wanted if len(name) <= width}
    left = {name: _split(name) for name in dict.fromkeys(wanted) if name not in found}
    if left:
        brief = _abbreviations([_split(name) for name in dict.fromkeys(wanted)])
        taken = set(found)
        for attempt in _attempts(max(map(len, left.values())), width, brief):
            texts = {name: attempt(path) for name, path in left.items()}
            counts = Counter(texts.values())
            for name, text in texts.items():
                if len(text) <= width and counts[text] == 1 and text not in taken:
                    found[name] = text
                    taken.add(text)
                    del left[name]
        for place, name in enumerate(dict.fromkeys(wanted), 1):
            if name in left:
                mark = f"#{place}"
                found[name] = shorten(name, max(width - len(mark), 1)) + mark
    return [found[name] for name in wanted]


def _split(name: str) -> _Path:
    """Return the parts of *name*, each but the last with the sign at its end."""
    return tuple(part for part in re.split(r"(?<=[./])", name, maxsplit=_DEEPEST - 1) if part)


def _attempts(depth: int, width: int, brief: dict[_Path, str]) -> Iterator[partial[str]]:
    """Ways to write a path, from the one that leaves out least."""
    for count in range(1, depth):
        yield partial(_abbreviated, brief, count)
    yield partial(_cut, brief, width)
    yield partial(_abbreviated, brief, depth)
    yield partial(_tail, brief, width)


def _abbreviated(brief: dict[_Path, str], count: int, path: _Path) -> str:
    """Return *path* with its first *count* parts abbreviated."""
    return "".join(brief[path[: place + 1]] if place < count else part for place, part in enumerate(path))


def _cut(brief: dict[_Path, str], width: int, path: _Path) -> str:
    """Return *path* with all parts but the last abbreviated, and the last one cut to what is left of *width*."""
    front = _abbreviated(brief, len(path) - 1, path[:-1])
    room = width - len(front)
    if room >= _READABLE:
        return front + shorten(path[-1], room)
    head, number = _numbered(path[-1])
    return f"{front}{head[: max(room - len(number), 1)]}{number}"


def _tail(brief: dict[_Path, str], width: int, path: _Path) -> str:
    """Return the end of *path*, all of whose parts are abbreviated."""
    text = _abbreviated(brief, len(path), path)
    return text if len(text) <= width else f"…{text[len(text) - (width - 1) :]}"


def _numbered(part: str) -> tuple[str, str]:
    """Return *part* without the number at its end, and that."""
    head = part.rstrip("0123456789")
    return head, part[len(head) :]


def _abbreviations(paths: Sequence[_Path]) -> dict[_Path, str]:
    """Return what is written for the last part of every path and of every beginning of one."""
    siblings: dict[_Path, dict[str, None]] = {}
    for path in paths:
        for place, part in enumerate(path):
            siblings.setdefault(path[:place], {})[part] = None
    return {
        (*parent, part): text
        for parent, parts in siblings.items()
        for part, text in _distinct(list(parts)).items()
    }


def _distinct(parts: Sequence[str]) -> dict[str, str]:
    """Return the abbreviations of siblings: as few first letters as are enough, and the number at the end."""
    found: dict[str, str] = {}
    left = {part: _pieces(part) for part in parts}
    taken = set(parts)
    letters = 1
    while left:
        texts = {part: head[:letters] + end for part, (head, end) in left.items()}
        counts = Counter(texts.values())
        for part, text in texts.items():
            if letters >= len(left[part][0]) or len(part) <= _BRIEF:
                found[part] = part
                del left[part]
            elif counts[text] == 1 and text not in taken:
                found[part] = text
                taken.add(text)
                del left[part]
        letters += 1
    return found


def _pieces(part: str) -> tuple[str, str]:
    """Return the letters of *part* that may be left out, and what stands behind them: a number, a sign."""
    bare = part.rstrip("./")
    head, number = _numbered(bare)
    return head, number + part[len(bare) :]
