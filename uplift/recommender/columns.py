"""Columns of an interaction log as arrays: ids as codes, an order as numbers or datetimes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from uplift.errors import InputError, check_unique
from uplift.frames import column, open_frame


def open_log(frame: object, roles: Sequence[str | None]) -> nw.DataFrame[Any]:
    """A pandas, polars or Arrow table through narwhals, one column a role; a table without rows is refused."""
    shape = getattr(frame, "shape", None)
    if isinstance(shape, tuple) and shape and shape[0] == 0:
        raise InputError("the log is empty: 0 rows; one row an event is expected, a user and an item each")
    table = open_frame(frame)
    named = [role for role in roles if role is not None]
    check_unique(named, "column", "user, item, order, value: the", "give each role a column of its own")
    return table


def codes_of(table: nw.DataFrame[Any], name: str, role: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """A column of ids as codes (n,) from 0 into its distinct ids, sorted (V,).

    Ids stay what they are: whole numbers keep their type, text stays text. Raises InputError for missing cells
    (None, NaN, NaT, an infinity, an empty text), for cells of several types, and for lists, records and the like.
    """
    cells = _arrow(table, name, role)
    if pa.types.is_string_view(cells.type) or pa.types.is_float16(cells.type):
        # Arrow sorts neither of the two.
        cells = cells.cast(pa.large_string() if pa.types.is_string_view(cells.type) else pa.float32())
    if pa.types.is_nested(cells.type) or pa.types.is_null(cells.type) or isinstance(cells.type, pa.BaseExtensionType):
        _refuse_missing(cells.is_null(), name, role)
        raise InputError(
            f"{role} column {name!r} holds {cells.type} cells; text or whole numbers are expected; turn it into text"
        )
    missing = pc.is_null(cells, nan_is_null=True)
    if pa.types.is_floating(cells.type):
        missing = pc.or_kleene(missing, pc.is_inf(cells))
    elif pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        missing = pc.or_kleene(missing, pc.equal(cells, pa.scalar("", cells.type)))
    _refuse_missing(missing, name, role)
    encoded = cells.dictionary_encode()
    by_id = pc.array_sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(by_id), dtype=np.int64)
    place[by_id] = np.arange(len(by_id))
    ids = encoded.dictionary.take(pa.array(by_id)).to_numpy(zero_copy_only=False)
    return place[encoded.indices.to_numpy()], ids


def order_column(table: nw.DataFrame[Any], name: str) -> NDArray[Any]:
    """When each event happened, (n,): numbers in their own type, or datetime64, in UTC where a time zone is stated.

    Raises InputError for missing and infinite cells and for text, which has an order of its own.
    """
    cells = _arrow(table, name, "order")
    kind = cells.type
    if pa.types.is_decimal(kind):
        cells = cells.cast(pa.float64())
    elif pa.types.is_timestamp(kind) and kind.tz is not None:
        cells = cells.cast(pa.timestamp(kind.unit))
    elif not (_is_number(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)):
        raise InputError(
            f"order column {name!r} holds {kind} cells; numbers or datetimes are expected: turn text into datetimes "
            "first (pandas.to_datetime, polars str.to_datetime)"
        )
    missing = pc.is_null(cells, nan_is_null=True)
    if pa.types.is_floating(cells.type):
        missing = pc.or_kleene(missing, pc.is_inf(cells))
    _refuse_missing(missing, name, "order")
    return np.asarray(cells.to_numpy(zero_copy_only=False))


def time_order(user: NDArray[np.int64], order: NDArray[Any] | None) -> NDArray[np.int64]:
    """The rows by user and within a user by `order`, (n,); equal order, or none, leaves the order of the rows."""
    return np.argsort(user, kind="stable") if order is None else np.lexsort((order, user))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _arrow(table: nw.DataFrame[Any], name: str, role: str) -> pa.Array:
    """The column as one Arrow array, categories as what they stand for."""
    series = column(table, name, role)
    try:
        cells = series.to_arrow()
        if isinstance(cells, pa.ChunkedArray):
            cells = cells.combine_chunks()
        return cells.cast(cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells
    except (pa.ArrowException, OverflowError, TypeError) as error:
        kinds = sorted({type(cell).__name__ for cell in series.to_list()})
        raise InputError(
            f"{role} column {name!r} holds cells of {', '.join(kinds[:5])}, which make no one column "
            f"({str(error).strip().splitlines()[0]}); turn all into text, or into whole numbers"
        ) from None


def _refuse_missing(missing: pa.Array, name: str, role: str) -> None:
    count = pc.sum(missing).as_py() or 0
    if count:
        row = pc.index(missing, True).as_py()
        raise InputError(
            f"{role} column {name!r} has {count:,} missing of {len(missing):,} cells, the first in row {row:,} "
            "(counted from 0); every event needs one: fill these cells or drop these rows"
        )
