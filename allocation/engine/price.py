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
from allocation.engine.kernels import TOP, can_move
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
        opened = _open(users, problem.limit, low, high)
        if opened.left < 0 and high == TOP:
            raise _too_little(problem, opened)
        below = opened.taken == len(opened.order) and low > 0
        if opened.left >= 0 and not below:
            break
    return _finish(problem, users, opened, low)


def margins(problem: Problem, allocation: Allocation) -> NDArray[np.float64]:
    """How clearly each user's arm wins: its score minus the best other arm's score at the price, (n,), value units.

    The score is value - price cost. A user at the price itself has 0; below 0 are only those few at the budget's edge
    who got another arm because the money ran out. Infinite where the user has no other eligible arm. Prices of limits
    are not in it.
    """
    margin = np.empty(problem.n_users)

    def piece(at: tuple[int, int]) -> None:
        """The margins of one piece of the users."""
        part = slice(*at)
        eligible = None if problem.eligible is None else problem.eligible[part]
        _margins(problem.value[part], problem.cost[part], eligible, allocation.decision[part], price, margin[part])

    price = float(allocation.price)
    threads.run(piece, threads.pieces(problem.n_users))
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
class _Opened:
    """A budget spent on steps between two prices: those taken and the exact money left (below 0: too much)."""

    settled: Settled
    steps: Steps
    order: NDArray[np.int64]
    own: Decision
    taken: int
    left: Fraction


def _open(users: Tables, budget: float, low: float, high: float) -> _Opened:
    """Settle the users whose arm is the same between the prices, and take the others' steps while they fit."""
    settled = settle_users(users, low, high)
    steps = steps_of(users, settled.rows, low, high)
    order = steps.by_slope()
    if not math.isfinite(budget):
        return _Opened(settled, steps, order, steps.base, len(order), Fraction(0))
    left = Fraction(budget) - register_total(settled.sums[1]) - _exact(users.cost, settled.rows, steps.base)
    if left < 0:
        return _Opened(settled, steps, order, steps.base, 0, left)

    def take(own: Decision, money: Fraction) -> int:
        """Take steps within the money."""
        return int(take_in_order(users.cost, settled.rows, order, steps.step, own, *split(money))[0])

    taken, own, left = _within(users.cost, settled.rows, steps.base, left, take)
    return _Opened(settled, steps, order, own, taken, left)


def _finish(problem: Problem, users: Tables, opened: _Opened, low: float) -> Allocation:
    """Bound, greedy filling and totals of a budget whose price lies among the opened steps."""
    rows, own, left = opened.settled.rows, opened.own, opened.left
    value = register_total(opened.settled.sums[0]) + _exact(users.value, rows, own)
    bound, price = value, 0.0
    if opened.taken < len(opened.order):
        step = opened.order[opened.taken]
        (row, arm), price = opened.steps.step[step].tolist(), float(opened.steps.amount[step, 2])
        extra = [_cell(table, rows[row], arm) - _cell(table, rows[row], own[row]) for table in users[:2]]
        # Equals the dual at the price, without the rounding of price times cost.
        bound += extra[0] * left / extra[1]
        own, left = _fill(users, rows, opened.own, left, floor=low)
        value += _more(users.value, rows, opened.own, own)
    decision = opened.settled.decision
    decision[rows] = own
    if low > 0 and left > 0:  # below `low` anybody may have an arm that still fits
        movers = _movers(users, decision, float_above(left))
        before = decision[movers]
        after, left = _fill(users, movers, before, left, floor=0.0)
        decision[movers] = after
        value += _more(users.value, movers, before, after)
    if math.isfinite(problem.limit):
        cost = Fraction(problem.limit) - left
    else:
        cost = register_total(opened.settled.sums[1]) + _exact(users.cost, rows, own)
    control = register_total(opened.settled.sums[2]) + _exact(users.value, rows, np.zeros_like(own))
    return allocation_of(problem, decision, price, float_above(bound), totals=(value, cost, control))


def _fill(
    users: Tables, rows: NDArray[np.int64], own: Decision, left: Fraction, floor: float
) -> tuple[Decision, Fraction]:
    def spend(chosen: Decision, money: Fraction) -> int:
        """Fill within the money."""
        fill(*users, rows, chosen, *split(money), floor)
        return 0

    return _within(users.cost, rows, own, left, spend)[1:]


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
        rest = left - _more(cost, rows, own, chosen)
        if rest >= 0:
            return answer, chosen, rest
        reserve = 2 * reserve - rest


def _movers(users: Tables, decision: Decision, money: float) -> NDArray[np.int64]:
    """The users, in order, who have a more valuable arm for at most `money` more."""

    def piece(at: tuple[int, int]) -> NDArray[np.int64]:
        """Those of one piece."""
        first, end = at
        found = np.empty(end - first, dtype=np.int64)
        return found[: can_move(*users, first, decision[first:end], money, found)].copy()

    return np.concatenate(threads.run(piece, threads.pieces(len(decision))))


def _too_little(problem: Problem, opened: _Opened) -> ProblemError:
    least = float_above(Fraction(problem.limit) - opened.left)
    return ProblemError(
        f"the budget {amount_text(problem.limit)} cannot be met: the cheapest arm of every user costs "
        f"{amount_text(least)} together; raise the budget to that, allow a cheaper arm, or leave users out"
    )


def _exact(table: NDArray[np.floating[Any]], rows: NDArray[np.int64], decision: Decision) -> Fraction:
    return exact_sum(table[rows, decision].astype(np.float64))


def _more(table: NDArray[np.floating[Any]], rows: NDArray[np.int64], before: Decision, after: Decision) -> Fraction:
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
