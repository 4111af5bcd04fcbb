"""Runs that are killed: the folder is whole at any moment, and a rerun gives the bytes of an undisturbed one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from allocation.jobs.batch import staging
from tests.allocation.jobs.batch.small_runs import (
    ONE,
    PARTS,
    TWO,
    Nursery,
    beside,
    content,
    hurry,
    run_and_die,
    write_run,
)

Files = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Processes to be killed come from here."""
    with Nursery() as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of both runs when nothing happens."""
    found = {}
    for run_id in (ONE, TWO):
        folder = tmp_path_factory.mktemp("undisturbed") / "decisions"
        write_run(folder, run_id)
        found[run_id] = content(folder)
    assert found[ONE] != found[TWO]
    return found


@pytest.mark.parametrize("with_exchange", [True, False])
def test_killed_at_every_step_the_folder_is_whole_and_a_rerun_gives_the_same_bytes(
    tmp_path: Path, undisturbed: Files, nursery: Nursery, with_exchange: bool, monkeypatch: pytest.MonkeyPatch
):
    """The steps are those at which Python changes the file system, one after the other until a run comes through."""
    monkeypatch.setattr(os, "fsync", os.fsync)
    monkeypatch.setattr(staging, "GRACE", 0.0)
    hurry()
    out, runs = tmp_path / "decisions", [ONE, TWO]
    write_run(out, runs[0])
    gone = step = resumed = 0
    while True:
        before, after = undisturbed[runs[0]], undisturbed[runs[1]]
        nursery.start(run_and_die, str(out), runs[1], step, with_exchange)
        code = nursery.end()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        if out.exists():
            assert content(out) in (before, after)
        else:
            gone += 1  # between the two renames
        resumed += len(write_run(out, runs[1])) < PARTS
        assert content(out) == after
        assert beside(out) == []
        runs.reverse()
        step += 1
    assert content(out) == after
    assert step > 15
    assert resumed > 5
    assert gone == (0 if with_exchange else 1)


def test_killed_at_ten_random_moments(tmp_path: Path, undisturbed: Files, nursery: Nursery):
    """As above, by the clock; the run before is there, whole, until the new one is."""
    out, rng, killed = tmp_path / "decisions", np.random.default_rng(0), 0
    runs = [ONE, TWO]
    write_run(out, runs[0])
    began = time.monotonic()
    nursery.start(write_run, str(out), runs[0])
    assert nursery.end() == 0
    whole = time.monotonic() - began
    for moment in rng.uniform(0.0, whole, 10):
        process = nursery.start(write_run, str(out), runs[1])
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
        killed += nursery.end() == -signal.SIGKILL
        assert content(out) in (undisturbed[runs[0]], undisturbed[runs[1]])
        write_run(out, runs[1])
        assert content(out) == undisturbed[runs[1]]
        assert beside(out) == []
        runs.reverse()
    assert killed > 0
