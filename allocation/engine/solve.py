"""Which way a problem is solved: a budget by its price, limits by theirs, small problems to proven optimality."""

from __future__ import annotations

from typing import Literal

from allocation.engine.limit import ProblemError
from allocation.engine.limits import solve_limits
from allocation.engine.nested import is_nested, solve_segments
from allocation.engine.price import solve_budget
from allocation.engine.problem import Allocation, Problem

METHODS = ("auto", "dual", "exact")


def solve(problem: Problem, method: Literal["auto", "dual", "exact"] = "auto") -> Allocation:
    """Decide which arm each user gets, within the budget and every limit, and certify how good that is.

        bound = min_{p >= 0}  p budget + sum_i max_j (value_ij - p cost_ij)  >=  optimum  >=  value,    one budget

    Every limit adds a price of its own to the bound.

    Parameters
    ----------
    problem : what is to be decided; `Problem` has the shapes and units.
    method : "dual" finds the prices of the budget and the limits and a decision near them, for any number of users;
        its `gap` says how much better any other decision could be at most. "exact" goes on from there to proof by
        integer programming, however long that takes. With 11 arms: 3 seconds for 3,000 users under one budget, 40 for
        10,000; with twenty limits that bind a second for 50 users, while of three problems of 100 users two were open
        after 45 seconds. "auto" is "dual". Both leave to integer programming the small problems with limits (up to
        4,000 cells) for which prices lead to no decision.

    Returns an `Allocation` of n users; with "exact" its bound is proved and its value the best one, but for the
    rounding of sums.

    The same problem has the same decision whatever the number of threads and the layout of the tables. Without limits
    that holds on any machine, more budget never means less value, and the decision is within one user's one step of
    the best: little beside many users, much beside a handful. With limits the prices come from exponentials, whose
    last digit may differ between processors.

    Raises ProblemError for another method, when no decision is within the budget and the limits (it says which
    clash), and when none was found that holds all limits, although one that shares users out among arms does. That
    holds for "exact" too, which starts from the decision by prices.

    Source: methods of the multiple-choice knapsack, Kellerer, Pferschy & Pisinger 2004, chapter 11 (not quoted).

    Examples
    --------
    >>> import numpy as np
    >>> from allocation import Limit, Problem
    >>> value = np.array([[0.0, 5.0], [0.0, 4.0], [0.0, 3.0]])
    >>> cost = np.array([[0.0, 2.0], [0.0, 1.0], [0.0, 1.0]])
    >>> solve(Problem(value, cost, budget=3.0)).decision
    array([0, 1, 1])
    >>> a = solve(Problem(value, cost, budget=3.0, limits=[Limit("reach", max=1)]))
    >>> a.decision, a.limits[0].used, a.limits[0].binding
    (array([1, 0, 0]), 1.0, 'max')
    """
    if not isinstance(problem, Problem):
        raise ProblemError(f"problem is a {type(problem).__name__}; Problem(value, cost, budget) is expected")
    if not isinstance(method, str) or method not in METHODS:
        raise ProblemError(f"method is {method!r}; one of {', '.join(map(repr, METHODS))} is expected")
    if method == "exact":
        from allocation.engine.exact import solve_exact  # OR-Tools is slow to load, and rarely needed

        return solve_exact(problem, start=_by_prices(problem).decision)
    return _by_prices(problem)


def _by_prices(problem: Problem) -> Allocation:
    if not problem.limits:
        return solve_budget(problem)
    return solve_segments(problem) if is_nested(problem) else solve_limits(problem)
