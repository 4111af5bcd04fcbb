"""Each user's upper hull of (cost, value): the only arms that any price can choose, as steps of falling return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import Problem


@dataclass(frozen=True, eq=False)
class Hull:
    """Where each user starts, and the steps upwards from there.

    Attributes
    ----------
    base : (n,) int64, each user's cheapest arm (of equals the most valuable, then the first).
    user, arm : (s,) int64, whose step it is and the arm it leads to.
    extra_cost, extra_value : (s,) float64 > 0, money and value that the step adds.
    slope : (s,) float64 > 0, value per unit of money. A user's steps stand in order, and their slopes never rise.
    """

    base: NDArray[np.int64]
    user: NDArray[np.int64]
    arm: NDArray[np.int64]
    extra_cost: NDArray[np.float64]
    extra_value: NDArray[np.float64]
    slope: NDArray[np.float64]


def upper_hull(problem: Problem) -> Hull:
    """The hulls of all users, by gift wrapping over arms: at most K rounds, each over the users still climbing.

    From the arm it stands on, a user steps to the dearer arm with the highest return on the extra money; of equal
    returns to the nearest, so that collinear arms stay as separate, smaller steps. Worse and dearer arms never show.
    """
    value = problem.value.astype(np.float64)
    cost = problem.cost.astype(np.float64)
    if problem.eligible is not None:
        cost[~problem.eligible] = np.inf
        value[~problem.eligible] = -np.inf
    n = problem.n_users
    cheapest = cost == cost.min(axis=1, keepdims=True)
    base = np.where(cheapest, value, -np.inf).argmax(axis=1)

    users, arms, costs, values, slopes = [], [], [], [], []
    user, at, ceiling = np.arange(n), base.copy(), np.full(n, np.inf)
    while len(user):
        rows = np.arange(len(user))
        own_cost, own_value = cost[user, at], value[user, at]
        extra_cost = cost[user] - own_cost[:, None]
        extra_value = value[user] - own_value[:, None]
        upward = (extra_cost > 0) & (extra_value > 0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            slope = np.where(upward, extra_value / extra_cost, -np.inf)
        best = slope.max(axis=1)
        to = np.where(slope == best[:, None], extra_cost, np.inf).argmin(axis=1)
        climbs = best > 0
        rows, user, to = rows[climbs], user[climbs], to[climbs]
        # Rounding may let a slope exceed its predecessor by a hair; the order of steps must not notice.
        ceiling = np.minimum(best[climbs], ceiling[climbs])
        users.append(user)
        arms.append(to)
        costs.append(extra_cost[rows, to])
        values.append(extra_value[rows, to])
        slopes.append(ceiling)
        at = to
    if not users:
        empty, none = np.empty(0, dtype=np.int64), np.empty(0)
        return Hull(base, empty, empty, none, none, none)
    user = np.concatenate(users)
    order = np.argsort(user, kind="stable")
    return Hull(base, user[order], *(np.concatenate(part)[order] for part in (arms, costs, values, slopes)))
