"""Network: a frozen list of layers with its inputs, its totals and what could not be modelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from squeezesim.errors import ModelError
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, check_edges, check_text, check_totals, show

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from squeezesim.network.layer import Layer

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unmodelled:
    """An operator that has no rule: its name, how often it ran and the module where it ran first."""

    op: str
    count: int
    module: str

    def __post_init__(self) -> None:
        check_text("an unmodelled operator", self.op, empty=False)
        check_text(f"the module of {self.op!r}", self.module)
        if type(self.count) is not int or not 1 <= self.count <= MAX_COUNT:
            raise ModelError(f"the count of {self.op!r} must be a positive integer, found {show(self.count)}")


@dataclass(frozen=True)
class Network:
    """Layers in the order in which they run; each reads only the network's inputs and layers before it.

    Raises:
        ModelError: two layers share a name, or a layer reads what is not there before it.

    Example:
        >>> from squeezesim.network import Layer
        >>> Network.from_layers([Layer.matmul("fc", m=1, n=1000, k=128)]).macs
        128000
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[tuple[str, Shape], ...] = ()
    unmodelled: tuple[Unmodelled, ...] = ()
    unread_params: int = 0  # learnable values that no layer reads
    notes: tuple[str, ...] = ()  # what a reader of the results must know about this network
    source: str = ""  # where it came from: built-in, a file, a class

    def __post_init__(self) -> None:
        check_text("the name of a network", self.name, empty=False)
        check_text("the source of a network", self.source)
        for note in self.notes:
            check_text("a note", note)
        if type(self.unread_params) is not int or not 0 <= self.unread_params <= MAX_COUNT:
            raise ModelError(
                f"unread_params must be an integer from 0 to {MAX_COUNT}, found {show(self.unread_params)}"
            )
        for name, shape in self.inputs:
            check_text("the name of an input", name, empty=False)
            if any(type(size) is not int or not 0 <= size <= MAX_SIZE for size in shape):
                raise ModelError(
                    f"input {name!r}: sizes must be integers from 0 to {MAX_SIZE}, found {show(shape)}"
                )
        names = [name for name, _ in self.inputs]
        if len(set(names)) < len(names):
            raise ModelError(f"network {self.name!r}: two inputs share a name: {', '.join(names)}")
        check_edges(self.name, names, self.layers)
        check_totals(self.name, self.layers)

    @classmethod
    def from_layers(cls, layers: Iterable[Layer], name: str = "custom") -> Network:
        """Return a network of *layers*; one that names no inputs reads the one before it, the first "input".

        Raises:
            ModelError: there is no layer, names repeat, or a layer reads what is not there before it.
        """
        given = list(layers)
        if not given:
            raise ModelError(f"network {name!r} has no layers")
        first = given[0]
        previous = "input"
        chained: list[Layer] = []
        for layer in given:
            chained.append(layer if layer.inputs else dataclasses.replace(layer, inputs=(previous,)))
            previous = layer.name
        shape = (first.n, first.g * first.c, first.iy, first.ix)
        return cls(name=name, layers=tuple(chained), inputs=(("input", shape),), source="layers")

    @cached_property
    def params(self) -> int:
        """Learnable values, each once, whether or not a layer uses it: Σ of what layers own, and the rest."""
        return sum(layer.params for layer in self.layers) + self.unread_params

    @cached_property
    def macs(self) -> int:
        """Multiply–accumulates of all convolutions and matrix products."""
        return sum(layer.macs for layer in self.layers)

    @cached_property
    def vector_ops(self) -> int:
        """Operations on single elements: one for each output element and operator, or window element."""
        return sum(layer.vector_ops for layer in self.layers)

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages in the order in which they begin."""
        return tuple(dict.fromkeys(layer.stage for layer in self.layers if layer.stage))

    @cached_property
    def fused(self) -> Network:
        """The network as it is costed: batch-norm, bias and activations are part of the layers that they follow."""
        from squeezesim.network.passes import fuse

        return fuse(self)

    def unrolled(self) -> Network:
        """Return the network with every step of its recurrences as layers of its own, in the order in which they run.

        Step t of a layer is called ``NAME#t``, the first ``NAME``. What reads a recurrence from outside reads all of
        its steps; a recurrence of as many steps reads step by step. Counts and costs are the same.

        Raises:
            ModelError: it has more than a million layers.
        """
        from squeezesim.network.passes import unroll

        return unroll(self)

    def with_stages(self, *rules: str) -> Network:
        """Return the network with other stages: ``resolution``, or patterns of module paths as ``blocks.*``.

        Without *rules* the stages are those that module paths say; see ``passes.mark_stages``.

        Raises:
            UsageError: a pattern matches no layer.
        """
        from squeezesim.network.passes import mark_stages

        return mark_stages(self, *rules)

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame with one row a layer."""
        import pandas as pd

        rows = [
            {
                "name": layer.name,
                "op": layer.op,
                "kind": layer.kind,
                "stage": layer.stage,
                "inputs": ", ".join(layer.inputs),
                "n": layer.n,
                "groups": layer.g,
                "k": layer.k,
                "c": layer.c,
                "oy": layer.oy,
                "ox": layer.ox,
                "fy": layer.fy,
                "fx": layer.fx,
                "stride": "x".join(map(str, layer.stride)),
                "params": layer.params,
                "macs": layer.macs,
                "vector_ops": layer.vector_ops,
                "input_elements": layer.input_elements,
                "weight_elements": layer.weight_elements,
                "output_elements": layer.output_elements,
                "repeat": layer.repeat,
                "shared": ", ".join(layer.shared),
            }
            for layer in self.layers
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> str:
        """Return the text of a ``.graph.json`` file: one layer a line, the same bytes for equal networks."""
        from squeezesim.network.graph_file import encode

        return encode(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Network:
        """Return the network that ``to_json`` wrote.

        Raises:
            ModelError: the text is no such file, or says what a network may not say.
        """
        from squeezesim.network.graph_file import decode

        return decode(text)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to *path* (by habit ``<name>.graph.json``), whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        from squeezesim.files import atomic_write

        atomic_write(path, self.to_json())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Read the network that ``save`` wrote to *path*; a file of a stranger is safe to load.

        Raises:
            ModelError: the file is missing, unreadable or malformed.
        """
        from squeezesim.network.graph_file import read

        return read(path)

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in self.inputs)
        lines = [
            f"{self.name} ({shapes})",
            f"  {counts(len(self.layers), self.params, self.macs)}, {self.vector_ops:,} vector ops",
        ]
        for stage in self.stages:
            members = [layer for layer in self.layers if layer.stage == stage]
            sizes = counts(
                len(members), sum(layer.params for layer in members), sum(layer.macs for layer in members)
            )
            lines.append(f"  {stage:<8} {sizes}")
        if self.unmodelled:
            counted = ", ".join(f"{item.op} ×{item.count}" for item in self.unmodelled)
            lines.append(f"  not modelled: {counted}")
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def __repr__(self) -> str:
        from squeezesim.network.notebook import screen

        return screen(self)

    def _repr_html_(self) -> str:
        from squeezesim.network.notebook import html

        return html(self)


def counts(layers: int, params: int, macs: int) -> str:
    """Return ``1 layer, 224 params, 194,400 MACs``."""
    return f"{layers:,} layer{'' if layers == 1 else 's'}, {params:,} params, {macs:,} MACs"
