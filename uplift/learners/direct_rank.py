"""DirectRank: scores whose order puts users with much extra value per extra cost first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from uplift.learners.log import checked_log
from uplift.learners.ranking_losses import drm_loss
from uplift.learners.scorer import check_costly, cost_curve_score, fit_scorer, from_arrays, rank, spread, to_arrays
from uplift.ranking import Ranking


class DirectRank(BaseEstimator):  # type: ignore[misc]  # scikit-learn carries no types
    """DRM: scores whose softmax picks users with much extra value per extra cost (`ranking_losses.drm_loss`).

    `roi[i, j] = tanh(f_j(x_i))`, one net f with K outputs, each treatment against control; the extra values and the
    extra costs of all treatments are summed inside the ratio.

    Parameters
    ----------
    hidden : widths of the net's layers; () makes it linear. epochs, batch_size, lr, weight_decay, device, seed :
    as of `NeuralResponse`, but weight_decay None goes up to 1 in small logs.

    Attributes
    ----------
    arms_ : names of the arms. net_ : the fitted net.

    Notes
    -----
    Assumes that treatment was random given X with the propensities given (the arms' shares where none are).
    Misleads where taken for a return: only its order means something, and with long training it falls into two
    values, above and below the average return. Raises InputError where a treatment costs nothing extra on average.
    Source: Du, Lee and Ghaffarizadeh 2019, PMLR 104; see `ranking_losses.drm_loss`.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32,),
        epochs: int = 10,
        batch_size: int = 4096,
        lr: float = 1e-2,
        weight_decay: float | None = None,
        device: str = "auto",
        seed: int | np.random.Generator = 0,
    ) -> None:
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

        Raises InputError also where a treatment costs nothing extra on average, as all do with cost None, for
        settings out of range, and for a loss that is no longer finite.
        """
        log = checked_log(self, X, value, treatment, cost, propensity, arms, missing=True)
        check_costly(log)
        fit_scorer(self, log, drm_loss, log.value / spread(log.value), log.cost / spread(log.cost))
        return self

    def predict(self, X: ArrayLike) -> Ranking:
        """The score of every treatment for every row of X (n, d), (n, K) in (-1, 1); only its order counts."""
        return Ranking(np.tanh(rank(self, X)), self.arms_)

    score = cost_curve_score

    def __sklearn_tags__(self) -> Any:
        """Missing features are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The fitted state as JSON-able facts and arrays."""
        return to_arrays(self, {})

    def _from_arrays(self, meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        """Restore what `_to_arrays` gave, onto an estimator with the same parameters."""
        from_arrays(self, meta, arrays)
        return self
