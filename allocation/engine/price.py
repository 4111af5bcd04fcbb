"""One budget: the price at which it is spent, the decision at that price, and the certificate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.hull import Hull, upper_hull
from allocation.engine.money import amount_text, exact_sum, float_above
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of

Decision = NDArray[np.int64]


def solve(problem: Problem) -> Allocation:
    """Spend one budget as well as a price can, and certify the result.

    Everybody starts on the cheapest arm; the steps of all users' hulls are then taken steepest first until the
    budget is spent. The slope of the first step that does not fit is the price p, and

        bound = p budget + sum_i max_j (value_ij - p cost_ij)  >=  optimum,
        bound - value <= extra value of that one step.

    What is left is filled greedily: later steps that still fit, then any single change of arm that fits.

    The budget holds in exact arithmetic on the float inputs. Of one user's collinear arms the nearest comes first,
    between users of equal return the first.
    Source: methods of the multiple-choice knapsack, Kellerer, Pferschy & Pisinger 2004, chapter 11 (not quoted).

    Raises ProblemError when even the cheapest decision costs more than the budget.
    """
    hull = upper_hull(problem)
    purse = _Purse(problem, hull.base)
    if purse.left < 0:
        least = float_above(exact_sum(problem.cost[np.arange(problem.n_users), hull.base].astype(np.float64)))
        raise ProblemError(
            f"the budget {amount_text(problem.limit)} cannot be met: the cheapest arm of every user costs "
            f"{amount_text(least)} together; raise the budget to that, allow a cheaper arm, or leave users out"
        )
    order = np.argsort(-hull.slope, kind="stable")
    taken = _take_prefix(purse, hull, order)
    price = float(hull.slope[order[taken]]) if taken < len(order) else 0.0
    bound = _linear_bound(purse, hull, order, taken)
    _fill_with_steps(purse, hull, order[taken:])
    _fill_with_changes(purse)
    return allocation_of(problem, purse.decision, price, bound)


def margins(problem: Problem, allocation: Allocation) -> NDArray[np.float64]:
    """How clearly each user's arm wins: its score minus the best other arm's score at the price, (n,), value units.

    The score is value - price cost. A user at the price itself has 0; below 0 are only those few at the budget's edge
    who got another arm because the money ran out. Infinite where the user has no other eligible arm.
    """
    score = problem.value.astype(np.float64) - allocation.price * problem.cost.astype(np.float64)
    if problem.eligible is not None:
        score[~problem.eligible] = -np.inf
    rows = np.arange(problem.n_users)
    own = score[rows, allocation.decision]
    score[rows, allocation.decision] = -np.inf
    return np.asarray(own - score.max(axis=1))


class _Purse:
    """A decision in the making and the exact money left, changed together so that they cannot disagree."""

    def __init__(self, problem: Problem, decision: Decision) -> None:
        self.problem = problem
        self.limited = math.isfinite(problem.limit)
        self.decision = decision.copy()
        self.count()

    def count(self) -> None:
        """Recount the money left from the whole decision, exactly."""
        left = Fraction(0)
        if self.limited:
            spent = self.problem.cost[np.arange(len(self.decision)), self.decision].astype(np.float64)
            left = Fraction(self.problem.limit) - exact_sum(spent)
        self.set_left(left)

    def set_left(self, left: Fraction) -> None:
        """Note the exact money left, and a float just above it for quick comparisons (infinite without a budget)."""
        self.left = left
        self.about_left = float(left) * (1 + 1e-9) if self.limited else math.inf

    def affordable(self, extra_cost: Any) -> Any:
        """Whether an amount, or each of an array, may fit, with room for rounding; `change` has the last word."""
        return extra_cost <= self.about_left

    def change(self, user: int, arm: int) -> bool:
        """Move one user to an arm if the exact extra cost fits."""
        cost = self.problem.cost
        extra = Fraction(float(cost[user, arm])) - Fraction(float(cost[user, self.decision[user]]))
        if self.limited and extra > self.left:
            return False
        self.decision[user] = arm
        self.set_left(self.left - extra)
        return True


def _take_prefix(purse: _Purse, hull: Hull, order: NDArray[np.int64]) -> int:
    """Take the longest run of steps that fits, and say how many; sums in floats first, then corrected exactly."""
    if not purse.limited:
        count = len(order)
    else:
        count = int(np.searchsorted(np.cumsum(hull.extra_cost[order]), float(purse.left), side="right"))
    # Each user's steps stand in order, and the last assignment to a user wins.
    purse.decision[hull.user[order[:count]]] = hull.arm[order[:count]]
    purse.count()
    while purse.limited and purse.left < 0:
        count -= 1
        step = order[count]
        user = hull.user[step]
        has_earlier = step > 0 and hull.user[step - 1] == user
        purse.change(int(user), int(hull.arm[step - 1] if has_earlier else hull.base[user]))
    while count < len(order) and purse.change(int(hull.user[order[count]]), int(hull.arm[order[count]])):
        count += 1
    return count


def _fill_with_steps(purse: _Purse, hull: Hull, rest: NDArray[np.int64]) -> None:
    """Spend what is left on later hull steps in order; a step that does not fit bars its user's later ones."""
    if not purse.limited:
        return
    barred = np.zeros(len(purse.decision), dtype=bool)
    for k in _worth_trying(purse, hull.extra_cost[rest]):
        user = int(hull.user[rest[k]])
        if not barred[user]:
            # Where the step before was too dear to be tried, or was refused, this one has nothing to stand on.
            follows = hull.arm[rest[k] - 1] if rest[k] and hull.user[rest[k] - 1] == user else hull.base[user]
            barred[user] = purse.decision[user] != follows or not purse.change(user, int(hull.arm[rest[k]]))


def _fill_with_changes(purse: _Purse) -> None:
    """Spend what is left on single changes of arm, on the hull or not, the largest gain first (then the cheaper)."""
    problem = purse.problem
    rows = np.arange(problem.n_users)
    changed = True
    while changed:
        changed = False
        own_value = problem.value[rows, purse.decision].astype(np.float64)
        own_cost = problem.cost[rows, purse.decision].astype(np.float64)
        gain = problem.value - own_value[:, None]
        extra = problem.cost - own_cost[:, None]
        open_to = (gain > 0) & purse.affordable(extra)
        if problem.eligible is not None:
            open_to &= problem.eligible
        users, arms = np.nonzero(open_to)
        order = np.lexsort((arms, users, extra[users, arms], -gain[users, arms]))
        users, arms = users[order], arms[order]
        moved = np.zeros(problem.n_users, dtype=bool)
        for k in _worth_trying(purse, extra[users, arms]):
            if not moved[users[k]] and purse.change(int(users[k]), int(arms[k])):
                moved[users[k]] = changed = True


def _worth_trying(purse: _Purse, extra_cost: NDArray[np.float64]) -> Iterator[int]:
    """Positions, in order, of the amounts that may fit the money then left; ends when none of the rest can."""
    candidates = np.flatnonzero(purse.affordable(extra_cost))
    amounts = extra_cost[candidates]
    least_to_come = np.minimum.accumulate(amounts[::-1])[::-1]
    for k, amount, least in zip(candidates.tolist(), amounts.tolist(), least_to_come.tolist(), strict=True):
        if not purse.affordable(least):
            return
        if purse.affordable(amount):
            yield k


def _linear_bound(purse: _Purse, hull: Hull, order: NDArray[np.int64], taken: int) -> float:
    """The optimum when users may be split: the value so far plus the fitting fraction of the next step, value units.

    It equals the dual p budget + sum_i max_j (value_ij - p cost_ij) at the price p of that step, without the
    rounding of p cost where p is huge; summed exactly and rounded upwards.
    """
    value, cost = purse.problem.value, purse.problem.cost
    bound = exact_sum(value[np.arange(len(purse.decision)), purse.decision].astype(np.float64))
    if taken < len(order):
        user, arm = hull.user[order[taken]], hull.arm[order[taken]]
        own = purse.decision[user]
        extra_value = Fraction(float(value[user, arm])) - Fraction(float(value[user, own]))
        extra_cost = Fraction(float(cost[user, arm])) - Fraction(float(cost[user, own]))
        bound += extra_value * purse.left / extra_cost
    return float_above(bound)
