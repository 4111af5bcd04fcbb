"""The nightly job on Spark, in a real session on two cores: the same rows and bytes as anywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JNetworkError

from allocation import Limit, Problem, solve
from allocation.engine.limit import ProblemError
from allocation.engine.stream.chunks import merged
from allocation.engine.stream.limits import HELD, solve_limits_in_chunks
from allocation.engine.stream.terms import terms_of
from allocation.jobs.batch.decide_job import Watch, run_decide
from allocation.jobs.batch.passes import Cut, LocalPasses
from allocation.jobs.batch.work import Decide, WritePart
from allocation.jobs.spark import SparkPasses
from allocation.jobs.spark_session import open_session
from allocation.jobs.tables.open import open_responses
from tests.allocation.engine.stream.chunked import HeldChunks
from tests.allocation.jobs.batch.decide_runs import decisions
from tests.allocation.jobs.spark_runs import ARMS, LIMITS, Users, run, task
from uplift.errors import InputError

Passes = Callable[..., SparkPasses]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 users."""
    return Users(100).write(tmp_path_factory.mktemp("small") / "responses")


@pytest.fixture
def passes(session: object, small: Path) -> Passes:
    """Passes over 100 users in blocks of `part_rows`."""

    def start(part_rows: int = 10, partitions: int | None = 3, heard: list | None = None) -> SparkPasses:
        hear = (lambda *told: None) if heard is None else lambda *told: heard.append(told)
        return SparkPasses.start(open_responses(small), Cut((), part_rows), hear, None, partitions)

    return start


def held(users: Users, budget: float, limits: bool) -> Problem:
    """The same decision as a problem in memory."""
    table = users.table()
    if users.hive:
        table = table.sort_by([("segment", "ascending"), ("user_id", "ascending")])
    value, cost = (np.column_stack([table[f"{name}.{arm}"] for arm in ARMS]) for name in ("value", "cost"))
    some = Limit("some contact", min=0.2 * users.n, arms=[1, 2])
    heavy = pc.equal(table["segment"], "heavy").to_numpy()
    # A share of users is so many whole users.
    few = Limit("coupons of the heavy", max=heavy.sum() // 10, users=heavy, arms=[3])
    return Problem(value, cost, budget, limits=[few, some] if limits else [])


@pytest.mark.parametrize(
    ("users", "limits"),
    [
        (Users(3_000), False),
        (Users(3_000, ties=True, text=True), False),
        (Users(3_000, ties=True, hive=True), True),
    ],
    ids=["one budget", "ties, text ids", "limits, folders by segment"],
)
def test_decisions_are_the_same_rows_and_bytes_everywhere(
    session: object, tmp_path: Path, users: Users, limits: bool
):
    responses, budget = users.write(tmp_path / "responses"), 0.4 * users.n
    given = (responses, tmp_path / "out", budget, 170, LIMITS if limits else "")
    local = run(task(*given))
    assert len(local) == 19
    in_memory = solve(held(users, budget, limits)).decision
    assert decisions(tmp_path / "out")["arm"].to_pylist() == [ARMS[arm] for arm in in_memory]
    for partitions in (3, 17):
        assert run(task(*given, engine="spark", partitions=partitions)) == local


def test_limits_of_more_users_than_are_held(session: object, tmp_path: Path):
    users = Users(HELD + 10_000)
    budget, size = 0.4 * users.n, 40_000
    given = (users.write(tmp_path / "responses"), tmp_path / "out", budget, size, LIMITS)
    local = run(task(*given))
    arms = decisions(tmp_path / "out")["arm"].to_pylist()
    assert run(task(*given, engine="spark", partitions=3)) == local
    problem = held(users, budget, True)
    rule = solve_limits_in_chunks(chunks := HeldChunks(problem, size), terms(problem), users.n).rule
    assert arms == [ARMS[arm] for chunk in chunks for arm in rule.decide(chunk)]


def terms(problem: Problem):
    return terms_of(problem.budget, problem.limits, ARMS)


def test_waves_are_the_same(session: object, tmp_path: Path):
    responses, budget = Users(3_000, ties=True).write(tmp_path / "responses"), 1_000.0
    run(task(responses, tmp_path / "before", budget, 170))
    spent = decisions(tmp_path / "before").select(["user_id", "arm", "expected_cost"])[::7]
    pq.write_table(spent.rename_columns(["user_id", "arm", "cost"]), tmp_path / "spent.parquet")
    given = {"spent": str(tmp_path / "spent.parquet")}
    local = run(task(responses, tmp_path / "out", budget, 170, **given))
    rest = decisions(tmp_path / "out")
    assert rest.num_rows == 3_000 - spent.num_rows
    assert not set(rest["user_id"].to_pylist()) & set(spent["user_id"].to_pylist())
    assert run(task(responses, tmp_path / "out", budget, 170, **given, engine="spark")) == local


def test_a_dry_run_tells_the_same_changes(session: object, tmp_path: Path):
    responses, out = Users(3_000).write(tmp_path / "responses"), tmp_path / "out"
    run(task(responses, out, 1_000, 170))
    dry = [
        run_decide(task(responses, out, 2_000, 170, dry_run=True, **further))
        for further in ({}, {"engine": "spark", "partitions": 5})
    ]
    assert dry[0].manifest == dry[1].manifest
    assert dry[0].changes.moved > 0
    assert dry[0].changes.users.tolist() == dry[1].changes.users.tolist()


def test_each_returns_what_the_local_passes_do_in_order(passes: Passes, small: Path):
    def work(chunk):
        return {"places": chunk.places(), "value": chunk.value.sum(axis=0), "none": np.empty((0, 2))}

    local = LocalPasses(open_responses(small), Cut((), 7), lambda *told: None)
    for partitions in (1, 4, None):
        found = passes(7, partitions).each(work, "looking")
        for mine, its in zip(found, local.each(work, "looking"), strict=True):
            assert {name: array.tobytes() for name, array in mine.items()} == {
                name: array.tobytes() for name, array in its.items()
            }


@pytest.mark.parametrize("partitions", [1, 3, 17])
def test_trees_merge_to_the_same_digits(passes: Passes, partitions: int):
    def work(chunk):
        return {"sum": chunk.value.sum(axis=0) * np.float32(1e7), "order": chunk.places()}

    def merge(one, other):
        order = np.concatenate([one["order"], other["order"]])
        return {"sum": one["sum"] + np.float32(0.7) * other["sum"], "order": order}

    on_spark = passes(1, partitions)
    local = LocalPasses(on_spark.source, on_spark.cut, lambda *told: None)
    whole, found = (one.tree(work, merge, "merging") for one in (local, on_spark))
    assert found["order"].tolist() == list(range(100))
    assert found["sum"].tobytes() == whole["sum"].tobytes()
    backwards = merged([work(chunk) for chunk in map(on_spark._blocks.chunk, range(99, -1, -1))], merge)
    assert backwards["sum"].tobytes() != whole["sum"].tobytes()


def test_tasks_take_one_core_each_and_are_told_of(passes: Passes):
    def work(chunk):
        return {"threads": np.array([int(os.environ["EARMARK_THREADS"]), pa.cpu_count(), os.getpid()])}

    heard: list = []
    found = passes(heard=heard).each(work, "looking")
    assert {tuple(part["threads"][:2].tolist()) for part in found} == {(1, 1)}
    assert os.getpid() not in {int(part["threads"][2]) for part in found}
    assert heard[0] == ("looking", 0, 100)
    assert heard[-1] == ("looking", 100, 100)
    assert [done for _, done, _ in heard] == sorted({done for _, done, _ in heard})


def test_a_damaged_block_is_the_same_message_as_here(session: object, tmp_path: Path):
    table = Users(100).table()
    cells = table["value.call"].to_numpy().copy()
    cells[62] = np.nan
    at = table.column_names.index("value.call")
    (tmp_path / "responses").mkdir()
    pq.write_table(table.set_column(at, "value.call", pa.array(cells)), tmp_path / "responses" / "users.parquet")
    said = []
    for further in ({}, {"engine": "spark", "partitions": 4}):
        with pytest.raises(InputError, match=r"value\.call.*62") as told:
            run_decide(task(tmp_path / "responses", tmp_path / "out", 50, 10, **further))
        said.append(str(told.value))
    assert said[0] == said[1]
    assert not (tmp_path / "out").exists()


def test_of_tasks_that_fail_the_first_block_is_told_and_errors_keep_their_kind(passes: Passes):
    def work(chunk):
        if chunk.first >= 50:
            raise ProblemError(f"nobody can decide for user {chunk.first}")
        return {}

    for pass_ in (lambda: passes().each(work, "looking"), lambda: passes(1).tree(work, lambda a, _: a, "merging")):
        with pytest.raises(ProblemError, match=r"^nobody can decide for user 50$"):
            pass_()


def test_a_worker_that_dies_and_one_with_a_fault_are_one_message_each(passes: Passes):
    def dies(chunk):
        os._exit(3)

    def fails(chunk):
        raise KeyError("price")

    with pytest.raises(InputError, match=r"^Spark gave up 'settling': [^\n]*; most likely memory ran out: [^\n]*$"):
        passes().each(dies, "settling")
    with pytest.raises(InputError, match=r"^Spark gave up 'settling': KeyError: 'price'; mend that and run again$"):
        passes().each(fails, "settling")


@pytest.mark.parametrize("dead", [False, True], ids=["Java lives", "Java has died too"])
def test_a_stderr_that_was_closed_is_no_failure_of_spark(
    session: object, small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, dead: bool
):
    """Also where the rest of the pass can then not be called off."""
    heard = tmp_path / "heard"

    def work(chunk):
        until = time.monotonic() + 60
        while chunk.first >= 90 and not heard.exists() and time.monotonic() < until:
            time.sleep(0.05)  # the last block ends after the others were heard of, however busy the machine
        return {}

    def hear(what: str, done: int, of: int) -> None:
        if 0 < done < of:
            heard.touch()
            raise BrokenPipeError("stderr is closed")

    calls: list[str] = []

    def cancel(group: str) -> None:
        calls.append(group)
        raise Py4JNetworkError("Answer from Java side is empty")

    if dead:
        monkeypatch.setattr(session.sparkContext, "cancelJobGroup", cancel)
    with pytest.raises(BrokenPipeError, match="stderr is closed"):
        SparkPasses.start(open_responses(small), Cut((), 10), hear, None, 4).each(work, "looking")
    assert len(calls) == dead


def test_executors_that_do_not_see_the_staging_folder(passes: Passes, tmp_path: Path):
    work = WritePart(Decide(None, ARMS), str(tmp_path / "nowhere"), "1" * 64)
    with pytest.raises(InputError, match=r"the staging folder \S+/nowhere does not exist on .*; executors write"):
        passes().blocks(work, "writing decisions")


def test_a_killed_run_goes_on_after_its_last_whole_part(session: object, tmp_path: Path):
    responses = Users(1_000).write(tmp_path / "responses")
    local = run(task(responses, tmp_path / "out", 400, 100))
    stopped = tmp_path / "stopped"

    class Stop(Exception):
        """The run ends here."""

    def users(what: str, done: int, of: int) -> None:
        if what == "writing decisions" and done == of:
            raise Stop

    with pytest.raises(Stop):
        run_decide(task(responses, stopped, 400, 100, engine="spark"), Watch(users=users))
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".stopped.staging")]
    assert len(list(left[0].glob("part-*.parquet"))) == 10
    assert run(task(responses, stopped, 400, 100, engine="spark")) == local
    assert [path.name for path in tmp_path.iterdir() if "staging" in path.name] == []


def test_a_session_that_runs_is_used_and_left_running(passes: Passes):
    with passes() as own:
        assert not own.own
    assert own.each(lambda chunk: {}, "looking") == [{}] * 10
    with pytest.raises(InputError, match=r"a Spark session for local\[2\] runs already, and master is 'local\[7\]'"):
        open_session("local[7]")
