"""What every policy is, and what all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from allocation.engine.money import amount_text, exact_sum, float_above
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of
from uplift.campaign import Campaign, check_campaign
from uplift.errors import InputError
from uplift.response import Response

# Features (n, d); a campaign; or, for a policy with `predict`, what that returned: many budgets, one prediction.
Users = NDArray[Any] | Campaign | Response


class Policy(Protocol):
    """Anything that is fitted on a campaign and decides for users within a budget.

    The budget is money for all the users together and is compared with *predicted* cost only: no outcome of the
    users decided for is ever looked at. What they really spend may be more.

    A class of your own needs these two methods; `fit` ends with `self.arms_ = campaign.arms`, the arms that `decide`
    counts, and `decide` may return `Allocation(decision)` alone. With `self.users_ = Seen.of(campaign)`
    (`uplift.seen`) `evaluate` refuses users whom it was fitted on. If it also has `predict(X)`, `evaluate` calls that
    once and hands what it returned to `decide` instead of X.
    """

    arms_: tuple[str, ...]

    def fit(self, campaign: Campaign) -> Self:
        """Learn from a log of n users; the policy itself. Raises InputError for a log that it cannot learn from."""
        ...

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """The arm of each user, (n,); `Allocation.value` and `.cost` are the promised totals, value units and money.

        Parameters
        ----------
        users : features (n, d) in the order of the fit, a campaign, or what `predict` returned for them.
        budget : money for all of them together; None for no limit.

        Raises ProblemError where even the cheapest decision costs more, as predicted, than the budget.
        """
        ...


@dataclass(frozen=True, eq=False)
class ArmMeans:
    """What a rule of thumb knows of a log: each arm's mean value and mean cost, (K+1,) each."""

    value: NDArray[np.float64]
    cost: NDArray[np.float64]

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """Means weighted by 1 / propensity where it is known.

        mean_j = sum_i 1[t_i = j] y_i / p_ij  /  sum_i 1[t_i = j] / p_ij      (self-normalised)

        An arm whose every user cost the same has exactly that mean, without the rounding of a sum.
        """
        check_campaign(campaign)
        rows, t, K1 = np.arange(len(campaign)), campaign.treatment, len(campaign.arms)
        users = np.bincount(t, minlength=K1)
        if not users.all():
            raise InputError(
                f"arm {campaign.arms[int(np.argmin(users))]!r} was never logged in {len(t):,} rows, so nothing is "
                "known of it; drop the arm, take more users, or add users who received it"
            )
        p = np.ones(len(campaign)) if campaign.propensity is None else campaign.propensity[rows, t]
        cost = np.zeros(len(campaign)) if campaign.cost is None else campaign.cost
        weight = np.bincount(t, 1 / p, minlength=K1)
        means = [np.bincount(t, amount / p, minlength=K1) / weight for amount in (campaign.value, cost)]
        for j in range(K1):
            own = cost[t == j]
            if own.min() == own.max():
                means[1][j] = own[0]
        return cls(*means)

    def problem(self, n: int, budget: float | None) -> Problem:
        """The problem in which every one of n users has these means."""
        shape = (n, len(self.value))
        return Problem(np.broadcast_to(self.value, shape), np.broadcast_to(self.cost, shape), budget)


def fitted(policy: Any, name: str) -> Any:
    """What the policy learnt under that name; raises InputError before the fit."""
    if not hasattr(policy, name):
        raise InputError(f"this {type(policy).__name__} is not fitted; call .fit(campaign) first")
    return getattr(policy, name)


def treat_in_order(problem: Problem, order: NDArray[np.int64], arm: NDArray[np.int64]) -> Allocation:
    """Everybody on control, then user after user in `order` moved to `arm[user]` while the predicted cost fits.

    Raises ProblemError when control alone costs more than the budget.
    """
    users = np.arange(problem.n_users)
    control = problem.cost[:, 0].astype(np.float64)
    untreated = np.zeros(problem.n_users, dtype=np.int64)
    if not exactly_within(problem, untreated):
        raise ProblemError(
            f"the budget {amount_text(problem.limit)} cannot be met: control alone is predicted to cost "
            f"{amount_text(float_above(exact_sum(control)))}; raise the budget to that"
        )

    def _first(count: int) -> NDArray[np.int64]:
        decision = untreated.copy()
        decision[order[:count]] = arm[order[:count]]
        return decision

    # Stop at the first user that does not fit, also where later ones cost less: a rule of thumb stays one.
    over = control.sum() + np.cumsum((problem.cost[users, arm] - control)[order]) > problem.limit
    count = int(np.argmax(over)) if over.any() else len(order)
    # The sums above are rounded; the last word is exact.
    while not exactly_within(problem, _first(count)):
        count -= 1
    while count < len(order) and exactly_within(problem, _first(count + 1)):
        count += 1
    return allocation_of(problem, _first(count))


def exactly_within(problem: Problem, decision: NDArray[np.int64]) -> bool:
    """Whether the decision's cost is within the budget in exact arithmetic."""
    if problem.budget is None:
        return True
    chosen = problem.cost[np.arange(problem.n_users), decision].astype(np.float64)
    return exact_sum(chosen) <= problem.budget
