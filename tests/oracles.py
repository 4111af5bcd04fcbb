"""Independent answers to compare with: enumeration, integer and linear programmes, textbook estimates in loops."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

# Of HiGHS: a row counts as satisfied within this, costs scaled to at most 1. The milp oracle keeps twice that clear.
ROW_TOLERANCE = 1e-6


class Bracket(NamedTuple):
    """Where the optimum lies: `attained` by an exactly feasible decision, `bound` by the programme's dual side."""

    attained: Fraction
    bound: float


def brute_force(value, cost, budget, eligible=None) -> Fraction:
    """Optimum value by enumerating all (K+1)^n decisions, exactly; raises ValueError when none is within the budget.

    Floats are dyadic, so that over a common denominator all sums are whole numbers and no rounding takes place.
    """
    values, value_unit = _whole(value)
    costs, cost_unit = _whole(cost)
    totals = [(0, 0)]
    for i in range(len(values)):
        moves = [(costs[i][j], values[i][j]) for j in _open_arms(value, eligible, i)]
        totals = [(c + extra, v + gain) for c, v in totals for extra, gain in moves]
    within = math.inf if budget is None or math.isinf(budget) else Fraction(float(budget)) * cost_unit
    feasible = [v for c, v in totals if c <= within]
    if not feasible:
        raise ValueError("no decision is within the budget")
    return Fraction(max(feasible), value_unit)


def milp(value, cost, budget, eligible=None, time_limit=10.0) -> Bracket:
    """The optimum by `scipy.optimize.milp` at zero gap; the bracket is as wide as the time limit leaves it.

    The programme may overspend by its row tolerance. The best decision is therefore counted in exact arithmetic, and
    where it is over the budget a second run, which keeps clear of the tolerance, gives the attained value.
    """
    value, cost = np.asarray(value, dtype=float), np.asarray(cost, dtype=float)
    n, arms = value.shape
    mask = np.ones((n, arms), dtype=bool) if eligible is None else np.asarray(eligible)
    unit_value, unit_cost = (np.abs(table).max() or 1.0 for table in (value, cost))
    one_each = sparse.kron(sparse.eye_array(n), np.ones((1, arms)), format="csr")
    unlimited = budget is None or math.isinf(budget)

    def run(spare):
        rows = [optimize.LinearConstraint(one_each, 1, 1)]
        if not unlimited:
            rows.append(
                optimize.LinearConstraint(cost.reshape(1, -1) / unit_cost, -np.inf, budget / unit_cost - spare)
            )
        with _no_output():
            return optimize.milp(
                -value.ravel() / unit_value,
                integrality=np.ones(n * arms),
                bounds=optimize.Bounds(0, mask.ravel().astype(float)),
                constraints=rows,
                options={"mip_rel_gap": 0, "time_limit": time_limit},
            )

    def attained(result):
        if result.x is None:
            return None
        decision = result.x.reshape(n, arms).argmax(axis=1)
        within = unlimited or exact_total(cost, decision) <= Fraction(float(budget))
        return exact_total(value, decision) if within else None

    first = run(0.0)
    found = attained(first)
    if found is None:
        found = attained(run(2 * ROW_TOLERANCE))
    if found is None:
        raise ValueError(f"the programme found no decision within the budget: {first.message}")
    return Bracket(found, -first.mip_dual_bound * unit_value)


def lp_bound(value, cost, budget, eligible=None) -> float:
    """Optimum of the linear relaxation (a user may be shared out among arms) by `scipy.optimize.linprog`."""
    value, cost = np.asarray(value, dtype=float), np.asarray(cost, dtype=float)
    n, arms = value.shape
    mask = np.ones((n, arms), dtype=bool) if eligible is None else np.asarray(eligible)
    unit_value, unit_cost = (np.abs(table).max() or 1.0 for table in (value, cost))
    limited = budget is not None and not math.isinf(budget)
    result = optimize.linprog(
        -value.ravel() / unit_value,
        A_ub=cost.reshape(1, -1) / unit_cost if limited else None,
        b_ub=[budget / unit_cost] if limited else None,
        A_eq=sparse.kron(sparse.eye_array(n), np.ones((1, arms)), format="csr"),
        b_eq=np.ones(n),
        bounds=np.column_stack([np.zeros(n * arms), mask.ravel().astype(float)]),
        method="highs",
    )
    if not result.success:
        raise ValueError(f"the relaxation was not solved: {result.message}")
    return -result.fun * unit_value


def concave_envelope(points, at) -> Fraction:
    """Highest value of any mixture of two (cost, value) points that costs at most `at`; exact, -inf when none."""
    exact = [(Fraction(float(c)), Fraction(float(v))) for c, v in points]
    at = Fraction(float(at))
    best = [v for c, v in exact if c <= at]
    for c1, v1 in exact:
        best += [v1 + (v2 - v1) * (at - c1) / (c2 - c1) for c2, v2 in exact if c1 <= at < c2]
    return max(best, default=-math.inf)


def exact_total(table, decision) -> Fraction:
    """Sum of the chosen cells without any rounding."""
    return sum((Fraction(float(row[arm])) for row, arm in zip(table, decision, strict=True)), Fraction(0))


def ipw_total(decision, treatment, propensity, amount) -> float:
    """Horvitz-Thompson: each user who received the decided arm stands for 1 / propensity users. NaN without any."""
    total, matched = 0.0, 0
    for z, t, p, a in zip(decision, treatment, propensity, amount, strict=True):
        if z == t:
            total += a / p[t]
            matched += 1
    return total if matched else math.nan


def sn_total(decision, treatment, propensity, amount) -> float:
    """Hajek: the weighted mean over users who received the decided arm, times all users. NaN without any."""
    total, weights, users = 0.0, 0.0, 0
    for z, t, p, a in zip(decision, treatment, propensity, amount, strict=True):
        users += 1
        if z == t:
            total += a / p[t]
            weights += 1 / p[t]
    return users * total / weights if weights else math.nan


@contextlib.contextmanager
def _no_output():
    """HiGHS writes notes to the process's standard output although it is asked not to."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _whole(table):
    """Integers proportional to the floats, and the common denominator."""
    exact = [[Fraction(float(cell)) for cell in row] for row in table]
    unit = math.lcm(*(cell.denominator for row in exact for cell in row))
    return [[int(cell * unit) for cell in row] for row in exact], unit


def _open_arms(value, eligible, i):
    return [j for j in range(len(value[i])) if eligible is None or eligible[i][j]]
