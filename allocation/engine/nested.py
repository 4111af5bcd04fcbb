"""Budgets of segments that share no user: each has a frontier of its own, and the common budget is spent on all."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from allocation.engine.clash import explain
from allocation.engine.limit import Limit, ProblemError
from allocation.engine.limits import solve_limits
from allocation.engine.money import exact_sum, float_above, float_below
from allocation.engine.price import solve_budget
from allocation.engine.problem import Allocation, Problem, allocation_of
from allocation.engine.rows import rows_of, used, uses_of
from allocation.engine.scores import scores_of


@dataclass(frozen=True, eq=False)
class Nested:
    """What nested frontiers decide.

    Attributes
    ----------
    decision : (n,) int64; bound : no decision within all budgets is worth more (value units).
    price : extra value per extra unit of the common budget; prices : (m,) the same for each limit's own cap, 0 where
        the segment would not spend more.
    """

    decision: NDArray[np.int64]
    bound: float
    price: float
    prices: NDArray[np.float64]


def is_nested(problem: Problem) -> bool:
    """Whether all limits are caps on everything that segments without a common user cost."""
    taken = np.zeros(problem.n_users, dtype=bool)
    for limit in problem.limits:
        own = limit.users if isinstance(limit.users, np.ndarray) else np.ones(problem.n_users, dtype=bool)
        if limit.measure != "cost" or limit.min is not None or limit.high < 0 or (taken & own).any():
            return False
        if not _counts_all_cost(problem, limit, own):
            return False
        taken |= own
    return len(problem.limits) > 0


def solve_segments(problem: Problem) -> Allocation:
    """The allocation of nested budgets, its limits reported; ProblemError, which names them, where budgets clash."""
    try:
        nested = solve_nested(problem)
    except ProblemError:
        clash = explain(scores_of(problem))
        if clash is not None:
            raise clash from None
        return solve_limits(problem)  # costs below zero: some segments earn what others spend
    amounts = [used(problem, row, nested.decision) for row in rows_of(problem)[-len(problem.limits) :]]
    uses = uses_of(problem.limits, amounts, nested.prices)
    return allocation_of(problem, nested.decision, nested.price, nested.bound, uses)


def solve_nested(problem: Problem) -> Nested:
    """Spend each segment's cap on its own frontier and the common budget on all, where it is the tighter one.

    A segment whose own price is above the common one is held by its cap: it keeps its own decision. The others are
    pooled and share what the held ones leave; that lowers the common price, so more may be held, until none is.
    With own prices p_s, their frontiers F_s and the common price p,

        bound = sum_held (F_s(cap_s) - p cap_s) + F_pooled(rest) + p (budget - rest),    p_s >= p.

    Raises ProblemError when a segment's or the common budget is below the cheapest decision.
    """
    everybody = np.arange(problem.n_users)
    rows = [everybody if limit.users is None else np.flatnonzero(limit.users) for limit in problem.limits]
    own = [_solve(problem, part, limit.high) for part, limit in zip(rows, problem.limits, strict=True)]
    held: set[int] = set()
    while True:
        decision = np.empty(problem.n_users, dtype=np.int64)
        pooled = np.ones(problem.n_users, dtype=bool)
        left = Fraction(problem.limit) if math.isfinite(problem.limit) else None
        for s in held:
            decision[rows[s]] = own[s].decision
            pooled[rows[s]] = False
            if left is not None:
                left -= _spent(problem, rows[s], own[s].decision)
        rest = np.flatnonzero(pooled)
        common = _solve(problem, rest, math.inf if left is None else float_below(left))
        decision[rest] = common.decision
        over = {
            s
            for s, limit in enumerate(problem.limits)
            if s not in held
            and (own[s].price > common.price or _spent(problem, rows[s], decision[rows[s]]) > Fraction(limit.high))
        }
        if not over:
            break
        held |= over
    found = [_certified(problem, rows, own, held, common, left)]
    if held and left is not None:
        # What the held leave of their caps went to the others; the relaxation would not have left it.
        left = Fraction(problem.limit) - sum(Fraction(problem.limits[s].high) for s in held)
        with contextlib.suppress(ProblemError):
            found.append(_certified(problem, rows, own, held, _solve(problem, rest, float_below(left)), left))
    bound, price, prices = min(found, key=lambda one: one[0])
    return Nested(decision, bound, price, prices)


def _certified(
    problem: Problem,
    rows: list[NDArray[np.int64]],
    own: list[Allocation],
    held: set[int],
    common: Allocation,
    left: Fraction | None,
) -> tuple[float, float, NDArray[np.float64]]:
    """The bound at the price of the pooled users, who share `left`; that price; and each cap's own."""
    price, prices = Fraction(common.price), np.zeros(len(rows))
    bound = Fraction(common.bound)
    if left is not None:
        bound += price * (Fraction(problem.limit) - Fraction(float_below(left)))
    for s in held:
        if own[s].price >= common.price:
            prices[s] = own[s].price - common.price
            bound += Fraction(own[s].bound) - price * Fraction(problem.limits[s].high)
        else:  # held only because money that was left over went to it
            bound += Fraction(_best_scores(problem, rows[s], common.price))
    return float_above(bound), common.price, prices


def _solve(problem: Problem, rows: NDArray[np.int64], budget: float) -> Allocation:
    """The users `rows` alone under one budget (money)."""
    eligible = None if problem.eligible is None else problem.eligible[rows]
    return solve_budget(Problem(problem.value[rows], problem.cost[rows], budget, eligible))


def _best_scores(problem: Problem, rows: NDArray[np.int64], price: float) -> float:
    """sum_i max_j (value_ij - price cost_ij) over eligible arms, value units."""
    score = problem.value[rows] - price * problem.cost[rows].astype(np.float64)
    if problem.eligible is not None:
        score[~problem.eligible[rows]] = -np.inf
    return math.fsum(score.max(axis=1).tolist())


def _spent(problem: Problem, rows: NDArray[np.int64], decision: NDArray[np.int64]) -> Fraction:
    return exact_sum(problem.cost[rows, decision].astype(np.float64))


def _counts_all_cost(problem: Problem, limit: Limit, own: NDArray[np.bool_]) -> bool:
    assert limit.arms is not None  # of a resolved limit
    left_out = [j for j in range(problem.value.shape[1]) if j not in limit.arms]
    return all(not problem.cost[own, j].any() for j in left_out)
