"""An end-to-end fit behind its gate: candidates trained beside held-out users, and the one that may decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.policies.end_to_end_settings import Settings
from allocation.policies.end_to_end_training import Clock, fit_net, train_candidates
from allocation.policies.gate import TWO_STAGE, choose, gain_over_control, worth
from uplift.campaign import Campaign
from uplift.causal.crossfit import assign_folds
from uplift.learners.neural import NeuralResponse
from uplift.seeds import stream

Worths = dict[str, NDArray[np.float64]]
FOLDS = 5
VALIDATED = 100_000  # held-out users who are enough; smaller logs validate on all of them, fold after fold


@dataclass(frozen=True, eq=False)
class Gated:
    """Who decides (`kept`), its net, the budgets (money a user), and what held-out users say.

    worths : of each candidate, {name: (n_held,)}. gain : of the one that decides, over treating nobody, (n_held,);
    none and None where nobody is held out.
    """

    kept: str
    net: NeuralResponse
    budgets: tuple[float, ...]
    worths: Worths
    gain: NDArray[np.float64] | None


def gated(campaign: Campaign, settings: Settings, budgets: tuple[float, ...] | None, clock: Clock) -> Gated:
    """Fit the candidates, validate them, and fit to all users what may decide."""
    n = len(campaign)
    fold = assign_folds(campaign.treatment, FOLDS, seed=stream(settings.seed, "folds of the gate"))
    parts: list[tuple[Worths, Worths]] = []
    for k in range(min(FOLDS, math.ceil(FOLDS * VALIDATED / n))):
        held = campaign.take(fold == k)
        trained = train_candidates(campaign.take(fold != k), settings, budgets, clock, held)
        assert trained.held is not None
        budgets = trained.budgets
        with clock.phase("validation", len(held)):
            responses = {name: net.predict(held.X) for name, net in trained.nets.items()}
            gains = {name: gain_over_control(each, trained.held, budgets) for name, each in responses.items()}
            parts.append((worth(responses, trained.held, budgets, TWO_STAGE), gains))
    worths, gains = (_joined([part[k] for part in parts]) for k in range(2))
    kept = choose(worths, settings.level)
    if kept == TWO_STAGE:
        with clock.phase("two-stage net on all users", n):
            return Gated(kept, fit_net(settings.net, campaign), trained.budgets, worths, gains[kept])
    if len(parts) > 1:
        trained = train_candidates(campaign, settings, budgets, clock)
    return Gated(kept, trained.nets[kept], trained.budgets, worths, gains[kept])


def _joined(parts: list[Worths]) -> Worths:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
