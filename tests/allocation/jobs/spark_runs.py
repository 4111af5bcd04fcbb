"""Small nightly runs, local and on Spark: response tables, plans, and the bytes and rows that come of them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from allocation.jobs.batch.decide_job import run_decide
from allocation.jobs.batch.decide_plan import DecideTask
from allocation.jobs.plan import parse_plan

ARMS = ("none", "mail", "call", "coupon")
SEGMENTS = ("heavy", "light", "new")
LIMITS = """
[[limit]]
name = "coupons of the heavy"
arms = ["coupon"]
where = { segment = "heavy" }
max = "10%"
[[limit]]
name = "some contact"
arms = ["mail", "call"]
min = "20%"
"""


@dataclass(frozen=True)
class Users:
    """n users in `files` files: with `ties` amounts are small whole numbers, with `text` ids are text and unsorted,
    with `hive` the segment is a folder's name instead of a column."""

    n: int
    ties: bool = False
    text: bool = False
    hive: bool = False
    files: int = 3

    def table(self) -> pa.Table:
        """All users as one table."""
        rng = np.random.default_rng(5)
        shape = (self.n, len(ARMS))
        value, cost = (np.cumsum(rng.exponential(1, shape), axis=1) for _ in range(2))
        cost[:, 0] = 0
        if self.ties:
            value, cost = np.floor(2 * value), np.floor(cost)
        ids = rng.permutation(self.n) if self.text else np.arange(self.n) + 7
        columns = {"user_id": pa.array([f"user {k}" for k in ids]) if self.text else pa.array(ids)}
        columns |= {f"value.{arm}": value[:, k].astype(np.float32) for k, arm in enumerate(ARMS)}
        columns |= {f"cost.{arm}": cost[:, k] for k, arm in enumerate(ARMS)}
        return pa.table(columns | {"segment": np.array(SEGMENTS)[rng.integers(0, 3, self.n)]})

    def write(self, folder: Path) -> Path:
        """The table in files."""
        table = self.table()
        if self.hive:
            part = ds.partitioning(pa.schema([("segment", pa.string())]), flavor="hive")
            ds.write_dataset(table, folder, format="parquet", partitioning=part)
            return folder
        folder.mkdir()
        cuts = np.linspace(0, self.n, self.files + 1).astype(int)
        for k in range(self.files):
            pq.write_table(table.slice(cuts[k], cuts[k + 1] - cuts[k]), folder / f"{k}.parquet", row_group_size=1_000)
        return folder


def task(
    responses: Path, out: Path, budget: float, part_rows: int, limits: str = "", **further: object
) -> DecideTask:
    """A run's task, local unless `further` says otherwise."""
    plan = f'[plan]\nname = "spring"\nresponses = "{responses}"\nbudget = {budget}\npart_rows = {part_rows}\n{limits}'
    return DecideTask(parse_plan(plan), out, **further)  # type: ignore[arg-type]


def run(asked: DecideTask) -> dict[str, bytes]:
    """Every file of the folder that the run has written."""
    run_decide(asked)
    return {path.name: path.read_bytes() for path in sorted(asked.out.iterdir())}


def earmark(*arguments: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, after some lines of Python."""
    code = f"import sys\n{before}\nfrom allocation.cli import main\nsys.argv[0] = 'earmark'\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | environment,
        check=False,
    )
