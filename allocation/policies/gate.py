"""The no-harm gate: what candidates' decisions are worth to users whom none of them saw, and which may decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from allocation.engine.money import exact_sum, float_above
from allocation.engine.problem import Problem
from allocation.engine.solve import solve
from allocation.policies.scored import Scores
from uplift.response import Response

Array = NDArray[np.float64]
TWO_STAGE, EFFECTS, TUNED = "two-stage", "effects", "tuned"
WORSE = 1.0  # standard errors by which the tuned net must be worse than its warm start to be put aside


@dataclass(frozen=True)
class Difference:
    """A paired difference a user, in value units, with its standard error over `users`."""

    mean: float
    se: float
    users: int

    @classmethod
    def of(cls, each: Array) -> Self:
        """From the users' own differences, (n,)."""
        se = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.inf
        return cls(float(each.mean()), float(se), len(each))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """By the normal approximation."""
        half = NormalDist().inv_cdf(0.5 + level / 2) * self.se
        return self.mean - half, self.mean + half


def worth(
    candidates: Mapping[str, Response], scores: Scores, budgets: Sequence[float], reference: str
) -> dict[str, Array]:
    """What each candidate's decisions are worth to each of n held-out users, mean over the budgets: {name: (n,)}.

        1/L sum_l (Gamma^v_i,z - p_l Gamma^c_i,z),     z the candidate's decision at budget l

    with the `reference`'s price p_l for everybody: whoever spends more than predicted pays for it at that price.
    Decisions are made on predictions alone. `budgets` is money a user.
    """
    rows = np.arange(len(scores.value))
    found = {name: np.zeros(len(rows)) for name in candidates}
    for budget in budgets:
        solved = {name: _solved(response, budget) for name, response in candidates.items()}
        price = solved[reference][1]
        for name, total in found.items():
            z = solved[name][0]
            total += (scores.value[rows, z] - price * scores.cost[rows, z]) / len(budgets)
    return found


def gain_over_control(response: Response, scores: Scores, budgets: Sequence[float]) -> Array:
    """What the decisions add to the value of each of n held-out users, mean over the budgets, (n,).

    Spend is not counted: at the shadow price a budget's last unit of money is worth just what it costs, and where all
    users respond alike nothing would be left over.
    """
    rows = np.arange(len(scores.value))
    chosen = [scores.value[rows, _solved(response, budget)[0]] for budget in budgets]
    return np.asarray(np.mean(chosen, axis=0, dtype=np.float64) - scores.value[:, 0])


def _solved(response: Response, budget: float) -> tuple[NDArray[np.int64], float]:
    """The decision within a budget (money a user), and its price."""
    found = solve(Problem(response.value, response.cost, affordable(budget, response.cost)))
    return found.decision, float(found.price)


def affordable(budget: float, cost: NDArray[np.floating]) -> float:
    """Money for all users at `budget` a user, or what the cheapest arm of each costs, (n, K+1), where that is more.

    Summed without rounding: the engine compares exactly, and refuses a budget that is the last digit too small.
    """
    return max(budget * len(cost), float_above(exact_sum(cost.min(axis=1).astype(np.float64))))


def challenger(worths: Mapping[str, Array]) -> str:
    """Tuned net or warm start: the tuned one, unless it is verified worse by a standard error or more."""
    if EFFECTS in worths:
        phase = Difference.of(worths[TUNED] - worths[EFFECTS])
        watched_off = phase.mean == phase.se == 0  # the watch ended the tuning: both are the warm start
        if watched_off or phase.mean < -WORSE * phase.se:
            return EFFECTS
    return TUNED


def choose(worths: Mapping[str, Array], level: float) -> str:
    """The candidate that may decide: the challenger where the paired interval of its difference to the two-stage net
    is above zero, else the two-stage net."""
    name = challenger(worths)
    gained = Difference.of(worths[name] - worths[TWO_STAGE])
    return name if gained.interval(level)[0] > 0 else TWO_STAGE
