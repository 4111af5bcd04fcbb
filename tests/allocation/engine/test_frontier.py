"""The frontier of all budgets: worked examples, the linear relaxation at any budget, merging, and its bands."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import Problem, ProblemError, frontier, solve
from tests.oracles import lp_bound
from tests.strategies import FAMILIES, least_budget, problems, random_problem

REGULAR = [family for family in FAMILIES if family not in ("costs a rounding apart", "tiny money", "huge money")]


def of(problem, **options):
    return frontier(problem.value, problem.cost, eligible=problem.eligible, **options)


def many(n, seed=0, K=4):
    rng = np.random.default_rng(seed)
    cost = rng.gamma(2.0, 1.0, (n, K + 1)) * (np.arange(K + 1) > 0)
    return rng.normal(1.0, 2.0, (n, K + 1)), cost


def test_a_worked_example():
    """Steps (2, 5) and (1, 2): returns 2.5 and 2; a budget of 1 buys half of the first, of 2.5 half of the second."""
    f = frontier(np.array([[0.0, 5], [1, 3]]), np.array([[0.0, 2], [0, 1]]))
    assert (f.budget.tolist(), f.value.tolist(), f.price.tolist()) == ([0, 2, 3], [1, 6, 8], [2.5, 2, 0])
    value, price = f.at([0.0, 1.0, 2.0, 2.5, 3.0, 99.0])
    assert (value.tolist(), price.tolist()) == ([1, 3.5, 6, 7, 8, 8], [2.5, 2.5, 2, 2, 0, 0])
    assert f.arm_mix([0.0, 1.0, 2.0, 9.0]).tolist() == [[1, 0], [0.75, 0.25], [0.5, 0.5], [0, 1]]


def test_budgets_left_of_zero_and_of_everything():
    """Both users may earn 3 at a loss of 1 in value: budgets from -6 on; at -4.5 one and a half do."""
    f = frontier(np.array([[0.0, -1], [0, -1]]), np.array([[0.0, -3], [0, -3]]))
    assert f.at(-6.0) == (-2, pytest.approx(1 / 3))
    assert f.at(-4.5) == (pytest.approx(-1.5), pytest.approx(1 / 3))
    assert f.at(-6.5) == (-math.inf, math.inf)
    assert f.at(5.0) == (0, 0)
    assert np.isnan(f.arm_mix(-7.0)).all()


@pytest.mark.parametrize("knots", [None, 8000])
@pytest.mark.parametrize("family", REGULAR)
def test_the_linear_relaxation_at_any_budget(family, knots):
    """Exact everywhere with all steps; with knots exact at each knot, never above, and 1e-5 of the range below."""
    rng = np.random.default_rng([11, FAMILIES.index(family)])
    problem = random_problem(rng, 30, 3, family)
    f = of(problem, knots=knots)
    low, high = max(f.budget[0], least_budget(problem.cost, problem.eligible)), f.budget[-1]
    for budget in [*np.linspace(low, max(high, low), 7), *f.budget[:: max(1, len(f.budget) // 5)]]:
        if budget < least_budget(problem.cost, problem.eligible):
            continue
        bound = lp_bound(problem.value, problem.cost, budget, problem.eligible)
        spare = 1e-6 * max(1.0, abs(bound)) + (0 if knots is None else 1e-3 * (f.value[-1] - f.value[0]))
        assert bound - spare <= f.at(budget)[0] <= bound + 1e-6 * max(1.0, abs(bound))


@pytest.mark.parametrize("knots", [None, 500])
def test_knots_are_what_solve_reaches(knots):
    """At a knot nobody is shared out: the best decision is worth the frontier, and costs the knot."""
    value, cost = many(400)
    f = frontier(value, cost, knots=knots)
    for k in range(1, len(f.budget), len(f.budget) // 7):
        solved = solve(Problem(value, cost, f.budget[k] + 1e-9))
        assert solved.value == pytest.approx(f.value[k], rel=1e-9)
        assert solved.cost == pytest.approx(f.budget[k], rel=1e-9)
        shares = np.bincount(solved.decision, minlength=5) / 400
        np.testing.assert_allclose(f.arm_mix(f.budget[k] + 1e-12), shares, atol=1e-6)


@given(problems(budgets="finite"), st.sampled_from([None, 64]))
def test_concave_and_rising(problem, knots):
    f = of(problem, knots=knots)
    assert (np.diff(f.budget) > 0).all() or not np.diff(f.budget).all()
    assert (np.diff(f.budget) >= 0).all()
    assert (np.diff(f.value) >= 0).all()
    assert (np.diff(f.price) <= 0).all()
    assert f.price[-1] == 0
    np.testing.assert_allclose(f.arm_mix([*f.budget, f.budget[-1] + 1]).sum(axis=1), 1.0)


@given(problems(max_users=6), st.integers(0, 6), st.sampled_from([None, 64]))
def test_merged_pieces_are_one_piece(problem, cut, knots):
    def piece(rows):
        mask = None if problem.eligible is None else problem.eligible[rows]
        return frontier(problem.value[rows], problem.cost[rows], eligible=mask, knots=knots)

    whole, merged = of(problem, knots=knots), piece(slice(0, cut)).merge(piece(slice(cut, None)))
    assert merged.n_users == whole.n_users
    for budget in [whole.budget[0], *np.linspace(whole.budget[0] + 0.01, whole.budget[-1] + 1, 5)]:
        np.testing.assert_allclose(merged.at(budget + 1e-9), whole.at(budget + 1e-9), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(merged.arm_mix(budget + 1e-9), whole.arm_mix(budget + 1e-9), atol=1e-6)


def test_no_more_knots_than_asked():
    value, cost = many(20_000)
    for knots in (50, 1000, 8000):
        f = frontier(value, cost, knots=knots)
        assert knots / 8 < len(f.budget) <= knots
        assert f.at(f.budget[-1]) == (f.value[-1], 0)
    assert len(frontier(value, cost, knots=8000).budget) > 1000


def test_steps_of_nearly_equal_return_stand_in_order():
    """A million returns that differ by less than a billionth: the sort's leading bits cannot tell them apart."""
    n = 300_000
    value = np.column_stack([np.zeros(n), 1 + np.random.default_rng(0).permutation(n) * 1e-15])
    f = frontier(value, np.tile([0.0, 1.0], (n, 1)))
    assert (np.diff(f.price) <= 0).all()
    assert f.value[-1] == pytest.approx(value[:, 1].sum())


@pytest.mark.parametrize("knots", [None, 100])
def test_nobody_and_one_arm(knots):
    nobody = frontier(np.empty((0, 3)), np.empty((0, 3)), knots=knots)
    assert nobody.at(1.0) == (0, 0)
    assert np.isnan(nobody.arm_mix(1.0)).all()
    alone = frontier(np.full((5, 1), 2.0), np.full((5, 1), 1.0), knots=knots)
    assert (alone.at(5.0), alone.at(4.9)) == ((10, 0), (-math.inf, math.inf))
    assert alone.arm_mix(5.0).tolist() == [1]


def test_the_band_covers_what_other_users_would_give():
    """A hundred samples of 2,000 users: the 90% band holds the frontier of 400,000, scaled, about 90 times."""
    value, cost = many(400_000, seed=1)
    truth = frontier(value, cost, knots=1000).at(400_000 * 0.5)[0] / 200
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(100):
        rows = rng.choice(400_000, 2000, replace=False)
        low, high = frontier(value[rows], cost[rows], replicates=200, seed=3).band(2000 * 0.5, level=0.9)
        held += low <= truth <= high
    assert 80 <= held <= 98  # five in two hundred would fall outside by chance


def test_a_band_is_as_wide_as_the_influence_of_users():
    """At price p user i moves the value per user by max_j (v - p c): the error is its deviation / sqrt(n)."""
    value, cost = many(20_000)
    f = frontier(value, cost, replicates=400, seed=0)
    low, high = f.band([4_000.0, 15_000.0], level=0.95)
    for k, budget in enumerate((4_000.0, 15_000.0)):
        error = (value - f.at(budget)[1] * cost).max(axis=1).std() * math.sqrt(20_000)
        assert (high[k] - low[k]) / (2 * 1.96) == pytest.approx(error, rel=0.15)


def test_differences_of_the_same_users_are_paired():
    """The second frontier lacks the last arm; most of the two bands is common and cancels."""
    value, cost = many(20_000)
    both = frontier(value, cost, replicates=200, seed=5)
    fewer = frontier(value[:, :4], cost[:, :4], replicates=200, seed=5)
    gain, low, high = both.difference(fewer, 10_000.0)
    assert gain == pytest.approx(both.at(10_000.0)[0] - fewer.at(10_000.0)[0])
    assert 0 < low < gain < high
    assert high - low < 0.7 * np.diff(both.band(10_000.0))[0]
    assert both.difference(both, 10_000.0) == (0, 0, 0)


@pytest.mark.parametrize("unit", [1e-60, 1e60])
def test_bands_of_amounts_beyond_a_short_float(unit):
    """Replicates are summed in short floats; amounts far beyond their range change only the unit."""
    value, cost = many(2_000)
    here = frontier(value, cost, replicates=50, seed=1).band(1_000.0)
    there = frontier(value * unit, cost * unit, replicates=50, seed=1).band(1_000.0 * unit)
    assert np.array(there) / unit == pytest.approx(np.array(here), rel=1e-4)
    assert here[1] - here[0] == pytest.approx((there[1] - there[0]) / unit, rel=1e-2)


def test_replicates_of_pieces_are_those_of_the_whole():
    value, cost = many(5_000)
    whole = frontier(value, cost, replicates=50, seed=1)
    cuts = ((0, 777), (777, 5000))
    one, other = (frontier(value[a:b], cost[a:b], replicates=50, seed=1, first_user=a) for a, b in cuts)
    np.testing.assert_allclose(one.merge(other).band([500.0, 3000.0]), whole.band([500.0, 3000.0]), rtol=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, g: f.band(1.0), "has no replicates; make it with frontier"),
        (lambda f, g: f.merge(g), "one frontier is exact and the other has knots"),
        (lambda f, g: f.merge(frontier(np.zeros((1, 3)), np.zeros((1, 3)))), "has 2 arms and the other 3"),
        (lambda f, g: f.at(math.nan), "a budget is nan"),
        (lambda f, g: g.band(1.0, level=95), "level is 95; a number between 0 and 1"),
        (lambda f, g: g.difference(f, 1.0), "not resampled alike"),
        (lambda f, g: frontier(np.zeros((1, 2)), np.zeros((1, 3))), "value has shape"),
        (lambda f, g: frontier([[0.0, 1]], [[0.0, 1]], knots=1), "knots is 1; a whole number of at least 2"),
        (lambda f, g: frontier([[0.0, 1]], [[0.0, 1]], replicates=-1), "replicates is -1"),
    ],
)
def test_refused_with_the_mend(call, message):
    value, cost = np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])
    with pytest.raises(ProblemError, match=message):
        call(frontier(value, cost), frontier(value, cost, replicates=10))


@pytest.mark.parametrize("knots", [None, 50])
def test_the_span_is_that_of_the_knots(knots: int | None):
    rng = np.random.default_rng(8)
    for n in (0, 1, 200):
        cost = rng.uniform(-1, 3, (n, 3))
        f = frontier(rng.normal(size=(n, 3)), cost, knots=knots)
        assert f.span == (f.budget[0], f.budget[-1])
