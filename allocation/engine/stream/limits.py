"""Many limits for users in chunks: prices in a few passes, then a decision of the few users who are near a change."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from allocation.engine.clash import explain
from allocation.engine.dual import FIRST, LAST_HEAT, Dual, cool, minimise, off, sharp, units_of
from allocation.engine.limit import Limit, ProblemError
from allocation.engine.limits import without_noise
from allocation.engine.money import exact_sum, float_above, float_below, register_total
from allocation.engine.problem import Problem
from allocation.engine.rows import Ints, Row, excess, used, uses_of
from allocation.engine.solve import solve
from allocation.engine.stream.chunks import Arrays, Chunk, Chunks
from allocation.engine.stream.limit_rule import LimitRule
from allocation.engine.stream.near import Choice, Quota, Settle
from allocation.engine.stream.sample import Sample, draw, problem_of, scaled, unpacked
from allocation.engine.stream.solved import Solved, solved
from allocation.engine.stream.survey import StreamScores, bend_of
from allocation.engine.stream.terms import Terms

HELD = 250_000  # users that are solved in memory, as `allocation.solve` does
SAMPLE = 100_000  # of more, users from whom the first prices come
NEAR = 200_000  # users who are decided one by one, at first
FEWEST = 1_000  # of them for each row, however many rows there are
LARGER = (1, 3, 9)  # times so many are, where no decision among fewer holds all limits
WARM = 4.0  # last heats at which the prices of a sample are taken up


def solve_limits_in_chunks(chunks: Chunks, terms: Terms, places: int) -> Solved:
    """Decide within a budget and limits, and certify it; `places` is how far the users' places go.

    Up to HELD users are solved in memory: the same decisions as `allocation.solve`. More are not held: prices start
    from a sample and are finished by Newton's method, one pass a step; at these prices all users choose, but for
    those nearest to a change, who are decided in memory so that every row holds exactly.

    Raises ProblemError, which names them, when limits clash or when no decision was found.
    """
    sample = draw(chunks, terms, places, places if places <= HELD else SAMPLE)
    if sample.n == len(sample.chunk):
        return _held(sample.chunk, terms)
    scores, dual = _prices(chunks, terms, sample)
    if dual.impossible and dual.prices.any():
        raise explain(scores) or ProblemError("no decision keeps the budget and all limits together; loosen one")
    bound = scores.bound(dual.prices, survey=dual.survey)
    dual, bound = without_noise(scores, dual, bound)
    for times in LARGER:
        found = _decided(chunks, terms, scores, dual, times * NEAR)
        if found is not None:
            rule, totals, amounts = found
            first = len(scores.rows) - len(terms.limits)
            uses = uses_of(terms.limits, amounts[first:], dual.prices[first:])
            price = float(dual.prices[0]) if first else 0.0
            return solved(rule, sample.n, terms.limit, totals, price, bound, uses)
    raise explain(scores) or ProblemError(
        "no decision was found that holds all limits, although one that shares users out among arms does; loosen "
        "limits that share users"
    )


def _held(chunk: Chunk, terms: Terms) -> Solved:
    """Everybody in memory."""
    about = [mask is None or not len(mask) or bool(mask.any()) for mask in chunk.masks]
    for limit, anybody in zip(terms.limits, about, strict=True):
        if not anybody and not limit.low <= 0 <= limit.high:
            raise ProblemError(
                f"limit {limit.name!r} cannot be kept: nobody whom it is about is left to decide for, so nothing can "
                "be used of it; loosen it, or leave it out"
            )
    problem = problem_of(chunk, terms, about)
    a = solve(problem)
    found = {use.name: use for use in a.limits}
    nothing = uses_of(terms.limits, [Fraction(0)] * len(terms.limits), np.zeros(len(terms.limits)))
    uses = tuple(found.get(use.name, use) for use in nothing)
    prices = np.array([*([] if terms.budget is None else [a.price]), *(use.price for use in uses)])
    rule = LimitRule(Choice(terms, prices, 0.0), chunk.places(), a.decision)
    totals = _totals(problem, a.decision)
    return solved(rule, len(chunk), terms.limit, totals, a.price, a.bound, uses)


def _prices(chunks: Chunks, terms: Terms, sample: Sample) -> tuple[StreamScores, Dual]:
    """The prices at which the dual over all users is least."""
    some, known = scaled(sample, terms)
    units = units_of(some)
    scores = StreamScores(chunks, terms, sample.n, units)
    rough = minimise(some)
    last = LAST_HEAT * units.value
    prices, heat = rough.prices, WARM * last
    if rough.impossible or not known:
        prices, heat = (np.zeros(len(some.rows)) if rough.impossible else prices), units.value / FIRST
    worst = sample.worst - 1e-9 * units.value * sample.n
    prices = cool(scores, prices, units, heat, last, worst, bend_of)
    return scores, sharp(scores, prices, units, last, worst)


Found = tuple[LimitRule, tuple[Fraction, Fraction, Fraction], list[Fraction]]


def _decided(chunks: Chunks, terms: Terms, scores: StreamScores, dual: Dual, size: int) -> Found | None:
    """The rule, exact totals and use of each row of a decision that holds all rows; None if none was found."""
    loose = off(scores, dual.prices, dual.survey.usage, dual.units) > size / 10
    choice = Choice(terms, dual.prices, dual.heat if loose else 0.0)
    quota = Quota.of(dual.survey.near, max(size // max(len(scores.rows), 1), FEWEST))
    parts = chunks.each(Settle(choice, dual.units.value, quota), "settling")
    core = unpacked(parts, terms)
    settled = [_register(parts, "used", r) for r in range(len(scores.rows))]
    try:
        problem = _rest(core, terms, scores.rows, settled)
        if problem is None:
            return None
        decision = solve(problem).decision
    except ProblemError:
        return None
    amounts = [s + used(problem, row, decision) for s, row in zip(settled, terms.rows(core), strict=True)]
    if any(excess(row, amount) for row, amount in zip(scores.rows, amounts, strict=True)):
        return None
    worth, spent, control = (_register(parts, name) for name in ("worth", "spent", "control"))
    mine = _totals(problem, decision)
    return LimitRule(choice, core.places(), decision), (mine[0] + worth, mine[1] + spent, mine[2] + control), amounts


def _rest(core: Chunk, terms: Terms, rows: tuple[Row, ...], settled: list[Fraction]) -> Problem | None:
    """What is left to be decided among the nearest users, with what the others leave of every row.

    None where the others alone break a row that none of the nearest is in.
    """
    pairs = [*zip(rows, settled, strict=True)]
    low = [None if row.low == -math.inf else float_above(Fraction(row.low) - s) for row, s in pairs]
    high = [None if row.high == math.inf else float_below(Fraction(row.high) - s) for row, s in pairs]
    first = len(rows) - len(terms.limits)
    limits = []
    for k, (limit, mask) in enumerate(zip(terms.limits, core.masks, strict=True), start=first):
        if mask is not None and not mask.any():
            if (low[k] or 0.0) > 0 or (high[k] or 0.0) < 0:
                return None
            continue
        limits.append(Limit(limit.name, limit.measure, low[k], high[k], mask, limit.arms))
    if first and high[0] is not None and high[0] < 0:
        return None
    budget = high[0] if first else None
    return Problem(core.value, core.cost, budget, core.eligible, limits, dict(core.resources))


def _totals(problem: Problem, decision: Ints) -> tuple[Fraction, Fraction, Fraction]:
    rows = np.arange(problem.n_users)
    cells = (problem.value[rows, decision], problem.cost[rows, decision], problem.value[:, 0])
    value, cost, control = (exact_sum(cell.astype(np.float64)) for cell in cells)
    return value, cost, control


def _register(parts: list[Arrays], name: str, row: int | None = None) -> Fraction:
    found = (part[name] if row is None else part[name][row] for part in parts)
    return sum((register_total(register) for register in found), Fraction(0))
