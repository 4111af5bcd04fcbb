"""The loops over users that all else is made of: climb a user's hull, list its steps, settle users at two prices.

They compare slopes of differences in double precision, whatever the tables hold, and break ties by one rule: of equal
arms the cheaper, of equally cheap ones the more valuable, of the same ones the first. Of arms on one line the nearest
comes first. So a user's steps are the same whoever asks, in whatever piece, on whatever thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from allocation.engine.money import add

TOP = float(np.finfo(np.float64).max)  # the highest price: a slope that would overflow is this
BOTTOM = 5e-324  # the lowest above none
LEAST = 1e-290  # stands for a price just above 0 where it is multiplied by a cost
ROUNDING = 1e-12  # share by which a slope must clear a price before it counts as above or below


@njit(nogil=True, cache=True, inline="always")
def slope_of(extra_value: float, extra_cost: float) -> float:
    """Value per unit of money of a step, both amounts above 0; at most TOP, at least BOTTOM."""
    return min(max(extra_value / extra_cost, BOTTOM), TOP)


@njit(nogil=True, cache=True)
def climb(value: Any, cost: Any, eligible: Any, i: int, arm: Any, at_cost: Any, at_value: Any, slope: Any) -> int:
    """The corners of user i's upper hull, cheapest first: arm[0..h] with slope[k] of the step k-1 -> k; returns h.

    The scratch arrays hold K+1 cells each. Slopes never rise, and each is above 0: dearer arms that bring no more
    are no corners. At least one arm must be eligible.
    """
    m = 0
    for j in range(value.shape[1]):
        if eligible is not None and not eligible[i, j]:
            continue
        c, v = np.float64(cost[i, j]), np.float64(value[i, j])
        k = m
        while k and (at_cost[k - 1] > c or (at_cost[k - 1] == c and at_value[k - 1] < v)):
            at_cost[k], at_value[k], arm[k] = at_cost[k - 1], at_value[k - 1], arm[k - 1]
            k -= 1
        at_cost[k], at_value[k], arm[k] = c, v, j
        m += 1
    top = 0
    for k in range(1, m):
        if at_value[k] <= at_value[top]:
            continue
        s = slope_of(at_value[k] - at_value[top], at_cost[k] - at_cost[top])
        while top and s > slope[top]:
            top -= 1
            s = slope_of(at_value[k] - at_value[top], at_cost[k] - at_cost[top])
        top += 1
        at_cost[top], at_value[top], arm[top], slope[top] = at_cost[k], at_value[k], arm[k], s
    return top


@njit(nogil=True, cache=True)
def steps_between(
    value: Any, cost: Any, eligible: Any, low: float, high: float, base: Any, step: Any, amount: Any
) -> int:
    """Each user's arm at prices just above `high`, and the hull steps with slopes in [low, high].

    Fills base (r,), step (s, 2) with (row, arm), amount (s, 3) with (extra cost, extra value, slope), and returns s.
    Steps stand by row, in climbing order; room for r K of them is expected.
    """
    width = value.shape[1]
    arm, slope = np.empty(width, np.int64), np.empty(width)
    at_cost, at_value = np.empty(width), np.empty(width)
    s = 0
    for r in range(len(value)):
        corners = climb(value, cost, eligible, r, arm, at_cost, at_value, slope)
        k = 0
        while k < corners and slope[k + 1] > high:
            k += 1
        base[r] = arm[k]
        while k < corners and slope[k + 1] >= low:
            k += 1
            step[s, 0], step[s, 1] = r, arm[k]
            amount[s, 0] = at_cost[k] - at_cost[k - 1]
            amount[s, 1] = at_value[k] - at_value[k - 1]
            amount[s, 2] = slope[k]
            s += 1
    return s


@njit(nogil=True, cache=True)
def settle(
    value: Any,
    cost: Any,
    eligible: Any,
    first: int,
    between: float,
    low: float,
    high: float,
    decision: Any,
    open_rows: Any,
    sums: Any,
) -> int:
    """Decide the users first, first + 1, ... whose arm is the same at every price in [low, high]; list the others.

    An arm is guessed as the best at a price `between`, in the tables' own precision. It is the answer if every step
    up from it has a slope below `low` and every step down one above `high`: a proof in differences, which no rounding
    of scores can spoil. Writes decision (r,) for all, a guess for the others; open_rows gets the others, and their
    number is returned. sums (3, words) are registers: value, cost and control value of the settled.
    """
    n, width = len(decision), value.shape[1]
    # At a price of 0 an arm of equal value that is cheaper must still win; at TOP no step is too steep.
    below, above = low * (1 - ROUNDING), np.inf if high >= TOP else max(high * (1 + ROUNDING), LEAST)
    others = 0
    for r in range(n):
        i = first + r
        own: Any = np.int64(-1)
        best = value.dtype.type(-np.inf)
        for j in range(width):
            score = value[i, j] - between * cost[i, j]
            better = score > best
            if eligible is not None:
                better &= eligible[i, j]
            best = score if better else best
            own = j if better else own
        wrong: Any = 0
        if own < 0:
            own, wrong = np.int64(0), 1
        own_value, own_cost = np.float64(value[i, own]), np.float64(cost[i, own])
        for j in range(width):
            extra_cost, extra_value = np.float64(cost[i, j]) - own_cost, np.float64(value[i, j]) - own_value
            price = above if extra_cost < 0 else below
            beats = extra_value > price * extra_cost
            if eligible is not None:
                beats &= eligible[i, j]
            wrong += beats
        decision[r] = own
        if wrong:
            open_rows[others] = i
            others += 1
        else:
            add(sums[0], own_value)
            add(sums[1], own_cost)
            add(sums[2], value[i, 0])
    return others


@njit(nogil=True, cache=True)
def can_move(value: Any, cost: Any, eligible: Any, first: int, decision: Any, money: float, movers: Any) -> int:
    """List the users first, first + 1, ... with a more valuable arm for at most `money` more; returns how many."""
    width = value.shape[1]
    found = 0
    for r in range(len(decision)):
        i = first + r
        own_cost, own_value = np.float64(cost[i, decision[r]]), np.float64(value[i, decision[r]])
        moves = False
        for j in range(width):
            extra = np.float64(cost[i, j]) - own_cost
            fits = (extra > 0) & (extra <= money) & (value[i, j] > own_value)
            if eligible is not None:
                fits &= eligible[i, j]
            moves |= fits
        if moves:
            movers[found] = i
            found += 1
    return found
