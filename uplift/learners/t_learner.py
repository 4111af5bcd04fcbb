"""T-learner: a model of the outcome for each arm, fitted on the users who received it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from uplift.learners.base import Array, CostRange, check_log, expected, fit_base, fit_cost
from uplift.response import Response


class TLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A model for each arm: `value[i, j] = f_j(x_i)`, f_j fitted where treatment = j; the same for cost.

    Parameters
    ----------
    base : scikit-learn regressor or classifier of the value; None takes LightGBM. Of a classifier the expected
        label is used, so labels must be numbers.
    cost_base : the same for the cost; None takes `base` where that is a regressor, else LightGBM with a
        Poisson loss where no logged cost is negative (`default_cost_base` says why).
    seed : seed of the base models.

    Attributes
    ----------
    arms_ : names of the arms. value_models_, cost_models_ : a fitted base an arm (None in cost_models_ where the
    arm's cost is a constant). cost_range_ : the logged range of each arm's cost; predictions stay inside it.

    Notes
    -----
    Assumes that treatment was random given X. Nothing is shared between arms, so small arms give noisy tables, and
    the noise of two models adds up in every effect.
    Source: Künzel et al. 2019, PNAS 116(10), section "Meta-algorithms" (T-learner).
    """

    def __init__(self, base: Any = None, cost_base: Any = None, seed: int = 0) -> None:
        self.base = base
        self.cost_base = cost_base
        self.seed = seed

    def fit(
        self,
        X: ArrayLike,
        value: ArrayLike,
        *,
        treatment: ArrayLike,
        cost: ArrayLike | None = None,
        propensity: ArrayLike | None = None,
        arms: Sequence[str] | None = None,
    ) -> Self:
        """Fit value and cost. Shapes as in `ResponseLearner`; raises InputError on input that does not fit."""
        log = check_log(X, value, treatment, cost, propensity, arms)
        validate_data(self, X, skip_check_array=True)  # remembers the names and the number of the features
        self.arms_ = log.arms
        self.cost_range_ = CostRange.of(log)
        self.value_models_ = []
        self.cost_models_ = []
        for j in range(len(log.arms)):
            rows = log.treatment == j
            n = int(rows.sum())
            weight = None if log.weight is None else log.weight[rows]
            seed = self.seed + 2 * j
            self.value_models_.append(fit_base(self.base, seed, log.X[rows], log.value[rows], weight, n))
            model = None
            if not self.cost_range_.known[j]:
                model = fit_cost((self.base, self.cost_base), seed + 1, log.X[rows], log.cost[rows], weight, n)
            self.cost_models_.append(model)
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d)."""
        check_is_fitted(self)
        features = validate_data(self, X, reset=False, dtype=np.float32)
        value: Array = np.column_stack([expected(model, features) for model in self.value_models_])
        cost: Array = np.tile(self.cost_range_.low, (len(features), 1))
        for j, model in enumerate(self.cost_models_):
            if model is not None:
                cost[:, j] = expected(model, features)
        return Response(value, self.cost_range_.clip(cost), self.arms_)
