"""Backdoor adjustment against hand calculation, plain loops, and logs whose truth has a closed form."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tests.uplift.causal.logs import linear_world, log
from uplift import InputError
from uplift.causal import Adjustment, adjust

LINEAR = {"propensity_model": LogisticRegression(), "outcome_model": LinearRegression()}


@pytest.fixture
def table():
    """Two strata of 4 and 6 users, two arms, every nuisance the stratum's own: the answer is arithmetic.

    Stratum A: arm 1 has 1, 3 (mean 2), control 1, 1 (mean 1): effect 1. Stratum B: arm 1 has 6, 8 (mean 7), control
    1, 2, 3, 6 (mean 3): effect 4. On all: .4 * 1 + .6 * 4 = 2.8. On the treated: half and half, 2.5. On the
    untreated: 2/6 and 4/6, 3.
    """
    treatment = np.array([1, 1, 0, 0, 1, 1, 0, 0, 0, 0])
    value = np.array([1.0, 3, 1, 1, 6, 8, 1, 2, 3, 6])
    stratum = np.array([0] * 4 + [1] * 6)
    propensity = np.array([[0.5, 0.5], [2 / 3, 1 / 3]])[stratum]
    outcome = np.array([[1.0, 2.0], [3.0, 7.0]])[stratum]
    return Adjustment(treatment, value, propensity, outcome, ("none", "mail"), 0.0)


@pytest.mark.parametrize("method", ["aipw", "ipw"])
@pytest.mark.parametrize(("target", "expected"), [("all", 2.8), ("treated", 2.5), ("untreated", 3.0)])
def test_effects_by_hand(table, target, expected, method):
    """With the strata's own shares and means both estimators are the stratified effect."""
    assert table.effect("mail", target, method=method).estimate == pytest.approx(expected, rel=1e-12)


def test_standard_error_by_hand(table):
    """Per user psi_i = m_1 - m_0 - 2.8 + (y - m)(1[t=1]/p_1 - 1[t=0]/p_0); squares by hand.

    A (m_1 - m_0 - 2.8 = -1.8): -1.8 -+ 2 for the treated, -1.8 twice. B (+1.2): 1.2 -+ 3; 1.2 - 1.5 (-2, -1, 0, 3).
    """
    psi = [-3.8, 0.2, -1.8, -1.8, -1.8, 4.2, 1.2 + 3, 1.2 + 1.5, 1.2, 1.2 - 4.5]
    expected = math.sqrt(10 / 9 * sum(x * x for x in psi)) / 10
    assert table.effect(1).standard_error == pytest.approx(expected, rel=1e-12)


IPW_INFLUENCES = {
    "all": [-8, -4, 3, 9, 2.4, 2.4, 1.8, 0.3, -1.2, -5.7],
    "treated": [-8.75, -3.75, 3.75, 8.75, 2.5, 2.5, 1.25, 0, -1.25, -5],
    "untreated": [-65 / 9, -35 / 9, 20 / 9, 80 / 9, 20 / 9, 20 / 9, 20 / 9, 5 / 9, -10 / 9, -55 / 9],
}


@pytest.mark.parametrize("target", IPW_INFLUENCES)
def test_ipw_standard_error_by_hand(table, target):
    """Influence +- o (y - mean) / mean(o), the treated users first.

    All: o = 1/p (treated 2, 2, 3, 3; control 2, 2, 1.5), means 5 and 2.2, mean(o) 1. Treated: treated 1, control 1,
    1, .5, means 4.5 and 2, mean(o) .4. Untreated: treated 1, 1, 2, 2, control 1, means 16/3 and 7/3, mean(o) .6.
    """
    expected = math.sqrt(10 / 9 * sum(x * x for x in IPW_INFLUENCES[target])) / 10
    assert table.effect(1, target, method="ipw").standard_error == pytest.approx(expected, rel=1e-12)


def test_sizes_by_hand(table):
    """Treated weigh 2, 2, 3, 3, so 100/26; control 2, 2, 1.5 four times, so 100/17. The smaller one counts."""
    assert table.effect(1).effective_n == pytest.approx(100 / 26)
    assert (table.effect(1).n, table.effect(1, "treated").n, table.effect(1, "untreated").n) == (10, 4, 6)
    assert table.mean(0).effective_n == pytest.approx(100 / 17)
    assert table.mean(0).estimate == pytest.approx(0.4 * 1 + 0.6 * 3)
    assert table.mean("mail", method="ipw").estimate == pytest.approx(0.4 * 2 + 0.6 * 7)


def test_only_some_users(table):
    """In stratum B alone the effect is B's."""
    users = np.arange(10) >= 4
    for target in ("all", "treated", "untreated"):
        assert table.effect(1, target, users=users).estimate == pytest.approx(4.0)
    assert table.effect(1, users=users).n == 6


def loops(made, j, target, method):
    """The documented sums, a user at a time."""
    g = {"all": None, "treated": j, "untreated": 0}[target]
    means = []
    for a in (j, 0):
        top = bottom = 0.0
        for i in range(len(made.value)):
            w = 1.0 if g is None else made.propensity[i, g]
            h = 1.0 if g is None else float(made.treatment[i] == g)
            o = w / made.propensity[i, a] if made.treatment[i] == a else 0.0
            if method == "ipw":
                top, bottom = top + o * made.value[i], bottom + o
            else:
                top += h * made.outcome[i, a] + o * (made.value[i] - made.outcome[i, a])
                bottom += h
        means.append(top / bottom)
    return means[0] - means[1]


@pytest.mark.parametrize("method", ["aipw", "ipw"])
@pytest.mark.parametrize("target", ["all", "treated", "untreated"])
def test_several_arms_against_loops(target, method):
    """Three arms with propensities and outcome models of no particular truth."""
    rng = np.random.default_rng(5)
    p = rng.dirichlet([3, 3, 3], 40)
    made = Adjustment(np.arange(40) % 3, rng.normal(size=40), p, rng.normal(size=(40, 3)), ("a", "b", "c"), 0.0)
    for j in (1, 2):
        expected = loops(made, j, target, method)
        assert made.effect(j, target, method=method).estimate == pytest.approx(expected, rel=1e-10)
    for i in range(40):
        for a in range(3):
            m = made.outcome[i, a]
            correction = (made.value[i] - m) / p[i, a] if made.treatment[i] == a else 0.0
            assert made.scores[i, a] == pytest.approx(m + correction, rel=1e-12)
    assert_allclose(made.scores.mean(axis=0), [made.mean(a).estimate for a in range(3)])


def test_either_model_suffices():
    """Double robustness: right propensities with outcomes of 0, and right outcomes with arm shares, find the truth;
    the raw difference and the wrong halves alone do not. Closed form: x has mean 0, so the effects are 2 and 4."""
    campaign, p, mean = linear_world(20_000, seed=1)
    shares = np.broadcast_to(np.bincount(campaign.treatment) / 20_000, p.shape)
    parts = (campaign.treatment, campaign.value)
    right_p = Adjustment(*parts, p, np.zeros_like(mean), campaign.arms, 0.0)
    right_m = Adjustment(*parts, shares, mean, campaign.arms, 0.0)
    wrong = Adjustment(*parts, shares, np.zeros_like(mean), campaign.arms, 0.0)
    for j in (1, 2):
        for made in (right_p, right_m):
            found = made.effect(j)
            assert abs(found.estimate - 2 * j) < 4 * found.standard_error
        assert abs(wrong.effect(j).estimate - 2 * j) > 4 * wrong.effect(j).standard_error


def test_intervals_cover_the_truth():
    """200 small logs with fitted linear nuisances: the 95% intervals of each target cover its truth about as
    often, and are about as wide as the estimates vary.

    Truths: on all 2 j; on those who got arm j, 2 j + j E[x | t = j], from the formula's own world by a large draw.
    Binomial: 200 draws at 95% fall outside 178..199 once in 1,000; the spread of 200 estimates is known within 5%.
    """
    big, _, _ = linear_world(1_000_000, seed=99)
    shift = [float(big.X[big.treatment == j].mean()) for j in range(3)]
    hits, estimates, errors = {}, {}, {}
    for seed in range(200):
        made = adjust(linear_world(400, seed)[0], **LINEAR, seed=seed)
        for j in (1, 2):
            for target, at in (("all", 0.0), ("treated", shift[j]), ("untreated", shift[0])):
                found = made.effect(j, target)
                low, high = found.interval()
                estimates.setdefault((j, target), []).append(found.estimate)
                errors.setdefault((j, target), []).append(found.standard_error)
                hits.setdefault((j, target), []).append(low <= j * 2 + j * at <= high)
    assert {key: 178 <= sum(found) <= 199 for key, found in hits.items()} == dict.fromkeys(hits, True)
    ratios = {key: np.mean(errors[key]) / np.std(estimates[key]) for key in hits}
    assert {key: 0.75 < ratio < 1.33 for key, ratio in ratios.items()} == dict.fromkeys(hits, True)


def test_order_and_units_of_users_do_not_matter():
    """With the nuisances given: permuted users, and money in another unit, up to rounding."""
    campaign, p, mean = linear_world(300, seed=2)
    made = Adjustment(campaign.treatment, campaign.value, p, mean, campaign.arms, 0.01)
    order = np.random.default_rng(0).permutation(300)
    other = Adjustment(campaign.treatment[order], campaign.value[order], p[order], mean[order], campaign.arms, 0.01)
    assert other.effect(2, "treated").estimate == pytest.approx(made.effect(2, "treated").estimate, rel=1e-12)
    for unit in (1e-9, 1e9):
        scaled = replace(made, value=made.value * unit, outcome=made.outcome * unit)
        for name in ("estimate", "standard_error"):
            assert getattr(scaled.effect(1), name) == pytest.approx(unit * getattr(made.effect(1), name), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_default_models_do_not_see_the_unit(unit):
    """The boosted trees standardise the outcome, so the estimate only changes its unit."""
    campaign, _, _ = linear_world(400, seed=3)
    one = adjust(campaign).effect(1).estimate
    other = adjust(replace(campaign, value=campaign.value * unit)).effect(1).estimate
    assert other == pytest.approx(unit * one, rel=1e-6)


def test_same_seed_same_bytes():
    campaign, _, _ = linear_world(300, seed=4)
    one, two, other = (adjust(campaign, seed=seed) for seed in (1, 1, 2))
    assert one.scores.tobytes() == two.scores.tobytes()
    assert one.scores.tobytes() != other.scores.tobytes()


def test_seeds_reach_the_models():
    """Forests without a random state of their own: the same bytes from the same seed, and from equal generators."""
    campaign, _, _ = linear_world(200, seed=4)
    models = {
        "propensity_model": RandomForestClassifier(20, min_samples_leaf=20),
        "outcome_model": make_pipeline(StandardScaler(), RandomForestRegressor(5)),
    }
    one, two = (adjust(campaign, **models, seed=1) for _ in range(2))
    assert one.scores.tobytes() == two.scores.tobytes()
    three, four = (adjust(campaign, **models, seed=np.random.default_rng(5)) for _ in range(2))
    assert three.scores.tobytes() == four.scores.tobytes() != one.scores.tobytes()
    assert models["propensity_model"].random_state is None


def test_trimming_leaves_out_and_counts():
    """p_1 = .005 in two rows: they fall outside the support for all, not for the treated, whose weights are small."""
    p = np.tile([[0.5, 0.5]], (10, 1))
    p[:2] = [0.995, 0.005]
    made = Adjustment(np.tile([0, 1], 5), np.arange(10.0), p, np.zeros((10, 2)), ("none", "mail"), 0.01)
    assert_array_equal(made.supported("all"), [False] * 2 + [True] * 8)
    assert (made.effect(1).n, made.effect(1).dropped) == (8, 2)
    assert made.supported("treated").all()
    assert made.effect(1, "treated").dropped == 0
    assert_array_equal(made.supported("untreated"), made.supported("all"))
    assert made.effect(1, "untreated").dropped == 1
    assert replace(made, trim=0.0).effect(1).n == 10


def test_support_of_the_treated_is_that_of_the_arms_compared():
    """An arm that nobody here could have received takes no support from the comparison of the other two."""
    p = np.tile([[0.499, 0.499, 0.002]], (9, 1))
    made = Adjustment(np.arange(9) % 3, np.arange(9.0), p, np.zeros((9, 3)), ("none", "mail", "call"), 0.01)
    assert not made.supported("all").any()
    for target in ("treated", "untreated"):
        assert made.supported(target, "mail").all()
    assert not made.supported("untreated", "call").any()
    assert made.supported("treated", "call").all()


def test_outcome_models_see_activeness():
    """Value 3 a + t without noise, a in `activeness` alone: a straight line an arm finds it exactly."""
    rng = np.random.default_rng(0)
    a, t = rng.poisson(5, 200), np.arange(200) % 2
    made = adjust(log(rng.normal(size=200), t, 3.0 * a + t, activeness=a), **LINEAR)
    assert_allclose(made.outcome, np.column_stack([3.0 * a, 3.0 * a + 1]), atol=1e-4)


def test_stated_propensities_are_used():
    """A campaign that states its propensities keeps them; without them they are estimated."""
    campaign, p, _ = linear_world(300, seed=5)
    assert adjust(replace(campaign, propensity=p), **LINEAR).propensity is p
    estimated = adjust(campaign, **LINEAR).propensity
    assert_allclose(estimated.sum(axis=1), 1)
    assert np.abs(estimated - p).mean() < 0.06


def test_clusters_share_folds_and_count_once():
    """Every user four times over, as one cluster: four times the rows, about the standard error of one copy."""
    campaign, p, _ = linear_world(300, seed=6)
    copies = replace(campaign, propensity=p).take(np.repeat(np.arange(300), 4))
    cluster = np.repeat(np.arange(300), 4)
    once = adjust(replace(campaign, propensity=p), **LINEAR).effect(1).standard_error
    apart = adjust(copies, **LINEAR).effect(1).standard_error
    together = adjust(copies, **LINEAR, cluster=cluster).effect(1).standard_error
    assert together == pytest.approx(once, rel=0.1)
    assert apart == pytest.approx(once / 2, rel=0.1)


def test_frame_has_a_row_for_every_question():
    """2 arms x 3 targets x 2 methods; the numbers are those of `effect`."""
    made = adjust(linear_world(200, seed=7)[0], **LINEAR)
    frame = made.frame()
    assert len(frame) == 12
    row = frame[(frame.arm == "call") & (frame.target == "treated") & (frame.method == "ipw")].iloc[0]
    assert row.estimate == made.effect("call", "treated", method="ipw").estimate


def test_constant_features_and_values():
    """Nothing to adjust for: the estimate is near the raw difference; a constant value has the effect 0 exactly."""
    t = np.tile([0, 1], 100)
    made = adjust(log(np.zeros(200), t, 5.0 * t + np.tile([0.0, 0.0, 1.0, 1.0], 50)))
    assert made.effect(1).estimate == pytest.approx(5, abs=0.05)
    flat = adjust(log(np.arange(200), t, np.full(200, 7.0))).effect(1)
    assert (flat.estimate, flat.standard_error) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))


def test_tiny_logs():
    """Two users an arm are the fewest; one is refused with a word on what to do."""
    made = adjust(log([0, 1, 2, 3], [0, 0, 1, 1], [1, 2, 3, 4]), n_folds=2, outcome_model=DummyRegressor())
    assert np.isfinite(made.effect(1).estimate)
    with pytest.raises(InputError, match="at least 2 users"):
        adjust(log([0, 1, 2], [0, 0, 1], [1, 2, 3]), n_folds=2)


def test_print_in_words():
    """Users by arm, who is outside, an effect a line, warnings; where nothing can be compared, why."""
    campaign, p, mean = linear_world(400, seed=0)
    made = Adjustment(campaign.treatment, campaign.value, p, mean, campaign.arms, 0.05)
    text = " ".join(str(made).split())
    counts = np.bincount(campaign.treatment)
    assert f"400 users in the arms none ({counts[0]}), mail ({counts[1]}), call ({counts[2]})" in text
    assert f"at trim 0.05: {int((p.min(axis=1) < 0.05).sum())}" in text
    assert all(" ".join(str(one).split()) in text for one in made.effects())
    assert repr(made) == str(made)
    assert max(map(len, str(made).splitlines())) <= 80
    apart = Adjustment(campaign.treatment, campaign.value, np.eye(3)[campaign.treatment], mean, campaign.arms, 0.05)
    assert "no effect on all: no user of arm 'none' is among the 0 compared" in " ".join(str(apart).split())


def test_a_target_is_told_once():
    """The options once, whatever the name resembles."""
    campaign, p, mean = linear_world(40, seed=0)
    made = Adjustment(campaign.treatment, campaign.value, p, mean, campaign.arms, 0.0)
    for target in ("att", "treatd", 1, ["all"]):
        with pytest.raises(InputError, match=r"^target is .*; one of all, treated, untreated is expected$"):
            made.effect(1, target)


def test_what_is_refused(table):
    campaign, _, _ = linear_world(60, seed=8)
    with pytest.raises(InputError, match=r"trim is 0\.5; a propensity from 0 to below 0\.5"):
        adjust(campaign, trim=0.5)
    with pytest.raises(InputError, match=r"model is 'boosting'; a scikit-learn classifier with predict_proba"):
        adjust(campaign, propensity_model="boosting")
    with pytest.raises(InputError, match=r"model is <class .*>; a scikit-learn regressor or classifier"):
        adjust(campaign, outcome_model=LinearRegression)
    with pytest.raises(InputError, match="the log has one arm, 'none'"):
        adjust(log([0, 1, 2], [0, 0, 0], [1, 2, 3], arms=("none",)), n_folds=2)
    for control in ("none", 0):
        with pytest.raises(InputError, match="arm 'none' is control; an effect is of another arm"):
            table.effect(control)
        with pytest.raises(InputError, match="arm 'none' is control; an effect is of another arm"):
            table.supported("treated", control)
    with pytest.raises(InputError, match="arm is True; a name or a position"):
        table.effect(True)
    with pytest.raises(InputError, match="arm 'post' is not in the log"):
        table.effect("post")
    with pytest.raises(InputError, match="target is 'everyone'; one of all, treated, untreated"):
        table.effect(1, "everyone")
    with pytest.raises(InputError, match="method is 'dr'; one of aipw, ipw"):
        table.effect(1, method="dr")
    with pytest.raises(InputError, match=r"users has shape .* a mask of 10 booleans"):
        table.effect(1, users=np.arange(10))


@pytest.mark.parametrize(("users", "n_folds"), [(2, 5), (3, 2)])
def test_default_models_on_an_arm_of_few(users, n_folds):
    """Trees cannot learn from one user: said with the arm, the fold and the number."""
    t = np.repeat([0, 1], [40, users])
    words = r"cannot learn from treatment 1 outside fold \d \(1 users\).*drop the arm"
    with pytest.raises(InputError, match=words):
        adjust(log(np.arange(40 + users), t, np.arange(40 + users)), n_folds=n_folds)


def test_classifier_of_spend():
    campaign, _, _ = linear_world(60, seed=8)
    words = r"LogisticRegression cannot learn from treatment 0 outside fold 0 .*a regressor for amounts"
    with pytest.raises(InputError, match=words):
        adjust(campaign, propensity_model=LogisticRegression(), outcome_model=LogisticRegression())


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT])
def test_missing_clusters(gap):
    """Users of unknown household are no household; nor is a label that is text beside one that is a number."""
    campaign, _, _ = linear_world(60, seed=8)
    cluster = np.repeat(np.arange(30), 2).astype(object)
    cluster[:4] = gap
    with pytest.raises(InputError, match="cluster has missing labels, 4 of 60"):
        adjust(campaign, **LINEAR, cluster=cluster)
    with pytest.raises(InputError, match=r"cluster has labels of several types \(int, str\)"):
        adjust(campaign, **LINEAR, cluster=["a"] * 30 + [1] * 30)
    made = adjust(campaign, **LINEAR, cluster=pd.Series(np.repeat(np.arange(30), 2)).astype("Int64"))
    with pytest.raises(InputError, match=r"cluster has missing labels, \d of"):
        replace(made, cluster=cluster).effect(1)


def test_no_overlap_is_said():
    """The arm is a function of the feature, so propensities are 0 and 1, and nobody can be compared."""
    x = np.arange(40.0)
    campaign = log(x, x >= 20, x, propensity=np.column_stack([x < 20, x >= 20]))
    words = r"no user of arm 'a0' is among the 0 compared \(40 chosen, 40 of them outside the support at trim=0.01\)"
    with pytest.raises(InputError, match=words):
        adjust(campaign, outcome_model=LinearRegression()).effect(1)
    shuffled = log(x, np.random.default_rng(0).integers(0, 2, 40), x)
    with pytest.raises(InputError, match="of 40 users have propensity 0 for the arm that they received"):
        adjust(shuffled, propensity_model=DecisionTreeClassifier(), outcome_model=LinearRegression())
