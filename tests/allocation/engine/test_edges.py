"""Corners where something once went wrong: amounts far apart, prices of nothing, money that comes in."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from fractions import Fraction

import numpy as np
import pytest

from allocation import Limit, Problem, ProblemError, frontier, solve

A = np.array


def test_segments_that_earn_what_others_spend():
    """User 1 earns 20, so the pooled rest after segment A may end below zero: [1, 0] is worth 10 - 3."""
    mask = A([True, False])
    problem = Problem(
        [[0, 10.0, 20.0], [-3.0, 0, 0]],
        [[0, 10.0, 20.0], [-20.0, 0, 0]],
        5.0,
        limits=[Limit("A", "cost", max=10.0, users=mask)],
    )
    assert (solve(problem).decision.tolist(), solve(problem).value) == ([1, 0], 7)


def test_large_amounts_without_a_choice_are_not_impossible():
    value = A([[28319671145462.965], [124283276499563.94], [670624414693630.4], [647189511574250.1]])
    solved = solve(Problem(value, np.zeros((4, 1)), 1.0, limits=[Limit("few", max=1)]))
    assert (solved.decision.tolist(), solved.gap) == ([0, 0, 0, 0], pytest.approx(0, abs=1e-12))


def test_costs_two_hundred_digits_apart_come_to_an_end():
    cost = A([[2.2e-74, 2.5e41, 1.01e-111], [2.0e60, 2.6e-78, 1.4e-138]])
    solved = solve(Problem([[0, 1e30, -1.0], [1e-9, 0.0, 1e-8]], cost, 2.5e41))
    spent = sum((Fraction(float(cost[i, j])) for i, j in enumerate(solved.decision)), Fraction(0))
    assert spent <= Fraction(2.5e41)


def test_without_a_budget_the_cheaper_of_equals_is_given():
    problem = [[0.0, 5, 5]], [[0.0, 3, 1]]
    assert solve(Problem(*problem)).decision.tolist() == solve(Problem(*problem, 100.0)).decision.tolist() == [2]


@pytest.mark.parametrize("knots", [None, 100])
def test_a_frontier_starts_where_solve_does(knots):
    """Ten dimes cost more than 1; and 1 beside 1e17 is not lost."""
    dimes = frontier(np.ones((10, 2)), np.full((10, 2), 0.1), knots=knots)
    assert dimes.budget[0] == np.nextafter(1.0, 2)
    assert dimes.at(1.0)[0] == -np.inf
    assert dimes.at(dimes.budget[0])[0] == 10
    with pytest.raises(ProblemError, match="cannot be met"):
        solve(Problem(np.ones((10, 2)), np.full((10, 2), 0.1), 1.0))
    apart = frontier(A([[0, 0.0], [0, 5.0]]), A([[1e17, 1e17], [0, 1.0]]), knots=knots)
    assert apart.at(1e17) == (0, 5)


def test_cents_are_met_at_the_exact_least_budget():
    cost = np.round(np.random.default_rng(0).random((30_000, 3)), 2)
    least = sum(map(Fraction, cost.min(axis=1).tolist()), Fraction(0))
    f = frontier(np.zeros((30_000, 3)), cost)
    assert Fraction(f.budget[0]) >= least > Fraction(np.nextafter(f.budget[0], 0))
    assert f.at(f.budget[0])[0] == 0
    assert solve(Problem(np.zeros((30_000, 3)), cost, f.budget[0])).value == 0


def test_returns_beyond_the_largest_float():
    """A return of 1e314 does not fit a float: control is still the way out, and the frontier has no nan."""
    assert solve(Problem([[0, 1e99]], [[0, 1e-215]], 1e-216)).decision.tolist() == [0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frontier(A([[0, 1e100]]), A([[0, 1e-300]]), knots=10).at(0.0)[0] == 0


@pytest.mark.parametrize("size", [1e-309, 1e-310, 1e-318])
def test_the_bound_of_returns_beyond_the_largest_float_is_one(size):
    """The decision at ordinary costs, affordable at these: no bound may lie below what it is worth."""
    rng = np.random.default_rng(0)
    value, cost = rng.random((30, 3)), rng.random((30, 3)) * [0, 1, 2]
    arms = solve(Problem(value, cost, 9.9)).decision
    solved = solve(Problem(value, cost * size, 10 * size))
    assert sum(Fraction(c) for c in (cost * size)[np.arange(30), arms].tolist()) <= Fraction(10 * size)
    worth = sum(Fraction(v) for v in value[np.arange(30), arms].tolist())
    assert Fraction(solved.value) <= Fraction(solved.bound)
    assert worth <= Fraction(solved.bound)
    assert solved.bound < value.max(axis=1).sum() + 0.1


TINY = [1e-60, 1e-150, 1e-200, 1e-310, 5e-324]


@pytest.mark.parametrize("size", TINY)
def test_limits_on_amounts_that_vanish_in_products(size):
    """Held exactly, bounded from above, and near the optimum as long as squares of the amounts are floats."""
    rng = np.random.default_rng(1)
    value, cost = rng.random((30, 3)), rng.random((30, 3)) * [0, 1, 2]
    few = Limit("few", arms=(1,), max=5)
    for problem in (
        Problem(value * size, cost, 10.0, limits=[few]),
        Problem(value, cost * size, 10.0 * size, limits=[few]),
        Problem(value * size, cost * size, 10.0 * size, limits=[few, Limit("worth", "value", max=12 * size)]),
        Problem(value, cost, 10.0, limits=[few, Limit("spend", "cost", min=size, max=4.0)]),
        Problem(value * 1e99, cost * size, 10.0 * size, limits=[few, Limit("worth", "value", max=1e100)]),
        Problem([[0, size]], [[0, size]], size, limits=[few]),
    ):
        solved = solve(problem)
        rows, arms = np.arange(len(problem.value)), solved.decision
        assert sum(Fraction(float(c)) for c in problem.cost[rows, arms]) <= Fraction(problem.limit)
        assert (arms == 1).sum() <= 5
        assert solved.value <= solved.bound
        if size >= 1e-150:
            assert solved.gap < 0.03


@pytest.mark.parametrize("size", TINY)
def test_a_floor_and_a_cap_that_nobody_can_meet_are_refused(size):
    with pytest.raises(ProblemError, match="'spend'"):
        solve(Problem([[0, 1.0], [0, 2.0]], [[0, 1.0], [0, 2.0]], 3.0, limits=[Limit("spend", "cost", size, size)]))


def test_nothing_to_win_has_no_gap_and_no_price():
    nothing = np.zeros((3, 2))
    solved = solve(Problem(nothing, nothing, 1.0, limits=[Limit("few", max=1)]))
    assert (solved.value, solved.bound, solved.gap) == (0, pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-9))
    assert solved.limits[0].binding is None


def test_bounds_near_the_largest_float_say_nothing():
    limit = Limit("wide", "cost", max=1e308, min=-1e308)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solved = solve(Problem([[0, 5.0], [0, 4]], [[0, 1.0], [0, 1]], 1.0, limits=[limit]))
    assert solved.value == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Problem([[0.0]], [[0.0]], limits=3), r"limits is 3; a list of Limit"),
        (lambda: Problem([[0.0, 1]], [[0.0, 1]], arms=3), r"arms is 3; 2 names"),
        (lambda: Problem([[0.0, 1]], [[0.0, 1]], arms=[1, 2]), r"2 names are expected"),
        (lambda: Problem([[0.0, 1]] * 2, [[0.0, 1]] * 2, 1, [[True], [True, False]]), r"rows of eligible differ"),
        (lambda: Problem([[0.0]], [[0.0]], resources=A([[1.0]])), r"resources is ndarray; tables by name"),
        (lambda: Problem([[0.0, 1]], [[0.0, 1]], limits=[Limit("a", max=1, arms=1.5)]), r"arms 1.5; a list"),
        (
            lambda: Problem([[0.0, 1]], [[0.0, 1]], limits=[Limit("a", min=1.5, max=1.6)]),
            r"limit 'a' counts users; no whole number lies between 1\.5 and 1\.6",
        ),
        (lambda: frontier([[0.0]], [[0.0]], knots="a"), r"knots is 'a'; a whole number"),
        (lambda: frontier([[0.0]], [[0.0]], replicates=2.5), r"replicates is 2\.5; a whole number"),
        (lambda: frontier([[0.0]], [[0.0]], seed=2**64), r"seed is .*; a whole number"),
        (lambda: solve({}), r"problem is a dict; Problem\(value, cost, budget\) is expected"),
        (lambda: frontier([[0.0]], [[0.0]]).at("a"), r"budget is 'a'; a number or an array"),
        (lambda: frontier([[0.0]], [[0.0]]).arm_mix([[1, 2]]), r"budgets have the shape \(1, 2\)"),
        (lambda: frontier([[0.0]], [[0.0]]).merge(3), r"a Frontier is expected to merge with, not int"),
    ],
)
def test_refused_with_the_mend(call, message):
    with pytest.raises(ProblemError, match=message):
        call()


def test_frontiers_that_were_resampled_differently_do_not_merge():
    one, other = (frontier([[0.0, 1]], [[0.0, 1]], replicates=10, seed=seed) for seed in (1, 2))
    with pytest.raises(ProblemError, match="not resampled alike"):
        one.merge(other)


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path):
    """The engine's package and the home folder are not writable: compiled loops go to a temporary folder."""
    code = (
        "import os; real = os.access; os.access = lambda path, mode, **k: mode != os.W_OK and real(path, mode)\n"
        "import allocation.engine; print(os.environ['NUMBA_CACHE_DIR'])"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(str(tmp_path))
