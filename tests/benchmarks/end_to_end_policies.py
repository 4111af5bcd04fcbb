"""How the methods of the end-to-end comparison are fitted: each function here gives `fit(case) -> policy`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.frozen import FrozenEstimator

from allocation import EndToEnd, Problem, TwoStage, solve
from allocation.engine.problem import Allocation
from allocation.policies.base import Policy
from allocation.policies.effect_regression import fit_effects, fit_level
from allocation.policies.end_to_end_settings import EFFECTS
from allocation.policies.scored import OutcomeModels, scores_of
from tests.benchmarks.end_to_end_cases import Case
from uplift.campaign import Campaign
from uplift.learners import DirectRank, NeuralResponse
from uplift.response import Response
from uplift.seeds import stream

STUDENT = (8,)  # of small_student: far too small for its world
USUAL = (64, 64)
FEW_ROWS, FEW = 10_000, (16,)  # a log of fewer rows gets a smaller net


def hidden(regime: str, rows: int) -> tuple[int, ...]:
    """Layers of the net that two-stage and end-to-end share."""
    if regime == "small_student":
        return STUDENT
    return USUAL if rows >= FEW_ROWS else FEW


def net(case: Case, **changed: Any) -> NeuralResponse:
    """That net, unfitted."""
    return NeuralResponse(**({"hidden": hidden(case.regime, case.rows), "seed": case.seed} | changed))


def two_stage(build: Callable[[Case], Any], rows: int | None = None) -> Callable[[Case], Policy]:
    """Two-stage with the learner that `build` gives, on the first `rows` of the log."""
    return lambda case: TwoStage(build(case)).fit(_first(case.log, rows))


def end_to_end(placebo: bool = False, **options: Any) -> Callable[[Case], Policy]:
    """`EndToEnd` with the shared net; a placebo's features are dealt out anew, so that they tell of nobody."""

    def fit(case: Case) -> Policy:
        log = _shuffled(case.log, case.seed) if placebo else case.log
        budgets = [budget * len(log) for budget in case.budgets]
        return EndToEnd(net(case), budgets=budgets, seed=case.seed, **options).fit(log)

    return fit


def warm_start_alone(case: Case) -> Policy:
    """The shared net regressed on doubly robust effects and solved: end-to-end without its decision phase."""
    log = case.log
    models = OutcomeModels.fit(log, NeuralResponse(epochs=5, seed=case.seed), case.seed)
    scores = scores_of(log, models.expected)
    learner = net(case, value_likelihood="gaussian")
    begun = learner.begin(
        log.X, log.value, treatment=log.treatment, cost=log.cost, propensity=log.propensity, arms=log.arms
    )
    fit_effects(begun, scores, EFFECTS)
    fit_level(begun, scores)
    learner.finish(begun, ())
    learner.value_range_ = np.array([-np.inf, np.inf])
    return TwoStage(FrozenEstimator(learner)).fit(log)


@dataclass(frozen=True, eq=False)
class Returns:
    """A ranker's policy: value = return x cost, the cost being a T-learner's on the same log.

    DCL gives the gain net of cost at its own price: value = that + price x cost. Of DRM's score q in (-1, 1) the
    order alone counts: (1 + q) / (1 - q), rising from 0, stands for the return; of the forms tried the best for it.
    """

    model: Any
    cost: np.ndarray
    arms_: tuple[str, ...]

    def fit(self, campaign: Campaign) -> Self:
        """The model comes fitted."""
        return self

    def predict(self, X: np.ndarray) -> Response:
        """The table that the returns stand for, of the users whose cost is known."""
        ranking, cost = self.model.predict(X), self.cost[:, 1:]
        if ranking.price is not None:
            gain = ranking.roi + ranking.price * cost
        elif isinstance(self.model, DirectRank):
            score = np.clip(ranking.roi.astype(np.float64), -1, 1 - 1e-6)
            gain = (1 + score) / (1 - score) * cost
        else:
            gain = ranking.roi * cost
        return Response(np.column_stack([np.zeros(len(gain)), gain]), self.cost, self.arms_)

    def decide(self, users: Response, budget: float | None) -> Allocation:
        """Solve the budget on that table."""
        return solve(Problem(users.value, users.cost, budget))


def ranker(kind: type, same_net: bool = False) -> Callable[[Case], Policy]:
    """A model of returns alone; the cost table is not on its clock, as all rankers of a case share it."""

    def fit(case: Case) -> Policy:
        log = case.log
        fitted = kind(hidden=hidden(case.regime, case.rows), seed=case.seed) if same_net else kind(seed=case.seed)
        fitted.fit(log.X, log.value, treatment=log.treatment, cost=log.cost, propensity=log.propensity, arms=log.arms)
        return Returns(fitted, case.cost_of_t_learner, log.arms)

    return fit


def alone(log: str) -> Callable[[Case], Policy]:
    """Two-stage with the shared net on one of the two logs of `confounded_plus_rct`."""
    return lambda case: TwoStage(net(case)).fit(case.log if log == "observed" else case.randomised)


def alone_end_to_end(case: Case) -> Policy:
    """End-to-end on the small randomised log."""
    budgets = [budget * len(case.randomised) for budget in case.budgets]
    return EndToEnd(net(case), budgets=budgets, seed=case.seed).fit(case.randomised)


def pooled(case: Case) -> Policy:
    """Two-stage with the shared net on both logs as if they were one."""
    one, two = case.log, case.randomised
    both = {f: np.concatenate([getattr(one, f), getattr(two, f)]) for f in ("X", "treatment", "value", "cost")}
    users = np.arange(len(one) + len(two))
    return TwoStage(net(case)).fit(replace(one, **both, propensity=None, user_id=users))


def both(case: Case) -> Policy:
    """End-to-end on the randomised log, with what the observed log's net predicts among the features."""
    budgets = [budget * len(case.randomised) for budget in case.budgets]
    return EndToEnd(net(case), budgets=budgets, seed=case.seed).fit(case.randomised, observed=case.log)


def paper(estimator: str) -> dict[str, Any]:
    """Options of the published form: inverse-propensity scores, warm start from levels, no gate."""
    return {"estimator": estimator, "scores": "ipw", "warm_start": "levels", "gate": False}


def _first(log: Campaign, rows: int | None) -> Campaign:
    return log if rows is None or len(log) <= rows else log.take(np.arange(rows))


def _shuffled(log: Campaign, seed: int) -> Campaign:
    """The log with its features (and activeness) dealt out anew among the users."""
    order = stream(seed, "placebo").permutation(len(log))
    return replace(log, X=log.X[order], activeness=None if log.activeness is None else log.activeness[order])
