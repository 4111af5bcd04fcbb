"""Both learners against closed forms: least squares an arm, weighted means, known costs; and what they refuse."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from uplift import InputError, synthetic
from uplift.learners import ResponseLearner, SLearner, TLearner
from uplift.learners.bases import default_base

# Small trees on one thread: the cores of a test machine are busy with other tests.
TREES = default_base(0).set_params(n_jobs=1, n_estimators=20)
both = pytest.mark.parametrize("learner", [SLearner, TLearner])
ARMS = ("none", "mail", "call")


class Log:
    """A log of 240 users and three arms with linear value, drawn once."""

    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 3)).astype(np.float32)
    treatment = rng.permutation(np.repeat([0, 1, 2], 80))
    noise = rng.standard_normal(240)
    # A coefficient column an arm, the first row is the constant.
    parallel = np.array([[1.0, 3.0, -2.0], [2.0, 2.0, 2.0], [0.5, 0.5, 0.5], [-1.0, -1.0, -1.0]])
    crossing = np.array([[1.0, 3.0, -2.0], [2.0, -1.0, 0.0], [0.5, 4.0, 0.5], [-1.0, 0.0, 1.5]])
    design = np.column_stack([np.ones(240), X])
    # Control is free, a mail costs 0.3, a call 1 to 3 by its length.
    cost = np.choose(treatment, [0.0, 0.3, np.clip(2.0 + X[:, 0].astype(float), 1, 3)])

    @classmethod
    def received(cls, table):
        """Of a table (n, K+1), what each user's arm gave, shape (n,)."""
        return table[np.arange(240), cls.treatment]


@pytest.mark.parametrize(
    ("learner", "truth"), [(SLearner, Log.parallel), (TLearner, Log.parallel), (TLearner, Log.crossing)]
)
def test_recovers_a_linear_truth(learner, truth):
    """Without noise least squares finds the table of all arms; the S-learner if arms differ by a constant."""
    table = Log.design @ truth
    model = learner(LinearRegression()).fit(Log.X, Log.received(table), treatment=Log.treatment, arms=ARMS)
    response = model.predict(Log.X)
    assert response.arms == ARMS
    assert_allclose(response.value, table, atol=2e-5)
    assert_allclose(response.effect, table[:, 1:] - table[:, :1], atol=4e-5)


def test_t_learner_is_least_squares_in_each_arm():
    """With noise: numpy's lstsq on the users of each arm is the oracle."""
    value = Log.received(Log.design @ Log.crossing) + Log.noise
    model = TLearner(LinearRegression()).fit(Log.X, value, treatment=Log.treatment)
    for j in range(3):
        rows = Log.treatment == j
        beta = np.linalg.lstsq(Log.design[rows], value[rows], rcond=None)[0]
        assert_allclose(model.predict(Log.X).value[:, j], Log.design @ beta, atol=2e-5)


def test_s_learner_is_least_squares_with_an_indicator_of_each_treatment():
    """With noise: numpy's lstsq on features and indicators is the oracle."""
    value = Log.received(Log.design @ Log.crossing) + Log.noise
    model = SLearner(LinearRegression()).fit(Log.X, value, treatment=Log.treatment)
    beta = np.linalg.lstsq(np.column_stack([Log.design, np.eye(3)[Log.treatment][:, 1:]]), value, rcond=None)[0]
    for j, shift in enumerate([0.0, beta[4], beta[5]]):
        assert_allclose(model.predict(Log.X).value[:, j], Log.design @ beta[:4] + shift, atol=2e-5)


@both
def test_predicted_value_of_a_classifier_is_a_probability(learner):
    """For a 0/1 value the prediction is predict_proba of the class 1."""
    value = (Log.X[:, 0] + Log.treatment + Log.noise > 1).astype(float)
    got = learner(LogisticRegression()).fit(Log.X, value, treatment=Log.treatment).predict(Log.X).value
    for j in range(3):
        if learner is TLearner:
            rows = Log.treatment == j
            expected = LogisticRegression().fit(Log.X[rows], value[rows]).predict_proba(Log.X)[:, 1]
        else:
            inputs = np.array([[0, 1, 0, 0], [1, 0, 1, 0], [2, 0, 0, 1]])  # number of the arm, indicators
            oracle = LogisticRegression().fit(np.column_stack([Log.X, inputs[Log.treatment]]), value)
            expected = oracle.predict_proba(np.column_stack([Log.X, np.tile(inputs[j], (240, 1))]))[:, 1]
        assert_allclose(got[:, j], expected, atol=1e-4)


def test_expected_label_of_a_classifier_with_three_classes():
    """Labels 0, 1 and 5: the prediction is P(1) + 5 P(5)."""
    value = np.array([0.0, 1.0, 5.0])[np.clip(np.round(Log.X[:, 0] + 1).astype(int), 0, 2)]
    got = TLearner(LogisticRegression()).fit(Log.X, value, treatment=Log.treatment).predict(Log.X).value[:, 1]
    rows = Log.treatment == 1
    p = LogisticRegression().fit(Log.X[rows], value[rows]).predict_proba(Log.X)
    assert_allclose(got, p[:, 1] + 5 * p[:, 2], atol=1e-4)


@both
@pytest.mark.parametrize("base", [None, LinearRegression()], ids=["trees", "linear"])
def test_known_costs_come_back_exactly(learner, base):
    """A cost that is the same for every user of an arm is no matter of estimation; no cost given costs nothing."""
    model = learner(base).fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost)
    assert_array_equal(model.predict(Log.X).cost[:, 0], 0.0)
    assert_array_equal(model.predict(Log.X).cost[:, 1], 0.3)
    free = learner(base).fit(Log.X, Log.noise, treatment=Log.treatment).predict(Log.X)
    assert_array_equal(free.cost, np.zeros((240, 3)))


@both
def test_predicted_cost_stays_within_what_was_paid(learner):
    """Users a hundred times beyond the log: a line would promise calls at -200, the shortest call costs 1."""
    model = learner(LinearRegression()).fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost)
    calls = model.predict(100 * Log.X).cost[:, 2]
    paid = Log.cost[Log.treatment == 2]
    assert calls.min() == paid.min()
    assert calls.max() == paid.max()
    near = model.predict(Log.X).cost[:, 2]
    assert ((paid.min() < near) & (near < paid.max())).mean() > 0.5


@both
def test_cost_of_a_varying_arm_is_least_squares_on_its_users(learner):
    """Arms with a known cost teach the cost model nothing."""
    cost = np.choose(Log.treatment, [0.0, 0.3, 20 + Log.X @ np.float32([1, 2, 3])])
    model = learner(LinearRegression()).fit(Log.X, Log.noise, treatment=Log.treatment, cost=cost)
    inside = Log.X[Log.treatment == 2]
    assert_allclose(model.predict(inside).cost[:, 2], cost[Log.treatment == 2], atol=1e-4)


@both
def test_cost_base_is_used_for_cost_alone(learner):
    """A mean for the cost beside a line for the value."""
    model = learner(LinearRegression(), cost_base=DummyRegressor())
    response = model.fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost).predict(Log.X)
    assert_allclose(response.cost[:, 2], Log.cost[Log.treatment == 2].mean())
    assert np.ptp(response.value[:, 2]) > 0


X4 = np.array([[0.0], [1.0], [0.0], [1.0]])
T4 = np.array([0, 1, 0, 1])
Y4 = np.array([1.0, 2.0, 3.0, 4.0])
P4 = np.array([[0.5, 0.5], [0.75, 0.25], [0.8, 0.2], [0.8, 0.2]])


def test_propensity_weights_a_mean():
    """Received with .5 .25 .8 .2, weights 2 4 1.25 5: (2 + 8 + 3.75 + 20) / 12.25; by arm 5.75 / 3.25 and 28 / 9."""
    s = SLearner(DummyRegressor()).fit(X4, Y4, treatment=T4, propensity=P4).predict(X4)
    assert_allclose(s.value, 33.75 / 12.25)
    t = TLearner(DummyRegressor()).fit(X4, Y4, treatment=T4, propensity=P4).predict(X4)
    assert_allclose(t.value, [[5.75 / 3.25, 28 / 9]] * 4)
    assert_allclose(SLearner(DummyRegressor()).fit(X4, Y4, treatment=T4).predict(X4).value, 2.5)


def test_propensity_weights_the_cost_too():
    """Costs 1 and 3 of the users of arm 1 with weights 4 and 5: 19 / 9."""
    for learner in (SLearner, TLearner):
        model = learner(DummyRegressor()).fit(X4, Y4, treatment=T4, cost=[0, 1, 0, 3], propensity=P4)
        assert_allclose(model.predict(X4).cost, [[0, 19 / 9]] * 4)


@both
def test_equal_propensities_change_nothing(learner):
    """A log randomised alike for everybody needs no weights: the same bytes with and without."""
    args = {"treatment": Log.treatment, "cost": Log.cost}
    plain = learner(TREES, seed=1).fit(Log.X, Log.noise, **args).predict(Log.X)
    given = learner(TREES, seed=1).fit(Log.X, Log.noise, **args, propensity=np.full((240, 3), 1 / 3)).predict(Log.X)
    assert plain.value.tobytes() == given.value.tobytes()
    assert plain.cost.tobytes() == given.cost.tobytes()


@both
@pytest.mark.parametrize("base", [TREES, ExtraTreesRegressor(5)], ids=["trees", "random trees"])
def test_same_seed_same_bytes(learner, base):
    """The seed reaches a base that draws numbers; another seed draws others."""

    def fitted(seed):
        model = learner(base, seed=seed).fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost)
        response = model.predict(Log.X)
        return response.value.tobytes() + response.cost.tobytes()

    assert fitted(3) == fitted(3)
    assert base is TREES or fitted(3) != fitted(4)


@both
def test_threads_change_nothing(learner):
    """LightGBM with one thread and with two: the same bytes."""
    log = synthetic.simulate(2_000, seed=1).campaign
    one, two = (
        learner(clone(TREES).set_params(n_jobs=jobs, n_estimators=6, num_leaves=7))
        .fit(log.X, log.value, treatment=log.treatment, cost=log.cost)
        .predict(log.X)
        for jobs in (1, 2)
    )
    assert one.value.tobytes() == two.value.tobytes()
    assert one.cost.tobytes() == two.cost.tobytes()


@both
def test_scikit_learn_conventions(learner):
    """Parameters survive clone, nested ones can be set, fit leaves them and the base untouched."""
    base = RandomForestRegressor(3, random_state=9)
    model = learner(base, seed=5)
    assert clone(model).get_params()["base__n_estimators"] == 3
    assert clone(model).get_params()["seed"] == 5
    assert model.set_params(seed=6, base__n_estimators=4) is model
    before = str(model.get_params())
    assert model.fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost) is model
    assert model.base is base
    assert str(model.get_params()) == before
    assert not hasattr(base, "estimators_")
    assert model.n_features_in_ == 3
    assert isinstance(model, ResponseLearner)
    assert not hasattr(clone(model), "arms_")


@both
def test_metadata_routing(learner):
    """In a pipeline treatment and cost arrive where they are requested, and are refused where they are not."""
    with sklearn.config_context(enable_metadata_routing=True):
        model = learner(LinearRegression()).set_fit_request(treatment=True, cost=True, propensity=True, arms=True)
        given = {"treatment": Log.treatment, "cost": Log.cost, "arms": ARMS}
        routed = make_pipeline(StandardScaler(), model).fit(Log.X, Log.noise, **given).predict(Log.X)
        with pytest.raises(UnsetMetadataPassedError, match="treatment"):
            make_pipeline(StandardScaler(), learner(LinearRegression())).fit(Log.X, Log.noise, **given)
    scaled = StandardScaler().fit_transform(Log.X)
    direct = learner(LinearRegression()).fit(scaled, Log.noise, **given).predict(scaled)
    assert_array_equal(routed.value, direct.value)
    assert_array_equal(routed.cost, direct.cost)
    assert routed.arms == ARMS


def test_t_learner_has_no_order_of_arms():
    """Arms under other numbers give the same columns under other numbers."""
    new = np.array([2, 0, 1])
    args = {"cost": Log.cost}
    plain = TLearner(TREES).fit(Log.X, Log.noise, treatment=Log.treatment, **args).predict(Log.X)
    other = TLearner(TREES).fit(Log.X, Log.noise, treatment=new[Log.treatment], **args).predict(Log.X)
    assert_array_equal(plain.value, other.value[:, new])
    assert_array_equal(plain.cost, other.cost[:, new])


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": Log.noise[:-1]}, r"value has shape \(239,\); X has 240 rows"),
        ({"value": Log.noise[:, None]}, r"value has shape \(240, 1\)"),
        ({"treatment": Log.treatment[:-1]}, r"treatment has shape \(239,\); X has 240 rows"),
        ({"cost": Log.cost[1:]}, r"cost has shape \(239,\); X has 240 rows"),
        ({"treatment": Log.treatment.astype(float)}, r"treatment has type float64; whole numbers 0\.\.K"),
        ({"treatment": np.array(ARMS)[Log.treatment]}, r"treatment has type <U4; whole numbers 0\.\.K"),
        ({"treatment": Log.treatment - 1}, r"treatment runs from -1 to 1"),
        ({"arms": ("none", "mail")}, r"treatment runs from 0 to 2; 0\.\.1 is expected"),
        ({"arms": (*ARMS, "sms")}, r"arm 'sms' \(treatment 3\) was never logged in 240 rows"),
        ({"treatment": 2 * (Log.treatment // 2)}, r"arm '1' \(treatment 1\) was never logged in 240 rows"),
        ({"propensity": np.full((240, 2), 0.5)}, r"propensity has shape \(240, 2\); .* \(240, 3\) is expected"),
        (
            {"propensity": np.tile([1.0, 0, 0], (240, 1))},
            r"propensity of arm '1' lies outside \(0, 1\] in 240 of 240 rows, first 0 in row 0; .*: drop",
        ),
        ({"propensity": np.full((240, 3), np.nan)}, r"propensity of arm '0' has 240 missing \(NaN\) of 240 cells"),
        ({"base": StandardScaler()}, r"base is StandardScaler\(\); a scikit-learn regressor or classifier"),
        ({"cost_base": StandardScaler()}, r"base is StandardScaler\(\); a scikit-learn regressor or classifier"),
        pytest.param({"base": LinearRegression}, r"base is"),
        pytest.param({"base": "linear"}, r"base is"),
        pytest.param({"arms": ("none", "mail", "mail")}, r"arms.*'mail'"),
        pytest.param({"propensity": np.full((240, 3), np.inf)}, r"propensity"),
    ],
)
def test_refused(learner, change, message):
    """The message names the argument, what was got and what is expected."""
    args = {"value": Log.noise, "treatment": Log.treatment, "cost": Log.cost} | change
    model = learner(args.pop("base", LinearRegression()), cost_base=args.pop("cost_base", None))
    with pytest.raises(InputError, match=message):
        model.fit(Log.X, **args)


@both
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("X", r"X contains NaN: feature 0 has 1 missing of 240 cells"),
        ("value", r"value has 1 missing \(NaN\) of 240 cells, the first in row 3"),
        ("cost", r"cost has 1 missing \(NaN\) of 240 cells, the first in row 3"),
    ],
)
def test_missing_cells(learner, name, message):
    """A NaN is refused by its argument's name, with where and how many."""
    args = {"X": Log.X, "value": Log.noise, "cost": Log.cost}
    args[name] = args[name].copy()
    args[name].reshape(len(Log.X), -1)[3, 0] = np.nan
    with pytest.raises(InputError, match=message):
        learner(LinearRegression()).fit(**args, treatment=Log.treatment)


@both
def test_predict(learner):
    """Not before fit, and only for as many features as were learnt."""
    with pytest.raises(NotFittedError, match="not fitted yet"):
        learner().predict(Log.X)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3"):
        learner(LinearRegression()).fit(Log.X, Log.noise, treatment=Log.treatment).predict(Log.X[:, :2])


@both
def test_forest_for_the_cost(learner):
    """An ensemble is a regressor like others, though it has no length before it is fitted."""
    model = learner(LinearRegression(), cost_base=RandomForestRegressor(3))
    assert model.fit(Log.X, Log.noise, treatment=Log.treatment, cost=Log.cost).predict(Log.X).cost.shape == (240, 3)


@both
@pytest.mark.parametrize("base", [KNeighborsRegressor(), make_pipeline(StandardScaler(), DummyRegressor())])
def test_weights_are_not_dropped_in_silence(learner, base):
    """A base that cannot take weights is refused when propensities differ between users."""
    with pytest.raises(InputError, match="weight"):
        learner(base).fit(
            np.tile(X4, (5, 1)), np.tile(Y4, 5), treatment=np.tile(T4, 5), propensity=np.tile(P4, (5, 1))
        )


@both
def test_the_seed_reaches_inside_a_pipeline(learner):
    """Same seed, same bytes, for a random base within a pipeline too."""
    one, two = (
        learner(make_pipeline(StandardScaler(), ExtraTreesRegressor(3)), seed=1)
        .fit(Log.X, Log.noise, treatment=Log.treatment)
        .predict(Log.X)
        .value
        for _ in range(2)
    )
    assert_array_equal(one, two)


def test_an_arm_where_nothing_ever_happened():
    """A classifier sees one class only among the users of that arm: its label is the prediction."""
    value = np.where(Log.treatment == 0, 0, Log.noise > 0).astype(float)
    model = TLearner(LogisticRegression()).fit(Log.X, value, treatment=Log.treatment, arms=ARMS)
    assert_array_equal(model.predict(Log.X).value[:, 0], 0)


@both
def test_default_cost_of_a_redeemed_incentive_is_positive_in_any_currency(learner):
    """Paid to some users of an arm: nobody is predicted free, and cents instead of euros change only the unit."""
    log = synthetic.simulate(1_000, seed=2).campaign
    value = (log.value > 5).astype(float)  # of a classifier, so that the cost falls to its default model

    def predicted(unit):
        model = learner(LogisticRegression(max_iter=500))
        return model.fit(log.X, value, treatment=log.treatment, cost=unit * log.cost).predict(log.X).cost

    euros = predicted(1)
    assert (euros[:, 1:] > 0).all()
    assert_allclose(predicted(100), 100 * euros, rtol=1e-4)


@both
def test_default_cost_may_be_negative(learner):
    """A cost that is sometimes a revenue is learnt too, within its range."""
    cost = np.where(Log.treatment == 2, np.sign(Log.X[:, 0]) * 2.0, 0.0)
    calls = (
        learner(LogisticRegression())
        .fit(Log.X, Log.noise > 0, treatment=Log.treatment, cost=cost)
        .predict(Log.X)
        .cost[:, 2]
    )
    assert -2 <= calls.min() < -1
    assert 1 < calls.max() <= 2
