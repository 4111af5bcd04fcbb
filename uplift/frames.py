"""Columns out of any data frame (pandas, polars, Arrow), checked by role."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError, nearest


def open_frame(frame: object) -> nw.DataFrame[Any]:
    """View a pandas, polars or Arrow table through narwhals; refuse anything else and empty tables."""
    if isinstance(frame, nw.DataFrame):
        opened: nw.DataFrame[Any] = frame
    else:
        try:
            opened = nw.from_native(frame, eager_only=True)
        except TypeError:
            raise InputError(
                f"a {type(frame).__module__}.{type(frame).__name__} is no table that earmark reads; "
                "give a pandas DataFrame, a polars DataFrame (a LazyFrame after .collect()) or a pyarrow Table"
            ) from None
    names = list(opened.columns)
    twice = sorted({str(c) for c in names if names.count(c) > 1})
    if twice:
        raise InputError(f"column {twice[0]!r} stands in the table more than once; rename or drop one of them")
    if opened.shape[0] == 0:
        raise InputError("the table is empty: 0 rows; a log with at least one user of every arm is expected")
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
        sample = series.drop_nulls()
        example = f" such as {sample[0]!r}" if len(sample) else ""
        hint = (
            "encode it as numbers first, one 0/1 column a category (pandas.get_dummies, polars to_dummies)"
            if role == "feature"
            else "turn it into numbers first"
        )
        raise InputError(f"{role} column {name!r} holds {series.dtype} cells{example}; numbers are expected: {hint}")
    if series.dtype == nw.Boolean:
        series = series.cast(nw.Int8)
    values = series.cast(nw.Float64).to_numpy().astype(np.float64)
    check_finite(values, f"{role} column {name!r}")
    return values


def check_finite(values: NDArray[np.floating[Any]], what: str) -> None:
    """Refuse missing and infinite cells, with their count and the first row (counted from 0)."""
    bad = ~np.isfinite(values)
    if bad.any():
        missing = int(np.isnan(values).sum())
        infinite = int(bad.sum()) - missing
        counts = " and ".join(
            f"{count:,} {word}" for count, word in ((missing, "missing (NaN)"), (infinite, "infinite")) if count
        )
        row = int(np.argwhere(bad)[0][0])
        raise InputError(
            f"{what} has {counts} of {values.size:,} cells, the first in row {row:,} (counted from 0); "
            "finite numbers are expected: fill these cells or drop these rows"
        )


def labels(frame: nw.DataFrame[Any], name: str, role: str) -> NDArray[np.object_]:
    """A column of names as text, shape (n,): 2, 2.0 and "2" are the same name; missing cells are refused."""
    series = column(frame, name, role)
    missing = int(series.is_null().sum())
    if series.dtype.is_float():
        missing = int(np.isnan(series.cast(nw.Float64).to_numpy().astype(np.float64)).sum())
    if missing:
        raise InputError(
            f"{role} column {name!r} has {missing:,} missing of {len(series):,} cells; "
            "every user needs one: fill these cells or drop these rows"
        )
    unique = {key: arm_name(key) for key in series.unique().to_list()}
    return np.array([unique[key] for key in series.to_list()], dtype=object)


def arm_name(label: object) -> str:
    """The name of an arm as text; a whole number keeps no decimal point, so that 1.0 and 1 are one arm."""
    if isinstance(label, (float, np.floating)) and float(label).is_integer():
        return str(int(label))
    return str(label)
