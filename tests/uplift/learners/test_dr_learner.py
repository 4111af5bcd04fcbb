"""DRLearner against regressions of scores by hand, against EconML itself, and where only one part is right."""

import numpy as np
import pytest
from econml.dr import DRLearner as Peer
from econml.sklearn_extensions.linear_model import StatsModelsLinearRegression
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from uplift import InputError, synthetic
from uplift.learners import DRLearner

NOTHING = DummyRegressor(strategy="constant", constant=0.0)


def log(n=900, seed=0, randomised=True):
    """Three arms, linear effects 1 + x1 and 2 - x1; not randomised: users with high x0, and value, get arms."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 2)).astype(np.float32)
    scores = np.zeros((n, 3)) if randomised else 0.6 * np.column_stack([np.zeros(n), X[:, 0], -X[:, 0]])
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    t = (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)
    effect = np.column_stack([np.zeros(n), 1 + X[:, 1], 2 - X[:, 1]])
    value = 3 * X[:, 0] + effect[np.arange(n), t] + rng.standard_normal(n)
    return X, value, t, p, effect[:, 1:]


def test_without_an_outcome_model_it_regresses_inverse_propensity_scores():
    """m = 0: Gamma_ij = 1[t_i = j] y_i / p_ij; "linear" is least squares of Gamma_j - Gamma_0 on x."""
    X, value, t, p, _ = log(randomised=False)
    got = DRLearner(NOTHING, final="linear").fit(X, value, treatment=t, propensity=p).predict(X).effect
    gamma = (t[:, None] == np.arange(3)) * value[:, None] / p
    design = np.column_stack([np.ones(len(X)), X])
    for j in (1, 2):
        beta = np.linalg.lstsq(design, gamma[:, j] - gamma[:, 0], rcond=None)[0]
        assert_allclose(got[:, j - 1], design @ beta, atol=1e-4)


def test_as_econml_itself():
    """The same models, folds and seed given to EconML directly: the same effects and the same intervals."""
    X, value, t, _, _ = log()
    ours = DRLearner(
        LinearRegression(), "linear", propensity_base=DummyClassifier(), min_propensity=1e-6, seed=3
    ).fit(X, value, treatment=t)
    peer = Peer(
        model_propensity=DummyClassifier(),
        model_regression=LinearRegression(),
        model_final=StatsModelsLinearRegression(),
        cv=3,
        random_state=3,
    ).fit(value, t, X=X)
    lower, upper = ours.effect_interval(X, level=0.9)
    for j in (1, 2):
        assert_allclose(ours.predict(X).effect[:, j - 1], peer.effect(X, T0=0, T1=j), atol=1e-6)
        low, high = peer.effect_interval(X, T0=0, T1=j, alpha=0.1)
        assert_allclose(lower[:, j - 1], low, atol=1e-6)
        assert_allclose(upper[:, j - 1], high, atol=1e-6)


@pytest.mark.parametrize(
    ("base", "given"), [(NOTHING, True), (LinearRegression(), False)], ids=["propensity right", "outcome right"]
)
def test_one_right_model_is_enough(base, given):
    """A confounded log: raw differences are off by 1 and more, the mean effect is found with either part right."""
    X, value, t, p, effect = log(20_000, randomised=False)
    raw = value[t == 1].mean() - value[t == 0].mean()
    assert abs(raw - effect[:, 0].mean()) > 1
    propensity = p if given else None
    wrong = DummyClassifier(strategy="prior")
    model = DRLearner(base, "linear", propensity_base=wrong).fit(X, value, treatment=t, propensity=propensity)
    assert_allclose(model.predict(X).effect.mean(axis=0), effect.mean(axis=0), atol=0.15)


def test_propensities_are_estimated_where_none_are_given():
    """A useless outcome model and no propensities: the default classifier of the arm takes most of the bias away."""
    X, value, t, _, effect = log(20_000, randomised=False)
    raw = value[t == 1].mean() - value[t == 0].mean()
    got = DRLearner(NOTHING, "linear").fit(X, value, treatment=t).predict(X).effect[:, 0].mean()
    assert abs(got - effect[:, 0].mean()) < 0.25 * abs(raw - effect[:, 0].mean())


def test_intervals_of_the_line_cover_the_truth():
    """Effects that are linear: over 60 logs and 20 users, 95% intervals cover in 91 to 99%."""
    covered = []
    for seed in range(60):
        X, value, t, p, effect = log(400, seed)
        model = DRLearner(LinearRegression(), "linear", seed=seed).fit(X, value, treatment=t, propensity=p)
        lower, upper = model.effect_interval(X[:20])
        covered.append((lower <= effect[:20]) & (effect[:20] <= upper))
    assert 0.91 < np.mean(covered) < 0.99


def test_every_kind_of_final_model_finds_the_direction():
    X, value, t, p, effect = log(2_000)
    for final in ("boosted", "linear", LinearRegression()):
        got = DRLearner(LinearRegression(), final).fit(X, value, treatment=t, propensity=p).predict(X).effect
        assert np.corrcoef(got[:, 0], effect[:, 0])[0, 1] > 0.8
        assert np.corrcoef(got[:, 1], effect[:, 1])[0, 1] > 0.8


def test_forest_effects_and_intervals():
    """The honest forest follows the effect; a wider level is a wider interval around the effect."""
    X, value, t, p, effect = log(1_500)
    model = DRLearner(LinearRegression(), "forest").fit(X, value, treatment=t, propensity=p)
    got = model.predict(X).effect
    assert np.corrcoef(got[:, 0], effect[:, 0])[0, 1] > 0.7
    narrow, wide = model.effect_interval(X, level=0.5), model.effect_interval(X, level=0.99)
    assert (wide[0] < narrow[0]).all()
    assert (narrow[0] <= got).all()
    assert (got <= narrow[1]).all()
    assert (narrow[1] < wide[1]).all()


def test_classifier_for_a_binary_value():
    X, value, t, p, _ = log(2_000)
    bought = (value > 1).astype(float)
    got = DRLearner(LogisticRegression(), "linear").fit(X, bought, treatment=t, propensity=p).predict(X)
    means = [bought[t == j].mean() for j in range(3)]
    assert_allclose(got.value.mean(axis=0), means, atol=0.03)


def test_same_seed_same_bytes():
    log_ = synthetic.simulate(600, seed=0).campaign

    def fitted(seed):
        model = DRLearner(LinearRegression(), "boosted", seed=seed)
        args = {"treatment": log_.treatment, "cost": log_.cost, "propensity": log_.propensity}
        return model.fit(log_.X, log_.value, **args).predict(log_.X).value

    assert_array_equal(fitted(1), fitted(1))
    assert not np.array_equal(fitted(1), fitted(2))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"final": "quadratic"}, r"final is 'quadratic'; a regressor or one of boosted, linear, forest"),
        ({"propensity_base": LinearRegression()}, r"propensity_base is LinearRegression\(\); .* classifier"),
        ({"propensity_base": LogisticRegression}, "propensity_base is <class .*; a scikit-learn classifier"),
        ({"propensity_base": "logistic"}, "propensity_base is 'logistic'; a scikit-learn classifier"),
        ({"min_propensity": None}, "min_propensity is None; a probability below 0.5"),
        ({"cost_base": "a"}, "cost_base is 'a'; a scikit-learn regressor or classifier is expected"),
        ({"final": LinearRegression}, r"final is .*LinearRegression.*; a regressor or one of"),
    ],
)
def test_refused(params, message):
    X, value, t, _, _ = log(90)
    with pytest.raises(InputError, match=message):
        DRLearner(**{"base": LinearRegression()} | params).fit(X, value, treatment=t, cost=value)


def test_an_arm_too_small_for_the_folds():
    X, value, t, _, _ = log(90)
    t[:] = 0
    t[:2] = 1
    with pytest.raises(InputError, match="the smallest arm has 2 users; cross-fitting in 3 folds"):
        DRLearner(LinearRegression()).fit(X, value, treatment=t)


def test_boosted_has_no_intervals():
    X, value, t, _, _ = log(90)
    model = DRLearner(LinearRegression()).fit(X, value, treatment=t)
    with pytest.raises(InputError, match=r"final='boosted' gives no intervals; fit with final='linear'"):
        model.effect_interval(X)
    with pytest.raises(InputError, match=r"level is 95; a number between 0 and 1"):
        model.effect_interval(X, level=95)
