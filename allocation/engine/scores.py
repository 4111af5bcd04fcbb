"""The dual function of many limits: one pass over the users scores all arms at the limits' prices.

One price p_r a row, value units per unit of its measure: above 0 it is the price of the cap, below 0 of the floor.

    D(p) = sum_i max_j (w value_ij - sum_r p_r amount_rij) + sum_r max(p_r high_r, p_r low_r)

With w = 1, D(p) is at least the value of every decision that holds all rows. With w = 0, D(p) < 0 proves that there
is none, not even with split users (Farkas); rows of price 0 have no part in the proof.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from allocation.engine import choice, threads
from allocation.engine.money import float_above
from allocation.engine.problem import Problem
from allocation.engine.rows import Floats, Grouping, Ints, Row, groupings_of, rows_of
from allocation.engine.tables import Table, read_only

BLOCK = 2048  # users whose scores are added up in the cache where resources or several groupings ask for it
GRID = 40  # bits of a price: any sum of prices of one measure is then exact
USERS, COST, VALUE = 0, 1, 2  # measures by number; resources follow


@dataclass(frozen=True, eq=False)
class Survey:
    """What all users choose at some prices.

    total : sum of best scores (value units; at heat h of h log sum exp(score / h)). usage : (m,) what the choice, or
    its shares, use of each row. arm, second : (n,) best and second best arm, small integers. margin : (n,) difference
    of their scores, infinite where there is no second.
    """

    total: float
    usage: Floats
    arm: NDArray[Any]
    second: NDArray[Any]
    margin: Floats


class DualFunction(Protocol):
    """D(p) of some rows, at any prices: what finds the prices needs no more of users, held in memory or not."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """The constraints."""
        ...

    @property
    def n(self) -> int:
        """Number of users."""
        ...

    @property
    def low(self) -> Floats:
        """Floors, (m,)."""
        ...

    @property
    def high(self) -> Floats:
        """Caps, (m,)."""
        ...

    def survey(self, prices: Floats, weight: float = 1.0, heat: float = 0.0) -> Any:
        """One pass: `total` and `usage`, as of `Survey`, and what else the caller knows of."""
        ...

    def support(self, prices: Floats) -> Floats:
        """See `Scores.support`."""
        ...

    def snapped(self, prices: Floats) -> Floats:
        """See `Scores.snapped`."""
        ...

    def bound(self, prices: Floats, weight: float = 1.0, survey: Any = None) -> float:
        """See `Scores.bound`."""
        ...


@dataclass(frozen=True, eq=False)
class Scores:
    """The tables of a problem beside its rows, ready to be surveyed at any prices; the tables are not copied.

    rows : the constraints. measure : (m,) number of each row's measure. arms : (m, K+1) floats, 1 where the arm
    counts. low, high : (m,) bounds. tables : by number of measure, None for users. groupings : of the users.
    """

    rows: tuple[Row, ...]
    measure: Ints
    arms: Floats
    low: Floats
    high: Floats
    tables: tuple[Any, ...]
    eligible: NDArray[np.bool_] | None
    groupings: tuple[Grouping, ...]

    @property
    def n(self) -> int:
        """Number of users."""
        return len(self.tables[VALUE])

    @property
    def width(self) -> int:
        """Number of arms, control included."""
        return int(self.tables[VALUE].shape[1])

    def of(self, users: Ints, low: Floats, high: Floats) -> Scores:
        """The same rows for some of the users (a copy of their cells), with other bounds."""
        return replace(
            self,
            low=low,
            high=high,
            tables=tuple(None if table is None else read_only(table[users]) for table in self.tables),
            eligible=None if self.eligible is None else read_only(self.eligible[users]),
            groupings=tuple(replace(one, group=one.group[users]) for one in self.groupings),
        )

    def members(self, users: Ints) -> Floats:
        """Which of the rows some users are in, (s, m) zeros and ones."""
        found = np.empty((len(users), len(self.rows)))
        for one in self.groupings:
            found[:, one.rows] = one.member[one.group[users]]
        return found

    def sizes(self) -> Ints:
        """How many users each row is about, (m,)."""
        found = np.zeros(len(self.rows), dtype=np.int64)
        for one in self.groupings:
            found[one.rows] = (np.bincount(one.group, minlength=len(one.member))[:, None] * one.member).sum(axis=0)
        return found

    def cells(self, users: Ints) -> Floats:
        """What every arm of some users uses of every row, (s, K+1, m)."""
        found = np.multiply(self.members(users)[:, None, :], self.arms.T[None, :, :], order="C")
        for q in range(1, len(self.tables)):
            of_measure = self.measure == q
            if of_measure.any():
                found[:, :, of_measure] *= self.tables[q][users].astype(np.float64)[:, :, None]
        return found

    def picks(self, users: Ints, arms: Ints) -> Floats:
        """What one arm of each of some users uses of every row, (s, m)."""
        found = self.members(users) * self.arms.T[arms]
        for q in range(1, len(self.tables)):
            of_measure = self.measure == q
            if of_measure.any():
                found[:, of_measure] *= self.tables[q][users, arms].astype(np.float64)[:, None]
        return found

    def values(self, users: Ints) -> Floats:
        """What every arm of some users is worth, (s, K+1); minus infinity where it is not eligible."""
        found = np.ascontiguousarray(self.tables[VALUE][users], dtype=np.float64)
        if self.eligible is not None:
            found[~self.eligible[users]] = -np.inf
        return found

    def support(self, prices: Floats) -> Floats:
        """What the bounds are worth at the prices, (m,): p high for a cap, p low for a floor (value units)."""
        with np.errstate(invalid="ignore"):
            return np.where(prices > 0, self.high * prices, np.where(prices < 0, self.low * prices, 0.0))

    def bound(self, prices: Floats, weight: float = 1.0, survey: Survey | None = None) -> float:
        """A float no less than D(p) at the prices as `snapped`: every rounding of the pass is allowed for.

        survey : the sharp one at these prices and weight, if it was made and the prices were snapped before.

        A score is a sum of products of at most one coefficient and one cell for each table and grouping; its error is
        at most their number times 2^-52 times the sum of the products' sizes, which is bounded by the largest
        coefficient of each table times the sum of its absolute cells.
        """
        if survey is None:
            prices = self.snapped(prices)
            survey = self.survey(prices, weight)
        return float_above(self.worth(prices) + Fraction(survey.total) + self.slop(prices, weight))

    def worth(self, prices: Floats) -> Fraction:
        """What `support` sums up to, exactly."""
        priced = zip(prices.tolist(), self.low.tolist(), self.high.tolist(), strict=True)
        return sum((Fraction(p) * Fraction(high if p > 0 else low) for p, low, high in priced if p != 0), Fraction())

    def slop(self, prices: Floats, weight: float = 1.0) -> Fraction:
        """By how much the total of a survey may be wrong, value units; see `bound`."""
        coefficients = self._coefficients(prices, weight)
        size = sum(
            max(float(np.abs(one[q]).max(initial=0.0)) for one in coefficients) * self.absolute[q]
            for q in range(len(self.tables))
        )
        terms = (len(self.tables) + 4) * len(self.groupings) + 8
        return Fraction(terms * 2.0**-52 * size)

    def snapped(self, prices: Floats) -> Floats:
        """The prices, those of one measure rounded to a common grid 2^-40 as fine as the largest of them."""
        found = prices.copy()
        for q in range(len(self.tables)):
            at = self.measure == q
            most = float(np.abs(prices[at]).max(initial=0.0))
            if most > 0:
                grid = 2.0 ** (math.frexp(max(most, 1.0) if q == VALUE else most)[1] - GRID)
                found[at] = np.round(prices[at] / grid) * grid
        return found

    def survey(self, prices: Floats, weight: float = 1.0, heat: float = 0.0, round_off: bool = False) -> Survey:
        """Let every user choose at the prices: sharply, or softly at a heat (value units), see `choice.choose`.

        With `round_off` the arms are a rounding of the soft shares that keeps their sums, and no best arms.
        """
        coefficients = self._coefficients(prices, weight)
        n, width = self.n, self.width
        small = np.int16 if width < 1 << 15 else np.int32
        arm, second, margin = np.empty(n, small), np.empty(n, small), np.empty(n)
        plain = len(coefficients) == 1 and len(self.tables) == 3
        first = self.groupings[0]

        def piece(at: tuple[int, int]) -> tuple[Floats, list[Floats]]:
            """Total and sums of the users of one piece; their arms go to their places."""
            sums = [np.zeros(one.shape) for one in coefficients]
            carry = np.zeros(coefficients[0].shape[1:] if round_off else (0, 0))
            total = np.zeros(2)
            extra, share = np.empty((0, width)), np.empty((0, width))
            for start in range(at[0], at[1], at[1] - at[0] if plain else BLOCK):
                cut = slice(start, at[1] if plain else min(start + BLOCK, at[1]))
                if not plain:
                    extra, share = np.zeros((cut.stop - start, width)), np.empty((cut.stop - start, width))
                    for k, q in self._beside():
                        self._add_scores(extra, k, q, coefficients[k][q], cut)
                own = coefficients[0]
                choice.choose(
                    self.tables[VALUE][cut],
                    self.tables[COST][cut],
                    None if self.eligible is None else self.eligible[cut],
                    extra,
                    first.group[cut],
                    own[USERS],
                    own[VALUE],
                    own[COST],
                    heat,
                    carry,
                    arm[cut],
                    second[cut],
                    margin[cut],
                    total,
                    sums[0],
                    share,
                )
                if not plain:
                    for k, q in self._beside():
                        self._add_usage(sums[k][q], k, q, share, cut)
            return total, sums

        done = threads.run(piece, threads.pieces(n))
        usage = np.zeros(len(self.rows))
        for k, one in enumerate(self.groupings):
            sums = sum((part[1][k] for part in done), np.zeros(coefficients[k].shape))
            for r, member in zip(one.rows, one.member.T, strict=True):
                usage[r] = ((member[:, None] * sums[self.measure[r]]).sum(axis=0) * self.arms[r]).sum()
        return Survey(math.fsum(x for part in done for x in part[0]), usage, arm, second, margin)

    @cached_property
    def absolute(self) -> list[float]:
        """Sum of the absolute cells of each table, a little above; of users, their number."""

        def piece(table: Table, at: tuple[int, int]) -> float:
            """Of the users of one piece, in double precision and in the order of cells, whatever the layout."""
            return float(np.abs(table[at[0] : at[1]].astype(np.float64, order="C")).sum())

        def total(table: Table) -> float:
            """Of all users, a little more than it is."""
            return 1.001 * math.fsum(threads.run(partial(piece, table), threads.pieces(self.n)))

        return [float(self.n) if table is None else total(table) for table in self.tables]

    def _coefficients(self, prices: Floats, weight: float) -> list[Floats]:
        """For each grouping (measures, groups, K+1): what a unit of a measure adds to an arm's score."""
        found = []
        for k, one in enumerate(self.groupings):
            price = -prices[one.rows, None] * self.arms[one.rows]
            own = np.zeros((len(self.tables), len(one.member), self.width))
            for q in range(len(self.tables)):
                at = self.measure[one.rows] == q
                if at.any():
                    own[q] = one.member[:, at] @ price[at]
            if k == 0:
                own[VALUE] += weight
            found.append(own)
        return found

    def _beside(self) -> list[tuple[int, int]]:
        """The groupings and measures that `choice.choose` does not see to itself and some row asks for."""
        pairs = [(k, q) for k, one in enumerate(self.groupings) for q in sorted({*self.measure[one.rows].tolist()})]
        return [(k, q) for k, q in pairs if k > 0 or q > VALUE]

    def _add_scores(self, extra: Floats, k: int, q: int, price: Floats, cut: slice) -> None:
        group = self.groupings[k].group[cut]
        if q == USERS:
            choice.add_fixed(extra, group, price)
        else:
            choice.add_amounts(extra, group, price, self.tables[q][cut])

    def _add_usage(self, sums: Floats, k: int, q: int, share: Floats, cut: slice) -> None:
        group = self.groupings[k].group[cut]
        if q == USERS:
            choice.count_shares(sums, group, share)
        else:
            choice.sum_amounts(sums, group, share, self.tables[q][cut])


def scores_of(problem: Problem) -> Scores:
    """The rows and tables of a problem, its users grouped."""
    return scores_from(rows_of(problem), problem.value, problem.cost, problem.eligible, problem.resources)


def scores_from(
    rows: tuple[Row, ...],
    value: Table,
    cost: Table,
    eligible: NDArray[np.bool_] | None,
    resources: Mapping[str, Table],
) -> Scores:
    """Rows beside the tables of some users, grouped."""
    names = ["users", "cost", "value", *resources]
    return Scores(
        rows,
        np.array([names.index(row.measure) for row in rows], dtype=np.int64),
        np.array([row.arms for row in rows], dtype=np.float64).reshape(len(rows), value.shape[1]),
        np.array([row.low for row in rows], dtype=np.float64),
        np.array([row.high for row in rows], dtype=np.float64),
        (None, *map(read_only, (cost, value, *resources.values()))),
        eligible if eligible is None else read_only(eligible),
        groupings_of(rows, len(value)),
    )
