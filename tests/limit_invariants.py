"""Properties that every solution under limits has, as assertions to be used on any problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from allocation import Allocation, Limit, Problem
from tests.invariants import assert_feasible, tolerance
from tests.limit_oracles import amounts_used, bound_at_prices
from tests.oracles import exact_total

Solve = Callable[[Problem], Allocation]


def broken_limits(problem: Problem, allocation: Allocation) -> list[tuple[str, Fraction]]:
    """The limits that the decision breaks, and by how much, in exact arithmetic."""
    broken = []
    for limit, used in zip(problem.limits, amounts_used(problem, allocation.decision), strict=True):
        below = Fraction(0) if math.isinf(limit.low) else Fraction(limit.low) - used
        above = Fraction(0) if math.isinf(limit.high) else used - Fraction(limit.high)
        if max(below, above) > 0:
            broken.append((limit.name, max(below, above)))
    return broken


def assert_limits_hold(problem: Problem, allocation: Allocation) -> None:
    """One eligible arm each, and the budget and every limit hold to the last bit."""
    assert_feasible(problem, allocation)
    assert broken_limits(problem, allocation) == []


def assert_limit_report(problem: Problem, allocation: Allocation) -> None:
    """One report a limit, in order: what is used is exact, the bounds are the limit's, price and side agree."""
    used = amounts_used(problem, allocation.decision)
    for limit, report, amount in zip(problem.limits, allocation.limits, used, strict=True):
        assert (report.name, report.measure, report.min, report.max) == (
            limit.name,
            limit.measure,
            limit.min,
            limit.max,
        )
        assert report.used == float(amount)
        assert (report.price > 0) <= (report.binding == "max"), report
        assert (report.price < 0) <= (report.binding == "min"), report
        assert (report.binding is None) <= (report.price == 0), report
        assert report.binding is None or getattr(report, report.binding) is not None, report
    assert allocation.price >= 0


def assert_prices_prove_the_bound(problem: Problem, allocation: Allocation) -> None:
    """The prices of the budget and the limits are a certificate that anyone can count again: they give the bound.

    Hence also price times what is left of the limit is at most bound - value: a price that costs nothing is 0. For
    solutions by prices; a bound by branching is tighter than any prices.
    """
    proved = bound_at_prices(problem, allocation.price, [report.price for report in allocation.limits])
    assert abs(proved - Fraction(allocation.bound)) <= Fraction(tolerance(problem))


def assert_limited_certified(
    problem: Problem, allocation: Allocation, attained: Fraction, bound: float | Fraction
) -> None:
    """value <= optimum <= bound for an optimum in [attained, bound], and `gap` is what lies between, as a share."""
    value = exact_total(problem.value, allocation.decision)
    assert value <= Fraction(bound) + Fraction(tolerance(problem))
    assert Fraction(allocation.bound) >= attained - Fraction(tolerance(problem))
    scale = max(abs(allocation.bound), abs(allocation.value))
    assert allocation.gap >= 0
    assert math.isclose(allocation.gap * scale, allocation.bound - allocation.value, rel_tol=1e-9, abs_tol=1e-300)


def assert_limits_unit_free(problem: Problem, solve: Solve, money: float, value: float) -> None:
    """Counting money or value in a unit 2^k as large changes no decision; totals and prices change by the unit."""
    here, there = solve(problem), solve(in_units(problem, money, value))
    np.testing.assert_array_equal(there.decision, here.decision)
    assert (there.value, there.bound, there.gap) == (here.value * value, here.bound * value, here.gap)
    assert (there.cost, there.price) == (here.cost * money, here.price * value / money)
    units = {"users": 1.0, "cost": money, "value": value}
    for mine, other in zip(here.limits, there.limits, strict=True):
        unit = units.get(mine.measure, 1.0)
        assert (other.used, other.price, other.binding) == (mine.used * unit, mine.price * value / unit, mine.binding)


def assert_unit_hardly_matters(problem: Problem, solve: Solve, money: float) -> None:
    """In any other unit of money (1e-6, 1e9) the limits hold, and each solution respects the other's bound.

    Bounds on money are widened by a share 1e-12 there, for the rounding of every cell to the new unit.
    """
    scaled = in_units(problem, money, 1.0, room=1e-12)
    here, there = solve(problem), solve(scaled)
    assert_limits_hold(scaled, there)
    assert_mutually_bounded(problem, here, there)


def assert_mutually_bounded(problem: Problem, one: Allocation, other: Allocation) -> None:
    """Two solutions of problems with the same optimum: neither is worth more than the other's bound allows."""
    slack = tolerance(problem) + 1e-9 * max(abs(one.bound), abs(other.bound))
    assert one.value <= other.bound + slack
    assert other.value <= one.bound + slack


def assert_limited_users_are_anonymous(problem: Problem, solve: Solve, order: np.ndarray) -> None:
    """Permuting users permutes decisions and moves no total. For problems without ties.

    Prices and bound come from sums of floats in the users' order, and of several best prices any may be found.
    """
    here, there = solve(problem), solve(permuted(problem, order))
    np.testing.assert_array_equal(there.decision, here.decision[order])
    assert (there.value, there.cost) == (here.value, here.cost)
    assert [report.used for report in there.limits] == [report.used for report in here.limits]
    assert_mutually_bounded(problem, here, there)


def assert_order_of_limits_is_free(problem: Problem, solve: Solve, order: np.ndarray) -> None:
    """Limits in another order hold as well, are reported in that order, and the two solutions bound each other."""
    there = solve(replace(problem, limits=[problem.limits[k] for k in order]))
    assert_limits_hold(problem, there)
    assert [report.name for report in there.limits] == [problem.limits[k].name for k in order]
    assert_mutually_bounded(problem, solve(problem), there)


def assert_redundant_limit_ignored(problem: Problem, solve: Solve) -> None:
    """A limit that no decision can reach has no price, and moves the optimum nowhere."""
    roomy = Limit("nobody reaches this", max=problem.n_users + 1.0, arms=range(problem.value.shape[1]))
    there = solve(replace(problem, limits=[*problem.limits, roomy]))
    assert_limits_hold(problem, there)
    assert (there.limits[-1].price, there.limits[-1].binding) == (0, None)
    assert_mutually_bounded(problem, solve(problem), there)


def assert_dropping_a_limit_never_harms(problem: Problem, solve: Solve) -> None:
    """Limits taken away one after the other: no decision before is worth more than the bound after."""
    solved = [solve(replace(problem, limits=problem.limits[k:])) for k in range(len(problem.limits) + 1)]
    for tight, loose in pairwise(solved):
        assert tight.value <= loose.bound + tolerance(problem)


def assert_limited_dominated_arm_ignored(problem: Problem, solve: Solve, of: int, worse: float) -> None:
    """A further arm that counts, costs and uses as arm `of` does and is worth less moves the optimum nowhere.

    For problems without a cap on value, which worth less would help to keep.
    """

    def wider(table: np.ndarray) -> np.ndarray:
        return np.column_stack([table, table[:, of]])

    value = np.column_stack([problem.value, problem.value[:, of] - worse])
    limits = [
        replace(limit, arms=(*limit.arms, problem.value.shape[1]) if of in limit.arms else limit.arms)
        for limit in problem.limits
    ]
    there = solve(
        Problem(
            value,
            wider(problem.cost),
            problem.budget,
            None if problem.eligible is None else wider(problem.eligible),
            limits,
            {name: wider(table) for name, table in problem.resources.items()},
        )
    )
    assert_mutually_bounded(problem, solve(problem), there)


def assert_limited_layout_free(problem: Problem, solve: Solve) -> None:
    """Column order, strides and width of the same numbers are no part of the problem."""
    here = solve(problem)
    for change in (np.asfortranarray, lambda t: np.repeat(t, 2, axis=0)[::2], lambda t: t.astype(np.float64)):
        resources = {name: change(table) for name, table in problem.resources.items()}
        there = solve(replace(problem, value=change(problem.value), cost=change(problem.cost), resources=resources))
        np.testing.assert_array_equal(there.decision, here.decision)
        assert (there.value, there.cost, there.price, there.bound) == (here.value, here.cost, here.price, here.bound)
        assert there.limits == here.limits


def in_units(problem: Problem, money: float, value: float, room: float = 0.0) -> Problem:
    """The problem with costs counted `money` times as large and values `value` times, limits and budget with them."""
    units = {"users": 1.0, "cost": money, "value": value}

    def limit_in_units(limit: Limit) -> Limit:
        unit = units.get(limit.measure, 1.0)
        wide = 0.0 if limit.measure != "cost" else room
        low = None if limit.min is None else limit.min * unit - wide * abs(limit.min * unit)
        high = None if limit.max is None else limit.max * unit + wide * abs(limit.max * unit)
        return replace(limit, min=low, max=high)

    budget = None if problem.budget is None else problem.budget * money * (1 + room)
    kind = (problem.value.dtype, problem.cost.dtype)
    tables = (problem.value * kind[0].type(value), problem.cost * kind[1].type(money))
    limits = [limit_in_units(limit) for limit in problem.limits]
    return replace(problem, value=tables[0], cost=tables[1], budget=budget, limits=limits)


def permuted(problem: Problem, order: np.ndarray) -> Problem:
    """The problem with its users in another order, the limits' users with them."""
    return Problem(
        problem.value[order],
        problem.cost[order],
        problem.budget,
        None if problem.eligible is None else problem.eligible[order],
        [replace(limit, users=None if limit.users is None else limit.users[order]) for limit in problem.limits],
        {name: table[order] for name, table in problem.resources.items()},
    )
