"""Histories: what each user did so far, in time order, ragged, with the batches that nets read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from uplift.errors import InputError, check_whole
from uplift.recommender.columns import codes_of, open_log, order_column, time_order


@dataclass(frozen=True, eq=False)
class Histories:
    """The items of n users, each in time order; a history may be empty.

    Attributes
    ----------
    items : (N,) int32 item codes from 1, one history after the other; 0 is padding and stands in no history.
    offsets : (n+1,) int64, history i is `items[offsets[i]:offsets[i + 1]]`.

    Raises InputError for offsets that do not rise from 0 to N and for a code below 1.
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        o = self.offsets
        if o.ndim != 1 or not len(o) or o[0] != 0 or o[-1] != len(self.items) or (o[1:] < o[:-1]).any():
            raise InputError(
                f"offsets of shape {o.shape} do not rise from 0 to the {len(self.items):,} items; "
                "give the start of each history and the end of the last"
            )
        if len(self.items) and self.items.min() < 1:
            raise InputError(f"item code {int(self.items.min())} is below 1; 0 is padding: count items from 1")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        return f"Histories({len(self):,} users, {len(self.items):,} events)"

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Events of each history, (n,)."""
        return np.diff(self.offsets)

    def padded(self, rows: ArrayLike, length: int) -> NDArray[np.int64]:
        """The last `length` items of the given rows, (b, L) codes, each row filled up with 0 on its right.

        L is the longest of these rows after the cut, at least 1. Raises InputError for a row that is not there and
        for a length below 1.
        """
        check_whole(length, "length")
        picked = self._checked(rows)
        counts = np.minimum(self.counts[picked], length)
        places = np.arange(max(1, int(counts.max(initial=0))))
        filled = places < counts[:, None]
        table = np.zeros(filled.shape, dtype=np.int64)
        table[filled] = self.items[_runs(self.offsets[picked + 1] - counts, counts)]
        return table

    def take(self, rows: ArrayLike) -> Histories:
        """The histories of the given rows (indices or booleans), in their order; a row may stand more than once.

        Raises InputError for a row that is not there.
        """
        picked = self._checked(rows)
        return self._cut(self.offsets[picked], self.counts[picked])

    def first(self, counts: ArrayLike) -> Histories:
        """The same users, each with its first `counts[i]` events, (n,) whole numbers from 0 to what the user has.

        Raises InputError for any other counts.
        """
        c = np.asarray(counts)
        if c.shape != (len(self),) or c.dtype.kind not in "iu":
            raise InputError(
                f"counts of shape {c.shape} ({c.dtype}) for {len(self):,} histories; a whole number each is expected"
            )
        beyond = (c < 0) | (c > self.counts)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise InputError(f"counts[{row}] is {c[row]}; history {row} has {self.counts[row]:,} events")
        return self._cut(self.offsets[:-1], c.astype(np.int64))

    def _cut(self, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> Histories:
        return Histories(self.items[_runs(starts, counts)], np.concatenate([[0], np.cumsum(counts)]))

    def _checked(self, rows: ArrayLike) -> NDArray[np.int64]:
        """The rows as indices from 0, because numpy would take -1 for the last."""
        r = np.asarray(rows)
        if r.dtype == np.bool_ and r.shape == (len(self),):
            return np.flatnonzero(r)
        if r.ndim != 1 or (len(r) and r.dtype.kind not in "iu"):
            raise InputError(
                f"rows of shape {r.shape} ({r.dtype}); a list of row numbers is expected, or a boolean for each of "
                f"the {len(self):,} histories"
            )
        if len(r) and (r.min() < 0 or r.max() >= len(self)):
            raise InputError(f"rows {r.min()} to {r.max()} are asked for; there are rows 0 to {len(self) - 1:,}")
        return r.astype(np.int64)


def encode_histories(
    frame: object, item_id: NDArray[Any], *, user: str = "user", item: str = "item", order: str | None = None
) -> tuple[Histories, NDArray[Any], NDArray[np.int64]]:
    """Histories of a new log in the item codes of an old one: code v is `item_id[v - 1]`, (V,) distinct ids.

    Returns the histories (n), the user ids, sorted (n,), and how many events of each user were left out (n,) because
    their item is not in `item_id`; who has no other keeps an empty history. `user`, `item` and `order` are columns as
    of `Interactions.from_frame`. Raises InputError as that does, and where the items are text on one side only, since
    then none could match.
    """
    table = open_log(frame, (user, item, order))
    person, user_id = codes_of(table, user, "user")
    thing, found = codes_of(table, item, "item")
    known = np.asarray(item_id)
    if len(known) and (known.dtype.kind in "iuf") != (found.dtype.kind in "iuf"):
        got, expected = found[:1].tolist()[0], known[:1].tolist()[0]
        raise InputError(
            f"item column {item!r} holds ids such as {got!r}, but the items known are such as {expected!r}; "
            "write them as there, numbers as numbers and text as text"
        )
    if (found.dtype.kind == "f") != (known.dtype.kind == "f") and max(_largest(found), _largest(known)) >= 2**53:
        raise InputError(
            f"item column {item!r} holds ids in {found.dtype}, the items known are in {known.dtype}, and one of them "
            "is beyond 2^53, where floats stand for several whole numbers; keep ids as whole numbers or as text"
        )
    code = (pd.Index(known).get_indexer(pd.Index(found)) + 1)[thing]
    rows = time_order(person, None if order is None else order_column(table, order))
    rows = rows[code[rows] > 0]
    unknown = np.bincount(person[code == 0], minlength=len(user_id))
    counts = np.bincount(person[rows], minlength=len(user_id))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Histories(code[rows].astype(np.int32), offsets), user_id, unknown


def _largest(ids: NDArray[Any]) -> float:
    return float(np.abs(ids.astype(np.float64)).max()) if len(ids) and ids.dtype.kind in "iuf" else 0.0


def _runs(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions start, start + 1, ..., `counts` of them, of every run, one run after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
