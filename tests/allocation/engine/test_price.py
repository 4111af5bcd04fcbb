"""One budget: worked examples, the certificate against independent optima, and the invariants of any solution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation import Problem, ProblemError, solve
from allocation.engine.price import margins
from tests import invariants as holds
from tests.oracles import brute_force, lp_bound, milp
from tests.strategies import FAMILIES, least_budget, problems, random_problem

REGULAR = [family for family in FAMILIES if family != "costs a rounding apart"]
seeds = st.integers(0, 2**32 - 1)
three_users = Problem([[0.0, 5], [0, 3], [0, 1]], [[0.0, 2], [0, 2], [0, 1]], budget=3.0)


def test_a_worked_example():
    """Returns 2.5, 1.5, 1: user 0 fits, user 1 does not (price 1.5), user 2 fills; bound 1.5 x 3 + 2 + 0 + 0."""
    solved = solve(three_users)
    assert solved.decision.tolist() == [1, 0, 1]
    assert (solved.value, solved.cost, solved.price, solved.bound) == (6, 3, 1.5, 6.5)
    assert (solved.gain, solved.slack, solved.gap) == (6, 0, 0.5 / 6.5)


def test_money_that_nobody_can_use_has_no_price():
    """Both arms together cost 3 of 4: everybody gets the best arm, 1 is left, the bound is attained."""
    solved = solve(Problem([[0.0, 5], [2, 3]], [[0.0, 2], [0, 1]], budget=4.0))
    assert (solved.value, solved.cost, solved.price, solved.bound, solved.slack) == (8, 3, 0, 8, 1)
    assert solved.gain == 6


def test_an_arm_below_the_hull_may_fill():
    """Budget 1: the hull steps from control to arm 2 at return 5, cost 2; arm 1 is below the hull yet affordable."""
    solved = solve(Problem([[0.0, 2, 10]], [[0.0, 1, 2]], budget=1.0))
    assert (solved.decision.tolist(), solved.price, solved.bound) == ([1], 5, 5)


def test_what_is_left_goes_to_steps_by_their_return():
    """Budget 3: 30 for 10 does not fit; then 3 for 1.5 twice (return 2) before 5 for 3 (return 1.7): 6, not 5."""
    solved = solve(Problem([[0.0, 30], [0, 5], [0, 3], [0, 3]], [[0.0, 10], [0, 3], [0, 1.5], [0, 1.5]], budget=3.0))
    assert (solved.decision.tolist(), solved.price) == ([0, 0, 1, 1], 3)


def test_of_changes_below_the_hull_the_largest_gain_goes_first():
    """Budget 1 buys neither step of cost 3; off the hull it buys 1 for user 0 or 2 for user 1, not both."""
    solved = solve(Problem([[0.0, 1, 10], [0, 2, 10]], [[0.0, 1, 3], [0, 1, 3]], budget=1.0))
    assert solved.decision.tolist() == [0, 1]


def test_what_one_user_earns_pays_for_another():
    """Budget 0: user 0 loses 1 in value and earns 2 of money, which buys 9 for user 1."""
    solved = solve(Problem([[0.0, -1], [0, 9]], [[0.0, -2], [0, 2]], budget=0.0))
    assert (solved.decision.tolist(), solved.value, solved.cost) == ([1, 1], 8, 0)


def test_control_that_is_not_eligible_is_no_way_out():
    """The user must get arm 1 or 2; arm 1 is the cheaper although control would cost nothing."""
    solved = solve(Problem([[9.0, 1, 2]], [[0.0, 1, 5]], 2.0, np.array([[False, True, True]])))
    assert (solved.decision.tolist(), solved.gain) == ([1], -8)


@pytest.mark.parametrize("K", [0, 3])
def test_without_users_there_is_nothing_to_decide(K):
    solved = solve(Problem(np.empty((0, K + 1)), np.empty((0, K + 1)), 1.0))
    assert (len(solved.decision), solved.value, solved.cost, solved.bound, solved.gap) == (0, 0, 0, 0, 0)


def test_a_budget_below_the_cheapest_decision_is_refused():
    """Each user costs at least 1, together 2."""
    with pytest.raises(ProblemError, match=r"budget 1\.5 cannot be met: .* costs 2 together; raise the budget"):
        solve(Problem([[0.0, 1], [0, 1]], [[1.0, 2], [1, 3]], budget=1.5))


def test_a_budget_short_by_one_bit_is_refused():
    """Ten times the float 0.1 is more than 1 by 5.6e-17, though floats add up to 1."""
    problem = Problem(np.zeros((10, 1)), np.full((10, 1), 0.1), budget=1.0)
    assert problem.cost.sum() <= 1.0
    with pytest.raises(ProblemError, match="cannot be met"):
        solve(problem)


@pytest.mark.parametrize("family", REGULAR)
def test_certified_against_brute_force(family):
    rng = np.random.default_rng([1, FAMILIES.index(family)])
    for _ in range(13):
        problem = random_problem(rng, int(rng.integers(1, 8)), int(rng.integers(1, 5)), family)
        solved = solve(problem)
        optimum = brute_force(problem.value, problem.cost, problem.budget, problem.eligible)
        holds.assert_feasible(problem, solved)
        holds.assert_totals(problem, solved)
        holds.assert_certified(problem, solved, optimum, optimum)


@pytest.mark.parametrize("family", REGULAR)
def test_certified_against_integer_programming(family):
    rng = np.random.default_rng([2, FAMILIES.index(family)])
    for K in (1, 4):
        problem = random_problem(rng, 200, K, family)
        solved = solve(problem)
        holds.assert_feasible(problem, solved)
        holds.assert_certified(problem, solved, *milp(problem.value, problem.cost, problem.budget, problem.eligible))


@pytest.mark.parametrize("family", REGULAR)
def test_the_bound_is_the_linear_relaxation(family):
    rng = np.random.default_rng([3, FAMILIES.index(family)])
    problem = random_problem(rng, 40, 3, family)
    relaxed = lp_bound(problem.value, problem.cost, problem.budget, problem.eligible)
    assert solve(problem).bound == pytest.approx(relaxed, rel=1e-6)


def test_the_bound_holds_where_costs_differ_by_a_rounding():
    """Either user's arm fits alone, both together do not: the optimum is 6, whatever is decided."""
    cost = np.array([[0.8, 0.8 * (1 + 2**-52)], [0.5, 0.5 * (1 + 2**-52)]])
    problem = Problem([[0.0, 6], [0, 4]], cost, budget=1.3 + 2**-52)
    assert brute_force(problem.value, problem.cost, problem.budget) == 6
    assert solve(problem).bound >= 6


@given(problems())
def test_feasible_with_true_totals(problem):
    solved = solve(problem)
    holds.assert_feasible(problem, solved)
    holds.assert_totals(problem, solved)


@given(problems(max_users=4, max_arms=4))
def test_certified_on_anything(problem):
    optimum = brute_force(problem.value, problem.cost, problem.budget, problem.eligible)
    holds.assert_certified(problem, solve(problem), optimum, optimum)


@given(problems(budgets="finite"), st.lists(st.integers(0, 100), min_size=2, max_size=6))
def test_ordered_in_the_budget(problem, extra):
    least = least_budget(problem.cost, problem.eligible)
    holds.assert_ordered_in_budget(problem, solve, [least + k / 8 for k in extra])


@given(problems(budgets="finite"), st.lists(st.integers(0, 400), min_size=2, max_size=12))
def test_the_value_never_falls_when_the_budget_grows(problem, extra):
    least = least_budget(problem.cost, problem.eligible)
    holds.assert_value_never_falls(problem, solve, [least + k / 16 for k in extra])


@pytest.mark.parametrize("family", REGULAR)
def test_the_value_never_falls_over_a_fine_grid(family):
    """A hundred budgets from the cheapest decision to a little more than everything."""
    rng = np.random.default_rng([8, FAMILIES.index(family)])
    problem = random_problem(rng, 40, 4, family)
    least = least_budget(problem.cost, problem.eligible)
    most = max(0.0, solve(Problem(problem.value, problem.cost, None, problem.eligible)).cost)
    budgets = [least + k / 90 * max(most - least, 1e-3) for k in range(100)]
    holds.assert_value_never_falls(problem, solve, budgets)


@pytest.mark.parametrize("unit", [1e-6, 1e9])
@pytest.mark.parametrize("family", ["generic", "negative cost", "negative value", "dominated arms", "float32"])
def test_the_unit_of_money_is_free(family, unit):
    """Money counted in millionths or milliards: the same decision; cost and price change by the unit."""
    rng = np.random.default_rng([9, FAMILIES.index(family)])
    for _ in range(20):
        problem = random_problem(rng, 50, 4, family)
        budget = problem.budget * (1 + 1e-9) + 1e-9  # clear of an exact fit, which rounding may break
        here = solve(Problem(problem.value, problem.cost, budget, problem.eligible))
        there = solve(Problem(problem.value, problem.cost.astype(float) * unit, budget * unit, problem.eligible))
        np.testing.assert_array_equal(there.decision, here.decision)
        assert (there.value, there.gain) == (here.value, here.gain)
        assert there.cost == pytest.approx(here.cost * unit, rel=1e-12)
        assert there.price * unit == pytest.approx(here.price, rel=1e-9)
        assert there.bound == pytest.approx(here.bound, rel=1e-9)


@given(problems(budgets="finite"), st.integers(0, 100))
def test_price_is_the_return_on_money(problem, extra):
    other = least_budget(problem.cost, problem.eligible) + extra / 8
    holds.assert_price_is_the_return_on_money(problem, solve, other)


@pytest.mark.parametrize("family", ["generic", "negative cost", "negative value", "zero budget", "ineligible arms"])
def test_users_are_anonymous(family):
    rng = np.random.default_rng([4, FAMILIES.index(family)])
    for _ in range(20):
        problem = random_problem(rng, 30, 3, family)
        holds.assert_users_are_anonymous(problem, solve, rng.permutation(30))


@given(problems(), st.integers(-30, 30), st.integers(-30, 30))
def test_unit_free(problem, money, value):
    holds.assert_unit_free(problem, solve, 2.0**money, 2.0**value)


@given(problems(), st.data(), st.integers(0, 4), st.integers(0, 4))
def test_dominated_arm_ignored(problem, data, worse, dearer):
    arms = st.integers(0, problem.value.shape[1] - 1)
    of = np.array(data.draw(st.lists(arms, min_size=problem.n_users, max_size=problem.n_users)))
    holds.assert_dominated_arm_ignored(problem, solve, of, worse, dearer)


@pytest.mark.parametrize("family", FAMILIES)
def test_layout_free(family):
    rng = np.random.default_rng([5, FAMILIES.index(family)])
    for _ in range(5):
        holds.assert_layout_free(random_problem(rng, 25, 3, family), solve)


@pytest.mark.parametrize("family", ["generic", "zero cost", "zero budget", "dominated arms", "huge money"])
def test_single_precision_close(family):
    rng = np.random.default_rng([6, FAMILIES.index(family)])
    for _ in range(20):
        holds.assert_single_precision_close(random_problem(rng, 25, 3, family), solve)


@given(problems(budgets="finite", max_users=4), st.integers(2, 3))
def test_copies_of_everybody_multiply_the_bound(problem, copies):
    """The relaxation shares money out among copies equally, so k copies and k budgets are worth k bounds."""
    tables = [np.tile(table, (copies, 1)) for table in (problem.value, problem.cost)]
    mask = None if problem.eligible is None else np.tile(problem.eligible, (copies, 1))
    least = least_budget(tables[1], mask)
    many = solve(Problem(*tables, max(least, copies * problem.budget), mask))
    assert many.bound == pytest.approx(copies * solve(problem).bound, rel=1e-9, abs=1e-9)


def test_margins_of_the_worked_example():
    """At price 1.5: 5 - 3 against 0; 0 against 3 - 3; and user 2, who only fills, 1 - 1.5 against 0."""
    assert margins(three_users, solve(three_users)).tolist() == [2, 0, -0.5]


def test_margin_is_infinite_without_an_alternative():
    eligible = np.array([[True, False], [True, True]])
    problem = Problem([[0.0, 5], [1, 3]], [[0.0, 2], [0, 2]], 9.0, eligible)
    assert margins(problem, solve(problem)).tolist() == [np.inf, 2]
    alone = Problem([[4.0]], [[1.0]], 1.0)
    assert margins(alone, solve(alone)).tolist() == [np.inf]


@given(problems())
def test_margins_measure_the_distance_to_the_bound(problem):
    """sum_i max(0, -margin_i) is what the decision loses at the price; with the money left over it is the gap."""
    solved = solve(problem)
    lost = np.maximum(0, -margins(problem, solved)).sum()
    idle = 0.0 if solved.price == 0 else solved.price * solved.slack
    assert lost + idle == pytest.approx(solved.bound - solved.value, abs=2 * holds.tolerance(problem))


def test_margins_do_not_depend_on_the_width_of_the_table():
    """The same numbers, held in float32 and in float64."""
    single = Problem(np.float32([[0, 3], [0, 1]]), np.float32([[0, 1.1], [0, 0.7]]), 1.2)
    double = Problem(single.value.astype(float), single.cost.astype(float), 1.2)
    assert margins(single, solve(single)).tolist() == margins(double, solve(double)).tolist()


def test_filling_takes_no_step_without_the_one_before_it():
    """User 0's first step (cost 6) is too dear for the 5 left; the second (1 more) must not be taken in its place."""
    value = np.array([[0.0, 6.0, 6.9], [0.0, 70.0, 70.0]])
    cost = np.array([[0.0, 6.0, 7.0], [0.0, 5.0, 9.0]])
    decided = solve(Problem(value, cost, 10.0))
    assert decided.decision.tolist() == [0, 1]
    assert decided.cost == 5.0
