"""Cross-fitted outcome models for doubly robust evaluation: what each user would be worth and cost under each arm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocation.evaluation.outcomes import Outcomes
from uplift.campaign import Campaign, check_campaign
from uplift.causal.assignment import covariates, default_outcome_model
from uplift.causal.crossfit import assign_folds, check_outcome_model, cross_fit_outcome, seeded_clone
from uplift.errors import InputError
from uplift.groups import label_codes

Array = NDArray[np.float64]


def fit_outcomes(
    held_out: Campaign,
    *,
    model: Any = None,
    n_folds: int | None = None,
    cluster: ArrayLike | None = None,
    seed: int = 0,
) -> Outcomes:
    """Fit value and cost of each arm on the evaluation log itself, fold by fold.

    Parameters
    ----------
    held_out : the log of n users; its features are what the models see, and activeness where it has that.
    model : a scikit-learn regressor or classifier, of which one is fitted to each arm, or a response learner; None
        takes `uplift.causal.assignment.default_outcome_model`, small boosted trees.
    n_folds, cluster, seed : as in `uplift.causal.assign_folds`; users of a cluster share a fold. None takes 5, or as
        many as there are users or clusters where they are fewer.

    Returns `Outcomes`, tables (n, K+1) of value (value units) and cost (money; None where the log has none).

    The models need not be right: with known propensities the doubly robust estimate is unbiased whatever they
    predict, since they never saw the user; the better they are the shorter the interval. They are other models than
    those that decide, and fitted to other users. Where no arm's amount varies among its users (a fixed cost of every
    arm), amounts are taken as they are. Raises InputError where an arm has fewer than 2 users (or clusters) to learn
    from, for another kind of model, and for folds or labels that do not fit.
    """
    check_campaign(held_out)
    t, K1 = held_out.treatment, len(held_out.arms)
    users = np.bincount(t, minlength=K1)
    if not users.all():
        raise InputError(
            f"arm {held_out.arms[int(np.argmin(users))]!r} was given to nobody of the {len(t):,} users, so no "
            "model can learn its outcomes; take more users, or drop the arm from the log"
        )
    if n_folds is None:
        units = len(t) if cluster is None else len(label_codes(cluster, len(t), "cluster")[0])
        n_folds = max(2, min(5, units))
    try:
        fold = assign_folds(t, n_folds, seed=seed, cluster=cluster)
    except InputError as error:
        raise InputError(
            f"no outcome model can be cross-fitted on this log, where the arms {', '.join(held_out.arms)} have "
            f"{', '.join(map(str, users))} users: {error}. Take more users, drop the rare arm, or "
            "do without a model: estimators=['ipw', 'sn']"
        ) from None
    chosen = default_outcome_model(len(held_out)) if model is None else model
    check_outcome_model(chosen)
    chosen, X = seeded_clone(chosen, seed), covariates(held_out)

    def _table(amount: Array) -> Array:
        fixed = _fixed(amount, t, K1)
        return cross_fit_outcome(chosen, X, amount, t, fold, K1) if fixed is None else fixed

    return Outcomes(_table(held_out.value), None if held_out.cost is None else _table(held_out.cost))


def _fixed(amount: Array, treatment: NDArray[np.int64], n_arms: int) -> Array | None:
    """The amounts by arm, (n, K+1), where no arm's amount varies; None otherwise."""
    by_arm = [amount[treatment == j] for j in range(n_arms)]
    if any(own.min() != own.max() for own in by_arm):
        return None
    return np.tile([own[0] for own in by_arm], (len(amount), 1))
