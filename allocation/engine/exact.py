"""The integer programme: the best decision under budget and limits, with proof."""

from __future__ import annotations

import itertools
import math
import time
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.money import exact_sum, float_above
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of
from allocation.engine.programme import (
    Cells,
    Decision,
    Floats,
    Grid,
    Programme,
    ProgrammeRow,
    exponent_of,
    grid_of,
    objective_grid,
    programme_of,
)
from allocation.engine.rows import uses_of

Span = tuple[int, int]

EFFORT = 2.0  # CP-SAT's deterministic seconds for each core but the last, at most, and
SHARE = 1 / 3  # of those that are left
ROW_BITS = 40  # of the largest amount in a row of the programme
ROOM = 1 << 60  # CP-SAT adds up a row in 64 bits


def solve_exact(
    problem: Problem, seconds: float | None = None, start: Decision | None = None, effort: float | None = None
) -> Allocation:
    """The best decision under the budget and all limits, proved by an integer programme.

        max sum_ij z_ij value_ij   s.t.   low_k <= sum_ij z_ij a_kij <= high_k,   sum_j z_ij = 1,   z in {0, 1}

    The linear relaxation (GLOP) prices the rows. At these prices a cell that falls short of its user's best cell by
    more than the gap is in no better decision; so CP-SAT solves growing cores, the cells of least shortfall, until a
    core holds all within the gap to the best decision found. Amounts are counted in a common binary or decimal unit;
    where none is coarse enough they are rounded, and limits eased by that, so that the bound stays true. A decision
    that breaks a limit on the exact floats has that limit counted digit by digit: none is ever returned.

    Parameters
    ----------
    seconds : wall-clock limit; None to go on until the proof, however long it takes. Without it (and with it, unless
        the time runs out) the same problem and start give the same decision wherever the same OR-Tools runs: one
        thread, a fixed seed, effort in deterministic time.
    effort : deterministic seconds in all, each about as long as one or two of the clock; None for no end. It ends the
        search at the same decision on any machine.
    start : (n,) a decision to begin from; ignored where it breaks eligibility, the budget or a limit.

    Returns an Allocation whose bound is proved. Unless time ran out it is the value, but for values' rounding: up to
    1e-15 n of all users' spreads of value. Prices are the relaxation's; one of 0 may belong to a limit that costs.
    How long the proof takes, `allocation.solve` says.

    Raises ProblemError when no decision holds the budget and the limits, when time ran out before any was found, and
    for a start of another shape. Source: the core of D. Pisinger 1995 (the idea; not quoted).
    """
    if seconds is not None and not seconds >= 0:
        raise ProblemError(f"seconds is {seconds!r}; 0 or more is expected, or None to go on until the proof")
    end = math.inf if seconds is None else time.monotonic() + seconds
    programme = programme_of(problem)
    search = _Search(programme, end, math.inf if effort is None else effort)
    cells = None if start is None else programme.cells_of(start)
    if cells is not None:
        search.offer(cells)
    search.run()
    if search.cells is None:
        raise _nothing_found(programme, search.ruled_out)
    return _allocation(programme, search)


def _allocation(programme: Programme, search: _Search) -> Allocation:
    problem, cells, prices = programme.problem, search.cells, search.dual.prices
    budgets = len(programme.rows) - len(problem.limits)
    amounts = [exact_sum(row.amounts[cells]) for row in programme.rows[budgets:]]
    uses = uses_of(problem.limits, amounts, prices[budgets:])
    decision = programme.arm[cells].astype(np.int64)
    return allocation_of(problem, decision, float(prices[0]) if budgets else 0.0, float_above(search.bound), uses)


def _nothing_found(programme: Programme, ruled_out: bool) -> ProblemError:
    names = [row.name for row in programme.rows]
    what = ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
    if ruled_out:
        mend = "raise a cap, lower a floor, or make more arms eligible"
        return ProblemError(f"no decision holds {what} together (proved by the integer programme); {mend}")
    mend = "loosen one, or give more time or a start that holds them to solve_exact"
    return ProblemError(f"no decision that holds {what} was found or ruled out in the time given; {mend}")


class _Search:
    """Cores, smallest first; the best decision and the bound so far, which only ever improve."""

    def __init__(self, programme: Programme, end: float, effort: float) -> None:
        self.programme, self.end, self.effort = programme, end, effort  # what is left of it
        self.dual = programme.dual(_prices(programme))
        self.objective = objective_grid(programme)
        self.rows = [grid_of(row.amounts, exponent_of(row.amounts) - ROW_BITS) for row in programme.rows]
        self.digits: set[int] = set()  # rows that are counted digit by digit
        self.bound = Fraction(self.dual.bound)
        self.cells: Cells | None = None
        self.best, self.ruled_out = Fraction(0), False

    def offer(self, cells: Cells) -> set[int]:
        """Keeps these cells if they are feasible and the best so far; returns the rows that they break."""
        broken = self.programme.broken(cells)
        value = exact_sum(self.programme.value[cells])
        if not broken and (self.cells is None or value > self.best):
            self.cells, self.best = cells, value
        return broken

    def reach(self) -> float:
        """A cell that loses more than this is in no decision better than the best so far."""
        if self.cells is None:
            return math.inf
        step = 0 if self.objective.error else self.objective.unit  # what is better is so by a unit at least
        return float_above(Fraction(self.dual.bound) - self.best - step)

    def run(self) -> None:
        """Grows the core until it holds every cell that a better decision could take, or the time is over."""
        n, loss = self.programme.problem.n_users, self.dual.loss
        order = np.sort(loss)
        extra, unclosed = 20 + 2 * len(self.rows), 0
        while True:
            delta = float(order[n + extra]) if n + extra < len(order) else math.inf
            reach = self.reach()
            last = delta >= reach or math.isinf(delta) or unclosed == 2
            keep = loss <= (reach if last else delta)
            if self.cells is not None:
                keep[self.cells] = True
            closed, upper = self.core(keep, self.effort if last else min(EFFORT, SHARE * self.effort))
            if upper is not None:
                if not last and not keep.all():  # whoever takes a cell outside the core loses at least this much
                    upper = max(upper, Fraction(self.dual.bound) - Fraction(float(loss[~keep].min())))
                self.bound = min(self.bound, max(upper, self.best) if self.cells is not None else upper)
            self.ruled_out = last and closed and self.cells is None
            if last or self.effort <= 0 or time.monotonic() >= self.end:
                return
            extra, unclosed = 2 * extra, unclosed + (not closed)

    def core(self, keep: NDArray[np.bool_], effort: float) -> tuple[bool, Fraction | None]:
        """Solves a core: whether to the end, and a bound on its decisions (None where nothing was proved)."""
        from ortools.sat.python import cp_model

        while True:
            core = _Core(self, keep)
            solver = cp_model.CpSolver()
            given = solver.parameters
            given.num_workers, given.random_seed, given.linearization_level = 1, 0, 2
            given.max_deterministic_time = max(min(effort, self.effort), 0.0)
            given.max_time_in_seconds = max(self.end - time.monotonic(), 0.0)
            status = solver.solve(core.model)
            self.effort -= solver.deterministic_time
            if status == cp_model.INFEASIBLE:
                return True, self.objective.base  # less than any decision is worth
            if status == cp_model.UNKNOWN:
                return False, None  # the bound that it reports may never have been set
            if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
                raise RuntimeError(f"CP-SAT says {solver.status_name(status)}: {core.model.validate()}")
            taken = core.free[[solver.boolean_value(cell) for cell in core.cells]]
            broken = self.offer(np.union1d(np.flatnonzero(core.one), taken))
            if not broken - self.digits:
                return status == cp_model.OPTIMAL and not broken, self.upper(core.fixed, solver)
            self.digits |= broken

    def upper(self, fixed: int, solver: Any) -> Fraction | None:
        """What CP-SAT proved, value units; a bound of 0 was never set, for each cell counts at least 1."""
        grid, whole = self.objective, math.floor(float(solver.best_objective_bound) + 0.001)
        if whole < solver.objective_value:
            return None
        return grid.base + (whole + fixed) * grid.unit + self.programme.problem.n_users * grid.error


class _Core:
    """The programme over the kept cells; users with a single one are counted beforehand."""

    def __init__(self, search: _Search, keep: NDArray[np.bool_]) -> None:
        from ortools.sat.python import cp_model

        programme = search.programme
        alone = np.bincount(programme.user[keep], minlength=programme.problem.n_users)[programme.user] == 1
        self.one, self.free = keep & alone, np.flatnonzero(keep & ~alone)
        self.model = cp_model.CpModel()
        self.cells = [self.model.new_bool_var("") for _ in self.free]
        edges = np.flatnonzero(np.diff(programme.user[self.free], prepend=-1, append=-1))
        for first, end in itertools.pairwise(edges.tolist()):
            self.model.add_exactly_one(self.cells[first:end])
        for k, (row, grid) in enumerate(zip(programme.rows, search.rows, strict=True)):
            self.add(row, grid, k in search.digits, programme.problem.n_users)
        self.fixed = sum(search.objective.whole[self.one].tolist())
        weights = search.objective.whole[self.free].tolist()
        self.model.maximize(cp_model.LinearExpr.weighted_sum(self.cells, weights))
        if search.cells is not None:
            for cell, taken in zip(self.cells, np.isin(self.free, search.cells).tolist(), strict=True):
                self.model.add_hint(cell, taken)

    def add(self, row: ProgrammeRow, grid: Grid, digits: bool, n: int) -> None:
        """The row, eased by what rounding its amounts may have changed; or without rounding, if digits are wished."""
        whole, base, unit, ease = (
            grid.whole[self.free].tolist(),
            Fraction(sum(grid.whole[self.one].tolist())),
            grid.unit,
            n,
        )
        if digits:
            amounts = [Fraction(a) for a in row.amounts[self.free].tolist()]
            unit, ease = Fraction(1, math.lcm(grid.unit.denominator, *(a.denominator for a in amounts))), 0
            whole, base = [int(a / unit) for a in amounts], exact_sum(row.amounts[self.one]) / unit
        for sign, side in ((1, row.high), (-1, -row.low)):
            if math.isfinite(side):
                most = math.floor((Fraction(side) + ease * grid.error) / unit - sign * base)
                weights = [sign * w for w in whole]
                self.at_most(self.cells, weights, [(0, 1)] * len(weights), most, int(grid.unit / unit))

    def at_most(self, variables: list[Any], weights: list[int], reach: list[Span], most: int, unit: int) -> None:
        """sum of weights <= most, in two rows where 64 bits are too few; with weights = unit coarse + fine

        sum coarse + carry <= most // unit,    sum fine - unit carry <= most % unit,    carry any whole number.
        """
        from ortools.sat.python import cp_model

        least, largest = _span(weights, reach)
        if most >= largest:
            return
        if most < least:
            self.model.add_bool_or([])
        elif max(-least, largest, largest - least) < ROOM:
            self.model.add(cp_model.LinearExpr.weighted_sum(variables, weights) <= most)
        else:
            coarse = [(2 * w + unit) // (2 * unit) for w in weights]
            fine = [w - unit * c for w, c in zip(weights, coarse, strict=True)]
            low, high = (-((most % unit - bound) // unit) for bound in _span(fine, reach))
            carry = self.model.new_int_var(low, high, "")
            self.model.add(cp_model.LinearExpr.weighted_sum([*variables, carry], [*coarse, 1]) <= most // unit)
            finer = 1 << max(0, unit.bit_length() - ROW_BITS)
            self.at_most([*variables, carry], [*fine, -unit], [*reach, (low, high)], most % unit, finer)


def _span(weights: list[int], reach: list[Span]) -> Span:
    ends = [(w * low, w * high) for w, (low, high) in zip(weights, reach, strict=True) if w]
    return sum(map(min, ends)), sum(map(max, ends))


def _prices(programme: Programme) -> Floats:
    """The rows' prices at the relaxation's optimum, (rows,); 0 where the solver finds none."""
    from ortools.linear_solver.python import model_builder_helper as linear
    from scipy import sparse

    n, cells, rows = programme.problem.n_users, len(programme.user), programme.rows
    unit, *units = (2.0 ** exponent_of(amounts) for amounts in (programme.value, *(row.amounts for row in rows)))
    parts = [sparse.csr_matrix((np.ones(cells), (programme.user, np.arange(cells))), shape=(n, cells))]
    parts += [sparse.csr_matrix(row.amounts / u) for row, u in zip(rows, units, strict=True)]
    low, high = (np.array([1.0] * n + [getattr(row, side) for row in rows]) for side in ("low", "high"))
    low[n:], high[n:] = low[n:] / units, high[n:] / units
    model: Any = linear.ModelBuilderHelper()
    sides = np.zeros(cells), np.full(cells, np.inf), programme.value / unit, low, high
    model.fill_model_from_sparse_data(*sides, sparse.vstack(parts, format="csr"))
    model.set_maximize(True)
    found = linear.ModelSolverHelper("glop")
    found.solve(model)
    duals = np.array(found.dual_values() if found.has_solution() else np.zeros(n + len(rows)))
    return np.asarray(duals[n:] * unit / np.array(units))
