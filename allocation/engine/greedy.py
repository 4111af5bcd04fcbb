"""Spend what is left of a budget, best return first: the order that makes value non-decreasing in the budget."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from allocation.engine.kernels import ROUNDING, slope_of


def split(amount: Fraction) -> tuple[float, float]:
    """The amount as the sum of two floats, high and low, never above it; exact for up to 106 binary digits."""
    high = float(amount)
    low = float(amount - Fraction(high))
    while Fraction(high) + Fraction(low) > amount:
        low = np.nextafter(low, -np.inf)
    return high, float(low)


@njit(nogil=True, cache=True, inline="always")
def _after(high: float, low: float, to: float, start: float) -> tuple[float, float]:
    """(high + low) - (to - start), as two floats: the error of each subtraction is kept (Knuth's two-sum)."""
    extra = to - start
    part = extra - to
    extra_low = (to - (extra - part)) + (-start - part)
    left = high - extra
    part = left - high
    left_low = (high - (left - part)) + (-extra - part)
    left_low += low - extra_low
    total = left + left_low
    return total, left_low - (total - left)


@njit(nogil=True, cache=True)
def take_in_order(order: Any, step: Any, to: Any, decision: Any, spent: Any, high: float, low: float) -> int:
    """Take steps in order until the first that does not fit the money high + low; how many were taken.

    step (s, 2) holds user and arm, to (s,) what that arm costs the user. decision (r,) and what it costs, spent (r,),
    are changed in place.
    """
    for k in range(len(order)):
        s = order[k]
        r = step[s, 0]
        left, left_low = _after(high, low, to[s], spent[r])
        if left < 0 or (left == 0 and left_low < 0):
            return k
        high, low = left, left_low
        decision[r], spent[r] = step[s, 1], to[s]
    return len(order)


@njit(nogil=True, cache=True)
def _best_move(value: Any, cost: Any, eligible: Any, i: int, own: int, high: float, low: float) -> tuple[float, int]:
    """The arm that brings user i the highest return on at most the money left (then the nearest), or return 0.

    Tables in double precision: returns of shorter floats would be others.
    """
    own_cost, own_value = cost[i, own], value[i, own]
    best, to, to_cost = 0.0, -1, np.inf
    enough = high * (1 + ROUNDING)  # beyond it no exact look is needed
    for j in range(value.shape[1]):
        c, v = cost[i, j], value[i, j]
        if v <= own_value or c <= own_cost or c - own_cost > enough:
            continue
        if eligible is not None and not eligible[i, j]:
            continue
        slope = slope_of(v - own_value, c - own_cost)
        if slope < best or (slope == best and c >= to_cost):
            continue
        left, left_low = _after(high, low, c, own_cost)
        if left > 0 or (left == 0 and left_low >= 0):
            best, to, to_cost = slope, j, c
    return best, to


@njit(nogil=True, cache=True)
def fill(value: Any, cost: Any, eligible: Any, decision: Any, high: float, low: float, floor: float) -> None:
    """Give single users a dearer arm, the highest return first (then the first user), while the money lasts.

    Any arm counts, on the user's hull or below it, down to a return of `floor`. Returns only fall as the filling goes
    on, so what is skipped for want of money was worth more than all that such money buys afterwards: more money
    never ends in less value. Tables in double precision; decision (r,) is changed in place.
    """
    heap: Any = [(0.0, np.int64(0)) for _ in range(0)]
    for r in range(len(decision)):
        slope, to = _best_move(value, cost, eligible, r, decision[r], high, low)
        if to >= 0 and slope >= floor:
            heap.append((-slope, np.int64(r)))
    heapq.heapify(heap)
    while heap:
        was, r = heapq.heappop(heap)
        slope, to = _best_move(value, cost, eligible, r, decision[r], high, low)
        if to < 0 or slope < floor:
            continue
        if -slope > was:  # the arm that was best no longer fits
            heapq.heappush(heap, (-slope, r))
            continue
        high, low = _after(high, low, cost[r, to], cost[r, decision[r]])
        decision[r] = to
        heapq.heappush(heap, (-slope, r))
