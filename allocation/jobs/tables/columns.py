"""Columns of a batch into the tables of a block, each cell checked: a bad one is named by file, column and row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.jobs.tables.blocks import Block, Table
from allocation.jobs.tables.files import TableFile
from allocation.jobs.tables.schema import ELIGIBLE, USER_ID, Columns, TableSchema, plain
from uplift.cells import LARGEST_SINGLE
from uplift.errors import InputError

LINES = 1 << 13


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of one file, the first of them its row `row`, counted from 0."""

    file: TableFile
    row: int
    batch: pa.RecordBatch

    def cut(self, rows: int) -> tuple[Piece, Piece]:
        """The first `rows` of it, and the rest."""
        rest = Piece(self.file, self.row + rows, self.batch.slice(rows))
        return Piece(self.file, self.row, self.batch.slice(0, rows)), rest


class Draft:
    """What is read of r users, filled piece by piece; each list of arrays in `ids` and `attributes` is one column."""

    def __init__(self, schema: TableSchema, first: int, rows: int) -> None:
        self.schema, self.first, self.rows, self.filled = schema, first, rows, 0
        self.tables = {name: np.empty((rows, len(own.names)), own.dtype) for name, own in schema.tables.items()}
        self.eligible = np.empty((rows, len(schema.arms)), dtype=bool) if schema.eligible else None
        self.ids: list[pa.Array] = []
        self.attributes: dict[str, list[pa.Array]] = {name: [] for name in schema.attributes}

    def put(self, piece: Piece) -> None:
        """Add a piece's rows after those that are there."""
        rows, at = len(piece.batch), slice(self.filled, self.filled + len(piece.batch))
        for key, own in self.schema.tables.items():
            _side_by_side([_numbers(piece, name, own) for name in own.names], self.tables[key][at])
        if self.eligible is not None:
            for j, arm in enumerate(self.schema.arms):
                self.eligible[at, j] = _whole(piece, ELIGIBLE + arm, piece.batch.column(ELIGIBLE + arm)).to_numpy(
                    zero_copy_only=False
                )
        if self.schema.user_id is not None:
            self.ids.append(ids_of(piece, self.schema.user_id))
        told = dict(piece.file.hive)
        for name, kind in self.schema.attributes.items():
            if name in self.schema.hive:
                self.attributes[name].append(pa.repeat(hive_scalar(told[name], kind), rows))
            else:
                self.attributes[name].append(_plain_column(piece.batch.column(name), kind))
        self.filled += rows

    def user_id(self) -> pa.Array:
        """The ids as one array, of nulls where they were not asked for."""
        return pa.nulls(self.rows) if self.schema.user_id is None else pa.concat_arrays(self.ids)

    def block(self, value: Table, cost: Table) -> Block:
        """The block of these users with their value and cost; call it once every row is there."""
        return Block(
            self.first,
            self.user_id(),
            value,
            cost,
            self.eligible,
            {name: self.tables[name] for name in self.schema.resources},
            {name: pa.concat_arrays(columns) for name, columns in self.attributes.items()},
        )


def _side_by_side(columns: Sequence[NDArray[Any]], table: NDArray[Any]) -> None:
    """Put columns (rows,) into a table (rows, columns), some rows at a time, so that its lines stay in the cache."""
    for first in range(0, len(table), LINES):
        for j, column in enumerate(columns):
            table[first : first + LINES, j] = column[first : first + LINES]


def hive_scalar(text: str | None, kind: pa.DataType) -> pa.Scalar:
    """What a folder's name tells of every user below it."""
    return pa.scalar(int(text) if text is not None and pa.types.is_integer(kind) else text, type=kind)


def ids_of(piece: Piece, kind: pa.DataType) -> pa.Array:
    """The ids of a piece's users; raises InputError for a missing one, and for text that is no UTF-8."""
    return _plain_column(_whole(piece, USER_ID, piece.batch.column(USER_ID)), kind)


def _plain_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as `kind`; text is checked to be text, which Arrow itself leaves to whoever reads it."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if plain(column.type) != kind or column.type != kind:
        column = pc.cast(column, kind)
    if pa.types.is_string(kind):
        column.validate(full=True)
    return column


def _numbers(piece: Piece, name: str, own: Columns) -> NDArray[np.floating[Any]]:
    """A column of numbers, (rows,), finite."""
    column = _whole(piece, name, piece.batch.column(name))
    if pa.types.is_dictionary(column.type):
        column = _whole(piece, name, column.dictionary_decode())
    # float32 is read as it is; whatever else becomes float64 first, so that no cell is beyond a type unseen.
    if not pa.types.is_float64(column.type) and not (pa.types.is_float32(column.type) and own.dtype == "float32"):
        try:
            column = pc.cast(column, pa.float64())
        except pa.ArrowInvalid as error:
            raise InputError(f"{piece.file.shown}: column {name}: {error}; write it as float64") from None
    values: NDArray[np.floating[Any]] = column.to_numpy()
    if not _within(values, own.largest):
        row = int(np.argmax(~(np.abs(values.astype(np.float64)) <= own.largest)))
        cell = values[row]
        said = "missing (NaN)" if np.isnan(cell) else "infinite" if np.isinf(cell) else f"{cell}"
        raise _bad_cell(piece, name, row, said, f"a finite number within {own.largest:g}")
    return values


def _within(values: NDArray[np.floating[Any]], largest: float) -> bool:
    """Whether every cell is a finite number no further than `largest` from 0."""
    if values.dtype == np.float32 and largest >= LARGEST_SINGLE:
        # One read instead of two: a sum is finite only if every cell is; the reverse may fail, far out.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(np.add.reduce(values)):
                return True
    # A comparison with NaN is false, and NaN is the least and the greatest of what it stands in.
    return not len(values) or bool(float(values.min()) >= -largest and float(values.max()) <= largest)


def _whole(piece: Piece, name: str, column: pa.Array) -> pa.Array:
    """The column, if no cell of it is missing."""
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise _bad_cell(piece, name, row, "missing (null)", "one in every row")
    return column


def _bad_cell(piece: Piece, name: str, row: int, said: str, expected: str) -> InputError:
    return InputError(
        f"{piece.file.shown}: column {name} is {said} in row {piece.row + row:,} (counted from 0); {expected} is "
        "expected: fill these cells or drop these rows"
    )
