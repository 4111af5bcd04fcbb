"""Many limits beside or without a budget: prices, a decision that holds all of them, and its certificate."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np

from allocation.engine.clash import explain
from allocation.engine.core import core_of, search
from allocation.engine.dual import Dual, minimise, off
from allocation.engine.money import amount_text, exact_sum, exact_total, float_below
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of
from allocation.engine.rows import Floats, Ints, excess, used, uses_of
from allocation.engine.scores import DualFunction, Scores, scores_of

SIZES = (1, 4, 16)  # of the cores in which a decision is sought, one after the other
MANY = 200.0  # typical amounts, and
SHARE = 2e-3  # typical amounts a user: if rows are further off, ties are split before the search
EXACT = 4000  # cells: smaller problems are given to integer programming where the search finds nothing
EFFORT = 2.0  # deterministic seconds for that
REFINED = 5  # times that a decision is mended which holds in floats only
OVER = 1.2  # times its price: what breaking a row costs in the search at first, and
SOME = 0.01  # typical prices more
LOW_PRICE = 1e-5  # in typical prices: may be what is left of a price of 0
NOTHING = 1e-12  # share of the bound, or of a typical range of values: less is no gap


def solve_limits(problem: Problem) -> Allocation:
    """Decide within a budget and any number of limits, and certify the result; the limits hold exactly.

    With a price p_r for each row (the budget and each limit; above 0 for its cap, below 0 for its floor)

        bound = sum_i max_j (value_ij - sum_r p_r amount_rij) + sum_r max(p_r max_r, p_r min_r)  >=  optimum.

    The least bound is found by Newton's method on a softened form of it, a few passes over the users. At its prices
    most users' arms are settled; a search among the others moves them until every row holds, checked by exact sums,
    and the value is as large as it finds. What is drawn at random is drawn from fixed seeds: the same problem has the
    same decision with any number of threads and any layout of the tables. It may depend on the order of the users.

    Without a budget the allocation's price is 0. `limits` has the prices of the bound: where several sets of prices
    give the same bound (few users, ties), they are one of these.

    Raises ProblemError when the limits clash, so that not even split users hold them; and when no decision was found
    that holds them, which for small problems is proved by integer programming.
    """
    scores = scores_of(problem)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # bounds near the largest floats
        dual = minimise(scores)
    if dual.impossible and dual.prices.any():
        raise explain(scores) or ProblemError(_narrow_clash(scores, dual))
    bound = scores.bound(dual.prices, survey=dual.survey)
    dual, bound = without_noise(scores, dual, bound)
    with np.errstate(over="ignore", invalid="ignore"):  # amounts near the smallest
        decision, amounts = _decide(problem, scores, dual, bound)
    first = len(scores.rows) - len(problem.limits)
    uses = uses_of(problem.limits, amounts[first:], dual.prices[first:])
    return allocation_of(problem, decision, float(dual.prices[0]) if first else 0.0, bound, uses)


def without_noise(scores: DualFunction, dual: Dual, bound: float) -> tuple[Dual, float]:
    """The dual with prices of nearly 0 at 0, where that bounds as well: such a limit does not bind."""
    large = np.abs(dual.prices) >= LOW_PRICE * dual.units.price
    if large.all() or not dual.prices[~large].any():
        return dual, bound
    prices = np.where(large, dual.prices, 0.0)
    survey = scores.survey(prices)
    clean = scores.bound(prices, survey=survey)
    if clean > bound + NOTHING * (abs(bound) + dual.units.value):
        return dual, bound
    return replace(dual, prices=prices, survey=survey), clean


def _decide(problem: Problem, scores: Scores, dual: Dual, bound: float) -> tuple[Ints, list[Fraction]]:
    """A decision that holds all rows, and what it uses of each."""
    nearest: tuple[float, str] = (math.inf, "")
    for size in SIZES:
        for start in _starts(scores, dual):
            for exact_fit in (True, False):
                decision, amounts, wrong = _repaired(problem, scores, dual, start, size, bound, exact_fit)
                if not wrong:
                    return decision, amounts
            nearest = min(nearest, max(wrong))
    clash = explain(scores)
    if clash is not None:
        raise clash
    if scores.n * scores.width <= EXACT:
        from allocation.engine.exact import solve_exact  # OR-Tools is slow to load, and rarely needed

        decision = solve_exact(problem, effort=EFFORT).decision
        return decision, [used(problem, row, decision) for row in scores.rows]
    raise ProblemError(
        f"no decision was found that holds all limits, although one that shares users out among arms does: the "
        f"nearest breaks {nearest[1]}; loosen it, or limits that share its users"
    )


def _starts(scores: Scores, dual: Dual) -> Iterator[Ints]:
    """Decisions near all limits: everybody's best arm; where that is far off, for ties, a rounding of soft shares."""
    sharp = dual.survey.arm.astype(np.int64)
    if off(scores, dual.prices, dual.survey.usage, dual.units) <= MANY + SHARE * scores.n:
        yield sharp
    yield scores.survey(dual.prices, heat=dual.heat, round_off=True).arm.astype(np.int64)


def _repaired(
    problem: Problem, scores: Scores, dual: Dual, decision: Ints, size: int, bound: float, exact_fit: bool
) -> tuple[Ints, list[Fraction], list[tuple[float, str]]]:
    """The last decision tried, what it uses of each row, and which rows it breaks by how much: none if it is good.

    exact_fit : take what fills a limit to the last digit for a fit. In floats that may be wrong; then try without.
    """
    decision = decision.copy()
    amounts = [used(problem, row, decision) for row in scores.rows]
    weight = _coarse(OVER * np.abs(dual.prices) / dual.units.price + SOME) * dual.units.price
    for _ in range(1 if exact_fit else REFINED):
        broken = np.array([float(excess(row, x)) for row, x in zip(scores.rows, amounts, strict=True)])
        broken *= dual.units.price / dual.units.value
        core = core_of(scores, dual, decision, broken, size)
        missing = bound - float(exact_total(problem.value, decision)) - NOTHING * (abs(bound) + dual.units.value)
        best, held = search(core, *_room(scores, amounts), weight, 3 * size * int(broken.sum()), missing, exact_fit)
        decision[core.users] = core.arm[best]
        before, after = core.amount[core.own], core.amount[best]
        amounts = [x + exact_sum(after[:, r]) - exact_sum(before[:, r]) for r, x in enumerate(amounts)]
        over = [(excess(row, x), row) for row, x in zip(scores.rows, amounts, strict=True)]
        if not held or not any(x for x, _ in over):
            break
    wrong = [
        (float(x) * unit, f"{row.name!r} by {amount_text(float(x))}")
        for (x, row), unit in zip(over, (dual.units.price / dual.units.value).tolist(), strict=True)
        if x
    ]
    return decision, amounts, wrong


def _room(scores: Scores, amounts: list[Fraction]) -> tuple[Floats, Floats]:
    """What is left to the caps and to the floors, (m,) each: floats that are no more."""
    pairs = [*zip(scores.rows, amounts, strict=True)]
    above = [float_below(Fraction(row.high) - x) if row.high < math.inf else math.inf for row, x in pairs]
    below = [float_below(x - Fraction(row.low)) if row.low > -math.inf else math.inf for row, x in pairs]
    return np.array(above), np.array(below)


def _coarse(amounts: Floats) -> Floats:
    """The amounts to two digits: so the search does not hang on the last digits of prices."""
    share, power = np.frexp(amounts)
    return np.ldexp(np.round(share * 64) / 64, power)


def _narrow_clash(scores: Scores, dual: Dual) -> str:
    """What clashes by the prices, where the bounds miss each other by so little that no smallest clash is named."""
    share = np.abs(dual.prices / dual.units.price)
    names = [repr(row.name) for row, x in zip(scores.rows, share.tolist(), strict=True) if x > 1e-3 * share.max()]
    return (
        f"no decision keeps {', '.join(names)} together, though they miss it by a rounding only; loosen one of them"
    )
