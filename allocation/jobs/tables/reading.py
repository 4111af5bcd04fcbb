"""A table of files as a source: blocks at random or in order, every row decoded once, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pyarrow as pa

from allocation.jobs.tables.ahead import one_ahead
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.columns import Draft, Piece, ids_of
from allocation.jobs.tables.files import TableFile
from allocation.jobs.tables.fingerprints import fingerprint_files, in_thread
from allocation.jobs.tables.footers import check_unchanged, open_file, reading
from allocation.jobs.tables.schema import USER_ID, TableSchema
from uplift.errors import InputError

# Cells that Arrow decodes at a time, and rows at most: large batches are cheaper to decode, and two of them are in
# memory beside the blocks.
BATCH_CELLS, BATCH_ROWS = 1 << 24, 1 << 20


class FileSource:
    """The users of a table of Parquet files, in the order of the files and of their rows.

    files, groups : the files, and the rows of each of their row groups. It keeps no file open between calls, so that
    it can be pickled. Memory: two blocks, what Arrow holds of one batch, and a buffer a column.
    """

    def __init__(self, files: Sequence[TableFile], groups: Sequence[Sequence[int]], schema: TableSchema) -> None:
        self.files, self.groups, self.schema = tuple(files), tuple(tuple(g) for g in groups), schema
        self.ends = np.cumsum([sum(g) for g in self.groups], dtype=np.int64)
        self._fingerprint: Future[dict[str, Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fingerprint": None}

    @property
    def n(self) -> int:
        """How many users there are."""
        return int(self.ends[-1])

    @property
    def id_type(self) -> pa.DataType | None:
        """int64, uint64 or text; None where ids are not read."""
        return self.schema.user_id

    @property
    def arms(self) -> tuple[str, ...]:
        """The names of the K+1 arms, control first."""
        return self.schema.arms

    def block(self, first: int, end: int) -> Block:
        """The users [first, end); only the row groups that hold some of them are decoded."""
        return next(_blocks(self.drafts(first, end, end - first)))

    def stream(self, size: int) -> Iterator[Block]:
        """The blocks of `size` users, in order, the last one shorter, the next one read meanwhile."""
        return one_ahead(_blocks(self.drafts(0, self.n, size)))

    def ids(self, size: int) -> Iterator[pa.Array]:
        """The user ids alone, in order, in arrays of `size` users, the last one shorter."""
        kind = self.schema.user_id
        if kind is None:
            raise ValueError("the table was opened without ids")
        parts: list[pa.Array] = []
        for piece in _cut(self._pieces(0, self.n, [USER_ID], size), size):
            with reading(piece.file):
                parts.append(ids_of(piece, kind))
            if sum(map(len, parts)) == size:
                yield pa.concat_arrays(parts)
                parts = []
        if parts:
            yield pa.concat_arrays(parts)

    def place(self, position: int) -> str:
        """Which row of which file the user at a position is, for messages."""
        k = int(np.searchsorted(self.ends, position, side="right"))
        return f"{self.files[k].shown}, row {position - (int(self.ends[k - 1]) if k else 0):,}"

    def start_fingerprint(self) -> Future[dict[str, Any]]:
        """Begin to hash the files in threads."""
        if self._fingerprint is None:
            self._fingerprint = in_thread(lambda: fingerprint_files(self.files, self.groups, self.arms))
        return self._fingerprint

    def fingerprint(self) -> dict[str, Any]:
        """Rows, arms, and of each file its name, bytes, rows and checksum; see `fingerprint_files`."""
        return self.start_fingerprint().result()

    def drafts(self, first: int, end: int, size: int) -> Iterator[Draft]:
        """What is read of the users [first, first + size), ... up to `end`, before it is a block."""
        if not 0 <= first < end <= self.n or size < 1:
            raise ValueError(f"no blocks of {size} users in [{first}, {end}) of {self.n}")
        at, draft = first, None
        for piece in _cut(self._pieces(first, end, list(self.schema.columns), size), size):
            draft = Draft(self.schema, at, min(size, end - at)) if draft is None else draft
            with reading(piece.file):
                draft.put(piece)
            del piece
            if draft.filled == draft.rows:
                at += draft.rows
                whole, draft = draft, None
                yield whole
                del whole  # or it would be here for as long as the next one is filled

    def _pieces(self, first: int, end: int, columns: list[str], most: int) -> Iterator[Piece]:
        """The rows [first, end) as batches of `most` rows at most, each of one file."""
        begin = int(np.searchsorted(self.ends, first, side="right"))
        for k in range(begin, len(self.files)):
            start_of = int(self.ends[k - 1]) if k else 0
            if start_of >= end:
                return
            yield from _file_pieces(self.files[k], self.groups[k], first - start_of, end - start_of, columns, most)


def _blocks(drafts: Iterator[Draft]) -> Iterator[Block]:
    for draft in drafts:
        yield draft.block(draft.tables["value"], draft.tables["cost"])


def _file_pieces(
    file: TableFile, groups: Sequence[int], first: int, end: int, columns: list[str], most: int
) -> Iterator[Piece]:
    """The rows [first, end) of one file, as far as it has them; only row groups that overlap are decoded."""
    ends = np.cumsum(groups, dtype=np.int64)
    low, high = max(first, 0), min(end, int(ends[-1]))
    wanted = [k for k in range(len(groups)) if groups[k] and ends[k] > low and ends[k] - groups[k] < high]
    if not wanted:
        return
    row = int(ends[wanted[0]]) - groups[wanted[0]]
    with reading(file), open_file(file) as opened:
        if [opened.metadata.row_group(k).num_rows for k in range(opened.metadata.num_row_groups)] != list(groups):
            raise InputError(
                f"{file.shown} has changed since the table was opened; wait until it is written, run again"
            )
        size = min(most, BATCH_ROWS, max(BATCH_CELLS // max(len(columns), 1), 1), high - row)
        for batch in opened.iter_batches(size, row_groups=wanted, columns=columns):
            skip, stop = max(low - row, 0), min(high - row, len(batch))
            pieces = [Piece(file, row + skip, batch.slice(skip, stop - skip))] if stop > skip else []
            row += len(batch)
            del batch  # or it would be here for as long as the next one is decoded
            while pieces:
                yield pieces.pop()
            if row >= high:
                break
        if row < high:
            raise InputError(f"{file.shown} ends at row {row:,} of {high:,}; it is damaged: write it anew")
        check_unchanged(file)


def _cut(pieces: Iterator[Piece], size: int) -> Iterator[Piece]:
    """The same rows in pieces of which none crosses the end of `size` users."""
    room = size
    for piece in pieces:
        left = [piece]
        del piece
        while left:
            head, rest = left.pop().cut(room)
            left = [rest] if len(rest.batch) else []
            room = room - len(head.batch) or size
            del rest
            yield head
            del head
