"""Features from pandas, polars, Arrow, lists and arrays; missing cells, text, constants; GridSearchCV."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from uplift import InputError, metrics, synthetic
from uplift.learners import DCL, DRP, CausalForest, DirectRank, DRLearner, SLearner, TLearner, XLearner
from uplift.learners.base import factual_r2
from uplift.learners.bases import default_base
from uplift.learners.features import feature_array

LOG = synthetic.simulate(500, seed=4).campaign
X = LOG.X[:, :4]
NAMES = ["age", "visits", "spend", "distance"]
TREES = default_base(0).set_params(n_estimators=10, n_jobs=1)
FORMS = {
    "pandas": pd.DataFrame(X, columns=NAMES),
    "polars": pl.DataFrame(X, schema=NAMES),
    "arrow": pa.table({name: X[:, j] for j, name in enumerate(NAMES)}),
    "list": X.tolist(),
    "float64": X.astype(np.float64),
    "fortran": np.asfortranarray(X),
}
every_learner = pytest.mark.parametrize("learner", [SLearner, TLearner, XLearner, DRLearner])


@every_learner
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bytes(learner, form):
    args = {"treatment": LOG.treatment, "cost": LOG.cost}
    want = learner(TREES).fit(X, LOG.value, **args).predict(X)
    got = learner(TREES).fit(FORMS[form], LOG.value, **args).predict(FORMS[form])
    assert_array_equal(got.value, want.value)
    assert_array_equal(got.cost, want.cost)


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow"])
def test_columns_in_another_order_are_refused(form):
    """Names are remembered: a column that changed places would be another feature."""
    frame = FORMS[form]
    model = SLearner(LinearRegression()).fit(frame, LOG.value, treatment=LOG.treatment)
    if form != "arrow":  # scikit-learn knows no names of an Arrow table
        assert list(model.feature_names_in_) == NAMES
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(frame[NAMES[::-1]])


def with_city(make, cities):
    return make({"age": X[:, 0], "city": cities})


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
@every_learner
def test_text_is_refused_with_the_mend(learner, make):
    frame = with_city(make, ["Berlin", "Bonn"] * 250)
    with pytest.raises(InputError, match=r"feature column 'city' holds .* cells such as 'Berlin'.*OneHotEncoder"):
        learner(TREES).fit(frame, LOG.value, treatment=LOG.treatment)


def test_categories_are_refused_and_the_mend_works():
    """The message's own pipeline fits and predicts."""
    frame = with_city(pd.DataFrame, pd.Categorical(["Berlin", "Bonn"] * 250))
    with pytest.raises(InputError, match="feature column 'city' holds Categorical"):
        SLearner().fit(frame, LOG.value, treatment=LOG.treatment)
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(
            make_column_transformer((OneHotEncoder(sparse_output=False), ["city"]), remainder="passthrough"),
            SLearner(LinearRegression()).set_fit_request(treatment=True),
        )
        value = np.where(np.arange(500) % 2, 3.0, 1.0)
        got = model.fit(frame, value, treatment=LOG.treatment).predict(frame).value
    assert_allclose(got, np.tile(value[:, None], (1, 5)), atol=1e-4)


@every_learner
def test_missing_features_where_the_base_takes_them(learner):
    """LightGBM's trees do; the value depends on whether the cell is missing, and that is learnt."""
    holed = X.copy()
    holed[::2, 1] = np.nan
    value = np.where(np.isnan(holed[:, 1]), 10.0, 0.0)
    small = clone(TREES).set_params(n_estimators=40, min_child_samples=10)
    got = learner(small).fit(holed, value, treatment=LOG.treatment).predict(holed).value
    assert got[::2].mean() > got[1::2].mean() + 2


@pytest.mark.parametrize("frame", [pl.DataFrame({"a": [1.0, None]}), pd.DataFrame({"a": [1.0, None]})])
def test_a_null_is_a_missing_cell(frame):
    assert_array_equal(feature_array(frame, missing=True), np.float32([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="X contains NaN"):
        feature_array(frame)


@every_learner
def test_missing_features_elsewhere_are_refused_or_imputed(learner):
    holed = X.copy()
    holed[3, 1] = np.nan
    with pytest.raises(ValueError, match="X contains NaN"):
        learner(LinearRegression(), cost_base=LinearRegression()).fit(holed, LOG.value, treatment=LOG.treatment)
    if learner in (SLearner, TLearner):
        base = make_pipeline(SimpleImputer(), LinearRegression())
        response = learner(base).fit(holed, LOG.value, treatment=LOG.treatment).predict(holed)
        assert np.isfinite(response.value).all()


@pytest.mark.parametrize("learner", [SLearner, TLearner, XLearner, DRLearner, CausalForest])
def test_constant_features_and_a_single_one(learner):
    """Nothing to learn from: every user gets the arm's mean."""
    model = (
        learner(LinearRegression()) if learner is not CausalForest else learner(LinearRegression(), n_estimators=8)
    )
    got = model.fit(np.full((500, 1), 7.0), LOG.value, treatment=LOG.treatment).predict(np.full((3, 1), 7.0)).value
    means = [LOG.value[LOG.treatment == j].mean() for j in range(5)]
    assert_allclose(got, np.tile(means, (3, 1)), rtol=0.1)


@pytest.mark.parametrize("learner", [SLearner, TLearner, XLearner, DRLearner, CausalForest])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treatment": np.zeros(500, dtype=int)}, "treatment is 0 in all 500 rows, a log of one arm"),
        ({"X": X[:, 0]}, "Expected 2D array, got 1D array"),
        ({"X": X[:0]}, "0 sample"),
        ({"X": X[:-1]}, r"value has shape \(500,\); X has 499 rows"),
        ({"X": np.where(X > 2, np.inf, X)}, "X contains infinity"),
        (
            {"propensity": np.tile([0.0, 0.25, 0.25, 0.25, 0.25], (500, 1))},
            r"propensity of arm '0' lies outside \(0, 1\] in 500 of 500 rows, first 0 in row 0",
        ),
    ],
    ids=["one arm", "1d", "empty", "short", "infinite", "propensity zero"],
)
def test_refused_by_every_learner(learner, change, message):
    args = {"X": X, "value": LOG.value, "treatment": LOG.treatment} | change
    with pytest.raises(ValueError, match=message):
        learner(LinearRegression()).fit(**args)


@every_learner
def test_grid_search_chooses_by_the_weighted_factual_loss(learner):
    """Treatment and propensity reach fit and score; a ridge that shrinks everything to the mean loses."""
    value = X @ np.float32([3, -2, 1, 0]) + LOG.treatment
    grid = {"base__alpha": [1e-3, 1e7]}
    with sklearn.config_context(enable_metadata_routing=True):
        model = learner(Ridge())
        model.set_fit_request(treatment=True, propensity=True).set_score_request(treatment=True, propensity=True)
        search = GridSearchCV(model, grid, cv=3)
        search.fit(X, value, treatment=LOG.treatment, propensity=LOG.propensity)
    assert search.best_params_ == {"base__alpha": 1e-3}
    assert search.best_score_ > 0.9
    assert search.predict(X).value.shape == (500, 5)


@pytest.mark.parametrize("ranker", [DirectRank, DRP, DCL])
def test_grid_search_of_a_ranker_by_the_cost_curve(ranker):
    """The cost is routed to the score, which is the AUCC of the returns on users that the fit did not see."""
    log = synthetic.simulate(4_000, seed=5).campaign
    routed = {"treatment": log.treatment, "cost": log.cost, "propensity": log.propensity}
    with sklearn.config_context(enable_metadata_routing=True):
        model = ranker(hidden=(8,), epochs=15)
        model.set_fit_request(treatment=True, cost=True, propensity=True)
        model.set_score_request(treatment=True, cost=True, propensity=True)
        search = GridSearchCV(model, {"lr": [1e-9, 0.05]}, cv=2).fit(log.X, log.value, **routed)
    assert search.best_params_ == {"lr": 0.05}
    roi = search.predict(log.X).roi
    want = metrics.aucc(roi, log.value, log.treatment, log.cost, propensity=log.propensity).area
    assert search.best_estimator_.score(log.X, log.value, **routed) == want


def test_score_by_hand():
    """Values 1, 3, 2, 6 under arms 0, 1, 0, 1, predicted 1, 4, 1, 4 with weights 2, 4, 2, 4: 1 - 22 / 38.

    Weights 1/p scaled to mean 1 do not matter. The mean is (2 + 12 + 4 + 24) / 12 = 3.5, so the spread is
    2 x 6.25 + 4 x .25 + 2 x 2.25 + 4 x 6.25 = 43, and the miss 0 + 4 + 2 + 16 = 22.
    """
    from uplift import Response

    predicted = Response(np.tile([1.0, 4.0], (4, 1)), np.zeros((4, 2)), ("none", "mail"))
    p = np.tile([2 / 3, 1 / 3], (4, 1))  # weights 1.5 and 3, in the ratio of 2 and 4
    t = np.array([0, 1, 0, 1])
    got = factual_r2(predicted, np.zeros((4, 1)), np.array([1.0, 3.0, 2.0, 6.0]), t, p)
    assert got == pytest.approx(1 - 22 / 43)
