"""Evaluation: the table against textbook estimates, its intervals against theory and truth, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from allocation import BestMix, Nobody, Problem, ProblemError, RandomArm, evaluate
from allocation.engine.problem import allocation_of
from allocation.evaluation.nuisance import fit_outcomes
from tests.allocation.evaluation.logs import dr_total
from tests.oracles import ipw_total, sn_total
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError

ARMS = ("none", "mail")
ORACLES = {"ipw": ipw_total, "sn": sn_total}
PLAIN = ("ipw", "sn")


class Above:
    """Mail, at a promised cost of 1, to users with x above the threshold in their order while the budget lasts."""

    def __init__(self, threshold):
        self.threshold = threshold
        self.arms_ = ARMS

    def fit(self, campaign):
        return self

    def decide(self, users, budget):
        n = len(users)
        problem = Problem(np.zeros((n, 2)), np.tile([0.0, 1.0], (n, 1)), budget)
        mailed = users[:, 0] > self.threshold
        return allocation_of(problem, (mailed & (np.cumsum(mailed) <= problem.limit)).astype(np.int64))


def campaign(n, seed, p=0.5, cost=True, propensity=True):
    """Value 1 + x + noise under control, 2 x more under mail; x standard normal; mail costs 1 to 2."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).astype(np.float32)
    treatment = (rng.random(n) < p).astype(np.int64)
    return Campaign(
        X=x[:, None],
        treatment=treatment,
        value=1 + x + 2 * x * treatment + rng.normal(size=n),
        cost=treatment * (1 + rng.random(n)) if cost else None,
        propensity=np.tile([1 - p, p], (n, 1)) if propensity else None,
        arms=ARMS,
        user_id=np.arange(n),
        features=("x",),
        source=f"campaign {n} {seed}",
    )


POLICIES = {"some": Above(0.0), "few": Above(1.0), "nobody": Above(np.inf)}


@pytest.fixture(scope="module")
def held_out():
    return campaign(600, seed=0, p=0.3)


@pytest.fixture(scope="module")
def table(held_out):
    return evaluate(POLICIES, held_out, budgets=[900.0, 50], reference="nobody", n_bootstrap=300)


def cell(table, policy, estimator, budget=900.0):
    rows = table[(table.policy == policy) & (table.estimator == estimator) & (table.budget == budget)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_one_row_a_policy_budget_and_estimator(table):
    keys = {tuple(row) for row in table[["policy", "budget", "estimator"]].itertuples(index=False)}
    assert len(table) == len(keys) == 3 * 2 * 3
    assert (table.users == 600).all()


@pytest.mark.parametrize("estimator", ["ipw", "sn", "dr"])
@pytest.mark.parametrize("policy", list(POLICIES))
@pytest.mark.parametrize("budget", [900.0, 50])
def test_verified_is_the_textbook_estimate_and_promised_is_the_policy_s_own(
    table, held_out, policy, estimator, budget
):
    row, decision = cell(table, policy, estimator, budget), POLICIES[policy].decide(held_out.X, budget).decision
    models = fit_outcomes(held_out)
    for column, amount, model in (("value", held_out.value, models.value), ("spend", held_out.cost, models.cost)):
        known = decision, held_out.treatment, held_out.propensity, amount
        expected = dr_total(*known, model) if estimator == "dr" else ORACLES[estimator](*known)
        assert row[column] == pytest.approx(expected, rel=1e-12)
        assert row[f"{column}_low"] <= row[column] <= row[f"{column}_high"]
    assert (row.promised_value, row.promised_spend) == (0, decision.sum())
    assert row.matched == sum(t == z for t, z in zip(held_out.treatment, decision, strict=True))


def test_difference_is_that_of_the_values_and_of_a_policy_with_itself_exactly_zero(table):
    for _, row in table.iterrows():
        against = cell(table, "nobody", row.estimator, row.budget)
        assert row.reference == "nobody"
        assert row.difference == pytest.approx(row.value - against.value, abs=1e-9)
        assert row.difference_low <= row.difference <= row.difference_high
    own = table[table.policy == "nobody"]
    assert (own[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)


def test_differences_are_paired():
    """Thresholds 1.5 and 1.6 part few users: the difference is known far better than either value."""
    options = {"budgets": [1e4], "reference": "b", "n_bootstrap": 200, "estimators": PLAIN}
    near = evaluate({"a": Above(1.5), "b": Above(1.6)}, campaign(6_000, seed=0, p=0.3), **options)
    row = cell(near, "a", "ipw", 1e4)
    assert row.difference_high - row.difference_low < 0.4 * (row.value_high - row.value_low)


def test_a_difference_needs_users_who_tell_the_two_apart(held_out):
    """Both treat hundreds and differ for 40 users, 20 of whom match one of them: no difference, and the reason."""
    one = (held_out.X[:, 0] > 0).astype(int)
    other = one.copy()
    other[:40] = 1 - other[:40]
    at_most = ((one == held_out.treatment) != (other == held_out.treatment)).sum()
    assert at_most == 40  # two arms: each user matches one or the other
    other[20:40] = one[20:40]
    policies = {"one": one, "other": other, "same": one.copy()}
    table = evaluate(policies, held_out, budgets=[1e3], reference="one", n_bootstrap=20, estimators=["sn"])
    row = cell(table, "other", "sn", 1e3)
    assert row.difference_support.startswith("20 matched users")
    assert row.difference_support.endswith("tell the two apart; 30 are needed")
    assert np.isnan(row[["difference", "difference_band_low", "spend_difference", "p_value"]].astype(float)).all()
    assert row.value > 0
    same = cell(table, "same", "sn", 1e3)
    assert (same.difference_support, same.difference, same.same_decision) == ("", 0.0, True)


def test_the_best_candidate_is_the_reference_of_its_estimator_and_budget(held_out):
    candidates, budgets = ["few", "nobody", "some"], [900.0, 50.0, 70.0]
    table = evaluate(POLICIES, held_out, budgets=budgets, reference=candidates, n_bootstrap=50)
    for (budget, estimator), rows in table.groupby(["budget", "estimator"]):
        best = max(candidates, key=lambda name: cell(table, name, estimator, budget).value)
        assert (rows.reference == best).all()
        expected = rows.value - cell(table, best, estimator, budget).value
        assert rows.difference.tolist() == pytest.approx(expected.tolist(), abs=1e-9)


def test_without_a_reference_there_are_no_differences(held_out):
    table = evaluate(POLICIES, held_out, budgets=[900.0], n_bootstrap=10)
    assert not [column for column in table if "difference" in column or column == "reference"]


def test_the_seed_decides_the_intervals_and_nothing_else(held_out):
    first, again, other = (evaluate(POLICIES, held_out, budgets=[9.0], n_bootstrap=40, seed=s) for s in (0, 0, 1))
    assert first.equals(again)
    drop = [column for column in first if column.endswith(("_low", "_high"))]
    plain, differing = (frame[frame.estimator != "dr"] for frame in (first, other))  # folds of "dr" follow the seed
    assert not plain.equals(differing)
    assert plain.drop(columns=drop).equals(differing.drop(columns=drop))


def test_intervals_agree_with_normal_theory():
    """ipw: n^.5 sd(w y); sn: n (sum w^2 (y - mean)^2)^.5 / sum w, the delta method; 95% is 1.96 of them each way."""
    log = campaign(3000, seed=1)
    table = evaluate({"some": Above(0.0)}, log, budgets=[9e9], n_bootstrap=2000, estimators=PLAIN)
    decision = Above(0.0).decide(log.X, None).decision
    w = np.array([(t == z) / p[t] for t, z, p in zip(log.treatment, decision, log.propensity, strict=True)])
    mean = (w * log.value).sum() / w.sum()
    errors = {
        "ipw": math.sqrt(3000) * (w * log.value).std(),
        "sn": 3000 * math.sqrt((w**2 * (log.value - mean) ** 2).sum()) / w.sum(),
    }
    for estimator, error in errors.items():
        row = cell(table, "some", estimator, 9e9)
        assert row.value_low == pytest.approx(row.value - 1.96 * error, abs=0.2 * error)
        assert row.value_high == pytest.approx(row.value + 1.96 * error, abs=0.2 * error)


def test_intervals_widen_with_the_level(held_out):
    narrow, wide = (evaluate(POLICIES, held_out, budgets=[9.0], n_bootstrap=200, level=x) for x in (0.5, 0.95))
    assert (wide.value_low < narrow.value_low).all()
    assert (wide.value_high > narrow.value_high).all()


def test_intervals_cover_the_truth():
    """E[1 + x + 2 x 1(x > 0)] = 1 + (2 / pi)^.5 a user; of 200 logs 95% should cover, 3 standard errors are 4.6%."""
    n, truth = 300, 300 * (1 + math.sqrt(2 / math.pi))
    covered = dict.fromkeys(ORACLES, 0)
    for seed in range(200):
        table = evaluate(
            {"some": Above(0.0)}, campaign(n, [9, seed]), budgets=[9e9], estimators=PLAIN, seed=seed, n_bootstrap=200
        )
        for row in table.itertuples():
            covered[row.estimator] += row.value_low <= truth <= row.value_high
    assert all(0.90 <= count / 200 <= 0.99 for count in covered.values()), covered


@pytest.mark.parametrize(
    ("few", "words"),
    [
        (0, "none of 400 users received the arm decided for them"),
        (12, "12 of 400 users match; 30 are needed"),
    ],
)
def test_too_little_support_is_said_instead_of_a_number(few, words):
    """The policy mails the few of highest x who did not (or did) get the mail, and everybody else the opposite."""
    log = campaign(400, seed=2)
    against = 1 - log.treatment
    against[:few] = log.treatment[:few]
    table = evaluate({"odd": against, "all": np.ones(400, dtype=int)}, log, budgets=[1.0], reference="all")
    odd = table[table.policy == "odd"]
    assert (odd.matched == few).all()
    assert (odd.support == words).all()
    for name in ("value", "gain", "spend", "overspend", "optimism", "difference", "spend_difference"):
        assert odd[[name, f"{name}_se", f"{name}_low", f"{name}_high"]].isna().all(axis=None)
    assert odd[["difference_band_low", "p_value", "p_adjusted"]].isna().all(axis=None)
    assert (table[table.policy == "all"].support == "").all()
    assert (table.comparisons == 0).all()


def test_spend_is_silent_without_cost():
    table = evaluate(POLICIES, campaign(200, seed=3, cost=False), budgets=[1.0], n_bootstrap=20)
    assert table[["spend", "spend_low", "spend_high"]].isna().all(axis=None)
    assert table[["value", "value_low", "value_high"]].notna().all(axis=None)


other_arms = Above(0.0)
other_arms.arms_ = ("none", "coupon")


@pytest.mark.parametrize(
    ("policies", "options", "error", "message"),
    [
        ({}, {}, InputError, r"no policy to evaluate; give \{name: fitted policy\}"),
        (POLICIES, {"budgets": []}, ProblemError, "budgets must be finite numbers, at least one"),
        (POLICIES, {"budgets": [5.0, math.inf]}, ProblemError, "budgets must be finite numbers"),
        (POLICIES, {"budgets": [None]}, ProblemError, "budgets must be finite numbers"),
        (POLICIES, {"budgets": [-2]}, ProblemError, "budget is -2; 0 or more is expected"),
        ({"raw": Nobody()}, {}, InputError, r"policy 'raw' is not fitted; call \.fit\(campaign\) first"),
        ({"odd": other_arms}, {}, InputError, "fitted on the arms none, coupon; the held-out log has none, mail"),
        (POLICIES, {"n_bootstrap": 1}, InputError, "n_bootstrap is 1; a whole number of at least 2 is expected"),
        (
            POLICIES,
            {"reference": "fwe"},
            InputError,
            r"reference 'fwe' is none of the policies\. Did you mean 'few'\?",
        ),
        (POLICIES, {"reference": ["few", "zzz"]}, InputError, "reference 'zzz' is none of the policies. There is"),
        pytest.param(
            POLICIES,
            {"level": 95},
            InputError,
            "level is 95",
        ),
    ],
)
def test_refused_with_the_mend(held_out, policies, options, error, message):
    with pytest.raises(error, match=message):
        evaluate(policies, held_out, **({"budgets": [9.0], "n_bootstrap": 5} | options))


def test_a_log_without_propensity_is_refused():
    with pytest.raises(InputError, match="no propensity, so nothing can be verified"):
        evaluate(POLICIES, campaign(50, seed=4, propensity=False), budgets=[9.0], n_bootstrap=5)


def test_fitted_baselines_are_evaluated_on_the_same_footing(held_out):
    """Nobody, fitted on another log, is verified as the threshold at infinity is."""
    train = campaign(400, seed=5)
    policies = {"nobody": Nobody().fit(train), "random": RandomArm().fit(train), "above": Above(np.inf)}
    table = evaluate(policies, held_out, budgets=[100.0], n_bootstrap=20)
    assert cell(table, "nobody", "sn", 100.0).value == cell(table, "above", "sn", 100.0).value
    assert cell(table, "random", "sn", 100.0).promised_spend <= 100
    assert cell(table, "nobody", "sn", 100.0).promised_value == pytest.approx(
        sn_total(np.zeros(400), train.treatment, train.propensity, train.value) * 600 / 400
    )


def test_the_gain_is_counted_from_everybody_on_control():
    """Per estimator: the value of the policy minus that of nobody, with the interval of their paired difference."""
    train, held_out = synthetic.simulate(2_000, seed=3).campaign.split(0.5, seed=0)
    policies = {"mix": BestMix().fit(train), "nobody": Nobody().fit(train)}
    table = evaluate(policies, held_out, budgets=[300.0], reference="nobody", n_bootstrap=100)
    for end in ("", "_low", "_high"):
        assert_allclose(table[f"gain{end}"], table[f"difference{end}"], rtol=1e-12, atol=1e-9)
    assert (table["matched_control"] == (held_out.treatment == 0).sum()).all()
