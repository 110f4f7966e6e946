"""What compresses a network while it is loaded: a mapping of passes, in a model's word or from options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from squeezesim.errors import UsageError, nearest
from squeezesim.load.files import exists
from squeezesim.network.checks import MAX_TEXT, show
from squeezesim.network.compress.recipe import PASSES, compress, read_recipe
from squeezesim.network.compress.rules import rule_texts

if TYPE_CHECKING:
    from torch import nn

    from squeezesim.network import Network
    from squeezesim.network.compress.rules import Given, Value

FILE = "compress"
"""What names a recipe's file where the others name a pass."""

_PART = re.compile(r"\+([A-Za-z][A-Za-z_-]*)=")


@dataclass(frozen=True, slots=True)
class Compression:
    """The passes that a model's word or the options ask for; those of *file* come after the *rules*."""

    rules: Mapping[str, Mapping[str, Value]]  # pass → pattern → value
    file: str = ""

    @classmethod
    def read(cls, given: Mapping[str, Sequence[str] | None], file: str = "", sign: str = "--") -> Compression:
        """Return what *given* says: texts ``VALUE`` or ``PATTERN=VALUE`` by pass; *sign* stands before it in errors.

        Raises:
            UsageError: a text has no value, or a pattern stands twice.
        """
        return cls({name: _rules(name, given[name] or (), sign) for name in PASSES if given.get(name)}, file)

    def __str__(self) -> str:
        parts = [f"{name} {text}" for name, rules in self.rules.items() for text in rule_texts(rules)]
        return ", ".join([*parts, *self.files])

    @property
    def files(self) -> list[str]:
        """The files that are read."""
        return [self.file] if self.file else []

    def __bool__(self) -> bool:
        return bool(self.rules or self.file)

    def applied(self, network: Network, module: Callable[[], nn.Module]) -> Network:
        """Return *network* after the passes, with a note where they change no layer.

        *module* gives the trained module, and is asked for it where a value is of real weights.

        Raises:
            UsageError: a value or a pattern is none of a pass, or there is no trained module.
            ModelError: filters that a pattern names in full cannot be removed.
        """
        if not self:
            return network
        recipe: dict[str, Given] = dict(read_recipe(self.file)) if self.file else {}
        for name, rules in self.rules.items():
            later = recipe.get(name, {})
            recipe[name] = {**rules, **_without(later if isinstance(later, Mapping) else {"*": later}, rules)}
        weights = None
        if any(_of_weights(value) for given in recipe.values() for value in _values(given)):
            trained = module()
            from squeezesim.frontends.torch.weights import weights as weights_of

            weights = weights_of(network, trained)
        compressed = compress(network, recipe, weights)
        if compressed.layers != network.layers:
            return compressed
        return replace(compressed, notes=(*compressed.notes, f"no layer changes: {self}"[:MAX_TEXT]))


def split(text: str) -> tuple[str, Compression]:
    """Return the model and the compression of ``MODEL+prune=0.4+quantize=w8a8``; a file of that very name is a model.

    Raises:
        UsageError: there is no such pass, it has no value, or a pattern or a file stands twice.

    Example:
        >>> model, compression = split("squeezenet_1_0+prune=stem*=0.5+prune=0.4")
        >>> model, compression.rules
        ('squeezenet_1_0', {'prune': {'stem*': '0.5', '*': '0.4'}})
    """
    model, *parts = _PART.split(text)
    if not parts or exists(text):
        return text, Compression({})
    given: dict[str, list[str]] = {}
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        name = key.replace("-", "_")
        if name not in (*PASSES, FILE):
            allowed = (*PASSES, FILE)
            raise UsageError(
                f"unknown pass {show(key)} in model {show(text)}; allowed: {', '.join(allowed)}{nearest(name, allowed)}"
            )
        given.setdefault(name, []).append(value)
    files = given.pop(FILE, [])
    if len(files) > 1 or "" in files:
        raise UsageError(f"a recipe is written +{FILE}=FILE, once in a model, found {show(text)}")
    return model, Compression.read(given, "".join(files), sign="+")


def _rules(name: str, texts: Sequence[str], sign: str) -> dict[str, Value]:
    rules: dict[str, Value] = {}
    option = f"{sign}{name.replace('_', '-')}"
    for text in texts:
        pattern, equals, value = text.rpartition("=")
        if not value or (equals and not pattern):
            raise UsageError(f"{option} is written VALUE or PATTERN=VALUE, found {text!r}")
        if rules.setdefault(pattern or "*", value) != value:
            raise UsageError(f"{option} gives the pattern {pattern or '*'!r} two values")
    return rules


def _without(later: Mapping[str, Value], earlier: Mapping[str, Value]) -> dict[str, Value]:
    return {pattern: value for pattern, value in later.items() if pattern not in earlier}


def _values(given: Given) -> list[Value]:
    return list(given.values()) if isinstance(given, Mapping) else [given]


def _of_weights(value: Value) -> bool:
    return isinstance(value, str) and (value == "weights" or value.startswith("energy:"))
