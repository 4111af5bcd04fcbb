"""Small runs of the whole batch job: problems as response tables, plans, and decisions read back from files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation import Problem
from allocation.jobs.batch.decide_job import run_decide
from allocation.jobs.batch.decide_plan import DecideResult, DecideTask
from allocation.jobs.plan import parse_plan


def names(arms: int) -> tuple[str, ...]:
    """Names for so many arms, control first."""
    return ("none", *(f"arm {j}" for j in range(1, arms)))


def response_table(problem: Problem, **attributes: Any) -> pa.Table:
    """The problem's users as a response table; ids are 10, 17, 24, ..."""
    n, arms = problem.value.shape
    columns: dict[str, Any] = {"user_id": pa.array(10 + 7 * np.arange(n))}
    tables = {"value": problem.value, "cost": problem.cost, "eligible": problem.eligible}
    tables |= {f"resource.{name}": table for name, table in problem.resources.items()}
    for kind, table in tables.items():
        if table is not None:
            columns |= {f"{kind}.{arm}": np.ascontiguousarray(table[:, j]) for j, arm in enumerate(names(arms))}
    return pa.table(columns | attributes)


def write_responses(folder: Path, table: pa.Table, files: int = 1, **settings: Any) -> Path:
    """The table in so many files of about the same length, whose order is that of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = np.linspace(0, len(table), files + 1).astype(int)
    for k, (first, end) in enumerate(pairwise(edges.tolist())):
        pq.write_table(table.slice(first, end - first), folder / f"r{k:03d}.parquet", **settings)
    return folder


def plan_of(folder: Path | str, budget: float | None, part_rows: int = 1_000, limits: str = "") -> str:
    """The text of a plan."""
    money = "" if budget is None else f"budget = {budget!r}\n"
    return f'[plan]\nname = "test"\nresponses = {json.dumps(str(folder))}\n{money}part_rows = {part_rows}\n{limits}'


def decide(plan: str, out: Path, **task: Any) -> DecideResult:
    """Run a plan."""
    return run_decide(DecideTask(parse_plan(plan), out, **task))


def decisions(out: Path) -> pa.Table:
    """All parts together, in order."""
    return pa.concat_tables([pq.read_table(part) for part in sorted(out.glob("part-*.parquet"))])


def arms_of(table: pa.Table, arms: Sequence[str]) -> np.ndarray:
    """The decided arms as numbers."""
    return np.array([list(arms).index(arm) for arm in table["arm"].to_pylist()], dtype=np.int64)


def manifest(out: Path) -> dict[str, Any]:
    """The manifest of a folder."""
    return json.loads((out / "manifest.json").read_text(encoding="utf-8"))


def summed(cells: Sequence[float]) -> Fraction:
    """The exact sum."""
    return sum((Fraction(cell) for cell in cells), Fraction(0))


def content(folder: Path) -> dict[str, str]:
    """Checksum of each file of a folder, by name."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def assert_manifest(out: Path, budget: float | None) -> None:
    """The manifest's sums, rows, arms and checksums are those of the files, and the budget holds exactly."""
    told, table = manifest(out), decisions(out)
    value, cost = summed(table["expected_value"].to_pylist()), summed(table["expected_cost"].to_pylist())
    assert (Fraction(told["exact"]["value"]), Fraction(told["exact"]["cost"])) == (value, cost)
    assert (told["totals"]["value"], told["totals"]["cost"]) == (float(value), float(cost))
    assert told["rows"] == len(table)
    chosen = table["arm"].to_pylist()
    assert told["arm_users"] == {arm: chosen.count(arm) for arm in told["arm_users"]}
    files = [part["file"] for part in told["parts"]]
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", *files]
    for part in told["parts"]:
        path = out / part["file"]
        found = {"rows": pq.read_metadata(path).num_rows, "bytes": path.stat().st_size}
        assert found == {name: part[name] for name in found}
        assert hashlib.sha256(path.read_bytes()).hexdigest() == part["sha256"]
    assert budget is None or cost <= Fraction(budget)
    assert told["budget"] == budget
