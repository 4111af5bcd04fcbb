"""Independent answers to compare with: enumeration, integer and linear programmes, textbook estimates in loops."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import sys
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

# Of HiGHS: a row counts as satisfied within this, costs scaled to at most 1. The milp oracle keeps twice that clear.
ROW_TOLERANCE = 1e-6
INFEASIBLE = 2  # scipy's status of a milp without a solution


class Bracket(NamedTuple):
    """Where the optimum lies: `attained` by an exactly feasible decision, `bound` by the programme's dual side."""

    attained: Fraction | float
    bound: float


class Row(NamedTuple):
    """A constraint low <= sum of the chosen cells <= high; `amounts` (n, K+1) is zero where nothing counts."""

    name: str
    amounts: np.ndarray
    low: float
    high: float


def brute_force(value, cost, budget, eligible=None, rows=()) -> Fraction:
    """Optimum value by enumerating all (K+1)^n decisions, exactly; raises ValueError when none keeps every row.

    Floats are dyadic, so that over a common denominator all sums are whole numbers and no rounding takes place.
    Beginnings of a decision that no ending can bring within a row are dropped.
    """
    rows = [*_budget_rows(cost, budget), *rows]
    tables, units = zip(*(_whole(table) for table in (value, *(row.amounts for row in rows))), strict=True)
    least, most = ([np.zeros(len(tables), dtype=object)] for _ in range(2))
    moves = [
        np.array([[table[i][j] for j in _open_arms(value, eligible, i)] for table in tables], dtype=object)
        for i in range(len(value))
    ]
    for move in reversed(moves):
        least.insert(0, least[0] + move.min(axis=1))
        most.insert(0, most[0] + move.max(axis=1))
    totals = np.zeros((len(tables), 1), dtype=object)
    for i in range(len(moves) + 1):
        for k, (row, unit) in enumerate(zip(rows, units[1:], strict=True), start=1):
            if not math.isinf(row.high):
                totals = totals[:, totals[k] + least[i][k] <= math.floor(Fraction(float(row.high)) * unit)]
            if not math.isinf(row.low):
                totals = totals[:, totals[k] + most[i][k] >= math.ceil(Fraction(float(row.low)) * unit)]
        if i < len(moves):
            totals = (totals[:, :, None] + moves[i][:, None, :]).reshape(len(tables), -1)
    if totals.shape[1] == 0:
        raise ValueError("no decision is within the budget and the rows")
    return Fraction(max(totals[0]), units[0])


def milp(value, cost, budget, eligible=None, rows=(), time_limit=10.0) -> Bracket:
    """The optimum by `scipy.optimize.milp` at zero gap; the bracket is as wide as the time limit leaves it.

    The programme may miss a row by its tolerance. The best decision is therefore counted in exact arithmetic, and
    where it breaks a row a second run, which keeps clear of the tolerance, gives the attained value; minus infinity
    where neither finds a decision in time. ValueError when there is none.
    """
    rows = [*_budget_rows(cost, budget), *rows]

    def attained(result):
        if result.x is None:
            return None
        decision = result.x.reshape(np.shape(value)).argmax(axis=1)
        within = all(row.low <= exact_total(row.amounts, decision) <= row.high for row in rows)
        return exact_total(value, decision) if within else None

    first = programme(value, rows, eligible, whole=True, time_limit=time_limit)
    found = attained(first)
    if found is None:
        found = attained(programme(value, rows, eligible, whole=True, time_limit=time_limit, spare=2 * ROW_TOLERANCE))
    if found is None and first.status == INFEASIBLE:
        raise ValueError("the programme says that no decision is within the budget and the rows")
    if first.mip_dual_bound is None or math.isinf(first.mip_dual_bound):
        return Bracket(-math.inf if found is None else found, lp_bound(value, cost, None, eligible, rows))
    return Bracket(-math.inf if found is None else found, -first.mip_dual_bound * _unit(value))


def lp_bound(value, cost, budget, eligible=None, rows=()) -> float:
    """Optimum of the linear relaxation (a user may be shared out among arms) by HiGHS."""
    result = programme(value, [*_budget_rows(cost, budget), *rows], eligible)
    if not result.success:
        raise ValueError(f"the relaxation was not solved: {result.message}")
    return -result.fun * _unit(value)


def programme(value, rows, eligible=None, whole=False, time_limit=10.0, spare=0.0):
    """`scipy.optimize.milp` of the shares z (n, K+1), value and rows scaled to at most 1; `whole` for z in {0, 1}.

    `spare` narrows every row whose amounts are not whole numbers; those that are cannot be missed by a tolerance.
    """
    n, arms = np.shape(value)
    mask = np.ones((n, arms), dtype=bool) if eligible is None else np.asarray(eligible)
    constraints = [
        optimize.LinearConstraint(sparse.kron(sparse.eye_array(n), np.ones((1, arms)), format="csr"), 1, 1)
    ]
    for row in rows:
        amounts, unit = np.asarray(row.amounts, dtype=float).ravel(), _unit(row.amounts)
        clear = 0.0 if unit < 1e4 and (amounts == amounts.round()).all() else spare
        constraints.append(
            optimize.LinearConstraint(amounts[None, :] / unit, row.low / unit + clear, row.high / unit - clear)
        )
    with _no_output():
        return optimize.milp(
            -np.asarray(value, dtype=float).ravel() / _unit(value),
            integrality=np.full(n * arms, int(whole)),
            bounds=optimize.Bounds(0, mask.ravel().astype(float)),
            constraints=constraints,
            options={"mip_rel_gap": 0, "time_limit": time_limit},
        )


def concave_envelope(points, at) -> Fraction:
    """Highest value of any mixture of two (cost, value) points that costs at most `at`; exact, -inf when none."""
    exact = [(Fraction(float(c)), Fraction(float(v))) for c, v in points]
    at = Fraction(float(at))
    best = [v for c, v in exact if c <= at]
    for c1, v1 in exact:
        best += [v1 + (v2 - v1) * (at - c1) / (c2 - c1) for c2, v2 in exact if c1 <= at < c2]
    return max(best, default=-math.inf)


def exact_total(table, decision) -> Fraction:
    """Sum of the chosen cells without any rounding: whole numbers of 53 bits, added up by their power of two."""
    chosen = np.asarray(table)[np.arange(len(decision)), decision].astype(np.float64)
    share, power = np.frexp(chosen)
    whole = (share * 2.0**53).astype(np.int64)
    total = Fraction(0)
    for p in np.unique(power):
        digits = whole[power == p]
        total += ((int((digits >> 32).sum()) << 32) + int((digits & 0xFFFFFFFF).sum())) * Fraction(2) ** (int(p) - 53)
    return total


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


def weighted_terms(reward, target, logged, largest=math.inf) -> list[float]:
    """Inverse propensity for a policy that draws its arm: each user's reward times pi / p, cut at `largest`.

    `target` (n,) is the policy's probability of the arm that the user received, `logged` that of the log.
    """
    return [min(pi / p, largest) * r for r, pi, p in zip(reward, target, logged, strict=True)]


def dr_terms(reward, arm, policy, logged, model, largest=math.inf) -> list[float]:
    """Doubly robust; `policy` and `model` are (n, arms): probability and predicted reward of every arm.

    Users whose weight exceeds `largest` count by the model alone (SWITCH with the doubly robust correction).
    """
    terms = []
    for r, a, pi, p, m in zip(reward, arm, policy, logged, model, strict=True):
        term = 0.0
        for j in range(len(pi)):
            term += pi[j] * m[j]
        if pi[a] / p <= largest:
            term += pi[a] / p * (r - m[a])
        terms.append(term)
    return terms


def mean_and_se(terms) -> tuple[float, float]:
    """The mean of independent terms and its standard error, s / sqrt(n) with n - 1 in s."""
    n, mean, squares = len(terms), math.fsum(terms) / len(terms), 0.0
    for x in terms:
        squares += (x - mean) ** 2
    return mean, math.sqrt(squares / (n - 1) / n)


def ratio_and_se(above, below) -> tuple[float, float]:
    """sum above / sum below with the delta method's standard error: of the terms (a - ratio b) / mean of b."""
    ratio, mean_below = math.fsum(above) / math.fsum(below), math.fsum(below) / len(below)
    return ratio, mean_and_se([(a - ratio * b) / mean_below for a, b in zip(above, below, strict=True)])[1]


def ranking_over_places(scores, target, seen, k) -> dict[str, float]:
    """Metrics of one ranking of items 1.., sorted as a list: the mean over every place in the target's tie.

    Items of `seen` are no candidates, the target always is.
    """
    order = sorted(
        (v for v in range(1, len(scores) + 1) if v == target or v not in seen), key=lambda v: -scores[v - 1]
    )
    places = [place for place, v in enumerate(order, start=1) if scores[v - 1] == scores[target - 1]]
    return _metrics_of_places(places, len(order), k)


def ranking_over_orders(scores, target, seen, k) -> dict[str, float]:
    """The same from every order in which the candidates may come to a sort that leaves ties as they come."""
    candidates = [v for v in range(1, len(scores) + 1) if v == target or v not in seen]
    orders = itertools.permutations(candidates)
    places = [sorted(order, key=lambda v: -scores[v - 1]).index(target) + 1 for order in orders]
    return _metrics_of_places(places, len(candidates), k)


def _metrics_of_places(places, candidates, k):
    gains = {
        "recall": [1.0 if place <= k else 0.0 for place in places],
        "ndcg": [1 / math.log2(1 + place) if place <= k else 0.0 for place in places],
        "mrr": [1 / place if place <= k else 0.0 for place in places],
        "auc": [(candidates - place) / (candidates - 1) if candidates > 1 else math.nan for place in places],
    }
    return {name: math.fsum(gain) / len(places) for name, gain in gains.items()}


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


def _budget_rows(cost, budget):
    return [] if budget is None or math.isinf(budget) else [Row("budget", np.asarray(cost), -math.inf, budget)]


def _unit(table):
    return float(np.abs(np.asarray(table, dtype=float)).max()) or 1.0


def _open_arms(value, eligible, i):
    return [j for j in range(len(value[i])) if eligible is None or eligible[i][j]]
