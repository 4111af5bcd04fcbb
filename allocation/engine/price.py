"""One budget: the price at which it is spent, the decision at that price, and the certificate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from allocation.engine.bins import bracket_by_bins
from allocation.engine.bracket import Settled, Steps, bracket, settle_users, steps_of
from allocation.engine.greedy import fill, split, take_in_order
from allocation.engine.kernels import ROUNDING, TOP, can_move
from allocation.engine.money import amount_text, exact_sum, float_above, register_total
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of
from allocation.engine.tables import Tables

Decision = NDArray[np.int64]


def solve_budget(problem: Problem) -> Allocation:
    """Spend one budget as well as a price can, and certify the result; the problem's limits are not looked at.

    Everybody starts on the cheapest arm; the steps of all users' hulls are then taken steepest first until the
    budget is spent. The slope of the first step that does not fit is the price p, and

        bound = p budget + sum_i max_j (value_ij - p cost_ij)  >=  optimum,
        bound - value <= extra value of that one step.

    What is left goes to single dearer arms, the highest return first, as long as one fits; so the value never falls
    when the budget grows. Two passes over the users: a sample brackets the price, then all whose arm is the same at
    both ends are settled, and only the others' steps are sorted. The budget holds in exact arithmetic on the float
    inputs. Of one user's collinear arms the nearest comes first, between users of equal return the first.

    Source: methods of the multiple-choice knapsack, Kellerer, Pferschy & Pisinger 2004, chapter 11 (not quoted).

    Raises ProblemError when even the cheapest decision costs more than the budget.
    """
    users = Tables(problem.value, problem.cost, problem.eligible)
    for low, high in _brackets(users, problem.limit):
        opened = open_budget(users, settle_users(users, low, high), problem.limit, low, high)
        if opened.left < 0 and high == TOP:
            raise too_little(problem.limit, opened.left)
        below = opened.all_taken and low > 0
        if opened.left >= 0 and not below:
            break
    return _finish(problem, users, opened, low)


def margins(problem: Problem, allocation: Allocation) -> NDArray[np.float64]:
    """How clearly each user's arm wins: its score minus the best other arm's score at the price, (n,), value units.

    The score is value - price cost. A user at the price itself has 0; below 0 are only those few at the budget's edge
    who got another arm because the money ran out. Infinite where the user has no other eligible arm. Prices of limits
    are not in it.
    """
    users = Tables(problem.value, problem.cost, problem.eligible)
    return margins_at(users, allocation.decision, float(allocation.price))


def margins_at(users: Tables, decision: Decision, price: float) -> NDArray[np.float64]:
    """The margins of a decision (n,) at a price, (n,), value units; see `margins`."""
    users = users.read_only
    margin = np.empty(len(decision))

    def piece(at: tuple[int, int]) -> None:
        """The margins of one piece of the users."""
        part = slice(*at)
        eligible = None if users.eligible is None else users.eligible[part]
        _margins(users.value[part], users.cost[part], eligible, decision[part], price, margin[part])

    threads.run(piece, threads.pieces(len(decision)))
    return margin


def _brackets(users: Tables, budget: float) -> Iterator[tuple[float, float]]:
    """Prices that hold the budget's between them: probably, but for rounding, and for certain."""
    if math.isinf(budget):
        yield 0.0, 0.0
        return
    yield bracket(users, budget)
    yield bracket_by_bins(users, budget)
    yield 0.0, TOP


@dataclass(frozen=True, eq=False)
class Opened:
    """A budget spent on steps between two prices: those taken and the exact money left (below 0: too much)."""

    settled: Settled
    steps: Steps
    order: NDArray[np.int64]
    own: Decision
    taken: int
    left: Fraction

    @property
    def all_taken(self) -> bool:
        """Whether no step between the prices was too dear."""
        return self.taken == len(self.order)


@dataclass(frozen=True, eq=False)
class Edge:
    """Where the money ends: price, bound and the exact value and cost of the settled and the open users together.

    own : (r,) the arms of the open users, once single dearer arms with a return of at least the lower price have
    used what they can; left : the exact money that remains (0 without a budget).
    """

    own: Decision
    price: float
    value: Fraction
    cost: Fraction
    bound: Fraction
    left: Fraction


def open_budget(users: Tables, settled: Settled, budget: float, low: float, high: float) -> Opened:
    """Take the steps with slopes in [low, high] of the open users, steepest first, while they fit the budget."""
    steps = steps_of(users, settled.rows, low, high)
    order = steps.by_slope()
    if not math.isfinite(budget):
        return Opened(settled, steps, order, steps.base, len(order), Fraction(0))
    left = Fraction(budget) - register_total(settled.sums[1]) - _exact(users.cost, settled.rows, steps.base)
    if left < 0:
        return Opened(settled, steps, order, steps.base, 0, left)

    to = users.cost[settled.rows[steps.step[:, 0]], steps.step[:, 1]].astype(np.float64, copy=False)
    spent = users.cost[settled.rows, steps.base].astype(np.float64, copy=False)

    def take(own: Decision, money: Fraction) -> int:
        """Take steps within the money."""
        return int(take_in_order(order, steps.step, to, own, spent.copy(), *split(money)))

    taken, own, left = _within(users.cost, settled.rows, steps.base, left, take)
    return Opened(settled, steps, order, own, taken, left)


def edge_of(users: Tables, opened: Opened, low: float) -> Edge:
    """Price, bound and totals of a budget whose price lies among the opened steps."""
    rows, own, left = opened.settled.rows, opened.own, opened.left
    value = register_total(opened.settled.sums[0]) + _exact(users.value, rows, own)
    bound, price = value, 0.0
    if not opened.all_taken:
        step = opened.order[opened.taken]
        (row, arm), price = opened.steps.step[step].tolist(), float(opened.steps.amount[step, 2])
        extra = [_cell(table, rows[row], arm) - _cell(table, rows[row], own[row]) for table in users[:2]]
        # Equals the dual at the price, without the rounding of price times cost.
        bound += extra[0] * left / extra[1]
        if price >= TOP and (opened.taken or left):  # returns beyond the floats have no order among themselves
            more = opened.steps.amount[opened.order[opened.taken :]]
            bound = value + exact_sum(more[more[:, 2] >= TOP, 1]) + Fraction(TOP) * left
        own, left = fill_up(users, rows, opened.own, left, floor=low)
        value += more_of(users.value, rows, opened.own, own)
    cost = register_total(opened.settled.sums[1]) + _exact(users.cost, rows, own)
    return Edge(own, price, value, cost, bound, left)


def _finish(problem: Problem, users: Tables, opened: Opened, low: float) -> Allocation:
    """Bound, greedy filling and totals of a budget whose price lies among the opened steps."""
    edge, rows, decision = edge_of(users, opened, low), opened.settled.rows, opened.settled.decision
    value, cost = edge.value, edge.cost
    decision[rows] = edge.own
    if low > 0 and edge.left > 0:  # below `low` anybody may have an arm that still fits
        movers = movers_of(users, decision, float_above(edge.left))
        before = decision[movers]
        after, left = fill_up(users, movers, before, edge.left, floor=0.0)
        decision[movers] = after
        value += more_of(users.value, movers, before, after)
        cost += edge.left - left
    control = register_total(opened.settled.sums[2]) + _exact(users.value, rows, np.zeros_like(rows))
    return allocation_of(problem, decision, edge.price, float_above(edge.bound), totals=(value, cost, control))


def fill_up(
    users: Tables, rows: NDArray[np.int64], own: Decision, left: Fraction, floor: float
) -> tuple[Decision, Fraction]:
    """The arms of `rows` once single dearer arms, down to a return of `floor`, used what they can; money left.

    Holds a copy of the cells of those of them who can move, in double precision: few, unless much money is left.
    """
    movers = _who_may_move(users, rows, own, float_above(left))
    cells = users.cells(rows[movers])

    def spend(chosen: Decision, money: Fraction) -> int:
        """Fill within the money."""
        arms = chosen[movers]
        fill(*cells, arms, *split(money), floor)
        chosen[movers] = arms
        return 0

    return _within(users.cost, rows, own, left, spend)[1:]


def _who_may_move(users: Tables, rows: NDArray[np.int64], own: Decision, money: float) -> NDArray[np.int64]:
    """All of `rows`, as rising positions, whom `fill` can move with the money, which only falls as it goes on.

    With a more valuable arm for at most money (1 + ROUNDING) more: perhaps some too many, whom `fill` leaves alone.
    """

    def piece(at: tuple[int, int]) -> NDArray[np.int64]:
        """Those of one stretch of the rows."""
        some, arm = users.cells(rows[slice(*at)]), own[slice(*at), None]
        extra, gain = (table - np.take_along_axis(table, arm, axis=1) for table in (some.cost, some.value))
        moves = (gain > 0) & (extra > 0) & (extra <= money * (1 + ROUNDING))
        if some.eligible is not None:
            moves &= some.eligible
        return at[0] + np.flatnonzero(moves.any(axis=1))

    parts = threads.run(piece, users.stretches(len(rows)))
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def _within(
    cost: NDArray[np.floating[Any]],
    rows: NDArray[np.int64],
    own: Decision,
    left: Fraction,
    spend: Callable[[Decision, Fraction], int],
) -> tuple[int, Decision, Fraction]:
    """What `spend` returns, the decision of `rows` that it leaves and the exact money left, which is never below 0.

    `spend` counts in pairs of floats; only where amounts differ by more than 106 binary digits may it spend too much,
    and is then asked again with that much less.
    """
    reserve = Fraction(0)
    while True:
        chosen = own.copy()
        answer = spend(chosen, left - reserve)
        rest = left - more_of(cost, rows, own, chosen)
        if rest >= 0:
            return answer, chosen, rest
        reserve = 2 * reserve - rest


def movers_of(users: Tables, decision: Decision, money: float) -> NDArray[np.int64]:
    """The users, in order, who have a more valuable arm for at most `money` more."""
    users = users.read_only

    def piece(at: tuple[int, int]) -> NDArray[np.int64]:
        """Those of one piece."""
        first, end = at
        found = np.empty(end - first, dtype=np.int64)
        return found[: can_move(*users, first, decision[first:end], money, found)].copy()

    return np.concatenate(threads.run(piece, threads.pieces(len(decision))))


def too_little(budget: float, left: Fraction) -> ProblemError:
    """The error of a budget that the cheapest decision exceeds by -left."""
    least = float_above(Fraction(budget) - left)
    return ProblemError(
        f"the budget {amount_text(budget)} cannot be met: the cheapest arm of every user costs "
        f"{amount_text(least)} together; raise the budget to that, allow a cheaper arm, or leave users out"
    )


def _exact(table: NDArray[np.floating[Any]], rows: NDArray[np.int64], decision: Decision) -> Fraction:
    return exact_sum(table[rows, decision].astype(np.float64))


def more_of(table: NDArray[np.floating[Any]], rows: NDArray[np.int64], before: Decision, after: Decision) -> Fraction:
    """How much more of the table one decision of `rows` uses than another, exactly."""
    new = np.flatnonzero(after != before)
    return _exact(table, rows[new], after[new]) - _exact(table, rows[new], before[new])


def _cell(table: NDArray[np.floating[Any]], row: int, arm: int) -> Fraction:
    return Fraction(float(table[row, arm]))


@njit(nogil=True, cache=True)
def _margins(value: Any, cost: Any, eligible: Any, decision: Any, price: float, margin: Any) -> None:
    for i in range(len(decision)):
        own = value[i, decision[i]] - price * np.float64(cost[i, decision[i]])
        best = -np.inf
        for j in range(value.shape[1]):
            if j != decision[i] and (eligible is None or eligible[i, j]):
                best = max(best, value[i, j] - price * np.float64(cost[i, j]))
        margin[i] = own - best
