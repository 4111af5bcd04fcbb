"""X-learner: effects imputed from the other arm's model, then smoothed once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone, is_classifier

from uplift.causal.crossfit import check_classifier
from uplift.fitting import seeded
from uplift.learners.base import factual_score
from uplift.learners.bases import Array, checked_regressor, expected, fit_base, takes_missing
from uplift.learners.costs import ArmCosts
from uplift.learners.features import read_features
from uplift.learners.log import Log, checked_log
from uplift.learners.t_learner import fit_levels
from uplift.response import Response
from uplift.seeds import whole


class XLearner(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Two effects for each arm, imputed from both sides, mixed by the propensity.

        users of arm j   D_i = y_i - mu_0(x_i)     regressed on x: tau_j1(x)
        users of control D_i = mu_j(x_i) - y_i     regressed on x: tau_j0(x)
        effect_j(x) = g_j(x) tau_j0(x) + (1 - g_j(x)) tau_j1(x),   g_j = p_j / (p_0 + p_j)

    Value is mu_0(x) for control and mu_0(x) + effect_j(x) for arm j. Cost is a model an arm, as in the T-learner:
    control's cost is known nearly always, so that there is no second side to impute from.

    Parameters
    ----------
    base : scikit-learn regressor or classifier of the value (mu); None takes LightGBM.
    effect_base : regressor of the imputed effects; None takes `base` where that is a regressor, else LightGBM.
    cost_base : as in `TLearner`.
    propensity_base : classifier of the arm, for g at users who were not logged; None takes g from the mean
        propensity of each arm, or from the arms' shares where no propensity is given.
    seed : whole number or numpy Generator, from which the base models are seeded.

    Attributes
    ----------
    arms_, value_models_, costs_ : as in `TLearner`. effect_models_ : K pairs (tau_j0, tau_j1).
    share_ : mean propensity of each arm, (K+1,). propensity_model_ : the fitted classifier, or None.

    Notes
    -----
    g is a choice of weights: it changes the variance of the effect, not what it estimates, so a constant is
    sound. Strong where control is much larger than the arms. Misleads where mu_0 or mu_j is poor: its errors enter
    both sides. Source: Künzel et al. 2019, PNAS 116(10), equations 9 to 11 (two arms); each arm against control is
    the extension used here.
    """

    def __init__(
        self,
        base: Any = None,
        effect_base: Any = None,
        cost_base: Any = None,
        propensity_base: Any = None,
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.base = base
        self.effect_base = effect_base
        self.cost_base = cost_base
        self.propensity_base = propensity_base
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

        Raises InputError also for an `effect_base` that is no regressor, a `propensity_base` that is no classifier.
        """
        seed = whole(self.seed)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=self._missing())
        self.arms_ = log.arms
        self.share_ = arm_shares(log)
        self.propensity_model_ = _fit_propensity(self.propensity_base, log, seed)
        self.value_models_ = fit_levels(self.base, seed, log)
        effect_base = self.effect_base
        if effect_base is not None:
            effect_base = checked_regressor(effect_base, "effect_base")  # effects are amounts
        elif self.base is not None and not is_classifier(self.base):
            effect_base = self.base
        control = log.of_arm(0)
        self.effect_models_ = []
        for j in range(1, len(log.arms)):
            treated = log.of_arm(j)
            imputed = (
                (control, expected(self.value_models_[j], control.X) - control.value),
                (treated, treated.value - expected(self.value_models_[0], treated.X)),
            )
            own = seed + 2 * (len(log.arms) + j)
            sides = [fit_base(effect_base, own, side.X, d, side.weight, len(d)) for side, d in imputed]
            self.effect_models_.append(tuple(sides))
        self.costs_ = ArmCosts.fit((self.base, self.cost_base), seed, log)
        return self

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X (n, d); see `ResponseLearner.predict`."""
        features = read_features(self, X, missing=self._missing())
        p = np.tile(self.share_, (len(features), 1))
        if self.propensity_model_ is not None:
            p = np.asarray(self.propensity_model_.predict_proba(features), dtype=np.float64)
        value: Array = np.empty((len(features), len(self.arms_)))
        value[:, 0] = expected(self.value_models_[0], features)
        for j, (from_control, from_treated) in enumerate(self.effect_models_, start=1):
            either = p[:, 0] + p[:, j]
            usual = self.share_[j] / (self.share_[0] + self.share_[j])
            # A classifier may give both arms no chance; any weights are sound, so the log's own stand in.
            g = np.divide(p[:, j], either, out=np.full(len(p), usual), where=either > 0)
            value[:, j] = (
                value[:, 0] + g * expected(from_control, features) + (1 - g) * expected(from_treated, features)
            )
        return Response(value, self.costs_.predict(features), self.arms_)

    score = factual_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome where every base takes them."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._missing()
        return tags

    def _missing(self) -> bool:
        return takes_missing(self.base, self.effect_base, self.cost_base, self.propensity_base)


def arm_shares(log: Log) -> Array:
    """Mean propensity of each arm, (K+1,), or its share of the log where no propensity is given."""
    if log.propensity is not None:
        return np.asarray(log.propensity.mean(axis=0))
    return np.bincount(log.treatment, minlength=len(log.arms)) / len(log.treatment)


def _fit_propensity(base: Any, log: Log, seed: int) -> Any:
    """A fitted clone of the classifier of the arm; None for None."""
    if base is None:
        return None
    check_classifier(base, "propensity_base")
    codes: NDArray[np.int64] = log.treatment
    return seeded(clone(base), seed).fit(log.X, codes)
