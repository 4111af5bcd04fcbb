"""Decision stability: how many users would get another arm had the log been another one of the same kind."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.price import margins
from allocation.engine.problem import Allocation
from allocation.evaluation.decided import check_budgets
from allocation.evaluation.resample import resampled_rows
from allocation.evaluation.stability_result import Stability
from allocation.policies.base import Policy
from uplift.campaign import Campaign
from uplift.errors import InputError, check_fraction, check_whole
from uplift.seen import Seen

Array = NDArray[np.float64]
KINDS = {"half": "half of the log", "bootstrap": "bootstrap resample"}


def stability(
    policy: Policy,
    train: Campaign,
    users: Campaign | NDArray[Any],
    budgets: Sequence[float],
    *,
    refits: int = 20,
    resample: str = "half",
    cluster: Any = None,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Stability:
    """Refit copies of a fitted policy on resamples of its training log and let each decide for the same users.

    Parameters
    ----------
    policy : fitted on `train`; it is copied, never changed. train : the log that it was fitted on.
    users : for whom to decide, a campaign or features (n, d), also those of `train`. budgets : money for all of them
        together.
    refits : how many, at least 2.
    resample : "half" or "bootstrap", see `allocation.evaluation.resample.resampled_rows`.
    cluster : (users of `train`,) labels of the clusters that were sampled or randomised as a whole; else users are
        drawn within their arm, so that no resample lacks an arm.
    level : of the ranges over refits; with 20 refits 95% is nearly the smallest to the largest.
    seed : of the resamples; models keep the seeds that they have.
    progress : called after each refit with (done, refits).

    Returns a `Stability`; print it, or take its `frame` (a row a budget) and `by_margin`.

    Notes
    -----
    Resampled logs agree with each other more than new ones would: they are drawn around this log, whose margins the
    optimiser has sought out, so the figures are rather a lower bound. Measured on simulated logs of 4,000 users (two
    logs, 6 to 8 refits; share of users who differ between two fits), in the order linear T-learner / boosted
    S-learner / DR-learner with linear / with boosted effects:

        two new logs .52 / .46 / .56 / .65,    halves .43 / .46 / .47 / .59,    bootstrap .41 / .44 / .46 / .57

    Halves are the default because a bootstrap repeats users, also their `user_id`, and copies of one user come into
    two folds of a learner that cross-fits (DRLearner): its nuisance models have then seen outcomes that they are to
    predict without. In the same world the standard deviation of the linear effects over refits was .77 over new logs,
    .62 under the bootstrap, .81 where all copies shared a fold, and .84 over halves. A half has half the users for
    models that grow with the log; learners without folds may take "bootstrap".

    Not in the figures: chance in the fit itself (seeds stay as they are), and a model in scikit-learn's
    FrozenEstimator, which no refit changes. A small budget treats few users, so that few can change: read `changed`
    beside `by_chance` and `changed_treated`. An unstable arm need not cost value: between arms that are worth the
    same the choice is open, which `by_margin` shows.

    Raises InputError for a `train` that is no campaign, a policy that is not fitted or was fitted to others, other
    arms, no users, refits or a level that do not fit, and a refit that the learner refuses (with its number);
    ProblemError for budgets that are no finite amounts, and for one that cannot be met.
    """
    _check(policy, train, refits, level)
    X = users.X if isinstance(users, Campaign) else np.asarray(users)
    if X.ndim != 2 or not len(X):
        raise InputError(
            f"users has shape {X.shape}; a campaign or features (users, features) of at least one are expected"
        )
    amounts = check_budgets(budgets)
    arms, n, B = train.arms, len(X), len(amounts)
    seen = _seen(policy, X)
    original = [_decided(policy, seen, budget, n, arms) for budget in amounts]
    decision = np.stack([allocation.decision for allocation in original]).astype(np.int64)
    margin, note = _margins(policy, seen, amounts, original)

    votes = np.zeros((B, n, len(arms)), dtype=np.int32)
    changed, changed_treated = np.empty((refits, B)), np.full((refits, B), np.nan)
    mix = np.empty((refits, B, len(arms)))
    hint = "; resample='bootstrap' keeps as many users in every arm" if resample == "half" and cluster is None else ""
    draws = resampled_rows(train, resample=resample, cluster=cluster, seed=seed)
    for r, rows in enumerate(islice(draws, refits)):
        refit = _refit(policy, train.take(rows), f"refit {r + 1} of {refits}, on a {KINDS[resample]}", hint)
        seen = _seen(refit, X)
        for k, budget in enumerate(amounts):
            arm = _decided(refit, seen, budget, n, arms).decision
            votes[k, np.arange(n), arm] += 1
            other, treated = arm != decision[k], decision[k] > 0
            changed[r, k] = other.mean()
            if treated.any():
                changed_treated[r, k] = other[treated].mean()
            mix[r, k] = np.bincount(arm, minlength=len(arms)) / n
        if progress is not None:
            progress(r + 1, refits)
    return Stability(
        amounts, arms, decision, votes, changed, changed_treated, mix, margin, note, resample, float(level)
    )


def _check(policy: Any, train: Any, refits: int, level: float) -> None:
    if not isinstance(train, Campaign):
        raise InputError(
            f"train is a {type(train).__name__}; a Campaign is expected: give the one that the policy was fitted on, "
            "such as uplift.Campaign.from_frame(log, ...)"
        )
    arms = getattr(policy, "arms_", None)
    if arms is None:
        raise InputError(
            f"{type(policy).__name__} is not fitted; call .fit(train) first: its own decision is what refits change"
        )
    if tuple(arms) != train.arms:
        raise InputError(
            f"the policy was fitted on the arms {', '.join(arms)}; train has {', '.join(train.arms)}: give the log "
            "that it was fitted on"
        )
    learned = getattr(policy, "users_", None)
    strangers = int((~learned.among(train)).sum()) if isinstance(learned, Seen) else 0
    if strangers:
        raise InputError(
            f"{strangers:,} of {len(train):,} users of train did not train the policy; give the log that it was "
            "fitted on"
        )
    check_whole(refits, "refits", 2, ", 20 is usual")
    check_fraction(level, "level", 0.95)


def _refit(policy: Policy, resample: Campaign, which: str, hint: str) -> Policy:
    try:
        return copy.deepcopy(policy).fit(resample)
    except InputError as error:
        raise InputError(f"{which} of {len(resample):,} users: {error}{hint}") from error


def _seen(policy: Any, X: NDArray[Any]) -> Any:
    """What the policy decides on: its prediction, made once for all budgets, where it predicts; else X."""
    return policy.predict(X) if hasattr(policy, "predict") else X


def _decided(policy: Policy, seen: Any, budget: float, n: int, arms: tuple[str, ...]) -> Allocation:
    given = policy.decide(seen, budget)
    allocation = given if isinstance(given, Allocation) else Allocation(np.asarray(given))
    z = allocation.decision
    whole = z.shape == (n,) and np.issubdtype(z.dtype, np.integer)
    if not whole or not 0 <= z.min() <= z.max() < len(arms):
        found = f"arms {z.min()} to {z.max()}" if whole else f"{z.dtype} cells of shape {z.shape}"
        raise InputError(
            f"{type(policy).__name__} decided with {found}; a whole number from 0 to {len(arms) - 1} for each of "
            f"{n:,} users is expected"
        )
    return allocation


def _margins(policy: Any, seen: Any, budgets: Sequence[float], decided: list[Allocation]) -> tuple[Array, str]:
    """Margins (B, n) of the policy's own decision, and why there are none."""
    margin = np.full((len(budgets), len(decided[0].decision)), np.nan)
    if not hasattr(policy, "problem"):
        return margin, f"{type(policy).__name__} solves no problem of values and costs"
    for k, budget in enumerate(budgets):
        if math.isfinite(decided[k].price):
            margin[k] = margins(policy.problem(seen, budget), decided[k])
    return margin, "the decision has no price" if np.isnan(margin).any() else ""
