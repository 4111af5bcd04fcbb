"""What every response learner shares: the Protocol, the checks of `fit`, the default base, the fixed costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from lightgbm import LGBMRegressor
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyRegressor
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_array, has_fit_parameter

from uplift.errors import InputError
from uplift.frames import check_unique
from uplift.response import Response

Array = NDArray[np.float64]
LARGEST = 1e30  # learners compute in single precision inside, whose range ends at 3e38


@runtime_checkable
class ResponseLearner(Protocol):
    """Anything with `fit` and `predict` of these shapes; `TwoStage` and the baselines take it."""

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
        """Learn from a log: X (n, d), value (n,), treatment (n,) in 0..K, cost (n,), propensity (n, K+1)."""
        ...

    def predict(self, X: ArrayLike) -> Response:
        """Value and cost of every arm for every row of X."""
        ...


@dataclass(frozen=True, eq=False)
class Log:
    """The checked arrays of one call of `fit`; shapes as in `Campaign`, `weight` (n,) is 1/propensity, mean 1."""

    X: NDArray[np.float32]
    value: Array
    treatment: NDArray[np.int64]
    cost: Array
    weight: Array | None
    arms: tuple[str, ...]

    @property
    def smallest_arm(self) -> int:
        """Users of the arm that has fewest."""
        return int(np.bincount(self.treatment).min())


def check_log(
    X: ArrayLike,
    value: ArrayLike,
    treatment: ArrayLike,
    cost: ArrayLike | None,
    propensity: ArrayLike | None,
    arms: Sequence[str] | None,
) -> Log:
    """Check the arguments of `fit`; raises InputError on lengths that differ or an arm without users.

    Weights are 1 / propensity of the arm received, mean 1: with them the loss on the observed arms is unbiased for
    the loss on the full table. They are left out where every propensity is the same.
    """
    features = check_array(X, dtype=np.float32, input_name="X")
    n = len(features)
    y = check_array(value, ensure_2d=False, dtype=np.float64, input_name="value")
    t = np.asarray(treatment)
    c = np.zeros(n) if cost is None else check_array(cost, ensure_2d=False, dtype=np.float64, input_name="cost")
    for name, array in (("value", y), ("treatment", t), ("cost", c)):
        if array.shape != (n,):
            raise InputError(f"{name} has shape {array.shape}; X has {n:,} rows, so ({n},) is expected")
    if not np.issubdtype(t.dtype, np.integer):
        raise InputError(f"treatment has type {t.dtype}; whole numbers 0..K are expected, 0 for control")
    K1 = len(arms) if arms is not None else min(int(t.max()) + 1, n)  # every arm has a user, so no more than n
    if t.min() < 0 or t.max() >= K1:
        raise InputError(f"treatment runs from {t.min()} to {t.max()}; 0..{K1 - 1} is expected")
    names = tuple(arms) if arms is not None else tuple(str(j) for j in range(K1))
    check_unique(names, "arm", "arms: the", "name each arm once")
    counts = np.bincount(t, minlength=len(names))
    if (counts == 0).any():
        j = int(np.argmin(counts))
        raise InputError(f"arm {names[j]!r} (treatment {j}) was never logged in {n:,} rows; drop it or add its users")
    for name, amount in (("value", y), ("cost", c)):
        largest = float(np.abs(amount).max())
        if largest > LARGEST or 0 < largest < 1 / LARGEST:
            raise InputError(
                f"{name} has amounts up to {largest:.3g}; between {1 / LARGEST:g} and {LARGEST:g} is expected: "
                "count in another unit"
            )
    weight = None
    if propensity is not None:
        p = np.asarray(propensity, dtype=np.float64)
        if p.shape != (n, len(names)):
            raise InputError(f"propensity has shape {p.shape}; (users, arms) = {(n, len(names))} is expected")
        wrong = ~((p > 0) & (p <= 1))
        if wrong.any():
            row, j = (int(k) for k in np.argwhere(wrong)[0])
            raise InputError(
                f"propensity is {p[row, j]:g} for arm {names[j]!r} in row {row:,}, outside (0, 1], one of "
                f"{int(wrong.sum()):,} such cells; drop these rows or mend their propensity"
            )
        received = p[np.arange(n), t]
        if received.min() < received.max():
            weight = 1 / received
            weight /= weight.mean()
    return Log(features, y, t.astype(np.int64), c, weight, names)


# Below this many rows one thread is fast enough, and on a busy machine far faster: threads wait for each other.
ONE_THREAD_ROWS = 200_000


def default_base(seed: int, rows: int = 0, smallest_arm: int = 80) -> LGBMRegressor:
    """Gradient-boosted trees: the same model whatever the number of threads.

    Leaves hold 40 users or more; fewer, down to 5, where the smallest arm could else never fill a leaf of its own.
    """
    return LGBMRegressor(
        n_estimators=120,
        learning_rate=0.05,
        num_leaves=15,
        min_child_samples=min(40, max(5, smallest_arm // 2)),
        random_state=seed,
        deterministic=True,
        force_row_wise=True,
        n_jobs=1 if rows < ONE_THREAD_ROWS else None,
        verbose=-1,
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
    if cost_base is None and base is not None and is_regressor(_checked(base)):
        cost_base = base
    model = default_cost_base(seed, cost, smallest_arm) if cost_base is None else cost_base
    return fit_base(model, seed, X, cost, weight, smallest_arm)


def fit_base(base: Any, seed: int, X: NDArray[np.float32], y: Array, weight: Array | None, smallest_arm: int) -> Any:
    """A clone of `base` (the default one for None) fitted to y, weighted by `weight` where that varies.

    Every random state that `base` leaves open, also inside a pipeline, becomes `seed`. Where a classifier would see
    one label only, that label is the prediction.
    """
    model = default_base(seed, len(y), smallest_arm) if base is None else clone(_checked(base))
    for name, state in model.get_params(deep=True).items():
        if name.endswith("random_state") and state is None:
            model.set_params(**{name: seed})
    if is_classifier(model) and y.min() == y.max():
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


def _checked(base: Any) -> Any:
    """The base, if it is a regressor or a classifier and not its class or its name."""
    if not isinstance(base, type) and hasattr(base, "fit") and (is_regressor(base) or is_classifier(base)):
        return base
    raise InputError(f"base is {base!r}; a scikit-learn regressor or classifier is expected, such as Ridge()")


def expected(model: Any, X: NDArray[np.float32]) -> Array:
    """Expected outcome, shape (n,): a regressor's prediction, or sum_k k P(y = k | x) of a classifier."""
    if is_classifier(model):
        return np.asarray(model.predict_proba(X) @ model.classes_.astype(np.float64))
    return np.asarray(model.predict(X), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class CostRange:
    """Smallest and largest logged cost of each arm, (K+1,) money; where they agree the cost is known, not learnt."""

    low: Array
    high: Array

    @classmethod
    def of(cls, log: Log) -> Self:
        """Read the range off the log."""
        per_arm = [log.cost[log.treatment == j] for j in range(len(log.arms))]
        return cls(np.array([c.min() for c in per_arm]), np.array([c.max() for c in per_arm]))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Arms whose every logged user cost the same, (K+1,)."""
        return np.asarray(self.low == self.high)

    def clip(self, cost: Array) -> Array:
        """Keep predictions (n, K+1) within what was ever paid under each arm: no free money by extrapolation."""
        return np.clip(cost, self.low, self.high)
