"""Problems that no decision solves, with the smallest set of limits that clashes."""

from __future__ import annotations

import numpy as np

from allocation import Limit, Problem

CLASH_FAMILIES = (
    "floor beyond reach",
    "cap below the least",
    "floor above a cap that contains it",
    "floor against the budget",
    "two caps that leave nobody a way",
    "value against cost",
    "two floors under one cap",
    "three caps that leave nobody a way",
    "floors of two segments against the budget",
)


def clashing_problem(rng: np.random.Generator, n: int, K: int, family: str) -> tuple[Problem, frozenset[str]]:
    """A problem of n >= 4 users and K >= 3 treatments, and the only smallest set of names that clashes.

    "budget" stands for the budget. Not even a mixture of decisions keeps the set, and one keeps all the rest together
    with all but one of the set. Harmless limits stand between those that clash.
    """
    value = np.column_stack([np.zeros(n), rng.uniform(1.5, 5.0, (n, K))])
    cost = np.column_stack([np.zeros(n), rng.uniform(1.0, 5.0, (n, K))])
    eligible, budget = None, float(cost.max(axis=1).sum())
    half = rng.permutation(n) < n // 2
    groups = [list(range(1, K)), [K]]
    if family == "floor beyond reach":
        limits = [Limit("clash", min=half.sum() + 1.5, users=half)]
    elif family == "cap below the least":
        eligible = np.ones(value.shape, dtype=bool)
        eligible[half, 0] = False
        limits = [Limit("clash", "cost", max=0.9 * float(cost[half, 1:].min(axis=1).sum()), users=half)]
    elif family == "floor above a cap that contains it":
        limits = [Limit("floor", min=2, users=half, arms=[1]), Limit("cap", max=1, arms=[1, 2])]
    elif family == "floor against the budget":
        budget = 0.9 * float(cost[:, 1:].min(axis=1).sum())
        limits = [Limit("floor", min=n)]
    elif family == "two caps that leave nobody a way":
        eligible = np.column_stack([np.zeros(n, dtype=bool), np.ones((n, K), dtype=bool)])
        limits = [Limit("cap", max=n // 2, arms=groups[0]), Limit("other cap", max=n - n // 2 - 1, arms=groups[1])]
    elif family == "value against cost":
        cost[:, 1:] = value[:, 1:] * rng.uniform(2.0, 3.0, (n, K))
        limits = [Limit("cap", "cost", max=2.0 * n), Limit("floor", "value", min=1.1 * n)]
        budget = float(cost.max(axis=1).sum())
    elif family == "two floors under one cap":
        limits = [Limit("floor", min=1, users=half), Limit("other floor", min=2, users=~half), Limit("cap", max=2)]
    elif family == "three caps that leave nobody a way":
        eligible = np.column_stack([np.zeros(n, dtype=bool), np.ones((n, K), dtype=bool)])
        groups = [[1], [2], list(range(3, K + 1))]
        limits = [Limit(f"cap {k}", max=(n - 1) / 3, arms=group) for k, group in enumerate(groups)]
    elif family == "floors of two segments against the budget":
        limits = [Limit("floor", min=half.sum(), users=half), Limit("other floor", min=(~half).sum(), users=~half)]
        least = [float(cost[users, 1:].min(axis=1).sum()) for users in (half, ~half)]
        budget = max(least) + 0.5 * min(least)
    names = frozenset(limit.name for limit in limits)
    if "budget" in family:
        names |= {"budget"}
    harmless = [Limit("harmless count", max=n), Limit("harmless money", "cost", max=float(cost.sum()), users=half)]
    everything = [*limits, *harmless]
    order = rng.permutation(len(everything))
    return Problem(value, cost, budget, eligible, [everything[k] for k in order]), names


def indivisible_problem(rng: np.random.Generator, n: int, K: int) -> Problem:
    """No decision keeps the limit although mixtures do: all costs are even, and an odd sum is asked for."""
    cost = np.column_stack([np.zeros(n), 2.0 * rng.integers(1, 4, (n, K))])
    value = np.column_stack([np.zeros(n), rng.uniform(1.0, 5.0, (n, K))])
    odd = 2.0 * rng.integers(0, n) + 1.0
    return Problem(value, cost, None, None, [Limit("odd", "cost", min=odd, max=odd)])
