"""Limits that no decision keeps together: which smallest set clashes, and how much each of it would have to give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocation.engine.limit import BUDGET, ProblemError
from allocation.engine.money import amount_text
from allocation.engine.scores import DualFunction

# For prices y (m,) of the rows: what the cheapest decision pays, sum_i min_j sum_r y_r a_rij, and uses (m,).
Cheapest = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]

PASSES = 400  # over the users, for one question
CLEAR = 1e-7  # share of a row's range below which a violation is rounding
PAIRS = 2_000  # sets of a size that are tried one by one for a smaller clash


@dataclass(frozen=True)
class Side:
    """One bound of one row: `row` counts the rows, sign is +1 for a cap and -1 for a floor, `bound` its amount."""

    row: int
    sign: int
    bound: float


@dataclass(frozen=True)
class Outline:
    """What the rows of a problem are called, where their bounds lie, and what decisions can use of them.

    names, measures : (m,) texts; low, high : (m,) bounds, infinite for none; least, most : (m,) the smallest and the
    largest amount that any decision uses; cheapest : see `Cheapest`.
    """

    names: Sequence[str]
    measures: Sequence[str]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    least: NDArray[np.float64]
    most: NDArray[np.float64]
    cheapest: Cheapest

    def sides(self) -> list[Side]:
        """Every bound there is."""
        caps = [Side(r, 1, b) for r, b in enumerate(self.high.tolist()) if math.isfinite(b)]
        return caps + [Side(r, -1, b) for r, b in enumerate(self.low.tolist()) if math.isfinite(b)]

    def range(self, side: Side) -> float:
        """A natural size of the row's amounts, for shares."""
        span = float(self.most[side.row] - self.least[side.row])
        return max(span, abs(side.bound), abs(float(self.least[side.row]))) or 1.0


def outline_of(scores: DualFunction) -> Outline:
    """The rows of a problem and what decisions can use of them; two passes over the users for each row."""

    def cheapest(prices: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The cheapest decision at some prices."""
        survey = scores.survey(prices, weight=0.0)
        return -survey.total, survey.usage

    each = np.eye(len(scores.rows))
    least = np.array([cheapest(price)[1][r] for r, price in enumerate(each)])
    most = np.array([cheapest(-price)[1][r] for r, price in enumerate(each)])
    names, measures = [row.name for row in scores.rows], [row.measure for row in scores.rows]
    return Outline(names, measures, scores.low, scores.high, least, most, cheapest)


def explain(scores: DualFunction) -> ProblemError | None:
    """The error that names the smallest clash and its mend; None if some mixture of decisions keeps all rows."""
    outline = outline_of(scores)
    clash = smallest_clash(outline)
    if clash is None:
        return None
    return ProblemError(_text(outline, clash, [give(outline, clash, k) for k in range(len(clash))]))


def smallest_clash(outline: Outline) -> list[Side] | None:
    """A set of bounds that no mixture of decisions keeps, without one that could be left out; None if there is none.

    A set is proved to clash by prices at which even the cheapest decision pays more than the bounds allow. From such
    a proof bounds are left out one by one while the rest still clashes; then every smaller set is tried as well, as
    far as there are not more than `PAIRS` of a size.
    """
    sides = outline.sides()
    for side in sides:
        if _reach(outline, side) > CLEAR * outline.range(side):
            return [side]
    proof = _violation(outline, sides)
    if proof is None:
        return None
    clash = [side for side, price in zip(sides, proof, strict=True) if price > CLEAR]
    for side in sorted(clash, key=lambda side: proof[sides.index(side)]):
        rest = [other for other in clash if other != side]
        if rest and _violation(outline, rest) is not None:
            clash = rest
    for size in range(2, len(clash)):
        if math.comb(len(sides), size) > PAIRS:
            break
        for few in itertools.combinations(sides, size):
            if _violation(outline, list(few)) is not None:
                return list(few)
    return clash


def give(outline: Outline, clash: Sequence[Side], k: int) -> float:
    """How far bound k must move, at the least, for a mixture of decisions to keep the whole clash; in its own unit.

    Whole users may need a little more than a mixture, which gives fractions of a user.
    """
    if len(clash) == 1:
        return _reach(outline, clash[0])
    for room in (1e3, 1e6, 1e9):  # prices of the others per unit of this one's
        value, prices = _kelley(
            outline, clash, np.where(np.arange(len(clash)) == k, 1.0, room), fixed=k, enough=math.inf
        )
        if (np.delete(prices, k) < 0.99 * room).all():
            break
    return value * outline.range(clash[k])


def _reach(outline: Outline, side: Side) -> float:
    """By how much even the decision that is best for this bound alone misses it; below 0 where it is kept."""
    if side.sign > 0:
        return float(outline.least[side.row]) - side.bound
    return side.bound - float(outline.most[side.row])


def _violation(outline: Outline, sides: Sequence[Side]) -> NDArray[np.float64] | None:
    """Prices (s,) in [0, 1] of the bounds, as shares of their ranges, that prove a clash; None if there is none."""
    value, prices = _kelley(outline, sides, np.ones(len(sides)), fixed=None, enough=CLEAR)
    return prices if value > CLEAR else None


def _kelley(
    outline: Outline, sides: Sequence[Side], room: NDArray[np.float64], fixed: int | None, enough: float
) -> tuple[float, NDArray[np.float64]]:
    """The largest sum of priced violations that no decision avoids, and the prices: cutting planes on the dual.

        max_y  min_z  sum_s y_s violation_s(z),    0 <= y_s <= room_s,    y_fixed = 1

    Every decision z seen so far gives a plane; the highest point under all planes is priced next. Ends when that is
    reached, when `enough` is proved, or at 0, the value of y = 0.
    """
    signs = np.array([side.sign for side in sides], dtype=float)
    index = np.array([side.row for side in sides])
    bounds = np.array([side.bound for side in sides])
    ranges = np.array([outline.range(side) for side in sides])
    low = np.where(np.arange(len(sides)) == (-1 if fixed is None else fixed), 1.0, 0.0)
    best, best_at = -math.inf, low
    planes: list[NDArray[np.float64]] = []
    prices = np.where(low > 0, 1.0, np.minimum(room, 1.0))
    for _ in range(PASSES):
        row_prices = np.zeros(len(outline.names))
        np.add.at(row_prices, index, prices * signs / ranges)
        _, used = outline.cheapest(row_prices)
        plane = signs * (used[index] - bounds) / ranges
        planes.append(plane)
        value = float(plane @ prices)
        if value > best:
            best, best_at = value, prices
        if best > enough:
            break
        from scipy.optimize import linprog  # slow to load, and needed only where limits clash

        solved = linprog(
            np.append(np.zeros(len(sides)), -1.0),
            A_ub=np.column_stack([-np.array(planes), np.ones(len(planes))]),
            b_ub=np.zeros(len(planes)),
            bounds=[*zip(low, room, strict=True), (None, None)],
            method="highs",
        )
        if not solved.success:
            break
        prices, highest = np.clip(solved.x[:-1], low, room), -float(solved.fun)
        if highest <= max(best, 0.0 if fixed is None else -math.inf) + CLEAR * max(1.0, abs(best)) / 10:
            break
    return best, best_at


def _text(outline: Outline, clash: Sequence[Side], gives: Sequence[float]) -> str:
    """What clashes and what would mend it, one sentence each."""

    def bound(side: Side) -> str:
        """A bound by name and amount."""
        return f"{_called(outline, side)} ({'max' if side.sign > 0 else 'min'} {amount_text(side.bound)})"

    def mend(side: Side, amount: float) -> str:
        """How far a bound must move, in words."""
        sure = amount * (1 + 1e-6)
        if outline.measures[side.row] == "users":
            sure = math.ceil(amount * (1 - 1e-6))
        verb = "raise" if side.sign > 0 else "lower"
        return f"{verb} {_called(outline, side)} by at least {sure:,.6g}"

    mends = ", or ".join(mend(side, amount) for side, amount in zip(clash, gives, strict=True))
    if len(clash) == 1:
        side = clash[0]
        reach = "at least" if side.sign > 0 else "at most"
        amount = outline.least[side.row] if side.sign > 0 else outline.most[side.row]
        return f"{bound(side)} cannot be kept: any decision uses {reach} {float(amount):,.6g} of it; {mends}"
    listed = ", ".join(bound(side) for side in clash[:-1]) + f" and {bound(clash[-1])}"
    return f"no decision keeps {listed} together, though it could without any one of them; {mends}"


def _called(outline: Outline, side: Side) -> str:
    name = outline.names[side.row]
    return name if name == BUDGET else f"limit {name!r}"
