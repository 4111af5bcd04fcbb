"""The candidates of an end-to-end fit, all trained on the same users: two-stage net, warm start, tuned net."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from allocation.policies.decision_phase import Goal, decision_phase
from allocation.policies.effect_regression import effect_loss, fit_effects, fit_level
from allocation.policies.end_to_end_settings import DECISION, EFFECTS, TEMPERATURE, Settings
from allocation.policies.gate import EFFECTS as WARM
from allocation.policies.gate import TUNED, TWO_STAGE, Difference, worth
from allocation.policies.scored import OutcomeModels, Scores, scores_of
from allocation.policies.two_stage import fit_learner, roles_of
from uplift.campaign import Campaign
from uplift.causal.activeness import strata
from uplift.learners.net_fit import NetFit
from uplift.learners.neural import NeuralResponse
from uplift.response import Response
from uplift.seeds import stream

SHARES = (0.05, 0.15, 0.45)  # of what deciding without a budget costs: the budgets where none are given
WATCHED = 50_000  # held-out users on whom the decision phase is watched


class Clock:
    """Seconds by phase, added up over the folds, and a word for each as it begins."""

    def __init__(self, progress: Callable[[str], None]) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def phase(self, name: str, users: int) -> Iterator[None]:
        """Time a phase on so many users."""
        self._progress(f"{name} on {users:,} users")
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Trained:
    """Candidates fitted on the same users.

    Attributes
    ----------
    nets : fitted nets by the name of the candidate. budgets : money a user.
    held : scores of the held-out users, (n_held, K+1), by models that saw none of them, or None without such users.
    """

    nets: dict[str, NeuralResponse]
    budgets: tuple[float, ...]
    held: Scores | None


def train_candidates(
    campaign: Campaign,
    settings: Settings,
    budgets: tuple[float, ...] | None,
    clock: Clock,
    held: Campaign | None = None,
) -> Trained:
    """Fit the candidates on the users of `campaign`.

    `budgets` is money a user, None for shares of what deciding without one would cost. The two-stage net is fitted
    where it is to be compared with on users `held` out, or is itself the warm start. With such users the decision
    phase ends as soon as it is verified to do harm; then the warm start stands.
    """
    n, nets, models = len(campaign), dict[str, NeuralResponse](), None
    if held is not None or settings.warm_start == "levels":
        with clock.phase("two-stage net", n):
            nets[TWO_STAGE] = fit_net(settings.net, campaign)
    if settings.scores == "dr":
        with clock.phase("outcome models", n):
            models = OutcomeModels.fit(campaign, settings.outcome_learner, settings.seed)
    scores = scores_of(campaign, None if models is None else models.expected)
    learner = clone(settings.net)
    if settings.warm_start == "effects":
        learner.set_params(value_likelihood="gaussian")
    begun = learner.begin(campaign.X, campaign.value, **roles_of(campaign))
    if settings.warm_start == "effects":
        with clock.phase("warm start", n):
            fit_effects(begun, scores, EFFECTS)
            fit_level(begun, scores)
        factual, warm = effect_loss(begun, scores), _finished(learner, begun)
        nets[WARM] = warm
    else:
        factual, warm = begun.factual_loss(), nets[TWO_STAGE]
        begun.net.load_state_dict(warm.net_.state_dict())
    budgets = usual_budgets(warm.predict(campaign.X)) if budgets is None else budgets
    of_held = None
    if held is not None:
        of_held = scores_of(held, None if models is None else models.predict(held.X))
    harmed = (
        _never if held is None or of_held is None else Watch.of(warm, held.X, of_held, budgets, settings.seed).harmed
    )
    with clock.phase("decision phase", n):
        stopped = False

        def _enough(epoch: int) -> bool:
            nonlocal stopped
            stopped = harmed(_finished(learner, begun))
            return stopped

        decision_phase(begun, _goal(campaign, settings, scores, budgets), factual, DECISION, _enough)
        if settings.warm_start == "effects":
            fit_level(begun, scores)
    nets[TUNED] = warm if stopped else _finished(learner, begun)
    return Trained(nets, budgets, of_held)


@dataclass(frozen=True, eq=False)
class Watch:
    """The warm start on some held-out users, for a look after each epoch at whether the tuning does harm there."""

    warm: Response
    X: NDArray[np.float32]
    scores: Scores
    budgets: tuple[float, ...]

    @classmethod
    def of(
        cls, warm: NeuralResponse, X: NDArray[np.float32], scores: Scores, budgets: tuple[float, ...], seed: int
    ) -> Self:
        """On users drawn at random where they are many; a log may be in the order of its dates."""
        few = np.sort(stream(seed, "watched users").permutation(len(X))[:WATCHED])
        return cls(warm.predict(X[few]), X[few], scores.take(few), budgets)

    def harmed(self, now: NeuralResponse) -> bool:
        """Whether the 95% interval of the paired difference to the warm start is below zero."""
        worths = worth({WARM: self.warm, TUNED: now.predict(self.X)}, self.scores, self.budgets, WARM)
        return Difference.of(worths[TUNED] - worths[WARM]).interval()[1] < 0


def _never(now: NeuralResponse) -> bool:
    return False


def _goal(campaign: Campaign, settings: Settings, scores: Scores, budgets: tuple[float, ...]) -> Goal:
    """What the decision phase maximises, with the strata of activeness where they are asked for."""
    group = None
    if settings.grouped:
        assert campaign.activeness is not None
        group = strata(campaign.activeness)
    return Goal(
        scores,
        budgets,
        settings.estimator,
        settings.gamma,
        TEMPERATURE,
        settings.rule,
        group,
        settings.group_rule,
    )


def usual_budgets(response: Response) -> tuple[float, ...]:
    """Money a user: shares of what it would cost to give everybody the arm of the highest value, above the least.

    At least 0, also where arms bring money in (negative costs).
    """
    value, cost = np.asarray(response.value), np.asarray(response.cost, dtype=np.float64)
    least = cost.min(axis=1).mean()
    free = cost[np.arange(len(value)), value.argmax(axis=1)].mean() - least
    if free <= 0:  # what is best is free: any budget gives the same decisions
        return (max(float(least), 0.0),)
    return tuple(max(float(least + share * free), 0.0) for share in SHARES)


def fit_net(net: NeuralResponse, campaign: Campaign) -> NeuralResponse:
    """A clone of the net, fitted to the factual outcomes: exactly what `TwoStage(net)` fits."""
    fitted = fit_learner(net, campaign)
    assert isinstance(fitted, NeuralResponse)
    return fitted


def _finished(learner: NeuralResponse, begun: NetFit) -> NeuralResponse:
    """A fitted copy with the net as it is now, whose values are not kept to the logged range.

    A level that is a few per cent off would else be cut there, and the effect above it with it.
    """
    unbounded: NDArray[np.float64] = np.array([-np.inf, np.inf])
    now = replace(begun, net=copy.deepcopy(begun.net), ranges=(unbounded, begun.ranges[1]))
    fitted: NeuralResponse = clone(learner)
    fitted.n_features_in_ = begun.log.X.shape[1]
    return fitted.finish(now, ())
