"""One budget over chunks: user by user the decisions, prices and certificates of `allocation.solve`."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation import Allocation, Problem, solve
from allocation.engine.limit import ProblemError
from allocation.engine.price import margins
from allocation.engine.stream import budget as stream
from allocation.engine.stream import first
from allocation.engine.stream.budget import solve_budget_in_chunks
from allocation.engine.stream.solved import Solved
from tests.allocation.engine.stream.chunked import (
    HeldChunks,
    ShuffledChunks,
    decided,
    margins_in_chunks,
    without,
)
from tests.invariants import tolerance
from tests.oracles import exact_total
from tests.strategies import FAMILIES, problems, random_problem

SIZES = (1, 3, 7, 20, 1000)
FEW = (0, 1, 3, 10, 1 << 20)


@pytest.fixture
def guessed(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Ten users of a problem make the first guess at its price, which is often wrong."""
    monkeypatch.setattr(first, "SMALL", 2)
    monkeypatch.setattr(first, "MOST", 10)
    return monkeypatch


def assert_the_same(problem: Problem, held: Allocation, solved: Solved, chunks: object) -> None:
    """Decisions, totals, price and margins to the last bit, the bound to rounding."""
    decision = decided(solved, chunks)
    np.testing.assert_array_equal(decision, held.decision)
    assert (solved.value, solved.gain, solved.cost) == (held.value, held.gain, held.cost)
    assert (solved.price, solved.slack, solved.n_users) == (held.price, held.slack, problem.n_users)
    assert solved.exact_value == exact_total(problem.value, decision)
    assert solved.exact_cost == exact_total(problem.cost, decision)
    assert math.isclose(solved.bound, held.bound, rel_tol=1e-12, abs_tol=tolerance(problem))
    assert problem.budget is None or math.isinf(problem.budget) or solved.exact_cost <= Fraction(problem.budget)
    np.testing.assert_array_equal(margins_in_chunks(solved, chunks), margins(problem, held))


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_decide_as_the_whole_does(family: str, guessed: pytest.MonkeyPatch):
    """Chunks of one user and more than all of them; few steps at home, so that the price is narrowed step by step."""
    rng = np.random.default_rng([1, FAMILIES.index(family)])
    for k in range(20):
        problem = random_problem(rng, int(rng.integers(1, 60)), int(rng.integers(1, 6)), family)
        guessed.setattr(stream, "OPEN", FEW[k % len(FEW)])
        chunks = HeldChunks(problem, int(rng.choice(SIZES)))
        assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, problem.budget), chunks)


@pytest.mark.parametrize("family", ["generic", "ties", "ineligible arms"])
def test_with_a_sample_of_the_users(family: str):
    """As shipped: of so many users some are drawn, and the guess holds."""
    rng = np.random.default_rng([2, FAMILIES.index(family)])
    for _ in range(3):
        problem = random_problem(rng, 3_000, 4, family)
        chunks = HeldChunks(problem, 700)
        assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, problem.budget), chunks)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_guess_that_errs_costs_passes_and_no_decision(family: str, monkeypatch: pytest.MonkeyPatch):
    """Any two prices, also such that the budget's lies far above or below both."""
    rng = np.random.default_rng([7, FAMILIES.index(family)])
    for k in range(20):
        problem = random_problem(rng, int(rng.integers(1, 60)), 3, family)
        if problem.budget is None or math.isinf(problem.budget):
            continue
        low = float(10.0 ** rng.uniform(-3, 3))
        high, steps = low * float(rng.choice([1.0, 1.0001, 2.0])), float(rng.choice([0, 5, 1e9]))
        guess = first.First(problem.n_users, low, high, steps)
        monkeypatch.setattr(stream, "first_look", lambda *_, guess=guess: guess)
        monkeypatch.setattr(stream, "OPEN", FEW[k % len(FEW)])
        chunks = HeldChunks(problem, 7)
        assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, problem.budget), chunks)


@pytest.mark.parametrize("few", [0, 1, 3])
def test_users_of_one_return_end_in_the_right_chunk(few: int, guessed: pytest.MonkeyPatch):
    """Everybody's steps tie, so that the money ends at a user: the first who does not fit, wherever chunks end."""
    guessed.setattr(stream, "OPEN", few)
    for n, arms in ((150, 2), (60, 4)):
        value = np.broadcast_to(2.0 * np.arange(arms), (n, arms)).copy()
        cost = np.broadcast_to(1.0 * np.arange(arms), (n, arms)).copy()
        for budget in (0.0, 1.0, 6.5, n / 2, n * (arms - 1) - 0.5, n * (arms - 1.0)):
            problem = Problem(value, cost, budget)
            for size in (7, n):
                chunks = HeldChunks(problem, size)
                assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, budget), chunks)


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(problem=problems(max_users=8), few=st.sampled_from(FEW), size=st.integers(1, 9))
def test_small_problems_of_whole_numbers_and_cents(problem: Problem, few: int, size: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first, "SMALL", 1)
        patch.setattr(first, "MOST", 2)
        patch.setattr(stream, "OPEN", few)
        chunks = HeldChunks(problem, size)
        assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, problem.budget), chunks)


@pytest.mark.parametrize("few", FEW)
def test_amounts_of_every_size_at_once(few: int, guessed: pytest.MonkeyPatch):
    """Returns over a hundred doublings: sums of bins are rounded, and the price may lie beside the first bracket."""
    rng = np.random.default_rng([3, few])
    guessed.setattr(stream, "OPEN", few)
    for _ in range(20):
        shape = (int(rng.integers(1, 80)), int(rng.integers(2, 5)))
        value, cost = rng.lognormal(0, 12, shape), rng.lognormal(0, 12, shape)
        cost[:, 0] = 0
        spread = float(cost.max()) * 10.0 ** rng.uniform(-12, 0.5)
        problem = Problem(value, cost, spread)
        chunks = HeldChunks(problem, int(rng.choice(SIZES)))
        assert_the_same(problem, solve(problem), solve_budget_in_chunks(chunks, problem.budget), chunks)


def test_the_order_of_work_is_free(guessed: pytest.MonkeyPatch):
    rng = np.random.default_rng(4)
    for few in FEW:
        guessed.setattr(stream, "OPEN", few)
        problem = random_problem(rng, 200, 3, "ties")
        chunks = HeldChunks(problem, 13)
        solved = solve_budget_in_chunks(ShuffledChunks(chunks, rng), problem.budget)
        assert_the_same(problem, solve(problem), solved, chunks)
        assert solved.bound == solve_budget_in_chunks(chunks, problem.budget).bound


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_users_who_are_left_out_are_as_if_they_were_not(share: float, guessed: pytest.MonkeyPatch):
    """Places with gaps, chunks without a user, nobody at all."""
    rng = np.random.default_rng([5, int(100 * share)])
    for few in FEW:
        guessed.setattr(stream, "OPEN", few)
        for family in ("generic", "ties", "ineligible arms"):
            problem = random_problem(rng, 150, 3, family)
            there = rng.random(problem.n_users) < share
            left = without(problem, there)
            chunks = HeldChunks(problem, 11, there)
            assert_the_same(left, solve(left), solve_budget_in_chunks(chunks, problem.budget), chunks)


@pytest.mark.parametrize("few", [0, 3, 1 << 20])
def test_too_little_money_is_told_in_the_same_words(few: int, guessed: pytest.MonkeyPatch):
    guessed.setattr(stream, "OPEN", few)
    rng = np.random.default_rng(6)
    for n in (1, 5, 90):
        cost = rng.uniform(1, 2, (n, 3))
        problem = Problem(rng.random((n, 3)), cost, 0.999 * float(cost.min(axis=1).sum()))
        with pytest.raises(ProblemError, match=r"the cheapest arm of every user costs .* raise the budget") as held:
            solve(problem)
        with pytest.raises(ProblemError) as streamed:
            solve_budget_in_chunks(HeldChunks(problem, 4), problem.budget)
        assert str(streamed.value) == str(held.value)
