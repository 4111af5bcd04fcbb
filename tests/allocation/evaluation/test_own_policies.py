"""A policy of the user's own in `evaluate`, and what the two-stage policy says when it is used wrongly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from allocation import Allocation, BestMix, TwoStage, evaluate
from uplift import Campaign, InputError, synthetic
from uplift.learners import SLearner, TLearner

LOG = synthetic.simulate(2_000, seed=0).campaign
TRAIN, HELD_OUT = LOG.split(0.5, seed=0)


class TopUsers:
    """The dearest arm to the users of highest first feature; returns a bare array or an allocation."""

    def __init__(self, wrap=lambda decision: decision):
        self.wrap = wrap

    def fit(self, campaign):
        self.arms_ = campaign.arms
        return self

    def decide(self, users, budget):
        decision = np.zeros(len(users), dtype=int)
        decision[np.argsort(-users[:, 0])[: int(budget / 8)]] = 4
        return self.wrap(decision)


@pytest.mark.parametrize("wrap", [lambda decision: decision, Allocation, list])
def test_two_methods_are_enough(wrap):
    """Promises that the class does not make are NaN; everything else is estimated."""
    table = evaluate({"mine": TopUsers(wrap).fit(TRAIN)}, HELD_OUT, budgets=[400.0], n_bootstrap=50)
    assert table["value"].notna().all()
    assert table["spend"].gt(0).all()
    if wrap is not Allocation:
        assert table["promised_value"].isna().all()


def test_a_promise_beyond_the_budget_is_warned_of():
    def overspent(decision):
        return Allocation(decision, cost=99_999.0)

    with pytest.warns(UserWarning, match=r"'mine' promises to spend 99,999 of a budget of 400; .* equal budget"):
        evaluate({"mine": TopUsers(overspent).fit(TRAIN)}, HELD_OUT, budgets=[400.0], n_bootstrap=10)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (TopUsers(), r"'mine' is not fitted; .* self.arms_ = campaign.arms"),
        (TopUsers(lambda d: np.array(HELD_OUT.arms)[d]).fit(TRAIN), r"'mine' decided for <U\d cells; whole numbers"),
    ],
)
def test_what_cannot_be_evaluated_is_said(policy, message):
    with pytest.raises(InputError, match=message):
        evaluate({"mine": policy}, HELD_OUT, budgets=[400.0], n_bootstrap=10)


def test_one_budget_must_stand_in_a_list():
    with pytest.raises(ValueError, match=r"budgets is 400.0; a list is expected, such as \[400.0\]"):
        evaluate({"mix": BestMix().fit(TRAIN)}, HELD_OUT, budgets=400.0, n_bootstrap=10)


def test_a_campaign_can_be_decided_for_and_its_ids_are_kept():
    policy = TwoStage(TLearner(LinearRegression())).fit(TRAIN)
    response = policy.predict(HELD_OUT)
    assert response.user_id.tolist() == HELD_OUT.user_id.tolist()
    by_campaign, by_array, by_response = (policy.decide(u, 300.0).decision for u in (HELD_OUT, HELD_OUT.X, response))
    assert by_campaign.tolist() == by_array.tolist() == by_response.tolist()


def test_a_bare_regressor_is_told_how_to_be_wrapped():
    with pytest.raises(InputError, match=r"no response learner.* TwoStage\(SLearner\(LinearRegression\(\)\)\)"):
        TwoStage(LinearRegression()).fit(TRAIN)


def test_an_unfitted_policy_and_a_classifier_on_fractions_say_so():
    with pytest.raises(InputError, match=r"TwoStage is not fitted; call \.fit"):
        TwoStage(SLearner()).decide(HELD_OUT.X, 1.0)
    with pytest.raises(InputError, match=r"classifier LogisticRegression, but the outcome has fractions"):
        SLearner(LogisticRegression()).fit(LOG.X, LOG.value, treatment=LOG.treatment)


def test_a_campaign_tells_what_it_is():
    assert repr(LOG) == "Campaign(2,000 users, 20 features, arms none, 1 EUR, 2 EUR, 4 EUR, 8 EUR)"
    assert isinstance(LOG, Campaign)


def test_a_small_arm_is_not_invisible_to_the_default_learner():
    """30 treated of 600, true effect 5: leaves of 40 could never hold them apart."""
    rng = np.random.default_rng(0)
    treatment = (np.arange(600) < 30).astype(int)
    value = 10 + 5.0 * treatment + rng.normal(0, 0.5, 600)
    model = SLearner().fit(rng.normal(size=(600, 3)), value, treatment=treatment)
    assert model.predict(rng.normal(size=(200, 3))).effect.mean() == pytest.approx(5, abs=0.7)


class Overwriting:
    """A policy that works in place on the features it is given."""

    arms_ = HELD_OUT.arms

    def decide(self, users, budget):
        users[:] = 0
        return np.zeros(len(users), dtype=int)


def test_a_policy_cannot_change_the_log():
    before = HELD_OUT.X.copy()
    with pytest.raises(ValueError, match="read-only"):
        evaluate({"mine": Overwriting()}, HELD_OUT, budgets=[400.0], estimators=["ipw"], n_bootstrap=10)
    np.testing.assert_array_equal(HELD_OUT.X, before)


def test_names_that_are_no_text():
    zeros = np.zeros(len(HELD_OUT), dtype=int)
    table = evaluate({1: zeros, 2: zeros}, HELD_OUT, budgets=[4.0], reference=1, estimators=["ipw"], n_bootstrap=5)
    assert table.policy.tolist() == ["1", "2"]
    assert (table.reference == "1").all()
    with pytest.raises(InputError, match=r"policies: the policy '1'.* give each a name of its own"):
        evaluate({1: zeros, "1": zeros}, HELD_OUT, budgets=[4.0])


@pytest.mark.parametrize(
    ("policies", "options", "message"),
    [
        (
            {"m": SLearner().fit(TRAIN.X, TRAIN.value, treatment=TRAIN.treatment)},
            {},
            r"'m' is a SLearner, which cannot",
        ),
        ({"m": TopUsers}, {}, r"'m' is the class TopUsers, which cannot decide; a fitted policy"),
        ({"m": [[1, 2], [1]]}, {}, r"policy 'm' decided in rows of several lengths"),
        (None, {}, r"no policy to evaluate; give \{name: fitted policy\}"),
        ({"m": np.zeros(1, dtype=int)}, {"estimators": None}, r"estimators is None; a list of ipw, sn"),
        ({"m": np.zeros(1, dtype=int)}, {"train": "log"}, r"train is a str; the Campaign that was fitted on"),
    ],
)
def test_plausible_mistakes_are_told(policies, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(policies, HELD_OUT, budgets=[400.0], n_bootstrap=10, **options)


def test_a_policy_of_your_own_may_remember_plain_ids():
    mine = TopUsers().fit(TRAIN)
    mine.users_ = [int(i) for i in HELD_OUT.user_id[:3]]
    for log in (HELD_OUT, replace(HELD_OUT, source="")):
        with pytest.raises(InputError, match=r"3 of 1,000 users in the evaluation set trained policy 'mine'"):
            evaluate({"mine": mine}, log, budgets=[400.0], n_bootstrap=10)
