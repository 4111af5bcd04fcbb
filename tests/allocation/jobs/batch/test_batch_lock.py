"""Two runs on one folder: the second says who holds it and stops; a dead holder holds nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
from pathlib import Path

import pytest

from allocation.jobs.batch.lock import locked
from tests.allocation.jobs.batch.small_runs import ONE, TWO, Nursery, beside, content, hold, write_run
from uplift.errors import InputError


def test_a_second_run_says_who_writes_and_stops_until_the_first_is_dead(tmp_path: Path):
    out = tmp_path / "decisions"
    write_run(out, ONE)
    before = content(out)
    with Nursery() as nursery:
        holder = nursery.start(hold, str(out), TWO, str(tmp_path / "held"))
        while not (tmp_path / "held").exists():
            os.sched_yield()
        with pytest.raises(InputError, match=f"another run writes to {out}: process {holder} on .* since 2"):
            write_run(out, TWO)
        assert content(out) == before
        os.kill(holder, signal.SIGKILL)
        assert nursery.end() == -signal.SIGKILL
    (tmp_path / "held").unlink()
    assert write_run(out, TWO) == [0, 1]
    assert beside(out) == []


def test_the_lock_is_held_once_in_one_process_too_and_goes_with_its_file(tmp_path: Path):
    path = tmp_path / ".x.lock"
    with locked(path, "x"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
        with pytest.raises(InputError, match="another run"), locked(path, "x"):
            pass
    assert not path.exists()


@pytest.mark.parametrize("left", [b"", b"\xff", b"[[", b"{}", b'{"pid": 1, "host": 2, "since": 3}', b"[" * 4000])
def test_whatever_stands_in_the_file_the_message_is_one(tmp_path: Path, left: bytes):
    path = tmp_path / ".x.lock"
    with locked(path, "x"):
        path.write_bytes(left)
        with (
            pytest.raises(InputError, match=r"another run writes to x: (a process that|process 1 on 2)"),
            locked(path, "x"),
        ):
            pass


def test_what_a_clock_says_decides_nothing(tmp_path: Path):
    """A file that a killed run left, from the future or the past, holds nothing."""
    path = tmp_path / ".x.lock"
    for moment in (0, 4_000_000_000):
        path.write_text(json.dumps({"pid": os.getpid(), "host": "here", "since": "2100-01-01"}))
        os.utime(path, (moment, moment))
        with locked(path, "x"):
            pass


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The holder before ends between our opening and our locking: what we lock has no name any more."""
    path, flock, calls = tmp_path / ".x.lock", fcntl.flock, []

    def late(descriptor: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(how)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(path, "x"):
        assert path.exists()
        with pytest.raises(InputError, match="another run"), locked(path, "x"):
            pass
    assert len(calls) == 3


def test_a_file_system_without_locks_and_a_folder_in_the_way_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".y.lock").mkdir()
    with (
        pytest.raises(InputError, match=r"\.y\.lock cannot be opened: Is a directory"),
        locked(tmp_path / ".y.lock", "y"),
    ):
        pass

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="knows no locks"), locked(tmp_path / ".x.lock", "x"):
        pass
