"""The last pass: the decisions of a block, written as a part or only summed up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from allocation.engine.stream.chunks import Chunk
from allocation.engine.stream.solved import Rule
from allocation.jobs.batch.changes import Previous, moves_of
from allocation.jobs.batch.part_file import write_part
from allocation.jobs.batch.parts import decisions_table, summary_of
from allocation.jobs.batch.passes import Record
from allocation.jobs.tables.blocks import Block


@dataclass(frozen=True, eq=False)
class Decide:
    """The decisions of a block as a table; `rule` is the solved plan's, `arms` are the names, control first."""

    rule: Rule
    arms: tuple[str, ...]

    def __call__(self, block: Block, chunk: Chunk) -> pa.Table:
        decision = self.rule.decide(chunk)
        margin = self.rule.margins(chunk, decision)
        rows = np.arange(len(chunk))
        expected = (table[rows, decision] for table in (chunk.value, chunk.cost))
        return decisions_table(block.user_id, self.arms, decision, next(expected), next(expected), margin)


@dataclass(frozen=True, eq=False)
class WritePart:
    """Writes the decisions of a block as a part of run `run_id` into the staging folder, unless they stand there.

    They are decided in any case: a part that an earlier run has left is kept where it is the same, byte by byte, so
    that one which decides otherwise cannot stand in the way of this run and the next. It is all plain values, so
    that Spark's executors can be sent it.
    """

    decide: Decide
    staging: str
    run_id: str

    def __call__(self, k: int, block: Block, chunk: Chunk) -> Record:
        return write_part(self.staging, k, self.run_id, self.decide(block, chunk)).record()


@dataclass(frozen=True, eq=False)
class SumUp:
    """What the decisions of a block add up to, and who would move from which earlier arm; nothing is written."""

    decide: Decide
    previous: Previous | None

    def __call__(self, k: int, block: Block, chunk: Chunk) -> Record:
        table, arms = self.decide(block, chunk), self.decide.arms
        record = summary_of(table, arms, f"block {k}", 0, "").record()
        if self.previous is not None:
            decision = table["arm"].chunk(0).indices.to_numpy().astype(np.int64)
            record["moves"] = moves_of(self.previous, block.user_id, decision, len(arms)).tolist()
        return record
