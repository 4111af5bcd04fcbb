"""Gradient estimators against brute force: their own smoothed goals, and one goal common to all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.policies.gradients import ESTIMATORS
from tests.allocation.policies.gradient_oracles import SMOOTHING, cosine, gaussian, plain_differences

NAMES = sorted(ESTIMATORS)


def estimated(name, score, worth, width, calls=1, seed=0):
    """The estimate, the mean over `calls` where the estimator draws."""
    generator = torch.Generator().manual_seed(seed)
    tables = [torch.as_tensor(np.asarray(table, dtype=np.float64)) for table in (score, worth)]
    results = [ESTIMATORS[name](*tables, width, generator) for _ in range(2)]
    if calls > 2 and not torch.equal(*results):
        results += [ESTIMATORS[name](*tables, width, generator) for _ in range(calls - 2)]
    return torch.stack(results[: max(calls, 1)]).mean(dim=0).numpy()


def draws(name):
    """Whether the estimator draws: another seed gives another result."""
    score, worth, unit = small_problem(0)
    first, second = (estimated(name, score, worth, unit, seed=seed) for seed in (0, 1))
    return not np.array_equal(first, second)


def small_problem(seed):
    """5 to 12 users, 2 to 5 arms, in units from thousandths to thousands; gaps of the size of the unit."""
    rng = np.random.default_rng([6, seed])
    shape = (rng.integers(5, 13), rng.integers(2, 6))
    unit, worth_unit = 10.0 ** rng.integers(-3, 4, size=2)
    return rng.normal(size=shape) * unit, (rng.normal(size=shape) + 3 * rng.normal()) * worth_unit, unit


def linear_problem(seed):
    """Scores X theta of 400 users and 4 arms, with gaps of about 2, and the noisy worth that a log would give."""
    rng = np.random.default_rng([7, seed])
    X = np.column_stack([np.ones(400), rng.normal(size=(400, 2))])
    theta, true = rng.normal(size=(2, 3, 4))
    return X, X @ theta, X @ true + rng.normal(size=(400, 4)) * 2


def test_every_estimator_has_a_brute_force_to_be_compared_with():
    assert set(SMOOTHING) == set(ESTIMATORS)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_gradient_of_its_own_smoothed_goal_on_50_small_problems(name):
    oracle, spread = SMOOTHING[name]
    cosines, sizes = [], []
    for seed in range(50):
        score, worth, unit = small_problem(seed)
        width = unit / spread
        brute, ours = oracle(score, worth, width), estimated(name, score, worth, width, calls=200)
        cosines.append(cosine(ours, brute))
        sizes.append(np.linalg.norm(ours) / np.linalg.norm(brute))
    assert min(cosines) >= 0.95, (min(cosines), np.mean(cosines))
    assert 0.8 < min(sizes) <= max(sizes) < 1.25


@pytest.mark.parametrize("name", NAMES)
def test_in_the_parameters_of_a_linear_model_it_is_the_gradient_of_the_goal_under_gaussian_noise(name):
    """A model's parameters add up many users, whose gaps are spread: there the form of the kernel averages out."""
    _, spread = SMOOTHING[name]
    for seed in range(3):
        X, score, worth = linear_problem(seed)
        brute = X.T @ gaussian_of_linear(seed)
        ours = X.T @ estimated(name, score, worth, np.sqrt(2) / spread, calls=20)
        assert cosine(ours, brute) >= 0.95
        assert 0.75 < np.linalg.norm(ours) / np.linalg.norm(brute) < 1.33


_REMEMBERED = {}


def gaussian_of_linear(seed):
    """The brute force of `linear_problem`, computed once for all estimators."""
    if seed not in _REMEMBERED:
        _, score, worth = linear_problem(seed)
        _REMEMBERED[seed] = gaussian(score, worth, 1.0)
    return _REMEMBERED[seed]


def test_evolution_strategies_are_unbiased_with_a_single_pair():
    """The mean over 10,000 calls of one pair each is within 4.5 of its standard errors in each cell."""
    score, worth, unit = small_problem(3)
    tables = torch.as_tensor(score), torch.as_tensor(worth)
    generator = torch.Generator().manual_seed(0)
    calls = torch.stack([ESTIMATORS["nes"](*tables, unit, generator, pairs=1) for _ in range(10_000)])
    error = calls.std(dim=0) / len(calls) ** 0.5
    z = (calls.mean(dim=0) - torch.as_tensor(gaussian(score, worth, unit))) / error
    assert float(error.min()) > 0
    assert float(z.abs().max()) < 4.5


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_finite_differences_with_ties_are_those_of_deciding_anew(data):
    """Whole scores and steps: many ties, and many flips that end in one."""
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5)))
    cells = st.lists(st.integers(-3, 3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
    score, worth = (np.array(data.draw(cells), dtype=float).reshape(shape) for _ in range(2))
    width = float(data.draw(st.integers(1, 4)))
    ours = estimated("finite_difference", score, worth, width)
    np.testing.assert_allclose(ours, plain_differences(score, worth, width), atol=1e-12)


def test_finite_differences_of_one_user_by_hand():
    """Scores 5, 4, 2, 0, step 4, worth 1, 3, 0, 9: arms 1 and 2 are within reach (5 - 0 = 5 is not).

    Up: arm 1 (3 - 1) / 8 = .25, arm 2 (0 - 1) / 8 = -.125. Down: arm 0 falls to 1, the second best is decided:
    (1 - 3) / 8 = -.25. They sum to -.125; a third of that is taken off each of the three arms.
    """
    third = 0.125 / 3
    ours = estimated("finite_difference", [[5.0, 4.0, 2.0, 0.0]], [[1.0, 3.0, 0.0, 9.0]], 4.0)
    np.testing.assert_allclose(ours, [[-0.25 + third, 0.25 + third, -0.125 + third, 0]], rtol=1e-6)


def test_improved_finite_differences_of_one_user_by_hand():
    """Scores 5, 4, 3, 0, width 4, worth 1, 3, 0, 9: arm 1 flips at 1, nearer than .3 x 4 = 1.2, arm 2 at 2, 3 never.

    With c = 2 (1 + ln(1 / .3)) = 4.407946: arm 1 (3 - 1) / 1.2 / c = .378105, arm 2 (0 - 1) / 2 / c = -.113431, arm 0
    falls by 1 to the second best, (1 - 3) / 1.2 / c = -.378105. They sum to -.113431, taken off in three parts.
    """
    third = 0.113431 / 3
    ours = estimated("improved_fd", [[5.0, 4.0, 3.0, 0.0]], [[1.0, 3.0, 0.0, 9.0]], 4.0)
    expected = [[-0.378105 + third, 0.378105 + third, -0.113431 + third, 0]]
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_the_softmax_of_one_user_by_hand():
    """Scores ln 3 and 0 at width 1: shares 3/4 and 1/4. Worth 2 and 6, mean 3: 3/4 (2 - 3) and 1/4 (6 - 3)."""
    ours = estimated("softmax", [[np.log(3), 0.0]], [[2.0, 6.0]], 1.0)
    np.testing.assert_allclose(ours, [[-0.75, 0.75]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_exactly_zero_where_no_decision_can_flip_or_nothing_is_at_stake(name, dtype):
    rng = np.random.default_rng(0)
    near, worth = (torch.as_tensor(rng.normal(size=(50, 4)), dtype=dtype) for _ in range(2))
    far = near + 1e4 * torch.eye(4, dtype=dtype)[rng.integers(4, size=50)]
    alike = worth[:, :1].expand(50, 4)
    for score, of in ((far, worth), (near, alike)):
        assert torch.count_nonzero(ESTIMATORS[name](score, of, 1.0, torch.Generator().manual_seed(0))) == 0
    assert torch.count_nonzero(ESTIMATORS[name](near, worth, 1.0, torch.Generator().manual_seed(0))) > 0
