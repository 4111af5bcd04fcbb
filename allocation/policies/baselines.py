"""Rules of thumb that a model must beat: nobody, random, best single arm, best mix of arms, outcome targeting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from allocation.engine.problem import Allocation, Problem, allocation_of
from allocation.engine.solve import solve
from allocation.policies.base import ArmMeans, Users, fitted, treat_in_order
from allocation.policies.two_stage import fit_learner, predict_response, save_fitted
from uplift.campaign import Campaign
from uplift.learners.base import ResponseLearner
from uplift.response import Response
from uplift.seeds import stream
from uplift.seen import Seen


class Nobody:
    """Everybody on control, whatever the budget: also where control alone is predicted to cost more.

    It promises n times control's mean value and cost in the log, weighted by 1 / propensity where that is known;
    `price`, `bound` and `gap` are NaN. `save(folder)` writes it for `load_policy`.
    """

    def fit(self, campaign: Campaign) -> Self:
        """Take the means of the arms from the log."""
        self.arms_, self.users_, self.means_ = _known_of(campaign)
        return self

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Control for every user; promised value and cost are the control arm's means in the log."""
        return allocation_of(fitted(self, "means_").problem(len(users), budget), np.zeros(len(users), dtype=np.int64))

    save = save_fitted


class RandomArm:
    """Users in random order, each to a treatment drawn at random, until the next one would exceed the budget.

    Parameters
    ----------
    seed : at least 0, of the order and of the arms; the same seed and number of users, the same draws.

    The cost of an arm is predicted by its mean in the log, value alike, weighted by 1 / propensity where that is
    known. Every treatment is drawn with the same chance, however dear. `save(folder)` writes it for `load_policy`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, campaign: Campaign) -> Self:
        """Take the means of the arms from the log."""
        self.arms_, self.users_, self.means_ = _known_of(campaign)
        return self

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Draw users and arms from `seed`; see `Policy.decide`.

        Raises ProblemError where control alone is predicted to cost more than the budget.
        """
        n, means = len(users), fitted(self, "means_")
        arm = stream(self.seed, "random arm").integers(1, len(self.arms_), n)
        return treat_in_order(means.problem(n, budget), _order(self.seed, n), arm)

    save = save_fitted


class BestSingleArm:
    """The same arm for as many randomly drawn users as the budget allows: the one that then promises most.

        argmax_j  min(n, (budget - n cost_0) / (cost_j - cost_0)) (value_j - value_0)

    over all arms, control among them, of means in the log, weighted by 1 / propensity where that is known; n for an
    arm that is no dearer than control. Nobody is treated where every arm does harm. It needs no model, only the
    experiment's own averages.

    Parameters
    ----------
    seed : at least 0, of the users who are drawn.

    Where arms differ by less than their means' noise the arm is a matter of chance. `save(folder)` writes it for
    `load_policy`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, campaign: Campaign) -> Self:
        """Take the means of the arms from the log."""
        self.arms_, self.users_, self.means_ = _known_of(campaign)
        return self

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Pick the arm at this budget and give it to users drawn from `seed`; see `Policy.decide`.

        Raises ProblemError where control alone is predicted to cost more than the budget.
        """
        n = len(users)
        problem = fitted(self, "means_").problem(n, budget)
        arm = np.full(n, self.arm(n, problem.limit), dtype=np.int64)
        return treat_in_order(problem, _order(self.seed, n), arm)

    def arm(self, n: int, limit: float) -> int:
        """The arm that promises most for n users and a budget `limit` (money)."""
        means = fitted(self, "means_")
        value, cost = means.value, means.cost
        extra_cost = cost - cost[0]
        affordable = np.full(len(self.arms_), float(n))
        dear = extra_cost > 0
        affordable[dear] = np.minimum(n, (limit - n * cost[0]) / extra_cost[dear])
        return int(np.argmax(affordable * (value - value[0])))

    save = save_fitted


class BestMix:
    """The best mix of arms over randomly drawn users: the whole budget spent as well as it can be without features.

    Solves the budget on the arms' means in the log (weighted by 1 / propensity where that is known), the same for
    every user. What a policy gains over it is what knowing the users is worth; what it gains over `BestSingleArm` may
    only be money that a single arm leaves over.

    Parameters
    ----------
    seed : at least 0, of the users whom the arms are dealt out to.

    Arms that differ by less than their means' noise are mixed by chance. `save(folder)` writes it for `load_policy`.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, campaign: Campaign) -> Self:
        """Take the means of the arms from the log."""
        self.arms_, self.users_, self.means_ = _known_of(campaign)
        return self

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Solve on the means and deal the arms out to users drawn from `seed`; see `Policy.decide`."""
        n, means = len(users), fitted(self, "means_")
        # Tables of their own: for views numba would compile every loop anew.
        value, cost = (np.tile(mean, (n, 1)) for mean in (means.value, means.cost))
        solved = solve(Problem(value, cost, budget))
        decision = np.empty(n, dtype=np.int64)
        decision[_order(self.seed, n)] = solved.decision
        return replace(solved, decision=decision)

    save = save_fitted


class OutcomeTargeting:
    """The common practice: the best single arm to the users with the highest predicted value under control.

    It asks who is worth most, not whom the incentive changes; a model of effects must beat it to earn its keep.
    The arm is that of `BestSingleArm`, by means in the log; what it costs each user is the learner's own prediction.

    Parameters
    ----------
    learner : any `ResponseLearner`; it is cloned, never changed.

    Raises InputError as `TwoStage` does. `save(folder)` writes it for `load_policy`.
    """

    def __init__(self, learner: ResponseLearner) -> None:
        self.learner = learner

    def fit(self, campaign: Campaign) -> Self:
        """Fit a clone of the learner and the means of the arms."""
        self.single_ = BestSingleArm().fit(campaign)
        self.arms_, self.users_, self.features_ = campaign.arms, Seen.of(campaign), campaign.features
        self.learner_ = fit_learner(self.learner, campaign)
        return self

    def predict(self, users: NDArray[Any] | Campaign) -> Response:
        """Value and cost of every arm for every user: rows of X, (n, d), or a campaign."""
        return predict_response(self, users)

    def decide(self, users: Users, budget: float | None) -> Allocation:
        """Treat users by falling predicted value under control until the next one would exceed the budget.

        Raises ProblemError where control alone is predicted to cost more than the budget; see `Policy.decide`.
        """
        single = fitted(self, "single_")
        response = users if isinstance(users, Response) else self.predict(users)
        problem = Problem(response.value, response.cost, budget)
        arm = np.full(len(users), single.arm(len(users), problem.limit), dtype=np.int64)
        return treat_in_order(problem, np.argsort(-response.value[:, 0], kind="stable"), arm)

    save = save_fitted


def _known_of(campaign: Campaign) -> tuple[tuple[str, ...], Seen, ArmMeans]:
    """What a rule of thumb keeps of a log: its arms, its users, the arms' means."""
    means = ArmMeans.of(campaign)  # first of all, for it refuses what is no log
    return campaign.arms, Seen.of(campaign), means


def _order(seed: int, n: int) -> NDArray[np.int64]:
    return stream(seed, "order of users").permutation(n)
