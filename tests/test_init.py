from __future__ import annotations

import re
import subprocess
import sys
from inspect import getdoc, isfunction, signature
from pathlib import Path

import pytest

import squeezesim


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


NEED_TORCH = ("densities", "weights")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.torch) if name in NEED_TORCH else name
        for name in squeezesim.__all__
    ],
)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(squeezesim, name).__name__ == name
    assert name in dir(squeezesim)


def test_dir_has_the_public_names_alone() -> None:
    assert dir(squeezesim) == sorted([*squeezesim.__all__, "__version__"])


METHODS = [
    (owner, name)
    for owner in ("Accelerator", "Layer", "Network", "Report", "Mapping")
    for name, value in vars(getattr(squeezesim, owner)).items()
    if not name.startswith("_")
    and (isfunction(value) or isinstance(value, property | classmethod | staticmethod))
]


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=".".join)
def test_every_public_method_says_in_a_sentence_what_it_does(owner: str, name: str) -> None:
    text = getdoc(getattr(getattr(squeezesim, owner), name))
    assert text
    assert re.match(r"[A-Z][^\n]+(\n[^\n]+)?[.:]", text)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.torch) if name in NEED_TORCH else name
        for name in squeezesim.__all__
        if not name.endswith("Error")
    ],
)
def test_every_public_name_has_an_example(name: str) -> None:
    value = getattr(squeezesim, name)
    text = getdoc(value) or ""
    assert re.search(r"^Example", text, re.MULTILINE)
    assert ">>> " in text
    if isfunction(value) and signature(value).parameters:
        assert "\nRaises:\n" in text


def test_accelerators_are_the_names_of_those_that_ship() -> None:
    assert squeezesim.accelerators() == sorted(path.stem for path in Path("hwconfigs").glob("*.yaml"))


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


@pytest.mark.parametrize(
    "ask",
    [
        "sq.load('squeezenext_23@depth=1-1-1-1', cache=False)",
        "sq.load('alexnet', input_shape='3x200x200', cache=False)",
        "sq.load('model.py:make', input_shape='3x8x8')",
        "sq.weights",
        "main(['layers', 'alexnet', '--cross-check'])",
        "main(['layers', 'a.onnx', '--input', 'x=1x3:int64'])",
    ],
)
def test_what_needs_torch_says_so_where_it_is_missing(ask: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def make(): pass\n", encoding="utf-8")
    code = (
        "import importlib.abc, sys\n"
        "class Missing(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import squeezesim as sq\n"
        "from squeezesim.cli import main\n"
        "try:\n"
        f"    sys.exit({ask})\n"
        "except sq.SqueezesimError as error:\n"
        "    sys.exit(f'error: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (1, 2)
    assert done.stderr == "error: torch is not installed: pip install torch\n"
