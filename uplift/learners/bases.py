"""The models inside a response learner: the default ones, and how any scikit-learn base is fitted and asked."""

from __future__ import annotations

from typing import Any

import numpy as np
from lightgbm import LGBMRegressor
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import has_fit_parameter

from uplift.errors import InputError
from uplift.fitting import is_estimator, lightgbm_settings, seeded

Array = NDArray[np.float64]


def default_base(seed: int, rows: int = 0, smallest_arm: int = 80) -> LGBMRegressor:
    """Gradient-boosted trees: the same model whatever the number of threads.

    Leaves hold 40 users or more; fewer, down to 5, where the smallest arm could else never fill a leaf of its own.
    """
    return LGBMRegressor(
        n_estimators=120,
        num_leaves=15,
        min_child_samples=min(40, max(5, smallest_arm // 2)),
        random_state=seed,
        **lightgbm_settings(rows),
    )


def default_cost_base(seed: int, cost: Array, smallest_arm: int = 80) -> LGBMRegressor:
    """The same trees for cost: with a Poisson loss where no logged cost is negative, so that no prediction is 0.

    A squared loss predicts 0 or less for some users of an incentive that is paid only on redemption, and an optimiser
    takes just these for free. The Poisson loss is unbiased for the mean of any amount that is not negative.
    """
    model = default_base(seed, len(cost), smallest_arm)
    if cost.min() < 0:
        return model
    # Without a least Hessian the fit does not depend on the unit of money.
    return model.set_params(objective="poisson", poisson_max_delta_step=0.1, min_child_weight=0.0)


def fit_cost(
    bases: tuple[Any, Any], seed: int, X: NDArray[np.float32], cost: Array, weight: Array | None, smallest_arm: int
) -> Any:
    """The fitted model of cost: of `bases` (base, cost_base) the second, else the first if it is a regressor, else
    the default for cost."""
    base, cost_base = bases
    if cost_base is None and base is not None and is_regressor(checked_base(base)):
        cost_base = base
    known = cost_base is not None
    model = checked_base(cost_base, "cost_base") if known else default_cost_base(seed, cost, smallest_arm)
    return fit_base(model, seed, X, cost, weight, smallest_arm)


def fit_base(base: Any, seed: int, X: NDArray[np.float32], y: Array, weight: Array | None, smallest_arm: int) -> Any:
    """A clone of `base` (the default one for None) fitted to y, weighted by `weight` where that varies.

    Every random state that `base` leaves open, also inside a pipeline, becomes `seed`. Where there is one user, or a
    classifier would see one label only, that outcome is the prediction.
    """
    model = default_base(seed, len(y), smallest_arm) if base is None else clone(checked_base(base))
    seeded(model, seed)
    if len(y) == 1 or (is_classifier(model) and y.min() == y.max()):
        return DummyRegressor(strategy="constant", constant=y[0]).fit(X, y)
    if is_classifier(model) and type_of_target(y).startswith("continuous"):
        raise InputError(
            f"base is the classifier {type(model).__name__}, but the outcome has fractions such as "
            f"{float(y[y != np.round(y)][0]):g}; take a regressor, or a value of whole numbers"
        )
    if weight is None or weight.min() == weight.max():
        return model.fit(X, y)
    if not has_fit_parameter(model, "sample_weight"):
        raise InputError(
            f"propensities differ between users, so the fit needs a weight each, and {type(model).__name__} takes no "
            "sample_weight; choose a base that does, or leave propensity out to fit without weights"
        )
    return model.fit(X, y, sample_weight=weight)


def checked_base(base: Any, name: str = "base") -> Any:
    """The base, if it is a regressor or a classifier and not its class or its name."""
    if is_estimator(base) and (is_regressor(base) or is_classifier(base)):
        return base
    raise InputError(f"{name} is {base!r}; a scikit-learn regressor or classifier is expected, such as Ridge()")


def checked_regressor(base: Any, name: str) -> Any:
    """The base, if it is a regressor and not its class or its name."""
    if is_estimator(base) and is_regressor(base):
        return base
    raise InputError(f"{name} is {base!r}; a scikit-learn regressor is expected, such as Ridge()")


def expected(model: Any, X: NDArray[np.float32]) -> Array:
    """Expected outcome, shape (n,): a regressor's prediction, or sum_k k P(y = k | x) of a classifier."""
    if is_classifier(model):
        return np.asarray(model.predict_proba(X) @ model.classes_.astype(np.float64))
    return np.asarray(model.predict(X), dtype=np.float64)


def takes_missing(*bases: Any) -> bool:
    """Whether every base (None: the default trees) says of itself that it takes missing features."""
    for base in [given for given in bases if given is not None]:
        first = base.steps[0][1] if isinstance(base, Pipeline) else base
        if not isinstance(first, BaseEstimator) or not get_tags(first).input_tags.allow_nan:
            return False
    return True
