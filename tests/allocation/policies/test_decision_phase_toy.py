"""The decision phase on a toy where regression decides wrongly; and without a goal, where the net stays put."""

from __future__ import annotations

import copy

import numpy as np
import torch

from allocation.policies.decision_phase import Goal, decision_phase
from allocation.policies.effect_regression import effect_loss, fit_effects
from allocation.policies.scored import Scores
from tests.allocation.policies.end_to_end_logs import begun, campaign
from uplift.learners.training import Schedule

STEPS = Schedule(40, 500, 2e-2, 0.0, steps=6)


def misled(n, seed):
    """One treatment, free; its effect is -1, +1, -1 at x = 0, 1, 4 (shares .5, .4, .1), noise 1. Least squares by a
    line slopes so gently that it treats x = 4 alone (worth -.1 a user); the best line treats x >= 1 (worth .3)."""
    rng = np.random.default_rng(seed)
    x = rng.choice([0.0, 1.0, 4.0], p=[0.5, 0.4, 0.1], size=n)
    effect = np.where(x == 1, 1.0, -1.0)
    log = campaign(x[:, None], np.arange(n) % 2, np.zeros(n), np.zeros(n))
    value = np.column_stack([np.zeros(n), effect]) + rng.normal(size=(n, 2))
    return log, Scores(value.astype(np.float32), np.zeros((n, 2), dtype=np.float32)), effect


def test_it_finds_the_decision_that_regression_misses():
    log, scores, effect = misled(3_000, seed=0)
    fit = begun(log, hidden=())
    worth = []
    for phase in ("regression", "decision"):
        if phase == "regression":
            fit_effects(fit, scores, STEPS)
        else:
            goal = Goal(scores, (1.0,), "softmax", 5.0, (1.0, 0.3))
            decision_phase(fit, goal, effect_loss(fit, scores), STEPS)
        with torch.no_grad():
            value = fit.net(torch.from_numpy(log.X))[0].numpy()
        worth.append(np.where(value[:, 1] > value[:, 0], effect, 0.0).mean())
    assert worth[0] < -0.05
    assert worth[1] > 0.25


def test_without_the_goal_a_settled_net_hardly_moves():
    log, scores, _ = misled(3_000, seed=1)
    fit = begun(log, hidden=())
    fit_effects(fit, scores, STEPS)
    before = copy.deepcopy(fit.net)
    goal = Goal(scores, (1.0,), "softmax", 0.0, (0.1, 0.1))
    decision_phase(fit, goal, effect_loss(fit, scores), STEPS)
    X = torch.from_numpy(log.X)
    with torch.no_grad():
        moved = [(net(X)[0][:, 1] - net(X)[0][:, 0]).numpy() for net in (before, fit.net)]
    assert np.abs(moved[1] - moved[0]).max() < 0.1
    assert (np.sign(moved[0]) == np.sign(moved[1])).all()
