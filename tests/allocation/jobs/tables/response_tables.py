"""Small response tables for the tests of reading: what is in them, and files of many writers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ARMS = ("none", "mail", "coupon")


def responses(n: int, first: int = 0, arms: Sequence[str] = ARMS, dtype: Any = np.float32, seed: int = 0) -> pa.Table:
    """Users first, first + 1, ... with value and cost of every arm; the same user has the same cells in any table."""
    rng = np.random.default_rng(seed)
    cells = rng.normal(5, 3, (first + n, 2 * len(arms)))[first:].astype(dtype)
    columns: dict[str, Any] = {"user_id": pa.array(np.arange(first, first + n))}
    for j, arm in enumerate(arms):
        columns[f"value.{arm}"] = cells[:, j]
        columns[f"cost.{arm}"] = np.abs(cells[:, len(arms) + j]) * (j > 0)
    return pa.table(columns)


def expected(table: pa.Table, kind: str, arms: Sequence[str] = ARMS) -> np.ndarray:
    """The table of one kind, (n, K+1), taken column by column through Python."""
    return np.array([table[f"{kind}.{arm}"].to_pylist() for arm in arms], dtype=np.float64).T


def write(folder: Path, *tables: pa.Table, **settings: Any) -> Path:
    """The tables as a.parquet, b.parquet, ... in a folder; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, table in enumerate(tables):
        pq.write_table(table, folder / f"{chr(97 + k)}.parquet", **settings)
    return folder
