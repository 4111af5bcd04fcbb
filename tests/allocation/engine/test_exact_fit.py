"""Limits that the best decision fills to the last digit: it is found, and none that breaks them by a digit is."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from allocation import Limit, Problem, solve
from tests.limit_invariants import assert_limits_hold
from tests.limit_oracles import limited_brute_force
from tests.limit_strategies import LIMIT_FAMILIES, random_limited_problem
from tests.oracles import exact_total


@pytest.mark.parametrize("seed", range(20))
def test_a_limit_that_fits_exactly_is_no_limit(seed):
    """Floor and cap are the floats next to what everybody's best arm uses, a sum that floats round."""
    rng = np.random.default_rng([51, seed])
    n = int(rng.integers(1, 7))
    value, cost = rng.random((n, 3)) * 9, rng.random((n, 3)) * 3
    best = value.argmax(axis=1)
    used = sum((Fraction(float(cost[i, j])) for i, j in enumerate(best) if j), Fraction(0))
    near = float(used)
    low = near if Fraction(near) <= used else math.nextafter(near, -math.inf)
    high = near if Fraction(near) >= used else math.nextafter(near, math.inf)
    solved = solve(Problem(value, cost, limits=[Limit("fit", "cost", min=low, max=high)]))
    np.testing.assert_array_equal(solved.decision, best)


@pytest.mark.parametrize("family", [family for family in LIMIT_FAMILIES if family != "segment budgets"])
def test_a_few_users_get_the_best_decision(family):
    """Bounds are what a random decision uses exactly, so that many of the best decisions fit to the last digit."""
    rng = np.random.default_rng([52, LIMIT_FAMILIES.index(family)])
    for _ in range(12):
        problem = random_limited_problem(rng, int(rng.integers(1, 7)), int(rng.integers(1, 4)), family)
        solved = solve(problem)
        assert_limits_hold(problem, solved)
        optimum = limited_brute_force(problem)
        assert float(exact_total(problem.value, solved.decision)) == pytest.approx(float(optimum), rel=1e-9)
