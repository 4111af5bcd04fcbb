"""A folder of decisions whose every sum is known, and ways to change it afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.engine.limit import LimitUse
from allocation.engine.stream.solved import Solved
from allocation.jobs.batch.manifest import batch_manifest
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.batch.parts import decisions_table
from allocation.jobs.batch.versions import run_id_of, versions
from allocation.jobs.plan import parse_plan
from tests.allocation.jobs.batch.small_runs import output_folder

ARMS = ("none", "mail", "=coupon")
N, PART_ROWS = 700, 300
INPUT: dict[str, Any] = {"rows": N, "files": []}
PLAN = """
[plan]
name = "spring"
responses = "somewhere/responses.parquet"
budget = 1000.0
currency = "EUR"
part_rows = 300
[[limit]]
name = "few coupons"
arms = ["=coupon"]
max = 240
[[limit]]
name = "heavy users' cost"
measure = "cost"
where = { segment = "heavy" }
max = 500
[[limit]]
name = "minutes"
measure = "minutes"
max = 1000
[[limit]]
name = "value of mail"
measure = "value"
arms = ["mail"]
min = 1
"""

RUN = run_id_of(versions(models=False), parse_plan(PLAN).digest(), INPUT, None)


@dataclass(frozen=True)
class Made:
    """The folder, the response table's file, and the decisions as a frame."""

    out: Path
    responses: Path
    frame: pd.DataFrame


def make(folder: Path, *, ids: Callable[[int], Any] = lambda k: k, seed: int = 0) -> Made:
    """Decide for 700 users in three parts by chance, and publish it with true sums."""
    rng = np.random.default_rng(seed)
    value, cost = (rng.gamma(2.0, size=(N, 3)).astype(np.float32) for _ in range(2))
    cost[:, 0] = 0.0
    minutes = rng.random((N, 3))
    segment = np.where(rng.random(N) < 0.3, "heavy", "light")
    code = rng.integers(0, 3, N)
    user_id = [ids(k) for k in range(N)]
    rows = np.arange(N)
    frame = pd.DataFrame(
        {
            "user_id": user_id,
            "arm": np.array(ARMS)[code],
            "expected_value": value[rows, code].astype(float),
            "expected_cost": cost[rows, code].astype(float),
            "margin": rng.random(N),
            "segment": segment,
            "minutes": minutes[rows, code],
        }
    )
    columns = {
        f"{name}.{arm}": t[:, k] for name, t in (("value", value), ("cost", cost)) for k, arm in enumerate(ARMS)
    }
    columns |= {f"resource.minutes.{arm}": minutes[:, k] for k, arm in enumerate(ARMS)}
    responses = folder / "responses.parquet"
    pq.write_table(pa.table({"user_id": user_id, **columns, "segment": segment}), responses)
    plan = parse_plan(PLAN, folder=folder)
    with output_folder(folder / "decisions", RUN, str) as staging:
        parts = []
        for k, first in enumerate(range(0, N, PART_ROWS)):
            own = frame.iloc[first : first + PART_ROWS]
            table = decisions_table(
                pa.array(own["user_id"].tolist()),
                ARMS,
                code[first : first + PART_ROWS],
                own["expected_value"].to_numpy(),
                own["expected_cost"].to_numpy(),
                own["margin"].to_numpy(),
            )
            parts.append(write_part(staging.folder, k, RUN, table))
        gain = float(exact(frame["expected_value"])) - float(exact(value[:, 0]))
        manifest = batch_manifest(
            plan,
            solved(frame, gain),
            parts,
            run_id=RUN,
            arms=ARMS,
            fingerprint=INPUT,
            budget=plan.budget,
        )
        staging.publish(manifest)
    return Made(folder / "decisions", responses, frame)


def exact(amounts: Any) -> Fraction:
    """The sum as a fraction, one amount at a time."""
    return sum((Fraction(float(amount)) for amount in amounts), Fraction(0))


def solved(frame: pd.DataFrame, gain: float) -> Solved:
    """What the engine would say of these decisions."""
    value, cost = exact(frame["expected_value"]), exact(frame["expected_cost"])
    coupons, heavy, mail = frame["arm"] == "=coupon", frame["segment"] == "heavy", frame["arm"] == "mail"
    treated = frame["arm"] != "none"
    uses = (
        ("few coupons", "users", float(coupons.sum()), None, 240.0),
        ("heavy users' cost", "cost", float(exact(frame["expected_cost"][heavy & treated])), None, 500.0),
        ("minutes", "minutes", float(exact(frame["minutes"][treated])), None, 1000.0),
        ("value of mail", "value", float(exact(frame["expected_value"][mail])), 1.0, None),
    )
    limits = tuple(LimitUse(name, measure, used, low, high, 0.0, None) for name, measure, used, low, high in uses)
    near = float(value)
    return Solved(None, len(frame), near, gain, float(cost), 0.5, near, 0.0, 0.0, value, cost, limits)


def change_manifest(out: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what the manifest says."""
    path = out / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def change_part(out: Path, k: int, change: Callable[[pa.Table], pa.Table], *, owned: bool = True) -> None:
    """Change a part's rows and have the manifest list the new file as if it were the old one."""
    path = out / f"part-{k:05d}.parquet"
    table = change(pq.read_table(path))
    marks = {"earmark": "0", "earmark.run": RUN} if owned else {}
    pq.write_table(table.replace_schema_metadata(marks), path)
    content = path.read_bytes()

    def list_anew(manifest: dict[str, Any]) -> None:
        manifest["parts"][k] |= {
            "rows": table.num_rows,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    change_manifest(out, list_anew)
