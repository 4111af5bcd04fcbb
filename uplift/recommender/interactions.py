"""Interactions: a log of who did what with which item, one row an event, its columns checked once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from uplift.errors import InputError
from uplift.files import read_table
from uplift.frames import numbers
from uplift.recommender.columns import codes_of, open_log, order_column, time_order
from uplift.recommender.histories import Histories

if TYPE_CHECKING:
    from uplift.datasets.logs import BehaviourLog

DUPLICATES = ("keep", "drop", "refuse")


@dataclass(frozen=True, eq=False)
class Interactions:
    """A log of N events of U users with V items, by user and within a user in time order.

    Build it with `from_frame`, `from_parquet` or `from_log`, which check every role.

    Attributes
    ----------
    items : (N,) int32, item codes in 1..V; 0 is free for padding.
    offsets : (U+1,) int64, the events of user u are rows `offsets[u]` to `offsets[u + 1]`; at least one each.
    user_id : (U,), sorted.
    item_id : (V,), sorted; code v is `item_id[v - 1]`.
    order : (N,) when each event happened, numbers or datetime64 (UTC where the log states a time zone), or None.
    value : (N,) float64, what each event was worth, or None.
    dropped : how many duplicated rows were left out.

    Misleads when the rows of one moment, such as the items of one basket, have no order of their own: ties stay in
    the order of the rows.
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    user_id: NDArray[Any]
    item_id: NDArray[Any]
    order: NDArray[Any] | None = None
    value: NDArray[np.float64] | None = None
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Interactions({self.n_users:,} users, {self.n_items:,} items, {len(self):,} events)"

    @property
    def n_users(self) -> int:
        """How many users the log has, U."""
        return len(self.user_id)

    @property
    def n_items(self) -> int:
        """How many items the log has, V."""
        return len(self.item_id)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Events of each user in the whole log, (U,)."""
        return self.histories.counts

    @cached_property
    def histories(self) -> Histories:
        """The items of each user in time order, (U,)."""
        return Histories(self.items, self.offsets)

    @classmethod
    def from_frame(
        cls,
        frame: object,
        *,
        user: str = "user",
        item: str = "item",
        order: str | None = None,
        value: str | None = None,
        duplicates: str = "keep",
    ) -> Self:
        """Interactions from a pandas, polars or Arrow table, one row an event.

        Parameters
        ----------
        user, item : names of the id columns, whole numbers or text, kept as they are.
        order : name of the column that says when, numbers or datetimes; None takes the order of the rows. Ties stay
            in the order of the rows.
        value : name of a column of numbers, or None.
        duplicates : what a row with the user, item and order of an earlier row is. "keep": an event, such as a
            repeated purchase. "drop": a mistake, left out and counted in `dropped`; without `order` that leaves each
            item once a user. "refuse": an error.

        Raises InputError, which names the column, the count and the mend, for: a table without rows, a missing
        column, a missing user, item or order, a value that is no finite number, and duplicates where refused.
        """
        if duplicates not in DUPLICATES:
            raise InputError(f"duplicates is {duplicates!r}; one of {', '.join(DUPLICATES)} is expected")
        table = open_log(frame, (user, item, order, value))
        person, user_id = codes_of(table, user, "user")
        thing, item_id = codes_of(table, item, "item")
        when = None if order is None else order_column(table, order)
        worth = None if value is None else numbers(table, value, "value")
        rows = time_order(person, when)
        dropped = 0
        if duplicates != "keep":
            again = _repeats(person, thing, when)
            dropped = int(again.sum())
            if dropped and duplicates == "refuse":
                what = "user and item" if order is None else "user, item and order"
                raise InputError(
                    f"{dropped:,} of {len(again):,} rows repeat the {what} of an earlier row, the first in row "
                    f"{int(np.argmax(again)):,} (counted from 0); drop them, or say duplicates='keep' or 'drop'"
                )
            rows = rows[~again[rows]]
        return cls(
            items=(thing[rows] + 1).astype(np.int32),
            offsets=_offsets(person[rows], len(user_id)),
            user_id=user_id,
            item_id=item_id,
            order=None if when is None else when[rows],
            value=None if worth is None else worth[rows],
            dropped=dropped,
        )

    @classmethod
    def from_parquet(cls, path: str | Path, *, user: str = "user", item: str = "item", **roles: Any) -> Self:
        """Interactions from a Parquet or CSV file; the arguments are those of `from_frame`.

        In a CSV file users and items are kept as the text that they are, so that 007 stays 007. Raises InputError
        as that does, and for a file that is missing, empty or not what its name says.
        """
        return cls.from_frame(read_table(path, (user, item)), user=user, item=item, **roles)

    @classmethod
    def from_log(cls, log: BehaviourLog) -> Self:
        """Interactions from a named data set, such as `uplift.datasets.amazon_beauty()`.

        A place in one user's history says nothing of another's, so `order` is None.
        """
        user_id, person = np.unique(log.user, return_inverse=True)
        item_id, thing = np.unique(log.item, return_inverse=True)
        rows = time_order(person, log.position)
        items = (thing[rows] + 1).astype(np.int32)
        return cls(items, _offsets(person[rows], len(user_id)), user_id, item_id)


def _offsets(person: NDArray[np.int64], n_users: int) -> NDArray[np.int64]:
    """Where the events of each user start, and the end, (U+1,), of users in ascending order."""
    return np.concatenate([[0], np.cumsum(np.bincount(person, minlength=n_users))])


def _repeats(person: NDArray[np.int64], thing: NDArray[np.int64], when: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Which rows have the user, item and order of an earlier row, (n,)."""
    keys = (thing, person) if when is None else (when, thing, person)
    rows = np.lexsort(keys)
    same = np.logical_and.reduce([key[rows[1:]] == key[rows[:-1]] for key in keys])
    again = np.zeros(len(rows), dtype=bool)
    again[rows[1:]] = same
    return again
