"""Log: the checked arrays of one call of a learner's `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from uplift.learners.arguments import amounts, arm_codes, propensity_cells
from uplift.learners.features import feature_array

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Log:
    """A checked log; shapes as in `Campaign`.

    `weight` (n,) is 1/propensity of the arm received, mean 1, or None where that is the same for everybody;
    `propensity` (n, K+1) is as given, or None.
    """

    X: NDArray[np.float32]
    value: Array
    treatment: NDArray[np.int64]
    cost: Array
    weight: Array | None
    arms: tuple[str, ...]
    propensity: Array | None = None

    @property
    def smallest_arm(self) -> int:
        """Users of the arm that has fewest."""
        return int(np.bincount(self.treatment).min())

    @property
    def weights(self) -> Array:
        """`weight`, or a one for each user, (n,)."""
        return np.ones(len(self.value)) if self.weight is None else self.weight

    def take(self, rows: NDArray[Any]) -> Log:
        """The log of the given rows, indices or booleans; weights are not scaled anew."""
        weight = None if self.weight is None else self.weight[rows]
        propensity = None if self.propensity is None else self.propensity[rows]
        return replace(
            self,
            X=self.X[rows],
            value=self.value[rows],
            treatment=self.treatment[rows],
            cost=self.cost[rows],
            weight=weight,
            propensity=propensity,
        )

    def of_arm(self, j: int) -> Log:
        """The users who received arm j."""
        return self.take(np.flatnonzero(self.treatment == j))


def checked_log(
    learner: Any,
    X: ArrayLike,
    value: ArrayLike,
    treatment: ArrayLike,
    cost: ArrayLike | None,
    propensity: ArrayLike | None,
    arms: Sequence[str] | None,
    *,
    missing: bool = False,
) -> Log:
    """`check_log`, and the learner remembers the number and the names of the features, as scikit-learn wants it."""
    log = check_log(X, value, treatment, cost, propensity, arms, missing=missing)
    validate_data(learner, X, skip_check_array=True)
    return log


def check_log(
    X: ArrayLike,
    value: ArrayLike,
    treatment: ArrayLike,
    cost: ArrayLike | None,
    propensity: ArrayLike | None,
    arms: Sequence[str] | None,
    *,
    missing: bool = False,
    every_arm: bool = True,
) -> Log:
    """Check the arguments of `fit`; raises InputError on lengths that differ or an arm without users.

    Weights are 1 / propensity of the arm received, mean 1: with them the loss on the observed arms is unbiased for
    the loss on the full table. They are left out where every propensity is the same. With `missing`,
    cells of X may be NaN; without `every_arm`, an arm may lack users (for a score, not for a fit).
    """
    features = feature_array(X, missing=missing, min_users=2 if every_arm else 1)
    n = len(features)
    y = amounts(value, "value", n)
    c = np.zeros(n) if cost is None else amounts(cost, "cost", n)
    t, names = arm_codes(treatment, arms, n, every_arm=every_arm)
    p = None if propensity is None else propensity_cells(propensity, n, names)
    weight = None
    if p is not None:
        received = p[np.arange(n), t]
        if received.min() < received.max():
            weight = 1 / received
            weight /= weight.mean()
    return Log(features, y, t, c, weight, names, p)
