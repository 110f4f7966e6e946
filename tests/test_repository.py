"""The rules of docs/architecture.md and of the repository that a program can check."""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from squeezesim import __version__
from squeezesim.zoo.registry import catalogue

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "squeezesim"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

LONGEST = 800


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def row_of(file: Path) -> str:
    """The row of the architecture page that a file belongs to: the package's folder, or the file itself."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


def rows() -> dict[str, str]:
    """Rows of the table on the architecture page, in order, with what the page says of each."""
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = section.partition("## The rows of the package\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))


def imported(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """Dotted names of what the import statements among *nodes* import."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Statements that run when a module is imported: not those in functions or for type checkers alone."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            yield from at_import(inner)


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def test_the_page_lists_every_row() -> None:
    there = {row_of(file) for file in SOURCES} - {"__init__", "__main__"}
    assert there == {row for row, text in rows().items() if "not there yet" not in text}


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_imports_run_from_a_later_row_to_an_earlier_one(file: Path) -> None:
    if file.name in ("__init__.py", "__main__.py"):
        return
    order = list(rows())
    own = row_of(file)
    for name in imported(ast.walk(tree(file))):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package == "squeezesim" and target != own:
            assert order.index(target) < order.index(own), f"{own} imports {name}"


def test_no_circles() -> None:
    """No module imports itself through others; imports in functions and for type checkers alone count, too."""
    modules = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in SOURCES
    }
    graph = {
        module: {
            name if name in modules else name.rpartition(".")[0] for name in imported(ast.walk(tree(file)))
        }
        & (modules.keys() - {module})
        for module, file in modules.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)  # a circle raises CycleError


def heavy_allowed(file: Path) -> set[str]:
    """Heavy libraries that a file may import at its top."""
    families = {entry.family.module.rpartition(".")[2] for entry in catalogue().values()}
    if row_of(file) == "frontends":
        return {"torch", "fvcore"}
    if row_of(file) == "zoo" and file.stem in families | {"parts"}:
        return {"torch"}
    return set()


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_heavy_libraries_are_imported_on_use(file: Path) -> None:
    heavy = {"torch", "fvcore", "pandas", "matplotlib", "pyarrow"} - heavy_allowed(file)
    top = {name.partition(".")[0] for name in imported(at_import(tree(file).body))}
    assert not top & heavy


@pytest.mark.parametrize(
    ("row", "unknown"),
    [
        ("network", {"torch", "fvcore"}),
        ("cost", {"torch", "fvcore", "pandas", "matplotlib", "pathlib", "os", "io", "json"}),
    ],
)
def test_what_a_row_does_not_know(row: str, unknown: set[str]) -> None:
    for file in (PACKAGE / row).rglob("*.py"):
        finds_a_library = name_of(file) == "cost/kernel/__init__.py"
        known = {"os", "pathlib"} if finds_a_library else set()
        assert not {name.partition(".")[0] for name in imported(ast.walk(tree(file)))} & unknown - known, file


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_files_are_short_and_only_the_command_line_prints(file: Path) -> None:
    length = len(file.read_text(encoding="utf-8").splitlines())
    assert length <= LONGEST
    calls = [node.func for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    prints = [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]
    assert name_of(file) == "cli/output.py" or not prints  # it escapes control characters


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def project() -> dict[str, object]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["project"])


def test_one_version() -> None:
    newest = re.search(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == __version__ == project()["version"]


def test_constraints_pin_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]  # a local version would have a plus
    assert all(pins), lines
    pinned = {pin[1].lower().replace("_", "-") for pin in pins if pin}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = settings["optional-dependencies"].values()
    wanted = [*settings["dependencies"], *(requirement for extra in extras for requirement in extra)]
    names = {re.split(r"[<>=!~\[; ]", requirement)[0].lower() for requirement in wanted}
    assert names - {"squeezesim"} <= pinned


def test_the_check_script_runs() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_modules_that_pages_name_are_there(page: Path) -> None:
    if page.name in ("CHANGELOG.md", "tutorial.md"):  # of the past; files that the reader writes
        return
    beside = (file for pattern in ("*.py", "tests/**/*.py", "benchmarks/*.py") for file in ROOT.glob(pattern))
    there = {file.name for file in (*SOURCES, *beside)}
    named = re.findall(r"`(?:[\w./]*/)?(\w+\.py)`", page.read_text(encoding="utf-8"))
    placeholders = {name for name in named if name.removeprefix("test_").split(".")[0].isupper()}
    assert set(named) - placeholders - there <= {"file.py"}
