from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from squeezesim import __version__
from squeezesim.report.data import Maker
from squeezesim.report.serialize import decode, encode
from tests.report import cases

REPORT = cases.report()


def test_from_python_there_is_no_command() -> None:
    assert (Maker().version, str(Maker())) == (__version__, "")
    assert REPORT.made_by == Maker()


@given(st.lists(st.text(max_size=20), max_size=6))
def test_whatever_was_typed_a_report_can_be_read_again(words: list[str]) -> None:
    made = replace(REPORT, made_by=Maker.of(words))
    again = decode(encode(made).encode())
    assert again == made
    assert again.made_by.command == (tuple(words) if all(map(str.isprintable, words)) else ())
