"""Likelihoods against scipy's densities and means, and which of them "auto" takes for an outcome."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from uplift import InputError
from uplift.learners.likelihoods import LARGEST_LOG, LIKELIHOODS, SPREAD
from uplift.learners.outcomes import Outcome, monotone_range

RNG = np.random.default_rng(0)
PARAMETERS = RNG.uniform(-2, 2, (50, 3))


def softplus(a):
    return np.log1p(np.exp(a))


def logistic(a):
    return 1 / (1 + np.exp(-a))


def of(name, parameters, outcome=None):
    """The loss, or the mean where no outcome is given, in double precision."""
    family = LIKELIHOODS[name]
    p = torch.tensor(parameters[:, : family.by_arm + family.by_user])
    return (family.mean(p) if outcome is None else family.loss(p, torch.tensor(outcome))).numpy()


def test_gaussian_is_the_normal_density():
    rng = np.random.default_rng(1)
    y = rng.standard_normal(50)
    assert_allclose(of("gaussian", PARAMETERS, y), -stats.norm(PARAMETERS[:, 0], 1).logpdf(y))
    assert_allclose(of("gaussian", PARAMETERS), PARAMETERS[:, 0])


def test_bernoulli_is_its_probability():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 50).astype(float)
    chance = stats.bernoulli(logistic(PARAMETERS[:, 0]))
    assert_allclose(of("bernoulli", PARAMETERS, y), -chance.logpmf(y))
    assert_allclose(of("bernoulli", PARAMETERS), chance.mean())


def test_poisson_is_its_probability_up_to_the_factorial():
    rng = np.random.default_rng(1)
    y = rng.integers(0, 6, 50).astype(float)
    count = stats.poisson(softplus(PARAMETERS[:, 0]))
    factorial = -stats.poisson(1).logpmf(y) - 1  # ln y!, as a Poisson of mean 1 has it
    assert_allclose(of("poisson", PARAMETERS, y) + factorial, -count.logpmf(y), atol=1e-4)
    assert_allclose(of("poisson", PARAMETERS), count.mean(), atol=1e-5)


def test_zero_inflated_lognormal_is_its_density_and_mean():
    rng = np.random.default_rng(1)
    y = np.where(rng.random(50) < 0.4, 0.0, rng.lognormal(size=50))
    p, spread = logistic(PARAMETERS[:, 0]), softplus(PARAMETERS[:, 2])
    amount = stats.lognorm(spread, scale=np.exp(PARAMETERS[:, 1]))
    positive = np.where(y > 0, y, 1)
    density = np.where(y > 0, -np.log(p) - amount.logpdf(positive), -np.log1p(-p))
    assert_allclose(of("zero_inflated_lognormal", PARAMETERS, y), density)
    assert_allclose(of("zero_inflated_lognormal", PARAMETERS), p * amount.mean())


def test_zero_inflated_lognormal_cannot_explode():
    """Parameters of +-1,000 give finite losses, gradients and means, bounded by the two limits."""
    wild = torch.tensor([[1e3, 1e3, 1e3], [-1e3, -1e3, -1e3], [1e3, -1e3, 1e3]], requires_grad=True)
    family = LIKELIHOODS["zero_inflated_lognormal"]
    for y in (0.0, 1e-6, 1e6):
        loss = family.loss(wild, torch.full((3,), y)).sum()
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(wild.grad).all()
    assert (family.mean(wild) <= np.exp(LARGEST_LOG) * 1.001).all()
    at_bound = family.mean(torch.tensor([[50.0, 0.0, 1e3]]))
    assert_allclose(at_bound, np.exp(SPREAD[1] ** 2 / 2), rtol=1e-5)


def test_the_mean_of_spend_stops_at_the_largest_purchase():
    """Odds of 1 and exp(5) after a purchase, of which nobody spent above 3: half of 3, and not of 148."""
    mean = LIKELIHOODS["zero_inflated_lognormal"].mean
    parameters = torch.tensor([[0.0, 5.0, -20.0], [0.0, 0.0, -20.0]])
    assert_allclose(mean(parameters, torch.tensor(3.0)), [1.5, np.exp(0.05**2 / 2) / 2], rtol=1e-5)
    assert outcome([0, 0, 0, 0, 0, 2, 8], likelihood="zero_inflated_lognormal").largest == pytest.approx(2)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_gradients_are_those_of_the_loss(name):
    family = LIKELIHOODS[name]
    p = torch.tensor(PARAMETERS[:8, : family.by_arm + family.by_user], requires_grad=True)
    y = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q: family.loss(q, y), (p,))
    assert torch.autograd.gradcheck(family.mean, (p,))


def outcome(y, name="value", likelihood="auto", monotone=False, treatment=None):
    y = np.asarray(y, dtype=float)
    t = np.arange(len(y)) % 2 if treatment is None else np.asarray(treatment)
    if name == "cost":
        ranges = [np.array([f(y[t == j]) for j in range(t.max() + 1)]) for f in (np.min, np.max)]
    else:
        ranges = [np.full(t.max() + 1, f(y)) for f in (np.min, np.max)]
    return Outcome.of(name, likelihood, y, t, tuple(ranges), monotone)


MANY = np.arange(1.0, 41.0)


@pytest.mark.parametrize(
    ("y", "name", "likelihood"),
    [
        ([0, 1, 1, 0], "value", "bernoulli"),
        ([0, 25, 25, 0], "value", "bernoulli"),
        ([7, 7, 7, 7], "value", "bernoulli"),
        ([0, 1, 2, 3], "value", "poisson"),
        ([0, 1, -2, 3], "value", "gaussian"),
        ([1000, 1001, 1003, 1002], "value", "gaussian"),
        ([1, 2, 5, 2], "value", "poisson"),
        (MANY, "value", "gaussian"),
        (np.concatenate([MANY, np.zeros(60)]), "value", "zero_inflated_lognormal"),
        (np.concatenate([MANY, np.zeros(60)]) - 0.5, "value", "gaussian"),
        ([0, 0, 0, 4, 0, 4], "cost", "bernoulli"),
        ([0, 1, 0, 4, 0, 2], "cost", "poisson"),
        ([0, 1, 0, 4, 0, -2], "cost", "gaussian"),
    ],
)
def test_auto_takes_what_fits_whatever_the_unit(y, name, likelihood):
    for unit in (1.0, 0.01, 1e9):
        assert outcome(unit * np.asarray(y, dtype=float), name).likelihood == likelihood


def test_an_amount_of_another_arm_is_no_second_amount():
    """Arm 1 cost 0, 2 and 4, arm 2 cost 2 or 4: three amounts in arm 1, so no bernoulli."""
    assert outcome([0, 0, 0, 2, 4, 2, 4], "cost", treatment=[0, 1, 1, 1, 1, 2, 2]).likelihood == "poisson"


def test_redemption_is_counted_in_each_arms_own_amount():
    cost = outcome([0, 0, 2, 0, 8], "cost", treatment=[0, 1, 1, 2, 2])
    assert_array_equal(cost.unit, [1, 2, 8])
    assert_array_equal(cost.of_net(np.array([2.0, 8.0, 0.0, 0.0]), np.array([1, 2, 2, 0])), [1, 1, 0, 0])


@pytest.mark.parametrize(
    ("likelihood", "y", "match"),
    [
        ("gausian", [1, 2], "Did you mean 'gaussian'"),
        (None, [1, 2], "value_likelihood is None"),
        (["gaussian"], [1, 2], r"value_likelihood is \['gaussian'\]"),
        ("bernoulli", [0, 1, 2], "not one of the same two amounts in all arms; take 'poisson' or 'gaussian'"),
        ("poisson", [0, -1, 2], "runs down to -1.*take 'gaussian'"),
        ("zero_inflated_lognormal", [0, -1, 2], "runs down to -1"),
    ],
)
def test_a_likelihood_that_does_not_fit_is_refused(likelihood, y, match):
    with pytest.raises(InputError, match=match):
        outcome(y, likelihood=likelihood)


def test_monotone_redemption_needs_amounts_that_rise():
    falling = [0, 0, 8, 0, 2]
    assert outcome(falling, "cost", monotone=True, treatment=[0, 1, 1, 2, 2]).likelihood == "poisson"
    with pytest.raises(InputError, match="both rising from arm to arm"):
        outcome(falling, "cost", "bernoulli", monotone=True, treatment=[0, 1, 1, 2, 2])


def test_monotone_range_by_hand():
    """Control known at 0, arm 1 in 1..9, arm 2 known at 5, arm 3 in 2..4: arm 1 stops at 5, arm 3 starts there."""
    low, high = monotone_range(np.array([0.0, 1, 5, 2]), np.array([0.0, 9, 5, 4]))
    assert_array_equal(low, [0, 1, 5, 5])
    assert_array_equal(high, [0, 5, 5, 9])


def test_known_constants_that_fall_are_refused():
    with pytest.raises(InputError, match=r"known constants are \[3.0, 1.0\].*order the arms by rising cost"):
        monotone_range(np.array([3.0, 1.0]), np.array([3.0, 1.0]))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 5)), min_size=1, max_size=6))
def test_monotone_range_rises_and_keeps_known_constants(arms):
    low = np.array([a for a, _ in arms], dtype=float)
    high = low + [b for _, b in arms]
    known = low == high
    low[known] = high[known] = np.sort(low[known])
    lowest, highest = monotone_range(low, high)
    assert (np.diff(lowest) >= 0).all()
    assert (np.diff(highest) >= 0).all()
    assert (lowest <= highest).all()
    assert_array_equal(lowest[known], low[known])
    assert_array_equal(highest[known], high[known])
