"""Small runs of the nightly job's writing half, in this process or in one that is killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from allocation.jobs.batch import exchange, staging
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.batch.parts import decisions_table, summary_of
from allocation.jobs.batch.staging import Staging, locked_target, staged
from allocation.jobs.tables.writing import part_name

ARMS = ("none", "mail", "coupon")
ONE, TWO = "1" * 64, "2" * 64  # run ids
ROWS, PARTS = 500, 2
# What changes a file system, as the interpreter tells its hooks.
STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "shutil.rmtree", "ctypes.dlsym"}


def table(run_id: str, k: int, rows: int = ROWS) -> pa.Table:
    """Part k of a run: other decisions for another run."""
    rng = np.random.default_rng([int(run_id[:2], 16), k])
    decision = rng.integers(0, len(ARMS), rows)
    amounts = rng.random((3, rows))
    return decisions_table(np.arange(k * rows, (k + 1) * rows), ARMS, decision, *amounts)


@contextmanager
def output_folder(out: str | Path, run_id: str, progress: Callable[[str], None]) -> Iterator[Staging]:
    """The folder locked, and in it the staging folder of a run."""
    with locked_target(out) as place, staged(place, run_id, progress) as opened:
        yield opened


def write_run(out: Path | str, run_id: str, parts: int = PARTS, progress: Callable[[str], None] = str) -> list[int]:
    """Write a run, every part that is missing; returns the parts that were written."""
    written = []
    with output_folder(out, run_id, progress) as opened:
        there = []
        for k in range(parts):
            before = number(opened.folder / part_name(k))
            there.append(write_part(opened.folder, k, run_id, table(run_id, k)).entry())
            if number(opened.folder / part_name(k)) != before:
                written.append(k)
        opened.publish({"earmark": "0", "command": "decide", "run": run_id, "parts": there})
    return written


def number(path: Path) -> int | None:
    """What tells a file from the one before of the same name; None where there is none."""
    return path.stat().st_ino if path.exists() else None


def content(folder: Path) -> dict[str, str]:
    """Checksum of each file of a folder, by name."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def beside(out: Path) -> list[str]:
    """What lies beside the folder."""
    return sorted(p.name for p in out.parent.iterdir() if p != out)


class Nursery:
    """A process with everything loaded that forks others from itself: starting one takes milliseconds."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        root = Path(__file__).resolve().parents[4]
        self.process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self

    def start(self, function: Callable[..., object], *arguments: object) -> int:
        """Start a function of this module in a process of its own; returns its number."""
        return self._ask([function.__name__, *arguments])

    def end(self) -> int:
        """Wait for the process that was started; returns its exit code, minus the signal that killed it.

        Until then its number stays its own, so that nobody else is killed.
        """
        return self._ask([])

    def _ask(self, line: list[object]) -> int:
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait(30)


def serve() -> None:
    """What the nursery's process does."""
    summary_of(table(ONE, 0), ARMS, "", 0, "")  # compiled code is loaded once
    child = 0
    for line in sys.stdin:
        asked = json.loads(line)
        if not asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        else:
            answer = child = os.fork()
            if child == 0:
                code = 1
                with suppress(Exception):
                    globals()[asked[0]](*asked[1:])
                    code = 0
                os._exit(code)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def run_and_die(out: str, run_id: str, step: int, with_exchange: bool) -> None:
    """Write a run and die, as by kill -9, before the file system is changed for the `step`-th time."""
    left = [step]
    beginning = os.path.dirname(out)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        about = event == "ctypes.dlsym" or any(isinstance(a, str | Path) and beginning in str(a) for a in arguments)
        if event in STEPS and about:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    hurry()
    if not with_exchange:
        exchange.exchange = refuse_exchange
    sys.addaudithook(watch)
    write_run(out, run_id)


def hold(out: str, run_id: str, sign: str) -> None:
    """Hold the folder until killed; the file `sign` says so."""
    with output_folder(out, run_id, str):
        Path(sign).touch()
        signal.pause()


def hurry() -> None:
    """Do not wait for the disk, nor for listings that have begun: a killed process loses nothing that it wrote."""
    os.fsync, staging.GRACE = (lambda descriptor: None), 0.0


def refuse_exchange(one: Path, other: Path) -> None:
    """A file system that cannot exchange two names."""
    raise OSError(38, "Function not implemented")


def mounted(*arguments: str) -> bool:
    """Mount something, where that is allowed; whether it was. Whoever mounts unmounts."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    except OSError:
        return False
