from __future__ import annotations

import subprocess
import sys

import pytest

import squeezesim


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", squeezesim.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(squeezesim, name).__name__ == name
    assert name in dir(squeezesim)


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'squeezesim' has no attribute 'simulat'"):
        squeezesim.simulat  # noqa: B018


def test_importing_imports_nothing_heavy() -> None:
    heavy = run("import sys, squeezesim; print(*sys.modules)").split()
    assert not {"torch", "pandas", "matplotlib", "numpy", "pydantic", "typer", "rich"} & set(heavy)


@pytest.mark.parametrize(
    "first",
    [
        "squeezesim.models()",
        "import squeezesim.load",
        "from squeezesim.simulate import simulate",
        "squeezesim.Report",
    ],
)
def test_modules_do_not_hide_the_functions_of_their_name(first: str) -> None:
    code = f"import squeezesim\n{first}\nprint(callable(squeezesim.load), callable(squeezesim.simulate))"
    assert run(code) == "True True\n"
