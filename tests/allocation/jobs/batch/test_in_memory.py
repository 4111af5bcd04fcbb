"""`allocation.decide`: any kind of table in memory, row for row the job's decisions on the same users in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from allocation import Limit, Problem, ProblemError, decide, solve
from allocation.jobs.plan import parse_plan
from tests.allocation.jobs.batch import decide_runs
from tests.allocation.jobs.batch.decide_runs import arms_of, names, plan_of, response_table, write_responses
from tests.strategies import random_problem
from uplift import InputError, Response

N, K = 300, 3
ARMS = names(K + 1)
LIMITS = """
[[limit]]
name = "few"
where = { heavy = true }
max = "20%"

[[limit]]
name = "first arm"
arms = ["arm 1"]
measure = "cost"
min = 5.0
max = 40.0
"""
HEAVY = np.arange(N) % 3 == 0


def problem_of(family: str = "generic", seed: int = 0) -> Problem:
    """A problem of N users."""
    return random_problem(np.random.default_rng(seed), N, K, family)


def limited(problem: Problem) -> Problem:
    """The same problem with LIMITS, as `solve` takes them."""
    few = Limit("few", max=int(0.2 * HEAVY.sum()), users=HEAVY)
    return Problem(
        problem.value, problem.cost, 90.0, limits=[few, Limit("first arm", "cost", min=5.0, max=40.0, arms=(1,))]
    )


KINDS: dict[str, Callable[[pa.Table], Any]] = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "arrow": lambda table: table,
    "arrow, other index": lambda table: table.to_pandas().set_index(np.arange(N)[::-1]),
}


@pytest.mark.parametrize("limits", ["", LIMITS], ids=["budget", "limits"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_is_decided_as_its_file(kind: str, limits: str, tmp_path: Path):
    table = response_table(problem_of(), heavy=HEAVY)
    folder = write_responses(tmp_path / "r", table, 3)
    plan = plan_of(folder, 90.0, 70, limits)
    filed = decide_runs.decide(plan, tmp_path / "out")
    decided = decide(plan, KINDS[kind](table))
    assert decided.table.column_names == ["user_id", "arm", "expected_value", "expected_cost", "margin"]
    assert decided.table.to_pylist() == decide_runs.decisions(tmp_path / "out").to_pylist()
    assert (decided.solved.value, decided.solved.bound) == (filed.solved.value, filed.solved.bound)
    assert list(decided.table.to_pandas()["arm"][:5]) == decided.table["arm"].to_pylist()[:5]


@pytest.mark.parametrize("family", ["generic", "ties", "negative cost", "ineligible arms", "float32", "one user"])
def test_without_limits_it_is_solve(family: str):
    problem = problem_of(family)
    held = solve(problem)
    decided = decide(plan_of("-", problem.budget, 70), response_table(problem))
    np.testing.assert_array_equal(arms_of(decided.table, ARMS), held.decision)
    assert (decided.solved.value, decided.solved.cost, decided.solved.price) == (held.value, held.cost, held.price)


def test_with_limits_it_is_solve_as_long_as_all_users_are_held():
    problem = problem_of()
    held = solve(limited(problem))
    decided = decide(plan_of("-", 90.0, 70, LIMITS), response_table(problem, heavy=HEAVY))
    np.testing.assert_array_equal(arms_of(decided.table, ARMS), held.decision)
    assert [use.used for use in decided.solved.limits] == [use.used for use in held.limits]


def test_resources_are_measured():
    problem = problem_of()
    table = response_table(
        Problem(problem.value, problem.cost, resources={"calls": np.tile(np.arange(K + 1.0), (N, 1))})
    )
    limits = '\n[[limit]]\nname = "calls"\nmeasure = "calls"\nmax = 50\n'
    arm = arms_of(decide(plan_of("-", None, 70, limits), table).table, ARMS)
    assert arm.sum() == 50


def test_a_response_is_decided_as_a_table_of_the_same_cells():
    problem = problem_of()
    ids = np.array([f"u{k}" for k in range(N)])
    response = Response(problem.value, problem.cost, ARMS, user_id=ids)
    decided = decide(plan_of("-", 90.0, 70), response)
    assert decided.table["user_id"].to_pylist() == ids.tolist()
    np.testing.assert_array_equal(
        arms_of(decided.table, ARMS), solve(Problem(problem.value, problem.cost, 90.0)).decision
    )
    unnamed = decide(plan_of("-", 90.0, 70), Response(problem.value, problem.cost, ARMS))
    assert unnamed.table["user_id"].to_pylist() == list(range(N))


def test_a_plan_is_a_plan_its_text_or_its_path(tmp_path: Path):
    table, text = response_table(problem_of()), plan_of("-", 90.0, 70)
    (tmp_path / "p.toml").write_text(text)
    tables = [
        decide(plan, table).table for plan in (text, parse_plan(text), tmp_path / "p.toml", str(tmp_path / "p.toml"))
    ]
    assert all(other.equals(tables[0]) for other in tables)


def test_the_cut_into_parts_changes_nothing():
    table = response_table(problem_of())
    assert decide(plan_of("-", 90.0, 7), table).table.equals(decide(plan_of("-", 90.0, 1_000), table).table)


GOOD = plan_of("-", 90.0)
WRONG: dict[str, tuple[Any, Any, str]] = {
    "a path": (GOOD, "responses.parquet", r"responses is the path 'responses.parquet'; give a data frame"),
    "a Path": (GOOD, Path("responses"), r"responses is the path 'responses'; give a data frame"),
    "a list": (GOOD, [1, 2], "list"),
    "an array": (GOOD, np.zeros((3, 2)), "ndarray"),
    "nothing": (GOOD, None, "NoneType"),
    "no such plan": ("nowhere.toml", response_table(problem_of()), "nowhere.toml does not exist"),
    "a plan with a wrong key": (GOOD + "bugdet = 1\n", response_table(problem_of()), "bugdet"),
    "no value": (GOOD, pa.table({"user_id": [1]}), r"no value\.<arm> column"),
    "no users": (GOOD, response_table(problem_of()).slice(0, 0), "no users|no rows|empty"),
    "a user twice": (
        GOOD,
        pa.concat_tables([response_table(problem_of()), response_table(problem_of())]),
        "stands more than once",
    ),
    "a hole": (
        GOOD,
        pa.table({"user_id": [1], "value.a": pa.array([None], pa.float64()), "cost.a": [0.0]}),
        "missing",
    ),
    "too little": (plan_of("-", 0.0), response_table(Problem(np.ones((2, 1)), np.ones((2, 1)), 2.0)), "budget"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_gets_one_message(case: str):
    plan, responses, message = WRONG[case]
    with pytest.raises((InputError, ProblemError), match=message) as raised:
        decide(plan, responses)
    assert "memory://" not in str(raised.value)
