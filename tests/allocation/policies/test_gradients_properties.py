"""What must hold for every gradient estimator: units, order, shifts, prices, seeds, and that it leads upwards."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation.policies.gradients import ESTIMATORS, goal, gradient, nes
from allocation.policies.gradients import flips as flips_module
from tests.allocation.policies.gradient_oracles import cosine
from tests.allocation.policies.test_gradients import NAMES, draws, estimated, gaussian_of_linear, linear_problem

seeds = st.integers(0, 10_000)
some = settings(max_examples=25, deadline=None)


def tables(seed, dtype=torch.float64, count=2):
    """Random tables of 30 users and 4 arms."""
    rng = np.random.default_rng([8, seed])
    return [torch.as_tensor(rng.normal(size=(30, 4)), dtype=dtype) for _ in range(count)]


def estimate(name, score, worth, width=1.0):
    return ESTIMATORS[name](score, worth, width, torch.Generator().manual_seed(5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", NAMES)
@some
@given(seed=seeds)
def test_rows_sum_to_zero(name, dtype, seed):
    g = estimate(name, *tables(seed, dtype))
    assert g.dtype == dtype
    assert g.shape == (30, 4)
    assert float(g.sum(dim=1).abs().max()) <= 8 * torch.finfo(dtype).eps * float(g.abs().max())


@pytest.mark.parametrize("name", NAMES)
@some
@given(seed=seeds)
def test_units_of_score_and_worth_are_free(name, seed):
    score, worth = tables(seed)
    g = estimate(name, score, worth)
    for unit in (2.0**-20, 3.0, 1e12):
        torch.testing.assert_close(estimate(name, score * unit, worth, unit) * unit, g, rtol=1e-9, atol=1e-15)
        torch.testing.assert_close(estimate(name, score, worth * -unit) / -unit, g, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
@some
@given(seed=seeds)
def test_a_constant_a_user_changes_nothing(name, seed):
    """Neither in what he is worth nor in his scores; by 1,000 in tables of about 1."""
    score, worth = tables(seed)
    level = torch.arange(-15, 15, dtype=torch.float64)[:, None] * 1_000 / 15
    g = estimate(name, score, worth)
    torch.testing.assert_close(estimate(name, score, worth + level), g, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(estimate(name, score + level, worth), g, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dim", [0, 1], ids=["users", "arms"])
def test_the_order_of_users_and_arms_changes_nothing(name, dim):
    """For an estimator that draws up to the noise of 2,000 calls."""
    score, worth = tables(1)
    order = torch.randperm(score.shape[dim], generator=torch.Generator().manual_seed(3))
    g = estimated(name, score, worth, 1.0, calls=2_000)
    moved = estimated(name, score.index_select(dim, order), worth.index_select(dim, order), 1.0, calls=2_000, seed=1)
    assert cosine(moved, np.take(g, order, axis=dim)) > (0.99 if draws(name) else 1 - 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_gives_the_same_with_a_tiny_width_and_large_amounts(name):
    """Widths down to 1e-6 beside whole scores of a million: finite, not lost at ties, and as in double precision."""
    rng = np.random.default_rng(4)
    whole = torch.as_tensor(rng.integers(0, 3, size=(40, 3)) + 1_000_000.0)
    worth = torch.as_tensor(rng.integers(-9, 9, size=(40, 3)) * 1_000.0)
    tied = (whole == whole.amax(dim=1, keepdim=True)).sum(dim=1) > 1
    for width in (1e-6, 1e-3, 1.5):
        double = estimated(name, whole, worth, width)
        single = ESTIMATORS[name](whole.float(), worth.float(), width, torch.Generator().manual_seed(0))
        assert bool(torch.isfinite(single).all())
        assert torch.count_nonzero(single[tied].any(dim=1)) > 5
        if not draws(name):  # draws differ by precision
            np.testing.assert_allclose(single.numpy(), double, rtol=1e-4, atol=1e-5 * np.abs(double).max())


@pytest.mark.parametrize("name", NAMES)
def test_one_arm_or_one_user_is_no_special_case(name):
    score, worth = tables(2)
    assert torch.count_nonzero(estimate(name, score[:, :1], worth[:, :1])) == 0
    g = estimate(name, torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]))
    assert float(g[0, 1]) > 0 > float(g[0, 0])


@pytest.mark.parametrize("name", NAMES)
def test_the_tables_are_left_as_they_are_and_the_result_has_no_graph(name):
    score, worth = (table.requires_grad_() for table in tables(3))
    before = score.detach().clone(), worth.detach().clone()
    assert not estimate(name, score, worth).requires_grad
    assert torch.equal(score, before[0])
    assert torch.equal(worth, before[1])


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_by_cost_is_minus_the_price_times_that_by_value(name):
    value, cost, worth_value, worth_cost = tables(4, count=4)
    by_value, by_cost = gradient(name, value, cost, worth_value, worth_cost, 0.7, width=0.5, seed=2)
    torch.testing.assert_close(by_cost, -0.7 * by_value)
    assert torch.count_nonzero(by_value) > 0
    if not draws(name):
        g = estimate(name, value - 0.7 * cost, worth_value - 0.7 * worth_cost, 0.5)
        torch.testing.assert_close(by_value, g)


@pytest.mark.parametrize("name", [name for name in NAMES if not draws(name)])
def test_several_prices_are_the_mean_over_them(name):
    four = tables(5, count=4)
    prices = (0.0, 0.5, 2.0)
    single = [gradient(name, *four, price, width=1.0) for price in prices]
    for form in (prices, np.array(prices), torch.tensor(prices)):
        for part, together in enumerate(gradient(name, *four, form, width=1.0)):
            torch.testing.assert_close(together, sum(g[part] for g in single) / 3)


@pytest.mark.parametrize("name", NAMES)
def test_at_a_price_of_zero_costs_have_no_say(name):
    value, cost, worth_value, worth_cost = tables(6, count=4)
    at_zero, of_cost = gradient(name, value, cost, worth_value, worth_cost, 0, width=1.0, seed=1)
    other, _ = gradient(name, value, cost * 5, worth_value, worth_cost * 2, [0.0], width=1.0, seed=1)
    assert torch.equal(at_zero, other)
    assert torch.count_nonzero(of_cost) == 0


@pytest.mark.parametrize("name", NAMES)
def test_following_the_gradient_raises_the_goal(name):
    """A linear model that starts at random ends with most of what the best one gains, though no jump is smoothed."""
    rng = np.random.default_rng(9)
    X = torch.as_tensor(np.column_stack([np.ones(400), rng.normal(size=(400, 2))]))
    true, theta = (torch.as_tensor(rng.normal(size=(3, 4))) for _ in range(2))
    worth = X @ true
    start, best = float(goal(X @ theta, worth)), float(goal(worth, worth))
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        g = X.T @ ESTIMATORS[name](X @ theta, worth, 1.0, generator)
        theta = theta + 0.1 * g / g.norm()
    assert float(goal(X @ theta, worth)) > start + 0.9 * (best - start)


def test_the_goal_is_the_mean_worth_of_the_first_best_arm():
    """User 0 ties on arms 0 and 2 and gets 0, worth 1; user 1 gets arm 1, worth 5: 3 in the mean."""
    score = torch.tensor([[2.0, 1.0, 2.0], [0.0, 4.0, 3.0]])
    assert float(goal(score, torch.tensor([[1.0, 7.0, 9.0], [8.0, 5.0, 6.0]]))) == 3.0


def test_the_same_seed_gives_the_same_bytes_and_another_one_others():
    four = tables(7, count=4)
    of = partial(gradient, "nes", *four, (0.5, 1.0), width=1.0)
    assert torch.equal(of(seed=3)[0], of(seed=3)[0])
    assert torch.equal(of(seed=3)[1], of(seed=np.int64(3))[1])
    assert not torch.equal(of(seed=3)[0], of(seed=4)[0])
    rng = np.random.default_rng(0)
    assert not torch.equal(of(seed=rng)[0], of(seed=rng)[0])
    first = nes(four[0], four[1], 1.0, None)
    assert torch.equal(first, nes(four[0], four[1], 1.0, torch.Generator().manual_seed(0)))


def test_each_price_has_draws_of_its_own():
    """With costs of 0 both prices ask the same: their mean is less noisy than one, so it differs."""
    value, worth_value = tables(8)
    free = torch.zeros_like(value)
    one, _ = gradient("nes", value, free, worth_value, free, 1.0, width=1.0)
    two, _ = gradient("nes", value, free, worth_value, free, (1.0, 1.0), width=1.0)
    assert not torch.equal(one, two)


def test_more_pairs_than_one_chunk_holds_are_the_mean_of_all(monkeypatch):
    """Draws in chunks of 3, 3 and 1 pairs are those drawn one pair at a time, in sum: 30 x 4 cells, all even."""
    score, worth = tables(9)
    monkeypatch.setattr("allocation.policies.gradients.evolution.CELLS", 3 * 120)
    seven = nes(score, worth, 1.0, torch.Generator().manual_seed(1), pairs=7)
    generator = torch.Generator().manual_seed(1)
    parts = [nes(score, worth, 1.0, generator, pairs=k) * k for k in (3, 3, 1)]
    torch.testing.assert_close(seven, sum(parts) / 7)


def test_the_bound_on_near_flips_agrees_better_than_next_to_none_or_a_level_kernel(monkeypatch):
    """With the gradient under Gaussian noise, cell by cell, each bound at the width of the same spread of gaps."""
    found = {}
    for bound in (0.01, 0.1, 0.3, 1.0):
        monkeypatch.setattr(flips_module, "SMALLEST_FLIP", bound)
        spread = np.sqrt((bound**2 / 3 + (1 - bound**2) / 2) / (1 - np.log(bound)))
        of_seed = []
        for seed in range(3):
            _, score, worth = linear_problem(seed)
            ours = estimated("improved_fd", score, worth, np.sqrt(2) / spread)
            of_seed.append(cosine(ours, gaussian_of_linear(seed)))
        found[bound] = np.mean(of_seed)
    assert max(found, key=found.get) == 0.3, found
    assert found[0.01] < 0.7 < 0.95 < found[0.3]
