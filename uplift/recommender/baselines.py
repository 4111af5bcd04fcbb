"""Rankings without a net, which every net has to beat: the most popular items, and what followed the last item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from uplift.errors import InputError, check_whole
from uplift.recommender.histories import Histories


@dataclass(frozen=True, eq=False)
class Popularity:
    """Every history gets the same scores: how often each item occurs in the training part.

    count : (n_items,) int64, events of item code 1, 2, ...; an item bought twice by a user counts twice.

    Misleads where tastes move: an old event counts as much as a new one.
    """

    count: NDArray[np.int64]

    @classmethod
    def fit(cls, train: Histories, n_items: int) -> Self:
        """Count the events of each item. Raises InputError without events and for codes beyond n_items."""
        check_codes(train, n_items)
        if not len(train.items):
            raise InputError(f"the training part has no events of {len(train):,} users; at least one is expected")
        return cls(np.bincount(train.items, minlength=n_items + 1)[1:].astype(np.int64))

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The counts for each of the rows, (b, n_items), as `Scorer.scores`; exact up to 16.7 M events an item."""
        return np.tile(self.count.astype(np.float32), (len(rows), 1))


@dataclass(frozen=True, eq=False)
class LastItem:
    """Items ordered by how often they came right after the history's last item, then by popularity.

    A first-order Markov chain by counts: transitions are all pairs of neighbouring events in the training part, an
    item that follows itself included. Items that never followed, all of them after an item that is last in no
    pair or after an empty history, are in order of popularity.

    Scores are places in that order, not counts, because counts plus a share for popularity would lose ties and
    orders in single precision: an item that never followed scores its popularity's place among the distinct ones,
    and one that did scores above all of these, by its place among the followers. Scores of two histories do not
    compare. Misleads where the events of one moment have no order of their own: neighbours are then chance.

    level : (n_items,) int64, each item's place among the distinct counts of popularity, from 0.
    followers : (n_items + 1, n_items) sparse scores, row v those of the items that came after item code v; row 0, of
        the empty history, has none.
    """

    level: NDArray[np.int64]
    followers: sparse.csr_array

    @classmethod
    def fit(cls, train: Histories, n_items: int) -> Self:
        """Count the transitions. Raises InputError without events and for codes beyond n_items."""
        popularity = Popularity.fit(train, n_items)
        level = np.asarray(np.unique(popularity.count, return_inverse=True)[1], dtype=np.int64)
        owner = np.repeat(np.arange(len(train)), train.counts)
        inside = owner[1:] == owner[:-1]
        last, following = (part[inside].astype(np.int64) for part in (train.items[:-1], train.items[1:]))
        pair, count = np.unique(last * n_items + following - 1, return_counts=True)
        last, column = np.divmod(pair, n_items)
        order = np.lexsort((level[column], count, last))
        last, column, count = last[order], column[order], count[order]
        table = sparse.csr_array(
            (level.max() + 1 + _places(last, count, level[column]), (last, column)), shape=(n_items + 1, n_items)
        )
        return cls(level, table)

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The place of every item in the row's order, (b, n_items), higher is better; ties share a place."""
        table = np.tile(self.level.astype(np.float32), (len(rows), 1))
        followers = self.followers[histories.padded(rows, 1)[:, 0]].tocoo()
        table[followers.row, followers.col] = followers.data
        return table


def _places(*keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of rows sorted by the keys, the first of them a group: the place among the group's distinct rows, from 0."""
    if not len(keys[0]):
        return np.zeros(0, dtype=np.int64)
    new = np.any([np.diff(key, prepend=key[:1] - 1) != 0 for key in keys], axis=0)
    place, first = np.cumsum(new), np.diff(keys[0], prepend=keys[0][:1] - 1) != 0
    return np.asarray(place - place[first][np.cumsum(first) - 1], dtype=np.int64)


def check_codes(train: Histories, n_items: int) -> None:
    """Refuse a training part with item codes beyond n_items."""
    check_whole(n_items, "n_items")
    if train.items.max(initial=0) > n_items:
        raise InputError(
            f"the training part has item code {train.items.max():,}; codes 1 to n_items={n_items:,} are expected"
        )
