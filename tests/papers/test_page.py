from __future__ import annotations

import pytest

from squeezesim import validate
from squeezesim.cli import main
from tests.papers.checked import checked
from tests.validation import ROOT


@pytest.mark.slow
def test_the_page_in_docs_is_the_command_s_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    sources = {name: lambda _, name=name: checked(name) for name in validate.SOURCES}
    monkeypatch.setattr(validate, "SOURCES", sources)
    code = main(["validate", "--format", "markdown"])
    assert capsys.readouterr().out == (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")
    assert code == 0
