from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from squeezesim.errors import HardwareError
from squeezesim.yaml_tree import MAX_BYTES, Position, Source, parse, plain_scalar, read_source


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("-010", -10),
        ("+3", 3),
        ("200e6", 200e6),
        ("2.5E-3", 0.0025),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e999", float("inf")),
        ("9" * 31, 1e31),
        ("9" * 301, "9" * 301),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        (".inf", ".inf"),
        ("nan", "nan"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("off", "off"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("~", None),
        ("", None),
        ("Null", None),
        ("2017-01-01", "2017-01-01"),
        ("١٢", "١٢"),
        ("=", "="),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)
    parsed = parse(Source("f", f"key: {text}")).plain()
    assert parsed == {"key": value}


@pytest.mark.parametrize("quoted", ["'010'", '"010"', "|-\n  010", ">-\n  010"])
def test_quoted_scalars_are_texts(quoted: str) -> None:
    assert parse(Source("f", f"key: {quoted}")).plain() == {"key": "010"}


def test_positions_count_from_one() -> None:
    tree = parse(Source("f", "a: 1\nbc:\n  - 2\n  - {d: 3}\n"))
    assert tree.keys == {"a": Position(1, 1), "bc": Position(2, 1)}
    assert isinstance(tree.value, dict)
    assert tree.value["a"].position == Position(1, 4)
    items = tree.value["bc"].value
    assert isinstance(items, list)
    assert [item.position for item in items] == [Position(3, 5), Position(4, 5)]
    assert items[1].keys == {"d": Position(4, 6)}


def test_aliases_within_bounds_are_followed() -> None:
    assert parse(Source("f", "a: &x [1, 2]\nb: *x")).plain() == {"a": [1, 2], "b": [1, 2]}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**29), 10**29) | st.text(string.printable, max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_letters, min_size=1), inner)
    ),
    max_leaves=12,
)


@given(PLAIN.filter(lambda value: value is not None))
@settings(deadline=None)
def test_reads_what_pyyaml_writes(value: object) -> None:
    text = yaml.safe_dump(value, default_flow_style=None)
    assert parse(Source("f", text)).plain() == value


@given(st.text(st.sampled_from("ab:{}[]-,&*!|>'\"%@`#? \n\t01.~\x00é"), max_size=60))
@settings(deadline=None, max_examples=400)
def test_any_text_is_read_or_refused_in_place(text: str) -> None:
    try:
        parse(Source("f.yaml", text))
    except HardwareError as error:
        first, *snippet = str(error).split("\n")
        name, line, column, message = first.split(":", 3)
        assert (name, bool(message.strip())) == ("f.yaml", True)
        assert 1 <= int(line) <= text.count("\n") + 1
        assert int(column) >= 1
        assert len(snippet) in (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "a: [" + "1," * 12_000 + "]",
        "[," * 60_000,
        "{" * 130_000,
        "- " * 60_000,
        "&a " * 40_000,
        "? " * 60_000,
    ],
    ids=["long list", "commas", "braces", "dashes", "anchors", "keys"],
)
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(HardwareError, match=r"^f:1:\d+: "):
        parse(Source("f", text))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ('name: "\\U00110000"', "1:10", "an escape is no character"),
        ('a: 1\n"\\Uffffffff": 2', "2:4", "an escape is no character"),
        ('a: ["b", "\\ud800"]', "1:10", "character U+D800 is half of one"),
        ('"\\udfff": 1', "1:1", "character U+DFFF is half of one"),
    ],
)
def test_escapes_that_are_no_characters(text: str, place: str, said: str) -> None:
    with pytest.raises(HardwareError) as caught:
        parse(Source("f", text))
    assert str(caught.value).startswith(f"f:{place}: {said}")
    assert len(str(caught.value).splitlines()) == 3


def message(path: Path) -> str:
    with pytest.raises(HardwareError) as error:
        read_source(path)
    return str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert message(missing) == f"cannot read '{missing}': No such file or directory"
    assert message(tmp_path) == f"cannot read '{tmp_path}': Is a directory"
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: é".encode("latin-1"))
    assert message(latin) == f"'{latin}' is no YAML file of an accelerator: byte 7 is not UTF-8 text"
    utf16 = tmp_path / "utf16.yaml"
    utf16.write_bytes("name: a".encode("utf-16"))
    assert message(utf16) == f"'{utf16}' is no YAML file of an accelerator: byte 1 is not UTF-8 text"
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (MAX_BYTES + 1))
    assert message(huge) == f"'{huge}' is larger than 128 KiB, the largest YAML file of an accelerator read"
    long_name = tmp_path / ("x" * 300)
    assert message(long_name) == f"cannot read '{long_name}': File name too long"
    assert message(Path("a\0b")) == "cannot read 'a\\x00b': embedded null byte"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_file_without_permission(tmp_path: Path) -> None:
    locked = tmp_path / "locked.yaml"
    locked.write_text("name: a")
    locked.chmod(0)
    assert message(locked) == f"cannot read '{locked}': Permission denied"


def test_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    file = tmp_path / "bom.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: a\r\n")
    assert parse(read_source(file)).plain() == {"name": "a"}
