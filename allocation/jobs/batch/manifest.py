"""The manifest of a nightly run: plan, inputs, price, totals and parts; nothing of when and where it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from allocation.engine.limit import LimitUse
from allocation.engine.stream.solved import Solved
from allocation.jobs.batch.parts import PartSummary, fraction_text, total
from allocation.jobs.batch.target import COMMAND
from allocation.jobs.batch.versions import versions
from allocation.jobs.manifest import plain
from allocation.jobs.plan import Plan, PlanLimit, plan_text
from uplift.errors import InputError


def batch_manifest(
    plan: Plan,
    solved: Solved,
    parts: Sequence[PartSummary],
    *,
    run_id: str,
    arms: Sequence[str],
    fingerprint: Mapping[str, Any],
    budget: float | None,
    further: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest as JSON values: the same plan, inputs and version give the same text.

    `budget` is what was decided with, in money: less than the plan's where some of it was spent before. The plan
    stands there without its paths, `fingerprint` (of the source) says what was read. `further` are entries of other
    steps, such as what was spent.

    Raises InputError where the parts do not add up to what was solved: the inputs have changed in between.
    """
    sums = total(parts, len(arms))
    if (sums.value, sums.cost) != (solved.exact_value, solved.exact_cost) or sums.rows != solved.n_users:
        raise InputError(
            f"the parts hold {sums.rows:,} users, value {float(sums.value):,} and cost {float(sums.cost):,}, but "
            f"{solved.n_users:,} users, {solved.value:,} and {solved.cost:,} were decided; the inputs have changed "
            "while they were read: run again. The decisions that were published before are untouched"
        )
    pathless = replace(plan, responses=None, model=None, features=None)
    return {
        "earmark": version("earmark"),
        "command": COMMAND,
        "versions": versions(models=plan.model is not None),
        "run": run_id,
        "name": plan.name,
        "plan": {"text": plan_text(pathless), "sha256": plan.digest()},
        "input": dict(fingerprint),
        "rows": sums.rows,
        "part_rows": plan.part_rows,
        "arm_users": dict(zip(arms, sums.users, strict=True)),
        "currency": plan.currency,
        "budget": budget,
        "price": plain(solved.price),
        "totals": {"value": solved.value, "gain": solved.gain, "cost": solved.cost},
        "exact": {"value": fraction_text(sums.value), "cost": fraction_text(sums.cost)},
        "bound": plain(solved.bound),
        "gap": plain(solved.gap),
        "limits": [_limit(*pair, arms) for pair in zip(plan.limits, solved.limits, strict=True)],
        **(further or {}),
        "parts": [part.entry() for part in parts],
    }


def _limit(stated: PlanLimit, use: LimitUse, arms: Sequence[str]) -> dict[str, Any]:
    """One limit: whom it is about, and what the decisions make of it, bounds as numbers."""
    return {
        "name": stated.name,
        "measure": stated.measure,
        "arms": list(arms[1:] if stated.arms is None else stated.arms),
        "where": {column: list(values) for column, values in stated.where.items()},
        "used": use.used,
        "min": use.min,
        "max": use.max,
        "price": plain(use.price),
        "binding": use.binding,
    }
