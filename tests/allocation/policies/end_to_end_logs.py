"""Small randomised logs and quick schedules for the tests of the end-to-end model."""

from __future__ import annotations

import numpy as np

from allocation.policies import end_to_end_training
from allocation.policies.end_to_end import EndToEnd
from allocation.policies.scored import Scores
from uplift.campaign import Campaign
from uplift.learners import NeuralResponse
from uplift.learners.net_fit import NetFit
from uplift.learners.training import Schedule

SMALL = NeuralResponse(hidden=(4,), epochs=1)
LINEAR = NeuralResponse(hidden=(), epochs=1)  # for the outcome models


def policy(**arguments):
    """A small model without a gate, unless the arguments say otherwise."""
    return EndToEnd(**{"net": SMALL, "outcome_learner": LINEAR, "gate": False} | arguments)


def campaign(X, treatment, value, cost, *, arms=None, activeness=None):
    """A log of the given arrays in which every arm had the same chances."""
    K1 = int(np.max(treatment)) + 1
    X = np.asarray(X, dtype=np.float32)
    return Campaign(
        X=X,
        treatment=np.asarray(treatment, dtype=np.int64),
        value=np.asarray(value, dtype=np.float64),
        cost=np.asarray(cost, dtype=np.float64),
        propensity=np.full((len(X), K1), 1 / K1),
        arms=tuple(f"a{j}" for j in range(K1)) if arms is None else arms,
        user_id=np.arange(len(X)),
        features=tuple(f"x{k}" for k in range(X.shape[1])),
        activeness=activeness,
    )


def noisy(n=600, seed=0, K=2, shift=0.0):
    """Value 10 + x0 + j x1 + noise, cost j + shift, known exactly; three features, arm j of K + 1."""
    rng = np.random.default_rng(seed)
    X, t = rng.normal(size=(n, 3)), np.arange(n) % (K + 1)
    value = 10 + X[:, 0] + t * X[:, 1] + rng.normal(size=n)
    return campaign(X, t, value, t + shift, activeness=rng.random(n))


def drawn_costs(n=600, seed=0):
    """As `noisy`, but the treatments' costs are random, and no arm is free."""
    rng = np.random.default_rng([seed, 1])
    log = noisy(n, seed)
    cost = 0.3 + np.where(log.treatment > 0, rng.gamma(2.0, size=n) * log.treatment, 0.0)
    return campaign(log.X, log.treatment, log.value, cost)


def few_of_arm(k):
    """300 users of control and arm 2, and k of arm 1."""
    log = noisy(450)
    return log.take(np.r_[np.flatnonzero(log.treatment != 1), np.flatnonzero(log.treatment == 1)[:k]])


def begun(log, hidden=(3,), likelihood="gaussian", seed=0) -> NetFit:
    """A net at its first weights, for this log."""
    return NeuralResponse(hidden=hidden, value_likelihood=likelihood, seed=seed).begin(
        log.X, log.value, treatment=log.treatment, cost=log.cost, propensity=log.propensity, arms=log.arms
    )


def random_scores(log, seed=0) -> Scores:
    """Scores without any relation to the log, as noisy as scores are."""
    rng = np.random.default_rng([seed, 2])
    value, cost = rng.normal(size=(2, len(log), len(log.arms))).astype(np.float32)
    return Scores(3 * value + 1, cost + 2)


def shorten(monkeypatch, **decision):
    """Let both phases take a step or two; `decision` replaces what is to differ in the decision phase."""
    few = {"epochs": 1, "batch_size": 500, "lr": 1e-2, "weight_decay": 0.0, "steps": 2}
    monkeypatch.setattr(end_to_end_training, "EFFECTS", Schedule(1, 500, 2e-2, 1e-3, steps=2))
    monkeypatch.setattr(end_to_end_training, "DECISION", Schedule(**few | decision))
