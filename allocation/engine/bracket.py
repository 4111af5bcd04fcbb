"""Two prices that hold a budget's price between them, guessed from a sample; whoever uses them checks the guess."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.kernels import ROUNDING, TOP, settle, steps_between
from allocation.engine.money import WORDS
from allocation.engine.tables import Tables

SMALL = 2048  # users that are solved outright, without a sample
DRAWN = 4.0  # times n^(2/3) users are drawn: the sample then costs about as much as the users it leaves open
DEVIATIONS = 3.0  # standard errors of the sample's spend on either side


@dataclass(frozen=True, eq=False)
class Settled:
    """Who gets which arm at every price between two, and who is still open.

    decision : (n,) int64, a guess for the open; rows : (r,) int64, the open users, in order;
    sums : (3, words) registers of value, cost and control value of the settled users.
    """

    decision: NDArray[np.int64]
    rows: NDArray[np.int64]
    sums: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Steps:
    """The hull steps of some users with slopes between two prices.

    base : (r,) int64, each user's arm above these prices. step : (s, 2) whose step it is, as a position among the
    users, and the arm it leads to. amount : (s, 3) its extra cost, extra value, and slope.
    """

    base: NDArray[np.int64]
    step: NDArray[np.int32]
    amount: NDArray[np.float64]

    def by_slope(self) -> NDArray[np.int64]:
        """Positions of the steps, steepest first; of equals the first user's, in climbing order."""
        falling = -self.amount[:, 2]
        order = np.argsort(falling)  # then each run of equals by position: several times as fast as a stable sort
        new = np.zeros(len(order), dtype=np.bool_)
        for first, end in threads.pieces(max(len(order) - 1, 0)):
            slope = falling[order[first : end + 1]]
            new[first + 1 : end + 1] = slope[1:] != slope[:-1]
        if new[1:].all():
            return order
        del falling
        key = np.cumsum(new, dtype=np.int64)  # of the run; below it the position, each in half of the bits
        key <<= 32
        key |= order
        key.sort()
        key &= 0xFFFFFFFF
        return key


def settle_users(users: Tables, low: float, high: float) -> Settled:
    """Decide all whose arm is the same at every price in [low, high], in one pass."""
    n = len(users.value)
    decision = np.empty(n, dtype=np.int64)
    between: Any = users.value.dtype.type(min(low + (min(high, 1e30) - low) / 2, 1e30))
    users = users.read_only

    def piece(at: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Settle one piece of the users."""
        first, end = at
        rows = np.empty(end - first, dtype=np.int64)
        sums = np.zeros((3, WORDS), dtype=np.int64)
        others = settle(*users, first, between, low, high, decision[first:end], rows, sums)
        return rows[:others].copy(), sums

    parts = threads.run(piece, threads.pieces(n))
    sums = sum((part[1] for part in parts), np.zeros((3, WORDS), dtype=np.int64))
    rows = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    return Settled(decision, rows, sums)


def steps_of(users: Tables, rows: NDArray[np.int64], low: float, high: float) -> Steps:
    """The hull steps of `rows` with slopes in [low, high]."""
    room = users.value.shape[1] - 1
    base = np.empty(len(rows), dtype=np.int64)

    def piece(at: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The steps of one stretch of the rows."""
        first, end = at
        step, amount = np.empty(((end - first) * room, 2), dtype=np.int32), np.empty(((end - first) * room, 3))
        s = steps_between(*users.cells(rows[first:end]), low, high, base[first:end], step, amount)
        step = step[:s].copy()
        step[:, 0] += first
        return step, amount[:s].copy()

    parts = threads.run(piece, users.stretches(len(rows)))
    total = sum(len(part[0]) for part in parts)
    step, amount = np.empty((total, 2), dtype=np.int32), np.empty((total, 3))
    while parts:  # from the last; each goes as it is copied, so that the steps are in memory once
        own, adds = parts.pop()
        at = slice(total - len(own), total)
        step[at], amount[at], total = own, adds, at.start
    return Steps(base, step, amount)


def bracket(users: Tables, budget: float) -> tuple[float, float]:
    """Prices (low, high) between which the budget's price probably lies; (0, TOP), which is certain, for a few users.

    A part of the users is solved, which itself is helped by such a part of them; the spend of the sample at a
    price errs by its standard error, and the prices `DEVIATIONS` of them away on either side are returned.
    """
    n = len(users.value)
    if n <= SMALL:
        return 0.0, TOP
    size = max(SMALL, int(DRAWN * n ** (2 / 3)))
    stride = n // size
    jitter = np.random.default_rng(0).integers(0, stride, size)  # against rows that repeat with a period
    sample = users.of(np.arange(size) * stride + jitter)
    target = budget / n * size
    low, high = bracket(sample, target)
    return around(sample, target, low, high)


def around(sample: Tables, target: float, low: float, high: float) -> tuple[float, float]:
    """The prices at which the sample spends its target plus and minus the error of a sample; floats throughout."""
    settled = settle_users(sample, low, high)
    steps = steps_of(sample, settled.rows, low, high)
    order = steps.by_slope()
    extra, slope = steps.amount[order, 0], steps.amount[order, 2]
    settled.decision[settled.rows] = steps.base
    spend = np.take_along_axis(sample.cost, settled.decision[:, None], axis=1)[:, 0].astype(np.float64)
    start = float(spend.sum())
    reached = start + np.cumsum(extra)
    taken = order[: int(np.searchsorted(reached, target))]
    spend += np.bincount(settled.rows[steps.step[taken, 0]], steps.amount[taken, 0], minlength=len(spend))
    error = DEVIATIONS * float(spend.std()) * math.sqrt(len(spend)) + abs(target) * ROUNDING

    # Where the bracket itself is too narrow, one as wide again beside it.
    wider = high / low if low > 0 and high < TOP else TOP
    first, last = (int(np.searchsorted(reached, at)) for at in (target - error, target + error))
    above = float(slope[first - 1]) if first else high
    if start > target - error:
        above = min(high * wider, TOP)
    below = float(slope[last]) if last < len(slope) else low / wider
    return min(below, above), above
