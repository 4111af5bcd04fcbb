"""Two-stage: predict value and cost of every arm, then solve the budget on the predictions."""

from __future__ import annotations

from typing import Any, Self

from numpy.typing import NDArray
from sklearn.base import clone

from allocation.engine.price import solve
from allocation.engine.problem import Allocation, Problem
from allocation.policies.base import Users
from uplift.campaign import Campaign
from uplift.learners.base import ResponseLearner
from uplift.response import Response


def fit_learner(learner: ResponseLearner, campaign: Campaign) -> ResponseLearner:
    """A clone of the learner, fitted on the campaign."""
    fitted: ResponseLearner = clone(learner)
    return fitted.fit(
        campaign.X,
        campaign.value,
        treatment=campaign.treatment,
        cost=campaign.cost,
        propensity=campaign.propensity,
        arms=campaign.arms,
    )


class TwoStage:
    """The integer-programming baseline: a response model, then the multiple-choice knapsack on its predictions.

    Parameters
    ----------
    learner : any `ResponseLearner`, such as `SLearner()`; it is cloned, never changed.

    Notes
    -----
    What it promises (`Allocation.value`) is optimistic: the optimiser seeks out the users whose prediction errs
    upwards. Compare it with `evaluate` on held-out users before you believe it.

    Examples
    --------
    >>> from uplift import synthetic
    >>> from uplift.learners import SLearner
    >>> train, new = synthetic.simulate(4_000, seed=0).campaign.split(0.5, seed=0)
    >>> decided = TwoStage(SLearner()).fit(train).decide(new.X, budget=500.0)
    >>> decided.cost <= 500.0
    True
    """

    def __init__(self, learner: ResponseLearner) -> None:
        self.learner = learner

    def fit(self, campaign: Campaign) -> Self:
        """Fit a clone of the learner."""
        self.arms_ = campaign.arms
        self.learner_ = fit_learner(self.learner, campaign)
        return self

    def predict(self, X: NDArray[Any]) -> Response:
        """Value and cost of every arm for every row of X, (n, d)."""
        return self.learner_.predict(X)

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Solve the budget (money for all users together) on the predictions."""
        return solve(self.problem(users, budget))

    def problem(self, users: Users, budget: float | None) -> Problem:
        """The problem that `decide` solves."""
        response = users if isinstance(users, Response) else self.predict(users)
        return Problem(response.value, response.cost, budget)
