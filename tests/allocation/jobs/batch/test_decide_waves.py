"""Waves: users served are left alone, and what they used is taken off the budget and every limit, exactly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation import Limit, Problem, solve
from allocation.engine.limit import ProblemError
from allocation.jobs.batch.terms import served_digest
from allocation.jobs.plan import parse_plan
from allocation.jobs.tables.served import read_served
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
    summed,
    write_responses,
)
from uplift.errors import InputError

N, ARMS = 400, names(3)
LIMITS = """
[[limit]]
name = "reach"
max = "50%"
[[limit]]
name = "heavy"
where = { segment = "heavy" }
min = "20%"
max = "60%"
[[limit]]
name = "dear"
measure = "cost"
arms = ["arm 2"]
max = "40%"
[[limit]]
name = "calls"
measure = "minutes"
max = 200
"""


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Amounts in cents and tenths, which no float holds exactly."""
    rng = np.random.default_rng(1)
    value = np.column_stack([np.zeros(N), rng.integers(1, 900, (N, 2)) / 100])
    cost = np.column_stack([np.zeros(N), rng.integers(1, 30, (N, 2)) / 10])
    minutes = np.column_stack([np.zeros(N), rng.integers(0, 20, (N, 2)) / 10])
    return Problem(value, cost, 300.0, resources={"minutes": minutes})


@pytest.fixture(scope="module")
def heavy() -> np.ndarray:
    """Who is heavy."""
    return np.random.default_rng(2).random(N) < 0.4


def table_of(problem: Problem, heavy: np.ndarray) -> pa.Table:
    """The responses."""
    return response_table(problem, segment=np.where(heavy, "heavy", "light"))


def spent_of(wave: pa.Table, rows: np.ndarray, problem: Problem, heavy: np.ndarray) -> tuple[pa.Table, np.ndarray]:
    """A file of the users at `rows` of a wave, at what they were expected to cost, and which users they are."""
    some = wave.take(pa.array(rows))
    users, arm = (np.array(some["user_id"].to_pylist()) - 10) // 7, arms_of(some, ARMS)
    table = pa.table(
        {
            "user_id": some["user_id"],
            "arm": some["arm"].cast(pa.string()),
            "cost": some["expected_cost"],
            "segment": np.where(heavy[users], "heavy", "light"),
            "resource.minutes": problem.resources["minutes"][users, arm],
        }
    )
    return table, users


@pytest.mark.parametrize("part_rows", [30, 1_000])
def test_three_waves_keep_the_whole_budget_and_each_is_the_best_of_what_is_left(
    problem: Problem, heavy: np.ndarray, part_rows: int, tmp_path: Path
):
    """Without limits: each wave is `solve` of the users left for the money left."""
    rng = np.random.default_rng(3)
    folder = write_responses(tmp_path / "r", table_of(problem, heavy), 2)
    plan = plan_of(folder, 300.0, part_rows)
    decide(plan, tmp_path / "out")
    served, left = [], np.arange(N)
    for _ in range(3):
        wave = decisions(tmp_path / "out")
        some, users = spent_of(wave, rng.permutation(len(wave))[:120], problem, heavy)
        served.append(some.drop(["segment"]))
        spent = pa.concat_tables(served)
        pq.write_table(spent, tmp_path / "spent.parquet")
        result = decide(plan, tmp_path / "out", spent=str(tmp_path / "spent.parquet"))
        left = np.setdiff1d(left, users)
        used = summed(spent["cost"].to_pylist())
        assert decisions(tmp_path / "out")["user_id"].to_pylist() == (10 + 7 * left).tolist()
        money = manifest(tmp_path / "out")["budget"]
        assert Fraction(money) <= Fraction(300.0) - used < Fraction(np.nextafter(money, np.inf))
        held = solve(Problem(problem.value[left], problem.cost[left], money))
        np.testing.assert_array_equal(arms_of(decisions(tmp_path / "out"), ARMS), held.decision)
        assert_manifest(tmp_path / "out", money)
        assert used + summed(decisions(tmp_path / "out")["expected_cost"].to_pylist()) <= 300
        assert result.served == (len(spent), float(used))
        assert manifest(tmp_path / "out")["spent"]["users"] == len(spent)


def test_limits_count_the_served_and_the_others_together(problem: Problem, heavy: np.ndarray, tmp_path: Path):
    rng = np.random.default_rng(4)
    folder = write_responses(tmp_path / "r", table_of(problem, heavy))
    plan = plan_of(folder, 300.0, 90, LIMITS)
    decide(plan, tmp_path / "out")
    wave = decisions(tmp_path / "out")
    spent, users = spent_of(wave, rng.permutation(N)[:150], problem, heavy)
    pq.write_table(spent, tmp_path / "spent.parquet")
    decide(plan, tmp_path / "out", spent=str(tmp_path / "spent.parquet"))
    rest = decisions(tmp_path / "out")
    left = np.setdiff1d(np.arange(N), users)
    who = np.concatenate([users, left])
    arm = np.concatenate([arms_of(spent, ARMS), arms_of(rest, ARMS)])
    cost = np.array(spent["cost"].to_pylist() + rest["expected_cost"].to_pylist())
    minutes = problem.resources["minutes"][who, arm]
    share = int(heavy.sum())
    assert (arm > 0).sum() <= N // 2
    assert -(-share // 5) <= (arm > 0)[heavy[who]].sum() <= share * 6 // 10
    assert summed(cost[arm == 2].tolist()) <= Fraction(0.4 * 300.0)
    assert summed(minutes[arm > 0].tolist()) <= 200
    assert summed(cost.tolist()) <= 300
    told = {limit["name"]: limit for limit in manifest(tmp_path / "out")["limits"]}
    gone = arms_of(spent, ARMS) > 0
    assert told["reach"]["max"] == N // 2 - gone.sum()
    assert told["heavy"]["max"] == share * 6 // 10 - gone[heavy[users]].sum()
    limits = [
        Limit("reach", max=told["reach"]["max"]),
        Limit("heavy", min=told["heavy"]["min"], max=told["heavy"]["max"], users=heavy[left]),
        Limit("dear", "cost", max=told["dear"]["max"], arms=[2]),
        Limit("calls", "minutes", max=told["calls"]["max"]),
    ]
    resources = {"minutes": problem.resources["minutes"][left]}
    money = manifest(tmp_path / "out")["budget"]
    held = solve(Problem(problem.value[left], problem.cost[left], money, None, limits, resources))
    np.testing.assert_array_equal(arms_of(rest, ARMS), held.decision)


@pytest.mark.parametrize("limits", ["", '[[limit]]\nname = "few"\nmax = "50%"\n'])
def test_everybody_is_served_and_some_who_are_not_in_the_table(
    problem: Problem, heavy: np.ndarray, limits: str, tmp_path: Path
):
    """A folder of parts without a row, which is one all the same."""
    folder = write_responses(tmp_path / "r", table_of(problem, heavy))
    ids = [*(10 + 7 * np.arange(N)).tolist(), 1, 2]
    spent = pa.table({"user_id": ids, "arm": ["none"] * (N + 2), "cost": [0.0] * (N + 2)})
    pq.write_table(spent, tmp_path / "spent.parquet")
    plan = plan_of(folder, 300.0, 150, limits)
    decide(plan, tmp_path / "out", spent=str(tmp_path / "spent.parquet"))
    assert len(decisions(tmp_path / "out")) == 0
    assert_manifest(tmp_path / "out", 300.0)
    assert [part["rows"] for part in manifest(tmp_path / "out")["parts"]] == [0, 0, 0]
    again = content(tmp_path / "out")
    decide(plan, tmp_path / "out", spent=str(tmp_path / "spent.parquet"))
    assert content(tmp_path / "out") == again
    dry = decide(plan, tmp_path / "out", dry_run=True)
    assert (dry.changes.same, dry.changes.moved) == (0, 0)
    assert sum(count for _, _, count in dry.changes.biggest(99)) == N


def test_a_part_whose_users_are_all_served_among_others(problem: Problem, heavy: np.ndarray, tmp_path: Path):
    folder = write_responses(tmp_path / "r", table_of(problem, heavy))
    ids = (10 + 7 * np.arange(100, 200)).tolist()
    pq.write_table(pa.table({"user_id": ids, "arm": ["none"] * 100, "cost": [0.0] * 100}), tmp_path / "spent.parquet")
    for limits in ("", '[[limit]]\nname = "few"\nwhere = { segment = "heavy" }\nmax = 9\n'):
        spent = tmp_path / "spent.parquet"
        if limits:
            table = pq.read_table(spent)
            pq.write_table(table.append_column("segment", pa.array(["light"] * 100)), spent)
        decide(plan_of(folder, 300.0, 100, limits), tmp_path / "out", spent=str(spent))
        assert [part["rows"] for part in manifest(tmp_path / "out")["parts"]] == [100, 0, 100, 100]
        dry = decide(plan_of(folder, 300.0, 100, limits), tmp_path / "out", dry_run=True, spent=str(spent))
        assert (dry.changes.same, dry.changes.moved) == (300, 0)


@pytest.mark.parametrize(
    ("cost", "limits", "match"),
    [
        (301.0, "", r"the budget is 300, and by .*spent.parquet 301 is spent already"),
        (1.0, '[[limit]]\nname = "few"\nmax = 0\n', "limit 'few' allows at most 0, and the served .* used 1"),
        (9.5, '[[limit]]\nname = "dear"\nmeasure = "cost"\nmax = 9\n', "limit 'dear' allows at most 9"),
    ],
)
def test_more_used_than_there_is_is_one_message(
    problem: Problem, heavy: np.ndarray, cost: float, limits: str, match: str, tmp_path: Path
):
    folder, out = write_responses(tmp_path / "r", table_of(problem, heavy)), tmp_path / "out"
    decide(plan_of(folder, 300.0, 150), out)
    before = content(out)
    pq.write_table(pa.table({"user_id": [10], "arm": ["arm 1"], "cost": [cost]}), tmp_path / "spent.parquet")
    with pytest.raises(ProblemError, match=match):
        decide(plan_of(folder, 300.0, 150, limits), out, spent=str(tmp_path / "spent.parquet"))
    assert content(out) == before


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_whoever_was_served_otherwise_has_another_checksum(kind: pa.DataType, tmp_path: Path):
    """Not so for rows in another order, nor for what no limit asks about."""
    plan = parse_plan(plan_of("r", 9.0, 10, '[[limit]]\nname = "few"\nwhere = { segment = "heavy" }\nmax = 9\n'))
    rows = {"user_id": pa.array([1, 11, 2], pa.int64()).cast(kind), "arm": ["a", "b", "a"], "cost": [1.0, 2.0, 1.0]}
    rows |= {"resource.minutes": [1, 2, 1], "segment": ["heavy", "light", None], "note": ["x", "y", "z"]}

    def checksum(table: pa.Table) -> str:
        pq.write_table(table, tmp_path / "s.parquet")
        return served_digest(plan, read_served(tmp_path / "s.parquet", kind, ("a", "b")))

    table = pa.table(rows)
    same = [table, table.take([2, 0, 1]), table.drop(["note"])]
    changes = {
        "user_id": pa.array([1, 11, 12], pa.int64()).cast(kind),
        "arm": ["a", "b", "b"],
        "cost": [1.0, 2.0, 1.5],
        "resource.minutes": [1, 2, 3],
        "segment": ["heavy", "heavy", None],
    }
    other = [pa.table(rows | {name: cells}) for name, cells in changes.items()]
    other += [table.append_column("value", [[0.0] * 3]), table.append_column("resource.calls", [[0.0] * 3])]
    assert len({checksum(one) for one in same}) == 1
    assert len({checksum(one) for one in (table, *other)}) == 1 + len(other)


def test_users_served_that_lie_where_the_decisions_go_are_refused(
    problem: Problem, heavy: np.ndarray, tmp_path: Path
):
    folder, spent = write_responses(tmp_path / "r", table_of(problem, heavy)), tmp_path / "out" / "spent"
    spent.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [10], "arm": ["none"], "cost": [0.0]}), spent / "s.parquet")
    for out, how in ((spent / "more", "lies under"), (tmp_path / "out", "holds"), (spent, "is")):
        with pytest.raises(InputError, match=f"which {how} the users served already, {spent}; .* must lie apart"):
            decide(plan_of(folder, 300.0, 150), out, spent=str(spent))
    assert [p.name for p in spent.iterdir()] == ["s.parquet"]


def test_shares_are_of_everybody_whether_they_are_still_in_the_table_or_not(
    problem: Problem, heavy: np.ndarray, tmp_path: Path
):
    """A table from which those who were served are gone gives the same wave as one that still has them.

    20% of 400 users is 80, of whom 30 are served.
    """
    table, limits = table_of(problem, heavy), '[[limit]]\nname = "reach"\nmax = "20%"\n'
    spent = pa.table({"user_id": table["user_id"].slice(0, 30), "arm": ["arm 1"] * 30, "cost": [1.0] * 30})
    pq.write_table(spent, tmp_path / "spent.parquet")
    found = []
    for name, rows in (("all", table), ("rest", table.slice(30))):
        folder = write_responses(tmp_path / name, rows)
        plan = plan_of(folder, 300.0, 1_000, limits)
        decide(plan, tmp_path / f"out {name}", spent=str(tmp_path / "spent.parquet"))
        assert manifest(tmp_path / f"out {name}")["limits"][0]["max"] == 50
        found.append(decisions(tmp_path / f"out {name}"))
    assert found[0].equals(found[1])


def test_a_limit_that_is_about_nobody_served_or_not_is_refused(problem: Problem, heavy: np.ndarray, tmp_path: Path):
    """One that was about served users alone is not."""
    folder = write_responses(tmp_path / "r", table_of(problem, heavy))
    spent = pa.table({"user_id": [10], "arm": ["arm 1"], "cost": [1.0], "segment": ["vip"]})
    pq.write_table(spent, tmp_path / "spent.parquet")
    limit = '[[limit]]\nname = "few"\nwhere = {{ segment = "{}" }}\nmax = 9\n'
    task = {"spent": str(tmp_path / "spent.parquet")}
    decide(plan_of(folder, 300.0, 150, limit.format("vip")), tmp_path / "out", **task)
    assert manifest(tmp_path / "out")["limits"][0]["max"] == 8
    message = (
        r"limit 'few' is about nobody: no user has segment = \['nobody'\] \(segment has '\w+'.* may have others\)"
    )
    with pytest.raises(InputError, match=message):
        decide(plan_of(folder, 300.0, 150, limit.format("nobody")), tmp_path / "out", **task)
