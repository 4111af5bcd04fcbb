"""Search among few users for a better decision that holds all limits, by single moves that may leave the limits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

RAISED, EASED = 1.3, 0.9  # weights of broken limits a round, and of all when none is broken
SLIP = 1e-12  # share of all value: less is rounding, and no better decision
MOST = 1e6  # times the given weight
TENURE = 6  # rounds for which a moved user stays, and up to twice that
PATIENCE = 50  # rounds without a better decision, after which the best one is taken up again


@njit(nogil=True, cache=True)
def oscillate(
    first: Any,
    value: Any,
    amount: Any,
    own: Any,
    above: Any,
    below: Any,
    weight: Any,
    rounds: int,
    enough: float,
    best: Any,
) -> float:
    """Tabu search that swings across the limits; returns the largest value found within all, else minus infinity.

    User u has the choices first[u]..first[u + 1], each with a value (c,) and an amount of each row (c, m); own (k,)
    is the present choice, above and below (m,) the room left to cap and floor, negative where a limit is broken. Each
    of `rounds` makes the move with the largest gain in

        value - sum_r weight_r max(-above_r, -below_r, 0),

    be it a loss, and keeps its user there for some rounds. Of equal moves the first is made. Broken limits then weigh
    RAISED times as much, up to MOST times what is given, and all limits EASED times when none is broken. After
    PATIENCE rounds in vain (an eighth of all, while no decision holds) the search starts again from the best
    decision, or the first one, with weights drawn between half and one and a half of the given ones. Ends early at a
    value of `enough`. Changes own, above and below; best (k,) gets the choices of the value returned, or the last
    ones. Source: tabu search with strategic oscillation, F. Glover 1989 (the idea; not quoted).
    """
    k, m = len(own), amount.shape[1]
    kept = np.zeros(k, np.int64)
    tenure = min(TENURE, (k - 1) // 2)
    present = weight.copy()
    best_above, best_below = above.copy(), below.copy()
    total, slip = 0.0, 0.0
    for u in range(k):
        total += value[own[u]]
        slip += SLIP * abs(value[own[u]])
    largest = -np.inf
    held = True
    for r in range(m):
        held &= above[r] >= 0 and below[r] >= 0
    if held:
        largest = total
    _copy(best, own)
    best_total = total
    state = np.uint64(88172645463325252)
    found = 0
    for t in range(rounds):
        if largest >= enough:
            break
        if t - found > (PATIENCE if largest > -np.inf else PATIENCE + rounds // 8):
            _copy(own, best)
            _copy(above, best_above)
            _copy(below, best_below)
            total, found = best_total, t
            for r in range(m):
                state = _next(state)
                present[r] = weight[r] * (0.5 + np.float64(state >> np.uint64(11)) / 2.0**53)
        gain, mover, to = -np.inf, -1, -1
        for u in range(k):
            if kept[u] > t:
                continue
            now = own[u]
            for c in range(first[u], first[u + 1]):
                if c == now:
                    continue
                x = value[c] - value[now]
                for r in range(m):
                    d = amount[c, r] - amount[now, r]
                    if d > 0:
                        if above[r] < d:
                            x -= present[r] * (d - max(above[r], 0.0))
                        if below[r] < 0:
                            x += present[r] * min(d, -below[r])
                    elif d < 0:
                        if below[r] < -d:
                            x -= present[r] * (-d - max(below[r], 0.0))
                        if above[r] < 0:
                            x += present[r] * min(-d, -above[r])
                if x > gain:
                    gain, mover, to = x, u, c
        if mover < 0:
            continue
        now = own[mover]
        own[mover] = to
        state = _next(state)
        kept[mover] = t + 1 + tenure + np.int64(state >> np.uint64(33)) % (tenure + 1)
        total += value[to] - value[now]
        held = True
        for r in range(m):
            d = amount[to, r] - amount[now, r]
            above[r] -= d
            below[r] += d
            if above[r] < 0 or below[r] < 0:
                held = False
                present[r] = min(present[r] * RAISED, MOST * weight[r])
        if held:
            for r in range(m):
                present[r] *= EASED
            if total > largest + slip:
                largest, best_total, found = total, total, t
                _copy(best, own)
                _copy(best_above, above)
                _copy(best_below, below)
    if largest == -np.inf:
        _copy(best, own)
    return largest


@njit(nogil=True, cache=True)
def _copy(to: Any, what: Any) -> None:
    """Write one array over another; assigned slices would take numba four seconds more to compile."""
    for k in range(len(to)):
        to[k] = what[k]


@njit(nogil=True, cache=True)
def _next(state: Any) -> Any:
    """The next of a fixed sequence of random bits (xorshift, G. Marsaglia 2003)."""
    state ^= state << np.uint64(13)
    state ^= state >> np.uint64(7)
    state ^= state << np.uint64(17)
    return state
