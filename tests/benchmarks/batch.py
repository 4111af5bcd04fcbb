"""The nightly job against the bare reading and writing of its files: wall time as a ratio, and peak memory.

    python tests/benchmarks/batch.py --users 10_000_000 40_000_000 --repeats 3

For each number of users it makes a response table of six arms (float32, Snappy, files of a million rows) in a folder
of its own under --folder, which is removed again unless --keep. In turn: `earmark decide` as a process of its own,
and a process that reads the same columns twice with pyarrow and writes the same decisions once, with the settings
that the job writes with (pyarrow's defaults take longer), not counting that it reads the decisions that it writes.
Both are told twice: without starting Python and loading libraries, and with it. The whole command is also told
against the yardstick without its start, which flatters the yardstick. Memory is the largest resident set that the
kernel saw of the command (Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BEGAN = time.time()  # Python is up and what the yardstick needs is loaded

ROOT = Path(__file__).resolve().parents[2]
ARMS = 6
ROWS = 1_000_000  # users of a file
TIMED = ("job", "yardstick")  # processes that time themselves
BATCH = 1 << 20  # rows that the yardstick reads at a time: larger batches are faster
RATIO, MEMORY, GROWTH = 2.5, 1.5e9, 0.10  # what is asked


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", nargs="+", type=int, default=[10_000_000, 40_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/batch"))
    parser.add_argument("--keep", action="store_true", help="leave the tables for another run")
    parser.add_argument("--yardstick", type=Path, help=argparse.SUPPRESS)  # the process that only reads and writes
    parser.add_argument("--job", type=Path, help=argparse.SUPPRESS)  # the process that times the job within
    options = parser.parse_args()
    if options.yardstick is not None:
        print(read_twice_and_write(options.yardstick))
        print(BEGAN - float(os.environ["EARMARK_SPAWNED"]))
        return
    if options.job is not None:
        print(seconds_of_job(options.job))
        return
    from tests.benchmarks.speed import Line  # it loads the peers

    lines, peaks = [], {}
    for users in options.users:
        folder = options.folder / f"{users}"
        make_table(folder / "responses", users)
        taken, peak = measured(folder, options.repeats)
        peaks[users] = peak
        what, asked = f"{users:,} users x {ARMS} arms", f"<= {RATIO}"
        for name, ours, theirs in (
            ("the job, without starting Python on either side", taken["job"], taken["yardstick"]),
            ("the command, Python's start on both sides", taken["command"], taken["started"]),
            ("the command, against the yardstick without its start", taken["command"], taken["yardstick"]),
        ):
            ratio = ours / theirs
            row = (f"{what}, {name}", f"{ours:.1f} s", f"{theirs:.1f} s", f"{ratio:.2f}", asked)
            lines.append(Line(*row, ratio <= RATIO))
        lines += [
            Line(f"peak memory, {users:,}", f"{peak / 1e9:.2f} GB", "", "", "<= 1.5 GB", peak <= MEMORY),
        ]
        if not options.keep:
            shutil.rmtree(folder)
    small, large = min(peaks), max(peaks)
    if small < large:
        growth = peaks[large] / peaks[small] - 1
        asked = f"<= {GROWTH:.0%}"
        lines.append(
            Line(f"growth of memory {small:,} -> {large:,}", f"{growth:+.1%}", "", "", asked, growth <= GROWTH)
        )
    print("| what | ours | read twice, write once | ratio | asked | held |")
    print("|---|---|---|---|---|---|")
    for line in lines:
        print(f"| {' | '.join(map(str, line[:5]))} | {'yes' if line.ok else 'no'} |")


def make_table(folder: Path, users: int) -> None:
    """Users of rising value and cost, both random; drawn file by file, so that the size does not matter."""
    if folder.exists():
        return
    staged = folder.with_name(f".{folder.name}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    for k, first in enumerate(range(0, users, ROWS)):
        rng, rows = np.random.default_rng([0, k]), min(ROWS, users - first)
        value = np.cumsum(rng.standard_exponential((rows, ARMS), dtype=np.float32), axis=1)
        cost = np.cumsum(rng.standard_gamma(2.0, (rows, ARMS), dtype=np.float32) / 2, axis=1)
        cost[:, 0] = 0
        columns = {"user_id": np.arange(first, first + rows)}
        for name, table in (("value", value), ("cost", cost)):
            columns |= {f"{name}.arm {j}": table[:, j] for j in range(ARMS)}
        pq.write_table(pa.table(columns), staged / f"part-{k:05d}.parquet")
    staged.rename(folder)


def measured(folder: Path, repeats: int) -> tuple[dict[str, float], int]:
    """Median seconds by name, and the command's peak (bytes); "started" is the yardstick with its start."""
    users = sum(pq.read_metadata(file).num_rows for file in (folder / "responses").glob("*.parquet"))
    plan = folder / "plan.toml"
    plan.write_text(f'[plan]\nname = "benchmark"\nresponses = "responses"\nbudget = {0.6 * users}\n')
    command = [
        sys.executable,
        "-m",
        "allocation.cli",
        "decide",
        str(plan),
        "--out",
        str(folder / "decisions"),
        "--json",
    ]
    within = {name: [sys.executable, str(Path(__file__).resolve()), f"--{name}", str(folder)] for name in TIMED}
    taken: dict[str, list[float]] = {name: [] for name in ("command", "started", *TIMED)}
    peak = 0
    for turn in range(repeats + 1):  # the first warms the files and is not counted
        shutil.rmtree(folder / "decisions", ignore_errors=True)
        seconds, resident, _ = run(command)
        shutil.rmtree(folder / "decisions")
        job, yardstick = (run(within[name])[2].split() for name in TIMED)
        bare, start = map(float, yardstick)
        found = {"command": seconds, "job": float(job[0]), "yardstick": bare, "started": bare + start}
        if turn:
            peak = max(peak, resident)
            for name, seconds in found.items():
                taken[name].append(seconds)
    return {name: median(seconds) for name, seconds in taken.items()}, peak


def run(command: list[str]) -> tuple[float, int, str]:
    """Wall seconds, the peak of the resident set (bytes) and the output of a process."""
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "EARMARK_SPAWNED": str(time.time())}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: run it to see why")
    return time.perf_counter() - began, usage.ru_maxrss * 1024, output


def seconds_of_job(folder: Path) -> float:
    """What the job itself takes, in this process."""
    from allocation.jobs.batch.decide_job import run_decide
    from allocation.jobs.batch.decide_plan import DecideTask
    from allocation.jobs.plan import read_plan

    return run_decide(DecideTask(read_plan(folder / "plan.toml"), folder / "decisions")).seconds


def read_twice_and_write(folder: Path) -> float:
    """Seconds to read the table's columns twice, batch by batch, and to write the decisions once."""
    from allocation.jobs.batch.part_file import SETTINGS

    parts = json.loads((folder / "decisions" / "manifest.json").read_text(encoding="utf-8"))["parts"]
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    seconds = 0.0
    began = time.perf_counter()
    for _ in range(2):
        for file in sorted((folder / "responses").glob("*.parquet")):
            for _ in pq.ParquetFile(file).iter_batches(BATCH):
                pass
    seconds += time.perf_counter() - began
    for part in parts:
        table = pq.ParquetFile(folder / "decisions" / part["file"], read_dictionary=["arm"]).read()
        began = time.perf_counter()
        pq.write_table(table, copy / part["file"], **SETTINGS)
        with (copy / part["file"]).open("rb") as file:
            os.fsync(file.fileno())
        seconds += time.perf_counter() - began
    shutil.rmtree(copy)
    return seconds


if __name__ == "__main__":
    main()
