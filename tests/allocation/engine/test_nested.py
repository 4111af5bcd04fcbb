"""Budgets of segments: recognised where they are, and solved as well as the relaxation allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import Limit, Problem, ProblemError, solve
from allocation.engine.nested import is_nested, solve_nested
from tests import limit_invariants as holds
from tests.limit_oracles import limited_brute_force, limited_lp_bound
from tests.oracles import exact_total


def segments(n, parts, shares, budget_share, seed=0, K=3):
    """n users in `parts` segments; each may spend a share of what its users could, and all a share of that."""
    rng = np.random.default_rng(seed)
    value = np.column_stack([np.zeros(n), rng.gamma(2.0, 2.0, (n, K))])
    cost = np.column_stack([np.zeros(n), rng.gamma(2.0, 1.0, (n, K))])
    segment = rng.integers(0, parts, n)
    caps = [share * cost[segment == s].max(axis=1).sum() for s, share in enumerate(shares)]
    limits = [
        Limit(f"segment {s}", "cost", max=cap, users=segment == s)
        for s, cap in enumerate(caps)
        if (segment == s).any()
    ]
    budget = None if budget_share is None else budget_share * cost.max(axis=1).sum()
    return Problem(value, cost, budget, limits=limits)


def test_a_worked_example():
    """Returns 5, 4 | 3, 2 at a cost of 1 each; segment 0 may spend 1, all 2: one user of each, prices 3 - 3 and 3."""
    value = np.column_stack([np.zeros(4), [5.0, 4, 3, 2]])
    cost = np.column_stack([np.zeros(4), np.ones(4)])
    mask = np.array([True, True, False, False])
    solved = solve(Problem(value, cost, 2.0, limits=[Limit("team", "cost", max=1, users=mask)]))
    assert solved.decision.tolist() == [1, 0, 1, 0]
    assert (solved.value, solved.bound, solved.price) == (8, 8, 2)
    assert (solved.limits[0].used, solved.limits[0].price, solved.limits[0].binding) == (1, 2, "max")


@pytest.mark.parametrize("budget_share", [None, 0.02, 0.15, 0.3, 0.9])
@pytest.mark.parametrize("shares", [(0.1, 0.4, 0.2), (0.05, 0.05, 0.9), (0.0, 0.3, 1.0)])
def test_the_bound_is_the_linear_relaxation(shares, budget_share):
    for seed in range(3):
        problem = segments(300, 4, shares, budget_share, seed)
        assert is_nested(problem)
        solved = solve(problem)
        holds.assert_limits_hold(problem, solved)
        holds.assert_limit_report(problem, solved)
        assert solved.bound == pytest.approx(limited_lp_bound(problem), rel=1e-7)
        assert solved.gap <= 0.02


@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([None, 0.0, 0.1, 0.4, 1.0]))
def test_certified_on_a_few_users(seed, parts, budget_share):
    rng = np.random.default_rng(seed)
    problem = segments(6, parts + 1, rng.choice([0.0, 0.2, 0.5, 1.0], parts), budget_share, seed, K=2)
    whole = [np.rint(table) for table in (problem.value, problem.cost)]  # ties
    for tables in ((problem.value, problem.cost), whole):
        tied = replace(problem, value=tables[0], cost=tables[1])
        solved = solve(tied)
        optimum = limited_brute_force(tied)
        holds.assert_limits_hold(tied, solved)
        assert exact_total(tied.value, solved.decision) <= optimum
        assert solved.bound >= float(optimum) - 1e-9


@pytest.mark.parametrize(
    "change",
    [
        {"min": 0.5},  # a floor as well
        {"arms": [1]},  # only some arms count
        {"measure": "users"},
        {"users": None},  # shares users with the other segment
    ],
)
def test_what_is_not_nested_is_not_taken_for_it(change):
    problem = segments(40, 2, (0.2, 0.4), 0.2)
    assert is_nested(problem)
    assert not is_nested(replace(problem, limits=[replace(problem.limits[0], **change), problem.limits[1]]))
    paid = np.where(np.arange(4) == 0, 0.1, problem.cost)  # control costs, and caps do not count it
    assert not is_nested(replace(problem, cost=paid))


def test_segments_of_everybody_are_a_budget():
    problem = segments(200, 1, (0.3,), None)
    nested, budget = solve_nested(problem), solve(replace(problem, budget=problem.limits[0].max, limits=()))
    np.testing.assert_array_equal(nested.decision, budget.decision)
    assert (nested.bound, nested.prices[0]) == (budget.bound, budget.price)


def test_a_segment_that_cannot_pay_is_named():
    problem = segments(20, 2, (0.2, 0.4), None)
    cost = problem.cost + 1.0
    everything = [replace(limit, arms=[0, 1, 2, 3]) for limit in problem.limits]
    with pytest.raises(ProblemError, match=r"limit 'segment 0'.* cannot be kept: any decision uses at least"):
        solve(Problem(problem.value, cost, None, limits=[replace(everything[0], max=1.0), everything[1]]))
