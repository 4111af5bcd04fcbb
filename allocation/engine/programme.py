"""A problem as an integer programme: its cells in one line, its constraints as rows, its amounts as whole numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocation.engine.limit import BUDGET
from allocation.engine.money import exact_sum, float_above
from allocation.engine.problem import Problem, ProblemError
from allocation.engine.rows import rows_of

Floats = NDArray[np.float64]
Decision = NDArray[np.int64]
Cells = NDArray[np.int64]

SUM_BITS = 50  # of the whole objective: CP-SAT reports its bound as a float


@dataclass(frozen=True, eq=False)
class Grid:
    """Amounts as whole numbers of a unit above a base: each is `base + whole unit`, give or take the error."""

    whole: NDArray[np.int64]
    unit: Fraction
    error: Fraction
    base: Fraction = Fraction(0)  # of all users together


@dataclass(frozen=True, eq=False)
class ProgrammeRow:
    """One constraint: low <= sum of the chosen amounts <= high."""

    name: str  # in messages
    amounts: Floats
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class RowPrices:
    """Prices of the rows, the bound they prove, and how far each cell falls short of its user's best at them."""

    prices: Floats
    bound: float
    loss: Floats


@dataclass(frozen=True, eq=False)
class Programme:
    """A problem with its eligible cells in one line, user by user."""

    problem: Problem
    user: Cells
    arm: Cells
    first: Cells  # of each user
    value: Floats
    rows: Sequence[ProgrammeRow]

    def best_of_each(self, amounts: NDArray[Any]) -> NDArray[Any]:
        """Each user's largest amount, (n,)."""
        return np.maximum.reduceat(amounts, self.first) if len(self.first) else amounts[:0]

    def dual(self, prices: Floats) -> RowPrices:
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
        return RowPrices(prices, bound, best[self.user] - score)

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


def programme_of(problem: Problem) -> Programme:
    """The cells that may be chosen, user by user, and what each uses of the budget and of every limit."""
    mask = np.ones(problem.value.shape, dtype=bool) if problem.eligible is None else problem.eligible
    user, arm = np.nonzero(mask)
    rows = []
    for row in rows_of(problem):
        table = problem.table(row.measure)
        counts = row.arms[arm] & (True if row.users is None else row.users[user])
        amounts = np.ones(len(user)) if table is None else table[user, arm].astype(float)
        name = row.name if row.name == BUDGET else repr(row.name)
        rows.append(ProgrammeRow(name, np.where(counts, amounts, 0.0), row.low, row.high))
    first = np.searchsorted(user, np.arange(problem.n_users))
    return Programme(problem, user, arm, first, problem.value[user, arm].astype(float), rows)


def exponent_of(amounts: Floats) -> int:
    """The power of two that is just above the largest of the amounts in size."""
    return math.frexp(float(np.abs(amounts).max(initial=0.0)))[1]


def objective_grid(programme: Programme) -> Grid:
    """Values above each user's least, in steps from 1 upwards, so that the programme's objective is positive."""
    value, user, n = programme.value, programme.user, programme.problem.n_users
    spread = (programme.best_of_each(value) + programme.best_of_each(-value)).sum()
    grid = grid_of(value, max(math.frexp(float(spread))[1] - SUM_BITS, exponent_of(value) - 61))
    least = -programme.best_of_each(-grid.whole)
    above = grid.whole - least[user]
    step = int(np.gcd.reduce(above)) or 1
    return Grid(above // step + 1, grid.unit * step, grid.error, (sum(least.tolist()) - n * step) * grid.unit)


def grid_of(amounts: Floats, finest: int) -> Grid:
    """Amounts in the coarsest binary or decimal unit that divides them all, else rounded to 2^finest."""
    if not amounts.any():
        return Grid(np.zeros(len(amounts), dtype=np.int64), Fraction(1), Fraction(0))
    digits, exponents = np.frexp(amounts[amounts != 0])
    whole = np.ldexp(digits, 53).astype(np.int64)
    last = int((exponents - 54 + np.frexp((whole & -whole).astype(float))[1]).min())
    if last >= finest:
        whole = np.ldexp(amounts, -last).astype(np.int64)
        step = int(np.gcd.reduce(whole)) or 1
        return Grid(whole // step, Fraction(2) ** last * step, Fraction(0))
    for places in range(16):
        decimal = np.rint(amounts * 10.0**places)
        if 10**places * Fraction(2) ** finest > 1 or np.abs(decimal).max() >= 2**53:
            break
        if (decimal / 10.0**places == amounts).all():  # the nearest floats to decimals
            rounding = Fraction(float(np.spacing(np.abs(amounts).max()))) / 2
            return Grid(decimal.astype(np.int64), Fraction(1, 10**places), rounding)
    unit = Fraction(2) ** finest
    return Grid(np.rint(np.ldexp(amounts, -finest)).astype(np.int64), unit, unit / 2)
