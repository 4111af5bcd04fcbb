"""Tests of the estimates; every test at the border runs on pandas, polars and Arrow."""

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from uplift import Campaign

every_frame = pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"]
)

# Input that is neither used as meant nor refused by an InputError. Strict: a mend removes the mark.
ROLES: dict[str, Any] = {"features": ["age", "visits"], "treatment": "arm", "value": "spend"}


def log(**changes: Any) -> dict[str, Any]:
    """Columns of a log of eight users and three arms, some of them replaced."""
    columns = {
        "id": [11, 12, 13, 14, 15, 16, 17, 18],
        "arm": ["none", "mail", "call", "none", "mail", "call", "none", "mail"],
        "age": [20.5, 31.0, 42.0, 53.0, 64.0, 25.0, 36.0, 47.0],
        "visits": [0, 1, 2, 3, 4, 5, 6, 7],
        "spend": [0.0, 1.5, 2.0, -3.0, 4.0, 5.0, 6.0, 7.25],
        "paid": [0.0, 0.5, 2.5, 0.0, 0.5, 3.5, 0.0, 0.0],
        "p_none": [0.5, 0.25, 0.5, 0.5, 0.25, 0.5, 0.5, 0.25],
        "p_mail": [0.25, 0.5, 0.25, 0.25, 0.5, 0.25, 0.25, 0.5],
    }
    return columns | changes


def with_cell(name: str, cell: Any, row: int = 2) -> dict[str, Any]:
    """The log with one cell replaced, by default in row 2."""
    cells = list(log()[name])
    cells[row] = cell
    return {name: cells}


def campaign(frame: object, **roles: Any) -> Campaign:
    """A campaign of the given table in the usual roles, some of them replaced."""
    return Campaign.from_frame(frame, **(ROLES | roles))
