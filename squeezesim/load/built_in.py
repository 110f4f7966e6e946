"""Built-in networks: read from their traced graphs, or built with other options or for another input."""

from __future__ import annotations

from collections.abc import Mapping

from squeezesim.load.runnable import Asked, Made, Runnable
from squeezesim.network import Network
from squeezesim.zoo.registry import Spec, build, parse_spec


def network(text: str, options: Mapping[str, object], asked: Asked, *, cache: bool) -> Network:
    """Return the network of the built-in *text*, such as ``squeezenext_23@width=1.5``.

    Raises:
        ModelError: an option is unknown, or the network does not accept the input.
        UsageError: a size is out of range.
    """
    spec = parse_spec(text, options)
    own = (1, *spec.input)
    if not spec.changes and not asked.kwargs and asked.of(str(spec), (spec.input,)) == (own,):
        return Network.load(spec.entry.graph)
    return _runnable(spec).network(asked, cache=cache)


def runnable(text: str, options: Mapping[str, object]) -> Runnable:
    """Return the built-in *text* as a model to run.

    Raises:
        ModelError: an option is unknown.
    """
    return _runnable(parse_spec(text, options))


def _runnable(spec: Spec) -> Runnable:
    return Runnable(
        name=str(spec),
        make=lambda device: Made(module=build(spec, device=device), inputs=(spec.input,)),
        devices=("meta",),
        is_fixed=True,
        source="built-in",
        notes=spec.notes,
    )
