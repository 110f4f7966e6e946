"""Files that list layers, and files that are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from squeezesim.errors import ModelError, SqueezesimError, UsageError
from squeezesim.load import load


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    load("tiny_darknet").save("net.graph.json")
    return tmp_path


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "folder/model.PTH", "best.ckpt", "model.pkl"])
def test_pickled_files_are_refused_with_the_reason_and_the_way_out(name: str) -> None:
    Path("model.pt").write_bytes(b"anything")
    with pytest.raises(ModelError, match="is refused: a pickled file runs the code in it") as caught:
        load(name)
    assert "as file.py:factory, or export it" in str(caught.value)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("nte.graph.json", "there is no file 'nte.graph.json'; did you mean 'net.graph.json' or"),
        ("nowhere/net.graph.json", "there is no file 'nowhere/net.graph.json'"),
        ("net.json", "'net.json' is no model that can be read; a model is a built-in name,"),
        (".", "'.' is a directory; a model is a built-in name,"),
        ("sub", "'sub' is a directory; a model is a built-in name,"),
        ("sub.graph.json", "'sub.graph.json' is a directory"),
        ("zero.graph.json", "'zero.graph.json' is no regular file"),
        ("net.graph.json" * 400, "cannot read 'net.graph.json"),
        ("\x00.graph.json", "there is no file '\\x00.graph.json'"),
        ("\x00", "unknown network '\\x00'"),
        ("a\nb", "unknown network 'a\\nb'"),
        ("net.safetensors", "'net.safetensors' is no model that can be read"),
        (
            f"{'a-folder-with-a-long-name/' * 4}a net.tflite",
            f"'{'a-folder-with-a-long-name/' * 4}a net.tflite' is a model of TensorFlow: convert it to ONNX, "
            "pip install tf2onnx and python -m tf2onnx.convert "
            f"--tflite '{'a-folder-with-a-long-name/' * 4}a net.tflite' "
            f"--output '{'a-folder-with-a-long-name/' * 4}a net.onnx'",
        ),
        ("net.keras", "convert --keras net.keras --output net.onnx"),
        ("notes.txt", "'notes.txt' is no model that can be read"),
        ("none.tflite", "there is no file 'none.tflite'"),
        ("none.onnx", "there is no file 'none.onnx'"),
    ],
)
def test_what_is_no_file_gets_one_line(model: str, message: str) -> None:
    for made in ("net.keras", f"{'a-folder-with-a-long-name/' * 4}a net.tflite"):
        Path(made).parent.mkdir(parents=True, exist_ok=True)
        Path(made).write_bytes(b"")
    Path("sub").mkdir()
    Path("sub.graph.json").mkdir()
    Path("zero.graph.json").symlink_to(os.devnull if not Path("/dev/zero").exists() else "/dev/zero")
    with pytest.raises(SqueezesimError) as caught:
        load(model)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_working_directory_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "net.py").write_text("")
    monkeypatch.chdir(tmp_path / "gone")
    monkeypatch.setenv("PWD", "my/folder")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ModelError, match=r"^cannot use the working directory 'my/folder': No such file"):
        load(f"{tmp_path / 'net.py'}:make", input_shape="4")


def test_what_a_file_has_fixed_is_not_given() -> None:
    for given in ({"batch": 2}, {"input_shape": "3x64x64"}, {"width": 2}, {"inputs": {"x": (1,)}}):
        with pytest.raises(UsageError, match="its input and options are fixed"):
            load("net.graph.json", **given)  # type: ignore[arg-type]


def test_inputs_of_onnx_files_have_names() -> None:
    Path("net.onnx").write_bytes(b"")
    with pytest.raises(UsageError, match="inputs of a file are given by name"):
        load("net.onnx", input_shape="3x224x224")
    with pytest.raises(UsageError, match="input 'x': sizes must be integers from 0"):
        load("net.onnx", inputs={"x": (-1, 3)})
    with pytest.raises(UsageError, match="input 'x' of a file is a shape, a tensor or a number, found"):
        load("net.onnx", inputs={"x": {"a"}})
