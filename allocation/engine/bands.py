"""How far a frontier would differ with other users of the same kind: a Poisson bootstrap in one sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.bins import MANTISSA, sums_by_key
from allocation.engine.kernels import climb
from allocation.engine.tables import Table, Tables

DIGITS = 4  # sixteen bins a doubling of the slope: a band needs no finer
PIECE = 1 << 16
# 65,536 times the chance that a Poisson(1) count is below 1, 2, ..., 8; above 8 it is one in a million.
BELOW = np.array([24109, 48219, 60273, 64291, 65296, 65497, 65531, 65535], dtype=np.uint16)


@dataclass(frozen=True, eq=False)
class Replicates:
    """Heaps of steps, one for each replicate, in which user i counts as often as a Poisson(1) number w_ri says.

    The numbers depend on the seed and the user's position alone: frontiers of the same users, in the same order, are
    resampled alike, so that their differences are paired. The last replicate counts everybody once.

    Attributes
    ----------
    seed : what the counts were drawn from.
    key : (b,) int64, falling; leading bits of the slope. cost, value : (b, R+1) what the bin adds in each replicate.
    start : (2, R+1) cost and value of everybody's cheapest arm; weight : (R+1,) how many users a replicate has.
    """

    seed: int
    key: NDArray[np.int64]
    cost: NDArray[np.float64]
    value: NDArray[np.float64]
    start: NDArray[np.float64]
    weight: NDArray[np.float64]

    def value_at(self, budget: NDArray[np.float64]) -> NDArray[np.float64]:
        """Value (R+1, budgets) that each replicate reaches at these budgets, for as many users as there are.

        A replicate has n_r users and the same money for each: n / n_r F_r(budget n_r / n).
        """
        n = self.weight[-1]
        reached = np.full((len(self.weight), len(budget)), np.nan)
        for r in range(len(self.weight)):
            if self.weight[r] > 0:
                share = self.weight[r] / n
                cost = self.start[0, r] + np.concatenate([[0.0], np.cumsum(self.cost[:, r])])
                value = self.start[1, r] + np.concatenate([[0.0], np.cumsum(self.value[:, r])])
                reached[r] = np.interp(budget * share, cost, value) / share
        return reached


def replicate(users: Tables, replicates: int, seed: int, first_user: int = 0) -> Replicates:
    """Resample the users `replicates` times in one sweep; `first_user` is the position of the first of them."""
    users = users.read_only
    lanes = replicates + 1
    bins = 1 << (11 + DIGITS)

    def piece(at: tuple[int, int]) -> Replicates:
        """The replicates of one piece of the users."""
        amount = np.zeros((bins, 2, lanes), dtype=np.float32)
        key, sums = np.empty(bins, dtype=np.int64), np.zeros((3, lanes))
        # Sums of short floats: in units of the largest amounts, which may themselves be beyond a short float.
        cost_unit, value_unit = (_power_above(table[at[0] : at[1]]) for table in (users.cost, users.value))
        b = _sweep(*users, *at, first_user, seed, BELOW, MANTISSA - DIGITS, cost_unit, value_unit, amount, key, sums)
        key = np.sort(key[:b])[::-1]
        found = amount[key].astype(np.float64)
        return Replicates(seed, key, found[:, 0] * cost_unit, found[:, 1] * value_unit, sums[:2], sums[2])

    parts = threads.run(piece, threads.pieces(len(users.value), PIECE))
    none = np.empty((0, lanes))
    start = Replicates(seed, np.empty(0, dtype=np.int64), none, none, np.zeros((2, lanes)), np.zeros(lanes))
    return add_replicates([start, *parts])


def add_replicates(parts: list[Replicates]) -> Replicates:
    """The replicates of several sets of users together."""
    key, cost, value = sums_by_key(*([getattr(part, name) for part in parts] for name in ("key", "cost", "value")))
    start, weight = (np.asarray(sum(getattr(part, name) for part in parts)) for name in ("start", "weight"))
    return Replicates(parts[0].seed, key, cost, value, start, weight)


def _power_above(table: Table) -> float:
    """The power of two just above the table's largest amount in size; 1 where there is none."""
    largest = max(float(table.max(initial=0.0)), -float(table.min(initial=0.0)))
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest else 1.0


@njit(nogil=True, cache=True)
def _sweep(
    value: Any,
    cost: Any,
    eligible: Any,
    first: int,
    end: int,
    first_user: int,
    seed: int,
    below: Any,
    shift: int,
    cost_unit: float,
    value_unit: float,
    amount: Any,
    key: Any,
    sums: Any,
) -> int:
    width, lanes = value.shape[1], amount.shape[2]
    arm, slope = np.empty(width, np.int64), np.empty(width)
    at_cost, at_value = np.empty(width), np.empty(width)
    weight = np.ones(lanes, np.float32)
    draws = (lanes + 2) // 4
    bits = np.empty(4 * draws + 4, np.uint16)
    seen = np.zeros(amount.shape[0], np.uint8)
    bins = 0
    for i in range(first, end):
        _poisson(np.uint64(seed), np.uint64(first_user + i), draws, below, bits, weight)
        corners = climb(value, cost, eligible, i, arm, at_cost, at_value, slope)
        for q in range(lanes):
            w = np.float64(weight[q])
            sums[0, q] += w * at_cost[0]
            sums[1, q] += w * at_value[0]
            sums[2, q] += w
        k = 1
        while k <= corners:
            # A user's steps in the same bin go in as one.
            b = np.float64(slope[k]).view(np.int64) >> shift
            start = k - 1
            while k < corners and np.float64(slope[k + 1]).view(np.int64) >> shift == b:
                k += 1
            extra_cost = np.float32((at_cost[k] - at_cost[start]) / cost_unit)
            extra_value = np.float32((at_value[k] - at_value[start]) / value_unit)
            if not seen[b]:
                seen[b] = 1
                key[bins] = b
                bins += 1
            into = amount[b]
            for q in range(lanes):
                into[0, q] += weight[q] * extra_cost
                into[1, q] += weight[q] * extra_value
            k += 1
    return bins


@njit(nogil=True, cache=True)
def _poisson(seed: np.uint64, user: np.uint64, draws: int, below: Any, bits: Any, weight: Any) -> None:
    """Poisson(1) counts for one user in every replicate but the last, four from each 64 random bits.

    The bits are SplitMix64 of (seed, user, draw) (Steele, Lea & Flood 2014): any user can be drawn alone.
    """
    base = (seed * np.uint64(0x9E3779B97F4A7C15)) ^ (user * np.uint64(0xD1342543DE82EF95))
    for d in range(draws):
        z = base + np.uint64(d + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        bits[4 * d] = z & np.uint64(0xFFFF)
        bits[4 * d + 1] = (z >> np.uint64(16)) & np.uint64(0xFFFF)
        bits[4 * d + 2] = (z >> np.uint64(32)) & np.uint64(0xFFFF)
        bits[4 * d + 3] = (z >> np.uint64(48)) & np.uint64(0xFFFF)
    for q in range(len(weight) - 1):
        w = 0
        for t in range(8):
            w += bits[q] >= below[t]
        weight[q] = w
