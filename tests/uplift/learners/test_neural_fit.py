"""How NeuralResponse is fitted: weights count in full, means are set right, odd torch settings do not matter."""

import json

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.optim.optimizer import register_optimizer_step_pre_hook

from uplift import InputError
from uplift.learners import net_fit
from uplift.learners.log import Log
from uplift.learners.nets import ResponseNet, trunk_of
from uplift.learners.neural import NeuralResponse
from uplift.learners.outcomes import Outcome
from uplift.learners.training import Schedule, train

N = 400
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 3)).astype(np.float32)
T = RNG.permutation(np.repeat([0, 1], N // 2))
VALUE = X[:, 0] + T * X[:, 1] + RNG.standard_normal(N)
COST = T * (1 + RNG.random(N))
ROWS = np.arange(N)


def fitted(features=X, value=VALUE, treatment=T, cost=COST, **params):
    return NeuralResponse(**{"hidden": (8,), "epochs": 2, **params}).fit(
        features, value, treatment=treatment, cost=cost
    )


def weighted_least_squares(features, y, t, weight):
    """Predictions (n, 2) of a line an arm, in closed form."""
    design = np.column_stack([np.ones(len(y)), features])
    lines = []
    for j in (0, 1):
        root = np.sqrt(weight[t == j])
        lines.append(np.linalg.lstsq(design[t == j] * root[:, None], y[t == j] * root, rcond=None)[0])
    return design @ np.transpose(lines)


def test_rare_users_of_large_weight_count_in_full():
    """2% of users, treated with .01 and worth 10 more, the others with .5: each arm's weighted mean, by hand."""
    rng = np.random.default_rng(0)
    n = 20_000
    rare = rng.random(n) < 0.02
    p = np.where(rare, 0.01, 0.5)
    t = (rng.random(n) < p).astype(int)
    value = 10 * rare + rng.standard_normal(n)
    propensity = np.column_stack([1 - p, p])
    weight = 1 / propensity[np.arange(n), t]
    model = NeuralResponse().fit(np.ones((n, 1)), value, treatment=t, propensity=propensity)
    want = [np.average(value[t == j], weights=weight[t == j]) for j in (0, 1)]
    assert_allclose(model.predict([[1.0]]).value[0], want, atol=0.03)


def test_without_hidden_layers_it_is_weighted_least_squares():
    """Half of the users are treated with 1/4, half with 3/4, and these are worth 3 more; a line cannot see who."""
    rng = np.random.default_rng(1)
    likely = rng.random(N) < 0.5
    propensity = np.where(likely[:, None], [0.25, 0.75], [0.75, 0.25])
    t = (rng.random(N) < propensity[:, 1]).astype(int)
    value = 3 * likely + X @ [1, 2, 0] + t * (1 + X[:, 1]) + 0.5 * rng.standard_normal(N)
    weight = 1 / propensity[ROWS, t]
    model = NeuralResponse(hidden=(), epochs=60, weight_decay=0.0, lr=0.02, value_likelihood="gaussian")
    got = model.fit(X, value, treatment=t, propensity=propensity).predict(X).value
    plain, weighted = (weighted_least_squares(X, value, t, w) for w in (np.ones(N), weight))
    assert_allclose(got, np.clip(weighted, value.min(), value.max()), atol=0.15)
    assert np.abs(plain - weighted).max() > 0.5


def test_the_default_decay_leaves_the_effects_of_a_small_log():
    """5,000 users, an effect of .3 where x0 > 0, else 0, beside a level with a deviation of 1: a third shows."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((5_000, 3))
    t = rng.integers(0, 2, 5_000)
    gains = features[:, 0] > 0
    value = features[:, 1] + 0.3 * gains * t + 0.5 * rng.standard_normal(5_000)
    effect = NeuralResponse().fit(features, value, treatment=t).predict(features).effect[:, 0]
    assert effect[gains].mean() - effect[~gains].mean() > 0.1


@pytest.mark.parametrize(
    ("weight", "slope", "norm"), [(1.0, 9.0, 9), (1.0, 1e4, 10), (50.0, 450.0, 450), (50.0, 1e4, 500)]
)
def test_a_gradient_is_cut_at_ten_times_the_largest_weight(weight, slope, norm):
    """A loss of slope x parameter has the slope for its gradient, as the optimiser sees it up to the cut."""
    net = torch.nn.Linear(1, 1, bias=False)
    seen = []
    hook = register_optimizer_step_pre_hook(lambda *_: seen.append(net.weight.grad.norm().item()))
    try:
        rng = np.random.default_rng(0)
        train(net, lambda rows: slope * net.weight.sum(), np.array([weight]), Schedule(1, 1, 0.1, 0.0), rng)
    finally:
        hook.remove()
    assert seen == pytest.approx([norm])


@pytest.mark.parametrize("likelihood", ["zero_inflated_lognormal", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_add_up_to_the_log_where_the_family_is_wrong(likelihood, weighted):
    """Spend is 1 or 30, no lognormal: without the calibration its sum is .6 of the log's."""
    rng = np.random.default_rng(1)
    n = 2_000
    features = rng.standard_normal((n, 2))
    t = rng.integers(0, 2, n)
    value = (rng.random(n) < 0.3) * np.where(rng.random(n) < 0.9, 1, 30) * np.exp(0.3 * rng.standard_normal(n))
    treated = np.where(features[:, 0] > 0, 0.3, 0.6)
    propensity = np.column_stack([1 - treated, treated]) if weighted else None
    model = NeuralResponse(hidden=(8,), value_likelihood=likelihood)
    model.fit(features, value, treatment=t, propensity=propensity)
    weight = 1 / propensity[np.arange(n), t] if weighted else np.ones(n)
    assert weight @ model.predict(features).value[np.arange(n), t] == pytest.approx(weight @ value, rel=1e-3)


def test_one_user_far_out_does_not_move_everybody():
    """Lognormal spend with heavy-tailed features: the median expectation is .2 e^.5 = .33, up to the fit's noise."""
    rng = np.random.default_rng(0)
    features = rng.standard_t(2, (3_000, 3))
    t = rng.integers(0, 2, 3_000)
    log_spend = np.clip(1.5 * features[:, 0], -8, 8) + rng.standard_normal(3_000)
    value = (rng.random(3_000) < 0.2) * np.exp(log_spend)
    model = NeuralResponse().fit(features, value, treatment=t)
    assert model.value_likelihood_ == "zero_inflated_lognormal"
    assert 0.2 < np.median(model.predict(features).value) < 0.5


@pytest.mark.parametrize(("total", "factor"), [(1.9, 1.9), (0.6, 0.6), (2.5, 1.0), (0.1, 1.0)])
def test_a_calibration_by_more_than_a_factor_of_two_is_left_out(monkeypatch, total, factor):
    """The log's sum is `total` times the table's, here of ones."""
    amounts = np.full(N, total)
    log = Log(X, amounts, T, amounts, None, ("none", "mail"))

    class Head:
        family = "poisson"
        unit = torch.ones(2)

    class Net:
        value, cost = Head(), Head()

    Net.cost.unit = torch.ones(2)
    Net.value.unit = torch.ones(2)
    monkeypatch.setattr(net_fit, "tables", lambda *_: (np.ones((N, 2)), np.ones((N, 2))))
    net_fit._calibrate(Net, log, np.array([False, True]), (), torch.device("cpu"))
    assert_allclose(Net.value.unit, factor)
    assert_allclose(Net.cost.unit, factor)


def test_arms_of_known_cost_teach_nothing_about_cost():
    """The loss of a log whose control costs 3, which is known, is that of one whose control costs 300."""
    t = np.arange(N) % 3
    outcome = Outcome("gaussian", np.zeros(3), np.ones(3))
    net = ResponseNet(trunk_of(X, (4,), torch.Generator()), 2, outcome, outcome, torch.Generator())
    losses = []
    for known in (3.0, 300.0):
        cost = np.choose(t, [np.full(N, known), 2 + X[:, 0] ** 2, 1 + COST])
        log = Log(X, VALUE, t, cost, None, ("none", "mail", "call"))
        loss = net_fit._loss(net, log, (outcome, outcome), np.array([False, True, True]), torch.device("cpu"))
        losses.append(loss(torch.arange(N)).item())
    assert losses[0] == losses[1]


def test_propensities_weigh_the_cost_too():
    """Users of x0 > 0, treated 1 in 5, pay 4, the others 1: the weighted mean 2.5, by hand, and not 1.6."""
    rng = np.random.default_rng(1)
    high = X[:, 0] > 0
    p = np.where(high, 0.2, 0.8)
    t = (rng.random(N) < p).astype(int)
    cost = t * (np.where(high, 4.0, 1.0) + 0.1 * rng.random(N))
    propensity = np.column_stack([1 - p, p])
    model = NeuralResponse(hidden=(), epochs=20, cost_likelihood="gaussian")
    model.fit(np.ones((N, 1)), VALUE, treatment=t, cost=cost, propensity=propensity)
    treated = t == 1
    want = np.average(cost[treated], weights=1 / p[treated])
    assert model.predict([[1.0]]).cost[0, 1] == pytest.approx(want, abs=0.1)
    assert want - cost[treated].mean() > 0.5


def test_a_user_farther_out_than_ten_deviations_is_taken_for_one_at_ten():
    model = fitted()
    mean, scale = (getattr(model.net_.trunk, name).numpy() for name in ("mean", "scale"))
    for sign in (-1, 1):
        at_ten, beyond = mean + sign * 10 * scale, mean + sign * 1e6 * scale
        assert_allclose(model.predict([beyond]).value, model.predict([at_ten]).value, rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_feature_constant_in_the_log_is_ignored_later(likelihood):
    """A constant column, one missing throughout, one constant with holes: nothing was learnt of their values."""
    rng = np.random.default_rng(1)
    holed = np.where(rng.random(N) < 0.3, np.nan, 5.0)
    wide = np.column_stack([X, np.full(N, 0.1), np.full(N, np.nan), holed]).astype(np.float32)
    model = fitted(wide, value=np.abs(VALUE), value_likelihood=likelihood)
    want = model.predict(wide).value
    for moved in (7.0, -1e30, 3e38):
        other = wide.copy()
        other[:, 3:5] = moved
        other[~np.isnan(holed), 5] = moved
        assert_array_equal(model.predict(other).value, want)


def test_reversed_arrays_are_any_other_array():
    model = fitted()
    assert_array_equal(model.predict(X[::-1]).value, model.predict(X[::-1].copy()).value)
    turned = fitted(X[::-1, ::-1], VALUE[::-1], T[::-1], COST[::-1])
    plain = fitted(*(array.copy() for array in (X[::-1, ::-1], VALUE[::-1], T[::-1], COST[::-1])))
    assert_array_equal(turned.predict(X[:, ::-1]).value, plain.predict(X[:, ::-1].copy()).value)


@pytest.mark.parametrize(("monotone", "second"), [(True, 0.3), (False, 0.29999998)])
def test_monotone_tables_do_not_fall_by_a_last_digit(monotone, second):
    """A vectorised exponential is right but for the last digit: of two arms, .3 and then the float before it."""

    class Head:
        pass

    class Net:
        embedding = np.zeros((1, 8))
        value, cost = Head(), Head()

        def __call__(self, features):
            table = torch.tensor([[0.3, 0.29999998]]).expand(len(features), -1)
            return table, table

    Head.monotone = monotone
    ranges = (np.array([0.0, 1.0]), np.array([[0.0, 0.0], [1.0, 1.0]]))
    for table in net_fit.tables(Net(), X, ranges, torch.device("cpu")):
        assert_array_equal(table, np.tile(np.float32([0.3, second]), (N, 1)))


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "zero_inflated_lognormal"])
def test_the_default_dtype_of_torch_changes_no_byte(request, likelihood):
    value = np.exp(VALUE)
    want = fitted(value=value, value_likelihood=likelihood)
    meta, arrays = want._to_arrays()
    request.getfixturevalue("double")
    model = fitted(value=value, value_likelihood=likelihood)
    assert_array_equal(model.predict(X).value, want.predict(X).value)
    assert_array_equal(NeuralResponse()._from_arrays(meta, arrays).predict(X).value, want.predict(X).value)


@pytest.mark.parametrize("switched_off", [torch.no_grad, torch.inference_mode])
def test_it_fits_and_loads_where_gradients_are_switched_off(switched_off):
    want = fitted()
    with switched_off():
        model = fitted()
        again = NeuralResponse()._from_arrays(*want._to_arrays())
    for other in (model, again):
        assert_array_equal(other.predict(X).value, want.predict(X).value)
        features = torch.tensor(X[:3], requires_grad=True)
        other.net_(features)[0].sum().backward()
        assert features.grad.abs().sum() > 0


def test_no_gradient_is_left_behind():
    assert all(parameter.grad is None for parameter in fitted().net_.parameters())


def test_what_was_chosen_and_learnt_is_told_and_survives():
    """auto: a value with negative amounts is gaussian, a cost of many amounts poisson."""
    told = []
    model = fitted(epochs=3, progress=lambda epoch, epochs, mean: told.append(mean))
    assert (model.value_likelihood_, model.cost_likelihood_) == ("gaussian", "poisson")
    assert model.losses_ == tuple(told)
    assert model.losses_[2] < model.losses_[0]
    meta, arrays = model.set_params(hidden=(99,))._to_arrays()
    again = NeuralResponse()._from_arrays(json.loads(json.dumps(meta)), arrays)
    assert (again.value_likelihood_, again.cost_likelihood_) == ("gaussian", "poisson")
    assert again.losses_ == model.losses_
    assert_array_equal(again.predict(X).value, model.predict(X).value)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"progress": True}, "progress is True; a function of"),
        ({"progress": "bar"}, "progress is 'bar'"),
        ({"monotone": ["value"]}, r"monotone is \['value'\]; None, 'value'"),
        ({"value_likelihood": ["gaussian"]}, r"value_likelihood is \['gaussian'\]; 'auto'"),
        ({"epochs": True}, "epochs is True; a whole number"),
        ({"batch_size": True}, "batch_size is True"),
        ({"lr": True}, "lr is True; a number above 0"),
        ({"hidden": (True,)}, r"hidden is \(True,\)"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_refused(params, match):
    with pytest.raises(InputError, match=match):
        fitted(**params)
