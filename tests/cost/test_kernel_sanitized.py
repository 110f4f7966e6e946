"""The core runs its cases under the sanitizers of addresses and of undefined behaviour: graphs may be a stranger's."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from squeezesim.cost import kernel

FLAGS = ("-O1", "-g", "-std=c11", "-fPIC", "-shared", "-ffp-contract=off")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

CHILD = """
import ctypes, sys
import pytest
from squeezesim.cost import compiled
core = ctypes.CDLL(sys.argv[1])
compiled.core = lambda: core
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


def library_of(compiler: str, name: str) -> str:
    """The path of a library that comes with *compiler*; the name alone where it has none."""
    done = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.mark.slow
def test_no_case_leaves_its_arrays_or_is_undefined(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    preload = library_of(compiler, "libasan.so") if compiler else ""
    if compiler is None or not Path(preload).is_absolute():
        pytest.skip("needs gcc and its sanitizers")
    library, sources = tmp_path / "core.so", [str(file) for file in kernel.sources() if file.suffix == ".c"]
    subprocess.run([compiler, *FLAGS, *SANITIZERS, "-o", str(library), *sources, "-lm"], check=True)
    settings = {"LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0", kernel.VARIABLE: "none"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(library), "tests/cost/test_compiled.py"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(".")  # it passed, and was not left out
