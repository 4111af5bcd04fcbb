"""How a budget is solved is no part of the answer: brackets, pieces, threads and the sample change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from allocation import Problem, solve
from allocation.engine import bracket, price, threads
from tests import invariants as holds
from tests.strategies import FAMILIES, random_problem

N = 6_000  # more than are solved outright


def same(one, other):
    np.testing.assert_array_equal(one.decision, other.decision)
    assert (one.value, one.cost, one.gain, one.price, one.bound) == (
        other.value,
        other.cost,
        other.gain,
        other.price,
        other.bound,
    )


def outright(problem, monkeypatch):
    """Solved without any sample: all steps of all users are sorted."""
    with monkeypatch.context() as patch:
        patch.setattr(bracket, "SMALL", 10**9)
        return solve(problem)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("one user", "control only")])
def test_a_sample_changes_nothing(family, monkeypatch):
    rng = np.random.default_rng([21, FAMILIES.index(family)])
    for _ in range(3):
        problem = random_problem(rng, N, 4, family)
        solved = solve(problem)
        same(solved, outright(problem, monkeypatch))
        holds.assert_feasible(problem, solved)
        holds.assert_totals(problem, solved)
        holds.assert_one_step(problem, solved)


def one_giant(rng):
    """One user costs as much as all others, at the best return: no sample knows of it."""
    value, cost = rng.gamma(2.0, 1.0, (N, 3)), rng.gamma(2.0, 1.0, (N, 3))
    cost[:, 0] = value[:, 0] = 0
    cost[4_321, 1:] = [N, 2 * N]
    value[4_321, 1:] = [50 * N, 60 * N]
    return value, cost


def rows_with_a_period(rng):
    """Every third user is rich: samples of every third row are misled."""
    value, cost = rng.gamma(2.0, 1.0, (N, 3)), rng.gamma(2.0, 1.0, (N, 3))
    cost[:, 0] = 0
    value[::3] *= 100
    return value, cost


def sorted_rows(rng):
    value, cost = rng.gamma(2.0, 1.0, (N, 3)), rng.gamma(2.0, 1.0, (N, 3))
    cost[:, 0] = 0
    return np.sort(value, axis=0), cost


def one_return(rng):
    """All steps of all users return exactly 2: the price is known, and everything is a tie."""
    cost = np.cumsum(rng.integers(0, 4, (N, 4)), axis=1).astype(float)
    return 2 * cost, cost


@pytest.mark.parametrize("family", [one_giant, rows_with_a_period, sorted_rows, one_return])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.55, 0.999, 1.0])
def test_a_misled_sample_changes_nothing(family, share, monkeypatch):
    value, cost = family(np.random.default_rng(22))
    least, most = cost.min(axis=1).sum(), np.take_along_axis(cost, value.argmax(axis=1)[:, None], 1).sum()
    problem = Problem(value, cost, max(0.0, least * (1 + 1e-12)) + share * (most - least))
    solved = solve(problem)
    same(solved, outright(problem, monkeypatch))
    holds.assert_feasible(problem, solved)
    holds.assert_one_step(problem, solved)


@pytest.mark.parametrize("guess", [(0.0, 1e-9), (1e9, 1e10), (1.0, 1.0)])
def test_a_wrong_bracket_changes_nothing(guess, monkeypatch):
    problem = random_problem(np.random.default_rng(23), N, 4, "generic")
    right = solve(problem)
    monkeypatch.setattr(price, "bracket", lambda users, budget: guess)
    same(solve(problem), right)


def test_threads_and_pieces_change_nothing(monkeypatch):
    """A million users in sixteen pieces on one, two and five threads, and in pieces of 10,000."""
    rng = np.random.default_rng(24)
    cost = np.cumsum(rng.random((1_000_000, 3), dtype=np.float32), axis=1) - 0.5
    problem = Problem(rng.random((1_000_000, 3), dtype=np.float32), cost, 200_000.0)
    right = solve(problem)
    for count in ("1", "2", "5"):
        monkeypatch.setenv("EARMARK_THREADS", count)
        same(solve(problem), right)
    monkeypatch.setattr(threads.pieces, "__defaults__", (10_000,))
    same(solve(problem), right)


def test_the_tables_are_not_copied():
    """Two million users, 64 MB a table: what is allocated at the peak is less than half of the two."""
    import tracemalloc

    rng = np.random.default_rng(25)
    cost = np.cumsum(rng.random((2_000_000, 8), dtype=np.float32), axis=1) - 0.5
    value = rng.random((2_000_000, 8), dtype=np.float32) * 4
    solve(Problem(value[:5_000], cost[:5_000], 1_000.0))
    tracemalloc.start()
    solve(Problem(value, cost, 1_000_000.0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 0.5 * (value.nbytes + cost.nbytes)
