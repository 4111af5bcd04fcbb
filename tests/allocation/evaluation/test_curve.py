"""The curve's area: by hand, against the metric for rankings, and against the truth of a simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from allocation import ProblemError
from allocation.evaluation.curve import curve_area
from tests.allocation.evaluation.logs import log_of
from uplift import InputError, Response, metrics, synthetic


def one_arm(n, seed):
    """Control and one dose of the simulated campaign, and the true response of its users."""
    simulation = synthetic.simulate(n, seed=seed)
    rows = np.flatnonzero(np.isin(simulation.campaign.treatment, [0, 2]))
    log, truth = simulation.campaign.take(rows), simulation.truth.take(rows)
    arms = ("none", "2 EUR")
    log = replace(
        log, treatment=(log.treatment == 2).astype(np.int64), arms=arms, propensity=np.full((len(rows), 2), 0.5)
    )
    return log, Response(truth.value[:, [0, 2]], truth.cost[:, [0, 2]], arms, log.user_id)


def test_by_hand():
    """240 users are worth 3 more under the arm, which costs 1. At budgets 0, 120, 240 as many are treated: gains 0,
    360, 720. Their mean is (180 + 540) / 2 = 360; a straight line to its end has 0.5."""
    treatment = np.tile([0, 1], 120)
    log = log_of(treatment, 1 + 3.0 * treatment, np.full((240, 2), 0.5), 1.0 * treatment)
    table = Response(np.tile([0.0, 1.0], (240, 1)), np.tile([0.0, 1.0], (240, 1)), log.arms)
    found = curve_area({"all": table}, log, budgets=[0.0, 120.0, 240.0], estimator="dr", n_bootstrap=50).iloc[0]
    assert found.area == pytest.approx(360)
    assert found.aucc == pytest.approx(0.5)
    assert (found.budgets, found.support) == (3, "")


def test_one_arm_agrees_with_the_metric_and_the_truth():
    """The order by true return of 16,000 users: the metric's AUCC from the same log, and the curve without noise."""
    log, truth = one_arm(40_000, seed=1)
    extra_value, extra_cost = (table[:, 1] - table[:, 0] for table in (truth.value, truth.cost))
    budgets = np.linspace(0, truth.cost[:, 1].sum(), 41)
    found = curve_area({"best": truth}, log, budgets=budgets, estimator="sn", n_bootstrap=100).iloc[0]
    metric = metrics.aucc(extra_value / extra_cost, log.value, log.treatment, log.cost)
    assert found.aucc == pytest.approx(metric.area, abs=0.004)
    order = np.argsort(-extra_value / extra_cost)
    V, C = (np.concatenate([[0], table[order].cumsum()]) for table in (extra_value, extra_cost))
    exact = ((V[1:] + V[:-1]) / 2 * np.diff(C)).sum() / V[-1] / C[-1]
    assert found.aucc_low <= exact <= found.aucc_high
    area = ((V[1:] + V[:-1]) / 2 * np.diff(C)).sum() / C[-1]
    assert found.area_low <= area <= found.area_high


def test_differences_are_paired_and_zero_against_itself():
    log, truth = one_arm(4_000, seed=2)
    arms, ids = log.arms, log.user_id
    worse = Response(truth.value + np.random.default_rng(0).normal(0, 3, truth.value.shape), truth.cost, arms, ids)
    budgets = np.linspace(100, 800, 5)
    found = curve_area({"a": truth, "b": worse}, log, budgets=budgets, reference="b").set_index("policy")
    assert found.loc["b", ["difference", "difference_low", "difference_high"]].tolist() == [0, 0, 0]
    a = found.loc["a"]
    assert a.difference == pytest.approx(a.area - found.loc["b"].area)
    assert a.difference_low < a.difference < a.difference_high
    assert a.difference_high - a.difference_low < a.area_high - a.area_low


def test_too_little_support_at_one_budget_is_said():
    log, truth = one_arm(4_000, seed=3)
    against = np.stack([truth.value[:, 0], np.where(log.treatment == 0, 99.0, -9.0) + truth.value[:, 0]], axis=1)
    odd = Response(against, truth.cost, log.arms, log.user_id)
    found = curve_area({"odd": odd}, log, budgets=[0.0, 1e9], n_bootstrap=20).iloc[0]
    assert found.support.startswith("at a budget of 1e+09: none of")
    assert np.isnan(found.area)


def test_without_cost_there_is_an_area_and_no_aucc():
    log, truth = one_arm(4_000, seed=4)
    found = curve_area({"t": truth}, replace(log, cost=None), budgets=[0.0, 300, 600], n_bootstrap=20).iloc[0]
    assert found.area_low < found.area < found.area_high
    assert np.isnan(found[["aucc", "aucc_low", "aucc_high"]].astype(float)).all()


def test_refused_with_the_mend():
    log, truth = one_arm(500, seed=5)
    with pytest.raises(ProblemError, match=r"at least 2 different ones are expected for a curve"):
        curve_area({"t": truth}, log, budgets=[5.0, 5])
    with pytest.raises(InputError, match=r"reference 'x' is none of the policies"):
        curve_area({"t": truth}, log, budgets=[1.0, 5], reference="x")


def test_a_gain_that_hardly_anybody_shows_is_none():
    """Budgets for one to four users of 400: everybody else is on control, and four tell nothing."""
    log, truth = one_arm(1_000, seed=6)
    unit = Response(np.tile([0.0, 1.0], (len(log), 1)), np.tile([0.0, 1.0], (len(log), 1)), log.arms, log.user_id)
    few = curve_area({"few": unit, "best": truth}, log, budgets=[1.0, 2, 3, 4], reference="best").set_index("policy")
    row = few.loc["few"]
    assert row.support.startswith("at the largest budget where they differ: ")
    assert row.support.endswith("tell the two apart; 30 are needed")
    assert np.isnan(row[["area", "aucc", "difference", "difference_low"]].astype(float)).all()
    assert row.difference_support == row.support


def test_curves_that_differ_in_few_users_are_not_compared():
    log, truth = one_arm(4_000, seed=7)
    value = truth.value.copy()
    value[:5, 1] = -99
    nearly = Response(value, truth.cost, log.arms, log.user_id)
    budgets = [0.0, 1e9]
    found = curve_area({"a": truth, "b": nearly}, log, budgets=budgets, reference="a", n_bootstrap=20).iloc[1]
    assert found.difference_support.startswith("at the largest budget where they differ: ")
    assert np.isnan(found.difference)
    assert found.area > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bootstrap": 0}, "n_bootstrap is 0; a whole number of at least 2"),
        ({"n_bootstrap": "5"}, "n_bootstrap is '5'; a whole number of at least 2"),
        ({"reference": ["t"]}, r"reference is \['t'\]; the name of one policy"),
    ],
)
def test_options_are_refused_with_the_mend(options, message):
    log, truth = one_arm(500, seed=5)
    with pytest.raises(InputError, match=message):
        curve_area({"t": truth}, log, budgets=[1.0, 5], **options)
