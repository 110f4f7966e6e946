import subprocess
import sys
from pathlib import Path

import pytest

import squeezesim.cache
from squeezesim.cache import cached, cached_names
from squeezesim.load import load
from squeezesim.network import Layer, Network

NETWORK = Network.from_layers([Layer.matmul("a", m=1, n=2, k=3)])


class Builder:
    """Builds the same network and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Network:
        self.calls += 1
        return NETWORK


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_a_network_is_built_once_for_each_key(folder):
    build = Builder()
    for key in (
        {"model": "a"},
        {"model": "a"},
        {"model": "b"},
        {"model": "a", "input": (1, 2)},
        {"model": "a"},
    ):
        assert cached(key, build) == NETWORK
    assert build.calls == 3
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100, b"[]"])
def test_a_broken_file_is_built_again(folder, content):
    build = Builder()
    cached({"model": "a"}, build)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(content)
    assert cached({"model": "a"}, build) == NETWORK
    assert build.calls == 2
    assert file.read_bytes() == whole


def test_a_network_that_was_put_under_a_key_is_not_believed(folder):
    """Another network, one with another number, one that was kept under another key: each is built again."""
    build = Builder()
    cached({"model": "a"}, build)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    cached({"model": "b"}, lambda: Network.from_layers([Layer.matmul("b", m=9, n=9, k=9)]))
    (other,) = set(folder.iterdir()) - {file}
    alone = Network.from_layers([Layer.matmul("c", m=1, n=1, k=1)]).to_json().encode()
    for content in (other.read_bytes(), alone, whole.replace(b'"k":2', b'"k":4'), whole.partition(b"\n")[2]):
        assert content != whole
        file.write_bytes(content)
        assert cached({"model": "a"}, build) == NETWORK
        assert file.read_bytes() == whole
    assert build.calls == 5


def test_a_cache_that_cannot_be_written_is_passed_over(folder):
    folder.write_text("a file where the folder should be")
    build = Builder()
    assert cached({"model": "a"}, build) == NETWORK
    assert cached({"model": "a"}, build) == NETWORK
    assert build.calls == 2


@pytest.mark.parametrize("changed", ["installed_version", "_sources_hash"])
@pytest.mark.usefixtures("folder")
def test_another_torch_and_other_sources_never_read_what_was_written(monkeypatch, changed):
    build = Builder()
    cached({"model": "a"}, build)
    monkeypatch.setattr(squeezesim.cache, changed, lambda *_: "another")
    cached({"model": "a"}, build)
    assert build.calls == 2


def test_the_sources_that_trace_are_part_of_the_key(tmp_path, monkeypatch):
    for folder in ("network", "frontends", "zoo"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.py").write_text("x = 1\n")
    monkeypatch.setattr(squeezesim.cache, "__file__", str(tmp_path / "cache.py"))
    hashes = set()
    for content in ("x = 1\n", "x = 2\n", "x = 3\n"):
        (tmp_path / "frontends" / "one.py").write_text(content)
        squeezesim.cache._sources_hash.cache_clear()
        hashes.add(squeezesim.cache._sources_hash())
    squeezesim.cache._sources_hash.cache_clear()
    assert len(hashes) == 3


@pytest.mark.torch
def test_a_second_load_with_options_imports_no_torch(folder):
    first = load("squeezenext_23", depth=(1, 1, 1, 1), batch=2)
    assert len(list(folder.iterdir())) == 1
    code = (
        "import sys; import squeezesim.cache, pathlib;"
        f"squeezesim.cache.cache_folder = lambda: pathlib.Path({str(folder)!r});"
        "from squeezesim.load import load; net = load('squeezenext_23', depth=(1, 1, 1, 1), batch=2);"
        "print(net.params, net.inputs, 'torch' in sys.modules)"
    )
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert second.stdout == f"{first.params} {first.inputs} False\n"


@pytest.mark.torch
def test_no_cache_writes_nothing(folder):
    load("tiny_darknet", batch=3, cache=False)
    assert not folder.exists()
    load("tiny_darknet", batch=3)
    assert len(list(folder.iterdir())) == 1


def test_runs_at_once_do_not_disturb_each_other(folder):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        networks = list(pool.map(lambda number: cached({"model": number % 2}, Builder()), range(64)))
    assert networks == [NETWORK] * 64
    assert len(list(folder.iterdir())) == 2


def test_names_are_asked_for_once_and_broken_ones_again(tmp_path, monkeypatch):
    monkeypatch.setattr("squeezesim.cache.cache_folder", lambda: tmp_path / "networks")
    asked = []

    def build():
        asked.append(1)
        return ["b", "a"]

    assert cached_names("numpy", build) == cached_names("numpy", build) == {"a", "b"}
    assert len(asked) == 1
    (file,) = (tmp_path / "names").iterdir()
    for broken in ("[1", "{}", "[1]"):
        file.write_text(broken)
        assert cached_names("numpy", build) == {"a", "b"}
    assert len(asked) == 4
