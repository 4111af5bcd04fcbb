"""ResponseLearner: what anything that predicts value and cost per user and arm looks like; and its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from uplift.errors import InputError
from uplift.learners.arguments import amounts
from uplift.learners.log import check_log
from uplift.response import Response


@runtime_checkable
class ResponseLearner(Protocol):
    """Anything that learns the value and the cost of every arm from a log; `TwoStage` and the baselines take it.

    Those of this package are scikit-learn estimators besides: `get_params`, `clone`, and `score`, the share of the
    logged value's variance that the prediction for the arm received explains (R^2, weighed by 1 / propensity).
    `isinstance` sees the names of the two methods alone, not what they take.
    """

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
        """Learn from a log of n users; the learner itself.

        Parameters
        ----------
        X : (n, d) numbers known before the treatment, an array or a data frame; NaN only where the learner takes it.
        value : (n,) logged outcome in the campaign's value unit, may be negative.
        treatment : (n,) the arm received, 0..K with 0 for control; booleans, or with `arms` their names, will do.
        cost : (n,) money spent on the user, may be negative; None is 0 for everybody.
        propensity : (n, K+1) probability of each arm, rows summing to 1. A user then counts with 1 / propensity of
            the arm received, which makes the loss on the arms received unbiased for that on all arms. None weighs
            users alike; learners that need a propensity then take the arms' shares or estimate it, as they say.
        arms : names of the K+1 arms, control first; None names them "0" to "K".

        Assumes that users are independent, and that treatment was random given X with these propensities: no common
        cause of treatment and value is left out of X, and each user could get each arm. Misleads where a feature was
        measured after the treatment: it hides the effect that went through it.
        Raises InputError for lengths that differ, amounts that are missing, infinite, beyond 1e30 or hardly vary (by
        1e-5 of their size: single precision), missing features where the learner takes none, columns of text, an arm
        unknown or without users, one arm alone, propensities outside (0, 1] or not summing to 1, and parameters
        out of range; scikit-learn's ValueError for an X of another shape, infinite, of words or of one row.
        """
        ...

    def predict(self, X: ArrayLike) -> Response:
        """Expected value (value units) and cost (money) of every arm, (n, K+1) each, for every row of X (n, d).

        Learners of this package keep the cost within the range logged under the arm. Misleads when added up over
        the arms that it chose: what was chosen for a high prediction is worth less (the winner's curse), so verify
        on other users. Raises scikit-learn's NotFittedError before `fit`, its ValueError for other features than
        those of `fit`, and InputError for cells that are no numbers, or missing where the learner takes none.
        """
        ...


def factual_r2(
    predicted: Response,
    X: ArrayLike,
    value: ArrayLike,
    treatment: ArrayLike,
    propensity: ArrayLike | None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of the logged value's variance that the prediction for the arm received explains; 1 is perfect.

    R^2 = 1 - sum_i w_i (y_i - v_{i,t_i})^2 / sum_i w_i (y_i - y_w)^2, w_i = 1 / p_{i,t_i} (1 where no propensity is
    given) and y_w the weighted mean: with these weights the loss is unbiased for the loss on the full table. It is
    what `score` of the learners gives to GridSearchCV. Misleads where levels vary far more than effects: a model
    may explain nearly all of the value and nothing of the effect. To choose by effects give GridSearchCV
    `make_scorer(lambda y, p, treatment: metrics.qini(p.effect, y, treatment).area).set_score_request(treatment=True)`
    as `scoring`. `sample_weight` (n,) multiplies w; a Pipeline passes it on.
    """
    log = check_log(X, value, treatment, None, propensity, predicted.arms, missing=True, every_arm=False)
    weight = log.weights
    if sample_weight is not None:
        given = amounts(sample_weight, "sample_weight", len(weight))
        if given.min() < 0 or given.max() == 0:
            raise InputError(
                f"sample_weight runs from {given.min():g} to {given.max():g}; weights of at least 0 are expected, "
                "not all of them 0"
            )
        weight = weight * given
    at_received = np.asarray(predicted.value, dtype=np.float64)[np.arange(len(log.value)), log.treatment]
    mean = np.average(log.value, weights=weight)
    spread = float(weight @ (log.value - mean) ** 2)
    missed = float(weight @ (log.value - at_received) ** 2)
    if spread == 0:
        return 1.0 if missed == 0 else 0.0
    return 1 - missed / spread


def factual_score(
    self: ResponseLearner,
    X: ArrayLike,
    value: ArrayLike,
    *,
    treatment: ArrayLike,
    propensity: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """R^2 of the value under the arm received (`factual_r2`): the learners' method `score`, for GridSearchCV."""
    return factual_r2(self.predict(X), X, value, treatment, propensity, sample_weight)
