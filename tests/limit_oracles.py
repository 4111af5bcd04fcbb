"""Problems with limits, answered independently: optimum, relaxation, what clashes and by how much it must give."""

from __future__ import annotations

import math
from collections.abc import Collection
from fractions import Fraction
from itertools import combinations

import numpy as np
from scipy import optimize, sparse

from allocation import Limit, Problem
from tests import oracles
from tests.oracles import Bracket, Row, exact_total


def rows_of(problem: Problem) -> list[Row]:
    """The limits of a problem as rows, without its budget."""
    return [row_of(problem, limit) for limit in problem.limits]


def row_of(problem: Problem, limit: Limit) -> Row:
    """One limit as a row."""
    table = problem.table(limit.measure)
    amounts = np.zeros(problem.value.shape)
    amounts[:, limit.arms] = 1.0 if table is None else table[:, limit.arms]
    if limit.users is not None:
        amounts[~limit.users] = 0.0
    return Row(limit.name, amounts, limit.low, limit.high)


def all_rows(problem: Problem) -> list[Row]:
    """The limits of a problem as rows, and its budget as the row "budget" before them."""
    budget = [] if problem.budget is None else [Row("budget", problem.cost, -math.inf, problem.budget)]
    return [*budget, *rows_of(problem)]


def limited_brute_force(problem: Problem) -> Fraction:
    """`oracles.brute_force` under the limits; ValueError when no decision keeps them."""
    return oracles.brute_force(problem.value, problem.cost, problem.budget, problem.eligible, rows_of(problem))


def limited_milp(problem: Problem, time_limit: float = 10.0) -> Bracket:
    """`oracles.milp` under the limits; ValueError when no decision keeps them."""
    tables = (problem.value, problem.cost, problem.budget, problem.eligible)
    return oracles.milp(*tables, rows_of(problem), time_limit)


def limited_lp_bound(problem: Problem) -> float:
    """`oracles.lp_bound` under the limits; ValueError when no mixture of decisions keeps them."""
    return oracles.lp_bound(problem.value, problem.cost, problem.budget, problem.eligible, rows_of(problem))


def lp_feasible(problem: Problem, names: Collection[str] | None = None) -> bool:
    """Whether some mixture of decisions keeps the rows of these names ("budget" is one); None for all of them."""
    rows = [row for row in all_rows(problem) if names is None or row.name in names]
    return bool(oracles.programme(np.zeros(problem.value.shape), rows, problem.eligible).success)


def smallest_clash(problem: Problem) -> list[frozenset[str]]:
    """Every set of rows, of the smallest size there is, that no mixture of decisions keeps; empty when none clash."""
    names = [row.name for row in all_rows(problem)]
    for size in range(1, len(names) + 1):
        found = [frozenset(chosen) for chosen in combinations(names, size) if not lp_feasible(problem, chosen)]
        if found:
            return found
    return []


def least_give(problem: Problem, name: str, among: Collection[str] | None = None) -> float:
    """How far one row must give, in its unit, that a mixture keeps the rows `among`; infinite when none is enough.

    A floor gives downwards, a cap upwards, and a row with both gives on the side that helps more cheaply.
    """
    rows = [row for row in all_rows(problem) if among is None or row.name in among]
    n, arms = problem.value.shape
    cells = n * arms
    unit = {row.name: float(np.abs(row.amounts).max()) or 1.0 for row in rows}
    share = sparse.hstack([sparse.kron(sparse.eye_array(n), np.ones((1, arms))), sparse.csr_array((n, 2))])
    constraints = [optimize.LinearConstraint(share.tocsr(), 1, 1)]
    for row in rows:
        # Two more variables: what is lent to the floor, and what is taken off for the cap.
        ends = np.array([1.0, -1.0]) * (row.name == name)
        line = np.concatenate([np.asarray(row.amounts, dtype=float).ravel() / unit[row.name], ends])
        constraints.append(
            optimize.LinearConstraint(line[None, :], row.low / unit[row.name], row.high / unit[row.name])
        )
    mask = np.ones((n, arms)) if problem.eligible is None else problem.eligible.astype(float)
    result = optimize.milp(
        np.append(np.zeros(cells), [1.0, 1.0]),
        bounds=optimize.Bounds(0, np.append(mask.ravel(), [np.inf, np.inf])),
        constraints=constraints,
    )
    return float(result.fun) * unit[name] if result.success else math.inf


def bound_at_prices(problem: Problem, budget_price: float, prices: list[float]) -> Fraction:
    """What prices of the budget and the limits prove: no decision within them is worth more (value units, exact).

        p budget + sum_l p_l b_l + sum_i max_j (value_ij - p cost_ij - sum_l p_l a_lij),   b_l = max where p_l > 0,
                                                                                            min where p_l < 0

    A negative price of the budget, or a price on a side that has no bound, proves nothing: ValueError.
    """
    rows, numbers = all_rows(problem), [Fraction(float(p)) for p in prices]
    if problem.budget is not None:
        numbers = [Fraction(float(budget_price)), *numbers]
    total = Fraction(0)
    for row, price in zip(rows, numbers, strict=True):
        side = row.high if price > 0 else row.low
        if price and math.isinf(side):
            raise ValueError(f"{row.name} has the price {float(price):g} on a side without a bound")
        total += price * Fraction(float(side)) if price else 0
    priced = [(price, row.amounts) for price, row in zip(numbers, rows, strict=True) if price]
    for i in range(problem.n_users):
        total += max(
            Fraction(float(problem.value[i, j])) - sum(p * Fraction(float(amounts[i, j])) for p, amounts in priced)
            for j in range(problem.value.shape[1])
            if problem.eligible is None or problem.eligible[i, j]
        )
    return total


def amounts_used(problem: Problem, decision: np.ndarray) -> list[Fraction]:
    """What a decision uses of each limit, exactly, in their order."""
    return [exact_total(row_of(problem, limit).amounts, decision) for limit in problem.limits]
