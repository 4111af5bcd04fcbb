"""A small response table with attributes and a resource, its plans, and sums of the files that share no code."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from typer.testing import CliRunner

from allocation.cli import app

ARMS = ("none", "mail", "[b]coupon")
N = 700
PLAN = """[plan]
name = "spring"
responses = "responses"
budget = 300.5
currency = "EUR"
part_rows = 250
"""
LIMITS = """
[[limit]]
name = "few coupons"
arms = ["[b]coupon"]
where = { segment = "head" }
max = "10%"

[[limit]]
name = "minutes"
measure = "minutes"
max = 400

[[limit]]
name = "the north's share"
where = { region = ["north"] }
measure = "cost"
min = 80.25
"""


def earmark(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; a defect is raised as it is."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def users(n: int = N) -> pd.DataFrame:
    """Responses of n users: value and cost rise with the arm, minutes are for coupons alone."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"user_id": 100 + np.arange(n)})
    for j, arm in enumerate(ARMS):
        frame[f"value.{arm}"] = rng.normal(10, 1, n) + j * rng.gamma(2, 1, n)
        frame[f"cost.{arm}"] = 0.0 if j == 0 else rng.uniform(0.2, j, n)
        frame[f"resource.minutes.{arm}"] = float(j)
    frame["segment"] = np.where(rng.random(n) < 0.3, "head", "tail")
    frame["region"] = rng.choice(["north", "south"], n)
    return frame


def nightly(folder: Path, plan: str = PLAN) -> Path:
    """The table in two files and the plan beside them; the plan's path."""
    (folder / "responses").mkdir(exist_ok=True)
    frame = users()
    frame[:400].to_parquet(folder / "responses" / "a.parquet")
    frame[400:].to_parquet(folder / "responses" / "b.parquet")
    (folder / "plan.toml").write_text(plan)
    return folder / "plan.toml"


def decisions(folder: Path) -> pd.DataFrame:
    """All parts of a folder, in order."""
    parts = sorted(folder.glob("part-*.parquet"))
    return pd.concat([pq.read_table(part).to_pandas() for part in parts], ignore_index=True)


def manifest(folder: Path) -> dict:
    """The manifest of a folder."""
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def total(cells: pd.Series) -> Fraction:
    """The exact sum."""
    return sum((Fraction(float(cell)) for cell in cells), Fraction(0))


def state(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def events(err: str) -> list[dict]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in err.splitlines()]


def widest(printed: str) -> int:
    """The longest line, those aside that end in a path."""
    paths = ("Decisions:", "Check them:", "Table and charts:")
    return max(len(line) for line in printed.splitlines() if not line.startswith(paths))
