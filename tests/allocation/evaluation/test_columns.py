"""Every column of the frame against a calculation of its own, on a log of unequal clusters with cost, at level .8."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from allocation import Allocation, evaluate
from allocation.evaluation.estimators import off_policy
from allocation.evaluation.nuisance import fit_outcomes
from tests.allocation.evaluation.logs import log_of
from uplift.seeds import stream

N, LEVEL, BUDGETS = 600, 0.8, [100.0, 200.0]
Z = NormalDist().inv_cdf(0.9)


class Promising:
    """Arms fixed by budget, and promises of its own: value 700, cost 90, price 3."""

    arms_ = ("none", "small")

    def __init__(self, by_budget):
        self.by_budget = by_budget

    def decide(self, users, budget):
        return Allocation(self.by_budget[budget], value=700.0, cost=90.0, price=3.0)


def case():
    """600 users in clusters of 1 to 5, arms by user at .6 and .4, and three policies at two budgets."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(N), rng.integers(1, 6, N))[:N]
    t = (rng.random(N) < 0.4).astype(int)
    shared = rng.normal(size=N)[cluster]
    log = log_of(t, 1 + t + shared + rng.normal(size=N), np.tile([0.6, 0.4], (N, 1)), t * rng.gamma(2, 0.5, N))
    half, third = (rng.random(N) < 0.5).astype(int), (rng.random(N) < 0.3).astype(int)
    policies = {
        "half": Promising({100.0: half, 200.0: 1 - half}),
        "third": Promising({100.0: third, 200.0: np.ones(N, dtype=int)}),
        "base": Promising({100.0: np.zeros(N, dtype=int), 200.0: third}),
    }
    return log, cluster, policies


@pytest.fixture(scope="module", params=["influence", "bootstrap"])
def made(request):
    log, cluster, policies = case()
    options = {"estimators": ["ipw", "sn", "clipped"], "largest_weight": 2.0, "n_bootstrap": 60, "seed": 3}
    frame = evaluate(
        policies,
        log,
        budgets=BUDGETS,
        reference="base",
        intervals=request.param,
        level=LEVEL,
        cluster=cluster,
        **options,
    )
    return request.param, log, cluster, policies, frame.set_index(["estimator", "policy", "budget"])


def estimated(estimator, decision, amount, log):
    weight = (decision == log.treatment) / log.propensity[np.arange(N), log.treatment]
    return off_policy(amount, weight, estimator=estimator, largest_weight=2.0)


@pytest.mark.parametrize("estimator", ["ipw", "sn", "clipped"])
def test_points_and_standard_errors_of_single_and_paired_amounts(made, estimator):
    """Of totals: n times the mean; a paired error from the difference of the influences, added up by cluster."""
    _, log, cluster, policies, frame = made
    for budget in BUDGETS:
        base = policies["base"].by_budget[budget]
        for name in ("half", "third"):
            row, z = frame.loc[(estimator, name, budget)], policies[name].by_budget[budget]
            for column, pair, amount in (
                ("value", "difference", log.value),
                ("spend", "spend_difference", log.cost),
            ):
                mine, other = (estimated(estimator, d, amount, log) for d in (z, base))
                assert row[column] == pytest.approx(N * mine.mean)
                assert row[f"{column}_se"] == pytest.approx(N * mine.se(cluster))
                sums = np.bincount(cluster, mine.influence - other.influence)
                assert row[pair] == pytest.approx(N * (mine.mean - other.mean))
                assert row[f"{pair}_se"] == pytest.approx(np.sqrt(len(sums) * (sums**2).sum() / (len(sums) - 1)))
            control = estimated(estimator, np.zeros(N, dtype=int), log.value, log)
            assert row.gain == pytest.approx(N * (estimated(estimator, z, log.value, log).mean - control.mean))


def test_shifted_amounts_and_the_policy_s_own_claims(made):
    *_, frame = made
    assert (frame.promised_value == 700).all()
    assert (frame.promised_spend == 90).all()
    assert (frame.price == 3).all()
    budget = frame.index.get_level_values("budget")
    for column, expected, of in (
        ("overspend", frame.spend - budget, "spend"),
        ("optimism", 700 - frame.value, "value"),
    ):
        assert frame[column].to_numpy() == pytest.approx(expected.to_numpy())
        assert frame[f"{column}_se"].equals(frame[f"{of}_se"].rename(f"{column}_se"))
    assert frame.optimism_low.to_numpy() == pytest.approx((700 - frame.value_high).to_numpy())
    assert frame.overspend_high.to_numpy() == pytest.approx((frame.spend_high - budget).to_numpy())


def test_ends_stand_in_order_and_bands_hold_intervals(made):
    *_, frame = made
    for name in ("value", "gain", "spend", "overspend", "optimism", "difference", "spend_difference"):
        assert (frame[f"{name}_low"] <= frame[name] + 1e-9).all()
        assert (frame[name] <= frame[f"{name}_high"] + 1e-9).all()
    assert (frame.difference_band_low <= frame.difference_low).all()
    assert (frame.difference_band_high >= frame.difference_high).all()


def test_intervals_are_those_of_the_level(made):
    """Closed form: z of .9 each way. Bootstrap: the 10th and 90th percentile over 60 draws of whole clusters."""
    kind, log, cluster, policies, frame = made
    z = policies["half"].by_budget[100.0]
    row = frame.loc[("ipw", "half", 100.0)]
    if kind == "influence":
        assert row.value_high - row.value == pytest.approx(Z * row.value_se)
        assert row.difference_high - row.difference == pytest.approx(Z * row.difference_se)
        return
    phi = (z == log.treatment) * log.value / log.propensity[np.arange(N), log.treatment]
    rng, groups = stream(3, "bootstrap"), cluster.max() + 1
    counts = [np.bincount(rng.integers(0, groups, groups), minlength=groups)[cluster] for _ in range(60)]
    draws = [N * (c * phi).sum() / c.sum() for c in counts]
    assert (row.value_low, row.value_high) == pytest.approx(tuple(np.quantile(draws, [0.1, 0.9])))


def test_bands_are_each_policy_s_own(made):
    """Wider than one budget's interval, and no wider than if the two budgets were independent (Sidak)."""
    kind, *_, frame = made
    if kind == "bootstrap":
        return
    for name in ("half", "third"):
        own = frame.loc["sn"].loc[name]
        c = (own.difference_band_high - own.difference) / own.difference_se
        assert (c > Z).all()
        assert (c < 1.02 * NormalDist().inv_cdf(0.5 + np.sqrt(LEVEL) / 2)).all()
        assert c.iloc[0] == pytest.approx(c.iloc[1])


def test_trimming_states_its_bound_and_has_no_p_value(made):
    """L = 2 below 1 / .4: of each user on the small arm 1 - .8 is cut, times the largest amount."""
    _, log, _, policies, frame = made
    for name in ("half", "third"):
        row = frame.loc[("clipped", name, 100.0)]
        cut = 0.2 * policies[name].by_budget[100.0].sum()
        assert row.bias_bound == pytest.approx(cut * np.abs(log.value).max())
        assert row.spend_bias_bound == pytest.approx(cut * log.cost.max())
        assert row.difference_bias_bound == pytest.approx(row.bias_bound)  # the base is on control, uncut
        assert np.isnan(row[["p_value", "p_adjusted"]].astype(float)).all()
    assert (frame.loc["clipped"].comparisons == 0).all()
    assert (frame.loc["ipw"].comparisons == 4).all()
    assert (frame.loc["ipw"][["bias_bound", "spend_bias_bound", "difference_bias_bound"]] == 0).all(axis=None)


def test_no_noise_is_no_proof():
    """Values .1 and .3 for every user of an arm: sn has no noise but rounding's, so that there is no p-value."""
    t = np.tile([0, 1], 100)
    log = log_of(t, np.where(t, 0.3, 0.1), np.full((200, 2), 0.5), np.zeros(200))
    policies = {"a": np.ones(200, dtype=int), "b": np.zeros(200, dtype=int)}
    row = evaluate(policies, log, budgets=[1.0], reference="b", estimators=["sn"], intervals="influence").iloc[0]
    assert row.difference == pytest.approx(40)
    assert (row.difference_se, row.comparisons) == (0.0, 0)
    assert np.isnan(row.p_value)


def test_users_of_a_cluster_share_a_fold():
    """The outcome is the cluster's own number: from others nothing of it can be learned, from its mates all."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(100), 4)
    value = rng.normal(size=100)[cluster]
    log = log_of(rng.integers(0, 2, 400), value, np.full((400, 2), 0.5), x=np.eye(100)[cluster].argmax(1))
    alone = fit_outcomes(log, model=KNeighborsRegressor(1)).value
    together = fit_outcomes(log, model=KNeighborsRegressor(1), cluster=cluster).value
    rows = np.arange(400)
    assert np.isclose(alone[rows, log.treatment], value).mean() > 0.3
    assert np.isclose(together[rows, log.treatment], value).mean() < 0.02
    assert fit_outcomes(log, model=LinearRegression(), cluster=cluster, n_folds=2).value.shape == (400, 2)
