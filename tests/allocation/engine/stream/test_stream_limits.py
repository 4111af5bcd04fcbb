"""Limits over chunks, users not held: every row holds exactly, the bound is one, the order of work is free."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from allocation import Limit, Problem, solve
from allocation.engine.limit import ProblemError
from allocation.engine.stream import limits as stream
from allocation.engine.stream.limits import solve_limits_in_chunks
from allocation.engine.stream.solved import Solved
from tests.allocation.engine.stream.chunked import (
    HeldChunks,
    ShuffledChunks,
    decided,
    terms_of_problem,
    without,
)
from tests.clash_strategies import CLASH_FAMILIES, clashing_problem, indivisible_problem
from tests.invariants import tolerance
from tests.limit_oracles import all_rows, amounts_used, bound_at_prices, limited_lp_bound, limited_milp
from tests.limit_strategies import LIMIT_FAMILIES, random_limited_problem
from tests.oracles import exact_total


@pytest.fixture(autouse=True)
def hardly_any_held() -> Iterator[pytest.MonkeyPatch]:
    """More than 200 users are not held, and about 200 are decided one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "HELD", 200)
        patch.setattr(stream, "SAMPLE", 200)
        patch.setattr(stream, "NEAR", 200)
        patch.setattr(stream, "FEWEST", 20)
        yield patch


def solve_all(problem: Problem, size: int = 400) -> tuple[Solved, np.ndarray]:
    """The solution over chunks, and its decision."""
    chunks = HeldChunks(problem, size)
    solved = solve_limits_in_chunks(chunks, terms_of_problem(problem), problem.n_users)
    return solved, decided(solved, chunks)


def assert_sound(problem: Problem, solved: Solved, decision: np.ndarray) -> None:
    """Eligible arms, all rows exact, totals and report those of the decision, prices that prove the bound."""
    rows = np.arange(problem.n_users)
    assert problem.eligible is None or problem.eligible[rows, decision].all()
    for row in all_rows(problem):
        used = exact_total(row.amounts, decision)
        assert math.isinf(row.low) or used >= Fraction(row.low), row.name
        assert math.isinf(row.high) or used <= Fraction(row.high), row.name
    assert solved.exact_value == exact_total(problem.value, decision)
    assert solved.exact_cost == exact_total(problem.cost, decision)
    assert [use.used for use in solved.limits] == [float(used) for used in amounts_used(problem, decision)]
    assert [use.name for use in solved.limits] == [limit.name for limit in problem.limits]
    proved = bound_at_prices(problem, solved.price, [use.price for use in solved.limits])
    assert abs(proved - Fraction(solved.bound)) <= Fraction(tolerance(problem))
    assert solved.bound >= solved.value


@pytest.mark.parametrize("family", LIMIT_FAMILIES)
def test_every_row_holds_and_the_bound_is_above_the_relaxation(family: str):
    rng = np.random.default_rng([1, LIMIT_FAMILIES.index(family)])
    problem = random_limited_problem(rng, 600, 3, family)
    solved, decision = solve_all(problem, 250)
    assert_sound(problem, solved, decision)
    held = solve(problem)
    slack = tolerance(problem) + 1e-9 * abs(held.bound)
    assert solved.value <= held.bound + slack
    assert held.value <= solved.bound + slack
    scale = max(abs(held.bound), 1e-9)
    assert (solved.bound - solved.value) / scale <= 5 * (held.bound - held.value) / scale + 2e-3


def test_the_bound_is_no_less_than_the_optimum(hardly_any_held: pytest.MonkeyPatch):
    """Forty users, of whom five are sampled: the integer programme's optimum lies between value and bound."""
    hardly_any_held.setattr(stream, "HELD", 5)
    hardly_any_held.setattr(stream, "SAMPLE", 5)
    hardly_any_held.setattr(stream, "NEAR", 10)
    hardly_any_held.setattr(stream, "FEWEST", 2)
    rng, solved_ones = np.random.default_rng(2), 0
    for k in range(len(LIMIT_FAMILIES)):
        problem = random_limited_problem(rng, 40, 3, LIMIT_FAMILIES[k])
        try:
            solved, decision = solve_all(problem, 7)
        except ProblemError as error:
            if "no decision was found" not in str(error):
                raise
            continue
        solved_ones += 1
        assert_sound(problem, solved, decision)
        optimum = limited_milp(problem)
        slack = tolerance(problem) + 1e-6 * abs(optimum.bound)
        assert solved.value <= optimum.bound + slack
        assert float(optimum.attained) <= solved.bound + slack
        assert solved.bound >= limited_lp_bound(problem) - slack
    assert solved_ones >= 15


def test_the_order_of_work_is_free():
    rng = np.random.default_rng(3)
    for family in ("segment floors and caps", "many limits", "resources", "ties"):
        problem = random_limited_problem(rng, 2_000, 4, family)
        one, decision = solve_all(problem, 700)
        chunks = HeldChunks(problem, 700)
        other = solve_limits_in_chunks(ShuffledChunks(chunks, rng), terms_of_problem(problem), problem.n_users)
        np.testing.assert_array_equal(decided(other, chunks), decision)
        assert 0 < len(one.rule.place) < problem.n_users
        assert (other.bound, other.price, other.limits) == (one.bound, one.price, one.limits)


@pytest.mark.parametrize("size", [500, 5_000])
def test_five_thousand_users_have_a_small_gap(size: int):
    """However they are cut: cap and floor on segments, a cap on an arm, a budget."""
    rng = np.random.default_rng(4)
    value = np.column_stack([np.zeros(5_000), rng.gamma(2, 2, (5_000, 3))])
    cost = np.column_stack([np.zeros(5_000), rng.gamma(2, 1, (5_000, 3))]).astype(np.float32)
    half = rng.random(5_000) < 0.5
    limits = [
        Limit("some", max=900, users=half),
        Limit("enough", min=700, users=~half, arms=[2]),
        Limit("dear", max=300, arms=[3]),
    ]
    problem = Problem(value, cost, 4_000.0, None, limits)
    solved, decision = solve_all(problem, size)
    assert_sound(problem, solved, decision)
    assert solved.gap < 2e-4
    assert len(solved.rule.place) < 0.2 * problem.n_users  # the others choose at the prices


@pytest.mark.parametrize("family", CLASH_FAMILIES)
def test_limits_that_clash_are_named(family: str):
    """The words are those of the whole problem, as far as they name limits."""
    rng = np.random.default_rng([5, CLASH_FAMILIES.index(family)])
    problem, clash = clashing_problem(rng, 600, 3, family)
    with pytest.raises(ProblemError) as caught:
        solve_all(problem, 250)
    message = str(caught.value)
    named = {limit.name for limit in problem.limits if repr(limit.name) in message}
    assert named | ({"budget"} & clash) == clash, message
    assert ("budget" in clash) == ("budget" in message)


@pytest.mark.parametrize("left", [0, 1, 3, 40, 350])
def test_few_users_left_of_many_places(left: int):
    """Most were served: the sample of the places holds hardly anybody, or all."""
    rng = np.random.default_rng([6, left])
    problem = replace(random_limited_problem(rng, 2_000, 3, "segment budgets"), limits=())
    there = np.zeros(2_000, dtype=bool)
    there[rng.permutation(2_000)[:left]] = True
    some = without(problem, there)
    limits = [Limit("some", max=0.4 * left), Limit("money", "cost", max=0.3 * float(some.cost.max(axis=1).sum()))]
    problem, some = replace(problem, limits=limits), replace(some, limits=limits)
    chunks = HeldChunks(problem, 170, there)
    solved = solve_limits_in_chunks(chunks, terms_of_problem(problem), problem.n_users)
    assert solved.n_users == left
    assert_sound(some, solved, decided(solved, chunks))


def test_users_who_are_all_held_are_decided_as_in_memory():
    rng = np.random.default_rng(7)
    for family in LIMIT_FAMILIES[::3]:
        problem = random_limited_problem(rng, 60, 3, family)
        solved, decision = solve_all(problem, 25)
        np.testing.assert_array_equal(decision, solve(problem).decision)
        assert_sound(problem, solved, decision)


def test_margins_are_of_the_scores_with_the_prices_of_limits_in_them():
    rng = np.random.default_rng(8)
    problem = random_limited_problem(rng, 900, 3, "segment floors and caps")
    chunks = HeldChunks(problem, 200)
    solved = solve_limits_in_chunks(chunks, terms_of_problem(problem), problem.n_users)
    prices = [solved.price, *(use.price for use in solved.limits)]
    for chunk in chunks:
        decision = solved.rule.decide(chunk)
        margin = solved.rule.margins(chunk, decision)
        score = chunk.value.astype(float)
        for price, row in zip(prices, all_rows(problem), strict=True):
            score = score - price * row.amounts[chunk.places()]
        rows = np.arange(len(chunk))
        own = score[rows, decision]
        score[rows, decision] = -np.inf
        np.testing.assert_allclose(margin, own - score.max(axis=1), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("left", [200, 700])
def test_a_limit_of_whose_users_nobody_is_left(left: int):
    """They were served: a cap does not bind, a floor cannot be kept and is named; held in memory or not."""
    rng = np.random.default_rng(9)
    problem = random_limited_problem(rng, left + 100, 3, "segment budgets")
    gone = np.arange(problem.n_users) < 100
    other = Limit("some", max=0.3 * left)
    some = without(replace(problem, limits=[other]), ~gone)
    for bounds in ({"max": 7}, {"min": -1.0, "measure": "value"}, {"min": 3}):
        whole = replace(problem, limits=[Limit("gone", users=gone, **bounds), other])
        chunks = HeldChunks(whole, 90, ~gone)
        if bounds == {"min": 3}:
            with pytest.raises(ProblemError, match="'gone'"):
                solve_limits_in_chunks(chunks, terms_of_problem(whole), whole.n_users)
            continue
        solved = solve_limits_in_chunks(chunks, terms_of_problem(whole), whole.n_users)
        use = solved.limits[0]
        assert (use.name, use.used, use.price, use.binding) == ("gone", 0.0, 0.0, None)
        assert_sound(some, replace(solved, limits=solved.limits[1:]), decided(solved, chunks))
        for chunk in chunks:
            assert len(solved.rule.margins(chunk, solved.rule.decide(chunk))) == len(chunk)


def test_limits_that_only_shares_of_users_keep_are_told_so():
    """All costs are even and an odd sum is asked for: no clash, and no decision."""
    problem = indivisible_problem(np.random.default_rng(10), 250, 3)
    with pytest.raises(ProblemError, match="no decision was found that holds all limits, although one that shares"):
        solve_all(problem, 100)
