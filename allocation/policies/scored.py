"""What the log says about every user and arm: the scores that the goal is valued with, and the models behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from allocation.policies.two_stage import fit_learner
from uplift.campaign import Campaign
from uplift.causal.crossfit import assign_folds
from uplift.causal.scores import score_table
from uplift.learners.base import ResponseLearner
from uplift.response import Response
from uplift.seeds import stream

Single = NDArray[np.float32]
KINDS = ("dr", "ipw")
FOLDS = 2  # of the outcome models: each learns from half of the users


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of value and cost under every arm, (n, K+1) each, value units and money; see `score_table`.

    expected : (value, cost), each (n, K+1), what the outcome models predict out of fold, or None without models.
    """

    value: Single
    cost: Single
    expected: tuple[Single, Single] | None = None

    def take(self, rows: NDArray[Any]) -> Self:
        """The scores of some users."""
        expected = None if self.expected is None else (self.expected[0][rows], self.expected[1][rows])
        return type(self)(self.value[rows], self.cost[rows], expected)


def scores_of(campaign: Campaign, expected: tuple[Single, Single] | None) -> Scores:
    """The scores of a campaign with propensities and cost, from predictions by models that saw none of its users."""
    assert campaign.propensity is not None
    assert campaign.cost is not None
    tables = [
        score_table(None if expected is None else expected[k], amount, campaign.treatment, campaign.propensity)
        for k, amount in enumerate((campaign.value, campaign.cost))
    ]
    return Scores(tables[0].astype(np.float32), tables[1].astype(np.float32), expected)


@dataclass(frozen=True, eq=False)
class OutcomeModels:
    """Outcome models of value and cost, one fitted outside each fold; `expected` are their predictions inside it."""

    models: tuple[ResponseLearner, ...]
    expected: tuple[Single, Single]

    @classmethod
    def fit(cls, campaign: Campaign, learner: ResponseLearner, seed: int) -> Self:
        """Cross-fit the learner: two halves of the users, each predicted by the model of the other."""
        fold = assign_folds(campaign.treatment, FOLDS, seed=stream(seed, "folds of the outcome models"))
        expected = _empty(len(campaign), len(campaign.arms))
        models = []
        for k in range(FOLDS):
            models.append(fit_learner(learner, campaign.take(fold != k)))
            inside = fold == k
            _put(expected, inside, models[-1].predict(campaign.X[inside]))
        return cls(tuple(models), expected)

    def predict(self, X: Single) -> tuple[Single, Single]:
        """The mean of the models' predictions, for users whom none of them saw."""
        total = _empty(len(X), self.expected[0].shape[1])
        for model in self.models:
            predicted = model.predict(X)
            for table, part in zip(total, (predicted.value, predicted.cost), strict=True):
                table += (np.asarray(part) / len(self.models)).astype(np.float32)
        return total


def _empty(n: int, arms: int) -> tuple[Single, Single]:
    return np.zeros((n, arms), dtype=np.float32), np.zeros((n, arms), dtype=np.float32)


def _put(tables: tuple[Single, Single], rows: NDArray[np.bool_], predicted: Response) -> None:
    tables[0][rows], tables[1][rows] = predicted.value, predicted.cost
