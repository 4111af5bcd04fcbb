"""Properties that every solution has, as assertions to be used on any problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from allocation import Allocation, Problem
from tests.oracles import exact_total

Solve = Callable[[Problem], Allocation]


def tolerance(problem: Problem) -> float:
    """What rounding may add up to, value units: a share 1e-9 of the largest absolute value of every user."""
    return 1e-9 * float(np.abs(problem.value.astype(float)).max(axis=1).sum())


def largest_step(problem: Problem) -> float:
    """Largest difference in value between two eligible arms of one user."""
    open_value = np.ma.masked_array(
        problem.value.astype(float), None if problem.eligible is None else ~problem.eligible
    )
    return float((open_value.max(axis=1) - open_value.min(axis=1)).max())


def budget_excess(problem: Problem, allocation: Allocation) -> Fraction:
    """Money above the budget in exact arithmetic; negative where some is left, minus the cost without a budget."""
    spent = exact_total(problem.cost, allocation.decision)
    return -abs(spent) if problem.budget is None else spent - Fraction(problem.budget)


def assert_feasible(problem: Problem, allocation: Allocation) -> None:
    """Each user gets one eligible arm, and the budget holds to the last bit."""
    decision = allocation.decision
    assert decision.shape == (problem.n_users,)
    assert ((decision >= 0) & (decision < problem.value.shape[1])).all()
    assert problem.eligible is None or problem.eligible[np.arange(problem.n_users), decision].all()
    assert budget_excess(problem, allocation) <= 0


def assert_totals(problem: Problem, allocation: Allocation) -> None:
    """Value, cost, gain and slack are those of the decision: exact sums rounded once."""
    value, cost = (exact_total(table, allocation.decision) for table in (problem.value, problem.cost))
    control = exact_total(problem.value, np.zeros(problem.n_users, dtype=int))
    assert (allocation.value, allocation.cost) == (float(value), float(cost))
    assert math.isclose(allocation.gain, float(value - control), rel_tol=1e-12, abs_tol=tolerance(problem))
    assert allocation.slack == (math.inf if problem.budget is None else problem.budget - allocation.cost)
    assert allocation.slack >= 0


def assert_certified(problem: Problem, allocation: Allocation, attained: Fraction, bound: float | Fraction) -> None:
    """value <= optimum <= bound, and value and bound lie within one step, for an optimum in [attained, bound]."""
    value = exact_total(problem.value, allocation.decision)
    assert value <= Fraction(bound) + Fraction(tolerance(problem))
    assert float(attained) <= allocation.bound + tolerance(problem)
    assert float(Fraction(bound) - value) <= largest_step(problem) + tolerance(problem)
    assert_one_step(problem, allocation)


def assert_one_step(problem: Problem, allocation: Allocation) -> None:
    """The certificate is never looser than one user's one step, and `gap` is the certificate as a share."""
    missing = allocation.bound - allocation.value
    assert 0 <= missing <= largest_step(problem) + tolerance(problem)
    scale = max(abs(allocation.bound), abs(allocation.value))
    assert math.isclose(allocation.gap * scale, missing, rel_tol=1e-9)


def assert_ordered_in_budget(problem: Problem, solve: Solve, budgets: list[float]) -> None:
    """More budget: the bound never falls, the price never rises, the value falls by at most one step.

    This much holds of any rule that stays within a step of the bound; for more, `assert_value_never_falls`.
    """
    solved = [solve(replace(problem, budget=budget)) for budget in sorted(budgets)]
    for less, more in pairwise(solved):
        assert more.bound >= less.bound - tolerance(problem)
        assert more.price <= less.price
        assert more.value >= less.value - largest_step(problem) - tolerance(problem)


def assert_value_never_falls(problem: Problem, solve: Solve, budgets: list[float]) -> None:
    """More budget never buys less, in exact sums: filling in order of return takes every change it took with less."""
    solved = [solve(replace(problem, budget=budget)) for budget in sorted(budgets)]
    values = [exact_total(problem.value, allocation.decision) for allocation in solved]
    for less, more in pairwise(values):
        assert more >= less - Fraction(tolerance(problem))


def assert_price_is_the_return_on_money(problem: Problem, solve: Solve, other: float) -> None:
    """bound(other) <= bound(budget) + price (other - budget): the price is a supergradient of a concave bound."""
    here, there = solve(problem), solve(replace(problem, budget=other))
    assert there.bound <= here.bound + here.price * (other - problem.budget) + tolerance(problem)


def assert_users_are_anonymous(problem: Problem, solve: Solve, order: np.ndarray) -> None:
    """Permuting users permutes decisions, and moves neither price nor totals. For problems without ties."""
    eligible = None if problem.eligible is None else problem.eligible[order]
    moved = solve(Problem(problem.value[order], problem.cost[order], problem.budget, eligible))
    here = solve(problem)
    np.testing.assert_array_equal(moved.decision, here.decision[order])
    assert (moved.value, moved.cost, moved.price, moved.bound) == (here.value, here.cost, here.price, here.bound)


def assert_unit_free(problem: Problem, solve: Solve, money: float, value: float) -> None:
    """Counting money or value in a unit 2^k as large changes no decision; totals and price change by the unit."""
    budget = None if problem.budget is None else problem.budget * money
    here = solve(problem)
    there = solve(Problem(problem.value * value, problem.cost * money, budget, problem.eligible))
    np.testing.assert_array_equal(there.decision, here.decision)
    assert (there.value, there.bound) == (here.value * value, here.bound * value)
    assert (there.cost, there.price, there.gap) == (here.cost * money, here.price * value / money, here.gap)


def assert_dominated_arm_ignored(problem: Problem, solve: Solve, of: np.ndarray, worse: float, dearer: float) -> None:
    """A further arm, worth less and no cheaper than arm `of[i]` of each user, is never chosen and changes nothing."""
    rows = np.arange(problem.n_users)
    value = np.column_stack([problem.value, problem.value[rows, of] - worse])
    cost = np.column_stack([problem.cost, problem.cost[rows, of] + dearer])
    mask = None if problem.eligible is None else np.column_stack([problem.eligible, problem.eligible[rows, of]])
    here, there = solve(problem), solve(Problem(value, cost, problem.budget, mask))
    np.testing.assert_array_equal(there.decision, here.decision)
    assert (there.value, there.price, there.bound) == (here.value, here.price, here.bound)


def assert_layout_free(problem: Problem, solve: Solve) -> None:
    """Column order, strides and width of the same numbers are no part of the problem."""
    here = solve(problem)
    strided = [np.repeat(table, 2, axis=0)[::2] for table in (problem.value, problem.cost)]
    fortran = [np.asfortranarray(table) for table in (problem.value, problem.cost)]
    double = [table.astype(np.float64) for table in (problem.value, problem.cost)]
    for value, cost in (strided, fortran, double):
        there = solve(Problem(value, cost, problem.budget, problem.eligible))
        np.testing.assert_array_equal(there.decision, here.decision)
        assert (there.value, there.cost, there.price, there.bound) == (here.value, here.cost, here.price, here.bound)


def assert_single_precision_close(problem: Problem, solve: Solve) -> None:
    """Tables rounded to float32 keep the budget exactly, and cost at most one step and their own rounding in value.

    Rounding moves each user's value by a share 2^-24 and each cost likewise, which the price turns into value.
    """
    single = Problem(
        problem.value.astype(np.float32), problem.cost.astype(np.float32), problem.budget, problem.eligible
    )
    here, there = solve(problem), solve(single)
    assert_feasible(single, there)
    size = [np.abs(table).max(axis=1).sum() for table in (problem.value, problem.cost)]
    rounding = 2.0**-24 * (size[0] + max(here.price, there.price) * size[1])
    assert abs(there.bound - here.bound) <= rounding + tolerance(problem)
    assert abs(there.value - here.value) <= largest_step(problem) + rounding + tolerance(problem)
