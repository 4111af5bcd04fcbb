"""One step of Newton's method on the softened dual: its curvature from a sample, and the model's least point."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from allocation.engine.choice import score_cells
from allocation.engine.rows import Floats
from allocation.engine.scores import Scores, Survey
from allocation.engine.undecided import weighted_sample

QUOTA = 100  # users of each row, at least, that the curvature is estimated from
THIN = 40_000  # undecided users at most that the sample is drawn from, or twice that
SOFT = 12.0  # heats: users whose second arm is further behind do not bend the dual
SHARE = 1e-5  # smaller shares of an arm are left out
SWEEPS = 300
CELLS = 4_000_000  # held at once


class Units(NamedTuple):
    """Scales that make a problem's numbers free of units.

    value : the typical range of a user's values. price : (m,) at this price of a row, value units per unit of its
    measure, a typical amount is worth a typical range.
    """

    value: float
    price: Floats


def curvature(scores: Scores, survey: Survey, prices: Floats, units: Units, heat: float) -> Floats:
    """Second derivatives of the softened dual by the prices in typical prices, (m, m) value units.

        H = (1 / h) sum_i (sum_j s_ij a_ij a_ij' - abar_i abar_i'),    abar_i = sum_j s_ij a_ij,

    with soft shares s and amounts a. It is the sum over a sample of the undecided users, weighted by the inverse of
    their chance, which is larger where a user is in a row that has few of them.
    """
    bend = np.zeros((len(prices), len(prices)))
    users = np.flatnonzero(survey.margin < SOFT * heat)
    thinned = max(1, len(users) // THIN)
    users, chance = weighted_sample(scores, survey, users[::thinned], QUOTA)
    chance /= thinned
    at_once = max(1, CELLS // (scores.width * len(prices)))
    for first in range(0, len(users), at_once):
        some = slice(first, first + at_once)
        cells = scores.cells(users[some])
        score = score_cells(scores.values(users[some]), cells, prices)
        cells *= units.price
        _add_covariances(bend, cells, score, heat, chance[some])
    return bend


def step(bend: Floats, usage: Floats, x: Floats, low: Floats, high: Floats, radius: float, least: float) -> Floats:
    """The point x + d, |d_r| <= radius, where the model of the dual at the prices x is least:

        -usage d + d' (bend + least) d / 2 + sum_r max((x + d)_r high_r, (x + d)_r low_r).

    `least` > 0 is added to the diagonal, so that a row that bends nothing does not move without end. A price is
    exactly 0 where the least point is neither at the cap nor at the floor, never on the side without a bound.
    """
    return np.asarray(_descend(bend + np.diag(np.full(len(x), least)), -usage, x, low, high, radius))


@njit(nogil=True, cache=True)
def _descend(bend: Any, slope: Any, x: Any, low: Any, high: Any, radius: float) -> Any:
    m = len(x)
    at, g = x.copy(), slope.copy()
    for _ in range(SWEEPS):
        largest = 0.0
        for r in range(m):
            now = at[r]
            free = now - g[r] / bend[r, r]
            up = free - high[r] / bend[r, r]
            down = free - low[r] / bend[r, r]
            new = up if up > 0 else (down if down < 0 else 0.0)
            new = min(max(new, x[r] - radius), x[r] + radius)
            if (high[r] == np.inf and new > 0) or (low[r] == -np.inf and new < 0):
                new = 0.0
            if new != now:
                for k in range(m):
                    g[k] += bend[k, r] * (new - now)
                at[r] = new
                largest = max(largest, abs(new - now))
        if largest < 1e-9 * radius:
            break
    return at


@njit(nogil=True, cache=True)
def _add_covariances(bend: Any, cells: Any, score: Any, heat: float, chance: Any) -> None:
    users, width, m = cells.shape
    mean = np.empty(m)
    apart = np.empty(m)
    touched = np.empty(m, np.int64)
    share = np.empty(width)
    for i in range(users):
        top = score[i].max()
        norm = 0.0
        for j in range(width):
            share[j] = math.exp((score[i, j] - top) / heat)
            norm += share[j]
        mean[:] = 0.0
        for j in range(width):
            share[j] /= norm
            if share[j] > SHARE:
                for r in range(m):
                    mean[r] += share[j] * cells[i, j, r]
        for j in range(width):
            if share[j] <= SHARE:
                continue
            count = 0
            for r in range(m):
                apart[r] = cells[i, j, r] - mean[r]
                if apart[r] != 0:
                    touched[count] = r
                    count += 1
            weight = share[j] / (chance[i] * heat)
            for a in range(count):
                r = touched[a]
                for b in range(a + 1):
                    bend[r, touched[b]] += weight * apart[r] * apart[touched[b]]
    for r in range(m):
        for k in range(r):
            bend[k, r] = bend[r, k]
