"""CausalForest: honest forests of the effect of every arm at once, with intervals, on EconML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier

from uplift.errors import InputError, check_fraction
from uplift.learners.base import factual_score
from uplift.learners.bases import Array, expected, fit_base
from uplift.learners.costs import ArmCosts
from uplift.learners.features import read_features
from uplift.learners.forests import one_thread
from uplift.learners.log import checked_log
from uplift.learners.nuisance import FOLDS, nuisance
from uplift.response import Response
from uplift.seeds import whole


class CausalForest(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Trees that split where effects differ, on value and arm freed of what the features explain.

        y - E[y|x] = sum_j effect_j(x) (1[t = j] - p_j(x)) + noise, solved within the leaves that x shares with others

    Value is a model of the control users' outcome for control, and that plus the effect for arm j. Cost is a model
    an arm, as in the T-learner.

    Parameters
    ----------
    base : regressor of the value, or for a 0/1 value a classifier; None takes LightGBM.
    cost_base : as in `TLearner`.
    propensity_base : classifier of the arm, asked only where `fit` gets no propensity; None takes LightGBM.
    n_estimators : number of trees, a multiple of 4 (intervals compare groups of 4).
    min_samples_leaf : users of a leaf's honest half, at least; larger is smoother.
    max_samples : share of the users that each tree sees, at most 0.5.
    seed : seed of folds, models and trees.

    Attributes
    ----------
    arms_ : names of the arms. control_model_ : model of control's value. forest_ : the fitted forest.
    costs_ : as in `TLearner`.

    Notes
    -----
    Assumes that treatment was random given X. One forest splits for all arms together, which misleads where they
    work through different features. Intervals are of the forest's own average at x, pointwise, and too narrow
    where the effect bends within a leaf. Raises InputError for an arm with fewer users than the 3 folds.
    Source: Athey, Tibshirani, Wager 2019, Annals of Statistics 47(2), section 6.1 (two arms; several in 6.2).
    """

    def __init__(
        self,
        base: Any = None,
        cost_base: Any = None,
        propensity_base: Any = None,
        n_estimators: int = 200,
        min_samples_leaf: int = 10,
        max_samples: float = 0.45,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.base = base
        self.cost_base = cost_base
        self.propensity_base = propensity_base
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_samples = max_samples
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
        """Fit value and cost; arguments, units and errors as in `ResponseLearner.fit`, for bases `SLearner.fit`.

        X must have no missing cells. Raises InputError also for an arm with fewer users than folds (3), settings of
        the trees out of range, a `propensity_base` that is no classifier, and a classifier for a value other than
        0/1 or with under 10 of either.
        """
        from econml.dml import CausalForestDML

        seed = whole(self.seed)
        log = checked_log(self, X, value, treatment, cost, propensity, arms)
        if not isinstance(self.n_estimators, int | np.integer) or self.n_estimators < 4 or self.n_estimators % 4:
            raise InputError(f"n_estimators is {self.n_estimators!r}; a multiple of 4 is expected, such as 200")
        if not (isinstance(self.min_samples_leaf, int | np.integer) and self.min_samples_leaf >= 1):
            raise InputError(f"min_samples_leaf is {self.min_samples_leaf!r}; 1 user or more is expected")
        if not (isinstance(self.max_samples, int | float | np.number) and 0 < self.max_samples <= 0.5):
            raise InputError(f"max_samples is {self.max_samples!r}; a share above 0 and up to 0.5 is expected")
        parts = nuisance(log, self.base, self.propensity_base, seed, with_arm=False)
        model = CausalForestDML(
            model_y=parts.outcome,
            model_t=parts.arm,
            discrete_treatment=True,
            discrete_outcome=self.base is not None and is_classifier(self.base),
            cv=FOLDS,
            drate=False,
            n_estimators=self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_samples=self.max_samples,
            random_state=seed,
        )
        model.fit(log.value, log.treatment, X=log.X, W=parts.W, inference=None)
        self.arms_ = log.arms
        self.forest_ = one_thread(model.model_cate.estimators_[0])
        control = log.of_arm(0)
        n = len(control.value)
        self.control_model_ = fit_base(self.base, seed, control.X, control.value, control.weight, n)
        self.costs_ = ArmCosts.fit((self.base, self.cost_base), seed, log)
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d); see `ResponseLearner.predict`."""
        features = read_features(self, X)
        value: Array = np.tile(expected(self.control_model_, features)[:, None], (1, len(self.arms_)))
        value[:, 1:] += self.forest_.predict(features)
        return Response(value, self.costs_.predict(features), self.arms_)

    def effect_interval(self, X: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper end of the pointwise interval of each effect, (n, K) each, in the value's unit.

        Of each user alone: with many users some effects lie outside. Raises InputError for a level outside (0, 1).
        """
        features = read_features(self, X)
        check_fraction(level, "level", 0.95)
        _, lower, upper = self.forest_.predict(features, interval=True, alpha=1 - level)
        return lower, upper

    score = factual_score
