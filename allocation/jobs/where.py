"""Conditions on the users' attributes: which users a limit is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from allocation.jobs.plan_values import Scalar, kind_of, shown
from uplift.errors import InputError, nearest

Mask = NDArray[np.bool_]


def mask_of(
    where: Mapping[str, Sequence[Scalar]], attributes: Mapping[str, pa.Array], n: int, called: str
) -> Mask | None:
    """The users who meet every condition: each named column is equal to one of the values asked for.

    A missing cell (null, NaN) meets no condition. Numbers are equal by size: 3 meets 3.0; a column of float32 is
    asked for the nearest float32 of a fraction such as 0.1, and for no whole number that it cannot hold. Text is
    equal to text alone, true and false to themselves alone.

    Parameters
    ----------
    where : column -> values, as in `PlanLimit.where`.
    attributes : columns of text, whole numbers, floats or booleans by name, (n,) each, also dictionary-encoded; text
        is pa.string(), as tables are read.
    called : who asks, for messages, such as "limit 'calls'".

    Returns (n,) booleans, or None for everybody, where there is no condition.
    Raises InputError for a column that is not there, and for one whose type can never be equal, such as numbers
    where text is asked for.
    """
    mask: Mask | None = None
    for name, values in where.items():
        column = _column(name, attributes, n, called)
        _check_kind(column.type, values, f"{called} asks in where for {shown(name)} =")
        met = _met(column, values)
        mask = met if mask is None else mask & met
    return mask


def _column(name: str, attributes: Mapping[str, pa.Array], n: int, called: str) -> pa.Array:
    if name not in attributes:
        raise InputError(
            f"{called} asks in where for the column {shown(name)}, which is not there.{nearest(name, attributes)}"
        )
    column = attributes[name]
    if len(column) != n:
        raise InputError(f"the column {shown(name)} has {len(column):,} rows for {n:,} users; one each is expected")
    return column


def _check_kind(kind: pa.DataType, values: Iterable[Scalar], asked: str) -> None:
    """Refuse a column that none of the values can be equal to; one of nothing but nulls could hold anything."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return
    held, mend = _held(kind)
    wrong = next((value for value in values if kind_of(value) != held), None)
    if wrong is not None:
        raise InputError(f"{asked} {shown(wrong)}, but the column holds {kind}; {mend}")


def _held(kind: pa.DataType) -> tuple[str, str]:
    """What a column holds, as `kind_of` calls it, and what to do about a value of another kind."""
    if pa.types.is_string(kind):
        return "text", "write the value in quotes, as text"
    if pa.types.is_boolean(kind):
        return "true or false", "write true or false, without quotes"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "a number", "write a number, without quotes"
    return "", "conditions are on text, numbers, and true or false: write the column as one of them"


def _met(column: pa.Array, values: Sequence[Scalar]) -> Mask:
    """One array's cells that are equal to one of the values, all of the array's kind."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), dtype=np.bool_)
    if pa.types.is_dictionary(kind):
        met = np.append(_met(column.dictionary, values), False)
        codes = pc.fill_null(pc.cast(column.indices, pa.int64()), len(column.dictionary))
        return np.asarray(met[codes.to_numpy()])
    if pa.types.is_floating(kind):
        cells = column.to_numpy(zero_copy_only=False)  # nulls become NaN, which nothing is equal to
        return np.isin(cells, _floats(values, cells.dtype))
    if pa.types.is_integer(kind):
        values = _whole_numbers(values, np.iinfo(kind.to_pandas_dtype()))
    found = pc.is_in(column, value_set=pa.array(values, kind))  # false for nulls
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(values: Iterable[Any], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """The values as the column holds them, without the whole numbers that it cannot hold."""
    with np.errstate(over="ignore"):
        pairs = [(value, dtype.type(value)) for value in values]
    found = [held for value, held in pairs if np.isfinite(held) and (value % 1 or int(held) == value)]
    return np.array(found, dtype)


def _whole_numbers(values: Iterable[Any], held: np.iinfo) -> list[int]:
    """Those of the values that a column of whole numbers can hold; 3.0 is 3, and nobody has 2.5."""
    return [int(value) for value in values if value == int(value) and held.min <= value <= held.max]
