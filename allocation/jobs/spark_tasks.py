"""What Spark's tasks do: the work on one block after the other, and what is found as bytes on its way home."""

from __future__ import annotations

import io
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pyarrow as pa

from allocation.engine.limit import ProblemError
from allocation.engine.stream.chunks import Arrays, Chunk, Work, merged
from allocation.jobs.batch.passes import BlockWork, Cut
from allocation.jobs.tables.blocks import Block, Source
from uplift.errors import InputError

SCHEMA = "k bigint, kind string, data binary"  # a unit's number, what became of it, and what it sends home
DONE = "done"
ERRORS: dict[str, type[Exception]] = {"InputError": InputError, "ProblemError": ProblemError}
Merge = Callable[[Arrays, Arrays], Arrays]
Row = tuple[int, str, bytes]


def packed(arrays: Arrays) -> bytes:
    """Arrays by name as bytes; cells, types and shapes stay as they are."""
    stream = io.BytesIO()
    stream.write(json.dumps(list(arrays)).encode() + b"\n")
    for array in arrays.values():
        np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


def unpacked(content: bytes) -> Arrays:
    """What `packed` packed."""
    stream = io.BytesIO(content)
    return {name: np.lib.format.read_array(stream, allow_pickle=False) for name in json.loads(stream.readline())}


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a source by their number, each read where it is worked on."""

    source: Source
    cut: Cut

    def block(self, k: int) -> Block:
        """Block k without the users who are served."""
        first = k * self.cut.part_rows
        return self.cut.left(self.source.block(first, min(first + self.cut.part_rows, self.source.n)))

    def chunk(self, k: int) -> Chunk:
        """Block k as the engine takes it."""
        return self.cut.chunk(self.block(k))


@dataclass(frozen=True, eq=False)
class EachChunk:
    """What the work finds in block k."""

    blocks: Blocks
    work: Work

    def __call__(self, k: int) -> bytes:
        return packed(self.work(self.blocks.chunk(k)))


@dataclass(frozen=True, eq=False)
class EachBlock:
    """What the work on block k returns, as JSON; its `staging` folder, if it has one, must be seen from here."""

    blocks: Blocks
    work: BlockWork

    def __call__(self, k: int) -> bytes:
        staging = getattr(self.work, "staging", None)
        if staging is not None and not os.path.isdir(staging):
            raise InputError(
                f"the staging folder {staging} does not exist on {socket.gethostname()}, where a task of Spark runs; "
                "executors write the decisions: give a folder on a file system that all of them share"
            )
        block = self.blocks.block(k)
        return json.dumps(self.work(k, block, self.blocks.cut.chunk(block))).encode()


@dataclass(frozen=True, eq=False)
class Subtree:
    """What the work finds in the 2^level blocks from g 2^level on, merged as `merged` does; the last has fewer."""

    blocks: Blocks
    work: Work
    merge: Merge
    level: int

    def __call__(self, g: int) -> bytes:
        end = min((g + 1) << self.level, self.blocks.cut.number(self.blocks.source.n))
        found = merged((self.work(self.blocks.chunk(k)) for k in range(g << self.level, end)), self.merge)
        return packed(found or {})


@dataclass(frozen=True, eq=False)
class Task:
    """The unit of work with each number of a partition; of `release`, which the executors must have as well.

    What is wrong with the input goes home as a row, and ends the task: an exception would come home as text, and be
    tried again.
    """

    unit: Callable[[int], bytes]
    release: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        settle_down()
        numbers = (k for batch in batches for k in batch.column(0).to_pylist())
        same = version("earmark") == self.release
        for k in numbers:
            kind, data = self._worked(k) if same else ("InputError", other_release(self.release).encode())
            yield rows_batch([(k, kind, data)])
            if kind != DONE:
                break
        for _ in numbers:
            pass  # a worker that leaves some of its input unread is not used again; a new one takes seconds

    def _worked(self, k: int) -> tuple[str, bytes]:
        try:
            return DONE, self.unit(k)
        except ProblemError as error:
            return "ProblemError", str(error).encode()
        except InputError as error:
            return "InputError", str(error).encode()


def other_release(release: str) -> str:
    """The message for an executor with another earmark than the driver's."""
    return (
        f"{socket.gethostname()}, where a task of Spark runs, has earmark {version('earmark')}, the driver has "
        f"{release}; install the same one everywhere"
    )


@dataclass(frozen=True, eq=False)
class MergeParts:
    """The results of subtrees, 2^level consecutive ones each merged into one."""

    merge: Merge
    level: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        settle_down()
        of_parent: dict[int, list[Row]] = {}
        for batch in batches:
            for row in rows_of(batch):
                of_parent.setdefault(row[0] >> self.level, []).append(row)
        for parent in sorted(of_parent):
            kind, data = merged_rows(of_parent.pop(parent), self.merge)
            yield rows_batch([(parent, kind, data)])


def merged_rows(rows: list[Row], merge: Merge) -> tuple[str, bytes]:
    """The rows merged in order of their numbers, or the first error among them."""
    rows = sorted(rows)
    for _, kind, data in rows:
        if kind != DONE:
            return kind, data
    return DONE, packed(merged((unpacked(data) for _, _, data in rows), merge) or {})


def rows_batch(rows: list[Row]) -> pa.RecordBatch:
    """Rows as Spark takes them."""
    numbers, kinds, data = zip(*rows, strict=True)
    columns = [pa.array(numbers, pa.int64()), pa.array(kinds, pa.string()), pa.array(data, pa.binary())]
    return pa.RecordBatch.from_arrays(columns, names=["k", "kind", "data"])


def rows_of(table: pa.RecordBatch | pa.Table) -> list[Row]:
    """The rows of what Spark hands over."""
    return list(zip(*(table.column(i).to_pylist() for i in range(3)), strict=True))


def settle_down() -> None:
    """Take the cores that Spark gives a task, one as a rule: as many tasks as there are cores run beside this one."""
    from pyspark import TaskContext  # an extra, and what runs here is imported without it

    context = TaskContext.get()
    cpus = context.cpus() if context is not None else 1
    os.environ["EARMARK_THREADS"] = str(cpus)
    pa.set_cpu_count(cpus)
