"""The built-in network that a report is of, and a change to its options: a smaller first filter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from squeezesim.errors import HardwareError, ModelError
from squeezesim.explore.advise.proposal import RETRAINED, Proposal
from squeezesim.load import load
from squeezesim.network import Network
from squeezesim.network.passes import fuse
from squeezesim.zoo.registry import Spec, parse_spec

if TYPE_CHECKING:
    from squeezesim.explore.advise.runs import Runs
    from squeezesim.report.report import Report


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A report's network as the built-in one that it is, with the literal shape of its input."""

    spec: Spec
    shape: tuple[int, ...]

    @classmethod
    def of(cls, report: Report, *, cache: bool) -> BuiltIn | None:
        """Return what the network of *report* is called, where it is that; None where it is none, or was changed."""
        network = report.network
        if network.source != "built-in" or len(network.inputs) != 1:
            return None
        shape = network.inputs[0][1]
        with suppress(ModelError):
            found = cls(parse_spec(network.name), shape)
            if found.network(cache=cache).layers == network.layers:
                return found
        return None

    def network(self, *, cache: bool, **changes: Any) -> Network:
        """Return the fused network with *changes* to its options.

        Raises:
            ModelError: a value is not allowed, or the network does not accept the input.
        """
        options: dict[str, Any] = {**self.spec.changes, **changes}
        return fuse(load(self.spec.entry.name, input_shape=self.shape, cache=cache, **options))


def kernels(report: Report, runs: Runs, own: BuiltIn, layer: str = "", *, cache: bool) -> Iterator[Proposal]:
    """Yield a first filter two smaller in height and width, where that is an option of the network."""
    size = own.spec.options.get("conv1")
    if not isinstance(size, int) or size < 3:
        return
    with suppress(HardwareError, ModelError):
        after = runs.report(own.network(cache=cache, conv1=size - 2))
        change = f"option conv1 {size} → {size - 2}: the first filter {size}×{size} → {size - 2}×{size - 2}"
        yield Proposal("kernel", change, RETRAINED, report, after, layer)
