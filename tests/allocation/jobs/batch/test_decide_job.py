"""The batch job against the same problem in memory: the same decisions row for row, whatever files and parts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation import Problem, solve
from allocation.engine.limit import ProblemError
from allocation.engine.price import margins
from tests.allocation.jobs.batch.decide_runs import (
    arms_of,
    assert_manifest,
    content,
    decide,
    decisions,
    manifest,
    names,
    plan_of,
    response_table,
    write_responses,
)
from tests.strategies import FAMILIES, random_problem


def assert_decided(problem: Problem, ids: pa.ChunkedArray, out: Path) -> None:
    """Every row is the user's in its place, with the arm, amounts and margin of `solve`."""
    held, table = solve(problem), decisions(out)
    assert table.column_names == ["user_id", "arm", "expected_value", "expected_cost", "margin"]
    assert table["user_id"].to_pylist() == ids.to_pylist()
    decision = arms_of(table, names(problem.value.shape[1]))
    np.testing.assert_array_equal(decision, held.decision)
    rows = np.arange(problem.n_users)
    np.testing.assert_array_equal(table["expected_value"].to_numpy(), problem.value[rows, decision])
    np.testing.assert_array_equal(table["expected_cost"].to_numpy(), problem.cost[rows, decision])
    np.testing.assert_array_equal(table["margin"].to_numpy(), margins(problem, held))
    told = manifest(out)
    assert (told["price"], told["totals"]["gain"]) == (held.price, held.gain)
    assert math.isclose(told["bound"], held.bound, rel_tol=1e-12, abs_tol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_are_those_of_the_table_in_memory(family: str, tmp_path: Path):
    """Parts of one user, of some, and of more than there are, from one file and from several."""
    rng = np.random.default_rng([1, FAMILIES.index(family)])
    problem = random_problem(rng, int(rng.integers(5, 60)), int(rng.integers(1, 5)), family)
    budget = None if problem.budget is None or math.isinf(problem.budget) else problem.budget
    table = response_table(problem)
    for part_rows, files in ((1, 1), (7, 3), (1_000, 2)):
        folder = write_responses(tmp_path / f"responses {files}", table, min(files, problem.n_users))
        out = tmp_path / f"out {part_rows}"
        result = decide(plan_of(folder, budget, part_rows), out)
        assert_decided(problem, table["user_id"], out)
        assert_manifest(out, budget)
        assert len(manifest(out)["parts"]) == math.ceil(problem.n_users / part_rows)
        assert result.run_id == manifest(out)["run"]


@pytest.mark.parametrize("how", ["float64", "float32", "integers", "mixed widths", "small pages"])
def test_widths_and_pages_of_the_files_are_no_part_of_the_problem(how: str, tmp_path: Path):
    """Whole numbers, so that every width holds them exactly."""
    rng = np.random.default_rng([2, len(how)])
    value, cost = rng.integers(0, 50, (300, 3)).astype(float), rng.integers(0, 20, (300, 3)).astype(float)
    cost[:, 0] = 0
    problem = Problem(value, cost, 400.0)
    table = response_table(problem)
    kinds = {
        "float32": [pa.float32()],
        "integers": [pa.int32()],
        "mixed widths": [pa.float32(), pa.float64(), pa.int16()],
    }
    for k, name in enumerate(table.column_names):
        if how in kinds and name != "user_id":
            table = table.set_column(k, name, table[name].cast(kinds[how][k % len(kinds[how])]))
    settings = {"row_group_size": 37, "data_page_size": 64} if how == "small pages" else {}
    decide(plan_of(write_responses(tmp_path / "r", table, 2, **settings), 400.0, 50), tmp_path / "out")
    held, found = solve(problem), decisions(tmp_path / "out")
    np.testing.assert_array_equal(arms_of(found, names(3)), held.decision)
    assert_manifest(tmp_path / "out", 400.0)


def test_ids_of_text_and_columns_in_any_order(tmp_path: Path):
    problem = random_problem(np.random.default_rng(3), 90, 3, "generic")
    table = response_table(problem, note=pa.array([None] * 90, type=pa.string()))
    ids = pa.array([f"user {k} é/..\\" for k in range(90)])
    table = table.set_column(0, "user_id", ids)
    order = sorted(table.column_names, key=lambda name: (not name.startswith("value."), name[::-1]))
    values = [name for name in table.column_names if name.startswith("value.")]
    others = [name for name in order if name not in values]
    folder = write_responses(tmp_path / "r", table.select([*others, *values]))
    decide(plan_of(folder, problem.budget, 40), tmp_path / "out")
    assert_decided(problem, pa.chunked_array([ids]), tmp_path / "out")


def test_hive_folders_are_attributes_and_order(tmp_path: Path):
    """Users of segment=a come before those of segment=b, and a limit asks for the folder's name."""
    rng = np.random.default_rng(4)
    problem = random_problem(rng, 80, 3, "generic")
    table = response_table(problem)
    for segment, first, end in (("a", 0, 50), ("b", 50, 80)):
        write_responses(tmp_path / "r" / f"segment={segment}", table.slice(first, end - first), 2)
    decide(plan_of(tmp_path / "r", problem.budget, 33), tmp_path / "out")
    assert_decided(problem, table["user_id"], tmp_path / "out")
    limits = '[[limit]]\nname = "few"\nwhere = { segment = "b" }\nmax = 4\n'
    decide(plan_of(tmp_path / "r", problem.budget, 33, limits), tmp_path / "out")
    decision = arms_of(decisions(tmp_path / "out"), names(4))
    assert (decision[50:] > 0).sum() <= 4
    assert (decision[:50] > 0).sum() > 4


def test_files_without_rows_among_others_and_a_glob(tmp_path: Path):
    problem = random_problem(np.random.default_rng(5), 40, 2, "generic")
    table = response_table(problem)
    folder = write_responses(tmp_path / "r", table, 3)
    pq.write_table(table.slice(0, 0), folder / "r0005.parquet")
    pq.write_table(table.slice(0, 9), folder / "other.parquet")
    decide(plan_of(folder / "r0*.parquet", problem.budget, 11), tmp_path / "out")
    assert_decided(problem, table["user_id"], tmp_path / "out")


@pytest.mark.parametrize("before", [True, False])
def test_too_little_money_is_one_message_and_nothing_is_written(before: bool, tmp_path: Path):
    rng = np.random.default_rng(6)
    cost = rng.uniform(1, 2, (50, 3))
    problem = Problem(rng.random((50, 3)), cost, 100.0)
    folder = write_responses(tmp_path / "r", response_table(problem))
    if before:
        decide(plan_of(folder, 100.0, 20), tmp_path / "out")
    there = content(tmp_path / "out") if before else None
    with pytest.raises(
        ProblemError, match=r"^the budget 3 cannot be met: the cheapest arm of every user costs [0-9.]+"
    ):
        decide(plan_of(folder, 3.0, 20), tmp_path / "out")
    assert there == (content(tmp_path / "out") if before else None)
    assert sorted(p.name for p in tmp_path.iterdir()) == (["out", "r"] if before else ["r"])


def test_everything_is_exact_where_floats_are_not(tmp_path: Path):
    """A third of the users at 0.1 each: the float sum of the costs is another than the exact one."""
    n = 3_000
    value = np.column_stack([np.zeros(n), np.arange(n, 0, -1.0)])
    cost = np.column_stack([np.zeros(n), np.full(n, 0.1)])
    folder = write_responses(tmp_path / "r", response_table(Problem(value, cost, 1.0)))
    for budget in (100.0, 100.00000000000556, math.nextafter(100.0, 0)):
        decide(plan_of(folder, budget, 700), tmp_path / "out")
        assert_decided(
            Problem(value, cost, budget), response_table(Problem(value, cost, 1.0))["user_id"], tmp_path / "out"
        )
        assert_manifest(tmp_path / "out", budget)
