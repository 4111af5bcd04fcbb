"""Hull steps of all users heaped by slope: filled in one pass, exact at the bins' edges, and two heaps add."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.kernels import TOP, climb
from allocation.engine.money import WORDS, add, register_total
from allocation.engine.tables import Tables

MANTISSA = 52  # binary digits of a float beside its exponent
PIECE = 1 << 17  # users a heap


@dataclass(frozen=True, eq=False)
class Heap:
    """Steps by slope bin, steepest first, and where everybody starts.

    A bin holds the slopes that share exponent and `digits` leading binary digits: 2^digits bins for each doubling of
    the slope, the same for all data, so heaps of different users add.

    Attributes
    ----------
    digits : binary digits of the slope that tell bins apart.
    key : (b,) int64, falling; the slopes' leading bits. cost, value : (b,) what the steps in the bin add together.
    moves : (b, K+1) int64, how many users more (or fewer) each arm has after these steps.
    start : (2, words) registers of cost and value of everybody's cheapest arm. users : (K+1,) int64, how many
        start on each arm.
    """

    digits: int
    key: NDArray[np.int64]
    cost: NDArray[np.float64]
    value: NDArray[np.float64]
    moves: NDArray[np.int64]
    start: NDArray[np.int64]
    users: NDArray[np.int64]

    def coarser(self, digits: int) -> Heap:
        """The same steps in bins of fewer digits."""
        return add_heaps([self], digits)


def heap_steps(users: Tables, digits: int) -> Heap:
    """All users' steps, heaped in one pass over the tables."""
    users = users.read_only
    arms = users.value.shape[1]
    bins = 1 << (11 + digits)

    def piece(at: tuple[int, int]) -> Heap:
        """The heap of one piece of the users."""
        # Zeroed memory is untouched memory: only bins that occur are ever real.
        amount, moves = np.zeros((bins, 2)), np.zeros((bins, arms), dtype=np.int32)
        key, start = np.empty(min(bins, (at[1] - at[0]) * arms), dtype=np.int64), np.zeros((2, WORDS), dtype=np.int64)
        count = np.zeros(arms, dtype=np.int64)
        b = _pile(*users, *at, MANTISSA - digits, amount, moves, key, start, count)
        key = np.sort(key[:b])[::-1]
        found = amount[key]
        return Heap(digits, key, found[:, 0], found[:, 1], moves[key].astype(np.int64), start, count)

    return add_heaps([no_steps(arms, digits), *threads.run(piece, threads.pieces(len(users.value), PIECE))], digits)


def no_steps(arms: int, digits: int) -> Heap:
    """The heap of nobody."""
    none, keys, moves = np.empty(0), np.empty(0, dtype=np.int64), np.empty((0, arms), dtype=np.int64)
    start, users = np.zeros((2, WORDS), dtype=np.int64), np.zeros(arms, dtype=np.int64)
    return Heap(digits, keys, none, none, moves, start, users)


def add_heaps(heaps: list[Heap], digits: int) -> Heap:
    """One heap of several heaps' steps, in bins of so many digits (of each, no more than it has)."""
    keys = [heap.key >> (heap.digits - digits) for heap in heaps]
    columns = ([getattr(heap, name) for heap in heaps] for name in ("cost", "value", "moves"))
    key, cost, value, moves = sums_by_key(keys, *columns)
    start, users = (np.asarray(sum(getattr(heap, name) for heap in heaps)) for name in ("start", "users"))
    return Heap(digits, key, cost, value, moves, start, users)


def sums_by_key(keys: list[NDArray[np.int64]], *columns: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """The distinct keys of several heaps, falling, and for each column what all heaps hold under each key."""
    joined = np.concatenate(keys)
    order = np.argsort(-joined, kind="stable")  # each heap's own keys are in order already
    falling = joined[order]
    new = np.ones(len(falling), dtype=np.bool_)
    new[1:] = falling[1:] != falling[:-1]
    at = np.empty_like(order)
    at[order] = np.cumsum(new) - 1
    found = [falling[new]]
    for column in columns:
        parts = np.concatenate(column)
        summed = np.zeros((len(found[0]), *parts.shape[1:]), dtype=parts.dtype)
        rows, sums = ((table[:, None] if table.ndim == 1 else table) for table in (parts, summed))
        _add_rows(rows, sums, at)
        found.append(summed)
    return found


@njit(nogil=True, cache=True)
def _add_rows(rows: Any, sums: Any, at: Any) -> None:
    for k in range(len(rows)):
        for j in range(rows.shape[1]):
            sums[at[k], j] += rows[k, j]


def bracket_by_bins(users: Tables, budget: float) -> tuple[float, float]:
    """Prices (low, high) between which the budget's price lies, from one pass; low is 0 if all is bought.

    The bin in which the budget falls and its neighbours, since the sums of bins are rounded.
    """
    digits = 8
    heap = heap_steps(users, digits)
    at = int(np.searchsorted(np.cumsum(heap.cost), budget - float(register_total(heap.start[0]))))

    def slope(key: int) -> float:
        """The least slope in a bin."""
        return float(np.int64(key << (MANTISSA - digits)).view(np.float64))

    low = slope(int(heap.key[at + 1])) if at + 1 < len(heap.key) else 0.0
    return low, min(slope(int(heap.key[at - 1]) + 1), TOP) if at else TOP


@njit(nogil=True, cache=True)
def _pile(
    value: Any,
    cost: Any,
    eligible: Any,
    first: int,
    end: int,
    shift: int,
    amount: Any,
    moves: Any,
    key: Any,
    start: Any,
    users: Any,
) -> int:
    width = value.shape[1]
    arm, slope = np.empty(width, np.int64), np.empty(width)
    at_cost, at_value = np.empty(width), np.empty(width)
    bins = 0
    for i in range(first, end):
        corners = climb(value, cost, eligible, i, arm, at_cost, at_value, slope)
        add(start[0], at_cost[0])
        add(start[1], at_value[0])
        users[arm[0]] += 1
        for k in range(1, corners + 1):
            b = np.float64(slope[k]).view(np.int64) >> shift
            if amount[b, 0] == 0:
                key[bins] = b
                bins += 1
            amount[b, 0] += at_cost[k] - at_cost[k - 1]
            amount[b, 1] += at_value[k] - at_value[k - 1]
            moves[b, arm[k - 1]] -= 1
            moves[b, arm[k]] += 1
    return bins
