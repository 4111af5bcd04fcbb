"""Columns out of any data frame (pandas, polars, Arrow), checked by role."""

from __future__ import annotations

import math
import re
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from numpy.typing import NDArray

from uplift.cells import check_finite
from uplift.errors import InputError, nearest


def open_frame(frame: object) -> nw.DataFrame[Any]:
    """View a pandas, polars or Arrow table through narwhals; refuse anything else and empty tables."""
    try:
        opened: nw.DataFrame[Any] = (
            frame if isinstance(frame, nw.DataFrame) else nw.from_native(frame, eager_only=True)
        )
        if not hasattr(opened, "shape"):
            raise TypeError  # a lazy frame that narwhals itself has wrapped
        columns = list(opened.columns)
    except TypeError:
        raise InputError(
            f"a {type(frame).__module__}.{type(frame).__name__} is no table that earmark reads; "
            "give a pandas DataFrame, a polars DataFrame (a LazyFrame after .collect()) or a pyarrow Table"
        ) from None
    except DuplicateError as error:
        found = re.search(r"'(.*)' \d+ times", str(error))
        name = found.group(1) if found else "of one name"
        raise InputError(f"the table's column {name!r} stands more than once; rename or drop one of them") from None
    other = [name for name in columns if not isinstance(name, str)]
    if other:
        raise InputError(
            f"column {other[0]!r} is named by a {type(other[0]).__name__}; text is expected: "
            "frame.columns = frame.columns.astype(str)"
        )
    if opened.shape[0] == 0:
        raise InputError(
            "the table is empty: 0 rows; one row a user is expected, and of a log at least one user of every arm"
        )
    return opened


def column(frame: nw.DataFrame[Any], name: str, role: str) -> nw.Series[Any]:
    """The named column, or an error that names the role it was wanted for."""
    if name not in frame.columns:
        raise InputError(f"{role} column {name!r} is not in the table.{nearest(name, frame.columns)}")
    return frame[name]


def numbers(frame: nw.DataFrame[Any], name: str, role: str) -> NDArray[np.float64]:
    """A column of finite numbers as float64, shape (n,); missing, infinite and text cells are refused."""
    series = column(frame, name, role)
    if not (series.dtype.is_numeric() or series.dtype == nw.Boolean):
        cells = [cell for cell in series.to_list() if cell is not None]
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        cells = [cell for cell in cells if not isinstance(cell, int | float)]
        example = f" such as {cells[0]!r}" if cells else ""
        hint = "turn it into numbers first"
        if numeric:  # numbers in a column of Python objects
            hint = f"give the column a numeric type first: frame[{name!r}].astype(float)"
        elif role == "feature":
            hint = "encode it as numbers first, one 0/1 column a category (pandas.get_dummies, polars to_dummies)"
        raise InputError(f"{role} column {name!r} holds {series.dtype} cells{example}; numbers are expected: {hint}")
    if series.dtype == nw.Boolean:
        series = series.cast(nw.Int8)
    values = series.cast(nw.Float64).to_numpy().astype(np.float64)
    check_finite(values, f"{role} column {name!r}")
    return values


def labels(frame: nw.DataFrame[Any], name: str, role: str) -> NDArray[np.object_]:
    """A column of names as text, shape (n,): 2 and 2.0 are the same name; missing and empty cells are refused."""
    series = column(frame, name, role)
    if series.dtype.is_nested():
        raise InputError(f"{role} column {name!r} holds {series.dtype} cells; text or whole numbers are expected")
    try:
        cells = series.to_list()
    except OverflowError:
        raise InputError(
            f"{role} column {name!r} has whole numbers beyond 2**63; turn the column into text first"
        ) from None
    blank = [_is_blank(cell) for cell in cells]
    if any(blank):
        raise InputError(
            f"{role} column {name!r} has {sum(blank):,} missing of {len(cells):,} cells, the first in row "
            f"{blank.index(True):,} (counted from 0); every user needs one: fill these cells or drop these rows"
        )
    try:
        names = {cell: arm_name(cell) for cell in set(cells)}
    except TypeError:
        raise InputError(
            f"{role} column {name!r} holds lists or records; text or whole numbers are expected"
        ) from None
    return np.array([names[cell] for cell in cells], dtype=object)


def user_ids(frame: nw.DataFrame[Any], name: str) -> NDArray[Any]:
    """A column of unique user ids, shape (n,), whole numbers or text; missing and repeated ids are refused."""
    ids = labels(frame, name, "user_id")
    _, first, counts = np.unique(ids, return_index=True, return_counts=True)
    if len(first) < len(ids):
        repeated = int(counts[counts > 1].sum())
        example = frame[name].to_list()[int(first[counts > 1].min())]
        raise InputError(
            f"user_id column {name!r} has duplicate ids: {repeated:,} of {len(ids):,} rows share an id, "
            f"such as {example!r}; one row a user is expected: aggregate or drop the repeats"
        )
    return frame[name].to_numpy() if frame[name].dtype.is_integer() else ids


def arm_name(label: object) -> str:
    """The name of an arm as text; a whole number keeps no decimal point, so that 1.0 and 1 are one arm."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label)


def _is_blank(cell: object) -> bool:
    """None, NaN, an infinity, NaT or an empty text."""
    if cell is None or (isinstance(cell, str) and not cell):
        return True
    return (isinstance(cell, float) and not math.isfinite(cell)) or type(cell).__name__ in ("NAType", "NaTType")
