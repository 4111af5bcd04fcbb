"""The nightly job against the bare reading and writing of its files: wall time as a ratio, and peak memory.

    python tests/benchmarks/batch.py --users 10_000_000 40_000_000 --repeats 3

For each number of users it makes a response table of six arms (float32, Snappy, files of a million rows) in a folder
of its own under --folder, which is removed again unless --keep. In turn: `earmark decide` as a process of its own,
and a process that reads the same columns twice with pyarrow and writes the same decisions once, with the settings
that the job writes with (pyarrow's defaults take longer). The yardstick is the time within that process, without its
start and without reading the decisions that it writes. Ours is told twice: the job likewise without starting Python
and loading libraries, and the whole command. Memory is the largest resident set that the kernel saw of the command
(Linux).
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

from allocation.jobs.batch.decide_job import run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.batch.part_file import SETTINGS
from allocation.jobs.plan import read_plan
from tests.benchmarks.speed import Line

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
        return
    if options.job is not None:
        print(run_decide(DecideTask(read_plan(options.job / "plan.toml"), options.job / "decisions")).seconds)
        return
    lines, peaks = [], {}
    for users in options.users:
        folder = options.folder / f"{users}"
        make_table(folder / "responses", users)
        job, whole, bare, peak = measured(folder, options.repeats)
        peaks[users] = peak
        what, asked = f"{users:,} users x {ARMS} arms", f"<= {RATIO}"
        lines += [
            Line(
                f"{what}, {name}", f"{ours:.1f} s", f"{bare:.1f} s", f"{ours / bare:.2f}", asked, ours / bare <= RATIO
            )
            for name, ours in (("the job", job), ("the command, Python's start included", whole))
        ]
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


def measured(folder: Path, repeats: int) -> tuple[float, float, float, int]:
    """Median seconds of the job, the command and the yardstick, taking turns, and the command's peak (bytes)."""
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
    taken: dict[str, list[float]] = {"command": [], **{name: [] for name in TIMED}}
    peak = 0
    for turn in range(repeats + 1):  # the first warms the files and is not counted
        shutil.rmtree(folder / "decisions", ignore_errors=True)
        seconds, resident, _ = run(command)
        shutil.rmtree(folder / "decisions")
        found = {"command": seconds, **{name: float(run(within[name])[2]) for name in TIMED}}
        if turn:
            peak = max(peak, resident)
            for name, seconds in found.items():
                taken[name].append(seconds)
    return median(taken["job"]), median(taken["command"]), median(taken["yardstick"]), peak


def run(command: list[str]) -> tuple[float, int, str]:
    """Wall seconds, the peak of the resident set (bytes) and the output of a process."""
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: run it to see why")
    return time.perf_counter() - began, usage.ru_maxrss * 1024, output


def read_twice_and_write(folder: Path) -> float:
    """Seconds to read the table's columns twice, batch by batch, and to write the decisions once."""
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
