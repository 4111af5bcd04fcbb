"""DCL: the net gain of each treatment at a price, predicted directly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from torch import Tensor

from uplift.learners.log import checked_log
from uplift.learners.ranking_losses import dcl_loss
from uplift.learners.scorer import (
    cost_curve_score,
    fit_scorer,
    from_arrays,
    mean_contrasts,
    number_or_none,
    rank,
    spread,
    to_arrays,
)
from uplift.ranking import Ranking


class DCL(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Direct net gain at a price: `roi[i, j] = unit q`, q the optimum of `ranking_losses.dcl_loss`.

    q is the hyperbolic tangent of one net with K outputs, each treatment against control, and tends to
    (tau_v - price tau_c) / unit. What it gives is a gain in value units, not a ratio; above 0 the treatment is
    worth its cost at the price, and the largest of a row is the treatment to take.

    Parameters
    ----------
    price : value per unit of money, at least 0, at which cost is set against value (the shadow price of the budget
        in view). None takes the average return of all treatments, 0 where that is negative or nothing costs extra.
    hidden : widths of the net's layers; () makes it linear. epochs, batch_size, lr, weight_decay, device, seed :
    as of `NeuralResponse`, but weight_decay None goes up to 1 in small logs.

    Attributes
    ----------
    arms_ : names of the arms. net_ : the fitted net. price_ : the price in use. unit_ : the standard deviation of
    value - price cost, in value units: gains beyond it stick at the ends.

    Notes
    -----
    Assumes that treatment was random given X with the propensities given (the arms' shares where none are).
    Misleads at another price than the one it was fitted for. Source: see `ranking_losses.dcl_loss`.
    """

    def __init__(
        self,
        price: float | None = None,
        hidden: Sequence[int] = (32,),
        epochs: int = 10,
        batch_size: int = 4096,
        lr: float = 1e-2,
        weight_decay: float | None = None,
        device: str = "auto",
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.price = price
        self.hidden = hidden
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
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
        """Fit the net; arguments and errors as in `ResponseLearner.fit`. X may have missing cells (NaN); a cost of
        None is 0. InputError also for a price below 0, settings out of range, a loss that is no longer finite."""
        price = number_or_none("price", self.price, zero=True)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=True)
        if price is None:
            extra_value, extra_cost = (mean_contrasts(log, y).sum() for y in (log.value, log.cost))
            price = max(float(extra_value / extra_cost), 0.0) if extra_cost > 0 else 0.0
        unit = spread(log.value - price * log.cost)

        def _loss(score: Tensor, weight: Tensor, value: Tensor, cost: Tensor) -> Tensor:
            return dcl_loss(score, weight * (value - cost)[:, None])

        fit_scorer(self, log, _loss, log.value / unit, price * log.cost / unit)
        self.price_, self.unit_ = price, unit
        return self

    def predict(self, X: ArrayLike) -> Ranking:
        """Net gain at `price_` of every treatment for every row of X (n, d), in value units."""
        score = rank(self, X)
        return Ranking(self.unit_ * np.tanh(score), self.arms_, self.price_)

    score = cost_curve_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The fitted state as JSON-able facts and arrays."""
        return to_arrays(self, {"price": self.price_, "unit": self.unit_})

    def _from_arrays(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Restore what `_to_arrays` gave, onto an estimator with the same parameters."""
        from_arrays(self, meta, arrays)
        self.price_, self.unit_ = meta["price"], meta["unit"]
        return self
