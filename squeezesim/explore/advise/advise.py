"""advise: the changes to a network or its accelerator that save most cycles, each simulated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from squeezesim.explore.advise.accelerators import accelerators
from squeezesim.explore.advise.blocks import blocks
from squeezesim.explore.advise.built_in import BuiltIn, kernels
from squeezesim.explore.advise.channels import channels
from squeezesim.explore.advise.runs import Runs
from squeezesim.report.explain import MOST, explain

if TYPE_CHECKING:
    from squeezesim.explore.advise.proposal import Proposal
    from squeezesim.report.report import Report

LEAST = 0.001
"""Part of the cycles, of the network or of the layer asked for, that a proposal saves at least."""

_EACH = 2  # of each kind


def advise(report: Report, layer: str | None = None, most: int = 8, *, cache: bool = True) -> list[Proposal]:
    """Return the *most* changes that save most cycles of the network, or of *layer* and some of it, the best first.

    Tried are another dataflow beside the array's own, twice the buffer and twice the bandwidth; channels down to a
    multiple of the array's columns; and, of a built-in network, a first filter that is smaller by two, where its size
    is an option, and a block moved between two stages. Of each kind at most two are returned, and none that saves less
    than 0.1 %. Each is simulated: what it saves is the difference of two reports.

    Args:
        report: what ``simulate`` returned.
        layer: a layer whose cycles are to be saved.
        most: how many proposals.
        cache: keep and read traced networks on disk.

    Raises:
        UsageError: there is no such layer.

    Example:
        >>> import squeezesim as sq
        >>> report = sq.simulate(sq.load("squeezenet_1_0"), sq.Accelerator.named("squeezelerator_16x16"))
        >>> advise(report)[0].kind
        'kernel'
    """
    explained = explain(report, layer)  # raises where there is no such layer
    longest = {name for part in explained[:MOST] for name in part.layers}
    best: list[Proposal] = []
    tried = _tried(report, longest, layer or "", cache=cache)
    found = [each for each in tried if each.saved_cycles > 0 and _gain(each) > 0]
    for each in sorted(found, key=_gain, reverse=True):
        if sum(other.kind == each.kind for other in best) < _EACH and _gain(each) >= LEAST * _cycles(each):
            best.append(each)
    return best[:most]


def _tried(report: Report, longest: set[str], layer: str, *, cache: bool) -> Iterator[Proposal]:
    runs = Runs(report)
    yield from accelerators(report, layer)
    yield from channels(report, runs, longest, layer)
    if own := BuiltIn.of(report, cache=cache):
        if any(each.name in longest for each in report.network.layers if each.stage == "stem"):
            yield from kernels(report, runs, own, layer, cache=cache)
        if not layer:
            yield from blocks(report, runs, own, cache=cache)


def _gain(proposal: Proposal) -> int:
    saved = proposal.saved_layer_cycles
    return proposal.saved_cycles if saved is None else saved


def _cycles(proposal: Proposal) -> int:
    whole = zip(proposal.before.network.layers, proposal.before.tally.cycles.tolist(), strict=True)
    return sum(cycles for layer, cycles in whole if proposal.layer in ("", layer.name))
