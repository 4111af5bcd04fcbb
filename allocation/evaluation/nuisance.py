"""Cross-fitted outcome models for doubly robust evaluation: what each user would be worth and cost under each arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign
from uplift.causal.assignment import covariates, default_outcome_model
from uplift.causal.crossfit import assign_folds, check_outcome_model, cross_fit_outcome, seeded_clone
from uplift.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Out-of-fold predictions for the users of an evaluation log: none is by a model that saw the user.

    value, cost : (n, K+1), value units and money; cost is None where the log has none.
    """

    value: Array
    cost: Array | None


def fit_outcomes(
    held_out: Campaign,
    *,
    model: Any = None,
    n_folds: int = 5,
    cluster: ArrayLike | None = None,
    seed: int = 0,
) -> Outcomes:
    """Fit value and cost of each arm on the evaluation log itself, fold by fold.

    Parameters
    ----------
    model : a scikit-learn regressor or classifier, of which one is fitted to each arm, or a response learner; None
        takes `uplift.causal.assignment.default_outcome_model`, small boosted trees.
    n_folds, cluster, seed : as in `uplift.causal.assign_folds`; users of a cluster share a fold.

    The models need not be right: with known propensities the doubly robust estimate is unbiased whatever they
    predict, since they never saw the user; the better they are the shorter the interval. They are other models than
    those that decide, and fitted to other users. Amounts that are the same for all users of an arm are taken as they
    are. Raises InputError where an arm has fewer than 2 users (or clusters) to learn from.
    """
    t, K1 = held_out.treatment, len(held_out.arms)
    fold = assign_folds(t, n_folds, seed=seed, cluster=cluster)
    chosen = default_outcome_model(len(held_out)) if model is None else model
    check_outcome_model(chosen)
    chosen, X = seeded_clone(chosen, seed), covariates(held_out)

    def _table(amount: Array) -> Array:
        fixed = _fixed(amount, t, K1)
        return cross_fit_outcome(chosen, X, amount, t, fold, K1) if fixed is None else fixed

    return Outcomes(_table(held_out.value), None if held_out.cost is None else _table(held_out.cost))


def check_outcomes(outcomes: Outcomes, held_out: Campaign) -> Outcomes:
    """The predictions themselves; raises InputError where their shape is not the log's."""
    shape = (len(held_out), len(held_out.arms))
    for name in ("value", "cost"):
        table = getattr(outcomes, name)
        if table is not None and np.shape(table) != shape:
            raise InputError(
                f"the outcome model's {name} has shape {np.shape(table)}; (users, arms) = {shape} is expected"
            )
    if held_out.cost is not None and outcomes.cost is None:
        raise InputError("the log has cost and the outcomes have none; fit them on this log: fit_outcomes(held_out)")
    return outcomes


def _fixed(amount: Array, treatment: NDArray[np.int64], n_arms: int) -> Array | None:
    """The amounts by arm, (n, K+1), where no arm's amount varies and every arm was given; None otherwise."""
    by_arm = [amount[treatment == j] for j in range(n_arms)]
    if any(not len(own) or own.min() != own.max() for own in by_arm):
        return None
    return np.tile([own[0] for own in by_arm], (len(amount), 1))
