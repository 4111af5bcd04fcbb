"""Many limits: held exactly, certified against integer programming, near the optimum, free of units and layout."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allocation import Limit, Problem, ProblemError
from allocation.engine.core import Core, search
from allocation.engine.dual import minimise
from allocation.engine.limits import solve_limits
from allocation.engine.scores import scores_of
from tests import oracles
from tests.invariants import assert_feasible, assert_totals
from tests.knapsack import LARGE, hiremath_hill, knapsack_folder


def amounts_of(problem: Problem, limit: Limit) -> np.ndarray:
    """What each arm of each user counts towards a limit, (n, K+1)."""
    tables = {
        "users": np.ones(problem.value.shape),
        "cost": problem.cost,
        "value": problem.value,
        **problem.resources,
    }
    inside = np.ones(problem.n_users, dtype=bool) if limit.users is None else limit.users
    arms = np.isin(np.arange(problem.value.shape[1]), limit.arms)
    return tables[limit.measure].astype(float) * (inside[:, None] & arms)


def rows_of(problem: Problem) -> list[oracles.Row]:
    """The limits as the oracles take them."""
    return [oracles.Row(one.name, amounts_of(problem, one), one.low, one.high) for one in problem.limits]


def assert_held(problem: Problem, allocation) -> None:
    """Budget, eligibility and every limit hold exactly, and the report says what is used."""
    assert_feasible(problem, allocation)
    assert_totals(problem, allocation)
    for limit, use in zip(problem.limits, allocation.limits, strict=True):
        exact = oracles.exact_total(amounts_of(problem, limit), allocation.decision)
        assert limit.low <= exact <= limit.high
        assert (use.name, use.measure, use.min, use.max) == (limit.name, limit.measure, limit.min, limit.max)
        assert use.used == float(exact)
        assert use.binding == ("max" if use.price > 0 else "min" if use.price < 0 else None)
        assert not (use.price > 0 and limit.max is None)
        assert not (use.price < 0 and limit.min is None)


def dual_at(problem: Problem, allocation) -> float:
    """The bound at the reported prices, by its formula."""
    score, worth = problem.value.astype(float), 0.0
    if problem.budget is not None:
        score = score - allocation.price * problem.cost.astype(float)
        worth += allocation.price * problem.budget
    for limit, use in zip(problem.limits, allocation.limits, strict=True):
        score = score - use.price * amounts_of(problem, limit)
        worth += use.price * (limit.high if use.price > 0 else limit.low if use.price < 0 else 0.0)
    if problem.eligible is not None:
        score[~problem.eligible] = -np.inf
    return worth + math.fsum(score.max(axis=1))


def random_limited(rng: np.random.Generator, n: int, arms: int, tight: float) -> Problem:
    """A problem with up to six limits of every kind, all held by some decision with `tight` to spare."""
    value, cost = rng.normal(1.0, 1.0, (n, arms)), rng.random((n, arms))
    if rng.random() < 0.4:
        value, cost = np.round(3 * value), np.round(3 * cost)
    if rng.random() < 0.3:
        value, cost = value.astype(np.float32), np.asfortranarray(cost.astype(np.float32))
    eligible = None
    if rng.random() < 0.4:
        eligible = rng.random((n, arms)) < 0.7
        eligible[np.arange(n), rng.integers(0, arms, n)] = True
    open_arms = np.ones((n, arms), dtype=bool) if eligible is None else eligible
    some = np.array([rng.choice(np.flatnonzero(row)) for row in open_arms])
    minutes = rng.integers(0, 4, (n, arms)).astype(float)
    tables = {"users": np.ones((n, arms)), "cost": cost, "value": value, "minutes": minutes}
    limits = []
    for k in range(rng.integers(1, 7)):
        users = rng.random(n) < rng.choice([0.3, 0.7, 1.0])
        users[rng.integers(n)] = True
        counted = sorted(set(rng.integers(0, arms, rng.integers(1, arms + 1)).tolist()))
        measure = str(rng.choice(list(tables)))
        inside = users & np.isin(some, counted)
        use = math.fsum(tables[measure][np.flatnonzero(inside), some[inside]].tolist())
        low, high = use - tight * rng.random() - 1e-9, use + tight * rng.random() + 1e-9
        side = rng.integers(3)
        bounds = {"min": None if side == 0 else low, "max": None if side == 1 else high}
        limits.append(Limit(f"limit {k}", measure, users=users, arms=counted, **bounds))
    budget = None
    if rng.random() < 0.6:
        budget = max(0.0, math.fsum(cost[np.arange(n), some].tolist())) + tight * rng.random() + 1e-6
    return Problem(value, cost, budget, eligible, limits, {"minutes": minutes})


def twenty_limits(n: int, dtype: type = np.float32) -> Problem:
    """10 segments with floors and caps, 5 arm caps, 5 overlapping caps, a budget, near what a price decides."""
    rng = np.random.default_rng(n)
    width, slope = rng.random((n, 10)), np.sort(rng.random((n, 10)), axis=1)[:, ::-1]
    cost, value = (np.column_stack([np.zeros(n), np.cumsum(x, axis=1)]).astype(dtype) for x in (width, width * slope))
    arm = (value - 0.62 * cost).argmax(axis=1)
    own, segment = cost[np.arange(n), arm].astype(float), rng.integers(0, 10, n)
    limits = []
    for s in range(10):
        share, users = 0.6 + 0.05 * s, segment == s
        use, measure = (own[users].sum(), "cost") if s % 2 else (float((arm[users] > 0).sum()), "users")
        limits.append(
            Limit(f"segment {s}", measure, min=int(share * use), max=int((share + 0.25) * use), users=users)
        )
    for k, j in enumerate((1, 2, 3, 5, 8)):
        limits.append(Limit(f"arm {j}", max=int((0.9, 1.2)[k % 2] * (arm == j).sum()), arms=[j]))
    for k in range(5):
        users = rng.random(n) < 0.3
        limits.append(Limit(f"overlap {k}", "cost", max=(0.89 + 0.03 * k) * own[users].sum(), users=users))
    return Problem(value, cost, 0.93 * own.sum(), limits=limits)


@pytest.mark.parametrize("seed", range(120))
def test_held_exactly_and_certified_against_integer_programming(seed):
    rng = np.random.default_rng(seed)
    problem = random_limited(rng, int(rng.integers(1, 15)), int(rng.integers(1, 6)), 1.0)
    allocation = solve_limits(problem)
    found = oracles.milp(problem.value, problem.cost, problem.budget, problem.eligible, rows_of(problem))
    assert_held(problem, allocation)
    slip = 1e-6 * (1 + abs(found.bound))
    assert allocation.value <= found.bound + slip
    assert allocation.bound >= float(found.attained) - slip
    assert allocation.bound == pytest.approx(dual_at(problem, allocation), rel=1e-9, abs=1e-9)
    # As good as integer programming on most, and never far off: at most one user's change of arm.
    spread = problem.value.astype(float).max(axis=1) - problem.value.astype(float).min(axis=1)
    assert allocation.value >= float(found.attained) - spread.max()


def test_nearly_always_optimal_on_small_problems():
    missed = 0
    for seed in range(1000, 1060):
        problem = random_limited(np.random.default_rng(seed), 12, 4, 1.0)
        found = oracles.milp(problem.value, problem.cost, problem.budget, problem.eligible, rows_of(problem))
        missed += solve_limits(problem).value < float(found.attained) - 1e-6
    assert missed <= 2


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_small_whole_numbers_against_enumeration(data):
    """Found where there is a decision, refused where there is none: also for floors equal to caps."""
    n, arms = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    cells = st.lists(st.lists(st.integers(-2, 4).map(float), min_size=arms, max_size=arms), min_size=n, max_size=n)
    value, cost = np.array(data.draw(cells)), np.array(data.draw(cells))
    limits = []
    for k in range(data.draw(st.integers(1, 3))):
        bounds = sorted(data.draw(st.lists(st.integers(-3, 6), min_size=2, max_size=2)))
        users = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(any)))
        counted = data.draw(st.lists(st.integers(0, arms - 1), min_size=1, unique=True))
        measure = data.draw(st.sampled_from(["users", "cost", "value"]))
        limits.append(Limit(f"limit {k}", measure, min=bounds[0], max=bounds[1], users=users, arms=counted))
    problem = Problem(value, cost, data.draw(st.sampled_from([None, 2.0])), limits=limits)
    try:
        optimum = oracles.brute_force(value, cost, problem.budget, None, rows_of(problem))
    except ValueError:
        with pytest.raises(ProblemError):
            solve_limits(problem)
        return
    allocation = solve_limits(problem)
    assert_held(problem, allocation)
    assert Fraction(allocation.value) <= optimum <= Fraction(allocation.bound)


@pytest.mark.parametrize("n", [300, 5_000, 70_000])
def test_twenty_limits_and_a_budget_at_a_small_gap(n):
    problem = twenty_limits(n)
    allocation = solve_limits(problem)
    assert_held(problem, allocation)
    assert allocation.gap <= max(1e-5, 0.1 / n)
    assert sum(use.binding is not None for use in allocation.limits) >= 5


@pytest.mark.parametrize("n", [60, 400])
def test_the_bound_is_that_of_the_linear_relaxation(n):
    problem = twenty_limits(n, np.float64)
    relaxed = oracles.lp_bound(problem.value, problem.cost, problem.budget, None, rows_of(problem))
    assert solve_limits(problem).bound == pytest.approx(relaxed, rel=2e-6)


def test_bound_is_no_less_than_the_dual_in_exact_arithmetic():
    """The dual at the prices in fractions, cell by cell, for amounts that no float sums without rounding."""
    rng = np.random.default_rng(5)
    n, arms = 60, 4
    value, cost = rng.random((n, arms)) * 10.0 ** rng.integers(-6, 7, (n, 1)), rng.random((n, arms)) / 3
    segment = rng.random(n) < 0.5
    limits = [Limit("some", "cost", max=3.3, users=segment), Limit("few", max=9), Limit("low", "value", min=0.1)]
    scores = scores_of(Problem(value, cost, 7.7, limits=limits))
    for _ in range(20):
        prices = scores.snapped(rng.random(4) * [1e3, 1e3, 1.0, -1.0] * 10.0 ** rng.integers(-3, 4))
        p = [Fraction(x) for x in prices]
        total = p[0] * Fraction(7.7) + p[1] * Fraction(3.3) + p[2] * 9 + p[3] * Fraction(0.1)
        for i in range(n):
            options = []
            for j in range(arms):
                v, c = Fraction(value[i, j]), Fraction(cost[i, j])
                price = p[0] + p[1] * (bool(segment[i]) and j > 0)
                options.append(v - price * c - (j > 0) * (p[2] + p[3] * v))
            total += max(options)
        bound = Fraction(scores.bound(prices))
        assert total <= bound <= total + Fraction(1, 10**9) * abs(total)


@pytest.mark.parametrize(("money", "value"), [(2.0**-30, 2.0**20), (1e-6, 1.0), (1e9, 1.0), (1.0, 1e-9)])
def test_units_change_nothing_but_the_unit(money, value):
    problem = twenty_limits(500, np.float64)
    unit = {"cost": money, "users": 1.0}
    limits = [
        Limit(
            one.name,
            one.measure,
            None if one.min is None else one.min * unit[one.measure],
            None if one.max is None else one.max * unit[one.measure],
            one.users,
            one.arms,
        )
        for one in problem.limits
    ]
    scaled = Problem(problem.value * value, problem.cost * money, problem.budget * money, limits=limits)
    here, there = solve_limits(problem), solve_limits(scaled)
    np.testing.assert_array_equal(there.decision, here.decision)
    assert there.bound == pytest.approx(here.bound * value, rel=1e-9)
    assert there.price == pytest.approx(here.price * value / money, rel=1e-4)
    for a, b in zip(here.limits, there.limits, strict=True):
        assert a.binding == b.binding


def test_neither_threads_nor_layout_nor_type_change_the_decision(monkeypatch):
    problem = twenty_limits(70_000)  # more than one piece
    here = solve_limits(problem)
    monkeypatch.setenv("EARMARK_THREADS", "1")
    for tables in (
        (problem.value, problem.cost),
        (np.asfortranarray(problem.value), np.asfortranarray(problem.cost)),
        (problem.value.astype(np.float64), problem.cost),
    ):
        there = solve_limits(Problem(*tables, problem.budget, limits=problem.limits))
        np.testing.assert_array_equal(there.decision, here.decision)
        assert (there.value, there.bound, there.limits) == (here.value, here.bound, here.limits)


def test_many_users_alike():
    """Eight kinds of 3,000 users each: prices alone move 3,000 at once, and the rest must be split among equals."""
    rng = np.random.default_rng(1)
    kind = np.arange(24_000) % 8
    value, cost = np.cumsum(rng.random((8, 5)), axis=1).round(2)[kind], np.tile(np.arange(5) / 2, (24_000, 1))
    limits = [Limit(f"arm {j}", max=4_800, min=4_000, arms=[j]) for j in range(1, 5)]
    allocation = solve_limits(problem := Problem(value, cost, 27_000.0, limits=limits))
    assert_held(problem, allocation)
    assert allocation.gap < 1e-5


def test_users_whose_values_differ_by_millions():
    """What is worth little is held by the limits as well: floors on users that bring nothing."""
    rng = np.random.default_rng(2)
    n = 20_000
    value = np.cumsum(rng.random((n, 4)), axis=1) * np.exp(4 * rng.normal(size=(n, 1)))
    cost = np.cumsum(rng.random((n, 4)), axis=1)
    limits = [Limit("dear", max=n // 10, arms=[3]), Limit("cheap", min=n // 2, max=n // 2, arms=[1])]
    allocation = solve_limits(problem := Problem(value, cost, 1.1 * n, limits=limits))
    assert_held(problem, allocation)
    assert allocation.gap < 1e-5


@pytest.mark.parametrize("name", LARGE)
def test_published_knapsacks_near_their_optimum(name, data_folder):
    missing = []
    for knapsack in hiremath_hill(name, knapsack_folder()):
        allocation = solve_limits(knapsack.problem)
        assert_held(knapsack.problem, allocation)
        assert allocation.value <= knapsack.bound <= allocation.bound
        missing.append(1 - allocation.value / knapsack.known)
    assert np.mean(missing) <= 0.0005
    assert max(missing) <= 0.002


def test_every_arm_for_as_many_users_as_said():
    rng = np.random.default_rng(3)
    value = rng.random((1_000, 5))
    limits = [Limit(f"arm {j}", min=200, max=200, arms=[j]) for j in range(5)]
    allocation = solve_limits(problem := Problem(value, np.zeros((1_000, 5)), limits=limits))
    assert_held(problem, allocation)
    assert np.bincount(allocation.decision).tolist() == [200] * 5
    assert allocation.gap < 1e-3


class TestEdges:
    value = np.array([[0.0, 3.0, 5.0], [0.0, 2.0, 1.0], [1.0, 4.0, 0.0]])
    cost = np.array([[0.0, 1.0, 3.0], [0.0, 1.0, 1.0], [0.0, 2.0, 2.0]])

    def test_no_budget_and_no_limit_is_everybody_s_best_arm(self):
        allocation = solve_limits(Problem(self.value, self.cost))
        assert (allocation.decision.tolist(), allocation.value, allocation.price) == ([2, 1, 1], 11.0, 0.0)
        assert allocation.gap < 1e-12

    def test_nobody(self):
        nothing = np.zeros((0, 3))
        allocation = solve_limits(Problem(nothing, nothing, 1.0, limits=[Limit("cap", max=2), Limit("floor", min=0)]))
        assert (len(allocation.decision), allocation.value, allocation.limits[0].used) == (0, 0.0, 0.0)
        with pytest.raises(ProblemError, match="'floor'"):
            solve_limits(Problem(nothing, nothing, limits=[Limit("floor", min=1)]))

    def test_a_single_arm(self):
        problem = Problem(self.value[:, :1], self.cost[:, :1], limits=[Limit("all", min=3, max=3, arms=[0])])
        assert solve_limits(problem).decision.tolist() == [0, 0, 0]

    def test_a_limit_that_counts_no_eligible_cell(self):
        eligible = np.array([[True, True, False]] * 3)
        problem = Problem(self.value, self.cost, eligible=eligible, limits=[Limit("none", "cost", max=0.0, arms=[2])])
        allocation = solve_limits(problem)
        assert (allocation.decision.tolist(), allocation.limits[0].used) == ([1, 1, 1], 0.0)
        with pytest.raises(ProblemError, match="'none'"):
            solve_limits(Problem(self.value, self.cost, eligible=eligible, limits=[Limit("none", min=1, arms=[2])]))

    def test_the_same_limit_twice_and_a_floor_of_zero(self):
        limits = [Limit("a", max=1), Limit("b", max=1), Limit("c", min=0)]
        allocation = solve_limits(problem := Problem(self.value, self.cost, limits=limits))
        assert_held(problem, allocation)
        assert (allocation.value, allocation.bound) == (6.0, pytest.approx(6.0, abs=1e-3))  # user 0 on arm 2

    def test_what_a_price_means(self):
        """Two of four users may be treated: a third would bring 2, the second brings 3; the price lies between."""
        value = np.column_stack([np.zeros(4), [5.0, 3.0, 2.0, 1.0]])
        use = solve_limits(Problem(value, np.zeros((4, 2)), limits=[Limit("cap", max=2)])).limits[0]
        assert use.used == 2
        assert 2.0 - 1e-3 <= use.price <= 3.0 + 1e-3
        use = solve_limits(Problem(-value, np.zeros((4, 2)), limits=[Limit("floor", min=2)])).limits[0]
        assert -3.0 - 1e-3 <= use.price <= -2.0 + 1e-3
        assert use.binding == "min"


def test_limits_that_clash_are_refused_with_their_names():
    value, cost = np.ones((100, 3)), np.ones((100, 3))
    limits = [Limit("first", min=60, arms=[1]), Limit("second", min=50, arms=[2]), Limit("third", max=90, arms=[0])]
    with pytest.raises(ProblemError, match=r"'first'.*'second'"):
        solve_limits(Problem(value, cost, limits=limits))


def test_a_budget_that_is_missed_by_a_rounding_is_refused():
    eligible = np.array([[False, True, True]] * 2)
    for short in (1e-3, 1e-9):
        with pytest.raises(ProblemError, match="the budget"):
            solve_limits(Problem(np.ones((2, 3)), np.ones((2, 3)), 2.0 - short, eligible, [Limit("all", min=2)]))


def test_whole_users_may_not_hold_what_shared_ones_do():
    """Each of two users brings 2 or nothing, and 1 is asked for."""
    problem = Problem(np.ones((2, 2)), np.zeros((2, 2)), resources={"calls": np.array([[0.0, 2.0]] * 2)})
    for bounds in ({"min": 1, "max": 1}, {"min": 0.5, "max": 1.5}):
        with pytest.raises(ProblemError):
            solve_limits(
                Problem(
                    problem.value, problem.cost, resources=problem.resources, limits=[Limit("x", "calls", **bounds)]
                )
            )


@pytest.mark.parametrize("seed", range(10))
def test_search_mends_a_broken_start(seed):
    """From everybody's most valuable choice, which breaks both caps, to the best choices that hold them."""
    rng = np.random.default_rng(seed)
    value, amount = rng.integers(1, 30, (6, 4)).astype(float), rng.integers(0, 9, (6, 4, 2)).astype(float)
    amount[:, 0] = 0.0
    cap = np.array([14.0, 12.0])
    start = value.argmax(axis=1)
    use = amount[np.arange(6), start].sum(axis=0)
    first, own = 4 * np.arange(7), 4 * np.arange(6) + start
    core = Core(np.arange(6), first, np.tile(np.arange(4), 6), value.ravel(), amount.reshape(24, 2), own)
    best, held = search(core, cap - use, np.full(2, np.inf), np.ones(2), 0, math.inf, exact_fit=False)
    rows = [oracles.Row("cap", amount[:, :, r], -math.inf, cap[r]) for r in range(2)]
    assert held
    assert (amount.reshape(24, 2)[best].sum(axis=0) <= cap).all()
    assert value.ravel()[best].sum() == oracles.brute_force(value, np.zeros((6, 4)), None, None, rows)


def test_no_price_where_nothing_binds():
    problem = twenty_limits(2_000)
    loose = [Limit(one.name, one.measure, max=1e9, users=one.users, arms=one.arms) for one in problem.limits]
    dual = minimise(scores_of(Problem(problem.value, problem.cost, 1e9, limits=loose)))
    assert (dual.prices == 0).all()
    assert dual.value == pytest.approx(math.fsum(problem.value.max(axis=1).tolist()), rel=1e-12)
