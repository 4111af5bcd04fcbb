"""What the decisions of one response table are really worth at every budget at once, from a randomised log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtri

from allocation.engine.bracket import steps_of
from allocation.engine.kernels import TOP
from allocation.engine.tables import Tables, check_eligible
from allocation.evaluation.estimators import FEW, effective_size
from allocation.evaluation.influence import small_sample
from uplift.errors import InputError, check_fraction

Array = NDArray[np.float64]
Table = NDArray[np.floating[Any]]
Users = NDArray[np.integer[Any]]  # positions
Arms = NDArray[np.integer[Any]]  # likewise
KNOTS = 20_000  # at most, at which sums over all users are kept
PIECE = 1 << 16  # users or steps that are summed at a time
SLICE = 0.05  # share of the users' money over which a marginal return is verified
SUMS = ("gain", "spend", "gain_gain", "spend_spend", "gain_spend", "weight", "weight_weight", "inverse")
WEIGHT = SUMS.index("weight")


class Estimated(NamedTuple):
    """A number and its interval, in the same unit; all NaN where the log cannot tell."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class VerifiedPath:
    """Gain and spend, verified, of what one response table decides at every budget; made by `verified_path`.

    At price p user i gets arm j_i(p) = argmax_j value_ij - p cost_ij. As the price falls users climb their hulls a
    step at a time, and with phi the scores of an estimator (`evaluation.scores`) each step adds a difference of two:

        gain(k) = sum_i phi_i,start + sum over the first k steps of (phi_i,to - phi_i,from) - sum_i phi_i0

    Sums of squares run along likewise, so every budget has its standard error, the root of
    n / (n - 1) sum_i (g_i - mean)^2.

    Attributes
    ----------
    users : n. budget : (k,) money that the table itself counts on at each knot, rising. sums : (k, 8) of `SUMS` over
        all users: scores of gain above control and of spend above control's, their squares and product, and the
        matched weights 1[t_i = j_i] / p_ij, their squares, and 1 / p_ij.
    step : (s,) whose step it is; delta : (s, 2) what it adds to the scores of gain and spend; matched : (s,) 1 / p of
        the logged arm where the step leaves it or leads to it, else 0; reached : (s + 1,) money before each step.
        Steepest first.

    The steps are taken as given: an interval tells how sure the log is about these decisions, not what a refit would
    decide (`stability` does). Every interval is for one budget.
    """

    users: int
    budget: Array
    sums: Array
    step: NDArray[np.int32]
    delta: NDArray[np.float32]
    matched: NDArray[np.float32]
    reached: Array

    def at(self, budget: float | Array) -> Array:
        """The sums at budgets (b,), in proportion between two knots: (b, 8)."""
        wanted = np.atleast_1d(np.asarray(budget, dtype=np.float64))
        return np.column_stack([np.interp(wanted, self.budget, column) for column in self.sums.T])

    def supported(self, budget: float | Array) -> NDArray[np.bool_]:
        """Whether so many users received what is decided for them that there is an estimate, (b,); see `support`."""
        weight, squares, inverse = self.at(budget)[:, 5:].T
        with np.errstate(divide="ignore", invalid="ignore"):
            effective = np.where(squares > 0, weight**2 / squares, 0.0)
            expected = self.users**2 / inverse
        return np.asarray(np.minimum(effective, expected) >= FEW)

    def totals(self, budget: float | Array, level: float = 0.95) -> dict[str, tuple[Array, Array, Array]]:
        """`gain` and `spend` above control's: (estimate, low, high), (b,) each, whatever the support."""
        z, found = _quantile(level), self.at(budget)
        spread = {"gain": (0, 2), "spend": (1, 3)}
        told = {}
        for name, (mean, square) in spread.items():
            error = z * np.sqrt(np.maximum(self._variance(found[:, mean], found[:, mean], found[:, square]), 0.0))
            told[name] = (found[:, mean], found[:, mean] - error, found[:, mean] + error)
        return told

    def average_return(self, budget: float, level: float = 0.95) -> Estimated:
        """Verified gain per unit of verified extra spend; Fieller's interval, infinite where that spend may be 0.

        Source: E. C. Fieller 1954 (the idea; not quoted).
        """
        return self._return(self.at(budget)[0, :5].tolist(), level)

    def marginal_return(self, budget: float, level: float = 0.95, share: float = SLICE) -> Estimated:
        """Verified gain per unit of spend of the steps around a budget.

        The slice is a `share` of all money, half of it on each side; at the end of the path it lies below the budget.
        Compare with the price, which promises it. NaN where fewer than `FEW` effective users, (sum w)^2 / sum w^2 of
        the steps' `matched`, received an arm that their step leaves or leads to.
        """
        first, end = self._slice(budget, share)
        if effective_size(self.matched[first:end].astype(np.float64)) < FEW:
            return Estimated(math.nan, math.nan, math.nan)
        part = slice(first, end)
        return self._return(_sums_by_user(self.step[part], self.delta[part], self.users), level)

    def _return(self, sums: Sequence[float], level: float) -> Estimated:
        """Gain per spend from the first five of `SUMS`."""
        gain, spend, gain_gain, spend_spend, gain_spend = sums
        moments = ((gain, gain, gain_gain), (spend, spend, spend_spend), (gain, spend, gain_spend))
        vg, vc, cov = (float(self._variance(*own)) for own in moments)
        return ratio(gain, spend, vg, vc, cov, _quantile(level))

    def _slice(self, budget: float, share: float) -> tuple[int, int]:
        """The steps of a slice of all money around a budget."""
        start, end = float(self.reached[0]), float(self.reached[-1])
        width = share * (end - start)
        low = min(max(budget - width / 2, start), end - width)
        first, last = np.searchsorted(self.reached, [low, low + width])
        return int(first), min(int(last), len(self.step))

    def _variance(self, one: Array | float, other: Array | float, product: Array | float) -> Array:
        """Of totals, from sums and the sum of products: n / (n - 1) (sum x y - sum x sum y / n)."""
        moment = np.asarray(product, dtype=np.float64) - np.asarray(one) * other / self.users
        return np.asarray(small_sample(self.users) * moment)


def verified_path(
    value: Table,
    cost: Table,
    gain_score: Table,
    spend_score: Table,
    treatment: NDArray[np.integer],
    propensity: Table,
    eligible: NDArray[np.bool_] | None = None,
) -> VerifiedPath:
    """Verify a response table at every budget on a randomised log of the same users, which it was not fitted on.

    Parameters
    ----------
    value, cost, eligible : (n, K+1) as in `Problem`: what decides.
    gain_score, spend_score : (n, K+1) scores of value and of spend, as `evaluation.scores.score_tables` gives them.
    treatment, propensity : (n,) arms received and (n, K+1) chances, of the log.

    Memory: 24 bytes a step beside 64 bytes a knot. Raises InputError where the shapes are not the same users'.
    """
    n, arms = np.shape(value)
    for name, array, shape in (
        ("cost", cost, (n, arms)),
        ("gain_score", gain_score, (n, arms)),
        ("spend_score", spend_score, (n, arms)),
        ("treatment", treatment, (n,)),
        ("propensity", propensity, (n, arms)),
    ):
        if np.shape(array) != shape:
            raise InputError(f"{name} has the shape {np.shape(array)}; {shape} is expected, as value has it")
    may = None if eligible is None else check_eligible(eligible, (n, arms))
    users, log = Tables(value, cost, may), (gain_score, spend_score, treatment, propensity)
    base, step, left, to, reached = _in_order(users)
    kept = np.unique(np.linspace(0, len(step), min(KNOTS, len(step) + 1)).astype(np.int64))
    sums, delta = np.zeros((len(kept), len(SUMS))), np.empty((len(step), 2), dtype=np.float32)
    matched = np.empty(len(step), dtype=np.float32)
    rows = np.arange(n)
    for first in range(0, n, PIECE):
        at = slice(first, first + PIECE)
        sums[0] += _adds(log, rows[at], base[at]).sum(axis=1)
    for first in range(0, len(step), PIECE):
        at = slice(first, min(first + PIECE, len(step)))
        more = _adds(log, step[at], to[at]) - _adds(log, step[at], left[at])
        delta[at], matched[at] = more[:2].T, np.abs(more[WEIGHT])
        knots = np.searchsorted(kept, np.arange(at.start, at.stop), side="right")  # the knot that each step leads to
        begin = np.flatnonzero(np.diff(knots, prepend=-1))
        sums[knots[begin]] += np.add.reduceat(more, begin, axis=1).T
    return VerifiedPath(n, reached[kept], np.cumsum(sums, axis=0), step, delta, matched, reached)


def _in_order(users: Tables) -> tuple[Arms, NDArray[np.int32], Arms, Arms, Array]:
    """Where users begin, (n,); whose each step is, from which arm, to which, (s,); money before each, (s + 1,)."""
    rows = np.arange(len(users.value))
    steps = steps_of(users, rows, 0.0, TOP)
    order = steps.by_slope()
    base, (user, to), money = steps.base.astype(np.uint16), steps.step.T, steps.amount[order, 0]
    del steps  # the largest of all that is held here
    reached = np.empty(len(money) + 1)
    reached[0] = users.cost[rows, base].sum(dtype=np.float64)
    np.cumsum(money, out=reached[1:])
    reached[1:] += reached[0]
    arm = to.astype(np.uint16)
    # A user's steps follow one another: each leaves the arm that the one before led to.
    left = np.where(np.diff(user, prepend=-1) != 0, base[user], np.roll(arm, 1))
    return base, np.ascontiguousarray(user[order]), left[order], arm[order], reached


@njit(nogil=True, cache=True)
def _sums_by_user(step: Any, delta: Any, users: int) -> Any:
    """Of what each user's steps add together to gain and spend: two sums, two of squares, and of the product."""
    own = np.zeros((users, 2), dtype=np.float32)
    for k in range(len(step)):
        own[step[k], 0] += delta[k, 0]
        own[step[k], 1] += delta[k, 1]
    gain = spend = gain_gain = spend_spend = gain_spend = 0.0
    for k in range(len(step)):
        g, c = np.float64(own[step[k], 0]), np.float64(own[step[k], 1])
        own[step[k], 0] = own[step[k], 1] = 0  # counted once
        gain, spend = gain + g, spend + c
        gain_gain, spend_spend, gain_spend = gain_gain + g * g, spend_spend + c * c, gain_spend + g * c
    return gain, spend, gain_gain, spend_spend, gain_spend


def _adds(log: tuple[Table, Table, NDArray[np.integer], Table], user: Users, arm: Arms) -> Array:
    """What each user adds to the sums under an arm, (8, users)."""
    gain_score, spend_score, treatment, propensity = log
    g = gain_score[user, arm].astype(np.float64) - gain_score[user, 0]
    c = spend_score[user, arm].astype(np.float64) - spend_score[user, 0]
    inverse = 1 / propensity[user, arm].astype(np.float64)
    weight = np.where(treatment[user] == arm, inverse, 0.0)
    return np.array([g, c, g * g, c * c, g * c, weight, weight * weight, inverse])


def ratio(gain: float, spend: float, vg: float, vc: float, cov: float, z: float) -> Estimated:
    """Fieller's interval of gain / spend: where (gain - r spend)^2 <= z^2 var(gain - r spend)."""
    if not spend:
        return Estimated(math.nan, math.nan, math.nan)
    vg, vc = max(vg, 0.0), max(vc, 0.0)  # sums of floats may end just below
    a, b, c = spend**2 - z * z * vc, gain * spend - z * z * cov, gain**2 - z * z * vg
    inside = b * b - a * c
    if a <= 0 or inside < 0:  # spend cannot be told from 0: no ratio is ruled out
        return Estimated(gain / spend, -math.inf, math.inf)
    root = math.sqrt(inside)
    return Estimated(gain / spend, (b - root) / a, (b + root) / a)


def _quantile(level: float) -> float:
    check_fraction(level, "level", 0.95)
    return float(ndtri(0.5 + level / 2))
