"""DRLearner: effects as a regression of doubly robust scores, on EconML."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import DataConversionWarning

from uplift.errors import InputError, check_fraction
from uplift.fitting import seeded
from uplift.learners.base import factual_score
from uplift.learners.bases import Array, default_base, expected, fit_base, takes_missing
from uplift.learners.costs import ArmCosts
from uplift.learners.features import read_features
from uplift.learners.forests import one_thread
from uplift.learners.log import checked_log
from uplift.learners.nuisance import FOLDS, nuisance
from uplift.response import Response
from uplift.seeds import whole

FINALS = ("boosted", "linear", "forest")


class DRLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Doubly robust scores of each arm, cross-fitted, then a model of their difference to control.

        Gamma_ij = m_j(x_i) + 1[t_i = j] / p_ij (y_i - m_j(x_i)),   effect_j(x) = E[Gamma_ij - Gamma_i0 | x]

    Value is a model of the control users' outcome for control, and that plus the effect for arm j. Cost is a model
    an arm, as in the T-learner: doubly robust scores of a cost may be negative, and an optimiser takes what is free.

    Parameters
    ----------
    base : regressor of the outcome m on features and arm; None takes LightGBM. For a 0/1 value it may be a
        classifier.
    final : the model of the effect: "boosted" (LightGBM), "linear" (least squares, robust standard errors), "forest"
        (honest random forest), or a regressor. "linear" and "forest" give `effect_interval`.
    cost_base : as in `TLearner`.
    propensity_base : classifier of the arm, asked only where `fit` gets no propensity; None takes LightGBM.
    min_propensity : smaller probabilities count as this one; it bounds the weight of a single user.
    seed : seed of folds and models.

    Attributes
    ----------
    arms_ : names of the arms. control_model_ : model of control's value. effect_models_ : K fitted models.
    costs_ : as in `TLearner`.

    Notes
    -----
    Unbiased where either m or p is right, given that treatment was random given X. Misleads with small
    propensities: scores then hang on few users. The control level is not doubly robust, only the effects are.
    Raises InputError for an arm with fewer users than the 3 folds. Source: Kennedy 2023, Electronic Journal of
    Statistics 17(2), algorithm 1; Foster and Syrgkanis 2023, Annals of Statistics 51(3).
    """

    def __init__(
        self,
        base: Any = None,
        final: Any = "boosted",
        cost_base: Any = None,
        propensity_base: Any = None,
        min_propensity: float = 0.01,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.base = base
        self.final = final
        self.cost_base = cost_base
        self.propensity_base = propensity_base
        self.min_propensity = min_propensity
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

        Raises InputError also for an arm with fewer users than folds (3), `min_propensity` outside [0, .5), a `final`
        or `propensity_base` of another kind, and a classifier for a value other than 0/1 or with under 10 of either.
        """
        seed = whole(self.seed)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=self._missing())
        from econml.dr import DRLearner as EconMLDRLearner

        if not (isinstance(self.min_propensity, int | float | np.number) and 0 <= self.min_propensity < 0.5):
            raise InputError(f"min_propensity is {self.min_propensity!r}; a probability below 0.5 is expected")
        parts = nuisance(log, self.base, self.propensity_base, seed, with_arm=True)
        model = EconMLDRLearner(
            model_propensity=parts.arm,
            model_regression=parts.outcome,
            model_final=self._final_model(seed, len(log.value), log.smallest_arm),
            discrete_outcome=self.base is not None and is_classifier(self.base),
            min_propensity=self.min_propensity,
            cv=FOLDS,
            random_state=seed,
            allow_missing=self._missing(),
        )
        with warnings.catch_warnings():
            # EconML hands a classifier its outcomes as a column, and scikit-learn complains of that to the user.
            warnings.simplefilter("ignore", DataConversionWarning)
            warnings.filterwarnings("ignore", "Input contains NaN", UserWarning)  # where the bases take them
            model.fit(log.value, log.treatment, X=log.X, W=parts.W, inference=None)
        self.arms_ = log.arms
        self.effect_models_ = [one_thread(model.model_cate(T=j)) for j in range(1, len(log.arms))]
        control = log.of_arm(0)
        n = len(control.value)
        self.control_model_ = fit_base(self.base, seed, control.X, control.value, control.weight, n)
        self.costs_ = ArmCosts.fit((self.base, self.cost_base), seed, log)
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d); see `ResponseLearner.predict`."""
        features = read_features(self, X, missing=self._missing())
        control = expected(self.control_model_, features)
        effects = [np.ravel(model.predict(features)) for model in self.effect_models_]
        value: Array = control[:, None] + np.column_stack([np.zeros(len(features)), *effects])
        return Response(value, self.costs_.predict(features), self.arms_)

    def effect_interval(self, X: ArrayLike, *, level: float = 0.95) -> tuple[Array, Array]:
        """Lower and upper end of the pointwise interval of each effect, (n, K) each, in the value's unit.

        Of the effect projected on the final model: where a line cannot follow the effect, the interval of "linear"
        covers the line. Raises InputError for a final model without intervals and a level outside (0, 1).
        """
        features = read_features(self, X, missing=self._missing())
        check_fraction(level, "level", 0.95)
        if not all(hasattr(model, "predict_interval") for model in self.effect_models_):
            raise InputError(f"final={self.final!r} gives no intervals; fit with final='linear' or final='forest'")
        ends = [model.predict_interval(features, alpha=1 - level) for model in self.effect_models_]
        lower, upper = (np.column_stack([np.ravel(end[side]) for end in ends]) for side in (0, 1))
        return lower, upper

    score = factual_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome where every base takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._missing()
        return tags

    def _missing(self) -> bool:
        bases = (self.base, self.cost_base, self.propensity_base)
        if isinstance(self.final, str):
            return self.final == "boosted" and takes_missing(*bases)
        return takes_missing(self.final, *bases)

    def _final_model(self, seed: int, rows: int, smallest_arm: int) -> Any:
        """An unfitted model of the effect."""
        from econml.grf import RegressionForest
        from econml.sklearn_extensions.linear_model import StatsModelsLinearRegression

        usable = isinstance(self.final, BaseEstimator) and hasattr(self.final, "predict")
        if usable and not is_classifier(self.final):
            return seeded(clone(self.final), seed)
        if self.final == "boosted":
            return default_base(seed, rows, smallest_arm)
        if self.final == "linear":
            return StatsModelsLinearRegression()
        if self.final == "forest":
            return RegressionForest(200, min_samples_leaf=20, random_state=seed)
        raise InputError(f"final is {self.final!r}; a regressor or one of {', '.join(FINALS)} is expected")
