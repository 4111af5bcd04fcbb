"""The exact path: every hull step of every user, steepest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.kernels import climb
from allocation.engine.money import WORDS, add
from allocation.engine.tables import Tables

FARTHEST = 64  # places that an insertion may move a step before a full sort is the better way


@dataclass(frozen=True, eq=False)
class Path:
    """Steps in the order in which money takes them, and where everybody starts.

    Attributes
    ----------
    slope, cost, value : (s,) value per unit of money, never rising, and what each step adds.
    moves : (s, 2) uint16, the arm that the step leaves and the arm it leads to.
    start : (2, words) registers of cost and value of everybody's cheapest arm. users : (K+1,) int64, how many
        start on each arm.
    """

    slope: NDArray[np.float64]
    cost: NDArray[np.float64]
    value: NDArray[np.float64]
    moves: NDArray[np.uint16]
    start: NDArray[np.int64]
    users: NDArray[np.int64]


def exact_path(users: Tables) -> Path:
    """All steps of all users in order of slope; of equals the first user's first.

    Memory: 36 bytes a step, some 80 at the peak.
    """
    users = users.read_only
    n, arms = users.value.shape
    room = max(arms - 1, 1)
    # One room of K places a user; what is not used is never touched, and never becomes real memory.
    amount, moves = np.empty((n * room, 3)), np.empty((n * room, 2), dtype=np.uint16)
    bits = max(1, (n * room).bit_length())

    def piece(at: tuple[int, int]) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """The keys, in order, and the start of one piece of the users."""
        key = np.empty((at[1] - at[0]) * room, dtype=np.uint64)
        start, count = np.zeros((2, WORDS), dtype=np.int64), np.zeros(arms, dtype=np.int64)
        s = _walk(*users, *at, room, bits, amount, moves, key, start, count)
        return np.sort(key[:s]), start, count

    parts = threads.run(piece, threads.pieces(n))
    start = np.asarray(sum((part[1] for part in parts), np.zeros((2, WORDS), dtype=np.int64)))
    count = np.asarray(sum((part[2] for part in parts), np.zeros(arms, dtype=np.int64)))
    key = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.uint64)
    key.sort()
    place = (key & np.uint64((1 << bits) - 1)).astype(np.int64)
    return _sorted_path(amount, moves, place, start, count)


def merge_paths(paths: list[Path]) -> Path:
    """One path of several paths' steps; of equals the first path's first."""
    slope, cost, value, moves = (
        np.concatenate([getattr(p, name) for p in paths]) for name in ("slope", "cost", "value", "moves")
    )
    order = np.argsort(-slope, kind="stable")
    start, users = (np.asarray(sum(getattr(p, name) for p in paths)) for name in ("start", "users"))
    return Path(slope[order], cost[order], value[order], moves[order], start, users)


def _sorted_path(
    amount: NDArray[np.float64],
    moves: NDArray[np.uint16],
    place: NDArray[np.int64],
    start: NDArray[np.int64],
    users: NDArray[np.int64],
) -> Path:
    slope, cost, value = (np.empty(len(place)) for _ in range(3))
    moved = np.empty((len(place), 2), dtype=np.uint16)

    def gather(at: tuple[int, int]) -> None:
        """Bring one stretch of the steps into order."""
        part = slice(*at)
        _gather(amount, moves, place[part], slope[part], cost[part], value[part], moved[part])

    threads.run(gather, threads.pieces(len(place), 1 << 18))
    path = Path(slope, cost, value, moved, start, users)
    if _insert(slope, cost, value, moved):
        return path
    return merge_paths([path])


@njit(nogil=True, cache=True)
def _walk(
    value: Any,
    cost: Any,
    eligible: Any,
    first: int,
    end: int,
    room: int,
    bits: int,
    amount: Any,
    moves: Any,
    key: Any,
    start: Any,
    users: Any,
) -> int:
    """Write each user's steps into its room, and a key for each: the slope's top bits, falling, then its place."""
    width = value.shape[1]
    arm, slope = np.empty(width, np.int64), np.empty(width)
    at_cost, at_value = np.empty(width), np.empty(width)
    s = 0
    for i in range(first, end):
        corners = climb(value, cost, eligible, i, arm, at_cost, at_value, slope)
        add(start[0], at_cost[0])
        add(start[1], at_value[0])
        users[arm[0]] += 1
        for k in range(1, corners + 1):
            place = i * room + k - 1
            amount[place, 0] = slope[k]
            amount[place, 1] = at_cost[k] - at_cost[k - 1]
            amount[place, 2] = at_value[k] - at_value[k - 1]
            moves[place, 0], moves[place, 1] = arm[k - 1], arm[k]
            falling = np.uint64(0x7FFFFFFFFFFFFFFF) - np.uint64(np.float64(slope[k]).view(np.int64))
            key[s] = ((falling >> np.uint64(bits - 1)) << np.uint64(bits)) | np.uint64(place)
            s += 1
    return s


@njit(nogil=True, cache=True)
def _gather(amount: Any, moves: Any, place: Any, slope: Any, cost: Any, value: Any, moved: Any) -> None:
    for k in range(len(place)):
        p = place[k]
        slope[k], cost[k], value[k] = amount[p, 0], amount[p, 1], amount[p, 2]
        moved[k, 0], moved[k, 1] = moves[p, 0], moves[p, 1]


@njit(nogil=True, cache=True)
def _insert(slope: Any, cost: Any, value: Any, moves: Any) -> bool:
    """Finish the order of steps whose leading bits are equal; False where that is too far from done."""
    for k in range(1, len(slope)):
        j = k
        while j and slope[j] > slope[j - 1]:
            if k - j >= FARTHEST:
                return False
            slope[j], slope[j - 1] = slope[j - 1], slope[j]
            cost[j], cost[j - 1] = cost[j - 1], cost[j]
            value[j], value[j - 1] = value[j - 1], value[j]
            moves[j, 0], moves[j - 1, 0] = moves[j - 1, 0], moves[j, 0]
            moves[j, 1], moves[j - 1, 1] = moves[j - 1, 1], moves[j, 1]
            j -= 1
    return True
