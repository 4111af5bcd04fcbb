"""Logs at the edge, seeds of every kind, and classifiers of odd labels: used as meant, or refused in words."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from uplift import InputError, metrics
from uplift.learners import DRP, CausalForest, DRLearner, SLearner, TLearner, XLearner

RNG = np.random.default_rng(0)
N = 300
X = RNG.standard_normal((N, 3)).astype(np.float32)
T = RNG.permutation(np.repeat([0, 1, 2], N // 3))
VALUE = X[:, 0] + T * (1 + X[:, 1]) + RNG.standard_normal(N)
EVERY = [SLearner, TLearner, XLearner, DRLearner, CausalForest]
every = pytest.mark.parametrize("learner", EVERY)


def small(learner, **params):
    """With lines as base models, and few trees where there is a forest."""
    return learner(LinearRegression(), **params, **({"n_estimators": 8} if learner is CausalForest else {}))


@pytest.mark.parametrize("learner", [SLearner, TLearner, XLearner])
def test_one_user_in_an_arm(learner):
    """The default trees cannot be fitted to one user; that user's outcome is then the arm's prediction."""
    t = np.zeros(60, dtype=int)
    t[:30], t[7] = 1, 2
    cost = np.where(t == 0, 0.0, 1.0 + X[:60, 1] ** 2)
    got = learner().fit(X[:60], VALUE[:60], treatment=t, cost=cost).predict(X[:5])
    assert np.isfinite(got.value).all()
    if learner is TLearner:
        assert_array_equal(got.value[:, 2], VALUE[7])
    assert_allclose(got.cost[:, 2], cost[7])


@every
def test_seeds(learner):
    """A Generator is as good as a number; equal ones give equal bytes; anything else is refused in words."""

    def fitted(seed):
        return small(learner, seed=seed).fit(X, VALUE, treatment=T).predict(X).value

    assert_array_equal(fitted(np.random.default_rng(3)), fitted(np.random.default_rng(3)))
    assert_array_equal(fitted(np.int64(3)), fitted(3))
    for seed in (None, 1.5, -1, "0", True, 2**31):
        with pytest.raises(InputError, match=r"seed is .* a whole number from 0 to 2,147,483,647"):
            fitted(seed)


@every
def test_propensities_that_do_not_sum_to_one(learner):
    with pytest.raises(InputError, match=r"the propensities of the 3 arms sum to 1\.5 in 300 of 300 rows"):
        small(learner).fit(X, VALUE, treatment=T, propensity=np.full((N, 3), 0.5))
    with pytest.raises(InputError, match="propensity is a dict; a table of numbers"):
        small(learner).fit(X, VALUE, treatment=T, propensity={"0": 0.5})


@every
def test_an_offset_that_single_precision_would_lose(learner):
    """Effects of 1 on a value around a billion would come out as exactly 0."""
    with pytest.raises(InputError, match=r"value varies by .* around 1e\+09.*subtract a constant"):
        small(learner).fit(X, VALUE + 1e9, treatment=T)
    assert np.isfinite(small(learner).fit(X, VALUE + 1e4, treatment=T).predict(X).value).all()


@pytest.mark.parametrize("learner", [DRLearner, CausalForest])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5.0 * (VALUE > 1), "base is the classifier LogisticRegression, and the value holds 5; 0 and 1 alone"),
        (np.digitize(VALUE, [0, 1]), "the value holds 2; 0 and 1 alone are expected"),
        (np.arange(N) < 3, "has 297 zeros and 3 ones; cross-fitting needs at least 10 of each"),
        (np.zeros(N), "has 300 zeros and 0 ones"),
    ],
)
def test_labels_that_cross_fitting_cannot_use(learner, value, message):
    """EconML would count {0, 5} as {0, 1}, and effects would come out five times too small."""
    with pytest.raises(InputError, match=message):
        learner(LogisticRegression()).fit(X, value.astype(float), treatment=T)


@pytest.mark.parametrize("learner", [DRLearner, CausalForest])
def test_a_base_that_is_none(learner):
    for base in (Ridge, "ridge"):
        with pytest.raises(InputError, match=r"base is .*; a scikit-learn regressor or classifier is expected"):
            learner(base).fit(X, VALUE, treatment=T)


def test_x_learner_where_a_classifier_gives_both_arms_no_chance():
    """A tree is sure of arm 2: for arm 1 against control the log's own shares are the weights."""
    model = XLearner(LinearRegression(), propensity_base=DecisionTreeClassifier(random_state=0))
    got = model.fit(X, VALUE, treatment=T).predict(X)
    from_control, from_treated = (side.predict(X) for side in model.effect_models_[0])
    sure = T == 2
    assert_allclose(got.effect[sure, 0], (0.5 * from_control + 0.5 * from_treated)[sure], atol=1e-5)
    assert_allclose(got.effect[T == 1, 0], from_control[T == 1], atol=1e-5)


def test_x_learner_seeds_its_propensity_model():
    def fitted():
        model = XLearner(LinearRegression(), propensity_base=RandomForestClassifier(5), seed=1)
        return model.fit(X, VALUE, treatment=T).predict(X).value

    assert_array_equal(fitted(), fitted())


def test_x_learner_effects_are_amounts():
    with pytest.raises(InputError, match=r"effect_base is LogisticRegression\(\); a scikit-learn regressor"):
        XLearner(effect_base=LogisticRegression()).fit(X, VALUE, treatment=T)


def test_a_score_needs_no_user_of_every_arm():
    """A fold of GridSearchCV may lack an arm: the factual error of the users there is still an error."""
    model = SLearner(Ridge()).fit(X, VALUE, treatment=T)
    rows = T < 2
    missed = VALUE[rows] - model.predict(X[rows]).value[np.arange(200), T[rows]]
    want = 1 - (missed**2).sum() / ((VALUE[rows] - VALUE[rows].mean()) ** 2).sum()
    assert model.score(X[rows], VALUE[rows], treatment=T[rows]) == pytest.approx(want)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DRLearner(LinearRegression(), min_propensity=2.0), r"min_propensity is 2\.0"),
        (
            DRLearner(LinearRegression(), LogisticRegression()),
            r"final is LogisticRegression\(\); a regressor",
        ),
        (CausalForest(LinearRegression(), n_estimators=8.0), r"n_estimators is 8\.0; a multiple of 4"),
        (CausalForest(LinearRegression(), max_samples=0.6), r"max_samples is 0\.6; a share"),
        (CausalForest(LinearRegression(), min_samples_leaf=0), r"min_samples_leaf is 0; 1 user or more"),
    ],
)
def test_parameters_out_of_range(model, message):
    with pytest.raises(InputError, match=message):
        model.fit(X, VALUE, treatment=T)


def test_a_level_that_is_no_number():
    model = DRLearner(LinearRegression(), "linear").fit(X, VALUE, treatment=T)
    with pytest.raises(InputError, match="level is '95'"):
        model.effect_interval(X, level="95")


def test_cross_validation_of_a_pipeline_by_level_and_by_qini():
    """A Pipeline hands its last step a sample_weight; and effects can be what is selected by."""
    given = {"treatment": (T > 0).astype(int)}
    qini = make_scorer(lambda y, p, treatment: metrics.qini(p.effect, y, treatment).area)
    with sklearn.config_context(enable_metadata_routing=True):
        learner = TLearner(LinearRegression()).set_fit_request(treatment=True).set_score_request(treatment=True)
        model = make_pipeline(StandardScaler(), learner)
        levels = cross_val_score(model, X, VALUE, params=given, cv=3)
        areas = cross_val_score(model, X, VALUE, params=given, cv=3, scoring=qini.set_score_request(treatment=True))
    folds = [slice(0, 100), slice(100, 200), slice(200, 300)]
    for fold, level, area in zip(folds, levels, areas, strict=True):
        rest = np.delete(np.arange(N), fold)
        alone = TLearner(LinearRegression()).fit(X[rest], VALUE[rest], treatment=given["treatment"][rest])
        t = given["treatment"][fold]
        assert level == pytest.approx(alone.score(X[fold], VALUE[fold], treatment=t), abs=1e-5)
        predicted = alone.predict(X[fold]).effect
        assert area == pytest.approx(metrics.qini(predicted, VALUE[fold], t).area, abs=1e-5)


def test_weights_of_a_score_are_weights():
    """A weight of 2 is a row that stands twice."""
    model = SLearner(LinearRegression()).fit(X, VALUE, treatment=T)
    twice = np.r_[np.arange(N), np.arange(50)]
    weight = np.r_[np.full(50, 2.0), np.ones(N - 50)]
    weighted = model.score(X, VALUE, treatment=T, sample_weight=weight)
    for wrong, words in (
        (-weight, "runs from -2 to -1"),
        (0 * weight, "runs from 0 to 0"),
    ):
        with pytest.raises(InputError, match=f"sample_weight {words}; weights of at least 0"):
            model.score(X, VALUE, treatment=T, sample_weight=wrong)
    assert weighted == pytest.approx(model.score(X[twice], VALUE[twice], treatment=T[twice]))
    ranker = DRP(hidden=(), epochs=1).fit(X, VALUE, treatment=T, cost=T)
    with pytest.raises(InputError, match="sample_weight is given, which the cost curve does not take"):
        ranker.score(X, VALUE, treatment=T, cost=T, sample_weight=weight)
