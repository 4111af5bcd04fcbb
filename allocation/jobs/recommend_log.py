"""The interaction log of the `earmark recommend` commands, with the columns that the fit named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from allocation.jobs.summary import MANIFEST
from uplift.files import expanded, read_table
from uplift.recommender.histories import Histories, encode_histories
from uplift.recommender.interactions import Interactions


@dataclass(frozen=True)
class LogColumns:
    """Names of the columns of an interaction log, and what a repeated row is; see `Interactions.from_frame`."""

    user: str = "user"
    item: str = "item"
    order: str | None = None
    duplicates: str = "keep"

    def but(self, given: Mapping[str, str | None]) -> LogColumns:
        """The same with what is given; None leaves a column as it was."""
        return replace(self, **{name: text for name, text in given.items() if text is not None})

    def read(self, path: str | Path) -> Interactions:
        """The log in a Parquet or CSV file. Raises InputError for what is no log."""
        return Interactions.from_parquet(path, **vars(self))


def columns_of(folder: str | Path) -> LogColumns:
    """The columns of the log that the recommender in this folder was fitted on; the usual ones without a manifest."""
    path = expanded(folder) / MANIFEST
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))["plan"]
        return LogColumns(**{field.name: saved[field.name] for field in fields(LogColumns)})
    except (OSError, ValueError, KeyError, TypeError):
        return LogColumns()


def read_histories(
    path: str | Path, columns: LogColumns, item_id: NDArray[Any]
) -> tuple[Histories, NDArray[Any], NDArray[np.int64]]:
    """Histories of a log in the codes of known items, their users, and how many events of each were left out.

    In a CSV file items are read as the kind that the known ones are: text, or numbers.
    """
    text = (columns.user,) if item_id.dtype.kind in "iuf" else (columns.user, columns.item)
    log = Interactions.from_frame(read_table(path, text), **vars(columns))
    owner = np.repeat(np.arange(log.n_users), log.counts)
    table = pa.table({columns.user: log.user_id[owner], columns.item: log.item_id[log.items - 1]})
    return encode_histories(table, item_id, user=columns.user, item=columns.item)
