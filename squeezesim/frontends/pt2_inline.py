"""Graphs within the graph of an exported program: those that run once and change no value take their node's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from squeezesim.errors import ModelError
from squeezesim.network.checks import show

_SPACE = "torch.ops.higher_order."

# What Python's `with torch.no_grad()` and `with torch.autocast()` become. Types of numbers are not counted.
_WRAPPERS = ("wrap_with_autocast", "wrap_with_set_grad_enabled")

_REASONS = {
    "associative_scan": "runs a graph once for each slice of a tensor",
    "cond": "runs one of two graphs, as the value of a tensor decides",
    "map_impl": "runs a graph once for each slice of a tensor",
    "scan": "runs a graph once for each slice of a tensor",
    "while_loop": "repeats a graph as often as the values of tensors decide",
}


def inlined(nodes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return *nodes*, the JSON of a graph, with the nodes of the graphs that they wrap in the wrappers' places.

    Values of an inner graph get names of their own.

    Raises:
        ModelError: a node runs another graph in a way that is not read; says why.
    """
    return list(_inlined(nodes, {}, "", count(1)))


def _inlined(
    nodes: Sequence[Mapping[str, Any]], scope: dict[str, str], suffix: str, serials: Iterator[int]
) -> Iterator[Mapping[str, Any]]:
    """The nodes under the names of the whole program, which *scope* knows by the names of the graph."""
    for node in nodes:
        target = node["target"]
        if not target.startswith(_SPACE):
            inputs = [{**item, "arg": _renamed(item["arg"], scope)} for item in node["inputs"]]
            scope.update((name, f"{name}{suffix}") for output in node["outputs"] for name in _names(output))
            outputs = [_renamed(output, scope) for output in node["outputs"]]
            yield {**node, "inputs": inputs, "outputs": outputs}
            continue
        operator = target.removeprefix(_SPACE)
        if operator not in _WRAPPERS:
            why = _REASONS.get(operator, "runs a graph of its own in a way that is not read")
            raise ModelError(f"has the operator {show(target)}, which {why}")
        arguments = [item["arg"] for item in node["inputs"]]
        places = [index for index, argument in enumerate(arguments) if "as_graph" in argument]
        if len(places) != 1:
            raise ModelError(f"has the operator {show(target)} with {len(places)} graphs to run; read is one")
        place = places[0]
        graph = arguments[place]["as_graph"]["graph"]
        given = _all_names(arguments[place + 1 :])
        inner = {
            name: scope.get(outer, outer)
            for name, outer in zip(_all_names(graph["inputs"]), given, strict=True)
        }
        yield from _inlined(graph["nodes"], inner, f"@{next(serials)}", serials)
        made = [inner[name] for name in _all_names(graph["outputs"])]
        scope.update(zip(_all_names(node["outputs"]), made, strict=True))


def _all_names(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for value in values for name in _names(value)]


def _names(value: Any) -> list[str]:
    """The names of the tensors and sizes of an argument or a result."""
    if isinstance(value, list):
        return [name for item in value for name in _names(item)]
    if not isinstance(value, dict):
        return []
    own = [item for key, item in value.items() if key in ("name", "as_name") and isinstance(item, str)]
    return own + [name for item in value.values() for name in _names(item)]


def _renamed(value: Any, scope: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(item, scope) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: scope.get(item, item)
        if key in ("name", "as_name") and isinstance(item, str)
        else _renamed(item, scope)
        for key, item in value.items()
    }
