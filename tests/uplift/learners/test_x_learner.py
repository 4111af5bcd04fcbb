"""The X-learner against least squares by hand, against EconML's, and where its parts must agree."""

import numpy as np
import pytest
from econml.metalearners import XLearner as Peer
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from uplift import InputError
from uplift.learners import XLearner


def log(n=600, seed=0):
    """Three arms whose values bend differently, unequal shares."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3)).astype(np.float32)
    t = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    value = X[:, 0] ** 2 + t * (1 + X[:, 1]) + rng.standard_normal(n)
    return X, value, t


def line(X, y):
    """Least squares with a constant, as a function of X."""
    beta = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y, rcond=None)[0]
    return lambda Z: np.column_stack([np.ones(len(Z)), Z]) @ beta


def test_every_step_by_hand():
    """Six lines: three levels, and an effect from each side of arms 1 and 2, mixed by shares .5 .3 .2."""
    X, value, t = log()
    shares = np.bincount(t) / len(t)
    got = XLearner(LinearRegression()).fit(X, value, treatment=t).predict(X)
    level = [line(X[t == j], value[t == j]) for j in range(3)]
    for j in (1, 2):
        from_treated = line(X[t == j], value[t == j] - level[0](X[t == j]))
        from_control = line(X[t == 0], level[j](X[t == 0]) - value[t == 0])
        g = shares[j] / (shares[0] + shares[j])
        assert_allclose(got.effect[:, j - 1], g * from_control(X) + (1 - g) * from_treated(X), atol=1e-4)
    assert_allclose(got.value[:, 0], level[0](X), atol=1e-4)


@pytest.mark.parametrize("share", [DummyClassifier(), LogisticRegression()], ids=["shares", "logistic"])
def test_two_arms_as_econml(share):
    """With one treatment, bases and propensity model alike, EconML's X-learner gives the same effects."""
    X, value, t = log()
    X, value, t = X[t < 2], value[t < 2], t[t < 2]
    peer = Peer(models=Ridge(), propensity_model=share).fit(value, t, X=X)
    ours = XLearner(Ridge(), propensity_base=share).fit(X, value, treatment=t).predict(X)
    assert_allclose(ours.effect[:, 0], peer.effect(X), atol=1e-4)


def test_given_propensities_mix_the_sides():
    """Propensities .8 and .2 for everybody, whatever the shares of the log: g = .2."""
    X, value, t = log()
    X, value, t = X[t < 2], value[t < 2], t[t < 2]
    p = np.tile([0.8, 0.2], (len(t), 1))
    model = XLearner(LinearRegression()).fit(X, value, treatment=t, propensity=p)
    from_control, from_treated = (side.predict(X) for side in model.effect_models_[0])
    assert_allclose(model.predict(X).effect[:, 0], 0.2 * from_control + 0.8 * from_treated, atol=1e-5)


def test_a_classifier_for_the_value_leaves_effects_to_the_default():
    """Effects of a 0/1 value lie between -1 and 1 and need a regressor."""
    X, value, t = log()
    bought = (value > 1).astype(float)
    model = XLearner(LogisticRegression()).fit(X, bought, treatment=t)
    assert type(model.effect_models_[0][0]).__name__ == "LGBMRegressor"
    assert np.corrcoef(model.predict(X).effect[:, 1], X[:, 1])[0, 1] > 0.3


def test_cost_is_that_of_a_t_learner():
    """A known cost comes back exactly, a varying one is least squares on the arm's users."""
    X, value, t = log()
    cost = np.choose(t, [0.0, 0.3, 5 + X[:, 2].astype(float)])
    got = XLearner(LinearRegression()).fit(X, value, treatment=t, cost=cost).predict(X[t == 2]).cost
    assert_array_equal(got[:, :2], np.tile([0, 0.3], (int((t == 2).sum()), 1)))
    assert_allclose(got[:, 2], cost[t == 2], atol=1e-4)


@pytest.mark.parametrize("wrong", [LinearRegression, "lines", 3])
def test_refuses_effect_bases_that_are_no_model(wrong):
    X, value, t = log()
    with pytest.raises(InputError, match=r"effect_base is .*; a scikit-learn regressor is expected"):
        XLearner(effect_base=wrong).fit(X, value, treatment=t)


def test_refuses_a_regressor_of_the_arm():
    X, value, t = log()
    with pytest.raises(InputError, match=r"propensity_base is LinearRegression\(\); .* classifier"):
        XLearner(propensity_base=LinearRegression()).fit(X, value, treatment=t)
