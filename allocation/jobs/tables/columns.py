"""Columns of a batch into the tables of a block, each cell checked: a bad one is named by file, column and row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.engine.tables import LARGEST
from allocation.jobs.tables.blocks import Block
from allocation.jobs.tables.files import TableFile
from allocation.jobs.tables.schema import ELIGIBLE, USER_ID, TableSchema, plain, prefix_of
from uplift.errors import InputError


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
    """A block of r users that is filled piece by piece."""

    def __init__(self, schema: TableSchema, first: int, rows: int) -> None:
        self.schema, self.first, self.rows, self.filled = schema, first, rows, 0
        shape = (rows, len(schema.arms))
        self.amounts = {name: np.empty(shape, dtype) for name, dtype in schema.amounts.items()}
        self.eligible = np.empty(shape, dtype=bool) if schema.eligible else None
        self.ids: list[pa.Array] = []
        self.attributes: dict[str, list[pa.Array]] = {name: [] for name in schema.attributes}

    def put(self, piece: Piece) -> None:
        """Add a piece's rows after those that are there."""
        rows, at = len(piece.batch), slice(self.filled, self.filled + len(piece.batch))
        for name, table in self.amounts.items():
            prefix = prefix_of(name)
            for j, arm in enumerate(self.schema.arms):
                table[at, j] = _amounts(piece, prefix + arm, table.dtype)
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

    def finish(self) -> Block:
        """The block; call it once every row is there."""
        ids = pa.nulls(self.rows) if self.schema.user_id is None else pa.concat_arrays(self.ids)
        return Block(
            self.first,
            ids,
            self.amounts["value"],
            self.amounts["cost"],
            self.eligible,
            {name: self.amounts[name] for name in self.schema.resources},
            {name: pa.concat_arrays(columns) for name, columns in self.attributes.items()},
        )


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


def _amounts(piece: Piece, name: str, dtype: np.dtype[Any]) -> NDArray[np.floating[Any]]:
    """A column of amounts, (rows,), finite."""
    column = _whole(piece, name, piece.batch.column(name))
    if pa.types.is_dictionary(column.type):
        column = _whole(piece, name, column.dictionary_decode())
    wanted = pa.from_numpy_dtype(dtype)
    if column.type != wanted:
        try:
            column = pc.cast(column, wanted)
        except pa.ArrowInvalid as error:
            raise InputError(f"{piece.file.shown}: column {name}: {error}; write it as float64") from None
    values: NDArray[np.floating[Any]] = column.to_numpy()
    # A comparison with NaN is false, and NaN is the least and the greatest of what it stands in.
    if len(values) and not (float(values.min()) >= -LARGEST and float(values.max()) <= LARGEST):
        row = int(np.argmax(~(np.abs(values) <= LARGEST)))
        said = (
            f"{values[row]}" if np.isfinite(values[row]) else "missing (NaN)" if np.isnan(values[row]) else "infinite"
        )
        raise _bad_cell(piece, name, row, said, f"a finite number within {LARGEST:g}")
    return values


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
