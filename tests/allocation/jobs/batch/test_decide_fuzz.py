"""Random tables and plans from file to decisions: refused in one message, or what `inspect` accepts, within 10 s.

EARMARK_FUZZ_DECIDE says how many are tried (40 by default). Tables are of every family of `strategies`, and of
amounts from the ends of the floats; plans have limits on any measure, on some users, as shares, and users served
before. Refusals after the integer programme's whole effort ("in the time given": amounts that must add up to the last
digit) are counted apart.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from allocation import Problem, ProblemError
from allocation.jobs.batch.decide_terminal import print_decisions
from allocation.jobs.batch.inspect import inspect_decisions
from tests.allocation.jobs.batch.decide_runs import (
    decide,
    decisions,
    names,
    plan_of,
    response_table,
    summed,
    write_responses,
)
from tests.strategies import FAMILIES, random_problem
from uplift.errors import InputError

COUNT = int(os.environ.get("EARMARK_FUZZ_DECIDE", "40"))
SECONDS = 10.0
EXTREME = (5e-324, 1e-310, 1e-200, 1e-7, 0.0, 1.0, -1.0, 1e99, -1e100, 1e100)
BOUNDS = (0.0, 1.0, 0.1, 1e-310, 1e50)
SEGMENTS = ("heavy", "light", None)


def random_table(rng: np.random.Generator) -> Problem:
    """A problem of any family, of few or many users, at times with amounts that stand at the ends of the floats."""
    n, arms = int(rng.choice([1, 2, 5, 60, 400])), int(rng.integers(0, 4))
    problem = random_problem(rng, n, arms, str(rng.choice(FAMILIES)))
    shape, minutes = problem.value.shape, {"minutes": rng.integers(0, 4, problem.value.shape).astype(float)}
    value, cost = problem.value, problem.cost
    if rng.random() < 0.2:
        value, cost = (rng.choice(EXTREME, shape) if rng.random() < 0.7 else table for table in (value, cost))
    if rng.random() < 0.1:
        value, cost = 10.0 ** rng.integers(-120, 99, shape), 10.0 ** rng.integers(-120, 99, shape)
    return Problem(value, cost, problem.budget, problem.eligible, resources=minutes)


def random_limit(rng: np.random.Generator, k: int, n: int, arms: tuple[str, ...], *, budget: bool) -> str:
    """A limit as TOML, often one that nobody can hold."""
    measure = str(rng.choice(["users", "cost", "value", "minutes"]))
    text = f'\n[[limit]]\nname = "l{k}"\nmeasure = "{measure}"\n'
    shares = measure == "users" or (measure == "cost" and budget)
    sides = [side for side in ("min", "max") if rng.random() < 0.6] or ["max"]
    for side in sides:
        share = f'"{int(rng.integers(0, 101))}%"' if shares and rng.random() < 0.5 else ""
        bound = 0.0 if side == "min" and rng.random() < 0.6 else float(rng.choice([*BOUNDS, n / 4, n / 2, n, 10 * n]))
        text += f"{side} = {share or repr(bound)}\n"
    if rng.random() < 0.4:
        chosen = rng.permutation(arms)[: int(rng.integers(1, len(arms) + 1))]
        text += f"arms = {json.dumps(chosen.tolist())}\n"
    if rng.random() < 0.4:
        text += f'where = {{ segment = "{rng.choice(["heavy", "light"])}" }}\n'
    return text


def served(rng: np.random.Generator, table: pa.Table, path: Path, arms: tuple[str, ...]) -> str:
    """A file of some users who were given any arm at any price."""
    some = table.take(pa.array(np.flatnonzero(rng.random(len(table)) < 0.3)))
    columns: dict[str, Any] = {name: some[name] for name in ("user_id", "segment")}
    columns["arm"] = pa.array([str(arm) for arm in rng.choice(arms, len(some))], pa.string())
    for name in ("cost", "value", "resource.minutes"):
        columns[name] = rng.integers(0, 3, len(some)).astype(float)
    pq.write_table(pa.table(columns), path)
    return str(path)


def tried(seed: int, folder: Path) -> str:
    """One table and one plan: "decided", "refused", or "given up" by the integer programme."""
    rng = np.random.default_rng(seed)
    problem = random_table(rng)
    n, arms = len(problem.value), names(problem.value.shape[1])
    table = response_table(problem, segment=pa.array([SEGMENTS[k] for k in rng.integers(0, 3, n)], pa.string()))
    write_responses(folder / "r", table, int(rng.integers(1, 3)) if n > 1 else 1)
    budget = problem.budget if problem.budget is not None and np.isfinite(problem.budget) else None
    several = range(int(rng.choice([0, 1, 1, 2, 4])))
    limits = "".join(random_limit(rng, k, n, arms, budget=budget is not None) for k in several)
    plan = plan_of(folder / "r", budget, int(rng.choice([7, 100, 1_000])), limits)
    out = folder / "out"
    spent = served(rng, table, folder / "spent.parquet", arms) if rng.random() < 0.25 else None
    try:
        result = decide(plan, out, spent=spent)
    except (InputError, ProblemError) as error:
        told = str(error)
        if out.exists():
            raise AssertionError("decisions of a run that failed") from error
        return "given up" if "in the time given" in told else "refused"
    assert inspect_decisions(out, folder / "r").problems == ()
    money = result.manifest["budget"]
    assert money is None or summed(decisions(out)["expected_cost"].to_pylist()) <= money
    print_decisions(result, Console(file=io.StringIO(), width=80))
    return "decided"


def test_random_tables_and_plans_are_decided_or_refused(tmp_path: Path):
    came, slowest = {"decided": 0, "refused": 0, "given up": 0}, (0.0, 0)
    for seed in range(COUNT):
        folder = tmp_path / str(seed)
        folder.mkdir()
        began = time.monotonic()
        try:
            what = tried(seed, folder)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        came[what] += 1
        slowest = max(slowest, (time.monotonic() - began, seed))
        shutil.rmtree(folder)
    counts = ", ".join(f"{count} {what}" for what, count in came.items())
    print(f"{counts}, slowest {slowest[0]:.2f} s (seed {slowest[1]})")  # noqa: T201  # with -s
    assert slowest[0] < SECONDS, f"seed {slowest[1]}"
    assert came["decided"] >= COUNT // 4
    assert came["given up"] <= COUNT // 50
