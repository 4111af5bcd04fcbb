"""The files of a demo: what was predicted and decided, the evidence, the report, and the manifest of them all."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from allocation.jobs import manifest as entries
from allocation.jobs.analyst.attributes import attributes_of, head_and_tail
from allocation.jobs.analyst.compared import write_compared
from allocation.jobs.analyst.evidence_file import checks_text
from allocation.jobs.folder import checked_folder, write_folder
from allocation.jobs.plan import Plan, plan_text
from allocation.jobs.report import report_html
from allocation.jobs.summary import MANIFEST
from allocation.jobs.tables.schema import COST, USER_ID, VALUE
from allocation.jobs.tables.writing import write_table

if TYPE_CHECKING:
    from allocation.jobs.demo import DemoResult  # what fits its models loads LightGBM, and the app needs none

DECISIONS, REPORT = "decisions.parquet", "report.html"
RESPONSES, EVIDENCE, PLAN = "responses.parquet", "evidence.parquet", "plan.toml"
COMPARISON, CHECKS = "comparison.json", "evidence.json"
PARTS = (DECISIONS, RESPONSES, EVIDENCE, COMPARISON, CHECKS, REPORT, PLAN)
FILES = (*PARTS, MANIFEST)
TREATMENT, PROPENSITY, VALUE_SCORE, SPEND_SCORE = "treatment", "propensity.", "score.value.", "score.spend."
LOGGED_VALUE, LOGGED_COST = "value", "cost"


def check_folder(out: str | Path) -> Path:
    """The folder that a demo may write to; see `folder.checked_folder`."""
    return checked_folder(out, FILES, "demo")


def write_demo(result: DemoResult, out: str | Path) -> None:
    """Write the run into the folder `out`, whole or not at all.

    - `decisions.parquet`: one row a held-out user; `report.html`: what it is worth, to be read.
    - `responses.parquet`: the response table that was decided on, with features as attributes; `plan.toml`: the plan
      by which `earmark decide` decides the same.
    - `evidence.parquet`: of the same users in the same order the arm received, its chances, and the scores of value
      and spend under each arm, from which any decision is verified; beside them the logged value and cost.
    - `comparison.json`: what every policy is worth at every budget and how these totals vary together, from which
      any two are compared. `evidence.json`: why the figures can be believed, or not.
    - `manifest.json`: what was run, every estimate, and the checksums of the others.

    Raises InputError, which says what was kept, when the file system refuses; see `folder.write_folder`.
    """
    write_folder(check_folder(out), FILES, lambda staging: _write_files(result, staging))


def _write_files(result: DemoResult, staging: Path) -> None:
    pq.write_table(decisions_table(result), staging / DECISIONS)
    (staging / REPORT).write_text(
        report_html(result.summary(), result.plan.seed, version("earmark")), encoding="utf-8"
    )
    write_table(responses_table(result), staging / RESPONSES)
    write_table(evidence_table(result), staging / EVIDENCE)
    write_compared(result.compared, staging / COMPARISON)
    (staging / CHECKS).write_text(checks_text(result.checks), encoding="utf-8")
    (staging / PLAN).write_text(plan_text(plan_of(result)), encoding="utf-8")
    parts = [entries.part(staging, name) for name in PARTS]
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


def responses_table(result: DemoResult) -> pa.Table:
    """The response table of the held-out users, with their features as attributes."""
    response, arms = result.response, result.held_out.arms
    columns = {USER_ID: pa.array(result.held_out.user_id)}
    for prefix, table in ((VALUE, response.value), (COST, response.cost)):
        columns |= {prefix + arm: pa.array(table[:, j]) for j, arm in enumerate(arms)}
    if result.held_out.activeness is not None:
        columns |= head_and_tail(result.held_out.activeness)
    return pa.table(columns | attributes_of(result.held_out.X, result.held_out.features, tuple(columns)))


def evidence_table(result: DemoResult) -> pa.Table:
    """What the log tells of the held-out users, in their order: arm, value, cost, chances, scores."""
    log, arms = result.held_out, np.asarray(result.held_out.arms, dtype=object)
    columns = {USER_ID: pa.array(log.user_id), TREATMENT: pa.array(arms[log.treatment], type=pa.string())}
    columns |= {LOGGED_VALUE: pa.array(log.value), LOGGED_COST: pa.array(log.cost)}
    tables = ((PROPENSITY, log.propensity), (VALUE_SCORE, result.value_score), (SPEND_SCORE, result.spend_score))
    for prefix, table in tables:
        assert table is not None
        columns |= {prefix + arm: pa.array(table[:, j].astype(np.float32)) for j, arm in enumerate(log.arms)}
    return pa.table(columns)


def plan_of(result: DemoResult) -> Plan:
    """The plan by which `earmark decide` decides what the demo decided."""
    budget = result.budget_per_user * len(result.held_out)
    return Plan(name=result.source.name, responses=RESPONSES, budget=budget, currency=result.source.currency)


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
            "n_bootstrap": run.n_bootstrap,
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
        "end_to_end": run.tuning,
        "evaluation": entries.records(result.evaluation),
    }
