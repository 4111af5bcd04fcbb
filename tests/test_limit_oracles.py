"""The oracles of problems with limits agree with one another, and the input families are what they say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from allocation import Limit, Problem
from tests import limit_oracles as oracle
from tests.clash_strategies import CLASH_FAMILIES, clashing_problem, indivisible_problem
from tests.invariants import tolerance
from tests.limit_strategies import LIMIT_FAMILIES, limited_problems, random_limited_problem
from tests.oracles import exact_total

three_users = Problem(
    [[0.0, 5], [0, 3], [0, 1]], [[0.0, 2], [0, 2], [0, 1]], 4.0, limits=[Limit("few", max=1, arms=[1])]
)


def test_worked_example():
    """One user may be treated: the best is worth 5; two at floor 2 on the last two cost 3 and are worth 4."""
    assert oracle.limited_brute_force(three_users) == 5
    last = np.array([False, True, True])
    floor = Problem(three_users.value, three_users.cost, 4.0, limits=[Limit("last", min=2, users=last)])
    assert oracle.limited_brute_force(floor) == 4
    assert oracle.limited_milp(floor) == (4, pytest.approx(4))
    assert oracle.limited_lp_bound(floor) == pytest.approx(4 + 2.5)


def test_prices_of_the_worked_example_prove_its_optimum():
    """At a price 5 per treated user, 1 x 5 + max(0, 5 - 5) + 0 + 0 = 5; at none, everybody: 9; at 3: 3 + 2."""
    assert oracle.bound_at_prices(three_users, 0.0, [5.0]) == 5
    assert oracle.bound_at_prices(three_users, 0.0, [0.0]) == 9
    assert oracle.bound_at_prices(three_users, 0.0, [3.0]) == 5
    with pytest.raises(ValueError, match="few has the price -1 on a side without a bound"):
        oracle.bound_at_prices(three_users, 0.0, [-1.0])


@given(hnp.arrays(np.float64, 6, elements=st.floats(-1e300, 1e300)))
def test_the_exact_total_is_that_of_fractions(cells):
    total = sum((Fraction(float(cell)) for cell in cells), Fraction(0))
    assert exact_total(cells[:, None], np.zeros(6, dtype=int)) == total


@pytest.mark.parametrize("family", LIMIT_FAMILIES)
def test_enumeration_integer_programme_and_relaxation_agree(family):
    rng = np.random.default_rng([1, LIMIT_FAMILIES.index(family)])
    for _ in range(4):
        problem = random_limited_problem(rng, int(rng.integers(1, 7)), int(rng.integers(1, 4)), family)
        optimum = oracle.limited_brute_force(problem)
        attained, bound = oracle.limited_milp(problem)
        assert attained <= optimum <= Fraction(bound) + Fraction(tolerance(problem))
        assert bound <= oracle.limited_lp_bound(problem) + tolerance(problem) * 1e3  # rows hold within 1e-6 there
        assert oracle.lp_feasible(problem)


@given(limited_problems(max_users=4))
def test_hypothesis_draws_feasible_problems(problem):
    assert float(oracle.limited_brute_force(problem)) <= oracle.limited_lp_bound(problem) + 1e-4


@pytest.mark.parametrize("family", CLASH_FAMILIES)
def test_exactly_the_named_set_clashes(family):
    rng = np.random.default_rng([2, CLASH_FAMILIES.index(family)])
    for _ in range(3):
        problem, names = clashing_problem(rng, int(rng.integers(4, 8)), 3, family)
        assert oracle.smallest_clash(problem) == [names]
        with pytest.raises(ValueError, match="no decision"):
            oracle.limited_brute_force(problem)
        everything = {row.name for row in oracle.all_rows(problem)}
        for name in names:
            assert oracle.lp_feasible(problem, everything - {name})
            assert 0 < oracle.least_give(problem, name, names) < math.inf


def test_how_much_each_would_have_to_give():
    """A floor of 2 under a cap of 1: either by 1. Two floors of 2 over a cap of 1: the cap by 3."""
    value = cost = np.ones((4, 2))
    half = np.array([True, True, False, False])
    limits = [Limit("a", min=2, users=half), Limit("cap", max=1), Limit("b", min=2, users=~half)]
    problem = Problem(value, cost, limits=limits)
    assert [oracle.least_give(problem, name, {"a", "cap"}) for name in ("a", "cap")] == pytest.approx([1, 1])
    assert oracle.least_give(problem, "cap") == pytest.approx(3)
    assert oracle.least_give(problem, "a") == math.inf


def test_the_indivisible_problem_is_feasible_for_mixtures_only():
    problem = indivisible_problem(np.random.default_rng(3), 5, 2)
    assert oracle.lp_feasible(problem)
    with pytest.raises(ValueError, match="no decision"):
        oracle.limited_brute_force(problem)
