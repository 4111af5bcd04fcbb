"""Loops over users that score every arm at the prices of limits and choose, sharply or softly.

An arm of user i in group g scores  fixed[g, j] + worth[g, j] value[i, j] + dear[g, j] cost[i, j] + extra[i, j].
Of equal scores the arm with the lowest number wins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

FAR = 16.0  # temperatures below the best score, beyond which an arm has no share that counts


@njit(nogil=True, cache=True)
def choose(
    value: Any,
    cost: Any,
    eligible: Any,
    extra: Any,
    group: Any,
    fixed: Any,
    worth: Any,
    dear: Any,
    heat: float,
    carry: Any,
    arm: Any,
    second: Any,
    margin: Any,
    total: Any,
    sums: Any,
    share: Any,
) -> None:
    """Choose for n users: the best arm, the second best, and by how much it is worse.

    With heat h > 0 the arms get shares exp(score / h) / sum, and a user counts h log sum exp(score / h), else the
    best score, in `total` (2,): a sum and what its rounding lost. `sums` (3, groups, K+1) gets the shares, the shares
    of cost, the shares of value. `share` (n, K+1) gets the shares, `extra` is added to scores; both may be empty.
    With `carry` (groups, K+1), not empty, each user gets a single arm so that the arms' counts in a group follow the
    sums of shares: the arm to which most is owed.
    """
    n, width = value.shape
    more, keep, round_off = len(extra) > 0, len(share) > 0, len(carry) > 0
    score = np.empty(width)
    high, low = total[0], total[1]
    for i in range(n):
        g = group[i]
        best, next_best = -np.inf, -np.inf
        own, rival = 0, 0
        for j in range(width):
            x = fixed[g, j] + worth[g, j] * value[i, j] + dear[g, j] * cost[i, j]
            if more:
                x += extra[i, j]
            if eligible is not None and not eligible[i, j]:
                x = -np.inf
            score[j] = x
            better, closer = x > best, x > next_best
            next_best = best if better else (x if closer else next_best)
            rival = own if better else (j if closer else rival)
            best = x if better else best
            own = j if better else own
        margin[i] = best - next_best
        second[i] = rival
        top = best
        if heat > 0 and best - next_best < FAR * heat:
            norm = 0.0
            for j in range(width):
                x = (best - score[j]) / heat
                x = math.exp(-x) if x < FAR else 0.0
                score[j] = x
                norm += x
            top += heat * math.log(norm)
            owed = -np.inf
            for j in range(width):
                p = score[j] / norm
                if keep:
                    share[i, j] = p
                if p > 0:
                    sums[0, g, j] += p
                    sums[1, g, j] += p * cost[i, j]
                    sums[2, g, j] += p * value[i, j]
                    if round_off:
                        carry[g, j] += p
                        if carry[g, j] > owed:
                            owed = carry[g, j]
                            own = j
            if round_off:
                carry[g, own] -= 1
        else:
            sums[0, g, own] += 1
            sums[1, g, own] += cost[i, own]
            sums[2, g, own] += value[i, own]
            if keep:
                share[i, :] = 0
                share[i, own] = 1
        arm[i] = own
        new = high + top
        low += (high - new) + top if abs(high) >= abs(top) else (top - new) + high
        high = new
    total[0], total[1] = high, low


@njit(nogil=True, cache=True)
def add_fixed(extra: Any, group: Any, price: Any) -> None:
    """extra[i, j] += price[group of i, j]."""
    for i in range(len(group)):
        for j in range(price.shape[1]):
            extra[i, j] += price[group[i], j]


@njit(nogil=True, cache=True)
def add_amounts(extra: Any, group: Any, price: Any, table: Any) -> None:
    """extra[i, j] += price[group of i, j] table[i, j]."""
    for i in range(len(group)):
        for j in range(price.shape[1]):
            extra[i, j] += price[group[i], j] * table[i, j]


@njit(nogil=True, cache=True)
def count_shares(sums: Any, group: Any, share: Any) -> None:
    """sums[g, j] += the shares of arm j among the users of group g."""
    for i in range(len(group)):
        for j in range(share.shape[1]):
            sums[group[i], j] += share[i, j]


@njit(nogil=True, cache=True)
def sum_amounts(sums: Any, group: Any, share: Any, table: Any) -> None:
    """sums[g, j] += the shares of arm j, times the amounts, among the users of group g."""
    for i in range(len(group)):
        for j in range(share.shape[1]):
            if share[i, j] > 0:
                sums[group[i], j] += share[i, j] * table[i, j]


@njit(nogil=True, cache=True)
def score_cells(value: Any, cells: Any, prices: Any) -> Any:
    """The scores (s, K+1) of arms worth value (s, K+1) that use cells (s, K+1, m) of rows at prices (m,)."""
    score = value.copy()
    for i in range(len(value)):
        for j in range(value.shape[1]):
            for r in range(len(prices)):
                score[i, j] -= prices[r] * cells[i, j, r]
    return score
