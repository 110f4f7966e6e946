"""HTML for notebooks and the cells of Markdown: every text is escaped, for names are a stranger's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from squeezesim.escapes import visible

_EDGE = "1px solid rgba(128,128,128,.6)"  # seen on light and on dark notebooks
_NUMBER = "text-align:right;white-space:nowrap"
_TEXT = "text-align:left"
# An underscore is no markup between letters or digits alone: of two in a row each has a neighbour that is neither.
_MARKUP = re.compile(r"[\\`*\[\]<>|&~$]|(?<![^\W_])_|_(?![^\W_])|(?<!\S)#")
_BLOCK = re.compile(r"(?=[+=-])|\d+(?=[.)](?: |$))")  # where a line would begin a list or a rule


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


class Part(NamedTuple):
    """Part of a bar: its share of the bar's full width, its colour, what is said where the pointer rests on it."""

    share: float
    colour: str
    title: str


def cell(text: str) -> str:
    """Return *text* as HTML.

    Example:
        >>> cell("<conv>")
        '&lt;conv&gt;'
    """
    return text if isinstance(text, Html) else escape(text)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: int | Iterable[int] = 1) -> Html:
    """Return a table whose first *left* columns, or those at the places *left*, are texts, the others numbers."""
    texts = frozenset(range(left) if isinstance(left, int) else left)

    def line(tag: str, cells: Sequence[str]) -> str:
        styles = (_TEXT if place in texts else _NUMBER for place in range(len(cells)))
        inner = "".join(
            f'<{tag} style="{style};padding:1px 8px">{cell(text)}</{tag}>'
            for style, text in zip(styles, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    head = f"<thead>{line('th', headers)}</thead>" if any(headers) else ""
    return Html(f"<table>{head}<tbody>{''.join(line('td', row) for row in rows)}</tbody></table>")


def bar(parts: Iterable[Part], width: int = 160) -> Html:
    """Return a bar, *width* pixels long where its parts sum to 1, with a frame of that width."""
    pieces = "".join(
        f'<span title="{escape(part.title)}" style="display:inline-block;height:100%;vertical-align:top;'
        f'width:{max(part.share, 0) * width:.1f}px;background:{part.colour}"></span>'
        for part in parts
        if part.share > 0
    )
    return Html(
        f'<div style="width:{width}px;height:12px;border:{_EDGE};line-height:0;white-space:nowrap;overflow:hidden;'
        f'text-align:left">{pieces}</div>'
    )


def chain(boxes: Iterable[str]) -> Html:
    """Return boxes side by side, arrows between them."""
    framed = (
        f'<span style="display:inline-block;border:{_EDGE};padding:4px 10px;text-align:center">{cell(text)}</span>'
        for text in boxes
    )
    return Html(" ⇄ ".join(framed))


def block(heading: str, *parts: str) -> str:
    """Return a heading, then *parts* below each other; texts that are no HTML are paragraphs."""
    body = "".join(part if isinstance(part, Html) else f"<div>{escape(part)}</div>" for part in parts)
    return f"<div><div><b>{escape(heading)}</b></div>{body}</div>"


class Markdown(str):
    """Text that is Markdown already, on one line."""

    __slots__ = ()


def escaped(text: str) -> Markdown:
    """Return *text* as Markdown on one line, with a backslash before what would be read as markup.

    Example:
        >>> escaped("a|<b>")
        'a\\\\|\\\\<b\\\\>'
    """
    line = _inline(text)
    begin = _BLOCK.match(line)
    if isinstance(text, Markdown) or begin is None:
        return Markdown(line)
    return Markdown(f"{begin[0]}\\{line[begin.end() :]}")


def _inline(text: str) -> str:
    """Text as Markdown where no line begins."""
    if isinstance(text, Markdown):
        return text
    return _MARKUP.sub(lambda found: f"\\{found[0]}", visible(" ".join(text.split())))


def code(text: str) -> Markdown:
    """Return *text* as code in Markdown.

    Example:
        >>> code("a_b"), code("a`b")
        ('`a_b`', '``a`b``')
    """
    line = visible(" ".join(text.split()))
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    blank = " " if "`" in (line[:1], line[-1:]) else ""
    return Markdown(f"{fence}{blank}{line}{blank}{fence}")


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[int] = (0,)) -> str:
    """Return a table of GitHub's Markdown whose columns *left* are texts, the others numbers."""
    texts = frozenset(left)
    rules = [":--" if place in texts else "--:" for place in range(len(headers))]
    lines = [[*map(_cell, headers)], rules, *([*map(_cell, row)] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", _inline(text))  # a bar parts cells even in code
