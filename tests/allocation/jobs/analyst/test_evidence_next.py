"""Refits of policies whose stability is known, and the size of an experiment against its formula."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
import pytest
from scipy.stats import norm

from allocation.evaluation.decided import decide_all
from allocation.evaluation.nuisance import fit_outcomes
from allocation.jobs.analyst.evidence_next import REFITS, experiment, promised_difference, refits
from allocation.policies.baselines import Nobody
from tests.allocation.jobs.analyst.test_evidence_model import log
from uplift.campaign import Campaign


class Blind:
    """Arms by the noise of its training log's mean: another decision on another log."""

    def fit(self, campaign: Campaign) -> Self:
        self.arms_ = campaign.arms
        self.seed = int(1e9 * abs(campaign.value.mean()))
        return self

    def decide(self, users: Any, budget: float | None) -> np.ndarray:
        return np.random.default_rng(self.seed).choice(3, len(users), p=[0.5, 0.3, 0.2])


def test_a_policy_that_heeds_no_log_never_changes():
    train, held_out = log(400, 0)[0].split(0.5, 0)
    found = refits(Nobody().fit(train), train, held_out, 100.0, 0, 1_000)
    assert found.stays == (1.0,) * REFITS
    assert found.by_chance == 1


def test_a_policy_that_heeds_the_noise_alone_changes_like_blind_dealing():
    """Two independent deals with shares .5, .3, .2 agree for .25 + .09 + .04 of the users."""
    train, held_out = log(8_000, 0)[0].split(0.5, 0)
    found = refits(Blind().fit(train), train, held_out, 100.0, 0, 10_000)
    assert np.mean(found.stays) == pytest.approx(0.38, abs=0.02)
    assert found.by_chance == pytest.approx(0.38, abs=0.02)
    assert found.quarters == ()


def test_a_large_log_is_not_refitted():
    train, held_out = log(400, 0)[0].split(0.5, 0)
    found = refits(Nobody().fit(train), train, held_out, 100.0, 0, 399)
    assert found.stays == ()
    assert found.note == "left out for logs above 399 users, to save time"


def test_the_users_needed_follow_the_formula():
    """n = sigma^2 (1.96 + 0.84)^2 / gain^2, sigma of the paired doubly robust scores."""
    held_out, effect, _ = log(3_000, 5)
    outcomes = fit_outcomes(held_out, seed=0)
    best = np.where(effect.max(axis=1) > 0, effect.argmax(axis=1) + 1, 0)
    single = np.ones(3_000, dtype=int)
    decided = decide_all({"model": best, "single": single}, held_out, [10.0])
    found = experiment(decided, held_out, outcomes, ("model", "single", 10.0), 0.1, 0.3)
    rows, t = np.arange(3_000), held_out.treatment
    p = held_out.propensity
    assert p is not None
    gamma = np.array(outcomes.value)
    gamma[rows, t] += (held_out.value - gamma[rows, t]) / p[rows, t]
    pair = gamma[rows, best] - gamma[rows, single]
    needed = pair.var() * (norm.ppf(0.975) + norm.ppf(0.8)) ** 2 / 0.1**2
    assert dict(zip(found.designs, found.needed, strict=True))["same"] == math.ceil(needed)
    assert (found.gain, found.promised, found.users) == (0.1, False, 3_000)
    assert found.verified == pytest.approx(pair.mean())
    assert found.error == pytest.approx(pair.std() / math.sqrt(3_000), rel=1e-3)
    assert experiment(decided, held_out, outcomes, ("model", "single", 10.0), -0.1, 0.3).gain == 0.3
    alike = experiment(decided, held_out, outcomes, ("model", "model", 10.0), 0.1, 0.3)
    assert alike.needed == ()
    assert "decide alike" in alike.note


def test_a_promise_is_the_predicted_value_of_two_decisions():
    value = np.array([[0.0, 1.0, 4.0], [2.0, 5.0, 3.0]], dtype=np.float32)
    assert promised_difference(value, (np.array([2, 1]), np.array([0, 2]))) == pytest.approx((4 + 2) / 2)
