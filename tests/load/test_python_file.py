"""Factories in files of the user."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from squeezesim.errors import ModelError
from squeezesim.load import load, load_module
from squeezesim.load.shapes import parse_named
from squeezesim.network import Network

SOURCE = """
import torch
from neighbour import WIDTH

def make(width=WIDTH):
    return torch.nn.Linear(4, width)

ready = torch.nn.Linear(4, 5)
number = 3

def nothing():
    return None

def fails():
    raise KeyError("lost\\nkey")

def leaves():
    import sys
    sys.exit("my own\\nway out")

def counts(width, act="relu", sizes=()):
    assert (width, act, sizes) == (2, "tanh", (1, 2)), (width, act, sizes)
    return torch.nn.Linear(4, width)
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "neighbour.py").write_text("WIDTH = 7\n")
    (tmp_path / "my model.py").write_text(SOURCE)
    return str(tmp_path / "my model.py")


def test_a_factory_in_a_file(source: str) -> None:
    before = list(sys.path)
    network = load(f"{source}:make", input_shape=(2, 4))
    assert (network.macs, network.name) == (2 * 4 * 7, f"{source}:make")
    assert load(f"{source}:make", input_shape=(2, 4), width=3).macs == 2 * 4 * 3
    assert load(f"{source}:ready", input_shape="4").macs == 4 * 5
    assert sys.path == before


def test_what_a_file_prints_goes_to_stderr_escaped(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = """
import sys, warnings
import torch

print("loading \\x1b[31m")

class Talks(torch.nn.Linear):
    def forward(self, x):
        print("forward", file=sys.stderr)
        sys.stdout.write("bar\\rmore")
        return super().forward(x)

def make():
    warnings.warn("odd \\x1b]0;x\\x07")
    return Talks(4, 4)
"""
    file = Path(source).with_name("talks.py")
    file.write_text(talks)
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("always")
        patch.setattr(warnings, "showwarning", lambda message, *_: print(message, file=sys.stderr))
        load(f"{file}:make", input_shape="4")
    out, err = capsys.readouterr()
    assert out == ""
    assert not any(sign in err for sign in "\x1b\x07\r")
    assert err.startswith("loading \\x1b[31m\n")
    assert "\nodd \\x1b]0;x\\x07\n" in err
    assert err.endswith("forward\nbar\nmore")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("maker", "has no 'maker'; did you mean 'make'"),
        ("number", "must be a function that returns a torch.nn.Module"),
        ("nothing", "must return a torch.nn.Module, found NoneType"),
        ("fails", r"my model.py:15: KeyError: 'lost\nkey'"),
        ("leaves", "my model.py:19: SystemExit: my own way out"),
        ("counts", "TypeError: counts() missing 1 required positional argument: 'width'"),
        ("make@depth=2", "TypeError: make() got an unexpected keyword argument 'depth'"),
        ("ready@width=2", "is a module: it has no arguments, found width"),
        ("make@width", "arguments of 'make' are written name=value,name=value, found 'width'"),
        ("make@", "arguments of 'make' are written name=value,name=value, found ''"),
        ("make@width=1,width=2", "argument 'width' of 'make' is given twice"),
        ("make()", "written file.py:factory"),
        ("", "written file.py:factory"),
    ],
)
def test_a_factory_that_gives_no_module(source: str, factory: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(f"{source}:{factory}", input_shape=(1, 4))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def make(:\n")
    with pytest.raises(ModelError, match=r"broken.py:1: SyntaxError: "):
        load(f"{tmp_path / 'broken.py'}:make", input_shape=(1, 4))
    with pytest.raises(ModelError, match="there is no file"):
        load(f"{tmp_path / 'none.py'}:make", input_shape=(1, 4))


def test_arguments_are_written_after_the_factory(source: str) -> None:
    assert load(f"{source}:make@width=3", input_shape=(2, 4)).macs == 2 * 4 * 3
    network = load(f"{source}:counts@width=2,act=tanh,sizes=1-2", input_shape="4")
    assert (network.macs, network.name) == (8, f"{source}:counts@width=2,act=tanh,sizes=1-2")
    with pytest.raises(ModelError, match="argument 'width' of 'make' is given twice"):
        load(f"{source}:make@width=3", input_shape=(2, 4), width=3)


def test_an_error_in_a_neighbour_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "layers_of_mine.py").write_text("\n\nraise ValueError('too wide')\n")
    (tmp_path / "my.py").write_text("import layers_of_mine\n")
    with pytest.raises(ModelError) as caught:
        load(f"{tmp_path / 'my.py'}:make", input_shape=(1, 4))
    assert str(caught.value) == f"{tmp_path / 'layers_of_mine.py'}:3: ValueError: too wide"


def test_the_nearest_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("")
    with pytest.raises(ModelError, match=r"there is no file '.*modle.py'; did you mean 'model.py'"):
        load(f"{tmp_path / 'modle.py'}:make", input_shape=(1, 4))


@pytest.mark.parametrize("exit_with", ["sys.exit()", "sys.exit(3)", "raise SystemExit", "quit()"])
def test_a_file_that_exits_is_a_mistake(tmp_path: Path, exit_with: str) -> None:
    (tmp_path / "leaves.py").write_text(f"import sys\n{exit_with}\n")
    with pytest.raises(ModelError, match=r"leaves.py:2: SystemExit"):
        load(f"{tmp_path / 'leaves.py'}:make", input_shape=(1, 4))


@pytest.mark.skipif(not find_spec("torchvision"), reason="torchvision is not installed")
def test_a_file_may_import_torchvision(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "import torchvision\ndef make():\n    return torchvision.models.resnet18(weights=None)\n"
    )
    assert load(f"{tmp_path / 'my.py'}:make", input_shape="3x224x224").macs == 1_814_073_344


SCALAR = """
import torch

class Resampling(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.none = torch.nn.Linear(4, 4), torch.nn.Linear(0, 4)

    def forward(self, x, sr):
        return self.fc(x[:, ::2]) if sr.item() > 8000 else self.fc(x)

def make():
    return Resampling()
"""


def test_a_value_of_a_scalar(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    file = tmp_path / "scalar.py"
    file.write_text(SCALAR)

    def traced(text: str) -> Network:
        return load(f"{file}:make", inputs=dict([parse_named(each)[:2] for each in ("x=2x8", text)]))

    with pytest.raises(ModelError, match=r"; a value, not a shape, is written --input sr=\+16000$"):
        traced("sr=16000")
    network = traced("sr=+16000")
    assert network.input_texts() == ["x 2x8", "sr = 16000"]
    assert str(network).splitlines()[0].endswith("make (x 2x8, sr = 16000)")
    assert replace(network, notes=()).input_texts("×") == ["x 2×8", "sr scalar"]
    assert not [each for each in recwarn if "zero-element" in str(each.message)]


def test_random_weights_are_the_same_in_each_run(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "import torch\n"
        "SIZE = int(torch.randint(1, 10**6, ()))\n"
        "def make():\n"
        "    return torch.nn.Linear(SIZE, int(torch.randint(1, 100, ())), device='meta')\n"
    )
    torch.manual_seed(7)
    before = torch.get_rng_state()
    (first, _), (again, _) = (load_module(f"{tmp_path / 'my.py'}:make") for _ in range(2))
    assert first.weight.shape == again.weight.shape
    assert torch.equal(torch.get_rng_state(), before)


LARGE = """
import torch

class Asking(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)
    def forward(self, x):
        return self.linear(x) if x.sum().item() < 1 else x

def large():
    return torch.nn.Linear(60000, 10**8)

def without_values():
    with torch.device("meta"):
        return large()

def needed():
    with torch.device("meta"):
        return torch.nn.Dropout(torch.linspace(0, 0.1, 12)[3].item())

def asking():
    with torch.device("meta"):
        return Asking()

def out_of_memory():
    raise MemoryError
"""


def test_a_model_too_large_for_the_memory_is_made_without_values(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(LARGE)
    source = str(tmp_path / "my.py")
    for factory in ("large", "without_values"):
        assert load(f"{source}:{factory}", inputs=[(1, 60000)]).params == 6 * 10**12 + 10**8
    way_out = "; a model too large for the memory is made without values under torch.device('meta')"
    with pytest.raises(ModelError) as caught:
        load(f"{source}:out_of_memory", input_shape=(1, 4))
    assert str(caught.value).endswith(way_out)
    with pytest.raises(ModelError) as caught:
        load(f"{source}:needed", input_shape=(1, 4))
    assert str(caught.value) == (
        f"{source}:20: RuntimeError: Tensor.item() cannot be called on meta tensors; under torch.device('meta') "
        "tensors have no values: make those needed under torch.device('cpu')"
    )
    with pytest.raises(ModelError) as caught:
        load(f"{source}:asking", input_shape=(1, 4))
    assert str(caught.value).endswith(
        "Tensor.item() cannot be called on meta tensors: a value is needed, which a model made under "
        "torch.device('meta') does not have"
    )
