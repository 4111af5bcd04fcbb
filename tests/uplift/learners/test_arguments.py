"""Arguments of `fit` and of the metrics: names or numbers of arms are used as meant, the rest is refused in words."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.linear_model import LinearRegression

from uplift import InputError, metrics, synthetic
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


@every
def test_arms_by_name_and_by_truth(learner):
    """Names with `arms=` and booleans are the same treatment as numbers."""
    arms = ("none", "coupon 5", "coupon 10")
    by_number = small(learner).fit(X, VALUE, treatment=T, arms=arms).predict(X)
    for text in (np.array(arms)[T], np.array(arms, dtype=object)[T], pd.Series(np.array(arms)[T])):
        by_name = small(learner).fit(X, VALUE, treatment=text, arms=arms).predict(X)
        assert_array_equal(by_name.value, by_number.value)
        assert by_name.arms == arms
    two = T < 2
    truth = small(learner).fit(X[two], VALUE[two], treatment=T[two] == 1).predict(X).value
    assert_array_equal(truth, small(learner).fit(X[two], VALUE[two], treatment=T[two]).predict(X).value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treatment": np.where(T == 2, "coupon 50", "none"), "arms": ("none", "coupon 5")},
         r"100 rows with an arm that arms does not name, first 'coupon 50' .* Did you mean 'coupon 5'\?"),
        ({"treatment": T.astype(str)}, r"treatment has type <U\d+; whole numbers .* Campaign.from_frame"),
        ({"treatment": np.where(T == 2, np.nan, T)}, "treatment has type float64"),
        ({"treatment": T, "arms": "abc"}, "arms is 'abc'; a list of names"),
        ({"treatment": T, "arms": 5}, "arms is 5; a list of names"),
        ({"value": ["1"] * N}, "value holds no numbers"),
        ({"value": np.array(["1"] * N, dtype=object)}, "value holds no numbers"),
        ({"propensity": pd.DataFrame(np.full((N, 3), 1 / 3), columns=["a", "b", "c"])},
         "propensity is a table of named columns, which .* would mix up; give an array in the order of the arms"),
        ({"propensity": np.tile([0.5, 0.5, 0.0], (N, 1))}, r"propensity of arm '2' lies outside \(0, 1\] in 300"),
        ({"value": ["a"] * N}, "value holds no numbers"),
        ({"value": {"x": 1}}, "value holds no numbers"),
        ({"cost": 1.0}, r"cost has shape \(\)"),
        ({"value": np.where(T == 2, np.inf, VALUE)}, r"value has 100 infinite of 300 cells"),
    ],
)  # fmt: skip
@every
def test_refused_in_words(learner, change, message):
    with pytest.raises(InputError, match=message):
        small(learner).fit(X, **{"value": VALUE, "treatment": T} | change)


def test_a_campaign_is_no_table():
    log = synthetic.simulate(100, seed=0).campaign
    with pytest.raises(InputError, match=r"X is a Campaign; its features are expected: campaign\.X"):
        SLearner().fit(log, log.value, treatment=log.treatment)


def test_predictions_given_to_a_metric_whole():
    response = SLearner(LinearRegression()).fit(X, VALUE, treatment=T).predict(X)
    ranking = DRP(hidden=(), epochs=1).fit(X, VALUE, treatment=T, cost=T).predict(X)
    with pytest.raises(InputError, match=r"score is a Response; numbers are expected: give its \.effect"):
        metrics.qini(response, VALUE, T)
    with pytest.raises(InputError, match=r"score is a Ranking; numbers are expected: give its \.roi"):
        metrics.aucc(ranking, VALUE, T, T)
