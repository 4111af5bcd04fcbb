"""Spark that is not there or cannot be used: one message each, from the command and without a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from allocation.jobs.spark_session import check_java, failure
from tests.allocation.jobs.spark_runs import Users, earmark
from uplift.errors import InputError

WITHOUT_PYSPARK = "sys.modules['pyspark'] = None"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    Users(50).write(folder / "responses")
    (folder / "plan.toml").write_text('[plan]\nname = "p"\nresponses = "responses"\nbudget = 20\npart_rows = 20\n')
    return folder / "plan.toml"


def java(folder: Path, says: str) -> Path:
    """A JAVA_HOME whose java says what is told."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    (folder / "bin" / "java").chmod(0o755)
    return folder


@pytest.mark.parametrize("says", ['openjdk version "17.0.15" 2025-04-15', 'java version "21" 2023-09-19 LTS'])
def test_a_java_that_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "java", says)))
    check_java()


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ('java version "1.8.0_392"', r"bin/java is Java 8; install Java 17 or later .* or set JAVA_HOME"),
        ('openjdk version "11.0.2" 2019-01-15', r"bin/java is Java 11; install Java 17 or later"),
        ("nothing", r"bin/java -version tells no version; install Java 17 or later"),
    ],
)
def test_a_java_that_will_not_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, message: str):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path / "java", says)))
    with pytest.raises(InputError, match=message):
        check_java()


def test_a_java_home_without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(InputError, match=r"bin/java does not start .*; install Java 17"):
        check_java()


def test_the_command_without_java(plan: Path, tmp_path: Path):
    out = tmp_path / "out"
    done = earmark("decide", str(plan), "--out", str(out), "--engine", "spark", PATH=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 1
    assert "error: Spark needs Java 17, and there is no java on the PATH and no JAVA_HOME; install" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_the_command_without_pyspark(plan: Path, tmp_path: Path):
    done = earmark("decide", str(plan), "--out", str(tmp_path / "o"), "--engine", "spark", before=WITHOUT_PYSPARK)
    assert done.returncode == 1
    assert "error: earmark[spark] is not installed: pip install 'earmark[spark]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("master", "message"),
    [
        ("spark://127.0.0.1:1", "nothing answers there ([Errno 111] Connection refused); start it, or mend the URL"),
        ("sc://127.0.0.1", "a Spark Connect server; give the cluster's own, spark://host:7077"),
        (
            "lokal[2]",
            "Spark cannot be started with master 'lokal[2]': Master must either be yarn or start with spark",
        ),
    ],
)
def test_the_command_with_a_master_that_is_none(
    has_java: None, plan: Path, tmp_path: Path, master: str, message: str
):
    done = earmark("decide", str(plan), "--out", str(tmp_path / "o"), "--engine", "spark", "--master", master)
    assert done.returncode == 1
    assert message in done.stderr
    assert not [word for word in ("Traceback", "WARN", "WARNING") if word in done.stderr]


def test_the_command_starts_and_stops_a_quiet_session(has_java: None, plan: Path, tmp_path: Path):
    """Nothing of Java's on the terminal, and nothing of Spark's beside the decisions."""
    places = [tmp_path / "local" / "out", tmp_path / "spark" / "out"]
    for place, engine in zip(places, (["local"], ["spark", "--master", "local[2]"]), strict=True):
        done = earmark("decide", str(plan), "--out", str(place), "--engine", *engine, "--log", "json")
        assert done.returncode == 0, done.stderr
        assert all(line.startswith("{") for line in done.stderr.splitlines()), done.stderr
    assert [path.name for path in (tmp_path / "spark").iterdir()] == ["out"]
    bytes_of = [{path.name: path.read_bytes() for path in place.iterdir()} for place in places]
    assert bytes_of[0] == bytes_of[1]


JAVA_DIES = """
from pathlib import Path
from pyspark import SparkContext
from allocation.jobs.batch.decide_job import Watch, run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.plan import read_plan
from allocation.jobs.spark_session import open_session, stop
from uplift.errors import InputError

def kill(what, done, of):
    if what == "writing decisions" and done == 0:
        SparkContext._gateway.proc.kill()

task = DecideTask(read_plan(sys.argv[1]), Path(sys.argv[2]), engine="spark", master="local[1]")
try:
    run_decide(task, Watch(users=kill))
except InputError as error:
    print(error)
spark, _ = open_session("local[1]")
print(spark.sparkContext.getConf().get("spark.driver.memory"))
print(spark._jvm.Runtime.getRuntime().maxMemory() >> 20)
print(run_decide(task).manifest["rows"])
stop(spark)
sys.exit()
"""


def test_where_java_dies_there_is_one_message_and_the_next_run_starts_anew(
    has_java: None, plan: Path, tmp_path: Path
):
    """With the memory that Java is given."""
    done = earmark(str(plan), str(tmp_path / "out"), before=JAVA_DIES, SPARK_DRIVER_MEMORY="600m")
    *said, memory, rows = done.stdout.splitlines()
    assert 500 < int(memory) <= 600
    assert [*said, rows] == [
        "Spark gave up 'writing decisions': Java, in which Spark runs, has died; most likely memory ran out: give "
        "Spark more of it, or less to do (decide: part_rows, fit: --processes)",
        "600m",
        "50",
    ]
    assert done.stderr == ""


JAVA_TOLD = """An error occurred while calling o45.collectAsArrowToPython.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times, most recent:
Lost task 0.0 in stage 1.0 (TID 1) (host executor driver): org.apache.spark.SparkException: %s
\tat org.apache.spark.api.python.BasePythonRunner.handle(PythonRunner.scala:624)
Caused by: java.io.EOFException
\tat java.base/java.io.DataInputStream.readInt(DataInputStream.java:398)
"""
PYTHON_TOLD = """
  An exception was thrown from the Python worker. Please see the stack trace below.
Traceback (most recent call last):
  File "worker.py", line 1, in main
    process()
ModuleNotFoundError: No module named 'allocation'
"""


def test_java_stacks_become_a_line():
    said = failure("settling", JAVA_TOLD % "Python worker exited unexpectedly (crashed)")
    assert said == (
        "Spark gave up 'settling': Python worker exited unexpectedly (crashed); most likely memory ran out: give "
        "Spark more of it, or less to do (decide: part_rows, fit: --processes)"
    )
    said = failure("training", JAVA_TOLD % "java.lang.OutOfMemoryError: Java heap space")
    assert said == (
        "Spark gave up 'training': Java heap space; most likely memory ran out: give Spark more of it, or less to do "
        "(decide: part_rows, fit: --processes); on one machine set SPARK_DRIVER_MEMORY (2g), on a cluster "
        "spark.executor.memory"
    )
    said = failure("frontier", PYTHON_TOLD)
    assert said == (
        "Spark gave up 'frontier': ModuleNotFoundError: No module named 'allocation'; "
        "install the same earmark in the Python of every executor"
    )


def test_a_long_reason_is_cut():
    assert len(failure("settling", "Traceback (most recent call last):\nValueError: " + "x" * 5_000)) < 400
