import os
import re
import stat
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ModelError, OutputError
from squeezesim.files import atomic_write, json_line, json_page, parse_json, read_text, round_floats


def test_text_and_bytes_are_written_and_folders_made(tmp_path):
    atomic_write(tmp_path / "a" / "b.txt", "µ\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "µ\n".encode()
    atomic_write(tmp_path / "a" / "b.txt", b"\x00")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\x00"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    for text in ("made", "written again"):
        atomic_write(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "file").read_text() == text
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]


def test_the_file_is_readable_as_any_other(tmp_path):
    (tmp_path / "plain").write_text("")
    atomic_write(tmp_path / "written", "")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "written")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("name", ["file/below", "folder"])
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path, name):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / name, "text")
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_readers_never_see_a_part(tmp_path):
    path = tmp_path / "shared"
    contents = [letter * 200_000 for letter in "abc"]
    atomic_write(path, contents[0])
    writers = [
        threading.Thread(target=lambda text=text: [atomic_write(path, text) for _ in range(20)])
        for text in contents
    ]
    for writer in writers:
        writer.start()
    seen = {path.read_text() for _ in range(50)}
    for writer in writers:
        writer.join()
    assert seen <= set(contents)


def test_what_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(bytes(2**20 + 1))
    (tmp_path / "endless").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name, message in {
        "none": "cannot read {}: No such file or directory",
        "folder": "cannot read {}: Is a directory",
        "binary": "{} is no list: byte 1 is not UTF-8 text",
        "large": "{} is larger than 1 MiB, the largest list read",
        "endless": "{} is no regular file",
        "pipe": "{} is no regular file",
        "a\0b": "cannot read {}: embedded null byte",
    }.items():
        with pytest.raises(ModelError) as caught:
            read_text(tmp_path / name, 2**20, "list", ModelError)
        assert str(caught.value) == message.format(repr(str(tmp_path / name)))


def test_text_is_read_up_to_a_size_without_its_mark(tmp_path):
    (tmp_path / "list").write_bytes("\ufeffé".encode())
    assert read_text(tmp_path / "list", 5, "list") == "é"


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=9,
)


@given(documents)
def test_json_comes_back_on_a_line_and_on_a_page(document: Any) -> None:
    assert "\n" not in json_line(document)
    assert parse_json(json_line(document), "a list") == document == parse_json(json_page(document), "a list")


@given(documents)
def test_only_floats_are_rounded_and_only_once(document: Any) -> None:
    rounded = round_floats(document)
    assert round_floats(rounded) == rounded
    if isinstance(document, float):
        assert rounded == pytest.approx(document, rel=5.01e-10, abs=0)
    elif not isinstance(document, (list, dict)):
        assert rounded is document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a list is not JSON: Expecting property name"),
        (b"\xff", "a list is not JSON: 'utf-8' codec"),
        ("[NaN]", "a list is not JSON: NaN is no number here"),
        ('{"a": 1, "a": 2}', "a list is not JSON: 'a' stands twice in an object"),
        ("1" * 5000, "a list is not JSON: Exceeds the limit"),
        ("[" * 100_000, "a list is nested too deeply"),
    ],
)
def test_what_is_no_json(text: str | bytes, message: str) -> None:
    with pytest.raises(OutputError, match=f"^{re.escape(message)}"):
        parse_json(text, "a list", OutputError)
