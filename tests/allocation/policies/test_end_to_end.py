"""The end-to-end model: what it is for, and what its gate keeps."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from allocation.policies import end_to_end_training, gated
from allocation.policies.end_to_end_training import Watch
from allocation.policies.scored import Scores
from allocation.policies.two_stage import TwoStage
from tests.allocation.policies.end_to_end_logs import SMALL, campaign, drawn_costs, noisy, policy, shorten
from uplift.learners import NeuralResponse
from uplift.learners.training import Schedule
from uplift.response import Response

ONE_UNIT = NeuralResponse(hidden=(1,), epochs=5)
EXACT = NeuralResponse(hidden=(), epochs=5)  # of `misleading`


def misleading(n, seed):
    """Level 10 x0, effect 2 x1, cost 1: a net of one hidden unit can hold the level or the effect, not both.

    By the level its decision is no better than chance; the best 30% by x1 gain .3 * 2 * E[x1 | top 30%] = .695.
    """
    rng = np.random.default_rng(seed)
    X, t = rng.normal(size=(n, 2)), np.arange(n) % 2
    return campaign(X, t, 10 * X[:, 0] + t * 2 * X[:, 1] + rng.normal(size=n), t)


def gain(fitted, seed=99, n=4_000):
    """True gain a user, at money for 30% of fresh users."""
    X = misleading(n, seed).X
    return (fitted.decide(X, 0.3 * n).decision * 2 * X[:, 1]).mean()


def test_it_decides_rightly_where_the_two_stage_net_cannot(monkeypatch):
    """The reason for being of this model, by the truth; the gate sees it too, in one fold, and says so."""
    monkeypatch.setattr(gated, "VALIDATED", 1)
    monkeypatch.setattr(end_to_end_training, "EFFECTS", Schedule(15, 250, 3e-2, 1e-3, steps=10))
    log, heard = misleading(3_000, seed=0), []
    ours = policy(net=ONE_UNIT, outcome_learner=EXACT, gate=True, budgets=[900.0], progress=heard.append).fit(log)
    assert gain(TwoStage(ONE_UNIT).fit(log)) < 0.2
    assert gain(ours) > 0.6
    assert ours.result_.passed
    assert ours.result_.gain.users == 600
    assert sum(text.startswith("outcome models") for text in heard) == 1
    assert list(ours.result_.seconds) == [
        *("two-stage net", "outcome models", "warm start", "decision phase", "validation"),
    ]


def test_nobody_is_validated_by_a_net_that_saw_him(monkeypatch):
    """Five folds: candidates are trained on the other four, and every user is held out once; then all are taken."""
    shorten(monkeypatch)
    train, calls = gated.train_candidates, []

    def _noted(campaign, settings, budgets, clock, held=None):
        calls.append((campaign.user_id, None if held is None else held.user_id))
        return train(campaign, settings, budgets, clock, held)

    monkeypatch.setattr(gated, "train_candidates", _noted)
    monkeypatch.setattr(gated, "choose", lambda worths, level: "tuned")
    log = drawn_costs(200)
    found = policy(gate=True).fit(log)
    assert found.result_.kept == "tuned"
    assert len(calls) == 6
    for learnt, held in calls[:5]:
        assert len(held) == 40
        assert sorted([*learnt, *held]) == list(range(200))
    assert sorted(np.concatenate([held for _, held in calls[:5]])) == list(range(200))
    assert calls[5][1] is None
    np.testing.assert_array_equal(calls[5][0], log.user_id)


@pytest.mark.parametrize(("enough", "validated"), [(100_000, 300), (121, 180), (120, 120), (1, 60)])
def test_a_net_kept_back_is_the_two_stage_net_to_the_byte(monkeypatch, enough, validated):
    """Nothing passes an interval of 99.9999%; on as many folds of 60 as hold enough users, five at most."""
    monkeypatch.setattr(gated, "VALIDATED", enough)
    shorten(monkeypatch)
    log, new = drawn_costs(300, seed=1), drawn_costs(80, seed=2)
    ours, two = policy(gate=True, level=0.999999).fit(log), TwoStage(SMALL).fit(log)
    assert ours.result_.kept == "two-stage"
    assert not ours.result_.passed
    assert ours.result_.gain.users == validated
    np.testing.assert_array_equal(ours.predict(new).value, two.predict(new).value)
    np.testing.assert_array_equal(ours.predict(new).cost, two.predict(new).cost)
    for budget in (30.0, 90.0, None):
        np.testing.assert_array_equal(ours.decide(new, budget).decision, two.decide(new, budget).decision)


def test_a_world_without_effects_is_said_to_have_nothing_to_gain(monkeypatch):
    shorten(monkeypatch)
    log = noisy(1_000, seed=3)
    log = replace(log, value=10 + log.X[:, 0] + np.random.default_rng(0).normal(size=1_000))
    found = policy(gate=True).fit(log).result_
    assert not found.passed
    assert found.nothing_to_gain
    assert "There is nothing to gain" in str(found)


@pytest.mark.parametrize(
    ("mean", "harmed"), [(-1.0, True), (-0.25, True), (-0.15, False), (0.0, False), (0.5, False)]
)
def test_harm_is_what_the_interval_has_below_zero(mean, harmed):
    """The warm start treats nobody, the net everybody, at no cost; by the log the treated are worth mean +- 1, with a
    standard error of .1 over 100 users."""
    free, rows = np.zeros((100, 2)), np.zeros((100, 1), dtype=np.float32)
    nobody, everybody = (Response(np.tile([0.0, gain], (100, 1)), free, ("none", "some")) for gain in (-1.0, 1.0))
    worth = np.column_stack([np.zeros(100), mean + np.where(np.arange(100) % 2, 1.0, -1.0)])
    watch = Watch(nobody, rows, Scores(worth, free), (0.0,))
    assert watch.harmed(SimpleNamespace(predict=lambda X: everybody)) == harmed


@pytest.mark.parametrize("warm_start", ["effects", "levels"])
def test_tuning_that_is_seen_to_do_harm_is_stopped_and_the_warm_start_stands(monkeypatch, warm_start):
    """The decision phase climbs down instead of up, in steps that matter: fewer than the six epochs show it."""
    phase, epochs = end_to_end_training.decision_phase, []

    def _down(fit, goal, *others):
        epochs.append(len(phase(fit, replace(goal, gamma=-50.0), *others)))

    monkeypatch.setattr(end_to_end_training, "decision_phase", _down)
    monkeypatch.setattr(gated, "VALIDATED", 1)
    shorten(monkeypatch, epochs=6, lr=0.1, steps=12)
    log = misleading(2_000, seed=4)
    ours = policy(net=EXACT, outcome_learner=EXACT, gate=True, warm_start=warm_start, budgets=[600.0]).fit(log)
    assert len(epochs) == 1
    assert epochs[0] < 6
    if warm_start == "effects":
        assert ours.result_.tuning.mean == ours.result_.tuning.se == 0.0
    else:
        assert ours.result_.gain.mean == ours.result_.gain.se == 0.0
        assert not ours.result_.passed


def test_without_a_goal_the_warm_start_decides_about_as_before(monkeypatch):
    """gamma = 0, from levels: the net goes on with its own likelihood, and nine in ten decisions stay."""
    shorten(monkeypatch, lr=1e-3)
    log = misleading(2_000, seed=6)
    net = NeuralResponse(hidden=(), epochs=5)
    two = TwoStage(net).fit(log).decide(log, 600.0).decision
    ours = policy(net=net, gamma=0.0, warm_start="levels").fit(log).decide(log, 600.0).decision
    assert (ours == two).mean() > 0.9
