"""Network: a frozen list of layers with its inputs and totals, its JSON file and what notebooks show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from squeezesim.errors import ModelError, nearest
from squeezesim.network.transforms import fuse, mark_stages, unroll

if TYPE_CHECKING:
    from squeezesim.network.layer import Layer
import json
from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from os import PathLike, fspath
from typing import TYPE_CHECKING

from squeezesim.files import atomic_write, json_line, parse_json, read_bytes
from squeezesim.markup import Part, bar, block, table
from squeezesim.network.checks import MAX_COUNT, MAX_SIZE, check_text, derive, shape_text, show
from squeezesim.network.layer import Layer, check_edges, check_totals

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

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

    The constructor and ``dataclasses.replace`` check all of it; passes make networks of checked ones with ``derive``.

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

        Example:
            >>> from squeezesim.network import Layer
            >>> a = Layer.conv("a", c=3, k=8, oy=16, ox=16, fy=3, fx=3)
            >>> Network.from_layers([a, Layer.matmul("b", m=1, n=10, k=8)]).layers[1].inputs
            ('a',)
        """
        given = list(layers)
        if not given:
            raise ModelError(f"network {name!r} has no layers")
        first = given[0]
        previous = "input"
        chained: list[Layer] = []
        for layer in given:
            chained.append(layer if layer.inputs else derive(layer, inputs=(previous,)))
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
        return derive(self, layers=fuse(self.layers))

    def unrolled(self) -> Network:
        """Return the network with every step of its recurrences as layers of its own, in the order in which they run.

        Step t of a layer is called ``NAME#t``, the first ``NAME``; of ``NAME#2``, which has a number, the numbers go on
        where no other layer has them. What reads a recurrence from outside reads all of its steps; a recurrence of as
        many steps reads step by step. Counts are the same, and so are costs where no weights stay in the buffer from
        step to step.

        Raises:
            ModelError: it has more than a million layers.
        """
        return derive(self, layers=unroll(self.name, [name for name, _ in self.inputs], self.layers))

    def with_stages(self, *rules: str) -> Network:
        """Return the network with other stages: ``resolution``, or patterns of module paths as ``blocks.*``.

        Without *rules* the stages are those that module paths say; see ``passes.mark_stages``.

        Raises:
            UsageError: a pattern matches no layer.

        Example:
            >>> from squeezesim.load import load
            >>> load("alexnet").with_stages("convolutions=st*", "classifier=head").stages
            ('convolutions', 'classifier')
        """
        return derive(self, layers=mark_stages(self.layers, *rules))

    def to_frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame with a row for each layer: names, loop sizes, elements and counts.

        Example:
            >>> from squeezesim.load import load
            >>> int(load("alexnet").to_frame().macs.sum()) == load("alexnet").macs
            True
        """
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
        """Return the text of a ``.graph.json`` file: one layer a line, the same bytes for equal networks.

        Example:
            >>> from squeezesim.load import load
            >>> Network.from_json(load("alexnet").to_json()) == load("alexnet")
            True
        """

        return encode(self)

    @classmethod
    def from_json(cls, text: str | bytes) -> Network:
        """Return the network that ``to_json`` wrote.

        Raises:
            ModelError: the text is no such file, or says what a network may not say.
        """

        return decode(text)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the network to *path* (by habit ``<name>.graph.json``), whole or not at all.

        Raises:
            OutputError: the file cannot be written.
        """
        atomic_write(path, self.to_json())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Network:
        """Read the network that ``save`` wrote to *path*; a file of a stranger is safe to load.

        Raises:
            ModelError: the file is missing, unreadable or malformed.
        """

        return read(path)

    def input_texts(self, times: str = "x") -> list[str]:
        """Return how inputs are written: ``x 1x3x224x224``, ``sr scalar``, or ``sr = 16000`` where a note says so."""
        given = [note.removeprefix(_GIVEN).partition(" = ") for note in self.notes if note.startswith(_GIVEN)]
        values = {name: value for name, equals, value in given if equals}
        texts = []
        for name, shape in self.inputs:
            value = values.get(show(name)[1:-1])
            texts.append(f"{name} {shape_text(shape, times)}" if value is None else f"{name} = {value}")
        return texts

    def __str__(self) -> str:
        lines = [
            f"{self.name} ({', '.join(self.input_texts())})",
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

        return screen(self)

    def _repr_html_(self) -> str:

        return html(self)


_GIVEN = "input "


def value_note(name: str, value: object) -> str:
    """Return how a network says the *value* of an input that was given one, ``input sr = 16000``."""
    return f"{_GIVEN}{show(name)[1:-1]} = {show(value)}"


def counts(layers: int, params: int, macs: int) -> str:
    """Return ``1 layer, 224 params, 194,400 MACs``."""
    return f"{layers:,} layer{'' if layers == 1 else 's'}, {params:,} params, {macs:,} MACs"


FORMAT = "squeezesim.network"
VERSION = 2
_READ = (
    1,
    2,
)  # version 1 had no recurrences, each of their steps was a layer, and said nothing of what layers share
MAX_BYTES = 256 * 2**20
"""Largest file that is read; a network of 100,000 layers takes about 30 MB."""

# A layer's ``module`` is left out where it equals the name, ``inputs`` where it reads just the layer before.
_DEFAULTS = {field.name: field.default for field in fields(Layer) if field.name not in ("name", "op", "kind")}
_KEYS = frozenset(_DEFAULTS) | {"name", "op", "kind"}
_TUPLES = ("inputs", "fused", "carried", "shared", "stride", "dilation", "padding", "pool")
_HEADER = ("format", "version", "name", "source", "inputs", "unread_params", "unmodelled", "notes", "layers")


def encode(network: Network) -> str:
    """Return *network* as JSON, defaults left out; equal networks give the same text."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": network.name,
        "source": network.source,
        "inputs": {name: list(shape) for name, shape in network.inputs},
        "unread_params": network.unread_params,
        "unmodelled": [[item.op, item.count, item.module] for item in network.unmodelled],
        "notes": list(network.notes),
    }
    lines = [f"{json.dumps(key)}: {json_line(value)}," for key, value in header.items()]
    previous = _first_input(network.inputs)
    rows: list[str] = []
    for layer in network.layers:
        rows.append(json_line(_encode_layer(layer, previous)))
        previous = (layer.name,)
    return "{\n" + "\n".join(lines) + '\n"layers": [\n' + ",\n".join(rows) + "\n]\n}\n"


def decode(text: str | bytes) -> Network:
    """Return the network that *text* describes.

    Raises:
        ModelError: one line that says what is wrong.
    """
    return decode_document(parse_json(text, "a network file", ModelError))


def decode_document(document: Any) -> Network:
    """Return the network that *document*, a parsed network file, describes.

    Raises:
        ModelError: one line that says what is wrong.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ModelError(f'no network file: it must be an object with "format": "{FORMAT}"')
    if document.get("version") not in _READ:
        read = " and ".join(map(str, _READ))
        raise ModelError(
            f"a network file of version {show(document.get('version'))}; this program reads {read}"
        )
    _no_unknown_keys("the network file", document, _HEADER)
    inputs = _mapping(document, "inputs")
    shapes = tuple(
        (name, tuple(_list(shape, f"the shape of input {show(name)}"))) for name, shape in inputs.items()
    )
    layers: list[Layer] = []
    previous = _first_input(shapes)
    for number, record in enumerate(_list(document.get("layers"), "layers"), 1):
        layer = _decode_layer(record, number, previous)
        layers.append(layer)
        previous = (layer.name,)
    return Network(
        name=document.get("name", ""),
        layers=tuple(layers),
        inputs=shapes,
        unmodelled=tuple(_unmodelled(item) for item in _list(document.get("unmodelled", []), "unmodelled")),
        unread_params=document.get("unread_params", 0),
        notes=tuple(_list(document.get("notes", []), "notes")),
        source=document.get("source", ""),
    )


def read(path: str | PathLike[str]) -> Network:
    """Return the network in the file *path*.

    Raises:
        ModelError: the file is missing, unreadable, larger than 256 MiB or malformed.
    """
    content = read_bytes(path, MAX_BYTES, "network file", ModelError)
    try:
        return decode(content)
    except ModelError as error:
        raise ModelError(f"{fspath(path)!r}: {error}") from None


def _first_input(inputs: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[str, ...]:
    return (inputs[0][0],) if inputs else ()


def _encode_layer(layer: Layer, previous: tuple[str, ...]) -> dict[str, Any]:
    record: dict[str, Any] = {"name": layer.name, "op": layer.op, "kind": layer.kind}
    implied = _DEFAULTS | {"module": layer.name, "inputs": previous}
    for key, default in implied.items():
        value = getattr(layer, key)
        if value != default:
            record[key] = value
    return record


def _decode_layer(record: Any, number: int, previous: tuple[str, ...]) -> Layer:
    if not isinstance(record, dict):
        raise ModelError(f"layer {number} must be an object, found {show(record)}")
    _no_unknown_keys(f"layer {number}", record, _KEYS)
    for key in ("name", "op", "kind"):
        if key not in record:
            raise ModelError(f"layer {number} has no {key!r}")
    values = {"module": record["name"], "inputs": previous} | record
    for key in _TUPLES:
        if type(values.get(key)) is list:
            values[key] = tuple(values[key])
    return Layer(**values)


def _unmodelled(item: Any) -> Unmodelled:
    if not isinstance(item, list) or len(item) != 3:
        raise ModelError(f"an unmodelled operator must be [op, count, module], found {show(item)}")
    return Unmodelled(*item)


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ModelError(f"{key} must be an object, found {show(value)}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ModelError(f"{what} must be a list, found {show(value)}")
    return value


def _no_unknown_keys(where: str, record: dict[str, Any], known: frozenset[str] | tuple[str, ...]) -> None:
    if unknown := record.keys() - set(known):
        key = min(unknown)
        raise ModelError(f"{where} has the unknown key {show(key)}{nearest(key, known)}")


MOST = 16
"""Lines below the heading."""
_MACS, _PARAMS = "#332288", "#004A30"  # executed MACs and weights in figures


def screen(network: Network) -> str:
    """Return *network* on one screen: its text, with what is beyond the first lines counted."""
    lines = str(network).splitlines()
    hidden = len(lines) - 1 - MOST
    return "\n".join([*lines[: MOST + 1], f"  … {hidden} more"] if hidden > 1 else lines)


def html(network: Network) -> str:
    """Return *network* as HTML: its stages with bars of their part of the MACs and of the params."""
    rows = []
    for stage in network.stages[:MOST] or ("",):
        layers = [layer for layer in network.layers if layer.stage == stage]
        kinds = Counter(layer.kind for layer in layers)
        macs, params = sum(layer.macs for layer in layers), sum(layer.params for layer in layers)
        bars = [
            bar([Part(part / whole if whole else 0, colour, f"{part:,} of {whole:,} {what}")], width=100)
            for part, whole, colour, what in (
                (macs, network.macs, _MACS, "MACs"),
                (params, network.params, _PARAMS, "params"),
            )
        ]
        rows.append(
            (stage or "–", str(len(layers)), str(kinds["mac"]), f"{macs:,}", bars[0], f"{params:,}", bars[1])
        )
    headers = ("stage", "layers", "with MACs", "MACs", "part of all", "params", "part of all")
    shapes = ", ".join(network.input_texts())
    sizes = counts(len(network.layers), network.params, network.macs)
    hidden = len(network.stages) - MOST
    notes = [f"… {hidden} more stages"] if hidden > 0 else []
    unknown = [f"not modelled: {item.op} ×{item.count}" for item in network.unmodelled[:MOST]]
    return block(
        f"{network.name} ({shapes}): {sizes}", table(headers, rows), *notes, *unknown, *network.notes
    )


_MOST_LISTED = 5


def check_multiplies(network: Network) -> None:
    """Check that there is something to cost in *network*.

    Raises:
        ModelError: no layer of it multiplies.
    """
    if network.macs == 0:
        why = "nothing in it is a convolution or a matrix product"
        if network.unmodelled:
            listed = [f"{item.op} ×{item.count}" for item in network.unmodelled]
            more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
            why = f"nothing that is modelled in it multiplies; not modelled: {', '.join(listed[:_MOST_LISTED])}{more}"
        raise ModelError(f"network {show(network.name)} has no MAC layer: {why}")
