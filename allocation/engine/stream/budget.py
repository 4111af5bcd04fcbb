"""One budget for users in chunks: a sample, the settling pass, and at most one more for what is left."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from allocation.engine.bracket import Settled
from allocation.engine.kernels import TOP
from allocation.engine.money import exact_sum, float_above, register_total
from allocation.engine.price import Edge, edge_of, fill_up, more_of, open_budget, too_little
from allocation.engine.stream.chunks import Arrays, Chunks
from allocation.engine.stream.first import first_look
from allocation.engine.stream.look import EVERYWHERE, SPARE, Keep, Look, Looked, Pool, looked, packed, pooled
from allocation.engine.stream.movers import Movers, may_move
from allocation.engine.stream.rule import PriceRule
from allocation.engine.stream.solved import Solved, solved

OPEN = 1 << 20  # steps that may come home at once


def solve_budget_in_chunks(chunks: Chunks, budget: float | None) -> Solved:
    """Spend one budget (money; None for no limit) on all users: the decisions of `allocation.solve`, user by user.

    A first pass draws a sample, which guesses two prices with the budget's between them. The settling pass sums,
    exactly, what the users cost whose arm is the same at both, and brings the few others home, where the price and
    their arms are found, or that the guess was wrong. Money that is left below the price goes to users who may cost
    a further pass. If too many steps lie between two prices, passes narrow them; if very many have the same return,
    the chunk is found where money ends.

    Raises ProblemError when even the cheapest decision costs more than the budget.
    """
    limit = math.inf if budget is None else budget
    guess = first_look(chunks, limit)
    share = SPARE / max(guess.n, SPARE)
    window = (guess.low, guess.high, guess.steps)
    while True:
        window, first, last = _narrowed(chunks, limit, window)
        low, high, _ = window
        parts = chunks.each(Keep(low, high, first, last, share), "settling")
        sums = np.sum([part["sums"] for part in parts], axis=0) if parts else np.zeros((3, 1), dtype=np.int64)
        pool = pooled(parts, chunks.arms)
        rows = np.arange(len(pool.place))
        opened = open_budget(pool.users, Settled(rows, rows, sums), limit, low, high)
        if opened.left < 0 and high == TOP:
            raise too_little(limit, opened.left)
        if opened.left < 0:  # a sample may err, and sums of bins are rounded: the price lies above
            window = (math.nextafter(high, math.inf), TOP, math.inf)
        elif opened.all_taken and low > 0:
            window = (0.0, math.nextafter(low, 0.0), math.inf)
        else:
            break
    edge = edge_of(pool.users, opened, low)
    rule = PriceRule(low, high, first, edge.price, pool.place, edge.own)
    rule, value, cost = _filled(chunks, rule, edge, pool, parts)
    control = register_total(sums[2]) + exact_sum(pool.users.value[:, 0].astype(np.float64))
    n = sum(int(part["users"][0]) for part in parts)
    return solved(rule, n, limit, (value, cost, control), edge.price, float_above(edge.bound))


Window = tuple[float, float, float]  # two prices and the number of steps between them


def _narrowed(chunks: Chunks, limit: float, window: Window) -> tuple[Window, int, int]:
    """Prices with at most OPEN steps between, or one price and the places of the chunk in which the money ends."""
    sure_low, sure_high = 0.0, TOP  # the price certainly lies between these
    low, high, steps = window
    while steps > OPEN:
        look = looked(chunks.each(Look(low, high), "narrowing the price"), low, high)
        if look.least > limit and high < sure_high:
            sure_low = low = math.nextafter(high, math.inf)
            high, steps = sure_high, math.inf
            continue
        if look.most <= limit and low > sure_low:
            sure_high = high = math.nextafter(low, 0.0)
            low, steps = sure_low, math.inf
            continue
        sure_low, sure_high = low, high
        if low == high:
            return (low, high, steps), *_chunk_where(look, limit)
        low, high, steps = _bin_where(look, limit)
    return (low, high, steps), 0, EVERYWHERE


def _bin_where(look: Looked, limit: float) -> Window:
    """The bin in which the money ends, with its neighbours unless they hold too many steps."""
    filled = np.flatnonzero(look.steps)[::-1]
    if len(filled) == 0:
        return look.low, look.high, 0.0
    left = float(Fraction(limit) - look.least)
    at = min(int(np.searchsorted(np.cumsum(look.cost[filled]), left)), len(filled) - 1)
    for around in (1, 0):
        bins = filled[max(at - around, 0) : at + around + 1]
        steps = float(look.steps[bins].sum())
        if steps <= OPEN:
            break
    low, high = look.edges(int(bins[-1]), int(bins[0]))
    return low, high, steps


def _chunk_where(look: Looked, limit: float) -> tuple[int, int]:
    """The places of the chunk in which steps of one return, taken from the first user on, use up the money."""
    left = Fraction(limit) - look.least
    for extra, first, last in look.of_chunk:
        if extra > left:
            return first, last
        left -= extra
    return look.of_chunk[-1][1:]


def _filled(
    chunks: Chunks, rule: PriceRule, edge: Edge, pool: Pool, parts: list[Arrays]
) -> tuple[PriceRule, Fraction, Fraction]:
    """The rule once single dearer arms below the price have used what is left; exact value and cost.

    Who may move is known already where not more is left than the chunks' spare users reach; else it takes a pass.
    """
    if not (rule.low > 0 and edge.left > 0):
        return rule, edge.value, edge.cost
    money = float_above(edge.left)
    if money < min(float(part["reach"][0]) for part in parts):
        movers, before = _both(pool, edge.own, pooled(parts, chunks.arms, "spare "), _arms(parts, "spare arm"))
    else:
        parts = chunks.each(Movers(rule, money), "spending what is left")
        movers, before = pooled(parts, chunks.arms), _arms(parts, "arm")
    some = np.flatnonzero(may_move(movers.users, before, money))
    users, before = movers.users.of(some), before[some]
    rows = np.arange(len(some))
    after, left = fill_up(users, rows, before, edge.left, floor=0.0)
    moved = np.flatnonzero(after != before)
    value = edge.value + more_of(users.value, rows, before, after)
    place, arm = _joined(rule, movers.place[some[moved]], after[moved])
    return PriceRule(rule.low, rule.high, rule.first, rule.price, place, arm), value, edge.cost + edge.left - left


def _arms(parts: list[Arrays], name: str) -> NDArray[np.int64]:
    return np.concatenate([part[name] for part in parts])


def _both(
    one: Pool, arm: NDArray[np.int64], other: Pool, other_arm: NDArray[np.int64]
) -> tuple[Pool, NDArray[np.int64]]:
    """Two sets of users, nobody in both, as one in order of place, and their arms."""
    both = pooled([packed(pool.users, pool.place) for pool in (one, other)], one.users.value.shape[1])
    order = np.argsort(both.place)
    return Pool(both.place[order], both.users.of(order)), np.concatenate([arm, other_arm])[order]


def _joined(
    rule: PriceRule, moved: NDArray[np.int64], arm: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The users decided one by one with those who have moved since, who come last and so are the ones that count."""
    place = np.concatenate([rule.place, moved])
    arms = np.concatenate([rule.arm, arm])
    found, at = np.unique(place[::-1], return_index=True)
    return found, arms[::-1][at]
