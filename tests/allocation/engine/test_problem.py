"""What a problem refuses, in words that name the mend; what it keeps as it is; and the totals of a decision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allocation import Problem, ProblemError, solve
from allocation.engine.problem import allocation_of, check_budget

two = np.zeros((2, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros(3)), r"value has 1 dimensions; a table \(users, arms\) is expected"),
        ((two, np.zeros((2, 2, 1))), r"cost has 3 dimensions; a table"),
        ((two, np.zeros((2, 3))), r"value has shape \(2, 2\) and cost \(2, 3\); the same \(users, arms\)"),
        ((np.zeros((2, 0)), np.zeros((2, 0))), r"the tables have no column; at least the control arm"),
        (([["a", "b"]], [[0, 1]]), r"value holds <U1 cells; numbers are expected"),
        (([[0, 1]], [[0, {}]]), r"cost holds object cells; numbers are expected"),
        (([[0, 1], [2, math.nan]], two), r"value has 1 missing or infinite of 4 cells, the first for user 1, arm 1"),
        ((two, [[0, math.inf], [-math.inf, 0]]), r"cost has 2 missing or infinite of 4 cells.*user 0, arm 1"),
        ((two, two, -1), r"budget is -1; 0 or more is expected, in the unit of cost \(None for no limit\)"),
        ((two, two, math.nan), r"budget is nan; 0 or more is expected"),
        ((two, two, -math.inf), r"budget is -inf; 0 or more is expected"),
        ((two, two, True), r"budget is True; a number is expected, or None for no limit"),
        ((two, two, "much"), r"budget is 'much'; a number is expected, or None for no limit"),
        ((two, two, [1, 2]), r"budget is \[1, 2\]; a number is expected"),
        ((two, two, 1, [True, True]), r"eligible has shape \(2,\) and type bool; booleans of shape \(2, 2\)"),
        ((two, two, 1, np.ones((2, 2))), r"eligible has shape \(2, 2\) and type float64; booleans"),
    ],
)
def test_refused_with_the_mend(arguments, message):
    with pytest.raises(ProblemError, match=message):
        Problem(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 1], [2]], two), "value"),
        ((np.array([[0, 1j]]), [[0, 1]]), "value"),
        ((two, two, 10**400), "budget"),
    ],
    ids=["ragged rows", "complex cells", "a budget beyond floats"],
)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_refused_though_numpy_would_object_first_or_never(arguments, message):
    with pytest.raises(ProblemError, match=message):
        Problem(*arguments)


@pytest.mark.parametrize(("budget", "limit"), [(None, math.inf), (math.inf, math.inf), (0, 0.0), (7, 7.0)])
def test_no_budget_and_an_infinite_one_are_the_same(budget, limit):
    problem = Problem(two, two, budget)
    assert problem.limit == limit
    assert problem.budget == (None if limit == math.inf else limit)
    assert check_budget(budget) == problem.budget


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_neither_copied_nor_widened(dtype):
    value, cost = np.ones((2, 3), dtype), np.zeros((2, 3), dtype)
    problem = Problem(value, cost, 1.0)
    assert problem.value is value
    assert problem.cost is cost


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.bool_, np.float16, ">f8"])
def test_other_numbers_become_double(dtype):
    problem = Problem(np.ones((2, 2), dtype), [[0, 1], [0, 1]], 1)
    assert problem.value.dtype == problem.cost.dtype == np.float64
    assert problem.value.tolist() == [[1, 1], [1, 1]]


def test_totals_of_a_decision():
    """Values 2 + 7 = 9 of a bound 12, against control 1 + 4 = 5; cost 3 + 1 of 6; (12 - 9) / 12."""
    problem = Problem([[1, 2], [4, 7]], [[0, 3], [0, 1]], 6)
    totals = allocation_of(problem, np.array([1, 1]), price=0.5, bound=12.0)
    assert (totals.value, totals.gain, totals.cost, totals.slack) == (9, 4, 4, 2)
    assert (totals.price, totals.bound, totals.gap) == (0.5, 12, 0.25)


def test_a_rule_of_thumb_has_no_price_and_no_certificate():
    totals = allocation_of(Problem([[1, 2]], [[0, 3]]), np.array([0]))
    assert (totals.value, totals.slack) == (1, math.inf)
    assert math.isnan(totals.price)
    assert math.isnan(totals.bound)
    assert math.isnan(totals.gap)


def test_a_decision_proves_that_the_optimum_is_no_less():
    """A bound below the value of the decision can only be rounding: 0.999 is lifted to 1, gap 0."""
    totals = allocation_of(Problem([[1.0]], [[0.0]]), np.array([0]), price=0.0, bound=0.999)
    assert (totals.bound, totals.gap) == (1, 0)


def test_gap_of_losses_is_a_share_of_the_larger_loss():
    """Value -10 against a bound of -8: 2 / 10."""
    totals = allocation_of(Problem([[-10.0]], [[0.0]]), np.array([0]), price=0.0, bound=-8.0)
    assert totals.gap == 0.2


def test_who_may_get_nothing_stays_on_control():
    """User 1 has no eligible arm at all: control, although the mask excludes it; the caller's mask is left alone."""
    mask = np.array([[True, True], [False, False]])
    solved = solve(Problem([[0.0, 1], [0, 1]], [[0.0, 1], [0, 1]], 5.0, mask))
    assert (solved.decision.tolist(), solved.value) == ([1, 0], 1)
    assert not mask[1].any()
    everybody = solve(Problem([[0.0, 1], [2, 1]], [[0.0, 1], [0, 1]], 5.0, np.zeros((2, 2), dtype=bool)))
    assert (everybody.decision.tolist(), everybody.value, everybody.bound) == ([0, 0], 2, 2)
