"""Policies at several budgets on held-out users: promised, verified, and against a reference, with intervals."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from allocation.engine.problem import Allocation, ProblemError, check_budget
from allocation.evaluation.bootstrap import interval, resampled_sums
from allocation.evaluation.estimators import ESTIMATORS, Moments, totals
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.errors import InputError, nearest
from uplift.propensity import share_mismatch

FEW = 30  # matched users below which an estimate is too unsure to be a reference or to be judged


def evaluate(
    policies: Mapping[str, Policy],
    held_out: Campaign,
    *,
    budgets: Sequence[float],
    reference: str | Sequence[str] | None = None,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Let every policy decide for the held-out users at every budget, then estimate what that is worth.

    Parameters
    ----------
    policies : fitted policies by name.
    held_out : users that no policy was fitted on, with propensities.
    budgets : money for all held-out users together.
    reference : the policy that the others are compared with, or several names: then, at each budget and for each
        estimator, the one of highest verified value among them, of those with at least 30 matched users if there are
        any. That choice is made on the same users and so errs in favour of the reference. None leaves the
        differences out.
    n_bootstrap : resamples of users, shared by all cells, so that differences are paired.
    level : of the percentile intervals.

    Returns
    -------
    A tidy frame, one row a policy, budget and estimator ("ipw", "sn"; see `evaluation.estimators.totals`):
    `users`, `matched` (held-out users who happened to receive the arm decided for them), `matched_control` (who
    received control), `promised_value`, `promised_spend`, `value`, `value_low`, `value_high`, `gain`, `gain_low`,
    `gain_high` (value above everybody on control), `spend`, `spend_low`, `spend_high`, and with a reference
    `reference`, `same_decision` (for every user), `difference`, `difference_low`, `difference_high`. All amounts are
    totals over the held-out users, in value units or money. Spend is NaN when the log has no cost, and every estimate
    is NaN where no user matches.

    Warns when the arms' shares contradict the propensities, and when a policy promises to spend more than the budget.
    Misleads when the propensities are wrong, when users influence each other, or when a cell has few matched users.
    The intervals are those of each cell by itself: over many cells some will miss.
    """
    decided = _decide(policies, held_out, budgets)
    mismatch = share_mismatch(held_out)
    if mismatch is not None:
        warnings.warn(mismatch.text, stacklevel=2)
    names, n = list(policies), len(held_out)
    if n_bootstrap < 2:
        raise InputError(f"n_bootstrap is {n_bootstrap}; at least 2 resamples are expected, 1000 is usual")
    if not 0 < level < 1:
        raise InputError(f"level is {level!r}; a share between 0 and 1 is expected, such as 0.95")
    candidates = _candidates(reference, names)
    # One column more than cells: everybody on control, which every gain is counted from.
    everybody_on_control = np.zeros(n, dtype=np.int64)
    moments = Moments.of([*(a.decision for _, _, a in decided), everybody_on_control], held_out)
    sums = Moments(moments.weight.sum(0), moments.value.sum(0), moments.spend.sum(0))
    draws = resampled_sums(moments, n_bootstrap, seed)
    *matched, matched_control = (moments.weight > 0).sum(axis=0)
    frames = []
    for estimator in ESTIMATORS:
        columns: dict[str, object] = {
            "policy": [name for name, _, _ in decided],
            "budget": [budget for _, budget, _ in decided],
            "estimator": estimator,
            "users": n,
            "matched": matched,
            "matched_control": matched_control,
            "promised_value": [a.value for _, _, a in decided],
            "promised_spend": [a.cost for _, _, a in decided],
        }
        value = totals(estimator, n, sums.weight, sums.value)
        value_draws = totals(estimator, n, draws.weight, draws.value)
        spend = totals(estimator, n, sums.weight, sums.spend)
        spend_draws = totals(estimator, n, draws.weight, draws.spend)
        gain, gain_draws = value - value[-1], value_draws - value_draws[:, -1:]
        for name, point, resampled in (
            ("value", value, value_draws),
            ("gain", gain, gain_draws),
            ("spend", spend, spend_draws),
        ):
            columns[name] = point[:-1]
            columns[f"{name}_low"], columns[f"{name}_high"] = interval(resampled[:, :-1], level)
        against = _reference_cells(candidates, names, value[:-1], np.array(matched))
        if against is not None:
            columns["reference"] = [decided[k][0] for k in against]
            columns["same_decision"] = [
                np.array_equal(decided[k][2].decision, decided[r][2].decision) for k, r in enumerate(against)
            ]
            columns["difference"] = value[:-1] - value[against]
            low, high = interval(value_draws[:, :-1] - value_draws[:, against], level)
            columns["difference_low"], columns["difference_high"] = low, high
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _decide(
    policies: Mapping[str, Policy], held_out: Campaign, budgets: Sequence[float]
) -> list[tuple[str, float, Allocation]]:
    """Every policy's allocation, budget by budget and in the order of the policies within a budget."""
    if not policies:
        raise InputError("no policy to evaluate; give {name: fitted policy}")
    if not np.iterable(budgets):
        raise ProblemError(f"budgets is {budgets!r}; a list is expected, such as [{budgets!r}]")
    checked = [check_budget(budget) for budget in budgets]
    if not checked or None in checked:
        raise ProblemError("budgets must be finite numbers, at least one, in the unit of cost")
    for name, policy in policies.items():
        arms = getattr(policy, "arms_", None)
        if arms is None:
            raise InputError(
                f"policy {name!r} is not fitted; call .fit(campaign) first (the fit of a class of your own ends with "
                "self.arms_ = campaign.arms)"
            )
        if tuple(arms) != held_out.arms:
            raise InputError(
                f"policy {name!r} was fitted on the arms {', '.join(arms)}; the held-out log has "
                f"{', '.join(held_out.arms)}: the same arms in the same order are expected"
            )
    users = {
        name: policy.predict(held_out.X) if hasattr(policy, "predict") else held_out.X
        for name, policy in policies.items()
    }
    return [
        (name, budget, _allocation(name, policy.decide(users[name], budget), budget))
        for budget in checked
        if budget is not None
        for name, policy in policies.items()
    ]


def _allocation(name: str, decided: Allocation | np.ndarray, budget: float) -> Allocation:
    """What a policy returned, an allocation or the decision alone, with a warning where it promises to overspend."""
    allocation = decided if isinstance(decided, Allocation) else Allocation(np.asarray(decided))
    if not np.issubdtype(allocation.decision.dtype, np.integer):
        raise InputError(
            f"policy {name!r} decided for {allocation.decision.dtype} cells; whole numbers are expected "
            "(0 is control)"
        )
    if allocation.cost > budget:
        warnings.warn(
            f"policy {name!r} promises to spend {allocation.cost:,.6g} of a budget of {budget:,.6g}; "
            "it is not compared at an equal budget",
            stacklevel=4,
        )
    return allocation


def _candidates(reference: str | Sequence[str] | None, names: list[str]) -> list[str]:
    chosen = [] if reference is None else [reference] if isinstance(reference, str) else list(reference)
    for name in chosen:
        if name not in names:
            raise InputError(f"reference {name!r} is none of the policies.{nearest(name, names)}")
    return chosen


def _reference_cells(
    candidates: list[str], names: list[str], value: np.ndarray, matched: np.ndarray
) -> np.ndarray | None:
    """Index of each cell's reference cell: of the candidates at the same budget, the one of highest value."""
    if not candidates:
        return None
    P = len(names)
    places = np.array([names.index(c) for c in candidates])
    by_budget = np.where(np.isnan(value), -np.inf, value).reshape(-1, P)[:, places]
    few = matched.reshape(-1, P)[:, places] < FEW
    # Where every candidate has too few matched users, the highest of them is as good as any.
    by_budget = np.where(few & ~few.all(axis=1, keepdims=True), -np.inf, by_budget)
    best = places[np.argmax(by_budget, axis=1)]
    return np.repeat(best + P * np.arange(len(best)), P)
