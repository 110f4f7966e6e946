from __future__ import annotations

import numpy as np
import pytest

from squeezesim.errors import UsageError
from squeezesim.explore.compare.compare import comparison
from squeezesim.explore.compare.comparison import Comparison, of_report
from squeezesim.explore.compare.render import accuracy_figure, draw
from tests.explore.test_compare import named


def networks(accuracies: dict[str, float], hardware: tuple[str, ...] = ("x",)) -> Comparison:
    """Networks a, b, c … of rising latency, with the accuracies that are given."""
    names = sorted(accuracies)
    results = [
        of_report(named(name, {"control.layer_setup_cycles": 100 * place}, net))
        for place, net in enumerate([*names, "unknown"])
        for name in hardware
    ]
    return comparison(results, top1=accuracies)


def test_the_front_joins_what_none_beats_from_edge_to_edge() -> None:
    some = networks({"a": 50, "b": 60, "c": 55, "d": 70, "e": 70}, ("x", "y"))
    figure = accuracy_figure(some)
    assert len(figure.axes) == 4  # latency and energy on each accelerator
    axes = figure.axes[0]
    assert len(axes.collections) == 5  # the sixth has no accuracy
    (line,) = [item for item in axes.lines if item.get_label() == "Pareto front"]
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert y.tolist() == [axes.get_ylim()[0], 50, 60, 70, 70]
    times = [row["latency_us"] for row in some.rows() if row["accelerator"] == "x"]
    assert x.tolist() == pytest.approx([times[0], times[0], times[1], times[3], axes.get_xlim()[1]])


def test_every_circle_has_a_name_unless_there_are_too_many() -> None:
    few = {f"net{place:02}": 50.0 + place for place in range(4)}
    names = {text.get_text() for text in accuracy_figure(networks(few)).axes[0].texts}
    assert names == set(few)
    many = {f"net{place:02}": 60.0 if place == 0 else 50.0 - place for place in range(25)}
    assert [text.get_text() for text in accuracy_figure(networks(many)).axes[0].texts] == ["net00"]


@pytest.mark.parametrize(("file_format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_equal_comparisons_are_the_same_bytes(file_format: str, start: bytes) -> None:
    first, again = (draw(networks({"a": 50, "b": 60}), file_format) for _ in range(2))
    assert first.startswith(start)
    assert first == again


def test_a_figure_needs_an_accuracy() -> None:
    with pytest.raises(UsageError) as caught:
        draw(comparison([of_report(named("x"))]), "png")
    assert str(caught.value) == (
        "a figure of accuracy needs one, and none is known of small; allowed: --top1 NETWORK=70.5"
    )
