"""The frontier: the best value for every budget at once, with the price at each."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.engine.bands import Replicates, add_replicates, replicate
from allocation.engine.bins import Heap, add_heaps, heap_steps
from allocation.engine.kernels import TOP
from allocation.engine.money import float_above, register_total
from allocation.engine.path import Path, exact_path, merge_paths
from allocation.engine.problem import Problem, ProblemError
from allocation.engine.tables import Table, Tables

OCTAVES = 16  # doublings of the return over which users' steps typically spread


def frontier(
    value: Table,
    cost: Table,
    *,
    eligible: NDArray[np.bool_] | None = None,
    knots: int | None = None,
    replicates: int = 0,
    seed: int = 0,
    first_user: int = 0,
) -> Frontier:
    """The best value of every budget: all steps of all users' hulls, steepest first.

        F(B) = min_{p >= 0}  p B + sum_i max_j (value_ij - p cost_ij)

    Parameters
    ----------
    value, cost, eligible : as in `Problem`: (n, K+1), value units and money.
    knots : None keeps every step (exact everywhere; 36 bytes a step, some 80 at the peak). A number of at least 2,
        such as 8,000, heaps steps of nearly equal return, so that at most so many knots remain: exact at each, a
        chord between two, in one pass. Bins are never wider than a doubling of the return, so very few knots cannot
        be had.
    replicates : how many times the users are resampled for `band` and `difference`; 0 for none. Needs `knots`
        (8,000 if None).
    seed : of the resampling; frontiers with the same seed and users are resampled alike.
    first_user : position of the first of these users, where they are a piece of more and will be merged; pieces that
        give the same positions are resampled as if they were the same users.

    Returns a `Frontier`, which answers for any budget.

    It is the linear relaxation: at a budget between two knots one user is shared between two arms, so no decision
    is worth more, and the best is worth at most that one step less. With `knots` the chord runs below it, so that
    between two of them a decision may be worth more; at each it is the relaxation itself. Value and cost are taken as
    given: bands tell how the frontier varies with the users, not how wrong the predictions are. Limits are not in it.

    Raises ProblemError for tables that are no problem, and for numbers that are not whole or too small.

    Examples
    --------
    >>> f = frontier(np.array([[0.0, 5.0], [0.0, 2.0]]), np.array([[0.0, 2.0], [0.0, 1.0]]))
    >>> f.budget.tolist(), f.value.tolist(), f.price.tolist()
    ([0.0, 2.0, 3.0], [0.0, 5.0, 7.0], [2.5, 2.0, 0.0])
    >>> f.at(1.0)
    (2.5, 2.5)
    """
    problem = Problem(value, cost, eligible=eligible)
    knots = None if knots is None else _whole(knots, "knots", 2)
    replicates, seed = _whole(replicates, "replicates", 0), _whole(seed, "seed", 0)
    first_user = _whole(first_user, "first_user", 0)
    users = Tables(problem.value, problem.cost, problem.eligible)
    if replicates and knots is None:
        knots = 8_000
    steps = exact_path(users) if knots is None else _at_most(heap_steps(users, _digits(knots)), knots)
    sampled = replicate(users, replicates, seed, first_user) if replicates else None
    return Frontier(steps, problem.n_users, knots, sampled)


@dataclass(frozen=True, eq=False)
class Frontier:
    """The best value for every budget; made by `frontier` and `merge`.

    Attributes
    ----------
    budget, value : (k,) knots, money and value units, both rising; the first is everybody on the cheapest arm, its
        cost rounded upwards. Later knots are sums of floats.
    price : (k,) value per unit of money just above each knot, never rising; 0 at the last, where all is bought.
    n_users : n. knots : how many were asked for at most, None where every step is kept.

    Each method raises ProblemError for a budget that is no number, or a table of them.
    """

    steps: Path | Heap
    n_users: int
    knots: int | None
    replicates: Replicates | None = None

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last knot of `budget`: the cheapest decision, and all that is worth buying."""
        first = float_above(self._start[0])
        return first, float(self._start[0]) + float(self._reached[-1]) if len(self._reached) > 1 else first

    @cached_property
    def budget(self) -> NDArray[np.float64]:
        """Money at each knot."""
        knots = float(self._start[0]) + self._reached
        knots[0] = float_above(self._start[0])
        return knots

    @cached_property
    def value(self) -> NDArray[np.float64]:
        """Value at each knot."""
        return float(self._start[1]) + np.concatenate([[0.0], np.cumsum(self.steps.value)])

    @cached_property
    def price(self) -> NDArray[np.float64]:
        """Value per unit of money just above each knot."""
        return self._price_above(np.arange(len(self._reached)))

    @cached_property
    def _slope(self) -> NDArray[np.float64]:
        """Value per unit of money of each step, never rising; a path's own array, for steps are millions."""
        if isinstance(self.steps, Path):
            return self.steps.slope
        with np.errstate(over="ignore"):
            return np.minimum.accumulate(self.steps.value / self.steps.cost)

    def _price_above(self, knot: NDArray[np.int64]) -> NDArray[np.float64]:
        """The price just above each of these knots, 0 or more."""
        price = np.zeros(len(knot))
        before = knot < len(self._slope)
        price[before] = np.minimum(self._slope[knot[before]], TOP)
        return price

    @cached_property
    def _start(self) -> tuple[Fraction, Fraction]:
        """Cost and value of everybody's cheapest arm, exactly."""
        return register_total(self.steps.start[0]), register_total(self.steps.start[1])

    @cached_property
    def _reached(self) -> NDArray[np.float64]:
        """Money above the cheapest decision at each knot: apart from that, so that neither swallows the other."""
        return np.concatenate([[0.0], np.cumsum(self.steps.cost)])

    def _place(self, wanted: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The last knot that each budget reaches, -1 below the cheapest decision, and the money above that knot."""
        spare = np.maximum(wanted - float(self._start[0]), 0.0)
        knot = np.searchsorted(self._reached, spare, side="right") - 1
        last = len(self._reached) - 1
        return np.where(wanted < self.span[0], -1, knot), np.where(knot < last, spare - self._reached[knot], 0.0)

    def at(self, budget: ArrayLike) -> Any:
        """Value and price at a budget: two floats, or two arrays (b,) for budgets (b,).

        Below the cheapest decision (budgets may be negative where costs are) the value is -inf and the price inf;
        beyond the last knot the value stays and the price is 0.
        """
        knot, spare = self._place(_budgets(budget))
        at = np.maximum(knot, 0)
        beyond = self.value[np.minimum(at + 1, len(self.value) - 1)]
        price = self._price_above(at)
        with np.errstate(over="ignore"):
            value = np.where(knot < 0, -np.inf, np.minimum(self.value[at] + price * spare, beyond))
        price = np.where(knot < 0, np.inf, price)
        return (value, price) if np.ndim(budget) else (float(value[0]), float(price[0]))

    def arm_mix(self, budget: ArrayLike) -> NDArray[np.float64]:
        """Share of the users on each arm at a budget: (K+1,), or (b, K+1) for budgets (b,); NaN below the cheapest.

        Between two knots the users on the way are counted in proportion.
        """
        knots, spare = self._place(_budgets(budget))
        mix = np.full((len(knots), len(self.steps.users)), np.nan)
        users, passed = self.steps.users.copy(), 0
        for row in np.argsort(knots, kind="stable"):  # each step is counted once, however many budgets there are
            knot = knots[row]
            if knot >= 0 and self.n_users:
                users, passed = users + self._moved(passed, knot), knot
                share = spare[row] / self.steps.cost[knot] if knot < len(self.steps.cost) else 0.0
                mix[row] = (users + share * self._moved(knot, knot + 1)) / self.n_users
        return mix if np.ndim(budget) else mix[0]

    def merge(self, other: Frontier) -> Frontier:
        """The frontier of both sets of users under one budget; both exact, or both with knots.

        Bands need replicates in both. Raises ProblemError for one exact and one with knots, for other arms, and for
        replicates of another seed or number.
        """
        if not isinstance(other, Frontier):
            raise ProblemError(f"a Frontier is expected to merge with, not {type(other).__name__}")
        if len(self.steps.users) != len(other.steps.users):
            raise ProblemError(
                f"one frontier has {len(self.steps.users)} arms and the other {len(other.steps.users)}; the "
                "same arms are expected"
            )
        n = self.n_users + other.n_users
        if isinstance(self.steps, Path) and isinstance(other.steps, Path):
            return Frontier(merge_paths([self.steps, other.steps]), n, None)
        if isinstance(self.steps, Path) or isinstance(other.steps, Path):
            raise ProblemError("one frontier is exact and the other has knots; make both with the same knots=")
        knots = min(k for k in (self.knots, other.knots) if k is not None)
        heap = add_heaps([self.steps, other.steps], min(self.steps.digits, other.steps.digits))
        return Frontier(_at_most(heap, knots), n, knots, _both(self.replicates, other.replicates))

    def band(self, budget: ArrayLike, level: float = 0.95) -> Any:
        """(low, high) that holds the value at a budget for other users of the same kind, with confidence `level`.

        Percentiles of the replicates' distance from their own frontier, around this one's value. Two floats, or two
        arrays (b,). It misleads where a handful of users carries most of the value. Raises ProblemError without
        replicates, and for a level that is not between 0 and 1.
        """
        value, _ = self.at(_budgets(budget))
        low, high = _quantiles(self._spread(budget), level)
        return _shaped(budget, value + low, value + high)

    def difference(self, other: Frontier, budget: ArrayLike, level: float = 0.95) -> Any:
        """How much more this frontier is worth than the other at a budget: (difference, low, high), value units.

        Both must stem from the same users in the same order and the same seed: then they are resampled alike, and
        what both share cancels. Three floats, or three arrays (b,). Raises ProblemError where users, seed or number
        of replicates differ, and without replicates.
        """
        if self.replicates is None or other.replicates is None or self.replicates.seed != other.replicates.seed:
            raise ProblemError("the frontiers were not resampled alike; give both the same replicates= and seed=")
        if self.n_users != other.n_users or len(self.replicates.weight) != len(other.replicates.weight):
            raise ProblemError("the frontiers differ in users or replicates; a paired difference needs the same ones")
        wanted = _budgets(budget)
        with np.errstate(invalid="ignore"):  # nan below the cheapest decision
            gain = self.at(wanted)[0] - other.at(wanted)[0]
        low, high = _quantiles(self._spread(budget) - other._spread(budget), level)
        return _shaped(budget, gain, gain + low, gain + high)

    def _spread(self, budget: ArrayLike) -> NDArray[np.float64]:
        """Each replicate's value minus that of everybody once, (R, budgets)."""
        if self.replicates is None:
            raise ProblemError("the frontier has no replicates; make it with frontier(..., replicates=200)")
        reached = self.replicates.value_at(_budgets(budget))
        return np.asarray(reached[:-1] - reached[-1])

    def _moved(self, first: int, end: int) -> NDArray[np.int64]:
        """How many users more each arm has after steps first, ..., end - 1."""
        moves = self.steps.moves[first:end]
        if isinstance(self.steps, Heap):
            return np.asarray(moves.sum(axis=0))
        arms = len(self.steps.users)
        return np.bincount(moves[:, 1], minlength=arms) - np.bincount(moves[:, 0], minlength=arms)


def _digits(knots: int) -> int:
    return min(12, max(0, int(math.log2(knots / OCTAVES) + 0.5)))


def _at_most(heap: Heap, knots: int) -> Heap:
    """The heap in bins so coarse that no more than `knots` knots remain."""
    while len(heap.key) >= knots and heap.digits > 0:
        heap = heap.coarser(heap.digits - 1)
    return heap


def _both(one: Replicates | None, other: Replicates | None) -> Replicates | None:
    if one is None or other is None:
        return None
    if one.seed != other.seed or len(one.weight) != len(other.weight):
        raise ProblemError("the frontiers were not resampled alike; give both the same replicates= and seed=")
    return add_replicates([one, other])


def _budgets(budget: ArrayLike) -> NDArray[np.float64]:
    try:
        wanted = np.atleast_1d(np.asarray(budget, dtype=np.float64))
    except (TypeError, ValueError):
        raise ProblemError(f"budget is {budget!r}; a number or an array of numbers is expected") from None
    if wanted.ndim > 1:
        raise ProblemError(f"budgets have the shape {wanted.shape}; one number or one row of numbers is expected")
    if np.isnan(wanted).any():
        raise ProblemError("a budget is nan or None; numbers are expected, in the unit of cost (inf for no limit)")
    return wanted


def _whole(number: Any, name: str, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not least <= number < 2**63:
        raise ProblemError(f"{name} is {number!r}; a whole number of at least {least} is expected")
    return int(number)


def _quantiles(spread: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    if not isinstance(level, (int, float)) or not 0 < level < 1:
        raise ProblemError(f"level is {level!r}; a number between 0 and 1 is expected, such as 0.95")
    tail = (1 - level) / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # without a replicate that has users the band is nan
        return np.asarray(np.nanquantile(spread, [tail, 1 - tail], axis=0))


def _shaped(budget: ArrayLike, *answers: NDArray[np.float64]) -> Any:
    return answers if np.ndim(budget) else tuple(float(answer[0]) for answer in answers)
