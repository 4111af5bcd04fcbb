"""The constraints of a problem as rows of one form, users grouped by the rows they are in, and exact use of a row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.limit import BUDGET, Limit, LimitUse
from allocation.engine.money import exact_sum
from allocation.engine.problem import Problem

GROUPS = 1024  # of one grouping at most, so that a price for each group and arm stays in the cache

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Row:
    """One constraint: low <= sum_{i in users} amount[i, decision_i] [decision_i in arms] <= high.

    name : the limit's, or BUDGET. measure : "users", "cost", "value" or a resource. low, high : may be infinite.
    users : (n,) booleans, None for everybody; arms : (K+1,) booleans.
    """

    name: str
    measure: str
    low: float
    high: float
    users: NDArray[np.bool_] | None
    arms: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grouping:
    """Users who are in the same ones of some rows share a group, and with it all prices of these rows.

    group : (n,) int32, the group of each user. rows : (k,) positions of the rows. member : (groups, k) floats, 1
    where the group is in the row.
    """

    group: NDArray[np.int32]
    rows: Ints
    member: Floats


def rows_of(problem: Problem) -> tuple[Row, ...]:
    """The budget, if there is one, as a cap on what all arms cost, control too; then the limits in their order."""
    return rows_for(problem.budget, problem.limits, problem.value.shape[1])


def rows_for(budget: float | None, limits: Sequence[Limit], width: int) -> tuple[Row, ...]:
    """The rows of a budget and of resolved limits for `width` arms."""
    rows = []
    if budget is not None:
        rows.append(Row(BUDGET, "cost", -math.inf, budget, None, np.ones(width, dtype=bool)))
    for limit in limits:
        arms = np.zeros(width, dtype=bool)
        arms[np.array(limit.arms, dtype=np.int64)] = True
        users = limit.users if isinstance(limit.users, np.ndarray) else None
        rows.append(Row(limit.name, limit.measure, limit.low, limit.high, users, arms))
    return tuple(rows)


def used(problem: Problem, row: Row, decision: Ints) -> Fraction:
    """What a decision uses of a row, exactly."""
    table = problem.table(row.measure)

    def of_piece(at: tuple[int, int]) -> Fraction:
        """What the users of one piece use."""
        own = decision[at[0] : at[1]]
        counts = row.arms[own]
        if row.users is not None:
            counts &= row.users[at[0] : at[1]]
        if table is None:
            return Fraction(int(np.count_nonzero(counts)))
        chosen = np.flatnonzero(counts)
        return exact_sum(table[at[0] + chosen, own[chosen]].astype(np.float64))

    return sum(threads.run(of_piece, threads.pieces(len(decision))), Fraction(0))


def uses_of(limits: Sequence[Limit], amounts: Sequence[Fraction], prices: Floats) -> tuple[LimitUse, ...]:
    """The report of each limit from what a decision uses of it and its price."""
    return tuple(
        LimitUse(
            limit.name,
            limit.measure,
            float(amount),
            limit.min,
            limit.max,
            price,
            "max" if price > 0 else "min" if price < 0 else None,
        )
        for limit, amount, price in zip(limits, amounts, prices.tolist(), strict=True)
    )


def excess(row: Row, amount: Fraction) -> Fraction:
    """How far an amount is outside of a row's bounds, in the unit of its measure; 0 where the row holds."""
    over = amount - Fraction(row.high) if math.isfinite(row.high) else Fraction(0)
    under = Fraction(row.low) - amount if math.isfinite(row.low) else Fraction(0)
    return max(over, under, Fraction(0))


def groupings_of(rows: Sequence[Row], n: int) -> tuple[Grouping, ...]:
    """As few groupings of n users as keep each below GROUPS groups; every row is in one of them."""
    done: list[Grouping] = []
    held: list[int] = []
    group, member = np.zeros(n, dtype=np.int32), np.ones((1, 0))
    masks: dict[int, list[int]] = {}
    for r, row in enumerate(rows):
        masks.setdefault(id(row.users), []).append(r)  # the same array is read once
    for same in masks.values():
        users = rows[same[0]].users
        inside = np.ones(len(member))
        if users is not None:
            refined, parent, inside = _refine(group, users, len(member))
            if len(parent) > GROUPS:
                done.append(Grouping(group, np.array(held, dtype=np.int64), member))
                held, member = [], np.ones((1, 0))
                refined, parent, inside = _refine(np.zeros(n, dtype=np.int32), users, 1)
            group, member = refined, member[parent]
        member = np.column_stack([member, *[inside] * len(same)])
        held += same
    return (*done, Grouping(group, np.array(held, dtype=np.int64), member))


def _refine(
    group: NDArray[np.int32], users: NDArray[np.bool_], groups: int
) -> tuple[NDArray[np.int32], Ints, Floats]:
    """Groups split by a mask, numbered as they first appear; of each the group it was, and 1 where it is inside."""
    number = np.full(2 * groups, -1, dtype=np.int32)
    refined = np.empty_like(group)
    count = _number_groups(group, users, number, refined)
    origin = np.empty(count, dtype=np.int64)
    origin[number[number >= 0]] = np.flatnonzero(number >= 0)
    return refined, origin // 2, (origin % 2).astype(np.float64)


@njit(nogil=True, cache=True)
def _number_groups(group: Any, users: Any, number: Any, refined: Any) -> int:
    count = 0
    for i in range(len(group)):
        pair = 2 * group[i] + users[i]
        if number[pair] < 0:
            number[pair] = count
            count += 1
        refined[i] = number[pair]
    return count
