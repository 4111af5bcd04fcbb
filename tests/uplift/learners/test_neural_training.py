"""The net and its training: monotone arms, the same bytes from a seed, nothing global touched, states as arrays."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from uplift import InputError, synthetic
from uplift.learners.likelihoods import LIKELIHOODS
from uplift.learners.nets import ArmHead, trunk_of
from uplift.learners.neural import NeuralResponse
from uplift.learners.outcomes import Outcome
from uplift.learners.training import Schedule

LOG = synthetic.simulate(500, seed=5).campaign


def fitted(log=LOG, value=None, cost=None, **params):
    model = NeuralResponse(**{"hidden": (8,), "epochs": 2, **params})
    value = log.value if value is None else value
    cost = log.cost if cost is None else cost
    return model.fit(log.X, value, treatment=log.treatment, cost=cost, arms=log.arms)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(LIKELIHOODS)), st.integers(1, 6), st.integers(0, 2**31))
def test_no_mean_of_a_monotone_head_falls_from_arm_to_arm(name, K, seed):
    """Whatever the weights, users and embeddings, here drawn with a standard deviation of 3."""
    outcome = Outcome(name, np.zeros(K + 1), np.ones(K + 1), monotone=True)
    generator = torch.Generator().manual_seed(seed)
    head = ArmHead(5, K, outcome, generator)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(std=3, generator=generator)
        mean = head.mean(head(torch.randn(20, 5, generator=generator), torch.randn(K, 8, generator=generator)))
    assert mean.shape == (20, K + 1)
    assert (mean.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "zero_inflated_lognormal"])
def test_monotone_value_rises_even_where_the_log_falls(likelihood):
    falling = np.exp(1 - 0.5 * LOG.treatment + 0.1 * LOG.X[:, 0])
    free = fitted(value=falling, value_likelihood=likelihood, epochs=20).predict(LOG.X).value
    bound = fitted(value=falling, value_likelihood=likelihood, epochs=20, monotone="value").predict(LOG.X).value
    assert (np.diff(free, axis=1) < 0).mean() > 0.9
    assert (np.diff(bound, axis=1) >= 0).all()


def test_monotone_cost_rises_between_known_and_learnt_arms():
    """Costs: 0; 5 or 9 by chance; known 3; 1 to 2: between what is known every predicted cost rises all the same."""
    rng = np.random.default_rng(0)
    t = LOG.treatment % 4
    cost = np.choose(t, [np.zeros(500), rng.choice([5.0, 7.0, 9.0], 500), np.full(500, 3.0), 1 + rng.random(500)])
    model = NeuralResponse(hidden=(8,), epochs=5, monotone="both").fit(LOG.X, LOG.value, treatment=t, cost=cost)
    response = model.predict(LOG.X)
    assert (np.diff(response.cost, axis=1) >= 0).all()
    assert_array_equal(response.cost[:, [0, 2]], np.tile([0.0, 3.0], (500, 1)))
    assert (np.diff(response.value, axis=1) >= 0).all()


def test_monotone_cost_of_redemption_rises():
    response = fitted(monotone="cost").predict(LOG.X)
    assert (np.diff(response.cost, axis=1) >= 0).all()


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads():
    before = torch.get_num_threads()
    tables = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            tables.append(fitted(seed=3).predict(LOG.X).value.tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert tables[0] == tables[1] == tables[2]
    assert fitted(seed=4).predict(LOG.X).value.tobytes() != tables[0]


def test_a_generator_is_a_seed_too():
    one, same = (fitted(seed=np.random.default_rng(7)).predict(LOG.X).value for _ in range(2))
    assert_array_equal(one, same)


def test_torchs_global_state_is_left_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = fitted()
    model.predict(LOG.X)
    NeuralResponse()._from_arrays(*model._to_arrays())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()


def test_fitting_anew_forgets_the_first_log():
    model = fitted()
    once = model.predict(LOG.X).value
    again = model.fit(LOG.X, LOG.value, treatment=LOG.treatment, cost=LOG.cost, arms=LOG.arms).predict(LOG.X).value
    assert_array_equal(again, once)


def test_users_are_predicted_alone():
    """A user's prediction does not depend on who else is asked about, up to rounding."""
    model = fitted()
    assert_allclose(model.predict(LOG.X[7:8]).value, model.predict(LOG.X).value[7:8], rtol=1e-5)


def test_the_trunk_standardises_whatever_the_unit():
    """Mean and spread of columns of 1e-30 and 1e30, of a constant, of one with a hole, of nothing but holes."""
    column = np.array([1.0, 3.0, 5.0, 3.0])
    holed, empty = np.array([1.0, np.nan, 5.0, 3.0]), np.full(4, np.nan)
    X = np.column_stack([1e-30 * column, 1e30 * column, np.full(4, 0.1), holed, empty]).astype(np.float32)
    trunk = trunk_of(X, (), torch.Generator())
    assert_allclose(trunk.mean, [3e-30, 3e30, 0.1, 3, 0], rtol=1e-6)
    assert_allclose(trunk.scale, [2**0.5 * 1e-30, 2**0.5 * 1e30, np.inf, (8 / 3) ** 0.5, np.inf], rtol=1e-6)
    inputs = trunk(torch.tensor(X)).numpy()
    want = (column - 3) / 2**0.5
    assert_allclose(inputs[:, :2], np.column_stack([want, want]), rtol=1e-5)
    assert_array_equal(inputs[:, [2, 4]], 0)
    assert_array_equal(inputs[:, 5:], np.isnan(X[:, 3:4]))


@pytest.mark.parametrize("likelihood", ["auto", "gaussian", "poisson", "zero_inflated_lognormal"])
def test_a_round_trip_through_json_and_arrays_gives_the_same_bytes(likelihood):
    features = LOG.X.copy()
    features[::9, 2] = np.nan
    model = NeuralResponse(hidden=(8, 4), epochs=2, value_likelihood=likelihood, monotone="value")
    model.fit(features, LOG.value, treatment=LOG.treatment, cost=LOG.cost, arms=LOG.arms)
    meta, arrays = model._to_arrays()
    again = NeuralResponse(**model.get_params())._from_arrays(json.loads(json.dumps(meta)), arrays)
    want, got = model.predict(features), again.predict(features)
    assert_array_equal(got.value, want.value)
    assert_array_equal(got.cost, want.cost)
    assert got.arms == want.arms
    assert again.n_features_in_ == 20


def test_the_net_gives_differentiable_tables():
    model = fitted(value_likelihood="gaussian")
    X = torch.tensor(LOG.X[:5], requires_grad=True)
    value, cost = model.net_(X)
    assert value.shape == cost.shape == (5, 5)
    (value.sum() + cost.sum()).backward()
    assert X.grad.abs().sum() > 0


def test_progress_is_told_after_each_epoch():
    told = []
    fitted(epochs=3, progress=lambda *state: told.append(state))
    assert [state[:2] for state in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[2][2] < told[0][2]


def test_schedule_by_hand():
    """Batches: 4,096 of a million, 1/100 of 20,000, 32 at least. Rates: .04 lr, lr after a quarter, half, 0."""
    schedule = Schedule(epochs=1, batch_size=4096, lr=0.1, weight_decay=None)
    assert [schedule.rows(n) for n in (1_000_000, 20_000, 100)] == [4096, 200, 32]
    assert_allclose([schedule.decay(n) for n in (100, 40_000, 1_000_000)], [0.3, 0.2, 0.1])
    assert Schedule(1, 1, 0.1, None, largest_decay=1.0).decay(10_000) == pytest.approx(0.4)
    assert_allclose([schedule.rate(done) for done in (0, 0.25, 0.625, 1)], [0.004, 0.1, 0.05, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden": (8, 0)}, r"hidden is \(8, 0\); a tuple of layer widths"),
        ({"hidden": 8}, "hidden is 8"),
        ({"epochs": 0}, "epochs is 0; a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"lr": 0}, "lr is 0"),
        ({"lr": -1.0}, "lr is -1.0; a number above 0"),
        ({"weight_decay": float("nan")}, "weight_decay is nan; a number of at least 0 is expected, or None"),
        ({"device": "toaster"}, "device is 'toaster', which cannot be used"),
        ({"monotone": "up"}, "monotone is 'up'; None, 'value', 'cost' or 'both'"),
        ({"seed": -1}, "seed is -1"),
        ({"cost_likelihood": "gama"}, "cost_likelihood is 'gama'"),
        ({"lr": 1e30}, "take a smaller lr"),
    ],
)
def test_a_parameter_that_no_fit_can_use_is_refused(params, match):
    with pytest.raises(InputError, match=match):
        fitted(**params)
