"""The files of a demo: decisions, report and the manifest that describes them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs import manifest as entries
from allocation.jobs.demo import DemoResult
from allocation.jobs.folder import checked_folder, write_folder
from allocation.jobs.report import report_html
from allocation.jobs.summary import MANIFEST

DECISIONS, REPORT = "decisions.parquet", "report.html"
FILES = (DECISIONS, REPORT, MANIFEST)


def check_folder(out: str | Path) -> Path:
    """The folder that a demo may write to; see `folder.checked_folder`."""
    return checked_folder(out, FILES, "demo")


def write_demo(result: DemoResult, out: str | Path) -> None:
    """Write `decisions.parquet`, `report.html` and `manifest.json` into the folder `out`, whole or not at all.

    Raises InputError, which says what was kept, when the file system refuses; see `folder.write_folder`.
    """
    write_folder(check_folder(out), FILES, lambda staging: _write_files(result, staging))


def _write_files(result: DemoResult, staging: Path) -> None:
    pq.write_table(decisions_table(result), staging / DECISIONS)
    (staging / REPORT).write_text(
        report_html(result.summary(), result.plan.seed, version("earmark")), encoding="utf-8"
    )
    parts = [entries.part(staging, name) for name in (DECISIONS, REPORT)]
    (staging / MANIFEST).write_text(entries.text(manifest(result, parts)), encoding="utf-8")


def decisions_table(result: DemoResult) -> pa.Table:
    """`user_id, arm, expected_value, expected_cost, margin`, one row a held-out user."""
    arms = np.asarray(result.held_out.arms, dtype=object)
    return pa.table(
        {
            "user_id": pa.array(result.held_out.user_id),
            "arm": pa.array(arms[result.allocation.decision], type=pa.string()),
            "expected_value": pa.array(result.expected_value),
            "expected_cost": pa.array(result.expected_cost),
            "margin": pa.array(result.margin),
        }
    )


def manifest(result: DemoResult, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Plan, fingerprint of the log, totals, certificate, checksums of the parts, and every estimate."""
    plan, source, run = result.plan, result.source, result.summary()
    return {
        "earmark": version("earmark"),
        "plan": {
            "data": plan.data,
            "users": plan.users,
            "budget_per_user": result.budget_per_user,
            "seed": plan.seed,
            "n_bootstrap": plan.n_bootstrap,
            "roles": dict(source.roles),
        },
        "input": entries.log_entry(source),
        "about": run.about,
        "value_name": run.value_name,
        "currency": run.currency,
        "held_out_users": run.users,
        "budget": result.budget_per_user * run.users,
        "totals": {name: entries.plain(total) for name, total in run.totals.items()},
        "warnings": list(run.warnings),
        "arm_users": run.arm_users,
        "parts": parts,
        "evaluation": entries.records(result.evaluation),
    }
