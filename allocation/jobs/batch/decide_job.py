"""The nightly job: a plan and a table of predictions in, a decision for every user out, whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from allocation.engine.stream.budget import solve_budget_in_chunks
from allocation.engine.stream.limits import solve_limits_in_chunks
from allocation.engine.stream.solved import Solved
from allocation.engine.stream.terms import Terms
from allocation.jobs.apart import check_apart
from allocation.jobs.batch.changes import Changes, changes_of, read_previous
from allocation.jobs.batch.decide_plan import DecideResult, DecideTask
from allocation.jobs.batch.inputs import Inputs, open_inputs
from allocation.jobs.batch.manifest import batch_manifest
from allocation.jobs.batch.names import check_names
from allocation.jobs.batch.parts import of_record
from allocation.jobs.batch.passes import Cut, LocalPasses, Passes, Record
from allocation.jobs.batch.staging import Staging, locked_target, staged
from allocation.jobs.batch.terms import served_digest, spent_entry, terms_for
from allocation.jobs.batch.versions import run_id_of, versions
from allocation.jobs.batch.work import Decide, SumUp, WritePart
from allocation.jobs.engines import LOCAL
from allocation.jobs.plan import Plan
from allocation.jobs.tables.blocks import FiledSource
from allocation.jobs.tables.duplicates import check_unique_ids
from allocation.jobs.tables.served import Served, read_served
from uplift.files import expanded

LOOKED_AT, VALUES = 100_000, 5  # users whose attributes are looked at for a message, and values in it


@dataclass
class Watch:
    """Hears of a run: `step(text)` of what begins, `users(what, done, of)` as a pass goes, `run(id)` once."""

    step: Callable[[str], None] = field(default=lambda _: None)
    users: Callable[[str, int, int], None] = field(default=lambda *_: None)
    run: Callable[[str], None] = field(default=lambda _: None)
    passes: int = 0

    def __call__(self, what: str, done: int, of: int) -> None:
        if done == 0:
            self.passes += 1
        self.users(what, done, of)


def run_decide(task: DecideTask, watch: Watch | None = None) -> DecideResult:
    """Decide for every user of the plan's table, and put the decisions into `task.out` in one step.

    The users are read a few times, block by block: for a sample, to settle the price (with limits: a pass for
    each step of the prices), for what is left, and to write. Memory holds a few blocks and the users near the price.
    The same plan, inputs and version give the same bytes: after a run that was killed all is decided again, and the
    parts that it left whole are kept.

    Raises InputError and ProblemError for a plan that cannot be run; the decisions that were there before are then
    untouched.
    """
    watch, began = watch or Watch(), time.perf_counter()
    # The lock comes first: a second run stops at once, not after it has read and hashed the inputs.
    if not task.dry_run:
        check_apart(task.out, {**task.plan.places, "users served already": task.spent})
    with nullcontext() if task.dry_run else locked_target(task.out) as place:
        check_names(task.plan)
        inputs = open_inputs(task.plan, watch.step)
        job = _Job(task, inputs, _served(task, inputs.users, watch), watch)
        watch.run(job.run_id)
        changes = None
        if place is None:
            with inputs.responses(None, watch.step) as source:
                solved, manifest, changes = job.dry(source)
        else:
            with staged(place, job.run_id, watch.step) as staging, inputs.responses(place, watch.step) as source:
                solved, manifest = job.write(source, staging)
                watch.step(f"publishing {task.out}")
                staging.publish(manifest)
    return DecideResult(
        task=task,
        run_id=job.run_id,
        arms=inputs.users.arms,
        solved=solved,
        manifest=manifest,
        changes=changes,
        served=job.spent,
        passes=watch.passes,
        seconds=time.perf_counter() - began,
    )


@dataclass(frozen=True, eq=False)
class _Job:
    """A task whose inputs are open."""

    task: DecideTask
    inputs: Inputs
    served: Served | None
    watch: Watch

    @property
    def spent(self) -> tuple[int, float]:
        """How many users are served, and what they cost (money)."""
        return (0, 0.0) if self.served is None else (len(self.served), float(self.served.total))

    @cached_property
    def spent_digest(self) -> str:
        """The checksum of who is served, empty where nobody was to be looked up."""
        return "" if self.served is None else served_digest(self.task.plan, self.served)

    @cached_property
    def run_id(self) -> str:
        """The hash of plan, inputs and versions: runs of the same id write the same bytes."""
        plan, spent = self.task.plan, None if self.served is None else self.spent_digest
        return run_id_of(versions(models=plan.model is not None), plan.digest(), self.inputs.fingerprint, spent)

    def write(self, source: FiledSource, staging: Staging) -> tuple[Solved, dict[str, Any]]:
        """Decide, and write the parts into the staging folder; what was solved, and the manifest."""
        with self._solved(source) as (terms, solved, passes):
            work = WritePart(Decide(solved.rule, source.arms), str(staging.folder), self.run_id)
            records = passes.blocks(work, "writing decisions")
            return solved, self._manifest(terms, solved, records)

    def dry(self, source: FiledSource) -> tuple[Solved, dict[str, Any], Changes | None]:
        """Everything but writing, and the changes against the decisions that are there."""
        arms = source.arms
        with self._solved(source) as (terms, solved, passes):
            previous = read_previous(expanded(self.task.out), source.id_type)
            records = passes.blocks(SumUp(Decide(solved.rule, arms), previous), "summing up decisions")
        changes = None
        if previous is not None:
            changes = changes_of(previous, arms, np.sum([record.pop("moves") for record in records], axis=0))
        return solved, self._manifest(terms, solved, records), changes

    @contextmanager
    def _solved(self, source: FiledSource) -> Iterator[tuple[Terms, Solved, Passes]]:
        """The plan's terms, what was solved, and the passes for as long as they are needed."""
        with _passes(self.task, source, self.served, self.watch) as passes:
            yield *solve_plan(self.task.plan, passes, source, self.served), passes

    def _manifest(self, terms: Terms, solved: Solved, records: Sequence[Record]) -> dict[str, Any]:
        further, plan, arms = {}, self.task.plan, self.inputs.users.arms
        if self.served is not None:
            further = {"spent": {**spent_entry(plan, self.served, arms), "sha256": self.spent_digest}}
        return batch_manifest(
            plan,
            solved,
            [of_record(record) for record in records],
            run_id=self.run_id,
            arms=arms,
            fingerprint=self.inputs.fingerprint,
            budget=terms.budget,
            further=further,
        )


def solve_plan(plan: Plan, passes: Passes, source: FiledSource, served: Served | None = None) -> tuple[Terms, Solved]:
    """The plan's terms for the users who are not served yet, solved; InputError for a user who stands twice."""

    def some(column: str) -> list[Any]:
        """A few of the values that an attribute has among the first users."""
        cells = source.block(0, min(source.n, LOOKED_AT)).attributes[column]
        return list(cells.unique().drop_null().to_pylist()[:VALUES])

    terms = terms_for(plan, passes, source.arms, source.n, served, some)
    if terms.limits:
        found = solve_limits_in_chunks(passes, terms, source.n)
    else:
        found = solve_budget_in_chunks(passes, terms.budget)
    if not passes.ids_rise:
        check_unique_ids(source)
    return terms, found


def _served(task: DecideTask, source: FiledSource, watch: Watch) -> Served | None:
    if task.spent is None:
        return None
    watch.step(f"reading {task.spent}")
    return read_served(task.spent, source.id_type, source.arms)


@contextmanager
def _passes(task: DecideTask, source: FiledSource, served: Served | None, watch: Watch) -> Iterator[Passes]:
    cut = Cut(task.plan.limits, task.plan.part_rows, served)
    if task.engine == LOCAL:
        yield LocalPasses(source, cut, watch)
        return
    from allocation.jobs.spark import SparkPasses  # pyspark is an extra

    watch.step("starting Spark")
    with SparkPasses.start(source, cut, watch, task.master, task.partitions) as passes:
        yield passes
