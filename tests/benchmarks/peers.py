"""The solvers to compare with, each in the form that suits it best: PDLP, HiGHS and CP-SAT.

All get the same programme without the control column, which is worth and costs nothing: shares z (n, K) in [0, 1],
at most 1 a user, the budget and the limits as rows. Building it is not timed. Each may use every core, and each runs
in a process of its own: highspy and OR-Tools bring libraries of one name that cannot be loaded together.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import sparse

from allocation import Problem
from tests.benchmarks import instances

CORES = os.cpu_count() or 1


class Run(NamedTuple):
    """Seconds to solve, and the share of the value that was still open then; `done` is False at the time limit."""

    seconds: float
    gap: float
    done: bool

    def __str__(self) -> str:
        if self.done:
            return f"{self.seconds:.3g} s, gap {self.gap:.1g}"
        left = f"gap {self.gap:.2g}" if math.isfinite(self.gap) else "nothing proved"
        return f"stopped at {self.seconds:.0f} s, {left}"


def race(peer: str, instance: str, n: int, time_limit: float, gap: float = 1e-6) -> Run:
    """One of PEERS on the instance of that name (`one_budget`, `twenty_limits`) with n users, in a fresh process.

    One that does not heed the time limit is ended a minute, and half the limit again, beyond it.
    """
    asked = [sys.executable, "-m", "tests.benchmarks.peers", peer, instance, str(n), str(time_limit), str(gap)]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=1.5 * time_limit + 60)
    except subprocess.TimeoutExpired:
        return Run(time_limit, math.nan, False)
    if done.returncode:
        raise RuntimeError(f"{peer} on {n:,} users ended with {done.returncode}: {done.stderr[-500:]}")
    return Run(*json.loads(done.stdout.splitlines()[-1]))


class Programme(NamedTuple):
    """max gain z, low <= rows z <= high, 0 <= z."""

    gain: np.ndarray
    rows: sparse.csc_array
    low: np.ndarray
    high: np.ndarray


def programme(problem: Problem) -> Programme:
    """A problem whose control is worth and costs nothing, as a linear programme over the other arms."""
    n, arms = problem.n_users, problem.value.shape[1] - 1
    lines = [sparse.kron(sparse.eye_array(n), np.ones((1, arms)), format="csr")]
    low, high = [np.full(n, -np.inf)], [np.ones(n)]
    wanted = [] if problem.budget is None else [(problem.cost, None, range(1, arms + 1), -np.inf, problem.budget)]
    wanted += [(problem.table(x.measure), x.users, x.arms, x.low, x.high) for x in problem.limits]
    for table, users, counted, least, most in wanted:
        cells = np.zeros((n, arms))
        columns = [arm - 1 for arm in counted]
        cells[:, columns] = 1.0 if table is None else table[:, list(counted)]
        if users is not None:
            cells[~users] = 0.0
        lines.append(sparse.csr_array(cells.reshape(1, -1)))
        low.append(np.array([least]))
        high.append(np.array([most]))
    gain = problem.value[:, 1:].astype(np.float64).ravel()
    return Programme(gain, sparse.vstack(lines, format="csc"), np.concatenate(low), np.concatenate(high))


def pdlp(problem: Problem, time_limit: float, gap: float) -> Run:
    """OR-Tools' PDLP until residuals and gap are within a share `gap`; its iterates keep the limits only so far.

    Its gap is a share of the sum of both ends, so twice `gap` as a share of one. No control column, no upper bound on
    a share, and every core: the fastest of the forms tried.
    """
    from ortools.pdlp import solve_log_pb2, solvers_pb2
    from ortools.pdlp.python import pdlp as ortools_pdlp

    stated = programme(problem)
    model = ortools_pdlp.QuadraticProgram()
    model.constraint_matrix = sparse.csc_matrix(stated.rows)
    model.objective_vector = -stated.gain
    model.constraint_lower_bounds, model.constraint_upper_bounds = stated.low, stated.high
    model.variable_lower_bounds = np.zeros(len(stated.gain))
    model.variable_upper_bounds = np.full(len(stated.gain), np.inf)
    settings = solvers_pb2.PrimalDualHybridGradientParams(num_threads=CORES)
    settings.termination_criteria.simple_optimality_criteria.eps_optimal_relative = gap
    settings.termination_criteria.simple_optimality_criteria.eps_optimal_absolute = 0.0
    settings.termination_criteria.time_sec_limit = time_limit
    start = time.perf_counter()
    log = ortools_pdlp.primal_dual_hybrid_gradient(model, settings).solve_log
    seconds = time.perf_counter() - start
    ends = [(c.primal_objective, c.dual_objective) for c in log.solution_stats.convergence_information]
    left = min((abs(a - b) / max(abs(a), abs(b)) for a, b in ends), default=math.nan)
    return Run(seconds, left, log.termination_reason == solve_log_pb2.TERMINATION_REASON_OPTIMAL)


def highs(problem: Problem, time_limit: float, gap: float, method: str) -> Run:
    """HiGHS: its "ipm" (interior point) or "simplex" on the relaxation, or the integer programme ("mip")."""
    import highspy

    stated = programme(problem)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(stated.gain), len(stated.low)
    model.col_cost_ = -stated.gain
    model.col_lower_, model.col_upper_ = np.zeros(len(stated.gain)), np.ones(len(stated.gain))
    model.row_lower_, model.row_upper_ = stated.low, stated.high
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = stated.rows.indptr, stated.rows.indices
    model.a_matrix_.value_ = stated.rows.data
    solver = highspy.Highs()
    for option, setting in (("output_flag", False), ("time_limit", time_limit), ("threads", CORES)):
        solver.setOptionValue(option, setting)
    if method == "mip":
        model.integrality_ = [highspy.HighsVarType.kInteger] * len(stated.gain)
        solver.setOptionValue("mip_rel_gap", gap)
    else:
        solver.setOptionValue("solver", method)
    solver.passModel(model)
    start = time.perf_counter()
    solver.run()
    seconds = time.perf_counter() - start
    done = solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    left = solver.getInfo().mip_gap if method == "mip" else 0.0 if done else math.nan
    return Run(seconds, left, done)


def cp_sat(problem: Problem, time_limit: float, gap: float, digits: float = 1e4) -> Run:
    """OR-Tools' CP-SAT on the integer programme, amounts as whole numbers of 1 / `digits`.

    With 8 workers, however few the cores: with 2 it lacks the strategies that close the gap here.
    """
    from ortools.sat.python import cp_model

    stated = programme(problem)
    model = cp_model.CpModel()
    arms = problem.value.shape[1] - 1
    z = [model.new_bool_var("") for _ in range(len(stated.gain))]
    for first in range(0, len(z), arms):
        model.add_at_most_one(z[first : first + arms])
    rows = sparse.csr_array(stated.rows)[problem.n_users :]
    for k in range(rows.shape[0]):
        at = slice(rows.indptr[k], rows.indptr[k + 1])
        amounts = np.rint(rows.data[at] * digits).astype(np.int64).tolist()
        low, high = (
            int(end * digits) if math.isfinite(end) else int(math.copysign(1, end)) * 2**60
            for end in (stated.low[problem.n_users + k], stated.high[problem.n_users + k])
        )
        used = cp_model.LinearExpr.weighted_sum([z[j] for j in rows.indices[at]], amounts)
        model.add_linear_constraint(used, low, high)
    model.maximize(cp_model.LinearExpr.weighted_sum(z, np.rint(stated.gain * digits).astype(np.int64).tolist()))
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.num_workers = max(8, CORES)
    solver.parameters.relative_gap_limit = gap
    start = time.perf_counter()
    status = solver.solve(model)
    seconds = time.perf_counter() - start
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    left = 1 - solver.objective_value / solver.best_objective_bound if found else math.inf
    return Run(seconds, left, status == cp_model.OPTIMAL)


PEERS = {
    "PDLP": pdlp,
    "HiGHS interior point": partial(highs, method="ipm"),
    "HiGHS simplex": partial(highs, method="simplex"),
    "HiGHS integer": partial(highs, method="mip"),
    "CP-SAT": cp_sat,
}


if __name__ == "__main__":
    name, instance, users, limit, share = sys.argv[1:]
    found = PEERS[name](instances.BY_NAME[instance](int(users)), float(limit), float(share))
    print(json.dumps(found))
