"""Two-stage: predict value and cost of every arm, then solve the budget on the predictions."""

from __future__ import annotations

from dataclasses import replace
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from allocation.engine.problem import Allocation, Problem
from allocation.engine.solve import solve
from allocation.policies.base import Users, fitted
from uplift.campaign import Campaign, check_campaign
from uplift.errors import InputError
from uplift.learners.base import ResponseLearner
from uplift.response import Response
from uplift.seen import Seen


def fit_learner(learner: ResponseLearner, campaign: Campaign) -> ResponseLearner:
    """A clone of the learner, fitted on the campaign; a model in scikit-learn's FrozenEstimator stays as it is."""
    check_campaign(campaign)
    if isinstance(learner, type) or not callable(getattr(learner, "fit", None)):
        raise InputError(f"learner is {learner!r:.80}; a response learner is expected, such as SLearner()")
    taken = signature(learner.fit).parameters.values()
    if not any(p.name == "treatment" or p.kind is Parameter.VAR_KEYWORD for p in taken):
        raise InputError(
            f"{learner!r} is no response learner: its fit knows no treatment; wrap it, such as "
            f"TwoStage(SLearner({type(learner).__name__}()))"
        )
    own: ResponseLearner = clone(learner)
    return own.fit(campaign.X, campaign.value, **roles_of(campaign))


def roles_of(campaign: Campaign) -> dict[str, Any]:
    """What a response learner's `fit` takes of a campaign by name, beside the features and the value."""
    return {name: getattr(campaign, name) for name in ("treatment", "cost", "propensity", "arms")}


def save_fitted(policy: Any, folder: str | Path) -> Path:
    """Write the fitted policy into a folder, from which `load_policy` reads it; the folder.

    See `allocation.policies.saved.save_policy`: a folder with anything else in it is left alone.
    """
    # skops and LightGBM take a second to import, which no one waits for who only decides.
    from allocation.policies.saved import save_policy

    return save_policy(policy, folder)


def features_of(policy: Any, users: NDArray[Any] | Campaign) -> NDArray[Any]:
    """The users' features as an array, (n, d); names that come with them must be those of the fit, in its order."""
    given = users.features if isinstance(users, Campaign) else getattr(users, "columns", None)
    names = None if given is None else tuple(str(name) for name in given)
    if names is not None and names != policy.features_:
        raise InputError(
            f"the users' features are {', '.join(names)}; those that the policy was fitted with are expected, in "
            f"their order: {', '.join(policy.features_)}"
        )
    if isinstance(users, Campaign):
        return users.X
    return users if given is None else np.asarray(users)


def predict_response(policy: Any, users: NDArray[Any] | Campaign) -> Response:
    """What the policy's fitted learner predicts; raises InputError before the fit."""
    learner = fitted(policy, "learner_")
    response: Response = learner.predict(features_of(policy, users))
    return replace(response, user_id=users.user_id) if isinstance(users, Campaign) else response


class TwoStage:
    """The integer-programming baseline: a response model, then the multiple-choice knapsack on its predictions.

        max_z  sum_ij z_ij value_ij(x_i)    s.t.  sum_ij z_ij cost_ij(x_i) <= budget,    one arm a user

    Parameters
    ----------
    learner : any `ResponseLearner`, such as `SLearner()`; it is cloned, never changed. A fitted model in
        scikit-learn's FrozenEstimator is used as it is.

    Attributes
    ----------
    learner_ : the fitted learner. arms_, features_, users_ : of the log.

    Notes
    -----
    Assumes that new users respond as those of the log did, and that the learner is not confounded: on a log that was
    no experiment its effects may be anything. In a log without cost every arm is free, so that no budget binds. What
    it promises (`Allocation.value`) is optimistic: the optimiser seeks out the users whose prediction errs upwards.
    Compare it with `evaluate` on held-out users before you believe it. `save(folder)` writes it for `load_policy`.

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
        """Fit a clone of the learner; raises InputError where that is no response learner, or refuses the log."""
        self.learner_ = fit_learner(self.learner, campaign)
        self.arms_, self.users_, self.features_ = campaign.arms, Seen.of(campaign), campaign.features
        return self

    def predict(self, users: NDArray[Any] | Campaign) -> Response:
        """Value and cost of every arm for every user: rows of X, (n, d), or a campaign, whose user ids are kept.

        Raises InputError before the fit, and for names of features that are not those of the fit; for an array of
        another width what the learner raises.
        """
        return predict_response(self, users)

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Solve the budget (money for all users together, None for no limit) on the predictions; see `Policy.decide`.

        Raises InputError as `predict` does, ProblemError where even the cheapest decision is predicted to cost more.
        """
        return solve(self.problem(users, budget))

    def problem(self, users: Users, budget: float | None) -> Problem:
        """The problem that `decide` solves; limits can be added with `dataclasses.replace(problem, limits=[...])`."""
        response = users if isinstance(users, Response) else self.predict(users)
        return Problem(response.value, response.cost, budget)

    save = save_fitted
