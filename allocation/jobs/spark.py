"""The passes of the nightly job on Spark: executors work on the same blocks, and the answers are the same bytes."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Self

from allocation.engine.stream.chunks import Arrays, Work, merged
from allocation.jobs.batch.passes import BlockWork, Cut, Record
from allocation.jobs.spark_session import FAILURES, no_warning, one_failure, open_session, stop
from allocation.jobs.spark_tasks import (
    DONE,
    ERRORS,
    SCHEMA,
    Blocks,
    EachBlock,
    EachChunk,
    Merge,
    MergeParts,
    Subtree,
    Task,
    rows_of,
    unpacked,
)
from allocation.jobs.tables.blocks import Source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

A_CORE = 4  # tasks, so that none waits long for the slowest
FEW = 8  # partial results that are merged here and not by executors
POLL = 0.2  # seconds between two looks at how far a pass has come
LAST_TASKS = 60.0  # seconds in which those that speculation has made superfluous come to their end


@dataclass(frozen=True, eq=False)
class SparkPasses:
    """Passes by Spark's tasks; a task takes consecutive blocks, reads them itself and sends home what is found.

    source, cut : as of `LocalPasses`; files must have the same path on every executor. progress(what, done, of)
    hears of every pass as it goes, in users. spark : the session; own : whether it is stopped at the end.
    tasks : of a pass. The answers depend neither on them nor on who did which.

    Raises InputError and ProblemError that a task met as they are, and InputError where Spark itself fails.
    """

    source: Source
    cut: Cut
    progress: Callable[[str, int, int], None]
    spark: SparkSession
    own: bool
    tasks: int

    @classmethod
    def start(
        cls,
        source: Source,
        cut: Cut,
        progress: Callable[[str, int, int], None],
        master: str | None = None,
        partitions: int | None = None,
    ) -> Self:
        """Passes in the session that runs, or in a new one for the master; to be used as a context, or closed.

        `partitions` is the number of tasks of a pass, None for A_CORE a core.
        """
        spark, own = open_session(master)
        with one_failure("starting"):
            tasks = A_CORE * spark.sparkContext.defaultParallelism if partitions is None else partitions
        return cls(source, cut, progress, spark, own, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the session if it was started here."""
        if self.own:
            stop(self.spark)

    @property
    def arms(self) -> int:
        """K+1."""
        return len(self.source.arms)

    @property
    def ids_rise(self) -> bool:
        """See `Passes`; a task sees but its own blocks, so it is not known."""
        return False

    @property
    def places(self) -> int:
        """How many users the source has, served or not."""
        return self.source.n

    def each(self, work: Work, what: str) -> list[Arrays]:
        """See `Chunks`."""
        found = self._run(EachChunk(self._blocks, work), what, range(self._number))
        return [unpacked(data) for data in found]

    def tree(self, work: Work, merge: Merge, what: str) -> Arrays | None:
        """See `Chunks`. Tasks merge their own blocks, a second stage what these sent on, the driver the few left."""
        if self._number == 0:
            return None
        level = _level(self._number, A_CORE * self.tasks)
        groups = -(-self._number >> level)
        upper = 0 if groups <= FEW else groups.bit_length() // 2
        unit = Subtree(self._blocks, work, merge, level)
        found = self._run(unit, what, range(groups), MergeParts(merge, upper) if upper else None)
        return merged(map(unpacked, found), merge)

    def blocks(self, work: BlockWork, what: str) -> list[Record]:
        """See `Passes`. Executors write; a task that is tried again, or twice at once, writes the same bytes."""
        found = self._run(EachBlock(self._blocks, work), what, range(self._number))
        return [json.loads(data) for data in found]

    @property
    def _blocks(self) -> Blocks:
        return Blocks(self.source, self.cut)

    @property
    def _number(self) -> int:
        return self.cut.number(self.source.n)

    def _run(
        self, unit: Callable[[int], bytes], what: str, units: range, then: MergeParts | None = None
    ) -> list[bytes]:
        """What the unit of work returns for each number, in order; with `then`, what is merged of them."""
        if len(units) == 0:
            return []
        expected, tasks = list(units), min(self.tasks, len(units))
        with no_warning(), one_failure(what):
            frame = self.spark.range(units.start, units.stop, 1, tasks)
            frame = frame.mapInArrow(Task(unit, version("earmark")), SCHEMA)
            if then is not None:
                expected = sorted({k >> then.level for k in units})
                merging = min(len(expected), tasks)
                wide = frame.selectExpr("*", f"shiftright(k, {then.level}) AS parent").repartition(merging, "parent")
                frame, tasks = wide.drop("parent").mapInArrow(then, SCHEMA), tasks + merging
        rows = sorted(rows_of(self._collected(frame, what, tasks)))
        for _, kind, data in rows:
            if kind != DONE:
                raise ERRORS[kind](data.decode())
        if [k for k, _, _ in rows] != expected:
            raise RuntimeError(f"Spark returned {len(rows)} results of {len(expected)}")
        return [data for _, _, data in rows]

    def _collected(self, frame: Any, what: str, tasks: int) -> Any:
        """The rows of a frame as an Arrow table; how far it has come is told meanwhile."""
        context, n, group = self.spark.sparkContext, self.source.n, f"earmark-{uuid.uuid4().hex}"

        def collect() -> Any:
            """In a thread of its own: a job group belongs to a thread."""
            context.setJobGroup(group, what, interruptOnCancel=True)
            return frame.toArrow()

        self.progress(what, 0, n)
        with ThreadPoolExecutor(1, thread_name_prefix="earmark-spark") as pool:
            job = pool.submit(collect)
            try:
                told = 0
                while not _ended(job):
                    with one_failure(what):
                        finished = self._finished(group)
                    done = min(n * finished // tasks, n - 1)
                    if done > told:
                        told = done
                        self.progress(what, done, n)  # its own failure, such as a closed stderr, is none of Spark's
                with one_failure(what):
                    table = job.result()
            except BaseException:
                with suppress(*FAILURES):  # the first one is told
                    context.cancelJobGroup(group)
                raise
        with one_failure(what):
            self._calm()
        self.progress(what, n, n)
        return table

    def _finished(self, group: str) -> int:
        """Tasks of the job group that have ended."""
        tracker = self.spark.sparkContext.statusTracker()
        jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group)]
        stages = [tracker.getStageInfo(stage) for job in jobs if job is not None for stage in job.stageIds]
        return sum(stage.numCompletedTasks for stage in stages if stage is not None)

    def _calm(self) -> None:
        """Wait for tasks that were run twice: the slower ones are being stopped, and may still hold a file open."""
        if self.spark.sparkContext.getConf().get("spark.speculation", "false") != "true":
            return
        tracker, until = self.spark.sparkContext.statusTracker(), time.monotonic() + LAST_TASKS
        while tracker.getActiveJobsIds() == [] and time.monotonic() < until:
            infos = self.spark.sparkContext._jsc.sc().statusTracker().getExecutorInfos()
            if sum(info.numRunningTasks() for info in infos) == 0:
                return
            time.sleep(POLL)


def _ended(job: Future[Any]) -> bool:
    """Whether the job has ended, at most POLL seconds from now."""
    try:
        job.exception(timeout=POLL)
    except TimeoutError:
        return False
    return True


def _level(blocks: int, wished: int) -> int:
    """The level of subtrees of which there are at least as many as wished, where there are so many blocks."""
    return max(0, (blocks // wished).bit_length() - 1)
