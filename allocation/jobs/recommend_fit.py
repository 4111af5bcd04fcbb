"""The fitting job of `earmark recommend`: an interaction log in, a recommender in a folder out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from allocation.jobs import manifest as entries
from allocation.jobs.folder import checked_folder
from allocation.jobs.paced import Paced
from allocation.jobs.recommend_log import LogColumns
from allocation.jobs.summary import MANIFEST
from uplift.learners.store import check_target
from uplift.recommender.interactions import Interactions
from uplift.recommender.log_split import SplitBy, log_fingerprint
from uplift.recommender.recommender import Recommender, RecommenderSettings
from uplift.recommender.recommender_fit import check_settings, fit_recommender
from uplift.recommender.saved import FORM, save_recommender
from uplift.recommender.saved_parts import check_ids, plain_settings
from uplift.recommender.splitting import Split

COMMAND = "recommend fit"
LIBRARIES = ("numpy", "torch")


@dataclass(frozen=True, eq=False)
class RecommendPlan:
    """What to fit, and on which log: a path, its columns, how it is split, and the recommender's settings."""

    log: str
    columns: LogColumns
    split: SplitBy
    settings: RecommenderSettings


@dataclass(frozen=True, eq=False)
class RecommendFit:
    """What came of it. seconds : what the fit took, validation included."""

    plan: RecommendPlan
    log: Interactions
    split: Split
    recommender: Recommender
    seconds: float

    @property
    def name(self) -> str:
        """The log's file name."""
        return Path(self.plan.log).name


def run_recommend_fit(plan: RecommendPlan, progress: Callable[[str], None] = lambda _: None) -> RecommendFit:
    """Fit a recommender on the training part of the log; the test events stay unseen, for `recommend evaluate`.

    Raises InputError for a log or settings that cannot be used, before the training where that can be known.
    """
    progress = Paced(progress)
    check_settings(plan.settings)
    progress(f"reading {plan.log}")
    log = plan.columns.read(plan.log)
    check_ids(log.item_id, "item")
    plain_settings(plan.settings)
    split = plan.split.split(log)
    progress(f"fitting {plan.settings.backbone} on {len(split.train.items):,} events of {log.n_users:,} users")
    began = time.perf_counter()

    def _told(what: str, epoch: int, epochs: int, loss: float, validation: float | None) -> None:
        seen = "" if validation is None else f", NDCG@10 {validation:.4f}"
        progress(f"{what}: epoch {epoch} of {epochs} done, loss {loss:.3f}{seen}")

    fitted = fit_recommender(split, plan.settings, _told, progress.step)
    return RecommendFit(plan, log, split, fitted, time.perf_counter() - began)


def check_folder(out: str | Path) -> Path:
    """The folder that a fit may write to: new, empty, or a saved recommender and nothing else.

    Raises InputError for any other, and for one that may not be written to.
    """
    return check_target(checked_folder(out, (MANIFEST,), COMMAND), FORM)


def write_recommend_fit(result: RecommendFit, out: str | Path) -> None:
    """Write the recommender and `manifest.json` into `out`, whole or not at all."""
    beside = {MANIFEST: entries.text(manifest(result)).encode()}
    save_recommender(result.recommender, result.log, check_folder(out), split=result.plan.split, beside=beside)


def manifest(result: RecommendFit) -> dict[str, Any]:
    """Plan, fingerprint of the log, versions, how it was split, and what the fit says of itself."""
    plan, log, split = result.plan, result.log, result.split
    return {
        "earmark": version("earmark"),
        "command": COMMAND,
        "plan": {"log": plan.log} | vars(plan.columns) | vars(plan.split) | plain_settings(plan.settings),
        "versions": {name: version(name) for name in LIBRARIES},
        "input": {
            "name": result.name,
            "users": log.n_users,
            "items": log.n_items,
            "events": len(log),
            "dropped": log.dropped,
            "fingerprint": log_fingerprint(log),
        },
        "split": {
            "training_events": len(split.train.items),
            "validation_queries": len(split.validation),
            "test_queries": len(split.test),
            "notes": list(split.notes),
        },
        "gates": {what: gate.passed.tolist() for what, gate in result.recommender.gates.items()},
        "seconds": round(result.seconds, 3),
        "words": str(result.recommender),
    }
