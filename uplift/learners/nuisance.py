"""What EconML's learners need beforehand: a model of the outcome, and one of the arm or the known propensities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from uplift.causal.assignment import default_propensity_model
from uplift.causal.crossfit import check_classifier
from uplift.errors import InputError
from uplift.fitting import seeded
from uplift.learners.bases import Array, checked_base, default_base
from uplift.learners.log import Log

FOLDS = 3
FEWEST_LABELS = 10


@dataclass(frozen=True, eq=False)
class Nuisance:
    """Arguments of an EconML learner: the outcome model, the arm model, and further columns W (n, K+1) or None."""

    outcome: Any
    arm: Any
    W: Array | None


class KnownPropensity(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """A classifier that knows: the probabilities of the classes are the last columns of its input."""

    def __init__(self, n_features: int = 0) -> None:
        self.n_features = n_features

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> Self:
        """Remember the classes; there is nothing to learn."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        """Columns `n_features` onwards of X, (n, K+1)."""
        return X[:, self.n_features : self.n_features + len(self.classes_)]

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        """The most probable class."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


def nuisance(log: Log, base: Any, propensity_base: Any, seed: int, *, with_arm: bool) -> Nuisance:
    """The models for a log: with given propensities these take the place of a model of the arm.

    EconML hands the same columns [X, W] to both models (and the arm's indicators after them to the outcome model,
    `with_arm`), so the propensities travel as W and the outcome model is kept from seeing them.
    """
    if log.smallest_arm < FOLDS:
        raise InputError(
            f"the smallest arm has {log.smallest_arm} users; cross-fitting in {FOLDS} folds needs at least {FOLDS} "
            "in every arm: add users, drop the arm, or take a TLearner"
        )
    rows, d = log.X.shape
    base = default_base(seed, rows, log.smallest_arm) if base is None else clone(checked_base(base))
    if is_classifier(base):
        _check_labels(log.value, type(base).__name__)
    outcome = seeded(base, seed)
    if log.propensity is None:
        base_of_arm = default_propensity_model(rows) if propensity_base is None else propensity_base
        check_classifier(base_of_arm, "propensity_base")
        return Nuisance(outcome, seeded(clone(base_of_arm), seed), None)
    K1 = len(log.arms)
    seen = [*range(d), *(range(d + K1, d + 2 * K1 - 1) if with_arm else ())]
    blind = make_pipeline(ColumnTransformer([("features", "passthrough", seen)]), outcome)
    return Nuisance(blind, KnownPropensity(d), log.propensity)


def _check_labels(value: Array, name: str) -> None:
    """EconML's classifiers of the outcome are of yes and no, and every training split must see both."""
    counts = [int((value == label).sum()) for label in (0, 1)]
    if sum(counts) < len(value):
        other = float(value[(value != 0) & (value != 1)][0])
        raise InputError(
            f"base is the classifier {name}, and the value holds {other:g}; 0 and 1 alone are expected: take a "
            "regressor, an SLearner, or divide the value by its largest label"
        )
    if min(counts) < FEWEST_LABELS:
        raise InputError(
            f"base is the classifier {name}, and the value has {counts[0]:,} zeros and {counts[1]:,} ones; "
            f"cross-fitting needs at least {FEWEST_LABELS} of each: take a regressor or an SLearner"
        )
