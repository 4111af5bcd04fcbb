"""Scores of a campaign, and the outcome models behind them: nobody is predicted by a model that saw that user."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from allocation.policies.scored import OutcomeModels, Scores, scores_of
from tests.allocation.policies.end_to_end_logs import drawn_costs, noisy
from uplift.errors import InputError
from uplift.response import Response

LEARNT: list[np.ndarray] = []  # the users' numbers that each fitted model saw


class Notes(BaseEstimator):
    """A response learner that notes whom it saw: column 0 of X numbers the users. It predicts its mean value."""

    def fit(self, X, value, *, treatment, cost=None, propensity=None, arms=None):
        LEARNT.append(np.asarray(X)[:, 0].astype(int))
        self.seen_, self.mean_, self.arms_ = set(LEARNT[-1].tolist()), float(np.mean(value)), tuple(arms)
        return self

    def predict(self, X):
        """Value: the mean of the users learnt from; cost: 1 for a user learnt from, else 0."""
        shape = (len(X), len(self.arms_))
        known = np.array([float(int(x) in self.seen_) for x in np.asarray(X)[:, 0]])
        return Response(np.full(shape, self.mean_), np.repeat(known[:, None], shape[1], axis=1), self.arms_)


@pytest.fixture
def numbered():
    log = noisy(60)
    log.X[:, 0] = np.arange(60)
    LEARNT.clear()
    return log


def test_every_user_is_predicted_by_the_model_of_the_other_half(numbered):
    models = OutcomeModels.fit(numbered, Notes(), seed=0)
    value, cost = models.expected
    assert (cost == 0).all()  # nobody was learnt from by whom he is predicted
    assert len(LEARNT) == 2
    assert sorted(np.concatenate(LEARNT).tolist()) == list(range(60))
    for learnt in LEARNT:
        others = np.setdiff1d(np.arange(60), learnt)
        assert (np.bincount(numbered.treatment[learnt]) == 10).all()
        np.testing.assert_array_equal(value[others], np.float32(numbered.value[learnt].mean()))


def test_new_users_get_the_mean_of_both_models(numbered):
    models = OutcomeModels.fit(numbered, Notes(), seed=0)
    value, cost = models.predict(np.full((5, 3), 999, dtype=np.float32))
    both = np.mean([numbered.value[learnt].mean() for learnt in LEARNT])
    np.testing.assert_allclose(value, both, rtol=1e-6)
    assert (cost == 0).all()
    assert value.dtype == cost.dtype == np.float32


def test_the_folds_follow_the_seed(numbered):
    for seed in (0, 0, 1):
        OutcomeModels.fit(numbered, Notes(), seed=seed)
    np.testing.assert_array_equal(LEARNT[0], LEARNT[2])
    assert set(LEARNT[0].tolist()) != set(LEARNT[4].tolist())


def test_an_arm_of_one_user_is_refused(numbered):
    few = numbered.take(np.r_[1, np.flatnonzero(numbered.treatment != 1)])
    with pytest.raises(InputError, match=r"all users of treatment 1 \(1\) are in fold"):
        OutcomeModels.fit(few, Notes(), seed=0)


@pytest.mark.parametrize("modelled", [True, False])
def test_scores_of_a_campaign_are_those_of_its_value_and_of_its_cost(modelled):
    log, rng = drawn_costs(30), np.random.default_rng(1)
    expected = tuple(rng.normal(size=(2, 30, 3)).astype(np.float32)) if modelled else None
    got = scores_of(log, expected)
    for k, (table, amount) in enumerate(((got.value, log.value), (got.cost, log.cost))):
        for i in range(30):
            for j in range(3):
                m = float(expected[k][i, j]) if modelled else 0.0
                hit = log.treatment[i] == j
                assert table[i, j] == pytest.approx(m + hit * 3 * (amount[i] - m), rel=1e-5, abs=1e-5)
        assert table.dtype == np.float32


def test_scores_of_some_users_keep_their_predictions():
    value, cost, m, c = np.random.default_rng(0).normal(size=(4, 6, 2)).astype(np.float32)
    part = Scores(value, cost, (m, c)).take(np.array([4, 1]))
    np.testing.assert_array_equal(part.value, value[[4, 1]])
    np.testing.assert_array_equal(part.cost, cost[[4, 1]])
    np.testing.assert_array_equal(part.expected[0], m[[4, 1]])
    np.testing.assert_array_equal(part.expected[1], c[[4, 1]])
    assert Scores(value, cost).take(slice(0, 2)).expected is None
