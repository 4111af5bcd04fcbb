"""What is to be decided (Problem) and what was decided (Allocation)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.floating[Any]]
LARGEST = 1e100  # beyond it, sums and products of amounts may leave the range of floats


class ProblemError(ValueError):
    """A problem that cannot be solved as it is stated; the message names the mend."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Choose one arm for each user so that total value is largest and total cost stays within the budget.

        max_z  sum_ij z_ij value_ij    s.t.  sum_ij z_ij cost_ij <= budget,  sum_j z_ij = 1,  z in {0, 1}

    Attributes
    ----------
    value : (n, K+1) floats, value units; may be negative. Column 0 is control.
    cost : (n, K+1) floats, money; may be zero or negative.
    budget : money for all users together, at least 0; None or infinity for no limit.
    eligible : (n, K+1) booleans, which arms a user may get; None for all. Control may be ineligible too.

    Raises ProblemError for shapes that differ, cells that are missing, infinite or beyond 1e100, a negative budget,
    and users without any eligible arm.
    """

    value: Table
    cost: Table
    budget: float | None = None
    eligible: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        for name in ("value", "cost"):
            object.__setattr__(self, name, _floats(getattr(self, name), name))
        if self.value.shape != self.cost.shape:
            raise ProblemError(
                f"value has shape {self.value.shape} and cost {self.cost.shape}; the same (users, arms) is expected"
            )
        if self.value.shape[1] == 0:
            raise ProblemError("the tables have no column; at least the control arm is expected")
        object.__setattr__(self, "budget", check_budget(self.budget))
        if self.eligible is not None:
            object.__setattr__(self, "eligible", _eligible(self.eligible, self.value.shape))

    @property
    def n_users(self) -> int:
        """Number of users, n."""
        return int(self.value.shape[0])

    @property
    def limit(self) -> float:
        """The budget as a number: infinity where there is none."""
        return math.inf if self.budget is None else self.budget


@dataclass(frozen=True, eq=False)
class Allocation:
    """The decision for every user, its totals, and the certificate of how good it can be at most.

    A policy of your own may give the decision alone; what it does not know is NaN.

    Attributes
    ----------
    decision : (n,) int64, the chosen arm of each user.
    value : sum of the chosen values, value units; `gain` is that minus everybody on control, allowed or not.
    cost : sum of the chosen costs, money, rounded to the nearest float; the exact sum never exceeds the budget.
    price : extra value per extra unit of money at the budget; 0 when money is left that nobody can use, NaN for a
        rule of thumb that solves nothing.
    bound : no decision within the budget is worth more (value units); NaN where none was computed.
    gap : (bound - value) / max(|bound|, |value|), at least 0; a share, so 1e-6 is a millionth.
    slack : budget - cost, money; infinite without a budget.
    """

    decision: NDArray[np.int64]
    value: float = math.nan
    gain: float = math.nan
    cost: float = math.nan
    price: float = math.nan
    bound: float = math.nan
    gap: float = math.nan
    slack: float = math.nan


def allocation_of(
    problem: Problem, decision: NDArray[np.int64], price: float = math.nan, bound: float = math.nan
) -> Allocation:
    """Totals and certificate of a decision; sums are correctly rounded, so they do not depend on the order."""
    rows = np.arange(problem.n_users)
    value = math.fsum(problem.value[rows, decision].tolist())
    cost = math.fsum(problem.cost[rows, decision].tolist())
    control = math.fsum(problem.value[:, 0].tolist())
    # Slopes are compared in floats, so the bound may miss by their rounding; the decision itself proves its value.
    bound = max(bound, value) if not math.isnan(bound) else bound
    scale = max(abs(bound), abs(value))
    gap = (bound - value) / scale if scale > 0 else bound - value
    return Allocation(decision, value, value - control, cost, price, bound, gap, problem.limit - cost)


def check_budget(budget: float | None) -> float | None:
    """A budget as a float, None for unlimited; raises ProblemError when it is negative or no number."""
    if budget is None:
        return None
    try:
        number = float(budget)
        if isinstance(budget, str):  # type: ignore[unreachable]  # a caller without types
            raise TypeError  # "100" may be a column's name as well as an amount
    except OverflowError:
        raise ProblemError("budget is larger than any float; give None for no limit") from None
    except (TypeError, ValueError):
        raise ProblemError(f"budget is {budget!r}; a number is expected, or None for no limit") from None
    if math.isnan(number) or number < 0:
        raise ProblemError(f"budget is {number:g}; 0 or more is expected, in the unit of cost (None for no limit)")
    return None if math.isinf(number) else number


def _floats(table: Any, name: str) -> Table:
    try:
        array = np.asarray(table)
    except ValueError:
        raise ProblemError(f"the rows of {name} differ in length; a table (users, arms) is expected") from None
    if array.ndim != 2:
        raise ProblemError(f"{name} has {array.ndim} dimensions; a table (users, arms) is expected")
    if array.dtype.kind not in "fiub":
        raise ProblemError(f"{name} holds {array.dtype} cells; numbers are expected")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = (int(k) for k in np.argwhere(bad)[0])
        raise ProblemError(
            f"{name} has {int(bad.sum()):,} missing or infinite of {array.size:,} cells, the first for user {row:,}, "
            f"arm {column} (both counted from 0); finite numbers are expected: mend the predictions or drop the users"
        )
    if array.size and float(np.abs(array).max()) > LARGEST:
        raise ProblemError(
            f"{name} has amounts up to {float(np.abs(array).max()):.3g}; at most {LARGEST:g} can be summed without "
            "overflow: count in a larger unit"
        )
    return array


def _eligible(table: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(table)
    if mask.shape != shape or mask.dtype != np.bool_:
        raise ProblemError(
            f"eligible has shape {mask.shape} and type {mask.dtype}; booleans of shape {shape} are expected"
        )
    nothing = ~mask.any(axis=1)
    if nothing.any():
        raise ProblemError(
            f"{int(nothing.sum()):,} of {shape[0]:,} users have no eligible arm, the first is user "
            f"{int(np.argmax(nothing)):,}; allow each at least one arm (control), or leave these users out"
        )
    return mask
