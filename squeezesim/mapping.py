"""Mappings of networks: how each layer is tiled, in which order, what stays; written to files and read back.

    {"format": "squeezesim.mapping", "version": 5, "network": …, "accelerator": …, "layers": [
    {"name": "conv1", "dataflow": "rs", "order": "PKC", "tile": {"n": 1, "y": 7, "x": 55, "g": 1, "k": 96, "c": 1},
     "stays": ["weights"]}], "placement": [{"name": "conv1", "outputs": "buffer", "kept_bytes": 193600}]}

Version 1 had no ``stays`` and ``single``, which may be left out; version 2 no ``placement``, which says where operands
live, in a memory unless it is said; version 3 no ``laid_by``, the objective by which tiles are laid on the array where
it is not the mapper's, and no weights that stay between inferences; version 4 no inputs that stay in one slot. A file
may name some layers of a network; the others are searched. What is added to it later raises the version, and every
later version of squeezesim reads the files of all versions before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from squeezesim.cost.costs import HOMED, HOMES, homes_of
from squeezesim.cost.given import LayerHomes, LayerMapping
from squeezesim.cost.layings import LAID_BY
from squeezesim.cost.traffic import AXES
from squeezesim.errors import MappingError, UsageError, nearest
from squeezesim.files import atomic_write, json_line, parse_json, read_bytes
from squeezesim.network.checks import MAX_TEXT, show

if TYPE_CHECKING:
    from squeezesim.cost.costs import Costs
    from squeezesim.network import Layer, Network

FORMAT = "squeezesim.mapping"
VERSION = 5

MAX_BYTES = 64 * 2**20
"""Largest mapping that is read."""

_KEYS = ("format", "version", "network", "accelerator", "layers")
_LAYER_KEYS = ("name", "dataflow", "order", "tile")
_HELD_KEYS = ("stays", "single")  # since version 2, optional
_LAID_BY = "laid_by"  # since version 4, optional
_PLACEMENT = "placement"  # since version 3, optional


@dataclass(frozen=True, slots=True)
class Mapping:
    """How layers of a network are mapped onto an accelerator, as a result has it or as a compiler chose.

    Attributes:
        layers: dataflow, loop order, tile sizes and what stays, by the layer's name.
        network: what it was made for; it may be costed with any network that has its layers.
        accelerator: the same.
        source: the file that it was read from.
        placement: where operands live that are not all in memories, by the layer's name, of layers without MACs too.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate("alexnet", "eyeriss")
        >>> again = sq.simulate("alexnet", "eyeriss", mapping=report.mapping)
        >>> again.totals == report.totals
        True
    """

    layers: dict[str, LayerMapping]
    network: str = ""
    accelerator: str = ""
    source: str = field(default="", compare=False)
    placement: dict[str, LayerHomes] = field(default_factory=dict)

    @classmethod
    def of(cls, network: Network, accelerator: str, costs: Costs) -> Mapping:
        """Return the mappings of the layers of *network*, on the only accelerator of *costs*."""
        layers = {
            layer.name: LayerMapping.of_costs(costs, number)
            for number, layer in enumerate(network.layers)
            if layer.kind == "mac"
        }
        placement = {
            layer.name: LayerHomes(tuple(HOMES[home] for home in homes), kept)
            for layer, homes, kept in zip(
                network.layers, costs.homes[0].tolist(), costs.kept_bytes[0].tolist(), strict=True
            )
            if kept or any(homes)
        }
        return cls(layers, network.name, accelerator, placement=placement)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Mapping:
        """Read the mapping in the file *path*; a file of a stranger is safe to load.

        Raises:
            MappingError: the file is missing, unreadable, larger than 64 MiB, malformed or of another version.
        """
        name = fspath(path)
        content = read_bytes(path, MAX_BYTES, "mapping", MappingError)
        try:
            return _decode(content, name)
        except MappingError as error:
            raise MappingError(f"{name!r}: {error}") from None

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to *path* as JSON, a layer a line.

        Raises:
            OutputError: the file cannot be written.
        """
        atomic_write(path, self.to_json())

    def to_json(self) -> str:
        """Return the text of the file."""
        header = {
            "format": FORMAT,
            "version": VERSION,
            "network": self.network,
            "accelerator": self.accelerator,
        }
        lines = [f"{json_line(key)}: {json_line(value)}," for key, value in header.items()]
        rows = [
            json_line(
                {
                    "name": name,
                    "dataflow": mapping.dataflow,
                    "order": mapping.order,
                    "tile": dict(zip(AXES, mapping.tile, strict=True)),
                    **{key: list(held) for key in _HELD_KEYS if (held := getattr(mapping, key))},
                    **({_LAID_BY: mapping.laid_by} if mapping.laid_by else {}),
                }
            )
            for name, mapping in self.layers.items()
        ]
        text = ["{", *lines, '"layers": [', ",\n".join(rows), "]"]
        if self.placement:
            placed = [
                json_line(
                    {
                        "name": name,
                        **{key: home for key, home in zip(HOMED, at.homes, strict=True) if home != HOMES[0]},
                        **({} if at.kept_bytes is None else {"kept_bytes": at.kept_bytes}),
                    }
                )
                for name, at in self.placement.items()
            ]
            text[-1:] = ["],", f'"{_PLACEMENT}": [', ",\n".join(placed), "]"]
        return "\n".join([*text, "}"]) + "\n"

    def of_layers(self, layers: Sequence[Layer]) -> dict[int, LayerMapping]:
        """Return the mappings by the index of their layer among *layers*.

        Raises:
            MappingError: there is no such layer, or it has no MACs.
        """
        index = {layer.name: number for number, layer in enumerate(layers)}
        for name in self.layers:
            if name not in index:
                raise MappingError(f"layer {show(name)} is none of the network's{nearest(str(name), index)}")
            if layers[index[name]].kind != "mac":
                raise MappingError(f"layer {show(name)} has no MACs; allowed: layers that have some")
        return {index[name]: mapping for name, mapping in self.layers.items()}

    def homes_of_layers(self, layers: Sequence[Layer]) -> dict[int, LayerHomes]:
        """Return where operands live by the index of their layer among *layers*.

        Raises:
            MappingError: there is no such layer.
        """
        index = {layer.name: number for number, layer in enumerate(layers)}
        for name in self.placement:
            if name not in index:
                raise MappingError(
                    f"{_PLACEMENT}: layer {show(name)} is none of the network's{nearest(str(name), index)}"
                )
        return {index[name]: at for name, at in self.placement.items()}


GivenMapping = Mapping | str | PathLike[str]


def mapping_of(given: GivenMapping) -> Mapping:
    """Return the mapping that *given* is, or that is in the file of that name.

    Raises:
        UsageError: it is neither.
        MappingError: the file cannot be read.
    """
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, (str, PathLike)):
        raise UsageError(f"mapping {show(given)}; allowed: a Mapping, or the path of a file")
    return Mapping.load(given)


def _decode(content: bytes, source: str) -> Mapping:
    document = parse_json(content, "a mapping", MappingError)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise MappingError(f'no mapping: it must be an object with "format": "{FORMAT}"')
    if "version" not in document:
        raise MappingError(f"a mapping lacks 'version'; this program reads 1 to {VERSION}")
    version = document["version"]
    if type(version) is not int or not 1 <= version <= VERSION:
        raise MappingError(f"a mapping of version {show(version)}; this program reads 1 to {VERSION}")
    _check_keys("a mapping", document, _KEYS, [_PLACEMENT] if version > 2 else ())
    network, accelerator = (_text(key, document[key], empty=True) for key in ("network", "accelerator"))
    rows = document["layers"]
    if not isinstance(rows, list):
        raise MappingError(f"layers must be a list, found {show(rows)}")
    if not rows:
        raise MappingError(
            "layers is empty, so that it names no layer; allowed: one or more layers with MACs"
        )
    layers: dict[str, LayerMapping] = {}
    for number, row in enumerate(rows, start=1):
        where = f"entry {number} of layers"
        if not isinstance(row, dict):
            raise MappingError(f"{where} must be an object, found {show(row)}")
        name = _text(f"{where}: name", row.get("name"))
        if name in layers:
            raise MappingError(f"layer {show(name)} is there twice; allowed: once")
        optional = [*(_HELD_KEYS if version > 1 else ()), *([_LAID_BY] if version > 3 else ())]
        _check_keys(f"layer {show(name)}", row, _LAYER_KEYS, optional)
        tile = row["tile"]
        if not isinstance(tile, dict):
            raise MappingError(f"layer {show(name)}: tile must be an object, found {show(tile)}")
        _check_keys(f"tile of layer {show(name)}", tile, AXES)
        held = {key: row.get(key, []) for key in _HELD_KEYS}
        for key, operands in held.items():
            if not isinstance(operands, list):
                raise MappingError(f"layer {show(name)}: {key} must be a list, found {show(operands)}")
        sizes = tuple(tile[axis] for axis in AXES)
        stays, single = map(tuple, held.values())
        laid_by = row.get(_LAID_BY, "")
        if _LAID_BY in row and laid_by not in LAID_BY[1:]:
            near = nearest(laid_by, LAID_BY[1:]) if isinstance(laid_by, str) else ""
            raise MappingError(
                f"layer {show(name)}: {_LAID_BY} {show(laid_by)}; allowed: {', '.join(LAID_BY[1:])}{near}"
            )
        layers[name] = LayerMapping(row["dataflow"], row["order"], sizes, stays, single, laid_by)
    return Mapping(layers, network, accelerator, source, _placement(document.get(_PLACEMENT, [])))


def _placement(rows: object) -> dict[str, LayerHomes]:
    if not isinstance(rows, list):
        raise MappingError(f"{_PLACEMENT} must be a list, found {show(rows)}")
    found: dict[str, LayerHomes] = {}
    for number, row in enumerate(rows, start=1):
        where = f"entry {number} of {_PLACEMENT}"
        if not isinstance(row, dict):
            raise MappingError(f"{where} must be an object, found {show(row)}")
        name = _text(f"{where}: name", row.get("name"))
        where = f"{_PLACEMENT} of layer {show(name)}"
        if name in found:
            raise MappingError(f"{where} is there twice; allowed: once")
        _check_keys(where, row, ["name"], [*HOMED, "kept_bytes"])
        homes = tuple(row.get(key, HOMES[0]) for key in HOMED)
        for key, home in zip(HOMED, homes, strict=True):
            if home not in (known := homes_of(key)):
                near = nearest(home, known) if isinstance(home, str) else ""
                raise MappingError(f"{where}: {key} {show(home)}; allowed: {', '.join(known)}{near}")
        kept = row.get("kept_bytes")
        if kept is not None and (type(kept) is not int or kept < 0):
            raise MappingError(f"{where}: kept_bytes must be an integer of at least 0, found {show(kept)}")
        found[name] = LayerHomes(homes, kept)
    return found


def _check_keys(
    where: str, found: dict[str, Any], known: Sequence[str], optional: Sequence[str] = ()
) -> None:
    allowed = (*known, *optional)
    for key in found:
        if key not in allowed:
            raise MappingError(
                f"{where}: unknown key {show(key)}; allowed: {', '.join(allowed)}{nearest(key, allowed)}"
            )
    for key in known:
        if key not in found:
            raise MappingError(f"{where} lacks {key!r}; needed: {', '.join(known)}")


def _text(where: str, value: object, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not value.isprintable() or not (value or empty):
        raise MappingError(
            f"{where} must be printable text of at most {MAX_TEXT} characters, found {show(value)}"
        )
    return value
