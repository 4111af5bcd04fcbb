"""What is left of a budget below its price: the few users who may still get a dearer arm, found chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine.kernels import slope_of
from allocation.engine.price import movers_of
from allocation.engine.stream.chunks import Arrays, Chunk
from allocation.engine.stream.look import packed
from allocation.engine.stream.rule import PriceRule
from allocation.engine.tables import Tables

SLACK = 1 + 1e-9  # sums of what others spend are rounded; nobody is left out for that


@dataclass(frozen=True, eq=False)
class Movers:
    """The users of a chunk who may move to a dearer arm when `money` is spent greedily, with their present arms."""

    rule: PriceRule
    money: float

    def __call__(self, chunk: Chunk) -> Arrays:
        users, decision = chunk.tables, self.rule.decide(chunk)
        rows = movers_of(users, decision, self.money)
        found, arm = users.of(rows), decision[rows]
        kept = may_move(found, arm, self.money)
        return {"arm": arm[kept]} | packed(found.of(np.flatnonzero(kept)), chunk.places(rows[kept]))


def may_move(users: Tables, arm: NDArray[np.int64], money: float) -> NDArray[np.bool_]:
    """Which of the users (r,) can move at all, whoever else there is, when the highest return goes first.

    A move at a cost c happens only while c is left. By then every user with a better move of at most that cost has
    moved, so those together have spent at most money - c. Who would need more than that is left out.
    """
    n, width = users.value.shape
    user, slope, extra = np.empty(n * width, np.int64), np.empty(n * width), np.empty(n * width)
    m = _moves(*users, arm, money, user, slope, extra)
    user, slope, extra = user[:m], slope[:m], extra[:m]
    order = np.lexsort((extra, user, -slope))
    rank = np.searchsorted(np.sort(extra), extra, side="right") - 1  # equal costs share the last of their ranks
    kept = np.zeros(n, dtype=np.bool_)
    _sweep(order, user, extra, rank, money * SLACK, kept)
    return kept


@njit(nogil=True, cache=True)
def _moves(value: Any, cost: Any, eligible: Any, arm: Any, money: float, user: Any, slope: Any, extra: Any) -> int:
    """List every more valuable arm for at most `money` more; returns how many."""
    m = 0
    for i in range(len(arm)):
        own_cost, own_value = np.float64(cost[i, arm[i]]), np.float64(value[i, arm[i]])
        for j in range(value.shape[1]):
            more, gain = np.float64(cost[i, j]) - own_cost, np.float64(value[i, j]) - own_value
            if more <= 0 or gain <= 0 or more > money:
                continue
            if eligible is not None and not eligible[i, j]:
                continue
            user[m], slope[m], extra[m] = i, slope_of(gain, more), more
            m += 1
    return m


@njit(nogil=True, cache=True)
def _sweep(order: Any, user: Any, extra: Any, rank: Any, money: float, kept: Any) -> None:
    """Best moves first; a Fenwick tree over the costs sums each earlier user's cheapest move."""
    m = len(order)
    tree = np.zeros(m + 1)
    cheapest = np.full(len(kept), -1, np.int64)  # of each user's moves so far
    for at in order:
        u = user[at]
        spent, k = 0.0, rank[at] + 1
        while k > 0:
            spent += tree[k]
            k -= k & -k
        own = cheapest[u]
        if own >= 0 and rank[own] <= rank[at]:
            spent -= extra[own]
        if spent + extra[at] <= money:
            kept[u] = True
        if own < 0 or rank[at] < rank[own]:
            if own >= 0:
                k = rank[own] + 1
                while k <= m:
                    tree[k] -= extra[own]
                    k += k & -k
            k = rank[at] + 1
            while k <= m:
                tree[k] += extra[at]
                k += k & -k
            cheapest[u] = at
