"""Cross-fitted outcome models for doubly robust evaluation: what each user would be worth and cost under each arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.campaign import Campaign
from uplift.causal.assignment import covariates, default_outcome_model
from uplift.causal.crossfit import assign_folds, check_outcome_model, cross_fit_outcome, seeded_clone
from uplift.cells import check_finite
from uplift.errors import InputError
from uplift.groups import label_codes

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
    n_folds: int | None = None,
    cluster: ArrayLike | None = None,
    seed: int = 0,
) -> Outcomes:
    """Fit value and cost of each arm on the evaluation log itself, fold by fold.

    Parameters
    ----------
    model : a scikit-learn regressor or classifier, of which one is fitted to each arm, or a response learner; None
        takes `uplift.causal.assignment.default_outcome_model`, small boosted trees.
    n_folds, cluster, seed : as in `uplift.causal.assign_folds`; users of a cluster share a fold. None takes 5, or as
        many as there are users or clusters where they are fewer.

    The models need not be right: with known propensities the doubly robust estimate is unbiased whatever they
    predict, since they never saw the user; the better they are the shorter the interval. They are other models than
    those that decide, and fitted to other users. Amounts that are the same for all users of an arm are taken as they
    are. Raises InputError where an arm has fewer than 2 users (or clusters) to learn from.
    """
    t, K1 = held_out.treatment, len(held_out.arms)
    if n_folds is None:
        units = len(t) if cluster is None else len(label_codes(cluster, len(t), "cluster")[0])
        n_folds = max(2, min(5, units))
    try:
        fold = assign_folds(t, n_folds, seed=seed, cluster=cluster)
    except InputError as error:
        raise InputError(
            f"no outcome model can be cross-fitted on this log, where the arms {', '.join(held_out.arms)} have "
            f"{', '.join(map(str, np.bincount(t, minlength=K1)))} users: {error}. Without a model: "
            "estimators=['ipw', 'sn']"
        ) from None
    chosen = default_outcome_model(len(held_out)) if model is None else model
    check_outcome_model(chosen)
    chosen, X = seeded_clone(chosen, seed), covariates(held_out)

    def _table(amount: Array) -> Array:
        fixed = _fixed(amount, t, K1)
        return cross_fit_outcome(chosen, X, amount, t, fold, K1) if fixed is None else fixed

    return Outcomes(_table(held_out.value), None if held_out.cost is None else _table(held_out.cost))


def check_outcomes(outcomes: Outcomes, held_out: Campaign) -> Outcomes:
    """The predictions as arrays of floats; raises InputError where their shape is not the log's, or one is amiss."""
    shape, tables = (len(held_out), len(held_out.arms)), {}
    for name in ("value", "cost"):
        given = getattr(outcomes, name)
        if given is None:
            continue
        try:
            tables[name] = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"the outcome model's {name} is a {type(given).__name__} that holds no table of numbers; (users, "
                f"arms) = {shape} is expected"
            ) from None
        if tables[name].shape != shape:
            raise InputError(
                f"the outcome model's {name} has shape {tables[name].shape}; (users, arms) = {shape} is expected"
            )
        check_finite(tables[name], f"the outcome model's {name}")
    if "value" not in tables or (held_out.cost is not None and "cost" not in tables):
        lacking = "cost" if "value" in tables else "value"
        raise InputError(
            f"the log has {lacking} and the outcomes have none; fit them on this log: fit_outcomes(held_out)"
        )
    return Outcomes(tables["value"], tables.get("cost"))


def _fixed(amount: Array, treatment: NDArray[np.int64], n_arms: int) -> Array | None:
    """The amounts by arm, (n, K+1), where no arm's amount varies and every arm was given; None otherwise."""
    by_arm = [amount[treatment == j] for j in range(n_arms)]
    if any(not len(own) or own.min() != own.max() for own in by_arm):
        return None
    return np.tile([own[0] for own in by_arm], (len(amount), 1))
