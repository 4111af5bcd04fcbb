"""The folder of a fit: the saved policy, and the manifest that says on what it was fitted and how."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from allocation.jobs import manifest as entries
from allocation.jobs.fit_job import FitResult
from allocation.jobs.folder import checked_folder
from allocation.jobs.summary import MANIFEST
from allocation.policies.saved import FORM, save_policy
from uplift.learners.store import check_target

COMMAND = "fit"
LIBRARIES = ("numpy", "scikit-learn", "lightgbm", "econml", "torch")


def check_folder(out: str | Path) -> Path:
    """The folder that a fit may write to: new, empty, or a saved policy and nothing else.

    Raises InputError for any other, and for one that may not be written to.
    """
    return check_target(checked_folder(out, (MANIFEST,), COMMAND), FORM)


def write_fit(result: FitResult, out: str | Path) -> None:
    """Write the policy and `manifest.json` into `out`, whole or not at all; see `allocation.policies.saved`."""
    beside = {MANIFEST: entries.text(manifest(result)).encode()}
    save_policy(result.policy, check_folder(out), beside=beside)


def manifest(result: FitResult) -> dict[str, Any]:
    """Plan, fingerprint of the log, versions, seed, warnings, seconds, and what the fit says of itself."""
    plan, source = result.plan, result.source
    outcome = getattr(result.policy, "result_", None)
    return {
        "earmark": version("earmark"),
        "command": COMMAND,
        "policy": result.name,
        "plan": {
            "data": plan.data,
            "users": plan.users,
            "method": plan.method,
            "learner": plan.learner,
            "hidden": None if plan.hidden is None else list(plan.hidden),
            "scores": plan.scores,
            "estimator": plan.estimator,
            "budgets_per_user": None if plan.budgets_per_user is None else list(plan.budgets_per_user),
            "gate": plan.gate,
            "groups": plan.groups,
            "share": plan.share,
            "seed": plan.seed,
            "allow_mismatch": plan.allow_mismatch,
            "engine": plan.engine,
            "processes": plan.shared_by,
            "roles": dict(source.roles),
        },
        "versions": {name: version(name) for name in LIBRARIES},
        "input": entries.log_entry(source),
        "about": source.about,
        "value_name": source.value_name,
        "currency": source.currency,
        "train_users": result.users,
        "unseen_users": result.unseen,
        "seconds": round(result.seconds, 3),
        "warnings": list(result.warnings),
        "words": result.words,
        "result": _plain(asdict(outcome)) if is_dataclass(outcome) and not isinstance(outcome, type) else None,
    }


def _plain(tree: Any) -> Any:
    """Nested amounts and words as JSON; what is not a finite number becomes null."""
    if isinstance(tree, dict):
        return {str(key): _plain(item) for key, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_plain(item) for item in tree]
    return entries.plain(tree)
