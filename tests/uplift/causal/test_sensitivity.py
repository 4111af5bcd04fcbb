"""Policy sensitivity: bounds against every corner and a linear programme, and properties of the odds ratio."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from tests.uplift.causal.logs import linear_world, log
from uplift import InputError, datasets
from uplift.causal import policy_sensitivity, with_propensity
from uplift.seeds import stream


def small(seed, n=12, K1=3):
    """A log with random propensities and whole-number values (so with ties), every arm logged, and two decisions."""
    rng = np.random.default_rng(seed)
    t = rng.permutation(np.arange(n) % K1)
    p = rng.dirichlet(np.full(K1, 3.0), n)
    campaign = log(rng.normal(size=n), t, rng.integers(-3, 6, n), propensity=p)
    return campaign, np.where(np.arange(n) < 3, t, rng.integers(0, K1, n)), rng.integers(0, K1, n)


def corners(campaign, decision, gamma, among=None):
    """Lowest and highest self-normalised mean over every combination of least and largest weights."""
    rows = campaign.treatment == decision
    rows &= True if among is None else among
    y, odds = campaign.value[rows], 1 / campaign.propensity[rows, decision[rows]] - 1
    if not len(y):
        return None
    means = [
        (w := 1 + odds * np.array(side)) @ y / w.sum()
        for side in itertools.product([1 / gamma, gamma], repeat=len(y))
    ]
    return min(means), max(means)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("gamma", [1.0, 1.7, 8.0])
def test_value_bounds_against_every_corner(seed, gamma):
    """A ratio of linear functions has its extremes in corners of the box of weights: try them all."""
    campaign, z, _ = small(seed)
    found = policy_sensitivity(campaign, z, z, gammas=(gamma,))
    assert_allclose(found.value[0], corners(campaign, z, gamma), rtol=1e-10, atol=1e-12)
    assert found.moved == 0
    assert_allclose(found.gain, 0)


@pytest.mark.parametrize("seed", range(12))
def test_gain_bounds_against_every_corner(seed):
    """Among the users moved, the bounds of both decisions; times their share of all users."""
    campaign, z, z0 = small(seed, n=15)
    moved = z != z0
    there, instead = (corners(campaign, d, 2.0, moved) for d in (z, z0))
    if there is None or instead is None:
        whose = "decision" if there is None else "comparison"
        with pytest.raises(InputError, match=f"the arm that the {whose} gives; the log cannot tell what it is worth"):
            policy_sensitivity(campaign, z, z0)
        return
    found = policy_sensitivity(campaign, z, z0, gammas=(2.0,))
    share = moved.mean()
    assert_allclose(found.gain[0], [share * (there[0] - instead[1]), share * (there[1] - instead[0])], rtol=1e-10)


def test_value_bound_is_the_linear_programme():
    """Charnes and Cooper's transformation of the ratio, solved by HiGHS, 60 users."""
    campaign, z, _ = small(3, n=60)
    rows = campaign.treatment == z
    y, odds = campaign.value[rows], 1 / campaign.propensity[rows, z[rows]] - 1
    m, gamma = len(y), 1.8
    least, most = 1 + odds / gamma, 1 + odds * gamma
    # Variables v = s w and s: sum v = 1, least s <= v <= most s.
    limits = np.block([[np.eye(m), -most[:, None]], [-np.eye(m), least[:, None]]])
    done = linprog(
        np.append(-y, 0), A_ub=limits, b_ub=np.zeros(2 * m), A_eq=[np.append(np.ones(m), 0)], b_eq=[1], method="highs"
    )
    assert policy_sensitivity(campaign, z, gammas=(gamma,)).value[0, 1] == pytest.approx(-done.fun, rel=1e-9)


@given(seed=st.integers(0, 10_000), unit=st.sampled_from([1e-9, 1.0, 1e9]), shift=st.sampled_from([0.0, 100.0]))
@settings(deadline=None, max_examples=60)
def test_bounds_widen_around_the_estimate(seed, unit, shift):
    """At Gamma 1 both bounds are the Hajek estimate; they nest as Gamma grows, stay within the logged values, and
    follow a change of unit and a constant."""
    campaign, z, _ = small(seed)
    found = policy_sensitivity(campaign, z, z).value
    assert_allclose(found[0, 0], found[0, 1], rtol=1e-12)
    rows = campaign.treatment == z
    w = 1 / campaign.propensity[rows, z[rows]]
    assert found[0, 0] == pytest.approx(w @ campaign.value[rows] / w.sum(), rel=1e-10, abs=1e-12)
    assert (np.diff(found[:, 0]) <= 1e-12).all()
    assert (np.diff(found[:, 1]) >= -1e-12).all()
    assert found.min() >= campaign.value[rows].min() - 1e-9
    assert found.max() <= campaign.value[rows].max() + 1e-9
    other = log(campaign.X, campaign.treatment, (campaign.value + shift) * unit, propensity=campaign.propensity)
    assert_allclose(policy_sensitivity(other, z, z).value, (found + shift) * unit, rtol=1e-9, atol=1e-9 * unit)


def test_gamma_at_zero_by_hand():
    """One user a side at value 2 and 0 each, propensities 1/2: weights 1 + 1/G and 1 + G.

    Decision (arm 1 for all): values 2, 2, 0, low bound (2 * 2 (1 + 1/G)) / (2 (1 + 1/G) + 1 + G) = 4 / (2 + G).
    Comparison: values 2, 0, 0, high bound 2 (1 + G) / (1 + G + 2 (1 + 1/G)) = 2 G / (G + 2).
    They meet where 4 = 2 G, so at G = 2.
    """
    campaign = log(np.zeros(6), [1, 1, 1, 0, 0, 0], [2, 2, 0, 2, 0, 0], propensity=np.full((6, 2), 0.5))
    found = policy_sensitivity(campaign, np.ones(6, int), gammas=(1.0, 2.0, 3.0))
    assert_allclose(found.gain[0], [2 / 3, 2 / 3])
    assert found.gain[1, 0] == pytest.approx(0, abs=1e-12)
    assert found.gamma_at_zero == pytest.approx(2, rel=1e-9)
    assert "changes the odds of an arm 2-fold could explain the gain of 0.6667 a user" in found.verdict
    later = policy_sensitivity(campaign, np.ones(6, int), gammas=np.array([1.5, 3.0]))
    assert later.gain_at_one == pytest.approx(2 / 3)
    assert later.verdict == found.verdict
    assert found.verdict.endswith(
        "a weaker one could not; sampling error is not counted (n_bootstrap=0); effectively 3 users carry it"
    )
    assert found.interval_at_one is None
    worse = policy_sensitivity(campaign, np.zeros(6, int), np.ones(6, int))
    assert worse.gamma_at_zero == pytest.approx(2, rel=1e-9)
    assert "loss of 0.6667" in worse.verdict


def test_no_confounder_explains_arms_that_do_not_touch():
    """Every user of arm 1 above every user of control: infinite. Equal values: 1."""
    p = np.full((4, 2), 0.5)
    apart = log(np.zeros(4), [1, 1, 0, 0], [5, 6, 1, 2], propensity=p)
    found = policy_sensitivity(apart, np.ones(4, int))
    assert found.gamma_at_zero == np.inf
    assert "no unmeasured confounder could explain the gain of 4 a user" in found.verdict
    level = log(np.zeros(4), [1, 1, 0, 0], [3, 3, 3, 3], propensity=p)
    nothing = policy_sensitivity(level, np.ones(4, int))
    assert nothing.gamma_at_zero == 1.0
    assert nothing.verdict == "the gain is 0 where the propensities are right: there is none to explain"
    assert "there is no gain to explain" in policy_sensitivity(level, np.zeros(4, int)).verdict


def test_bounds_hold_a_confounder_that_was_hidden():
    """A hidden coin u triples the odds of arm 1 at most and raises the value: the estimate from the shares is wrong,
    the bounds at that Gamma hold the truth (2), and those at Gamma 1 do not.

    P(t = 1) is .5; given u = 1 .7, given u = 0 .3, odds ratios 7/3 and 3/7 against .5. y = 2 t + 4 u + noise.
    """
    rng = np.random.default_rng(0)
    u = rng.random(40_000) < 0.5
    t = (rng.random(40_000) < np.where(u, 0.7, 0.3)).astype(int)
    y = 2 * t + 4 * u + rng.normal(size=40_000)
    campaign = log(np.zeros(40_000), t, y, propensity=np.full((40_000, 2), 0.5))
    found = policy_sensitivity(campaign, np.ones(40_000, int), gammas=(1.0, 7 / 3), n_bootstrap=50)
    assert found.gain_interval[0, 0] > 2.5
    assert found.gain[1, 0] < 2 < found.gain[1, 1]


def test_bootstrap_holds_the_bounds_and_repeats():
    """The interval is wider than the bounds, covers sampling at Gamma 1 about as the known standard error says, and
    the same seed gives the same bytes."""
    campaign, p, _ = linear_world(2_000, seed=0)
    campaign = log(campaign.X, campaign.treatment, campaign.value, propensity=p)
    z = np.full(2_000, 2)
    found, same, other = (policy_sensitivity(campaign, z, n_bootstrap=200, seed=s) for s in (1, 1, 2))
    assert found.gain_interval.tobytes() == same.gain_interval.tobytes()
    assert found.gain_interval.tobytes() != other.gain_interval.tobytes()
    assert (found.gain_interval[:, 0] < found.gain[:, 0]).all()
    assert (found.gain_interval[:, 1] > found.gain[:, 1]).all()
    low, high = found.gain_interval[0]
    assert low < 4 < high
    assert found.interval_at_one == (low, high)
    assert found.verdict.endswith(
        f"95% bootstrap interval {low:.4g} to {high:.4g} at Gamma 1; effectively "
        f"{found.effective:,.0f} users carry it"
    )
    assert max(map(len, str(found).splitlines())) <= 80
    assert repr(found) == str(found)
    assert list(found.frame().columns) == [
        "gamma", "value_low", "value_high", "gain_low", "gain_high", "gain_interval_low", "gain_interval_high",
    ]  # fmt: skip


def test_bootstrap_is_that_of_resampled_logs():
    """Each resample as a log of its own, with as many of the moved users as were drawn: the same quantiles."""
    campaign, p, _ = linear_world(60, seed=1)
    campaign = log(campaign.X, campaign.treatment, campaign.value, propensity=p)
    z = np.where(np.arange(60) < 20, 1, 0)
    rng, gains = stream(4, "policy sensitivity"), []
    for _ in range(30):
        rows = rng.integers(0, 60, 60)
        gains.append(policy_sensitivity(campaign.take(rows), z[rows], gammas=(1.5,)).gain[0])
    low, high = np.array(gains).T
    found = policy_sensitivity(campaign, z, gammas=(1.5,), n_bootstrap=30, level=0.8, seed=4).gain_interval[0]
    assert_allclose(found, [np.quantile(low, 0.1), np.quantile(high, 0.9)], rtol=1e-9)


def test_a_gain_that_sampling_explains_is_called_that():
    """Ten users a side with noise alone: the interval holds 0 and the verdict speaks of no confounder; the interval
    is that of Gamma 1 also where `gammas` lacks 1, and does not change with the other gammas."""
    y = np.random.default_rng(0).normal(size=20)
    campaign = log(np.zeros(20), np.arange(20) % 2, y, propensity=np.full((20, 2), 0.5))
    found = policy_sensitivity(campaign, np.ones(20, int), gammas=(2.0,), n_bootstrap=100, level=0.975, seed=1)
    low, high = found.interval_at_one
    assert low < 0 < high
    assert "is not told from 0 to begin with: 97.5% bootstrap interval" in found.verdict
    assert "confounder that" not in found.verdict
    other = policy_sensitivity(campaign, np.ones(20, int), n_bootstrap=100, level=0.975, seed=1)
    assert other.interval_at_one == found.interval_at_one == tuple(other.gain_interval[0])


def test_effective_number_of_users_by_hand():
    """Weights 1/p of those who received the decision 2, 2, 10 (14^2 / 108), of the comparison 2 and 10/9 (smaller:
    (28/9)^2 / (4 + 100/81)): the smaller size. A user moved who received neither does not count."""
    p = np.array([[0.5, 0.5]] * 2 + [[0.9, 0.1]] + [[0.5, 0.5], [0.9, 0.1]])
    campaign = log(np.zeros(5), [1, 1, 1, 0, 0], [1, 2, 3, 0, 1], propensity=p)
    found = policy_sensitivity(campaign, np.ones(5, int))
    assert found.effective == pytest.approx(min(14**2 / 108, (28 / 9) ** 2 / (4 + 100 / 81)), rel=1e-12)


def test_survey_controls_are_not_told_from_nothing():
    """LaLonde's 185 trained and 15,992 survey controls, estimated propensities untrimmed, everybody treated."""
    campaign = with_propensity(datasets.lalonde("cps"))
    found = policy_sensitivity(campaign, np.ones(len(campaign), int), n_bootstrap=50)
    assert found.effective < 15
    assert "not told from 0 to begin with" in found.verdict


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_gamma_at_zero_of_tiny_and_huge_money(unit):
    """The example whose answer is 2, in another unit."""
    p = np.full((6, 2), 0.5)
    campaign = log(np.zeros(6), [1, 1, 1, 0, 0, 0], np.array([2, 2, 0, 2, 0, 0]) * unit, propensity=p)
    assert policy_sensitivity(campaign, np.ones(6, int)).gamma_at_zero == pytest.approx(2, rel=1e-9)


@pytest.mark.parametrize("gammas", [(), 2.0, "1.5", ["strong"], [[1.0, 2.0]], [[1.0], [1.0, 2.0]], (np.nan,), (1e9,)])
def test_gammas_that_cannot_be(gammas):
    campaign, z, _ = small(0)
    with pytest.raises(InputError, match=r"gammas is .*; a list of odds ratios from 1 to 1e\+06"):
        policy_sensitivity(campaign, z, gammas=gammas)


def test_what_is_refused():
    campaign, z, _ = small(0)
    with pytest.raises(InputError, match="the campaign has no propensity; estimate it with"):
        policy_sensitivity(linear_world(20, 0)[0], np.zeros(20, int))
    with pytest.raises(InputError, match=r"decision has shape \(3,\).*an arm 0\.\.2 for each of 12 users"):
        policy_sensitivity(campaign, z[:3])
    with pytest.raises(InputError, match=r"decision has shape .* type float64"):
        policy_sensitivity(campaign, z.astype(float))
    with pytest.raises(InputError, match="comparison names arm 3"):
        policy_sensitivity(campaign, z, np.full(12, 3))
    with pytest.raises(InputError, match=r"gammas is \(0.5,\); a list of odds ratios from 1"):
        policy_sensitivity(campaign, z, gammas=(0.5,))
    with pytest.raises(InputError, match="decision holds lists of several lengths; one arm for each of 12"):
        policy_sensitivity(campaign, [[1], [1, 2]])
    with pytest.raises(InputError, match="level is '95'; a number between 0 and 1"):
        policy_sensitivity(campaign, z, n_bootstrap=2, level="95")
    with pytest.raises(InputError, match="n_bootstrap is -1"):
        policy_sensitivity(campaign, z, n_bootstrap=-1)
