import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeezesim.errors import ModelError
from squeezesim.load import load
from squeezesim.zoo.registry import Spec, catalogue, folder_name, models, parse_spec


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Any built-in network with any options."""
    entry = catalogue()[draw(st.sampled_from(models()))]
    options: dict[str, object] = {}
    for option in entry.family.options:
        match option.kind:
            case "choice":
                value = st.sampled_from(option.choices)
            case "ints":
                whole = st.integers(int(option.low), int(option.high))
                value = st.tuples(*[whole] * option.length)
            case "int":
                value = st.integers(int(option.low), int(option.high))
            case "float":
                value = st.floats(option.low, option.high)
        if draw(st.booleans()):
            options[option.name] = draw(value)
    return parse_spec(entry.name, options)


@given(specs())
def test_the_text_of_a_spec_parses_to_it(spec):
    assert parse_spec(str(spec)) == spec


@given(specs())
def test_a_folder_name_needs_no_quotes_and_stays_in_its_folder(spec):
    name = folder_name(str(spec))
    assert name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    assert not name.startswith(("-", "."))


@pytest.mark.parametrize(
    ("model", "folder"),
    [
        ("squeezenext_23", "squeezenext_23"),
        ("squeezenext_23@depth=2-4-14-1,width=1.5", "squeezenext_23-depth-2-4-14-1-width-1.5"),
        ("runs/net.graph.json", "net"),
        ("models/my.py:make_net", "my.py-make_net"),
        ("../..", "network"),
        ("a b;rm -rf ~", "a-b-rm-rf"),
    ],
)
def test_folder_names(model, folder):
    assert folder_name(model) == folder


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("squeezenext_23", ()),
        ("squeezenext_23@depth=6-6-8-1", ()),
        ("squeezenext_23@depth=2-4-14-1", ("differs from squeezenext_23_v5 in conv1, wiring",)),
        ("squeezenext_23@depth=2-4-14-1,conv1=5", ("differs from squeezenext_23_v5 in wiring",)),
        ("squeezenext_23@depth=2-4-14-1,conv1=5,wiring=serial", ("same as squeezenext_23_v5",)),
        ("squeezenext_23@depth=2-4-14-1,width=2", ("differs from squeezenext_23_2x_v5 in conv1, wiring",)),
        ("squeezenext_23@depth=3-4-14-1", ()),
        ("squeezenext_23@width=2", ("same as squeezenext_23_2x",)),
        ("squeezenext_23@width=3", ()),
    ],
)
def test_notes_name_the_built_in_network_of_the_same_depth(text, notes):
    assert parse_spec(text).notes == notes


def test_a_network_with_options_carries_its_note_and_equal_options_equal_counts():
    assert load("squeezenext_23", depth=(2, 4, 14, 1)).notes == (
        "differs from squeezenext_23_v5 in conv1, wiring",
    )
    same = load("squeezenext_23", depth=(2, 4, 14, 1), conv1=5, wiring="serial")
    assert same.layers == load("squeezenext_23_v5").layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("squeezenex_23", "unknown network 'squeezenex_23'; did you mean 'squeezenext_23'"),
        (
            "squeezenext_23@dept=1-1-1-1",
            "'squeezenext_23' has no option 'dept'; it has depth, width, conv1, groups, wiring",
        ),
        ("alexnet@width=2", "'alexnet' has no option 'width'; it has none"),
        (
            "squeezenext_23@depth=1-1-1",
            "option 'depth' must be 4 integers from 1 to 200 joined by '-', found '1-1-1'",
        ),
        ("squeezenext_23@depth=0-1-1-1", "option 'depth' must be 4 integers from 1 to 200"),
        ("squeezenext_23@depth=1-1-1-9999999", "option 'depth' must be"),
        ("squeezenext_23@width=wide", "option 'width' must be a number from 0.125 to 16, found 'wide'"),
        ("squeezenext_23@width=nan", "option 'width' must be a number"),
        ("squeezenext_23@width=1e999", "option 'width' must be a number"),
        ("squeezenext_23@conv1=5.0", "option 'conv1' must be an integer from 1 to 15, found '5.0'"),
        (
            "squeezenext_23@wiring=seriel",
            "option 'wiring' must be one of parallel, serial, found 'seriel'; did you mean",
        ),
        ("squeezenext_23@", "are written option=value,option=value, found ''"),
        ("squeezenext_23@width", "are written option=value,option=value, found 'width'"),
        ("squeezenext_23@width=1,width=2", "option 'width' of 'squeezenext_23' is given twice"),
    ],
)
def test_mistakes_get_one_line_that_says_what_is_allowed(text, message):
    with pytest.raises(ModelError) as caught:
        parse_spec(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_option_is_not_given_as_text_and_as_an_argument():
    with pytest.raises(ModelError, match="given twice"):
        parse_spec("squeezenext_23@width=2", {"width": 2})


def test_finding_and_loading_a_built_in_network_imports_no_torch():
    code = (
        "import sys; from squeezesim.load import load, models; models(); load('squeezenext_23');"
        "print([name for name in ('torch', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
