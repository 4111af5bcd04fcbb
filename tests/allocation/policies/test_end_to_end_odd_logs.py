"""Odd logs and arguments of every kind that the end-to-end model takes: it learns from them and keeps the budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.allocation.policies.end_to_end_logs import drawn_costs, few_of_arm, noisy, policy, shorten
from tests.invariants import assert_feasible
from uplift.causal.aggregation import rule
from uplift.learners import SLearner

LOG = noisy(300)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    shorten(monkeypatch)


def holed():
    """A feature that is missing for every third user, and one that is missing for all."""
    log = noisy(300)
    log.X[::3, 0], log.X[:, 2] = np.nan, np.nan
    return log


ODD = {
    "two arms": noisy(300, K=1),
    "30 users of an arm": few_of_arm(30),
    "5 users of an arm": few_of_arm(5),
    "12 users": noisy(12),
    "an arm for everybody that costs something": noisy(300, shift=0.1),
    "drawn costs": drawn_costs(300),
    "the same cost for all": replace(LOG, cost=np.full(300, 0.1)),
    "free arms": replace(LOG, cost=np.zeros(300)),
    "arms that bring money in": replace(LOG, cost=-0.1 * LOG.treatment),
    "negative values": replace(LOG, value=-100 + LOG.value),
    "one value for all": replace(LOG, value=np.full(300, 3.0)),
    "no value": replace(LOG, value=np.zeros(300)),
    "rare spend": replace(LOG, value=np.where(np.arange(300) % 50 == 0, 1e4, 0.0)),
    "a constant feature": replace(LOG, X=np.column_stack([LOG.X[:, :2], np.ones(300)]).astype(np.float32)),
    "missing features": holed(),
}


@pytest.mark.parametrize("gate", [True, False], ids=["gate", "no gate"])
@pytest.mark.parametrize("log", ODD.values(), ids=ODD)
def test_odd_logs_are_learnt_from_and_decided_for_within_the_budget(log, gate):
    fitted = policy(gate=gate).fit(log)
    assert fitted.result_.users == len(log)
    assert all(np.isfinite(fitted.result_.budgets))
    assert min(fitted.result_.budgets) >= 0
    least = float(fitted.predict(log).cost.astype(float).min(axis=1).sum())
    for budget in (max(0.0, least + 1e-3), max(0.0, least) + 30.0, None):
        problem = fitted.problem(log, budget)
        assert_feasible(problem, fitted.decide(log, budget))


def test_both_warm_starts_scores_and_groups_run_on_costs_that_are_drawn():
    log, pcgrad = replace(drawn_costs(300), activeness=np.arange(300.0)), rule("pcgrad", seed=1)
    for arguments in (
        {"warm_start": "levels", "scores": "ipw"},
        {"groups": "activeness", "rule": "norm_matched"},
        {"groups": "activeness", "group_rule": pcgrad, "estimator": "improved_fd"},
        {"outcome_learner": SLearner(LinearRegression()), "estimator": "finite_difference"},
        {"net": None, "gamma": np.float32(2)},
    ):
        found = policy(**arguments).fit(log)
        assert found.result_.gain is None
        assert found.arms_ == log.arms
        assert np.isfinite(found.predict(log).value).all()


@pytest.mark.parametrize(
    "budgets",
    [[100, 200.0], (100.0, 200.0), np.array([100, 200]), np.float32([100, 200]), iter([100.0, 200.0])],
    ids=["list", "tuple", "whole numbers", "single precision", "iterator"],
)
def test_budgets_of_every_kind_are_money_for_all_users(budgets):
    assert policy(budgets=budgets).fit(LOG).result_.budgets == pytest.approx((100.0, 200.0))


def test_budgets_left_open_are_shares_of_what_the_warm_start_would_spend():
    """5, 15 and 45% of the cost of everybody's most valuable arm; that cost is known, 0, 1 or 2 a user."""
    found = policy(gamma=0.0, warm_start="levels").fit(LOG).result_.budgets
    two = policy(gate=True, level=0.999999).fit(LOG).predict(LOG)
    free = two.cost[np.arange(300), two.value.argmax(axis=1)].sum()
    np.testing.assert_allclose(found, [0.05 * free, 0.15 * free, 0.45 * free], rtol=1e-6)


def test_a_budget_below_the_cheapest_arms_is_trained_at_what_they_cost():
    for gate in (True, False):
        assert policy(budgets=[0.0], gate=gate).fit(drawn_costs(480)).result_.budgets == (0.0,)


def test_rows_of_every_kind_are_predicted_alike():
    fitted = policy().fit(LOG)
    expected = fitted.predict(LOG.X)
    for X in (LOG.X.astype(np.float64), LOG.X.tolist(), np.asfortranarray(LOG.X), LOG.X[::-1][::-1]):
        np.testing.assert_array_equal(fitted.predict(X).value, expected.value)
    assert expected.user_id is None
    assert fitted.predict(LOG).user_id is LOG.user_id
    one = fitted.predict(LOG.X[:1])
    np.testing.assert_allclose(one.value, expected.value[:1], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "likelihood"),
    [({}, "gaussian"), ({"warm_start": "levels"}, "bernoulli"), ({"gate": True, "level": 0.999999}, "bernoulli")],
    ids=["effects", "levels", "kept back"],
)
def test_effects_are_plain_means_and_levels_have_the_likelihood_of_the_log(arguments, likelihood):
    """A value of 0 or 1. A net trained by us is not kept to the logged range, the two-stage net is."""
    visits = replace(LOG, value=(LOG.value > 10).astype(float))
    learner = policy(**arguments).fit(visits).learner_
    assert learner.value_likelihood_ == likelihood
    assert np.isinf(learner.value_range_).all() == ("gate" not in arguments)


def test_what_is_promised_under_control_is_what_the_log_scores_there_in_the_mean():
    """Least squares last: control's predictions have the mean of its inverse-propensity scores, which are
    3 times the value of a user of control, and 0 for the others."""
    predicted = policy(scores="ipw").fit(LOG).predict(LOG).value[:, 0]
    assert predicted.mean() == pytest.approx(3 * LOG.value[LOG.treatment == 0].sum() / 300, rel=1e-4)
