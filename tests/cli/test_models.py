from __future__ import annotations

import squeezesim
from squeezesim.zoo.registry import catalogue
from tests.cli.conftest import Run


def test_every_built_in_network_is_listed_with_its_facts(run: Run) -> None:
    code, out, err = run("models")
    assert (code, err) == (0, "")
    lines = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert list(lines) == squeezesim.models()
    assert "3x227x227  717.3 k  278.0 M    59.05     82.6  depth, width, " in lines["squeezenext_23"]
    for entry in catalogue().values():
        assert lines[entry.name].endswith(entry.family.source)
