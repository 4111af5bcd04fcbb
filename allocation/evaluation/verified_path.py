"""What the decisions of one response table are really worth at every budget at once, from a randomised log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from allocation.engine.bracket import Steps, steps_of
from allocation.engine.kernels import TOP
from allocation.engine.tables import Tables
from allocation.evaluation.estimators import FEW
from allocation.evaluation.influence import small_sample
from uplift.errors import InputError, check_fraction

Array = NDArray[np.float64]
Table = NDArray[np.floating[Any]]
KNOTS = 20_000  # at most, at which sums over all users are kept
SLICE = 0.05  # share of the users' money over which a marginal return is verified
SUMS = ("gain", "spend", "gain_gain", "spend_spend", "gain_spend", "weight", "weight_weight", "inverse")


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

    Sums of squares run along likewise, so every budget has its standard error, n / (n - 1) sum_i (g_i - mean)^2.

    Attributes
    ----------
    users : n. budget : (k,) money that the table itself counts on at each knot, rising. sums : (k, 8) of `SUMS` over
        all users: scores of gain above control and of spend above control's, their squares and product, and the
        matched weights 1[t_i = j_i] / p_ij, their squares, and 1 / p_ij.
    step : (s,) whose step it is; delta : (s, 2) what it adds to the scores of gain and spend; reached : (s + 1,)
        money before each step. Steepest first.

    The steps are taken as given: an interval tells how sure the log is about these decisions, not what a refit would
    decide (`stability` does). Every interval is for one budget.
    """

    users: int
    budget: Array
    sums: Array
    step: NDArray[np.int32]
    delta: NDArray[np.float32]
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
        gain, spend, gain_gain, spend_spend, gain_spend = self.at(budget)[0, :5]
        return ratio(
            gain,
            spend,
            float(self._variance(gain, gain, gain_gain)),
            float(self._variance(spend, spend, spend_spend)),
            float(self._variance(gain, spend, gain_spend)),
            _quantile(level),
        )

    def marginal_return(self, budget: float, level: float = 0.95, share: float = SLICE) -> Estimated:
        """Verified gain per unit of spend of the steps around a budget.

        The slice is a `share` of all money, half of it on each side; at the end of the path it lies below the budget.
        Compare with the price, which promises it.
        """
        first, end = self._slice(budget, share)
        if end <= first:
            return Estimated(math.nan, math.nan, math.nan)
        _, user = np.unique(self.step[first:end], return_inverse=True)
        gain, spend = (np.bincount(user, self.delta[first:end, k]) for k in (0, 1))
        g, c = float(gain.sum()), float(spend.sum())
        vg, vc = self._variance(g, g, float(gain @ gain)), self._variance(c, c, float(spend @ spend))
        return ratio(g, c, float(vg), float(vc), float(self._variance(g, c, float(gain @ spend))), _quantile(level))

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

    Memory: 20 bytes a step beside 64 bytes a knot. Raises InputError where the shapes are not the same users'.
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
    users = Tables(value, cost, eligible)
    steps = steps_of(users, np.arange(n), 0.0, TOP)
    return _summed(steps, users, gain_score, spend_score, treatment, propensity)


def _summed(
    steps: Steps,
    users: Tables,
    gain_score: Table,
    spend_score: Table,
    treatment: NDArray[np.integer],
    propensity: Table,
) -> VerifiedPath:
    n, order = len(users.value), steps.by_slope()
    step, to, money = steps.step[order, 0], steps.step[order, 1], steps.amount[order, 0]
    came = _left(step, to, steps.base)
    rows = np.arange(n)
    start = float(users.cost[rows, steps.base].sum(dtype=np.float64))
    reached = start + np.concatenate([[0.0], np.cumsum(money)])

    def table(user: NDArray[np.integer], arm: NDArray[np.integer]) -> Array:
        """What each user adds to the sums under an arm, (8, users)."""
        g = gain_score[user, arm].astype(np.float64) - gain_score[user, 0]
        c = spend_score[user, arm].astype(np.float64) - spend_score[user, 0]
        inverse = 1 / propensity[user, arm].astype(np.float64)
        weight = np.where(treatment[user] == arm, inverse, 0.0)
        return np.array([g, c, g * g, c * c, g * c, weight, weight * weight, inverse])

    kept = np.unique(np.linspace(0, len(step), min(KNOTS, len(step) + 1)).astype(np.int64))
    sums = np.empty((len(kept), len(SUMS)))
    sums[0] = table(rows, steps.base).sum(axis=1)
    delta = np.empty((len(step), 2), dtype=np.float32)
    for k, (first, end) in enumerate(pairwise(kept.tolist()), start=1):
        part = slice(first, end)
        more = table(step[part], to[part]) - table(step[part], came[part])
        delta[part] = more[:2].T
        sums[k] = sums[k - 1] + more.sum(axis=1)
    return VerifiedPath(n, reached[kept], sums, step, delta, reached)


def _left(step: NDArray[np.int32], to: NDArray[np.int32], base: NDArray[np.int64]) -> NDArray[np.int64]:
    """The arm that each step leaves: the one that the user's step before led to, or where the user began."""
    by_user = np.argsort(step, kind="stable")
    user, reached = step[by_user], to[by_user].astype(np.int64)
    before = np.concatenate([[0], reached[:-1]])
    first = np.concatenate([[True], user[1:] != user[:-1]])[: len(user)]
    came = np.empty(len(step), dtype=np.int64)
    came[by_user] = np.where(first, base[user], before[: len(user)])
    return came


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
    return float(norm.ppf(0.5 + level / 2))
