"""Outcome models of the evaluation log: never fitted on the user they predict; exact where an arm does not vary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from allocation import evaluate
from allocation.evaluation.nuisance import fit_outcomes
from allocation.evaluation.outcomes import Outcomes
from tests.allocation.evaluation.logs import log_of
from uplift import InputError, synthetic

LOG = synthetic.simulate(2_000, seed=0).campaign


def test_nobody_is_predicted_from_their_own_outcome():
    """The nearest neighbour would be the user; out of fold it is not, so that noise is not predicted at all."""
    rng = np.random.default_rng(0)
    log = log_of(rng.integers(0, 2, 400), rng.normal(size=400), np.full((400, 2), 0.5), x=rng.normal(size=400))
    table = fit_outcomes(log, model=KNeighborsRegressor(1)).value
    received = table[np.arange(400), log.treatment]
    assert not np.isclose(received, log.value).any()
    assert abs(np.corrcoef(received, log.value)[0, 1]) < 0.2


def test_a_linear_world_is_learned_by_arm():
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=300), rng.integers(0, 3, 300)
    log = log_of(t, 1 + t * x, np.full((300, 3), 1 / 3), 2.0 * t, x=x)
    found = fit_outcomes(log, model=LinearRegression())
    np.testing.assert_allclose(found.value, 1 + x[:, None].astype(np.float32) * np.arange(3), atol=1e-5)
    np.testing.assert_array_equal(found.cost, np.tile([0.0, 2, 4], (300, 1)))
    assert fit_outcomes(replace(log, cost=None), model=LinearRegression()).cost is None


def test_the_better_the_model_the_shorter_the_interval():
    """The truth as model, none at all, and the default in between."""
    simulation = synthetic.simulate(4_000, seed=3)
    log, n = simulation.campaign, 4_000
    truth = Outcomes(simulation.truth.value, simulation.truth.cost)
    blind = Outcomes(np.zeros((n, 5)), np.zeros((n, 5)))
    policy = {"some": np.arange(n) % 5}
    errors = [
        evaluate(policy, log, budgets=[1e9], estimators=["dr"], intervals="influence", outcome_model=m).value_se[0]
        for m in (truth, None, blind)
    ]
    assert errors[0] < errors[1] < 0.75 * errors[2]


def test_the_seed_and_the_unit_decide_what_they_should():
    log = replace(LOG.take(np.arange(400)), cost=None)
    first, again = fit_outcomes(log, seed=1).value, fit_outcomes(log, seed=1).value
    np.testing.assert_array_equal(first, again)
    assert (fit_outcomes(log, seed=2).value != first).any()
    pennies = fit_outcomes(replace(log, value=100 * log.value), seed=1).value
    np.testing.assert_allclose(pennies, 100 * first, rtol=1e-6)


def test_refused_with_the_mend():
    shape = r"the outcome model's value has shape \(3, 5\); \(users, arms\) = \(2000, 5\)"
    with pytest.raises(InputError, match=shape):
        evaluate({"a": np.zeros(2_000, int)}, LOG, budgets=[1.0], outcome_model=Outcomes(np.zeros((3, 5)), None))
    with pytest.raises(InputError, match=r"the log has cost and the outcomes have none; fit them on this log"):
        evaluate({"a": np.zeros(2_000, int)}, LOG, budgets=[1.0], outcome_model=Outcomes(np.zeros((2_000, 5)), None))
    rare = log_of(np.r_[1, np.zeros(99, int)], np.arange(100.0), np.tile([0.99, 0.01], (100, 1)), np.arange(100.0))
    with pytest.raises(InputError, match=r"at least 2 users"):
        fit_outcomes(rare)
    with pytest.raises(InputError, match=r"arm 'small' was given to nobody of the 99 users, so no model can learn"):
        fit_outcomes(rare.take(rare.treatment == 0))
    with pytest.raises(InputError, match="the log has the type DataFrame; a Campaign is expected"):
        fit_outcomes(pd.DataFrame({"x": [1.0]}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.full((2_000, 5), np.nan), r"the outcome model's value"),
        ("abc", r"value is a str that holds no table of numbers; \(users, arms\) = \(2000, 5\)"),
        (None, r"the log has value and the outcomes have none"),
    ],
)
def test_tables_that_are_no_numbers_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        evaluate({"a": np.zeros(2_000, int)}, LOG, budgets=[1.0], outcome_model=Outcomes(table, np.zeros((2_000, 5))))


def test_lists_and_frames_are_tables_too():
    table = np.random.default_rng(0).normal(size=(2_000, 5))
    options = {"budgets": [1.0], "estimators": ["dr"], "intervals": "influence"}
    frames = [
        evaluate({"a": np.zeros(2_000, int)}, LOG, outcome_model=Outcomes(given, given), **options)
        for given in (table, table.tolist(), pd.DataFrame(table))
    ]
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


def test_a_log_too_small_to_cross_fit_says_what_to_do():
    tiny = log_of([0, 0, 1], [1.0, 2, 3], [[0.5, 0.5]] * 3)
    message = r"arms none, small have 2, 1 users: .* do without a model: estimators=\['ipw', 'sn'\]"
    with pytest.raises(InputError, match=message):
        fit_outcomes(tiny)
    assert fit_outcomes(log_of([0, 0, 1, 1], [1.0, 2, 3, 5], [[0.5, 0.5]] * 4), model=LinearRegression()).cost is None
