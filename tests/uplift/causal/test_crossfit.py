"""Cross-fitting: balanced folds, predictions that never saw the user, tables in the order of the arms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from uplift import InputError
from uplift.causal import assign_folds, cross_fit_outcome, cross_fit_probability
from uplift.learners import SLearner


@given(
    counts=st.lists(st.integers(2, 30), min_size=1, max_size=5), n_folds=st.integers(2, 6), seed=st.integers(0, 99)
)
@settings(deadline=None)
def test_folds_are_balanced_by_arm_and_in_all(counts, n_folds, seed):
    """Any two folds differ by at most one user of each arm and by at most one user in all."""
    t = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if n_folds > len(t):
        return
    fold = assign_folds(t, n_folds, seed=seed)
    for rows in [np.ones(len(t), dtype=bool), *(t == j for j in range(len(counts)))]:
        sizes = np.bincount(fold[rows], minlength=n_folds)
        assert sizes.max() - sizes.min() <= 1
    assert len(np.bincount(fold)) == n_folds


def test_clusters_stay_together():
    """All users of a cluster share a fold, and folds hold equally many clusters."""
    cluster = np.repeat(np.arange(30), 4)
    fold = assign_folds(np.tile([0, 1], 60), 5, cluster=cluster, seed=3)
    first = fold.reshape(30, 4)
    assert (first == first[:, :1]).all()
    assert_array_equal(np.bincount(first[:, 0]), [6] * 5)


def test_same_seed_same_folds():
    t = np.tile([0, 1, 2], 40)
    assert assign_folds(t, seed=1).tobytes() == assign_folds(list(t), seed=1).tobytes()
    assert assign_folds(t, seed=1).tobytes() != assign_folds(t, seed=2).tobytes()


@pytest.mark.parametrize(
    ("treatment", "options", "words"),
    [
        ([0, 1] * 4, {"n_folds": 1}, "n_folds is 1; a whole number from 2 to the 8 users"),
        ([0, 1] * 4, {"n_folds": 9}, "n_folds is 9"),
        ([0, 1] * 4, {"n_folds": 2.5}, "n_folds is 2.5"),
        ([0, 1] * 4, {"n_folds": 4, "cluster": [0, 0, 0, 0, 1, 1, 2, 2]}, "2 to the 3 clusters"),
        ([0, 1] * 4, {"cluster": [0, 1]}, r"cluster has shape \(2,\) for 8 users"),
        ([0, 0, 0, 0, 1], {"n_folds": 2}, r"all users of treatment 1 \(1\) are in fold"),
        ([0, 1, 0, 1], {"n_folds": 2, "cluster": [0, 1, 0, 1]}, "at least 2 users .or clusters. of every arm"),
        ([0.5, 1.0], {}, "whole numbers"),
        ([], {}, "whole numbers"),
    ],
)
def test_folds_that_cannot_be(treatment, options, words):
    with pytest.raises(InputError, match=words):
        assign_folds(treatment, **options)


def test_outcomes_are_out_of_fold():
    """The nearest neighbour of a user is itself, unless it was left out: then the answer is the other twin's."""
    x = np.repeat(np.arange(10.0), 2)[:, None]  # twins at one place, one in each fold
    y = np.arange(20.0)
    fold = np.tile([0, 1], 10)
    table = cross_fit_outcome(KNeighborsRegressor(1), x, y, np.zeros(20, int), fold, 1)
    assert_array_equal(table[:, 0], y.reshape(10, 2)[:, ::-1].ravel())


def test_outcomes_of_each_arm_are_its_own_line():
    """Without noise a straight line an arm is found exactly, for users of every arm."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((60, 1)), np.tile([0, 1, 2], 20)
    truth = np.column_stack([x[:, 0] * k + k**2 for k in (1, 2, 3)])
    table = cross_fit_outcome(LinearRegression(), x, truth[np.arange(60), t], t, assign_folds(t), 3)
    assert_allclose(table, truth, atol=1e-12)


def test_response_learner_as_outcome_model_is_fitted_outside_the_fold():
    """Value 100 in the one fold, 0 in the other: predictions are the other's, for every arm."""
    rng = np.random.default_rng(0)
    fold, t = np.repeat([0, 1], 30), np.tile([0, 1, 2], 20)
    model = SLearner(base=LinearRegression())
    table = cross_fit_outcome(model, rng.standard_normal((60, 1)), 100.0 * fold, t, fold, 3)
    assert_allclose(table, np.repeat([[100.0] * 3, [0.0] * 3], 30, axis=0), atol=1e-4)
    assert not hasattr(model, "value_model_")


def test_classifier_as_outcome_model_gives_the_expected_label():
    """A stump on one 0/1 feature predicts the share of ones among its side outside the fold; one label is itself."""
    x = np.tile([0, 0, 0, 1, 1, 1], 4)[:, None].astype(float)
    y = np.tile([0, 0, 3, 3, 3, 0], 4).astype(float)
    fold = np.repeat([0, 1, 2, 3], 6)
    table = cross_fit_outcome(DecisionTreeClassifier(), x, y, np.zeros(24, int), fold, 1)
    assert_allclose(table[:, 0], np.where(x[:, 0] == 0, 1.0, 2.0))
    same = cross_fit_outcome(LogisticRegression(), x, np.full(24, 2.0), np.zeros(24, int), fold, 1)
    assert_array_equal(same, np.full((24, 1), 2.0))


def test_probabilities_stand_in_the_order_of_the_arms():
    """A model without features predicts the shares outside the fold, by hand."""
    t = np.array([2, 2, 0, 1, 2, 2, 0, 1, 2, 2, 0, 1])
    fold = np.repeat([0, 1, 2], 4)
    table = cross_fit_probability(DummyClassifier(strategy="prior"), np.zeros((12, 1)), t, fold, 3)
    assert_allclose(table, np.tile([0.25, 0.25, 0.5], (12, 1)))


def test_wrong_models_and_folds():
    X, t, fold = np.zeros((8, 1)), np.tile([0, 1], 4), np.repeat([0, 1], 4)
    with pytest.raises(InputError, match="a scikit-learn classifier with predict_proba"):
        cross_fit_probability(LinearSVC(), X, t, fold, 2)
    with pytest.raises(InputError, match="a scikit-learn classifier with predict_proba"):
        cross_fit_probability(LogisticRegression, X, t, fold, 2)
    with pytest.raises(InputError, match=r"model is 'ridge'; a scikit-learn regressor or .*or a response learner"):
        cross_fit_outcome("ridge", X, t, t, fold, 2)
    with pytest.raises(InputError, match=r"fold has shape \(3,\) for 8 users"):
        cross_fit_outcome(LinearRegression(), X, t, t, fold[:3], 2)
    for arms in (1, 3):
        with pytest.raises(InputError, match=f"the arms 0, 1, and n_arms is {arms}; every arm from 0"):
            cross_fit_outcome(LinearRegression(), X, t, t, fold, arms)
    with pytest.raises(InputError, match="n_arms is 3"):
        cross_fit_probability(LogisticRegression(), X, t, fold, 3)
    with pytest.raises(InputError, match=r"treatment has shape \(8,\) and type <U\d+"):
        cross_fit_probability(LogisticRegression(), X, t.astype(str), fold, 2)
    with pytest.raises(InputError, match=r"X has shape \(7, 1\) for 8 users"):
        cross_fit_probability(LogisticRegression(), X[:7], t, fold, 2)
    with pytest.raises(InputError, match=r"value has shape \(7,\) for 8 users"):
        cross_fit_outcome(LinearRegression(), X, t[:7], t, fold, 2)
    for other in (np.where(fold == 1, np.nan, 0.0), fold.astype(str)):
        with pytest.raises(InputError, match=r"fold has the type .*; whole numbers are expected"):
            cross_fit_outcome(LinearRegression(), X, t, t, other, 2)
