"""CausalForest against EconML called directly, on a known effect, and on a log that is not randomised."""

import numpy as np
import pytest
from econml.dml import CausalForestDML
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from uplift import InputError
from uplift.learners import CausalForest


def log(n=1_500, seed=0, randomised=True):
    """Two treatments: +1 and +2 for users with x1 > 0, else nothing; the base value is 3 x0."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3)).astype(np.float32)
    tilt = np.zeros(n) if randomised else X[:, 0]
    p = np.column_stack([np.ones(n), np.exp(tilt), np.exp(tilt)])
    p /= p.sum(axis=1, keepdims=True)
    t = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)
    effect = (X[:, [1]] > 0) * np.array([1.0, 2.0])
    value = 3 * X[:, 0] + np.column_stack([np.zeros(n), effect])[np.arange(n), t] + rng.standard_normal(n)
    return X, value, t, p, effect


def test_as_econml_itself():
    """The same models, folds, trees and seed given to EconML directly: the same effects and intervals."""
    X, value, t, _, _ = log(400)
    ours = CausalForest(LinearRegression(), propensity_base=DummyClassifier(), n_estimators=40, seed=5)
    ours.fit(X, value, treatment=t)
    peer = CausalForestDML(
        model_y=LinearRegression(),
        model_t=DummyClassifier(),
        discrete_treatment=True,
        cv=3,
        n_estimators=40,
        min_samples_leaf=10,
        random_state=5,
    ).fit(value, t, X=X)
    lower, upper = ours.effect_interval(X, level=0.9)
    for j in (1, 2):
        assert_allclose(ours.predict(X).effect[:, j - 1], peer.effect(X, T0=0, T1=j), atol=1e-6)
        low, high = peer.effect_interval(X, T0=0, T1=j, alpha=0.1)
        assert_allclose(lower[:, j - 1], low, atol=1e-6)
        assert_allclose(upper[:, j - 1], high, atol=1e-6)


def test_finds_who_responds_and_covers_it():
    """Away from the step at x1 = 0 the forest's 95% intervals hold the effects 0, 1 and 2 for nine in ten."""
    X, value, t, p, effect = log(4_000)
    model = CausalForest(LinearRegression(), n_estimators=100).fit(X, value, treatment=t, propensity=p)
    away = np.abs(X[:, 1]) > 0.5
    got = model.predict(X[away]).effect
    assert_allclose(got, effect[away], atol=0.9)
    assert np.abs(got - effect[away]).mean() < 0.2
    lower, upper = model.effect_interval(X[away])
    assert ((lower <= effect[away]) & (effect[away] <= upper)).mean() > 0.9


def test_given_propensities_take_the_confounding_away():
    """Users of high value are treated more: the raw difference is off by more than 1, the forest by less than .3."""
    X, value, t, p, effect = log(4_000, randomised=False)
    assert value[t == 1].mean() - value[t == 0].mean() - effect[:, 0].mean() > 1
    model = CausalForest(LinearRegression(), n_estimators=40).fit(X, value, treatment=t, propensity=p)
    assert_allclose(model.predict(X).effect.mean(axis=0), effect.mean(axis=0), atol=0.3)


def test_prediction_repeats_to_the_bit():
    """Trees are added up in one order, whatever the number of threads."""
    X, value, t, _, _ = log(400)
    first, second = (CausalForest(LinearRegression(), n_estimators=40).fit(X, value, treatment=t) for _ in range(2))
    assert_array_equal(first.predict(X).value, second.predict(X).value)


def test_refused():
    X, value, t, _, _ = log(60)
    with pytest.raises(InputError, match="n_estimators is 10; a multiple of 4 is expected"):
        CausalForest(LinearRegression(), n_estimators=10).fit(X, value, treatment=t)
    with pytest.raises(InputError, match=r"max_samples is 'a'; a share above 0 and up to 0\.5 is expected"):
        CausalForest(LinearRegression(), max_samples="a").fit(X, value, treatment=t)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        CausalForest(LinearRegression()).fit(X, value, treatment=t)
