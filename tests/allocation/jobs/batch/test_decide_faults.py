"""Faults through the command itself, in a process of its own: exit code 1, one message, old decisions untouched."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from allocation import Problem
from allocation.jobs.batch import decide_job, part_file, versions
from allocation.jobs.batch.decide_job import Watch, run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.batch.part_file import RUN, write_part
from allocation.jobs.plan import parse_plan, read_plan
from tests.allocation.jobs.batch.decide_runs import content, decide, plan_of, response_table, write_responses
from tests.allocation.jobs.batch.small_runs import mounted
from uplift.errors import InputError

N, ROOT = 30_000, Path(__file__).resolve().parents[4]
# The clock of the process goes back by a year at every look.
CLOCK_BACK = """
import itertools, sys, time
years = itertools.count()
time.time = lambda: 2_000_000_000.0 - 31_536_000.0 * next(years)
time.time_ns = lambda: int(1e9 * time.time())
from allocation.cli import main
sys.argv[0] = "earmark"
main()
"""


def earmark(
    *arguments: object, code: str | None = None, limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `limit` on the size of its files, bytes."""
    how = ["-m", "allocation.cli"] if code is None else ["-c", code]
    begin = None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    line = [sys.executable, *how, *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, preexec_fn=begin, timeout=120)


def assert_told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 1 and one message with these words; no traceback."""
    text = " ".join(done.stderr.split())
    assert done.returncode == 1, text
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in text, text
    assert done.stdout == ""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables of responses, to be copied by whoever changes them."""
    home = tmp_path_factory.mktemp("tables")
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        value = np.column_stack([np.zeros(N), rng.gamma(2, 2, (N, 2))])
        cost = np.column_stack([np.zeros(N), rng.gamma(2, 1, (N, 2))])
        write_responses(home / str(seed), response_table(Problem(value, cost)), 3)
    return home


@pytest.fixture
def plan(tables: Path, tmp_path: Path) -> Path:
    """A plan of the second table."""
    (tmp_path / "plan.toml").write_text(plan_of(tables / "2", 5_000.0, 10_000))
    return tmp_path / "plan.toml"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, int | None]]:
    """A file system of 1 MB and no limit; or, where none may be mounted, a folder and a limit on files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted("-t", "tmpfs", "-o", "size=1000k", "tmpfs", str(disk)):
        yield disk, 100_000
        return
    yield disk, None
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk(small_disk: tuple[Path, int | None], tables: Path, plan: Path):
    """The old decisions fit, the new ones do not fit beside them; with space the same command ends well."""
    disk, limit = small_disk
    decide(plan_of(tables / "1", 5_000.0, 10_000), disk / "out")
    before = content(disk / "out")
    done = earmark("decide", plan, "--out", disk / "out", limit=limit)
    assert_told(done, "cannot be written into", "No space left on device" if limit is None else "File too large")
    assert_told(done, "published before are untouched")
    assert content(disk / "out") == before
    dry = earmark("decide", plan, "--out", disk / "out", "--dry-run")
    assert dry.returncode == 0
    elsewhere = disk.parent / "elsewhere"
    assert earmark("decide", plan, "--out", elsewhere).returncode == 0
    if limit is None:
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
    assert earmark("decide", plan, "--out", disk / "out").returncode == 0
    assert content(disk / "out") == content(elsewhere)


def test_a_read_only_folder(tables: Path, plan: Path, tmp_path: Path):
    """A bind mount that nobody may write to, root neither; where none may be mounted, a place that is so anyway."""
    disk = tmp_path / "disk"
    decide(plan_of(tables / "1", 5_000.0, 10_000), disk / "out")
    before = content(disk / "out")
    bound = mounted("--bind", str(disk), str(disk)) and mounted("-o", "remount,ro,bind", str(disk))
    try:
        out = disk / "out" if bound else Path("/proc/earmark/out")
        assert_told(earmark("decide", plan, "--out", out), "choose another --out")
        assert content(disk / "out") == before
    finally:
        if bound:
            subprocess.run(["umount", "-l", disk], check=True)


DAMAGES = ("cut", "cut to nothing", "a bit in the middle", "no Parquet at all", "a footer of another file")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_part_of_the_input(damage: str, tables: Path, plan: Path, tmp_path: Path):
    """Named with its file. A bit that flips in plain cells is no damage that Parquet without checksums can tell."""
    out, folder = tmp_path / "out", tmp_path / "r"
    table = pq.read_table(tables / "2")
    write_responses(folder, table, 3, write_page_checksum=True)
    decide(plan_of(folder, 5_000.0, 10_000), out)
    before = content(out)
    part = folder / "r001.parquet"
    whole = part.read_bytes()
    middle = len(whole) // 2
    part.write_bytes(
        {
            "cut": whole[:-2_000],
            "cut to nothing": b"",
            "a bit in the middle": whole[:middle] + bytes([whole[middle] ^ 0x55]) + whole[middle + 1 :],
            "no Parquet at all": b"user_id,value\n" * 1_000,
            "a footer of another file": whole[:9_000] + (folder / "r002.parquet").read_bytes()[-4_000:],
        }[damage]
    )
    plan.write_text(plan_of(folder, 4_000.0, 10_000))
    done = earmark("decide", plan, "--out", out)
    assert_told(done, "r001.parquet")
    assert content(out) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "plan.toml", "r"]


def test_a_clock_that_goes_back(plan: Path, tables: Path, tmp_path: Path):
    """Years at every look, parts and locks from the future: the same bytes."""
    assert earmark("decide", plan, "--out", tmp_path / "out").returncode == 0
    lock = tmp_path / ".back.lock"
    lock.write_text("{}")
    os.utime(lock, (4e9, 4e9))
    done = earmark("decide", plan, "--out", tmp_path / "back", "--log", "json", code=CLOCK_BACK)
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "back") == content(tmp_path / "out")


class Stop(Exception):
    """What ends a run from within."""


@pytest.mark.parametrize(
    "harm", ["nothing", "gone", "cut", "of another run", "a bit flipped", "a link", "decided otherwise"]
)
def test_parts_that_were_harmed_before_the_rerun(harm: str, plan: Path, tmp_path: Path):
    """The parts that a stopped run left whole are kept; what is not whole is written again."""
    out = tmp_path / "out"

    def stop(text: str) -> None:
        if text.startswith("publishing"):
            raise Stop

    run_decide(DecideTask(read_plan(plan), tmp_path / "undisturbed"))
    with pytest.raises(Stop):
        run_decide(DecideTask(read_plan(plan), out), Watch(step=stop))
    (staging,) = tmp_path.glob(".out.staging-*")
    part = staging / "part-00001.parquet"
    whole = part.read_bytes()
    times = {p.name: p.stat().st_mtime_ns for p in staging.iterdir()}
    if harm in ("gone", "a link"):
        part.unlink()
    if harm == "cut":
        part.write_bytes(whole[:-1])
    if harm == "a bit flipped":
        part.write_bytes(
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
        )
    if harm == "of another run":
        other = plan.read_text().replace("5000.0", "1000.0")
        assert other != plan.read_text()
        decide(other, tmp_path / "other")
        part.write_bytes((tmp_path / "other" / part.name).read_bytes())
    if harm == "a link":
        part.symlink_to("/etc/hostname")
    if harm == "decided otherwise":
        table = pq.read_table(part, read_dictionary=["arm"])
        (run,) = {pq.read_metadata(p).metadata[RUN] for p in staging.iterdir()}
        dearer = pa.array(table["expected_cost"].to_numpy() + 1.0)
        write_part(staging, 1, run.decode(), table.set_column(3, "expected_cost", dearer))
        assert part.read_bytes() != whole
    assert earmark("decide", plan, "--out", out).returncode == 0
    assert content(out) == content(tmp_path / "undisturbed")
    kept = {p.name for p in out.iterdir() if times.get(p.name) == p.stat().st_mtime_ns}
    assert kept == set(times) - (set() if harm == "nothing" else {part.name})
    assert not list(tmp_path.glob(".out*"))


def test_two_runs_at_once(plan: Path, tables: Path, tmp_path: Path):
    """The second one says so and stops at once; the first one ends as if it had been alone."""
    out = tmp_path / "out"
    decide(plan_of(tables / "1", 5_000.0, 10_000), out)
    before, found = content(out), []

    def second(text: str) -> None:
        if text.startswith("publishing"):
            found.append(earmark("decide", plan, "--out", out))
            assert content(out) == before

    run_decide(DecideTask(read_plan(plan), out), Watch(step=second))
    assert_told(found[0], "another run writes to", "nothing was changed")
    decide(plan.read_text(), tmp_path / "alone")
    assert content(out) == content(tmp_path / "alone")


def test_more_parts_than_names_are_refused_before_any_work(
    tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(part_file, "PARTS", 7)
    heard: list[str] = []
    task = DecideTask(parse_plan(plan_of(tables / "1", 5_000.0, 4_285)), tmp_path / "out")
    with pytest.raises(InputError, match=r"30,000 users in parts of 4,285 need 8 parts, .* set part_rows to 4,286"):
        run_decide(task, Watch(step=heard.append))
    assert heard == [f"opening {tables / '1'}"]
    decide(plan_of(tables / "1", 5_000.0, 4_286), tmp_path / "out")


def test_a_second_run_stops_before_it_reads_anything(plan: Path, tmp_path: Path):
    """The lock is there before the first file of the input is opened."""
    out, found = tmp_path / "deep" / "out", []

    def second(text: str) -> None:
        if text.startswith("opening"):
            heard: list[str] = []
            with pytest.raises(InputError, match="another run writes to"):
                run_decide(DecideTask(read_plan(plan), out), Watch(step=heard.append))
            found.append(heard)

    run_decide(DecideTask(read_plan(plan), out), Watch(step=second))
    assert found == [[]]
    assert sorted(p.name for p in out.parent.iterdir()) == ["out"]


def test_parts_that_do_not_add_up_are_never_published(plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever made them differ, they stay beside until the next run, which decides anew."""
    run_decide(DecideTask(read_plan(plan), tmp_path / "undisturbed"))

    def refuse(*_: object, **__: object) -> None:
        raise InputError("the parts hold other sums")

    with monkeypatch.context() as patched:
        patched.setattr(decide_job, "batch_manifest", refuse)
        with pytest.raises(InputError, match="other sums"):
            run_decide(DecideTask(read_plan(plan), tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    run_decide(DecideTask(read_plan(plan), tmp_path / "out"))
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "plan.toml", "undisturbed"]


@pytest.mark.parametrize("name", ["numpy", "numba", "pyarrow", "earmark"])
def test_another_version_is_another_run(name: str, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A part that another version has decided is never taken for this one's; models' packages count for models."""
    task = DecideTask(read_plan(plan), tmp_path / "out", dry_run=True)
    before, own = run_decide(task).run_id, versions.version
    monkeypatch.setattr(versions, "version", lambda asked: "99" if asked == "torch" else own(asked))
    assert run_decide(task).run_id == before
    assert versions.versions(models=True)["torch"] == "99"
    monkeypatch.setattr(versions, "version", lambda asked: "99" if asked == name else own(asked))
    assert run_decide(task).run_id != before


def test_a_table_that_is_the_folder_of_decisions_is_refused(tables: Path, tmp_path: Path):
    """Nobody's responses are replaced by decisions."""
    folder = write_responses(tmp_path / "r", pq.read_table(tables / "1"))
    before = content(folder)
    for out in (folder, folder.parent, folder / "out"):
        with pytest.raises(InputError, match=f"written to {out}, which .* the responses, {folder}; .*another --out"):
            decide(plan_of(folder, 5_000.0), out)
    assert content(folder) == before
