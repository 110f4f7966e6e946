"""Search: designs that NSGA-II, of Optuna, proposes from what earlier ones cost, a generation at a time.

Optuna is asked for all designs of a generation before it is told what any of them costs, so that they are costed
together as one chunk. What it proposes follows from the seed and from what it was told: to go on, a search asks
again for the generations that are there and tells what is stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isnan
from typing import TYPE_CHECKING, Any

from squeezesim.cost.evaluate import Advance
from squeezesim.errors import ArgumentError, OutputError, UsageError, pip_install
from squeezesim.explore.sweep.design_space import Axis, Designs, check_axes, designs_at, free_axes
from squeezesim.explore.sweep.execute import Chunks, Cost, Store, encode
from squeezesim.explore.sweep.plan import (
    column_types,
    cost_designs,
    describe,
    design_columns,
    feasible_mask,
    ranking_column,
    resolve_objectives,
    split_objectives,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from optuna.trial import Trial

    from squeezesim.hardware.accelerator import Accelerator
    from squeezesim.network import Network

MOST = 10_000
"""Designs of a search: Optuna's time for each grows with the number of those before it."""
GENERATION = 20
"""Designs of a generation, and of NSGA-II's population; many small ones come closer to the front than a few large."""
_TRIES = 1_000  # proposals in a row that are repeated or not allowed, after which a search ends


@dataclass(frozen=True)
class Search:
    """NSGA-II over *axes*, *count* designs in all: generations approach the Pareto front of *objectives*.

    No design is costed twice. Each objective of each of several networks is one by itself.

    Attributes:
        where: conditions on parameters; designs that do not meet them are not costed.
        limits: conditions on what a design costs; one that meets them is preferred to one that does not.
    """

    networks: tuple[Network, ...]
    base: Accelerator
    axes: tuple[Axis, ...]
    count: int
    objectives: tuple[str, ...]
    where: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UsageError(f"a search of {self.count:,} designs; allowed: from 1 to {MOST:,}")
        check_axes(self.base, self.axes)
        resolve_objectives(self.objectives, self.base, [axis.path for axis in self.axes])

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """The identity of this search, the version of Optuna included."""
        content = {
            "axes": [asdict(axis) for axis in self.axes],
            "objectives": self.objectives,
            "where": self.where,
            "limits": self.limits,
            "seed": self.seed,
            "search": [self.count, GENERATION],
            "optuna": _optuna().__version__,
        }
        found = describe(self.networks, self.base, [axis.path for axis in self.axes], self.count, content)
        return {**found, "objectives": list(self.objectives), "seed": self.seed}

    @property
    def chunks(self) -> int:
        """Number of generations, unless there are fewer designs than were asked for."""
        return -(-self.count // GENERATION)

    def size(self, number: int) -> int:
        """Rows of generation *number*."""
        return min(GENERATION, self.count - number * GENERATION) * len(self.networks)


def generations(of: Search, store: Store) -> Cost:
    """Return a function that costs generations of a search; those before them are read from *store*.

    It ends early where it finds no other design.

    Raises:
        OutputError: what is in *store* is not what this search proposes.
        UsageError: Optuna is not installed, or no design meets the conditions.
    """

    def cost(numbers: list[int], advance: Advance) -> Chunks:
        proposals, kinds = _Proposals(of), column_types(of.base, of.axes)
        for number in range(max(numbers, default=-1) + 1):
            designs = proposals.ask(of.size(number) // len(of.networks))
            if designs is None:
                return
            first = number * GENERATION
            if number in numbers:
                marks = {**of.about, "chunk": number, "chunks": of.chunks}
                table = cost_designs(of.networks, designs, first, kinds, marks, advance)
                yield number, encode(table)
            else:
                table = store.part(number)
                expected = design_columns(of.networks, designs, first, kinds)
                if any(table[name].combine_chunks() != column for name, column in expected.items()):
                    raise OutputError(
                        f"cannot go on from {str(store.path)!r}: part {number} has other designs; allowed: another path"
                    )
            proposals.tell(table)

    return cost


class _Proposals:
    """Proposals of Optuna, in shares of each axis."""

    def __init__(self, of: Search) -> None:
        optuna = _optuna()
        least, _ = split_objectives(of.objectives)
        directions = ["minimize" if name in least else "maximize" for name in of.objectives]
        between = optuna.distributions.FloatDistribution(0.0, 1.0)
        self._of = of
        self._shares = {axis.path: between for axis in free_axes(of.axes)}
        self._known: set[str] = set()
        self._trials: list[Trial] = []
        with _quiet():
            sampler = optuna.samplers.NSGAIISampler(
                population_size=GENERATION,
                seed=of.seed,
                constraints_func=lambda trial: trial.user_attrs.get("unmet", (0.0,)),
            )
            self._study = optuna.create_study(directions=directions * len(of.networks), sampler=sampler)

    def ask(self, count: int) -> Designs | None:
        """Return the next *count* designs; fewer, and in the end none, where no other ones are found."""
        of, tries = self._of, 0
        self._trials = []
        shares: dict[str, list[float]] = {path: [] for path in self._shares}
        with _quiet():
            while len(self._trials) < count and tries < _TRIES:
                trial = self._study.ask(self._shares)
                design = designs_at(of.base, of.axes, {path: [share] for path, share in trial.params.items()})
                key = repr(design.columns)
                tries += 1
                if key in self._known or not design.meets(of.where)[0]:
                    self._study.tell(trial, state=_optuna().trial.TrialState.FAIL)
                    continue
                tries = 0
                self._known.add(key)
                self._trials.append(trial)
                for path, share in trial.params.items():
                    shares[path].append(share)
        if not self._known:
            raise UsageError(f"none of {_TRIES:,} designs meets {' and '.join(map(repr, of.where))}")
        return designs_at(of.base, of.axes, shares) if self._trials else None

    def tell(self, table: pa.Table) -> None:
        """Report the costs of the last ``ask``; a design without a number in an objective counts as infeasible."""
        of, each = self._of, len(self._of.networks)
        columns = [
            [None if isnan(value) else value for value in ranking_column(table, of.base, name).tolist()]
            for name in of.objectives
        ]
        met = [feasible_mask(table, of.base, [limit]) for limit in of.limits]
        with _quiet():
            for number, trial in enumerate(self._trials):
                rows = slice(number * each, (number + 1) * each)
                values = [value for row in zip(*(c[rows] for c in columns), strict=True) for value in row]
                unmet = sum(int((~mask[rows]).sum()) for mask in met)
                missing = values.count(None) * (len(of.limits) * each + 1)
                trial.set_user_attr("unmet", (float(unmet + missing),))
                self._study.tell(trial, [0.0 if value is None else value for value in values])


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ArgumentError(f"{{a search}} needs Optuna: {pip_install('optuna')}") from error
    return optuna


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's logs and warnings."""
    logging = _optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(before)
