"""The compiled core as it is built, installed, found, and left aside."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path
from runpy import run_path
from sysconfig import get_platform

import pytest

from squeezesim import __version__
from squeezesim.cost import kernel

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "squeezesim" / "cost" / "kernel"
COMPILER = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), "")
LIBRARY = "squeezesim_kernel/libsqueezesim.so"
PURE = f"squeezesim-{__version__}-py3-none-any.whl"
HOOK = run_path(str(ROOT / "hatch_build.py"))

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not COMPILER, reason="needs a C compiler, on Linux"
)

BUILD = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(*sys.argv[2:]))"
TELL = """
import site, sys
sys.path[:0] = sys.argv[2:]
site.addsitedir(sys.argv[1])
from squeezesim.cost import kernel
print(*{kernel.core() is not None for _ in range(3)}, kernel.status(), sep=": ")
"""


def clean(**settings: str) -> dict[str, str]:
    """The environment of this process without what decides on the core, and *settings*."""
    ours = ("SQUEEZESIM_KERNEL", "CC", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"} | settings


def hatchling(checkout: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Call a function of the build backend as pip does, in the checkout and a process of its own."""
    command = [sys.executable, "-c", BUILD, *arguments]
    return subprocess.run(
        command, cwd=checkout, env=clean(**settings), capture_output=True, text=True, check=False
    )


def build(checkout: Path, kind: str, into: Path, **settings: str) -> Path:
    """What the build backend makes in the folder *into*, the only file there."""
    done = hatchling(checkout, f"build_{kind}", into, **settings)
    assert done.returncode == 0, done.stderr
    (made,) = into.iterdir()
    return made


def without_compiler(folder: Path, **settings: str) -> dict[str, str]:
    return {"PATH": str(folder), **settings}


def tell(site: Path, *first: Path, **settings: str) -> tuple[str, str]:
    """Whether there is a library, with its status, for what is installed in *site* alone, and stderr."""
    command = [sys.executable, "-S", "-c", TELL, site, *first]
    done = subprocess.run(
        command, cwd=site, env=clean(**settings), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def install(wheel: Path, site: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*")}


SMALL = """#include "kernel.h"
int squeezesim_abi(void) { return SQUEEZESIM_ABI; }
const char *squeezesim_source(void) { return SQUEEZESIM_SOURCE; }
"""
"""A core that has what loads it, and takes no time to compile."""


def small(folder: Path) -> Path:
    """A checkout whose core is a small one."""
    core = folder / "squeezesim" / "cost" / "kernel"
    for file in core.glob("*.c"):
        file.unlink()
    (core / "small.c").write_text(SMALL, encoding="utf-8")
    return folder


def copy_checkout(folder: Path) -> Path:
    """A copy of what a wheel is made of."""
    for name in ("squeezesim", "hwconfigs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(copy_checkout(tmp_path_factory.mktemp("checkout")))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with the small core as the compiler of this machine makes it."""
    return build(checkout, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing is known of a library before the test, nor of the test's after it."""
    for known in (kernel._find, kernel._warn):
        known.cache_clear()
    yield
    for known in (kernel._find, kernel._warn):
        known.cache_clear()


@needs_compiler
def test_a_wheel_has_the_library_and_the_tag_of_the_platform_and_no_source_a_warning(tmp_path: Path) -> None:
    compiler, said = tmp_path / "compiler", tmp_path / "said"
    compiler.write_text(f'#!/bin/sh\nexec {COMPILER} -Werror "$@" 2>> {said}\n', encoding="utf-8")
    compiler.chmod(0o755)
    wheel = build(copy_checkout(tmp_path / "checkout"), "wheel", tmp_path / "built", CC=str(compiler))
    assert {"-Wall", "-Wextra"} <= {*HOOK["FLAGS"]}
    assert said.read_text(encoding="utf-8") == ""
    platform = get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name == f"squeezesim-{__version__}-py3-none-{platform}.whl"
    assert {name for name in names(wheel) if name.startswith("squeezesim_kernel/")} == {
        LIBRARY,
        "squeezesim_kernel/__init__.py",
    }
    site = install(wheel, tmp_path / "site")
    assert "Root-Is-Purelib: false" in next(site.glob("*.dist-info/WHEEL")).read_text(encoding="utf-8")
    assert tell(site) == ("True: compiled core", "")


@needs_compiler
def test_nothing_is_written_where_sources_and_packages_are(wheel: Path, tmp_path: Path) -> None:
    checkout, temporary, site, home = (tmp_path / name for name in ("checkout", "temporary", "site", "home"))
    for folder in (checkout, temporary, home):
        folder.mkdir()
    before = files(small(copy_checkout(checkout)))
    build(checkout, "wheel", tmp_path / "built", TMPDIR=str(temporary), HOME=str(home))
    assert files(checkout) == before
    installed = files(install(wheel, site))
    assert tell(site, HOME=str(home), TMPDIR=str(temporary))[0] == "True: compiled core"
    assert files(site) == installed
    assert not files(temporary)
    assert not files(home)


@needs_compiler
def test_an_editable_wheel_has_the_library_and_keeps_the_bytecode(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("editables")
    made = build(checkout, "editable", tmp_path / "built")
    assert LIBRARY in names(made)
    assert not any(name.startswith("squeezesim/") for name in names(made))
    modules = list((checkout / "squeezesim").rglob("*.py"))
    assert [file for file in modules if not Path(cache_from_source(str(file))).is_file()] == []
    site = install(made, tmp_path / "site")
    assert tell(site) == ("True: compiled core", "")


@needs_compiler
def test_the_sdist_has_sources_alone_and_makes_the_same_library(wheel: Path, tmp_path: Path) -> None:
    sdist = build(ROOT, "sdist", tmp_path / "built")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.glob("squeezesim-*")
    inside = files(folder)
    assert {"hatch_build.py", *(f"squeezesim/cost/kernel/{file.name}" for file in kernel.sources())} <= inside
    assert not [name for name in inside if name.endswith((".so", ".o", ".pyc"))]
    again = build(small(folder), "wheel", tmp_path / "again")
    assert (again.name, names(again)) == (wheel.name, names(wheel))
    with zipfile.ZipFile(again) as ours, zipfile.ZipFile(wheel) as theirs:
        assert ours.read(LIBRARY) == theirs.read(LIBRARY)


@pytest.mark.parametrize("choice", ["", "system", "zig", "none"])
def test_without_a_compiler_the_wheel_is_pure(checkout: Path, tmp_path: Path, choice: str) -> None:
    settings = without_compiler(tmp_path / "empty", SQUEEZESIM_KERNEL=choice)
    made = build(checkout, "wheel", tmp_path / "built", **settings)
    assert made.name == PURE
    assert not any(name.startswith("squeezesim_kernel") for name in names(made))
    site = install(made, tmp_path / "site")
    assert "Root-Is-Purelib: true" in next(site.glob("*.dist-info/WHEEL")).read_text(encoding="utf-8")
    assert tell(site) == ("False: NumPy, since no compiled core was built", "")


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        'while [ "$1" != -o ]; do shift; done; echo no library > "$2"',
    ],
    ids=["fails", "makes another file"],
)
def test_a_compiler_that_does_not_work_is_no_error(checkout: Path, tmp_path: Path, script: str) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    compiler.chmod(0o755)
    settings = without_compiler(tmp_path / "empty", CC=str(compiler))
    assert build(checkout, "wheel", tmp_path / "built", **settings).name == PURE


@needs_compiler
@pytest.mark.parametrize(
    ("command", "built"),
    [("{compiler} -O0", True), ("missing", False), ("'unclosed", False)],
)
def test_cc_comes_first(checkout: Path, tmp_path: Path, command: str, built: bool) -> None:
    """Words of $CC are the compiler's; others of the system are tried after it."""
    own = command.format(compiler=COMPILER)
    done = hatchling(checkout, "build_wheel", tmp_path / "built", CC=own)
    assert done.returncode == 0
    ours = f"compiled core: built by {COMPILER} -O0"
    assert (ours in done.stderr) == built
    assert "compiled core: built by" in done.stderr


@needs_compiler
def test_zig_compiles_where_nothing_else_does(checkout: Path, tmp_path: Path) -> None:
    """A module in place of ziglang, which passes what it is given to the compiler of this machine."""
    (tmp_path / "ziglang").mkdir()
    (tmp_path / "ziglang" / "__main__.py").write_text(
        "import os, subprocess, sys\n"
        "assert sys.argv[1:3] == ['cc', '-target'] and 'linux' in sys.argv[3]\n"
        "assert os.path.dirname(os.environ['ZIG_GLOBAL_CACHE_DIR']) in ' '.join(sys.argv)\n"
        f"path = {os.environ['PATH']!r}\n"
        f"sys.exit(subprocess.run([{COMPILER!r}, *sys.argv[4:]], env={{'PATH': path}}).returncode)\n",
        encoding="utf-8",
    )
    settings = without_compiler(tmp_path / "empty", PYTHONPATH=str(tmp_path))
    assert LIBRARY in names(build(checkout, "wheel", tmp_path / "built", **settings))
    settings |= {"SQUEEZESIM_KERNEL": "system"}
    assert build(checkout, "wheel", tmp_path / "system", **settings).name == PURE


def test_ziglang_is_asked_for_where_no_compiler_works(checkout: Path, tmp_path: Path) -> None:
    def asked(**settings: str) -> str:
        return hatchling(checkout, "get_requires_for_build_wheel", **settings).stdout.splitlines()[-1]

    has_wheel = get_platform() in ("linux-x86_64", "linux-aarch64")
    assert re.fullmatch(r"ziglang==[\d.]+", HOOK["ZIG"])
    zig = repr([HOOK["ZIG"]]) if has_wheel else "[]"
    empty = without_compiler(tmp_path / "empty")
    assert asked(**empty) == zig
    assert asked(**empty, SQUEEZESIM_KERNEL="system") == "[]"
    assert asked(**empty, SQUEEZESIM_KERNEL="none") == "[]"
    assert asked(SQUEEZESIM_KERNEL="zig") == zig
    if COMPILER:
        assert asked() == "[]"


@pytest.mark.parametrize("function", ["build_wheel", "get_requires_for_build_editable"])
def test_another_choice_is_one_line(checkout: Path, tmp_path: Path, function: str) -> None:
    done = hatchling(checkout, function, tmp_path, SQUEEZESIM_KERNEL="gcc")
    assert done.returncode == 1
    line = "error: SQUEEZESIM_KERNEL is 'gcc'; it can be none, system, zig or not set\n"
    assert (done.stdout + done.stderr).endswith(line)
    assert "Traceback" not in done.stderr
    assert not files(tmp_path)


@needs_compiler
def test_a_library_of_other_sources_is_left_aside(wheel: Path, tmp_path: Path) -> None:
    """As after an update of a checkout: one line, and NumPy computes."""
    site, checkout = install(wheel, tmp_path / "site"), small(copy_checkout(tmp_path / "checkout"))
    with (checkout / "squeezesim" / "cost" / "kernel" / "small.c").open("a", encoding="utf-8") as file:
        file.write("/* other */\n")
    reason = "NumPy, since the compiled core is of another source; install again"
    warned = f"squeezesim:1: KernelWarning: {reason.replace(',', ' computes,')}\n"
    assert tell(site, checkout) == (f"False: {reason}", warned)
    assert tell(site, checkout, SQUEEZESIM_KERNEL="none") == (
        "False: NumPy, since SQUEEZESIM_KERNEL=none",
        "",
    )
    assert tell(site) == ("True: compiled core", "")


@needs_compiler
def test_a_library_of_another_version_is_left_aside(wheel: Path, tmp_path: Path) -> None:
    """The Python beside the sources calls other functions than they have."""
    site = install(wheel, tmp_path)
    loader = site / "squeezesim" / "cost" / "kernel" / "__init__.py"
    text = loader.read_text(encoding="utf-8")
    loader.write_text(text.replace(f"ABI = {kernel.ABI}", f"ABI = {kernel.ABI + 1}"), encoding="utf-8")
    assert tell(site)[0] == "False: NumPy, since the compiled core is of another source; install again"


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("content", [None, b"", b"no library", b"\x7fELF"])
def test_a_library_that_does_not_load_is_left_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    package = tmp_path / "squeezesim_kernel"
    package.mkdir()
    (package / "__init__.py").touch()
    if content is not None:
        (package / "libsqueezesim.so").write_bytes(content)
    monkeypatch.delenv("SQUEEZESIM_KERNEL", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    reason = "the compiled core does not load; install again"
    with pytest.warns(kernel.KernelWarning, match=f"^NumPy computes, since {reason}$") as warned:
        assert [kernel.core() for _ in range(2)] == [None, None]
    assert len(warned) == 1
    assert kernel.status() == f"NumPy, since {reason}"


@pytest.mark.usefixtures("fresh")
def test_none_is_no_library_and_another_choice_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEEZESIM_KERNEL", "none")
    assert kernel.core() is None
    assert kernel.status() == "NumPy, since SQUEEZESIM_KERNEL=none"
    kernel._find.cache_clear()
    monkeypatch.setenv("SQUEEZESIM_KERNEL", "off")
    with pytest.warns(kernel.KernelWarning, match="SQUEEZESIM_KERNEL is 'off'; it can be none, system, zig"):
        assert kernel.core() is None


def test_the_command_line_says_it_as_a_note(tmp_path: Path) -> None:
    code = "from squeezesim import cli; from squeezesim.cost import kernel; cli._show_notes(); kernel.core()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=clean(PYTHONPATH=str(ROOT), SQUEEZESIM_KERNEL="off"),
        capture_output=True,
        text=True,
        check=True,
    )
    reason = "SQUEEZESIM_KERNEL is 'off'; it can be none, system, zig or not set"
    assert (done.stdout, done.stderr) == ("", f"note: NumPy computes, since {reason}\n")


def test_python_and_c_are_of_one_version() -> None:
    found = re.search(
        r"^#define SQUEEZESIM_ABI (\d+)$", (FOLDER / "kernel.h").read_text(encoding="utf-8"), re.M
    )
    assert found is not None
    assert int(found[1]) == kernel.ABI
