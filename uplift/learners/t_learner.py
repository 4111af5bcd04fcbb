"""T-learner: a model of the outcome for each arm, fitted on the users who received it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from uplift.learners.base import factual_score
from uplift.learners.bases import Array, expected, fit_base, takes_missing
from uplift.learners.costs import ArmCosts
from uplift.learners.features import read_features
from uplift.learners.log import Log, checked_log
from uplift.response import Response
from uplift.seeds import whole


class TLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A model for each arm: `value[i, j] = f_j(x_i)`, f_j fitted where treatment = j; the same for cost.

    Parameters
    ----------
    base : scikit-learn regressor or classifier of the value; None takes LightGBM. Of a classifier the expected
        label is used, so labels must be numbers.
    cost_base : the same for the cost; None takes `base` where that is a regressor, else LightGBM with a
        Poisson loss where no logged cost is negative, so that no paid incentive is predicted to be free.
    seed : whole number or numpy Generator, from which the base models are seeded.

    Attributes
    ----------
    arms_ : names of the arms. value_models_ : a fitted base an arm. costs_ : the models of the cost
    (`uplift.learners.costs.ArmCosts`); predictions stay inside the logged range of each arm's cost.

    Notes
    -----
    Assumes that treatment was random given X. Nothing is shared between arms, so small arms give noisy tables, and
    the noise of two models adds up in every effect.
    Source: Künzel et al. 2019, PNAS 116(10), section "Meta-algorithms" (T-learner).
    """

    def __init__(self, base: Any = None, cost_base: Any = None, seed: int | np.random.Generator = 0) -> None:
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
        """Fit value and cost; arguments, units and errors as in `ResponseLearner.fit`, for bases `SLearner.fit`."""
        bases = (self.base, self.cost_base)
        seed = whole(self.seed)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=takes_missing(*bases))
        self.arms_ = log.arms
        self.value_models_ = fit_levels(self.base, seed, log)
        self.costs_ = ArmCosts.fit(bases, seed, log)
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d); see `ResponseLearner.predict`."""
        features = read_features(self, X, missing=takes_missing(self.base, self.cost_base))
        value: Array = np.column_stack([expected(model, features) for model in self.value_models_])
        return Response(value, self.costs_.predict(features), self.arms_)

    score = factual_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome where every base takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = takes_missing(self.base, self.cost_base)
        return tags


def fit_levels(base: Any, seed: int, log: Log) -> list[Any]:
    """A model of the value of each arm, from the arm's own users; arm j takes seed + 2 j."""
    levels = []
    for j in range(len(log.arms)):
        of_arm = log.of_arm(j)
        levels.append(fit_base(base, seed + 2 * j, of_arm.X, of_arm.value, of_arm.weight, len(of_arm.value)))
    return levels
