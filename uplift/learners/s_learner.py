"""S-learner: a single model of the outcome with the arm among its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from uplift.learners.base import factual_score
from uplift.learners.bases import Array, expected, fit_base, fit_cost, takes_missing
from uplift.learners.costs import CostRange
from uplift.learners.features import read_features
from uplift.learners.log import checked_log
from uplift.response import Response
from uplift.seeds import whole


class SLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """One model for all arms: `value[i, j] = f(x_i, j, e_j)`, e_j the 0/1 indicators of arm j; the same for cost.

    Trees need both: an indicator parts one arm from all others in one split, control too, and the number parts the
    small doses from the large ones. So the order of the arms matters a little; name doses in increasing order.

    Parameters
    ----------
    base : scikit-learn regressor or classifier of the value; None takes LightGBM. Of a classifier the expected
        label is used, so labels must be numbers.
    cost_base : the same for the cost; None takes `base` where that is a regressor, else LightGBM with a
        Poisson loss where no logged cost is negative, so that no paid incentive is predicted to be free.
    seed : whole number or numpy Generator, from which the base models are seeded.

    Attributes
    ----------
    arms_ : names of the arms. value_model_, cost_model_ : the fitted bases (cost_model_ is None where every arm's
    cost is a constant). cost_range_ : the logged range of each arm's cost; predictions stay inside it.

    Notes
    -----
    Assumes that treatment was random given X. The base shrinks all arms together, which helps with few rows and
    small effects and misleads where arms work through different features: effects come out too alike.
    Source: Künzel et al. 2019, PNAS 116(10), section "Meta-algorithms" (S-learner).

    Examples
    --------
    >>> from uplift import synthetic
    >>> log = synthetic.simulate(2_000, seed=0).campaign
    >>> model = SLearner(seed=0).fit(log.X, log.value, treatment=log.treatment, cost=log.cost)
    >>> model.predict(log.X).effect.shape
    (2000, 4)
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
        """Fit value and cost; arguments, units and errors as in `ResponseLearner.fit`.

        Raises InputError also for a base that is no regressor or classifier, a classifier for a value with fractions,
        and a base that takes no `sample_weight` where propensities differ between users.
        """
        missing = takes_missing(self.base, self.cost_base)
        seed = whole(self.seed)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=missing)
        K = len(log.arms) - 1
        design = np.column_stack([log.X, _arm_inputs(log.treatment, K)])
        self.arms_ = log.arms
        self.cost_range_ = CostRange.of(log)
        self.value_model_ = fit_base(self.base, seed, design, log.value, log.weight, log.smallest_arm)
        self.cost_model_ = None
        if not self.cost_range_.known.all():
            # Arms whose cost is known would only teach the model what is never asked of it.
            rows = ~self.cost_range_.known[log.treatment]
            weight = None if log.weight is None else log.weight[rows]
            self.cost_model_ = fit_cost(
                (self.base, self.cost_base), seed + 1, design[rows], log.cost[rows], weight, log.smallest_arm
            )
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d); see `ResponseLearner.predict`."""
        features = read_features(self, X, missing=takes_missing(self.base, self.cost_base))
        n, K = len(features), len(self.arms_) - 1
        value: Array = np.empty((n, K + 1))
        cost: Array = np.tile(self.cost_range_.low, (n, 1))
        for j in range(K + 1):
            design = np.column_stack([features, _arm_inputs(np.full(n, j), K)])
            value[:, j] = expected(self.value_model_, design)
            if not self.cost_range_.known[j]:
                cost[:, j] = expected(self.cost_model_, design)
        return Response(value, self.cost_range_.clip(cost), self.arms_)

    score = factual_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome where every base takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = takes_missing(self.base, self.cost_base)
        return tags


def _arm_inputs(treatment: NDArray[np.int64], K: int) -> NDArray[np.float32]:
    """The arm's number, and with several treatments the 0/1 indicators of arms 0..K beside it; (n, 1 or K + 2)."""
    number = treatment[:, None]
    if K == 1:
        return number.astype(np.float32)
    return np.column_stack([number, number == np.arange(K + 1)]).astype(np.float32)
