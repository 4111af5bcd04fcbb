"""DRP: the return of each treatment, extra value per extra unit of money, predicted directly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator
from torch import Tensor

from uplift.learners.log import checked_log
from uplift.learners.ranking_losses import drp_loss
from uplift.learners.scorer import (
    check_costly,
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

HEADROOM = 4.0  # times the average return that users may reach


class DRP(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """Direct return prediction: `roi[i, j] = largest_return q`, q the optimum of `ranking_losses.drp_loss`.

    q is the logistic function of one net with K outputs, each treatment against control, and tends to
    tau_v / tau_c / largest_return, the extra value per extra unit of money in units of `largest_return`.

    Parameters
    ----------
    largest_return : value per unit of money that no user's return exceeds; returns outside (0, largest_return)
        stick at the ends. None takes 4 times the largest average return (in absolute size) of a treatment.
    hidden : widths of the net's layers; () makes it linear. epochs, batch_size, lr, weight_decay, device, seed :
    as of `NeuralResponse`, but weight_decay None goes up to 1 in small logs.

    Attributes
    ----------
    arms_ : names of the arms. net_ : the fitted net. largest_return_ : the bound in use.

    Notes
    -----
    Assumes that treatment was random given X with the propensities given (the arms' shares where none are), and
    that every treatment costs extra for every user. Misleads where a treatment harms some users (their return is
    negative, the prediction above 0) and where it costs next to nothing. Raises InputError where a treatment costs
    nothing extra on average. Source: Zhou et al. 2023, AAAI, arXiv 2211.15728; see `ranking_losses.drp_loss`.
    """

    def __init__(
        self,
        largest_return: float | None = None,
        hidden: Sequence[int] = (32,),
        epochs: int = 10,
        batch_size: int = 4096,
        lr: float = 1e-2,
        weight_decay: float | None = None,
        device: str = "auto",
        seed: int | np.random.Generator = 0,
    ) -> None:
        self.largest_return = largest_return
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
        """Fit the net; arguments, units and errors as in `ResponseLearner.fit`. X may have missing cells (NaN).

        Raises InputError also where a treatment costs nothing extra on average, as all do with cost None, for a
        `largest_return` of 0 or less, settings out of range, and a loss that is no longer finite.
        """
        bound = number_or_none("largest_return", self.largest_return)
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=True)
        extra_cost = check_costly(log)
        if bound is None:
            average = np.abs(mean_contrasts(log, log.value) / extra_cost).max()
            bound = HEADROOM * float(average) or 1.0
        unit = spread(log.cost)

        def _loss(score: Tensor, weight: Tensor, value: Tensor, cost: Tensor) -> Tensor:
            return drp_loss(score, weight * value[:, None], weight * cost[:, None])

        fit_scorer(self, log, _loss, log.value / bound / unit, log.cost / unit)
        self.largest_return_ = bound
        return self

    def predict(self, X: ArrayLike) -> Ranking:
        """Extra value per extra unit of money, (n, K), of each treatment for every row of X (n, d), never below 0."""
        score = rank(self, X)
        return Ranking(self.largest_return_ * expit(score), self.arms_)

    score = cost_curve_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The fitted state as JSON-able facts and arrays."""
        return to_arrays(self, {"largest_return": self.largest_return_})

    def _from_arrays(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Restore what `_to_arrays` gave, onto an estimator with the same parameters."""
        from_arrays(self, meta, arrays)
        self.largest_return_ = meta["largest_return"]
        return self
