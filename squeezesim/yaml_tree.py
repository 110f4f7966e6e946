"""YAML text → a tree of values that know their line and column; plain, safe YAML only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike, fspath

import yaml

from squeezesim.errors import HardwareError, SqueezesimError
from squeezesim.files import read_text

MAX_BYTES = 128 * 1024
MAX_DEPTH = 16
MAX_NODES = 10_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_REAL = re.compile(r"[-+]?(?:[0-9]{1,300}(?:\.[0-9]{0,300})?|\.[0-9]{1,300})(?:[eE][-+]?[0-9]{1,4})?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a file: line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Tree:
    """A YAML value with its position; mappings and lists hold trees, ``keys`` a mapping's keys' positions."""

    value: Scalar | list[Tree] | dict[str, Tree]
    position: Position
    keys: dict[str, Position]

    def plain(self) -> object:
        """Return the values without their positions."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file and its name, for errors that point into it: what it describes, and their class."""

    name: str
    text: str
    noun: str = "an accelerator"
    mistake: type[SqueezesimError] = HardwareError

    def error(self, message: str, position: Position) -> SqueezesimError:
        """Return an error that reads ``file:line:column: message``, then the source line and a caret."""
        first = f"{self.name}:{position.line}:{position.column}: {message}"
        lines = self.text.splitlines()
        if not 1 <= position.line <= len(lines):
            return self.mistake(first)
        line = "".join(c if c.isprintable() else " " for c in lines[position.line - 1])
        start = max(0, position.column - 80)
        shown, caret = f"  {line[start : start + 100]}".rstrip(), f"{' ' * (position.column + 1 - start)}^"
        return self.mistake(f"{first}\n{shown}\n{caret}")


def read_source(
    path: str | PathLike[str],
    *,
    noun: str = "an accelerator",
    mistake: type[SqueezesimError] = HardwareError,
) -> Source:
    """Return the text of a YAML file of at most 128 KiB that describes *noun*; *mistake* where it cannot be read."""
    return Source(fspath(path), read_text(path, MAX_BYTES, f"YAML file of {noun}", mistake), noun, mistake)


def parse(source: Source) -> Tree:
    """Return the one document of a YAML text as a tree; an error with line and column of a mistake.

    Plain scalars follow YAML 1.2: ``010`` is ten, ``200e6`` a number, ``yes`` and ``1:30`` are texts. Tags, a
    key that stands twice, and more than 10,000 values are errors.
    """
    loader = None
    try:
        loader = _Loader(source.text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        before = (source.text[: error.position] + "x").splitlines()
        position = Position(len(before), len(before[-1]))
        raise source.error(
            f"character U+{ord(source.text[error.position]):04X} is not allowed in YAML", position
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        assert mark is not None
        raise source.error(_syntax_message(error, source, mark), _position(mark)) from None
    except (ValueError, OverflowError):  # of chr, which the scanner calls with what stands after a backslash
        assert loader is not None
        raise source.error(
            "an escape is no character; allowed: \\U00000000 to \\U0010ffff",
            _position(loader.get_mark()),
        ) from None
    finally:
        if loader is not None:
            loader.dispose()
    if root is None:
        raise source.error(
            f"the file is empty; allowed: a mapping that describes {source.noun}", Position(1, 1)
        )
    return _Converter(source).tree(root, 0)


def plain_scalar(text: str) -> Scalar:
    """Return what an unquoted YAML scalar means: null, a boolean, a number, or the text itself.

    Example:
        >>> [plain_scalar(text) for text in ("010", "200e6", "true", "no", "1:30")]
        [10, 200000000.0, True, 'no', '1:30']
    """
    if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    return text


class _Loader(yaml.BaseLoader):
    """PyYAML's composer without its implicit types, and with a bound on nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, f"values are nested deeper than {MAX_DEPTH} levels", mark
            )
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self.depth -= 1
        return node


class _Converter:
    """Turns PyYAML's nodes into trees; counts them, so that aliases cannot multiply without bound."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.count = 0

    def tree(self, node: yaml.Node, depth: int) -> Tree:
        position = _position(node.start_mark)
        self.count += 1
        if self.count > MAX_NODES or depth > MAX_DEPTH:
            many = self.count > MAX_NODES
            what = f"more than {MAX_NODES:,} values" if many else "a value that contains itself"
            raise self.source.error(
                f"{what}, aliases followed; allowed: the keys of {self.source.noun}", position
            )
        if node.tag not in _PLAIN_TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise self.source.error(f"tag {tag} is not allowed; allowed: values without tags", position)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, position, depth)
        if isinstance(node, yaml.SequenceNode):
            return Tree([self.tree(item, depth + 1) for item in node.value], position, {})
        assert isinstance(node, yaml.ScalarNode)
        self._check(node.value, position)
        return Tree(node.value if node.style else plain_scalar(node.value), position, {})

    def _check(self, text: str, position: Position) -> None:
        """Refuse half a character, which no file can hold: an escape of a surrogate makes one."""
        half = _SURROGATE.search(text)
        if half is not None:
            raise self.source.error(
                f"character U+{ord(half[0]):04X} is half of one; allowed: the escape of the whole, as \\U0001f600",
                position,
            )

    def _mapping(self, node: yaml.MappingNode, position: Position, depth: int) -> Tree:
        values: dict[str, Tree] = {}
        keys: dict[str, Position] = {}
        for key, value in node.value:
            at = _position(key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                raise self.source.error("a key is a list or a mapping; allowed: a word", at)
            self._check(key.value, at)
            if key.value in keys:
                first = keys[key.value].line
                raise self.source.error(
                    f"key {key.value!r} stands twice, first in line {first}; allowed: once", at
                )
            keys[key.value] = at
            values[key.value] = self.tree(value, depth + 1)
        return Tree(values, position, keys)


def _position(mark: yaml.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _syntax_message(error: yaml.MarkedYAMLError, source: Source, mark: yaml.Mark) -> str:
    problem = error.problem or error.context or "not YAML"
    if source.text[mark.index : mark.index + 1] == "\t":
        return "a tab begins a value or indents it; allowed: spaces"
    if error.context == "expected a single document in the stream":
        return f"a second document begins here; allowed: one {source.noun.partition(' ')[2]} in a file"
    return f"not valid YAML: {problem}"
