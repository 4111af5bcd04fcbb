"""Totals from a randomised log: against textbook loops, unbiased by enumeration, silent where nobody matches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.evaluation.bootstrap import interval, resampled_sums
from allocation.evaluation.estimators import Moments, match_weight, totals
from tests.oracles import ipw_total, sn_total
from uplift.campaign import Campaign
from uplift.errors import InputError

ORACLES = {"ipw": ipw_total, "sn": sn_total}


def log_of(treatment, value, propensity, cost=None):
    treatment = np.asarray(treatment, dtype=np.int64)
    n = len(treatment)
    arms = (
        ("none", "small", "big", "huge")[: np.shape(propensity)[1]] if propensity is not None else ("none", "small")
    )
    return Campaign(
        X=np.zeros((n, 1), dtype=np.float32),
        treatment=treatment,
        value=np.asarray(value, dtype=float),
        cost=None if cost is None else np.asarray(cost, dtype=float),
        propensity=None if propensity is None else np.asarray(propensity, dtype=float),
        arms=arms,
        user_id=np.arange(n),
        features=("x",),
    )


def estimate(estimator, decision, log):
    """Point estimates of total value and total spend of one decision."""
    m = Moments.of([np.asarray(decision, dtype=np.int64)], log)
    weight, value, spend = m.weight.sum(0), m.value.sum(0), m.spend.sum(0)
    return float(totals(estimator, len(log), weight, value)[0]), float(totals(estimator, len(log), weight, spend)[0])


@st.composite
def logs(draw):
    """A log of 1 to 12 users and 2 to 4 arms, and a decision for them."""
    n, arms = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    log = log_of(
        rng.integers(0, arms, n), rng.normal(0, 5, n), rng.dirichlet(np.full(arms, 2.0), n), rng.gamma(2, 1, n)
    )
    return log, rng.integers(0, arms, n)


def test_a_worked_example():
    """Users 0 and 2 match, at 1/2 and 1/4: ipw 3 x 2 + 5 x 4 = 26; sn 3 x 26 / (2 + 4) = 13."""
    log = log_of([0, 1, 1], [3, 100, 5], [[0.5, 0.5], [0.5, 0.5], [0.75, 0.25]], [1, 100, 2])
    assert estimate("ipw", [0, 0, 1], log) == (26, 10)
    assert estimate("sn", [0, 0, 1], log) == (13, 5)


@given(logs())
@pytest.mark.parametrize("estimator", ["ipw", "sn"])
def test_equals_the_textbook_loop(estimator, case):
    log, decision = case
    expected = [
        ORACLES[estimator](decision, log.treatment, log.propensity, amount) for amount in (log.value, log.cost)
    ]
    assert estimate(estimator, decision, log) == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_ipw_is_unbiased_over_every_assignment():
    """Four users, three arms, all 81 assignments at their probabilities: the mean is 2 + 10 + 4 + 6 = 22."""
    potential = np.array([[1, 2, 9], [3, 7, 10], [4, 0, 5], [8, 6, 1.0]])
    p = np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05], [0.1, 0.6, 0.3]])
    decision, rows, mean = np.array([1, 2, 0, 1]), np.arange(4), 0.0
    for treatment in itertools.product(range(3), repeat=4):
        total, _ = estimate("ipw", decision, log_of(treatment, potential[rows, treatment], p))
        mean += p[rows, treatment].prod() * (0.0 if math.isnan(total) else total)
    assert mean == pytest.approx(22.0)


@given(logs(), st.floats(-50, 50))
def test_sn_moves_with_a_constant_added_to_every_outcome(case, shift):
    log, decision = case
    moved = log_of(log.treatment, log.value + shift, log.propensity)
    expected = estimate("sn", decision, log)[0] + shift * len(log)
    assert estimate("sn", decision, moved)[0] == pytest.approx(expected, rel=1e-9, abs=1e-7, nan_ok=True)


@given(logs())
def test_totals_of_the_log_itself(case):
    """Deciding what was logged matches everybody; under propensities of 1 both totals are plain sums."""
    log, _ = case
    certain = log_of(log.treatment, log.value, np.ones_like(log.propensity), log.cost)
    for estimator in ORACLES:
        assert estimate(estimator, log.treatment, certain) == pytest.approx((log.value.sum(), log.cost.sum()))


@pytest.mark.parametrize("estimator", ["ipw", "sn"])
def test_silence_is_not_zero(estimator):
    log = log_of([0, 0], [1, 2], [[0.5, 0.5]] * 2, [0, 0])
    assert all(math.isnan(total) for total in estimate(estimator, [1, 1], log))


@pytest.mark.parametrize("estimator", ["ipw", "sn"])
def test_spend_is_unknown_without_cost_and_value_is_not(estimator):
    value, spend = estimate(estimator, [0, 1], log_of([0, 1], [1, 2], [[0.5, 0.5]] * 2))
    assert not math.isnan(value)
    assert math.isnan(spend)


def test_a_log_without_propensity_verifies_nothing():
    with pytest.raises(InputError, match=r"no propensity.*give propensity=\{arm: probability\}"):
        match_weight(np.array([0, 1]), log_of([0, 1], [1, 2], None))


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (np.array([0, 1, 0]), r"the decision has shape \(3,\) for 2 users; \(2,\) is expected"),
        (np.array([[0, 1]]), r"the decision has shape \(1, 2\) for 2 users"),
        (np.array([0, 2]), r"the decision names arm 2; the log has arms 0\.\.1"),
        pytest.param(
            np.array([-1, 0]),
            r"the decision names arm -1; the log has arms 0\.\.1",
        ),
    ],
)
def test_a_decision_that_does_not_fit_is_refused(decision, message):
    with pytest.raises(InputError, match=message):
        match_weight(decision, log_of([0, 1], [1, 2], [[0.5, 0.5]] * 2))


def test_every_resample_draws_n_users():
    """With weight 1 for everybody each resample sums to n, and the mean of many sums is the sum."""
    rng = np.random.default_rng(0)
    n, value = 50, rng.normal(3, 1, 50)
    ones = np.ones((n, 1))
    draws = resampled_sums(Moments(ones, value[:, None], ones), 2000, seed=1)
    assert (draws.weight == n).all()
    error = math.sqrt(n) * value.std() / math.sqrt(2000)
    assert abs(draws.value.mean() - value.sum()) < 4.5 * error


def test_the_number_of_resamples_only_adds_resamples():
    """The first 30 of 70 are the 30 of a shorter run, so that a longer run refines and does not replace."""
    moments = Moments(*np.random.default_rng(0).normal(size=(3, 20, 2)))
    short, long = (resampled_sums(moments, count, seed=5) for count in (30, 70))
    np.testing.assert_allclose(long.value[:30], short.value, rtol=1e-12)


def test_percentiles_of_known_draws():
    """Of 0, 1, ..., 100 the middle 90% run from 5 to 95."""
    low, high = interval(np.arange(101.0)[:, None], 0.9)
    assert (low[0], high[0]) == pytest.approx((5, 95))


def test_an_interval_needs_an_estimate_in_more_than_half_of_the_resamples():
    """Missing in 2 of 4 draws: no interval; in 1 of 4: that of the others, 1 to 3."""
    draws = np.array([[np.nan, np.nan], [np.nan, 1], [1, 2], [2, 3]])
    low, high = interval(draws, 0.999999)
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert (low[1], high[1]) == pytest.approx((1, 3), abs=1e-5)
