"""What a batch run is asked to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocation.engine.stream.solved import Solved
from allocation.jobs.batch.changes import Changes
from allocation.jobs.engines import LOCAL, check_engine
from allocation.jobs.plan import Plan


@dataclass(frozen=True)
class DecideTask:
    """What to decide and where the decisions go.

    plan : the plan. out : folder of the decisions. spent : file of the users served already, or None. dry_run :
    solve, and write nothing. engine : "local" or "spark"; master : Spark's, such as local[2], None for its own
    default; partitions : of Spark's tasks, None for four a core.
    """

    plan: Plan
    out: Path
    spent: str | None = None
    dry_run: bool = False
    engine: str = LOCAL
    master: str | None = None
    partitions: int | None = None


def decide_task(
    plan: Plan,
    out: Path,
    *,
    spent: str | None = None,
    dry_run: bool = False,
    engine: str = LOCAL,
    master: str | None = None,
    partitions: int | None = None,
) -> DecideTask:
    """The task, its arguments held against one another.

    Raises InputError for an engine that is not known, and for arguments of Spark beside the local engine.
    """
    check_engine(engine, {"--master": master, "--partitions": partitions})
    return DecideTask(plan, out, spent, dry_run, engine, master, partitions)


@dataclass(frozen=True, eq=False)
class DecideResult:
    """What came of a batch run.

    Attributes
    ----------
    task : what was asked. run_id : hash of plan, inputs and version. arms : names, control first.
    solved : prices, totals, certificate, and the rule that decides.
    manifest : what stands in the folder, or would. changes : against the decisions that the folder held before,
        None where there were none or nobody asked. served : users served before, and what they cost (money).
    passes : how often the users were read. seconds : what it took.
    """

    task: DecideTask
    run_id: str
    arms: tuple[str, ...]
    solved: Solved
    manifest: dict[str, Any]
    changes: Changes | None
    served: tuple[int, float]
    passes: int
    seconds: float
