"""Stability: figures by hand from scripted refits, flips against the normal law, resamples by their definition."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression

from allocation import Allocation, BestMix, Nobody, OutcomeTargeting, ProblemError, TwoStage
from allocation.engine.price import margins
from allocation.evaluation.resample import resampled_rows
from allocation.evaluation.stability import stability
from uplift import synthetic
from uplift.campaign import Campaign
from uplift.errors import InputError
from uplift.learners import DRLearner, SLearner, TLearner

ARMS = ("none", "mail", "call")


def log(n, seed=0, treatment=None, value=None):
    """Value 1 + x + x [mail] + 2 x [call] + noise, mail costs 1, call 2; or another treatment and value."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).astype(np.float32)
    t = rng.integers(0, 3, n) if treatment is None else treatment
    return Campaign(
        X=x[:, None],
        treatment=t,
        value=1 + x + x * t + rng.normal(size=n) if value is None else value,
        cost=t.astype(float),
        propensity=np.full((n, 3), 1 / 3),
        arms=ARMS,
        user_id=np.arange(n),
        features=("x",),
    )


class Scripted:
    """Decides what a script says: entry 0 before any refit, then an entry a fit; records what it was fitted on."""

    def __init__(self, script):
        self.book = {"script": script, "fits": []}
        self.turn = 0
        self.arms_ = ARMS

    def __deepcopy__(self, memo):
        other = Scripted([])
        other.book = self.book
        return other

    def fit(self, campaign):
        self.book["fits"].append(campaign)
        self.turn = len(self.book["fits"])
        self.arms_ = campaign.arms
        return self

    def decide(self, users, budget):
        return Allocation(np.array(self.book["script"][self.turn][budget]))


SCRIPT = [
    {1.0: [0, 0, 1, 2], 2.0: [0, 0, 0, 0]},
    {1.0: [0, 1, 1, 2], 2.0: [0, 0, 0, 0]},
    {1.0: [0, 1, 1, 1], 2.0: [1, 1, 1, 1]},
    {1.0: [0, 0, 1, 2], 2.0: [0, 0, 0, 2]},
]


@pytest.fixture
def scripted():
    return stability(Scripted(SCRIPT), log(30), np.zeros((4, 1)), [1.0, 2.0], refits=3, level=0.5)


def test_shares_by_hand(scripted):
    """Budget 1: changed 1/4, 2/4, 0; pairs of refits differ in 1, 1, 2 of 4 users, so 4/12. Of the two users treated
    0, 1, 0 change. Budget 2: 0, 1, 1/4; pairs 4, 1, 4 of 4. Half of the refits lie within the quartiles."""
    np.testing.assert_allclose(scripted.changed, [[0.25, 0], [0.5, 1], [0, 0.25]])
    frame = scripted.frame
    assert list(frame.budget) == [1.0, 2.0]
    np.testing.assert_allclose(frame.changed, [0.25, 1.25 / 3])
    np.testing.assert_allclose(frame.changed_low, [0.125, 0.125])
    np.testing.assert_allclose(frame.changed_high, [0.375, 0.625])
    np.testing.assert_allclose(frame.between_refits, [4 / 12, 9 / 12])
    np.testing.assert_allclose(frame.changed_treated, [0.5 / 3, math.nan])
    assert list(frame.treated) == [2, 0]
    np.testing.assert_allclose(scripted.agreement, [[1, 1 / 3, 1, 2 / 3], [2 / 3, 2 / 3, 2 / 3, 1 / 3]])
    assert (scripted.votes.sum(axis=2) == 3).all()


def test_mix_by_hand(scripted):
    """Budget 1: control's share is 1/2 by the policy and 1/4, 1/4, 1/2 by the refits, mail's 1/4 and 1/2, 3/4, 1/4.

    Dealt out blindly the first refit keeps 1/2 1/4 + 1/4 1/2 + 1/4 1/4 = 5/16, the second 1/8 + 3/16 + 0 = 5/16,
    the third 6/16: 1 - 16/48 change.
    """
    frame = scripted.frame
    assert frame["share.none"][0] == 0.5
    assert (frame["share_low.none"][0], frame["share_high.none"][0]) == (0.25, 0.375)
    assert (frame["share_low.mail"][0], frame["share_high.mail"][0]) == (0.375, 0.625)
    assert scripted.by_chance[0] == pytest.approx(1 - 16 / 48)
    np.testing.assert_allclose(scripted.mix[1, 1], [0, 1, 0])


def test_a_policy_without_a_problem_has_no_margins_and_says_so(scripted):
    assert np.isnan(scripted.margin).all()
    assert scripted.frame.margin_50.isna().all()
    assert scripted.by_margin.empty
    assert scripted.margin_note == "Scripted solves no problem of values and costs"
    assert "No margins: Scripted solves no problem" in str(scripted)


def test_refits_learn_from_resamples_and_the_policy_itself_is_left_alone():
    train = log(60)
    policy = Scripted(SCRIPT)
    stability(policy, train, np.zeros((4, 1)), [1.0], refits=3, resample="bootstrap")
    assert policy.turn == 0
    assert len(policy.book["fits"]) == 3
    for fitted in policy.book["fits"]:
        np.testing.assert_array_equal(np.bincount(fitted.treatment), np.bincount(train.treatment))
        assert len(set(fitted.user_id)) < 60
        np.testing.assert_array_equal(fitted.value, train.value[fitted.user_id])


class Sign:
    """Mail for everybody if the logged mean under mail is above that under control; it knows nothing of users."""

    def fit(self, campaign):
        means = [campaign.value[campaign.treatment == j].mean() for j in (0, 1)]
        self.arms_, self.arm_ = campaign.arms, int(means[1] > means[0])
        return self

    def decide(self, users, budget):
        return Allocation(np.full(len(users), self.arm_))


@pytest.mark.parametrize("resample", ["bootstrap", "half"])
@pytest.mark.parametrize("z", [0.3, -1.0])
def test_a_decision_flips_as_often_as_the_normal_law_says(resample, z):
    """The difference of two means is z standard errors above 0: a resample has the other sign in Phi(-|z|) of cases,
    and two resamples differ in 2 Phi (1 - Phi). 600 refits, 4 binomial standard errors."""
    n = 400
    rng = np.random.default_rng(5)
    t = np.repeat([0, 1, 2], [n, n, 2])
    y = rng.normal(size=len(t))
    for j in (0, 1):
        y[t == j] = (y[t == j] - y[t == j].mean()) / y[t == j].std()
    y[t == 1] += z * math.sqrt(2 / n)
    train = log(len(t), treatment=t, value=y)
    found = stability(Sign().fit(train), train, np.zeros((5, 1)), [0.0], refits=600, resample=resample)
    flips = norm.cdf(-abs(z))
    error = math.sqrt(flips * (1 - flips) / 600)
    assert found.frame.changed[0] == pytest.approx(flips, abs=4 * error)
    assert found.between_refits[0] == pytest.approx(2 * flips * (1 - flips), abs=8 * error)


@pytest.fixture(scope="module")
def fitted():
    train, new = synthetic.simulate(3_000, seed=1).campaign.split(0.5)
    policy = TwoStage(TLearner(LinearRegression())).fit(train)
    return policy, train, new, stability(policy, train, new, [20.0, 800.0], refits=8)


def test_margins_are_the_engine_s_and_close_decisions_change_more(fitted):
    policy, _, new, found = fitted
    for k, budget in enumerate(found.budgets):
        allocation = policy.decide(new.X, budget)
        np.testing.assert_array_equal(found.decision[k], allocation.decision)
        np.testing.assert_array_equal(found.margin[k], margins(policy.problem(new.X, budget), allocation))
        quarters = found.by_margin[found.by_margin.budget == budget]
        assert quarters.users.sum() == len(new)
        assert list(quarters.changed) == sorted(quarters.changed, reverse=True)
        assert quarters.changed.iloc[0] > 2 * quarters.changed.iloc[3]
        np.testing.assert_allclose((quarters.users * quarters.changed).sum() / len(new), found.frame.changed[k])
        assert (quarters.margin_high.to_numpy()[:-1] <= quarters.margin_low.to_numpy()[1:]).all()
    assert found.margin_note == ""
    row = found.frame.iloc[1]
    assert row.margin_05 <= row.margin_25 <= row.margin_50 <= row.margin_75 <= row.margin_95
    assert (found.margin[1] <= row.margin_50).mean() == pytest.approx(0.5, abs=1 / len(new))


def test_in_words_within_eighty_columns(fitted):
    text = str(fitted[3])
    assert max(map(len, text.splitlines())) <= 80
    assert "8 refits on random halves of the log" in text
    assert "closest quarter by margin" in text
    assert text.count("budget ") == 2


def test_the_same_seed_gives_the_same_refits_and_another_seed_others(fitted):
    policy, train, new, found = fitted
    again = stability(policy, train, new.X, [20.0, 800.0], refits=8, seed=0)
    np.testing.assert_array_equal(again.votes, found.votes)
    assert again.frame.equals(found.frame)
    other = stability(policy, train, new, [20.0, 800.0], refits=8, seed=1)
    assert (other.votes != found.votes).any()


def test_users_of_equal_margin_stay_together():
    """A model that predicts the same for everybody: one margin, one group, the other three are empty."""
    train = log(90)
    policy = TwoStage(TLearner(LinearRegression())).fit(train)
    alike = stability(policy, train, np.ones((6, 1), np.float32), [100.0], refits=2).by_margin
    assert list(alike.users) == [6, 0, 0, 0]
    assert alike.changed.isna().tolist() == [False, True, True, True]


def test_more_users_in_the_log_make_decisions_steadier():
    new, shares = synthetic.simulate(300, seed=9).campaign, []
    for n in (300, 60_000):
        train = synthetic.simulate(n, seed=2).campaign
        policy = TwoStage(TLearner(LinearRegression())).fit(train)
        shares.append(stability(policy, train, new, [150.0], refits=6).frame.changed[0])
    assert shares[1] < shares[0] / 2


@pytest.mark.parametrize(
    "policy",
    [
        Nobody(),
        TwoStage(
            FrozenEstimator(
                SLearner(LinearRegression()).fit(log(60).X, log(60).value, treatment=log(60).treatment, arms=ARMS)
            )
        ),
    ],
    ids=["nobody", "frozen model"],
)
def test_what_learns_nothing_changes_nothing(policy):
    train = log(60)
    found = stability(policy.fit(train), train, log(20, seed=1), [5.0], refits=3)
    assert (found.changed == 0).all()
    assert (found.agreement == 1).all()


@pytest.mark.parametrize("resample", ["bootstrap", "half"])
@pytest.mark.parametrize(
    "policy",
    [
        TwoStage(SLearner()),
        TwoStage(TLearner()),
        TwoStage(DRLearner(LinearRegression(), final="linear")),
        OutcomeTargeting(SLearner(LinearRegression())),
        BestMix(),
    ],
    ids=["boosted S", "boosted T", "cross-fitted DR", "outcome targeting", "mix"],
)
def test_every_policy_learns_from_repeated_users(policy, resample):
    train = log(150)
    found = stability(policy.fit(train), train, log(40, seed=1), [10.0], refits=2, resample=resample)
    assert found.refits == 2
    assert ((found.agreement >= 0) & (found.agreement <= 1)).all()
    assert found.mix.sum(axis=2) == pytest.approx(1)


def test_progress_is_told():
    told = []
    train = log(60)
    stability(BestMix().fit(train), train, train, [5.0], refits=3, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_bootstrap_keeps_the_arms_and_repeats_users_and_halves_repeat_none():
    train = log(101)
    counts = np.bincount(train.treatment)
    for rows in islice(resampled_rows(train, resample="bootstrap", seed=3), 20):
        np.testing.assert_array_equal(np.bincount(train.treatment[rows]), counts)
        assert (np.diff(rows) >= 0).all()
    for rows in islice(resampled_rows(train, seed=3), 20):
        np.testing.assert_array_equal(np.bincount(train.treatment[rows]), (counts + 1) // 2)
        assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("resample", ["bootstrap", "half"])
def test_a_mean_varies_over_resamples_as_over_new_logs(resample):
    """Standard deviation s / sqrt(n) of the mean of an arm of 200 users, over 2,000 resamples, within 7%."""
    train = log(600, treatment=np.repeat([0, 1, 2], 200))
    own = train.value[:200]
    means = [
        train.value[rows[train.treatment[rows] == 0]].mean()
        for rows in islice(resampled_rows(train, resample=resample), 2000)
    ]
    assert np.std(means) == pytest.approx(own.std() / math.sqrt(200), rel=0.07)
    assert np.mean(means) == pytest.approx(own.mean(), abs=4 * own.std() / math.sqrt(200 * 2000))


@pytest.mark.parametrize("resample", ["bootstrap", "half"])
def test_clusters_come_and_go_as_a_whole(resample):
    train, cluster = log(60), np.array(list("abcdefghijkl") * 5)
    for rows in islice(resampled_rows(train, resample=resample, cluster=cluster), 30):
        times = np.bincount(rows, minlength=60)
        for name in "abcdefghijkl":
            assert len(set(times[cluster == name])) == 1
        assert len(rows) == (60 if resample == "bootstrap" else 30)
        assert set(train.treatment[rows]) == {0, 1, 2}


def test_a_resample_of_clusters_that_lacks_an_arm_is_drawn_anew():
    """Arm 2 is in one of 6 clusters, in 2 of 3 bootstraps: it is in all that are handed out."""
    t = np.array([0, 1] * 5 + [0, 2])
    rows = list(
        islice(resampled_rows(log(12, treatment=t), resample="bootstrap", cluster=np.repeat(np.arange(6), 2)), 50)
    )
    assert all(2 in t[r] for r in rows)


def test_an_arm_in_clusters_too_few_is_refused():
    """Halves of two clusters, each with arms that the other lacks: no draw has all three."""
    train = log(4, treatment=np.array([0, 1, 0, 2]))
    with pytest.raises(InputError, match="of the 2 clusters that 100 resamples of clusters lacked an arm"):
        next(resampled_rows(train, resample="half", cluster=[0, 0, 1, 1]))


def test_refusals():
    train = log(60)
    policy = BestMix().fit(train)
    X = np.zeros((5, 1), np.float32)
    with pytest.raises(InputError, match=r"BestMix is not fitted; call \.fit\(train\) first"):
        stability(BestMix(), train, X, [5.0])
    with pytest.raises(InputError, match=r"train is a DataFrame; a Campaign is expected.*the policy was fitted on"):
        stability(policy, pd.DataFrame({"x": [1.0]}), X, [5.0])
    with pytest.raises(InputError, match=r"train is a ndarray; a Campaign is expected"):
        stability(policy, train.X, X, [5.0])
    other = Campaign(
        train.X, train.treatment, train.value, train.cost, None, ("none", "sms", "call"), train.user_id, ("x",)
    )
    with pytest.raises(InputError, match="fitted on the arms none, mail, call; train has none, sms, call"):
        stability(policy, other, X, [5.0])
    for wrong in (1, 2.5, True):
        with pytest.raises(InputError, match=f"refits is {wrong}; a whole number of at least 2"):
            stability(policy, train, X, [5.0], refits=wrong)
    with pytest.raises(InputError, match=r"level is 95; a number between 0 and 1"):
        stability(policy, train, X, [5.0], level=95)
    with pytest.raises(ProblemError, match=r"budgets is 5\.0; a list is expected"):
        stability(policy, train, X, 5.0)
    with pytest.raises(InputError, match=r"users has shape \(0, 1\); a campaign or features"):
        stability(policy, train, X[:0], [5.0])
    with pytest.raises(InputError, match=r"resample is 'bootstrp'\. Did you mean 'bootstrap'"):
        stability(policy, train, X, [5.0], resample="bootstrp")
    with pytest.raises(InputError, match=r"cluster has shape \(2,\) for 60 users"):
        stability(policy, train, X, [5.0], cluster=[1, 2])
    with pytest.raises(InputError, match="cluster holds 1 label for 60 users; at least 2 clusters are expected"):
        stability(policy, train, X, [5.0], cluster=np.zeros(60))
    for wrong, words in (
        ([0, 1, 2, 7], "arms 0 to 7"),
        ([0, 1, 2], r"int64 cells of shape \(3,\)"),
        ([0.0, 1.0, 1.0, 1.0], "float64 cells"),
        ([], "float64 cells"),
    ):
        with pytest.raises(InputError, match=f"Scripted decided with {words}.*; a whole number from 0 to 2 for each"):
            stability(Scripted([{1.0: wrong}]), train, np.zeros((4, 1)), [1.0])


def test_what_a_learner_refuses_is_said_with_the_refit():
    """Four users of an arm are enough for three folds, half of them are not."""
    t = np.repeat([0, 1, 2], [30, 30, 4])
    train = log(64, treatment=t)
    policy = TwoStage(DRLearner(LinearRegression(), final="linear")).fit(train)
    with pytest.raises(
        InputError,
        match=r"refit 1 of 20, on a half of the log of 32 users: the smallest arm has 2 .*resample='bootstrap' keeps",
    ):
        stability(policy, train, train, [5.0])


def test_another_log_than_the_policy_s_own_is_refused():
    log = synthetic.simulate(400, seed=0).campaign
    train, other = log.split(0.5, seed=0)
    with pytest.raises(InputError, match=r"201 of 201 users of train did not train the policy; give the log"):
        stability(BestMix().fit(train), other, train, [10.0], refits=2)
