"""The upper hull: worked examples, and its geometry against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from allocation import Problem
from allocation.engine.bracket import steps_of
from allocation.engine.kernels import TOP
from allocation.engine.tables import Tables
from tests.oracles import concave_envelope
from tests.strategies import FAMILIES, problems, random_problem


def upper_hull(problem):
    """All hull steps of all users, with names."""
    users = Tables(problem.value, problem.cost, problem.eligible)
    steps = steps_of(users, np.arange(problem.n_users), 0.0, TOP)
    return SimpleNamespace(
        base=steps.base,
        user=steps.step[:, 0],
        arm=steps.step[:, 1],
        extra_cost=steps.amount[:, 0],
        extra_value=steps.amount[:, 1],
        slope=steps.amount[:, 2],
    )


def climbed(hull, user):
    """The user's steps in order: rows of (arm, extra cost, extra value, slope)."""
    own = hull.user == user
    return list(zip(hull.arm[own], hull.extra_cost[own], hull.extra_value[own], hull.slope[own], strict=True))


def eligible_points(problem, user):
    """(cost, value) of the user's eligible arms."""
    arms = range(problem.value.shape[1])
    keep = [j for j in arms if problem.eligible is None or problem.eligible[user, j]]
    return [(problem.cost[user, j], problem.value[user, j]) for j in keep]


def test_a_worked_example():
    """(0,0) (1,3) (2,4) (3,4.5) (4,7): arm 3 lies below the line from (2,4) to (4,7); returns 3, then 1.5, not 1."""
    hull = upper_hull(Problem([[0, 3, 4, 4.5, 7]], [[0, 1, 2, 3, 4.0]]))
    assert hull.base.tolist() == [0]
    assert climbed(hull, 0) == [(1, 1, 3, 3), (4, 3, 4, 4 / 3)]


def test_collinear_arms_are_separate_steps():
    """(0,0) (1,2) (2,4) (3,6) on one line: three steps of 1, not one of 3."""
    hull = upper_hull(Problem([[0, 6, 2, 4.0]], [[0, 3, 1, 2.0]]))
    assert [arm for arm, *_ in climbed(hull, 0)] == [2, 3, 1]
    assert hull.slope.tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("value", "cost", "base"),
    [
        ([5.0, 9, 1], [2.0, 1, 0], 2),  # the cheapest
        ([5.0, 9, 7], [0.0, 0, 0], 1),  # of equally cheap arms the most valuable
        ([5.0, 5, 5], [0.0, 0, 0], 0),  # of equals the first
        ([5.0, 1, 1], [0.0, -1, -2], 2),  # earning is cheaper than costing nothing
    ],
)
def test_users_start_on_their_cheapest_arm(value, cost, base):
    assert upper_hull(Problem([value], [cost])).base.tolist() == [base]


def test_arms_that_cost_more_and_bring_no_more_are_no_steps():
    hull = upper_hull(Problem([[3.0, 3, 2, -1]], [[0.0, 1, 2, 3]]))
    assert len(hull.arm) == 0


def test_ineligible_arms_are_neither_base_nor_step():
    """Of (0,0) (1,9) (2,3) (4,4) only the last two may be given."""
    problem = Problem([[0.0, 9, 3, 4]], [[0.0, 1, 2, 4]], None, np.array([[False, False, True, True]]))
    hull = upper_hull(problem)
    assert hull.base.tolist() == [2]
    assert climbed(hull, 0) == [(3, 2, 1, 0.5)]


@pytest.mark.parametrize("shape", [(0, 3), (4, 1)])
def test_no_steps_without_users_or_treatments(shape):
    hull = upper_hull(Problem(np.ones(shape), np.ones(shape)))
    assert (len(hull.base), len(hull.user), len(hull.slope)) == (shape[0], 0, 0)


@given(problems())
def test_steps_climb_from_the_base_with_falling_returns(problem):
    hull = upper_hull(problem)
    assert (hull.extra_cost > 0).all()
    assert (hull.extra_value > 0).all()
    assert (np.diff(hull.user) >= 0).all()
    for user in range(problem.n_users):
        at, last = hull.base[user], np.inf
        for arm, extra_cost, extra_value, slope in climbed(hull, user):
            assert extra_cost == problem.cost[user, arm] - problem.cost[user, at]
            assert extra_value == problem.value[user, arm] - problem.value[user, at]
            assert slope <= last
            assert slope == pytest.approx(extra_value / extra_cost, rel=1e-12)
            at, last = arm, slope


def test_returns_never_rise_by_a_rounding():
    """Arms on one line in tenths, which floats bend by a bit here and there: the return is 3 up to rounding."""
    rng = np.random.default_rng(8)
    tenths = rng.integers(0, 60, (500, 6))
    hull = upper_hull(Problem(tenths * 0.3, tenths * 0.1))
    same = np.diff(hull.user) == 0
    assert (np.diff(hull.slope)[same] <= 0).all()
    np.testing.assert_allclose(hull.slope, 3.0)


@given(problems(max_users=2, max_arms=6))
def test_every_corner_lies_on_the_concave_envelope(problem):
    """At the cost of each arm of the hull no mixture of two arms is worth more."""
    hull = upper_hull(problem)
    for user in range(problem.n_users):
        points = eligible_points(problem, user)
        for arm in [hull.base[user], *hull.arm[hull.user == user]]:
            best = concave_envelope(points, problem.cost[user, arm])
            assert float(best) == pytest.approx(problem.value[user, arm], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("family", ["ties", "collinear arms"])
def test_the_hull_is_the_concave_envelope_exactly(family):
    """On whole numbers: at every arm's cost the hull, walked step by step, is the best mixture of two arms."""
    rng = np.random.default_rng([7, FAMILIES.index(family)])
    problem = random_problem(rng, 60, 4, family)
    hull = upper_hull(problem)
    for user in range(problem.n_users):
        base = hull.base[user]
        for cost, _ in eligible_points(problem, user):
            left = Fraction(cost) - Fraction(problem.cost[user, base])
            walked = Fraction(problem.value[user, base])
            for _, extra_cost, extra_value, _ in climbed(hull, user):
                part = min(left, Fraction(extra_cost))
                walked += part * Fraction(extra_value) / Fraction(extra_cost)
                left -= part
            assert walked == concave_envelope(eligible_points(problem, user), cost)
