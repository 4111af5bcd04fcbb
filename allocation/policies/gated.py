"""An end-to-end fit behind its gate: candidates trained beside held-out users, and the one that may decide."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from allocation.policies.end_to_end_settings import Settings
from allocation.policies.end_to_end_training import Clock, fit_net, train_candidates
from allocation.policies.gate import TWO_STAGE, choose, worth
from uplift.campaign import Campaign
from uplift.causal.crossfit import assign_folds
from uplift.learners.neural import NeuralResponse
from uplift.seeds import stream

Worths = dict[str, NDArray[np.float64]]
FOLDS = 5
VALIDATED = 100_000  # held-out users who are enough; smaller logs validate on all of them, fold after fold


def gated(
    campaign: Campaign, settings: Settings, budgets: tuple[float, ...] | None, clock: Clock
) -> tuple[str, NeuralResponse, tuple[float, ...], Worths]:
    """Who decides, its net, the budgets (money a user), and what each candidate was worth to held-out users."""
    n = len(campaign)
    fold = assign_folds(campaign.treatment, FOLDS, seed=stream(settings.seed, "folds of the gate"))
    parts: list[Worths] = []
    for k in range(min(FOLDS, math.ceil(FOLDS * VALIDATED / n))):
        held = campaign.take(fold == k)
        trained = train_candidates(campaign.take(fold != k), settings, budgets, clock, held)
        assert trained.held is not None
        budgets = trained.budgets
        with clock.phase("validation", len(held)):
            responses = {name: net.predict(held.X) for name, net in trained.nets.items()}
            parts.append(worth(responses, trained.held, budgets, TWO_STAGE))
    worths = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    kept = choose(worths, settings.level)
    if kept == TWO_STAGE:
        with clock.phase("two-stage net on all users", n):
            return kept, fit_net(settings.net, campaign), trained.budgets, worths
    if len(parts) > 1:
        trained = train_candidates(campaign, settings, budgets, clock)
    return kept, trained.nets[kept], trained.budgets, worths
