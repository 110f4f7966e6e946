"""Compiles the core, squeezesim/cost/kernel/, into the wheel, normal and editable, and modules to bytecode.

The system's C compiler builds it: $CC, cc, gcc or clang, the first whose library loads. Where none does, and PyPI has
ziglang for the platform, the build asks for that and lets it compile. Where nothing works, the wheel is pure Python and
NumPy computes: no installation fails for want of a compiler. SQUEEZESIM_KERNEL=none, system or zig decides by hand.
The core is made in a temporary folder; bytecode is kept beside the modules of an editable installation, whose modules
pip does not compile as it does those of others.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from compileall import compile_dir
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

# The baseline of the processor and no rounding but that of each operation: every machine computes the same.
FLAGS = (
    "-O3",
    "-std=c11",
    "-fPIC",
    "-shared",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
)
ZIG = "ziglang==0.14.1"
ZIG_TARGETS = {
    f"linux_{machine}": (f"{machine}-linux-gnu.2.17", f"{machine}-linux-musl")
    for machine in ("x86_64", "aarch64")
}
ZIG_CACHES = ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")
SECONDS = 300  # that a compiler may take

LOAD = """
import ctypes, sys
source = ctypes.CDLL(sys.argv[1]).squeezesim_source
source.restype = ctypes.c_char_p
print(source().decode())
"""
INIT = '"""The compiled core of squeezesim, which squeezesim.cost.kernel loads."""\n'


class KernelBuildHook(BuildHookInterface[Any]):
    """Adds a package with the library to the wheel, where one can be built."""

    _folder: TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Ziglang, where it is chosen, or where no compiler of the system works."""
        choice = self._choice()
        if choice in ("none", "system") or _platform() not in ZIG_TARGETS:
            return []
        if choice == "zig":
            return [ZIG]
        with TemporaryDirectory() as folder:
            return [] if self._build(Path(folder), "system") else [ZIG]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library and enter it in *build_data*."""
        if version == "editable":
            # Else the first command compiles them, and each one where PYTHONDONTWRITEBYTECODE is set.
            compile_dir(Path(self.root, "squeezesim"), quiet=2)
        choice, platform = self._choice(), _platform()
        if choice == "none" or not platform:
            self.app.display_info("no compiled core")
            return
        self._folder = TemporaryDirectory()
        library = self._build(Path(self._folder.name), choice)
        if library is None:
            self.app.display_warning("no compiled core: no C compiler works")
            return
        init = library.with_name("__init__.py")
        init.write_text(INIT, encoding="utf-8")
        key = "force_include_editable" if version == "editable" else "force_include"
        for file in (init, library):
            build_data.setdefault(key, {})[str(file)] = f"{self._kernel.PACKAGE}/{file.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"  # Hatchling gives editable wheels a tag of its own.

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built: the wheel has it."""
        del version, build_data, artifact_path
        if self._folder is not None:
            self._folder.cleanup()

    @cached_property
    def _kernel(self) -> SimpleNamespace:
        """The names of the loader, which says what the sources are and what the library is called."""
        return SimpleNamespace(
            **run_path(str(Path(self.root, "squeezesim", "cost", "kernel", "__init__.py")))
        )

    def _choice(self) -> str:
        """What SQUEEZESIM_KERNEL says; empty where it says nothing."""
        name, choices = self._kernel.VARIABLE, self._kernel.CHOICES
        choice = os.environ.get(name, "")
        if choice not in ("", *choices):
            self.app.abort(f"error: {name} is {choice!r}; it can be {', '.join(choices)} or not set")
        return choice

    def _build(self, folder: Path, choice: str) -> Path | None:
        """The library of the first compiler of *choice* whose library loads, if any."""
        digest, library = str(self._kernel.digest()), folder / str(self._kernel.LIBRARY)
        sources = [str(file) for file in self._kernel.sources() if file.suffix == ".c"]
        arguments = [*FLAGS, f'-DSQUEEZESIM_SOURCE="{digest}"', "-o", str(library), *sources, "-lm"]
        settings = os.environ | dict.fromkeys(ZIG_CACHES, str(folder / "zig"))
        load = [sys.executable, "-I", "-c", LOAD, str(library)]  # a library can end the process that loads it
        for compiler in _compilers(choice):
            compiled = self._output([*compiler, *arguments], settings) is not None
            if compiled and self._output(load, settings) == digest:
                self.app.display_info(f"compiled core: built by {shlex.join(compiler)}")
                return library
        return None

    def _output(self, command: list[str], settings: dict[str, str]) -> str | None:
        """What *command* prints on stdout; None where it fails. What it prints on stderr is shown."""
        try:
            done = subprocess.run(
                command,
                env=settings,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self.app.display_info(f"{command[0]}: {error}")
            return None
        if done.stderr.strip():
            self.app.display_info(done.stderr.strip())
        return done.stdout.strip() if done.returncode == 0 else None


def _platform() -> str:
    """The platform of a wheel with a library; empty where nobody has run one, so that none is built."""
    return next((tag.platform for tag in sys_tags() if tag.platform.startswith("linux_")), "")


def _compilers(choice: str) -> Iterator[list[str]]:
    """Commands of C compilers, whether they are there or not."""
    if choice != "zig":
        with suppress(ValueError):  # an unclosed quote
            yield from filter(None, [shlex.split(os.environ.get("CC", ""))])
        yield from (["cc"], ["gcc"], ["clang"])
    if choice != "system":
        # With a target, the processor is its baseline, not the one that compiles.
        for target in ZIG_TARGETS.get(_platform(), ()):
            yield [sys.executable, "-m", "ziglang", "cc", "-target", target, "-fno-sanitize=undefined"]
