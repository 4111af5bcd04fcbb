"""Engagement: what a recommender believes of a user's next item, and how far that is to be believed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from uplift.errors import InputError
from uplift.recommender.full_ranking import Counted, Scorer, rank_targets
from uplift.recommender.histories import Histories
from uplift.recommender.ranking_metrics import recall
from uplift.recommender.splitting import Queries
from uplift.recommender.top import exclude

ENGAGEMENT_ITEMS = 10
EDGE = 1e-6  # raw engagement nearer to 0 or 1 counts as this near, since log odds of 0 and 1 are infinite


@dataclass(frozen=True)
class Calibration:
    """How `raw_engagement` becomes a probability.

        P(next item among the user's 10 best) = sigma(intercept + slope logit(raw)),   slope >= 0

    Slope 1 and intercept 0 take the model at its word; a slope of less than 1 says that it is too sure of itself.
    Raises InputError for numbers that are not finite, and a slope below 0.
    """

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.intercept) and 0 <= self.slope < math.inf):
            raise InputError(
                f"intercept is {self.intercept!r} and slope {self.slope!r}; finite numbers are expected, the slope "
                "of at least 0"
            )

    @classmethod
    def fit(cls, raw: ArrayLike, hit: ArrayLike) -> Self:
        """Logistic regression of hits on the log odds of raw engagement, (q,) each; a hit may be a fraction.

            hits count as h (n1 + 1) / (n1 + 2) + (1 - h) / (n0 + 2),   n1 = sum h,  n0 = sum (1 - h)

        These targets are never 0 or 1, so that a few queries, all hits or none, and hits that one threshold tells
        from the rest have a finite answer too; among thousands of queries they change nothing to speak of. A slope
        that would be negative is 0, as it is where raw engagement is the same for all.

        Assumes that queries are independent. Raises InputError for no queries, and for what is not in 0..1.
        Source: Platt 1999 for these targets, as scikit-learn's `CalibratedClassifierCV(method="sigmoid")` has them,
        not checked in the paper.
        """
        from sklearn.linear_model import LogisticRegression

        r, h = _shares(raw, "raw"), _shares(hit, "hit")
        if r.ndim != 1 or r.shape != h.shape or not len(r):
            raise InputError(
                f"raw and hit have shapes {r.shape} and {h.shape}; one number a query, (q,), is expected"
            )
        hits = h.sum()
        target = h * (hits + 1) / (hits + 2) + (1 - h) / (len(h) - hits + 2)
        odds = _log_odds(r)
        spread = float(odds.std())
        if spread > EDGE:
            x = ((odds - odds.mean()) / spread)[:, None]
            model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9)
            model.fit(np.vstack([x, x]), np.repeat([1, 0], len(h)), np.concatenate([target, 1 - target]))
            slope = float(model.coef_[0, 0]) / spread
            if slope > 0:
                # Digits beyond these are of the sums, whose order goes by the number of threads.
                return cls(round(float(model.intercept_[0]) - slope * float(odds.mean()), 8), round(slope, 8))
        return cls(float(logit(target.mean())), 0.0)

    def probability(self, raw: ArrayLike) -> NDArray[np.float64]:
        """Calibrated engagement of raw engagement (0..1), same shape; 0, of a user with no item left, stays 0.

        Raises InputError for what is not in 0..1.
        """
        r = _shares(raw, "raw")
        return np.where(r > 0, expit(self.intercept + self.slope * _log_odds(r)), 0.0)


def _shares(cells: ArrayLike, name: str) -> NDArray[np.float64]:
    """Numbers in 0..1, of the shape that they have."""
    try:
        array = np.asarray(cells, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds no numbers; 0 to 1 is expected") from None
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        raise InputError(f"{name} is {array[wrong][0]} at query {int(np.argmax(wrong)):,}; 0 to 1 is expected")
    return array


def raw_engagement(
    scores: NDArray[np.float32], histories: Histories, rows: NDArray[np.int64], loss: str
) -> NDArray[np.float64]:
    """What the scores (b, n_items) of the histories `rows` (b,) say of the user's 10 best items, (b,), in 0..1.

    With C the items that the history lacks, B the 10 best of them and s the scores:

        softmax losses:   sum over B of e^{s_v} / sum over C of e^{s_v}
        pointwise:        mean over B of 1 / (1 + e^{-s_v})

    The first is what the model believes of "the user's next new item is one of B"; in the second, s are log odds
    against random items. Neither is calibrated. A history with every item has 0: nothing is left to find.
    """
    table = scores.copy()
    exclude(table, histories, rows)
    n_items = table.shape[1]
    n = min(ENGAGEMENT_ITEMS, n_items)
    best = np.partition(table, n_items - n, axis=1)[:, n_items - n :]
    if loss == "pointwise":
        return np.asarray(expit(best.astype(np.float64)).sum(axis=1) / np.maximum((best > -np.inf).sum(axis=1), 1))
    most = best.max(axis=1, keepdims=True)
    most = np.where(most > -np.inf, most, 0)
    mass, total = (np.exp(part - most).sum(axis=1, dtype=np.float64) for part in (best, table))
    # The two sums are in different orders, so that all of the mass may come to more than all of it.
    return np.asarray(np.minimum(mass / np.where(total > 0, total, 1), 1))


def calibrate(
    scorer: Scorer,
    queries: Queries,
    n_items: int,
    loss: str,
    progress: Counted | None = None,
) -> Calibration:
    """Calibrate the raw engagement of a scorer on queries that did not train it.

    A hit is Recall@10 as `rank_targets` gives it, ties by expectation, but 0 where the next item is one that the
    history has: it is none of the 10 best new ones. `loss` is the name of that of the fit.
    """
    raw = np.empty(len(queries))
    ranks = rank_targets(_Watched(scorer, loss, raw), queries, n_items, progress=progress)
    owner = np.repeat(np.arange(len(queries)), queries.histories.counts)
    again = np.bincount(owner[queries.histories.items == queries.target[owner]], minlength=len(queries)) > 0
    return Calibration.fit(raw, np.where(again, 0, recall(ranks, ENGAGEMENT_ITEMS)))


@dataclass(frozen=True, eq=False)
class _Watched:
    """A scorer that writes down the raw engagement of every history that it is asked for."""

    scorer: Scorer
    loss: str
    raw: NDArray[np.float64]

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The scorer's own."""
        table = self.scorer.scores(histories, rows, users)
        self.raw[rows] = raw_engagement(table, histories, rows, self.loss)
        return table


def _log_odds(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(raw, EDGE, 1 - EDGE)))
