"""The integer programme: proofs against enumeration, limits on the exact floats, and published knapsacks."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from allocation import Problem, ProblemError, solve
from allocation.engine.exact import solve_exact
from allocation.engine.limit import Limit
from tests.knapsack import SMALL, hiremath_hill, khan
from tests.limit_oracles import limited_lp_bound
from tests.oracles import exact_total

USERS = [Limit("calls", max=2), Limit("enough", min=1, arms=[1])]


def use(problem, limit, decision) -> Fraction:
    """What a decision uses of a limit, without rounding."""
    table = problem.table(limit.measure)
    counted = range(problem.n_users) if limit.users is None else np.flatnonzero(limit.users)
    cells = [(i, decision[i]) for i in counted if decision[i] in limit.arms]
    return sum((Fraction(1 if table is None else float(table[i, j])) for i, j in cells), Fraction(0))


def holds(problem, decision) -> bool:
    """Whether a decision keeps eligibility, the budget and every limit, without any tolerance."""
    open_cells = problem.eligible is None or all(problem.eligible[i, j] for i, j in enumerate(decision))
    within = problem.budget is None or exact_total(problem.cost, decision) <= Fraction(problem.budget)
    return (
        open_cells
        and within
        and all(limit.low <= use(problem, limit, decision) <= limit.high for limit in problem.limits)
    )


def enumerate_best(problem) -> Fraction | None:
    """The best value of all (K+1)^n decisions, or None where none holds everything."""
    n, arms = problem.value.shape
    every = itertools.product(range(arms), repeat=n)
    return max((exact_total(problem.value, d) for d in every if holds(problem, d)), default=None)


def random_limited(rng) -> Problem:
    """Few users, tables of whole numbers, tenths, or floats that share no unit, and one to four limits."""
    n, arms = int(rng.integers(1, 6)), int(rng.integers(1, 5))

    def table(low, high):
        cells = rng.uniform(low, high, (n, arms))
        kind = rng.integers(4)
        rounded = np.round(cells, int(kind)) if kind < 2 else cells
        return rounded.astype(np.float32) if kind == 3 else rounded

    limits = []
    for k in range(rng.integers(1, 5)):
        measure = str(rng.choice(["users", "cost", "value", "minutes"]))
        users = rng.random(n) < 0.7
        users[rng.integers(n)] = True
        scale = n if measure == "users" else 3.0 * n
        low, high = sorted(np.round(rng.uniform(-0.3, 1, 2) * scale, int(rng.integers(3))).tolist())
        low, high = rng.choice(["min", "max", "both"]), (low, high)
        bounds = {"min": (high[0] / 2, None), "max": (None, high[1]), "both": high}[str(low)]
        if str(low) == "both" and measure == "users":
            bounds = (math.floor(high[0]), math.ceil(high[1]))
        chosen = rng.choice(arms, rng.integers(1, arms + 1), replace=False).tolist()
        limits.append(Limit(f"l{k}", measure=measure, min=bounds[0], max=bounds[1], users=users, arms=chosen))
    eligible = rng.random((n, arms)) < 0.8
    eligible[np.arange(n), rng.integers(0, arms, n)] = True
    return Problem(
        table(-3, 8),
        table(-2, 5),
        budget=None if rng.random() < 0.3 else float(np.round(rng.uniform(0, 3 * n), 1)),
        eligible=eligible,
        limits=limits,
        resources={"minutes": table(-1, 4)},
    )


def test_the_optimum_is_proved_on_random_problems_and_infeasible_ones_are_refused():
    rng, infeasible = np.random.default_rng(0), 0
    for _ in range(250):
        problem = random_limited(rng)
        best = enumerate_best(problem)
        if best is None:
            infeasible += 1
            with pytest.raises(ProblemError, match="proved by the integer programme"):
                solve_exact(problem)
            continue
        allocation = solve_exact(problem)
        assert holds(problem, allocation.decision)
        assert float(best - exact_total(problem.value, allocation.decision)) <= 1e-11
        assert Fraction(allocation.bound) >= best
        assert allocation.gap <= 1e-11
        for row, limit in zip(allocation.limits, problem.limits, strict=True):
            assert row.used == float(use(problem, limit, allocation.decision))
            assert row.price * {"max": 1, "min": -1, None: 0}[row.binding] >= 0
    assert 20 < infeasible < 230


def test_ten_dimes_are_more_than_one():
    """0.1 as a float is a little more than a tenth: 10 x 0.1 > 1 exactly, so nine users are paid; 9 x 0.1 < 0.95."""
    value, cost = np.tile([0.0, 1.0], (10, 1)), np.tile([0.0, 0.1], (10, 1))
    assert sum([Fraction(0.1)] * 10) > 1
    allocation = solve_exact(Problem(value, cost, budget=1.0))
    assert allocation.value == 9
    assert allocation.bound == 9
    assert exact_total(cost, allocation.decision) <= 1


def test_a_floor_of_ten_tenths_less_a_rounding_is_not_met_by_what_falls_short():
    """Three times the float 0.3 is below 0.9 by less than a rounding: a floor of 0.9 takes a fourth user."""
    cost = np.tile([0.0, 0.3], (4, 1))
    value = np.tile([0.0, -1.0], (4, 1))
    assert 3 * Fraction(0.3) < Fraction(0.9)
    allocation = solve_exact(Problem(value, cost, limits=[Limit("spend", measure="cost", min=0.9)]))
    assert allocation.decision.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("large", [1e30, 1e100])
def test_amounts_far_apart_are_counted_digit_by_digit(large):
    """large + 1 - large: rounding to any 64-bit unit loses the 1, and the cap of `large` lets one of two pass."""
    cost = np.array([[0.0, large], [0.0, 1.0], [0.0, 1e-30]])
    value = np.array([[0.0, 9.0], [0.0, 2.0], [0.0, 1.0]])
    allocation = solve_exact(Problem(value, cost, budget=large))
    assert allocation.decision.tolist() == [1, 0, 0]
    assert solve_exact(Problem(value, cost, budget=large / 2)).decision.tolist() == [0, 1, 1]


def test_random_floats_at_a_cap_one_rounding_below_their_sum():
    """The cap is the float below the sum of ten cells: those ten cannot be chosen together, any nine can."""
    rng = np.random.default_rng(3)
    cost = np.column_stack([np.zeros(10), rng.uniform(1, 2, 10)])
    value = np.column_stack([np.zeros(10), np.ones(10)])
    whole = exact_total(cost, [1] * 10)
    cap = float(whole) if Fraction(float(whole)) < whole else math.nextafter(float(whole), 0)
    allocation = solve_exact(Problem(value, cost, budget=cap))
    assert allocation.value == 9
    assert allocation.bound == 9


def test_budget_and_limits_bind_together():
    """Five units of money buy arm 2 for two users (10), but only one may have it: 6 + 3 + 3 for 2 + 1 + 1."""
    value, cost = np.tile([0.0, 3.0, 6.0], (3, 1)), np.tile([0.0, 1.0, 2.0], (3, 1))
    limits = [Limit("few large", max=1, arms=[2])]
    allocation = solve_exact(Problem(value, cost, budget=5.0, limits=limits))
    assert sorted(allocation.decision.tolist()) == [1, 1, 2]
    assert (allocation.value, allocation.cost, allocation.slack) == (12, 4, 1)
    assert (allocation.limits[0].used, allocation.limits[0].binding) == (1, "max")
    assert allocation.limits[0].price == pytest.approx(3)
    assert allocation.price == pytest.approx(0)


def test_a_binding_floor_has_a_negative_price():
    value, cost = np.array([[0.0, -2.0], [0.0, -5.0]]), np.zeros((2, 2))
    allocation = solve_exact(Problem(value, cost, limits=[Limit("reach", min=1)]))
    assert allocation.decision.tolist() == [1, 0]
    assert allocation.limits[0].binding == "min"
    assert -5 <= allocation.limits[0].price <= -2


def test_negative_costs_earn_what_others_spend():
    value, cost = np.array([[0.0, -1.0], [0.0, 5.0]]), np.array([[0.0, -3.0], [0.0, 3.0]])
    assert solve_exact(Problem(value, cost, budget=0.0)).decision.tolist() == [1, 1]


def test_eligibility_is_kept_even_where_control_is_closed():
    value, cost = np.array([[9.0, 1.0, 2.0]]), np.array([[0.0, 1.0, 2.0]])
    problem = Problem(value, cost, budget=1.0, eligible=np.array([[False, True, True]]))
    assert solve_exact(problem).decision.tolist() == [1]
    with pytest.raises(ProblemError, match="no decision holds the budget together"):
        solve_exact(Problem(value, cost, budget=0.5, eligible=problem.eligible))


def test_no_users_and_one_arm():
    nobody = solve_exact(Problem(np.zeros((0, 3)), np.zeros((0, 3)), budget=1.0, limits=[Limit("reach", max=1)]))
    assert (len(nobody.decision), nobody.value, nobody.gap) == (0, 0, 0)
    with pytest.raises(ProblemError, match="'reach'"):
        solve_exact(Problem(np.zeros((0, 3)), np.zeros((0, 3)), limits=[Limit("reach", min=1)]))
    control = solve_exact(Problem(np.array([[1.5], [2.0]]), np.zeros((2, 1)), budget=0.0))
    assert (control.decision.tolist(), control.value, control.gain) == ([0, 0], 3.5, 0)


def test_infeasible_limits_are_named():
    value, cost = np.zeros((3, 2)), np.ones((3, 2))
    limits = [Limit("many", min=3), Limit("thrift", measure="cost", max=2)]
    with pytest.raises(ProblemError, match=r"'many', 'thrift' together \(proved by the integer programme\)"):
        solve_exact(Problem(value, cost, limits=limits))


def hard(n: int = 60) -> Problem:
    """Many tight rows over random weights: no proof within seconds."""
    rng = np.random.default_rng(7)
    shape = (n, 10)
    resources = {f"r{k}": rng.integers(0, 100, shape).astype(float) for k in range(8)}
    limits = [Limit(name, measure=name, max=42.0 * n) for name in resources]
    eligible = np.ones(shape, dtype=bool)
    eligible[:, 0] = False
    value = sum(resources.values()) / 8 + rng.integers(0, 30, shape)
    return Problem(value, np.zeros(shape), eligible=eligible, resources=resources, limits=limits)


def test_when_time_runs_out_the_bound_is_still_true():
    problem = hard()
    allocation = solve_exact(problem, seconds=3.0)
    assert holds(problem, allocation.decision)
    assert allocation.value < allocation.bound <= limited_lp_bound(problem) * (1 + 1e-6)
    assert allocation.gap == pytest.approx((allocation.bound - allocation.value) / allocation.bound)
    again = solve_exact(problem, seconds=0.0, start=allocation.decision)
    assert again.value >= allocation.value


def test_when_time_runs_out_before_any_decision_the_message_names_the_mend():
    with pytest.raises(ProblemError, match=r"found or ruled out in the time given; loosen one, or give more time"):
        solve_exact(hard(), seconds=0.0)


def test_seconds_and_start_are_checked():
    problem = Problem(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]), budget=1.0)
    for seconds in (-1.0, math.nan):
        with pytest.raises(ProblemError, match="seconds is"):
            solve_exact(problem, seconds=seconds)
    with pytest.raises(ProblemError, match=r"start has shape \(2,\); \(1,\) is expected"):
        solve_exact(problem, start=np.array([0, 1]))


def test_a_start_that_breaks_something_is_ignored_and_a_good_one_changes_nothing_proved():
    value, cost = np.tile([0.0, 3.0, 5.0], (4, 1)), np.tile([0.0, 1.0, 2.0], (4, 1))
    problem = Problem(value, cost, budget=5.0, limits=USERS)
    best = float(enumerate_best(problem))
    for start in ([2, 2, 2, 2], [9, 0, 0, 0], [0, 0, 0, 1]):
        assert solve_exact(problem, start=np.array(start)).value == best


def test_the_same_problem_has_the_same_decision():
    rng = np.random.default_rng(11)
    value, cost = rng.integers(0, 9, (60, 4)).astype(float), rng.integers(0, 5, (60, 4)).astype(float)
    limits = [Limit("few", max=20, arms=[3]), Limit("some", min=5, users=np.arange(60) < 20)]
    first, second = (solve_exact(Problem(value, cost, budget=50.0, limits=limits)) for _ in range(2))
    assert first.decision.tolist() == second.decision.tolist()


def test_caps_at_a_sum_and_one_rounding_below_it():
    """The cap is the exact sum of some decision's amounts, or a float beside it; their exponents differ widely."""
    rng = np.random.default_rng(2)
    for _ in range(60):
        shape = (int(rng.integers(2, 6)), 3)
        spread = int(rng.choice([0, 3, 20, 60]))
        cost = rng.uniform(1, 2, shape) * 2.0 ** rng.integers(-spread, spread + 1, shape)
        cost = np.round(cost, 2) if spread == 3 else cost
        total = exact_total(cost, rng.integers(0, 3, shape[0]))
        side = float(total)
        cap = float(rng.choice([side, np.nextafter(side, 0), np.nextafter(side, np.inf)]))
        floor = rng.random() < 0.5
        limit = Limit("tight", measure="cost", min=cap if floor else None, max=None if floor else cap, arms=[0, 1, 2])
        value = np.round(rng.uniform(0.2, 1, shape) * (1 + np.log2(cost) - np.log2(cost.min())), 3) * (
            -1 if floor else 1
        )
        problem = Problem(value, cost, limits=[limit])
        best = enumerate_best(problem)
        if best is None:
            with pytest.raises(ProblemError, match="no decision holds 'tight'"):
                solve_exact(problem)
        else:
            allocation = solve_exact(problem)
            assert holds(problem, allocation.decision)
            assert Fraction(allocation.bound) >= best
            assert float(best - exact_total(value, allocation.decision)) <= 1e-12 * np.abs(value).sum()


@pytest.mark.parametrize("unit", [1e-6, 1e9])
def test_the_unit_of_money_and_of_value_is_free(unit):
    rng = np.random.default_rng(5)
    value, cost = rng.uniform(0, 5, (30, 4)), rng.uniform(0, 2, (30, 4))
    plain = solve_exact(Problem(value, cost, budget=25.0))
    scaled = solve_exact(Problem(value * unit, cost * unit, budget=25.0 * unit))
    assert scaled.value == pytest.approx(plain.value * unit, rel=1e-9)
    assert scaled.price == pytest.approx(plain.price)
    assert scaled.gap <= 1e-11


def test_importing_the_module_does_not_load_the_solvers():
    code = "import sys, allocation.engine.exact; sys.exit('ortools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", SMALL)
def test_the_small_published_sets_are_proved(name, data_folder):
    for knapsack in hiremath_hill(name, data_folder / "knapsack"):
        allocation = solve_exact(knapsack.problem)
        assert holds(knapsack.problem, allocation.decision)
        assert (allocation.value, allocation.gap) == (knapsack.known, 0), knapsack.name


@pytest.mark.parametrize("name", ["I01", "I02", "I03", "I05", "I06"])
def test_published_problems_with_ten_rows_are_proved(name, data_folder):
    knapsack = khan(name, data_folder / "knapsack")
    allocation = solve_exact(knapsack.problem)
    assert holds(knapsack.problem, allocation.decision)
    assert allocation.value == pytest.approx(knapsack.known, rel=1e-12)
    assert allocation.gap <= 1e-12


def test_effort_ends_the_search_at_the_same_decision():
    """Too little effort for a proof: bound and gap stay true, and a second run decides the same."""
    rng = np.random.default_rng(7)
    value, cost = rng.integers(10, 60, (60, 6)).astype(float), np.zeros((60, 6))
    tables = {f"r{k}": rng.integers(1, 60, (60, 6)).astype(float) for k in range(8)}
    limits = [Limit(name, name, max=float(table.mean() * 55), arms=range(6)) for name, table in tables.items()]
    problem = Problem(value, cost, limits=limits, resources=tables)
    one, other = (solve_exact(problem, effort=0.5) for _ in range(2))
    np.testing.assert_array_equal(one.decision, other.decision)
    assert one.value <= one.bound == other.bound


def test_solve_goes_on_from_the_prices_decision():
    """Value 10 for 10, or 9 for 6 and 8 for 5: prices take what fits by return, the programme proves 10 + 0 or 9."""
    problem = Problem([[0.0, 9], [0, 8], [0, 10]], [[0.0, 6], [0, 5], [0, 10]], budget=10.0)
    assert solve(problem).value <= solve(problem, method="exact").value == 10
    assert solve(problem, method="exact").gap == 0
    with pytest.raises(ProblemError, match="method is 'fast'; one of 'auto', 'dual', 'exact' is expected"):
        solve(problem, method="fast")
