"""The main job end to end, in memory."""

from __future__ import annotations

import numpy as np
import pytest

from allocation.engine.problem import ProblemError
from allocation.jobs import demo_end_to_end
from allocation.jobs.demo import BUDGET_MULTIPLES, DemoPlan, DemoResult, run_demo
from allocation.jobs.source import load
from allocation.jobs.summary import BASELINES, CHALLENGER, END_TO_END
from allocation.jobs.table import verdict
from uplift.errors import InputError


def test_every_policy_stands_at_every_budget_with_both_estimators(result: DemoResult):
    frame = result.evaluation
    expected = {CHALLENGER, *BASELINES}
    for estimator in ("ipw", "sn"):
        rows = frame[frame["estimator"] == estimator]
        assert len(rows) == len(expected) * len(BUDGET_MULTIPLES)
        assert rows.groupby("budget")["policy"].agg(set).map(lambda names: names == expected).all()


def test_the_interval_encloses_the_estimate_and_the_promised_spend_keeps_the_budget(result: DemoResult):
    frame = result.evaluation
    assert ((frame["value_low"] <= frame["value"]) & (frame["value"] <= frame["value_high"])).all()
    assert (frame["promised_spend"] <= frame["budget"]).all()


def test_the_reference_is_the_strongest_baseline_at_its_budget(result: DemoResult):
    frame = result.evaluation
    for _, cell in frame[frame["policy"].isin(BASELINES)].groupby(["estimator", "budget"]):
        assert cell["value"].max() == cell.loc[cell["policy"] == cell["reference"], "value"].item()


def test_nobody_who_was_fitted_on_is_decided_for():
    """Half of 400 users are held out, and with the same seed they are the same ones."""
    first, second = (run_demo(DemoPlan("simulated", users=400, n_bootstrap=10)) for _ in range(2))
    assert len(first.held_out) == pytest.approx(200, abs=5)
    assert np.array_equal(first.held_out.user_id, second.held_out.user_id)


def test_a_zero_budget_treats_nobody():
    run = run_demo(DemoPlan("simulated", users=400, budget_per_user=0.0, n_bootstrap=10))
    assert (run.allocation.decision == 0).all()
    assert run.evaluation["spend"].eq(0).all()


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (DemoPlan(budget_per_user=-1.0), r"budget is -1; 0 or more is expected"),
        (DemoPlan(budget_per_user=float("nan")), r"budget is nan; 0 or more is expected"),
        (DemoPlan(data="thorton_hiv"), r"'thorton_hiv' is neither a named set nor .* Did you mean 'thornton_hiv'\?"),
        (DemoPlan(users=5_000), r"5,000 users were asked for, thornton_hiv has 2,825"),
        (DemoPlan(users=0), r"users is 0; at least 2 are expected"),
        (DemoPlan("simulated", users=6), r"arm '.*' has \d users, too few to split"),
    ],
)
def test_a_plan_that_cannot_be_run_says_why(plan: DemoPlan, message: str):
    with pytest.raises((InputError, ProblemError), match=message):
        run_demo(plan)


def test_named_sources_name_their_money_and_their_value(data_folder: object):
    for name in ("thornton_hiv", "hillstrom", "simulated"):
        source = load(name, users=300)
        assert len(source.campaign) == 300
        assert source.currency
        assert source.value_name
        assert source.campaign.propensity is not None


@pytest.mark.usefixtures("small_nets")
def test_the_end_to_end_policy_says_who_decides_and_is_left_out_of_large_logs(monkeypatch: pytest.MonkeyPatch):
    result = run_demo(DemoPlan("simulated", users=2_000, n_bootstrap=10, end_to_end=True))
    assert result.summary().policies == (CHALLENGER, END_TO_END, *BASELINES)
    assert result.tuning.startswith("Of its candidates the ")
    assert result.tuning in " ".join(verdict(result.summary()))
    plan = DemoPlan("simulated", users=400, n_bootstrap=10, end_to_end=True)
    small = run_demo(plan)
    assert END_TO_END not in set(small.evaluation["policy"])
    assert "End-to-end is left out: on fewer than 1,000 users" in " ".join(verdict(small.summary()))
    monkeypatch.setattr(demo_end_to_end, "FEWEST", 10)
    monkeypatch.setattr(demo_end_to_end, "MOST", 100)
    large = run_demo(plan)
    assert END_TO_END not in set(large.evaluation["policy"])
    assert large.summary().policies == (CHALLENGER, *BASELINES)
    assert "`earmark evaluate --policies s,end-to-end` has it" in large.warnings[0]


def test_intervals_without_resamples_are_closed_and_about_as_wide(result: DemoResult):
    """As from LARGE held-out users on, whom a thousand resamples would take hours."""
    assert DemoPlan().resamples(199_999) == 1_000
    assert DemoPlan().resamples(200_000) == 0
    closed = run_demo(DemoPlan("simulated", users=3_000, n_bootstrap=0)).evaluation
    for end in ("value_low", "value_high"):
        np.testing.assert_allclose(closed[end], result.evaluation[end], rtol=0.08)
