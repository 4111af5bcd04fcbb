"""What is to be decided (Problem) and what was decided (Allocation)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.limit import OWN_MEASURES, Limit, LimitUse, ProblemError, check_segments, resolve
from allocation.engine.money import exact_total
from allocation.engine.tables import LARGEST, Table, check_eligible, check_table

__all__ = ["LARGEST", "Allocation", "Problem", "ProblemError", "Table", "allocation_of", "check_budget", "gap_of"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Choose one arm for each user so that total value is largest and total cost stays within the budget.

        max_z  sum_ij z_ij value_ij    s.t.  sum_ij z_ij cost_ij <= budget,  every limit,  sum_j z_ij = 1,
                                             z in {0, 1}

    Attributes
    ----------
    value : (n, K+1) floats, value units; may be negative. Column 0 is control. float32 or float64 as it is, not
        copied; other numbers become float64.
    cost : (n, K+1) likewise, money; may be zero or negative.
    budget : money for all users together, at least 0 also where costs are negative; None or infinity for no limit.
    eligible : (n, K+1) booleans, which arms a user may get; None for all. Control may be ineligible too: then the
        user must get an arm. A user without any eligible arm stays on control.
    limits : further constraints, `Limit`s; resources : tables (n, K+1) that they may measure, by name, in units of
        their own.
    arms : names of the K+1 arms. segments : sets of users, (n,) booleans by name. Both only for limits to name.

    It takes value and cost as given: what is best for wrong predictions is wrong, and no certificate sees it.

    Raises ProblemError for shapes that differ, cells that are missing, infinite or beyond 1e100, a negative budget,
    names of arms or resources that do not fit, and limits of the same name, that name what is not there, whose floor
    is above the cap, or whose users are nobody. That a decision exists is found out by `solve` alone.
    """

    value: Table
    cost: Table
    budget: float | None = None
    eligible: NDArray[np.bool_] | None = None
    limits: Sequence[Limit] = ()
    resources: Mapping[str, Table] = field(default_factory=dict)
    arms: Sequence[str] | None = None
    segments: Mapping[str, NDArray[np.bool_]] | None = None

    def __post_init__(self) -> None:
        def note(name: str, checked: Any) -> None:
            """Set a checked attribute of the frozen problem."""
            object.__setattr__(self, name, checked)

        for name in ("value", "cost"):
            note(name, check_table(getattr(self, name), name))
        shape = self.value.shape
        if shape != self.cost.shape:
            raise ProblemError(
                f"value has shape {shape} and cost {self.cost.shape}; the same (users, arms) is expected"
            )
        if shape[1] == 0:
            raise ProblemError("the tables have no column; at least the control arm is expected")
        note("budget", check_budget(self.budget))
        if self.eligible is not None:
            note("eligible", check_eligible(self.eligible, shape))
        note("resources", _resources({} if self.resources is None else self.resources, shape))
        if self.arms is not None:
            note("arms", _arm_names(self.arms, shape[1]))
        given = _limits(self.limits)
        segments = check_segments(self.segments, shape[0])
        limits = [resolve(limit, shape[0], shape[1], self.arms, segments, self.resources) for limit in given]
        names = [limit.name for limit in limits]
        for name in names:
            if names.count(name) > 1:
                raise ProblemError(f"{names.count(name)} limits are called {name!r}; give each a name of its own")
        note("limits", tuple(limits))

    @property
    def n_users(self) -> int:
        """Number of users, n."""
        return int(self.value.shape[0])

    @property
    def limit(self) -> float:
        """The budget as a number: infinity where there is none."""
        return math.inf if self.budget is None else self.budget

    def table(self, measure: str) -> Table | None:
        """The amounts that a limit measures, (n, K+1); None for "users", of whom each counts one."""
        own = dict(zip(OWN_MEASURES, (None, self.cost, self.value), strict=True))
        return own[measure] if measure in own else self.resources[measure]


@dataclass(frozen=True, eq=False)
class Allocation:
    """The decision for every user, its totals, and the certificate of how good it can be at most.

    A policy of your own may give the decision alone; what it does not know is NaN.

    Attributes
    ----------
    decision : (n,) int64, the chosen arm of each user.
    value : sum of the chosen values, value units. gain : that minus everybody on control, allowed or not.
    cost : sum of the chosen costs, money, rounded to the nearest float; the exact sum never exceeds the budget
        (but for the policy `Nobody`, which looks at none).
    price : extra value per extra unit of money at the budget; 0 when money is left that nobody can use, NaN for a
        rule of thumb that solves nothing.
    bound : no decision within the budget and the limits is worth more (value units); NaN where none was computed.
    gap : (bound - value) / max(|bound|, |value|), at least 0; a share, so 1e-6 is a millionth.
    slack : budget - cost, money; infinite without a budget.
    limits : one `LimitUse` for each limit of the problem, in its order.

    Misleads as a forecast: all of it is about the predictions, among which the optimiser seeks those that err
    upwards (winner's curse). What the decision is worth, `evaluate` estimates on other users.
    """

    decision: NDArray[np.int64]
    value: float = math.nan
    gain: float = math.nan
    cost: float = math.nan
    price: float = math.nan
    bound: float = math.nan
    gap: float = math.nan
    slack: float = math.nan
    limits: tuple[LimitUse, ...] = ()


def allocation_of(
    problem: Problem,
    decision: NDArray[np.int64],
    price: float = math.nan,
    bound: float = math.nan,
    limits: tuple[LimitUse, ...] = (),
    totals: tuple[Fraction, Fraction, Fraction] | None = None,
) -> Allocation:
    """Totals and certificate of a decision; sums are correctly rounded, so they do not depend on the order.

    totals : the exact value, cost and value of everybody on control, where they are already known.
    """
    if totals is None:
        nobody = np.zeros_like(decision)
        totals = (
            exact_total(problem.value, decision),
            exact_total(problem.cost, decision),
            exact_total(problem.value, nobody),
        )
    value, cost, control = map(float, totals)
    # Slopes are compared in floats, so the bound may miss by their rounding; the decision itself proves its value.
    bound = max(bound, value) if not math.isnan(bound) else bound
    gap = gap_of(value, bound)
    return Allocation(decision, value, value - control, cost, price, bound, gap, problem.limit - cost, limits)


def gap_of(value: float, bound: float) -> float:
    """(bound - value) / max(|bound|, |value|), a share; 0 where both are 0, NaN without a bound."""
    scale = max(abs(bound), abs(value))
    return (bound - value) / scale if scale > 0 else bound - value


def check_budget(budget: float | None) -> float | None:
    """A budget as a float, None for unlimited; raises ProblemError when it is negative or no number."""
    if budget is None:
        return None
    try:
        number = float(budget)
        if isinstance(budget, str | bool | np.bool_):  # a caller without types
            raise TypeError  # "100" may be a column's name as well as an amount
    except OverflowError:
        raise ProblemError("budget is larger than any float; give None for no limit") from None
    except (TypeError, ValueError):
        raise ProblemError(f"budget is {budget!r}; a number is expected, or None for no limit") from None
    if math.isnan(number) or number < 0:
        raise ProblemError(f"budget is {number:g}; 0 or more is expected, in the unit of cost (None for no limit)")
    return None if math.isinf(number) else number


def _limits(limits: Any) -> list[Limit]:
    if isinstance(limits, Limit):
        raise ProblemError(f"limits is the single limit {limits.name!r}; a list is expected, limits=[...]")
    if limits is not None and not isinstance(limits, Iterable):
        raise ProblemError(f"limits is {limits!r}; a list of Limit(...) is expected")
    return [] if limits is None else list(limits)


def _arm_names(arms: Sequence[str], columns: int) -> tuple[str, ...]:
    names = () if isinstance(arms, str) or not isinstance(arms, Iterable) else tuple(arms)
    if len(names) != columns or not all(isinstance(name, str) for name in names):
        raise ProblemError(f"arms is {arms!r}; {columns} names are expected, one for each column of the tables")
    if len(set(names)) < columns:
        raise ProblemError(f"arms is {arms!r}; {columns} different names are expected")
    return names


def _resources(tables: Mapping[str, Table], shape: tuple[int, ...]) -> dict[str, Table]:
    checked = {}
    if not isinstance(tables, Mapping):
        raise ProblemError(f"resources is {type(tables).__name__}; tables by name are expected, {{'minutes': table}}")
    for name, table in tables.items():
        if name in OWN_MEASURES:
            raise ProblemError(f"a resource is called {name!r}, which is a measure of its own; give it another name")
        checked[name] = check_table(table, f"resource {name!r}")
        if checked[name].shape != shape:
            raise ProblemError(f"resource {name!r} has shape {checked[name].shape}; {shape} is expected, as value's")
    return checked
