"""The integer programme: the best decision under budget and limits, with proof; and an independent bound (PDLP)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from allocation.engine.limit import LimitUse
from allocation.engine.money import exact_sum, float_above
from allocation.engine.problem import Allocation, Problem, ProblemError, allocation_of

Floats = NDArray[np.float64]
Decision = NDArray[np.int64]
Cells = NDArray[np.int64]
Span = tuple[int, int]

EFFORT = 2.0  # CP-SAT's deterministic seconds for each core but the last
ROW_BITS = 40  # of the largest amount in a row of the programme
SUM_BITS = 50  # of the whole objective: CP-SAT reports its bound as a float
ROOM = 1 << 60  # CP-SAT adds up a row in 64 bits


def solve_exact(problem: Problem, seconds: float | None = None, start: Decision | None = None) -> Allocation:
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
    start : (n,) a decision to begin from; ignored where it breaks eligibility, the budget or a limit.

    Returns an Allocation whose bound is proved. Unless time ran out it is the value, but for values' rounding: up to
    1e-15 n of all users' spreads of value. Prices are the relaxation's; one of 0 may belong to a limit that costs.
    Meant for up to some 10,000 users with one budget; a dozen limits that bind at once may stay open for hours.

    Raises ProblemError when no decision holds the budget and the limits, when time ran out before any was found, and
    for a start of another shape. Source: the core of D. Pisinger 1995 (the idea; not quoted).
    """
    if seconds is not None and not seconds >= 0:
        raise ProblemError(f"seconds is {seconds!r}; 0 or more is expected, or None to go on until the proof")
    end = math.inf if seconds is None else time.monotonic() + seconds
    programme = _programme(problem)
    search = _Search(programme, end, None if start is None else programme.cells_of(start))
    search.run()
    if search.cells is None:
        raise _nothing_found(programme, seconds, search.ruled_out)
    return _allocation(programme, search)


def lp_bound(problem: Problem) -> float:
    """An upper bound on the value of any decision, value units, from the linear relaxation's prices by PDLP.

        sum_k (p_k high_k, or p_k low_k where p_k < 0) + sum_i max_j (value_ij - sum_k p_k a_kij)

    Valid at any prices, rounded upwards; about 1e-6 (a share) above the relaxation's optimum, as PDLP stops there.
    An infeasible problem has a bound too: it does not show that any decision exists.
    """
    programme = _programme(problem)
    return programme.dual(_prices(programme, "pdlp")).bound


@dataclass(frozen=True, eq=False)
class _Grid:
    """Amounts as whole numbers of a unit above a base: each is `base + whole unit`, give or take the error."""

    whole: NDArray[np.int64]
    unit: Fraction
    error: Fraction
    base: Fraction = Fraction(0)  # of all users together


@dataclass(frozen=True, eq=False)
class _Row:
    """One constraint: low <= sum of the chosen amounts <= high."""

    name: str  # in messages
    amounts: Floats
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class _Dual:
    """Prices of the rows, the bound they prove, and how far each cell falls short of its user's best at them."""

    prices: Floats
    bound: float
    loss: Floats


@dataclass(frozen=True, eq=False)
class _Programme:
    """A problem with its eligible cells in one line, user by user."""

    problem: Problem
    user: Cells
    arm: Cells
    first: Cells  # of each user
    value: Floats
    rows: Sequence[_Row]

    def best_of_each(self, amounts: NDArray[Any]) -> NDArray[Any]:
        """Each user's largest amount, (n,)."""
        return np.maximum.reduceat(amounts, self.first) if len(self.first) else amounts[:0]

    def dual(self, prices: Floats) -> _Dual:
        """The Lagrangian at these prices, rounded upwards by more than its arithmetic can be wrong."""
        side = [row.high if p > 0 else row.low for row, p in zip(self.rows, prices, strict=True)]
        prices = np.where(np.isfinite(side) & np.isfinite(prices), prices, 0.0)
        spent = np.array([p * bound if p else 0.0 for p, bound in zip(prices, side, strict=True)])
        score, size = self.value.copy(), np.abs(self.value)
        for row, p in zip(self.rows, prices, strict=True):
            if p:
                score -= p * row.amounts
                size += np.abs(p * row.amounts)
        best = self.best_of_each(score)
        rounding = (len(self.rows) + 4) * 2.0**-52 * (self.best_of_each(size).sum() + np.abs(spent).sum())
        if not math.isfinite(rounding):
            return self.dual(np.zeros(len(prices)))
        bound = float_above(exact_sum(np.concatenate([best, spent])) + Fraction(float(2 * rounding)))
        return _Dual(prices, bound, best[self.user] - score)

    def cells_of(self, decision: Decision) -> Cells | None:
        """The cells that a decision takes; None where it takes one that is not eligible."""
        n, shape = self.problem.n_users, np.shape(decision)
        if shape != (n,):
            raise ProblemError(f"start has shape {shape}; ({n:,},) is expected, one arm a user")
        cells = np.flatnonzero(self.arm == np.asarray(decision)[self.user])
        return cells if len(cells) == n else None

    def broken(self, cells: Cells) -> set[int]:
        """The rows that these cells break, in exact arithmetic."""
        return {k for k, row in enumerate(self.rows) if not row.low <= exact_sum(row.amounts[cells]) <= row.high}


def _programme(problem: Problem) -> _Programme:
    mask = np.ones(problem.value.shape, dtype=bool) if problem.eligible is None else problem.eligible
    user, arm = np.nonzero(mask)
    rows = []
    if problem.budget is not None:
        rows.append(_Row("the budget", problem.cost[user, arm].astype(float), -math.inf, problem.budget))
    for limit in problem.limits:
        table = problem.table(limit.measure)
        counts = np.isin(arm, np.array(limit.arms, dtype=np.int64))
        if limit.users is not None:
            counts &= np.asarray(limit.users)[user]
        amounts = np.ones(len(user)) if table is None else table[user, arm].astype(float)
        rows.append(_Row(repr(limit.name), np.where(counts, amounts, 0.0), limit.low, limit.high))
    first = np.searchsorted(user, np.arange(problem.n_users))
    return _Programme(problem, user, arm, first, problem.value[user, arm].astype(float), rows)


def _allocation(programme: _Programme, search: _Search) -> Allocation:
    problem, cells, prices = programme.problem, search.cells, search.dual.prices.tolist()
    budgets, uses = len(programme.rows) - len(problem.limits), []
    for limit, row, price in zip(problem.limits, programme.rows[budgets:], prices[budgets:], strict=True):
        side: Literal["min", "max"] | None = ("max" if price > 0 else "min") if price else None
        used = float(exact_sum(row.amounts[cells]))
        uses.append(LimitUse(limit.name, limit.measure, used, limit.min, limit.max, price, side))
    decision = programme.arm[cells].astype(np.int64)
    return allocation_of(problem, decision, prices[0] if budgets else 0.0, float_above(search.bound), tuple(uses))


def _nothing_found(programme: _Programme, seconds: float | None, ruled_out: bool) -> ProblemError:
    names = [row.name for row in programme.rows]
    what = ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")
    if ruled_out:
        mend = "raise a cap, lower a floor, or make more arms eligible"
        return ProblemError(f"no decision holds {what} together (proved by the integer programme); {mend}")
    mend = 'give more seconds, or a start that holds them (method="dual" may find one)'
    return ProblemError(f"no decision that holds {what} was found or ruled out in {seconds:g} seconds; {mend}")


class _Search:
    """Cores, smallest first; the best decision and the bound so far, which only ever improve."""

    def __init__(self, programme: _Programme, end: float, start: Cells | None) -> None:
        self.programme, self.end = programme, end
        self.dual = programme.dual(_prices(programme, "glop"))
        self.objective = _objective_grid(programme)
        self.rows = [_grid(row.amounts, _exponent(row.amounts) - ROW_BITS) for row in programme.rows]
        self.digits: set[int] = set()  # rows that are counted digit by digit
        self.bound = Fraction(self.dual.bound)
        self.cells: Cells | None = None
        self.best, self.ruled_out = Fraction(0), False
        if start is not None:
            self.offer(start)

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
            closed, upper = self.core(keep, math.inf if last else EFFORT)
            if upper is not None:
                if not last and not keep.all():  # whoever takes a cell outside the core loses at least this much
                    upper = max(upper, Fraction(self.dual.bound) - Fraction(float(loss[~keep].min())))
                self.bound = min(self.bound, max(upper, self.best) if self.cells is not None else upper)
            self.ruled_out = last and closed and self.cells is None
            if last or time.monotonic() >= self.end:
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
            given.max_deterministic_time = effort
            given.max_time_in_seconds = max(self.end - time.monotonic(), 0.0)
            status = solver.solve(core.model)
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

    def add(self, row: _Row, grid: _Grid, digits: bool, n: int) -> None:
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


def _exponent(amounts: Floats) -> int:
    return math.frexp(float(np.abs(amounts).max(initial=0.0)))[1]


def _objective_grid(programme: _Programme) -> _Grid:
    """Values above each user's least, in steps from 1 upwards, so that the programme's objective is positive."""
    value, user, n = programme.value, programme.user, programme.problem.n_users
    spread = (programme.best_of_each(value) + programme.best_of_each(-value)).sum()
    grid = _grid(value, max(math.frexp(float(spread))[1] - SUM_BITS, _exponent(value) - 61))
    least = -programme.best_of_each(-grid.whole)
    above = grid.whole - least[user]
    step = int(np.gcd.reduce(above)) or 1
    return _Grid(above // step + 1, grid.unit * step, grid.error, (sum(least.tolist()) - n * step) * grid.unit)


def _grid(amounts: Floats, finest: int) -> _Grid:
    """Amounts in the coarsest binary or decimal unit that divides them all, else rounded to 2^finest."""
    if not amounts.any():
        return _Grid(np.zeros(len(amounts), dtype=np.int64), Fraction(1), Fraction(0))
    digits, exponents = np.frexp(amounts[amounts != 0])
    whole = np.ldexp(digits, 53).astype(np.int64)
    last = int((exponents - 54 + np.frexp((whole & -whole).astype(float))[1]).min())
    if last >= finest:
        whole = np.ldexp(amounts, -last).astype(np.int64)
        step = int(np.gcd.reduce(whole)) or 1
        return _Grid(whole // step, Fraction(2) ** last * step, Fraction(0))
    for places in range(16):
        decimal = np.rint(amounts * 10.0**places)
        if 10**places * Fraction(2) ** finest > 1 or np.abs(decimal).max() >= 2**53:
            break
        if (decimal / 10.0**places == amounts).all():  # the nearest floats to decimals
            rounding = Fraction(float(np.spacing(np.abs(amounts).max()))) / 2
            return _Grid(decimal.astype(np.int64), Fraction(1, 10**places), rounding)
    unit = Fraction(2) ** finest
    return _Grid(np.rint(np.ldexp(amounts, -finest)).astype(np.int64), unit, unit / 2)


def _prices(programme: _Programme, solver: Literal["glop", "pdlp"]) -> Floats:
    """The rows' prices at the relaxation's optimum, (rows,); 0 where the solver finds none."""
    from ortools.linear_solver.python import model_builder_helper as linear
    from scipy import sparse

    n, cells, rows = programme.problem.n_users, len(programme.user), programme.rows
    unit, *units = (2.0 ** _exponent(amounts) for amounts in (programme.value, *(row.amounts for row in rows)))
    parts = [sparse.csr_matrix((np.ones(cells), (programme.user, np.arange(cells))), shape=(n, cells))]
    parts += [sparse.csr_matrix(row.amounts / u) for row, u in zip(rows, units, strict=True)]
    low, high = (np.array([1.0] * n + [getattr(row, side) for row in rows]) for side in ("low", "high"))
    low[n:], high[n:] = low[n:] / units, high[n:] / units
    model: Any = linear.ModelBuilderHelper()
    sides = np.zeros(cells), np.full(cells, np.inf), programme.value / unit, low, high
    model.fill_model_from_sparse_data(*sides, sparse.vstack(parts, format="csr"))
    model.set_maximize(True)
    found = linear.ModelSolverHelper(solver)
    found.solve(model)
    duals = np.array(found.dual_values() if found.has_solution() else np.zeros(n + len(rows)))
    return np.asarray(duals[n:] * unit / np.array(units))
