"""A memory beside a backbone: what came after the last item in the training log, weighed for each group of users."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from uplift.errors import InputError, check_whole
from uplift.recommender.baselines import check_codes
from uplift.recommender.histories import Histories

WEIGHTS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)


@dataclass(frozen=True, eq=False)
class Memory:
    """Transitions of the training log, added to a backbone's scores with a weight for each of S groups.

        s'_v = s_v + a_z log(1 + n(l, v)),   n(l, v) how often v came right after l, the last item of the history

    A plugin with one parameter a group: with a_z = 0 the scores are the backbone's, to the bit. A net of few
    dimensions forgets rare pairs that the count remembers. The weights cannot be fitted on the events that the
    counts are of, which the memory knows by heart: they are chosen on held-out queries. An empty history, and a last
    item that nothing followed, add nothing. A rule of this project; no paper is its source.

    Attributes
    ----------
    counts : (n_items + 1, n_items) sparse, row l the counts after item code l, column v - 1 those of item code v.
    weight : (S,) float64, a_z.
    """

    counts: sparse.csr_array
    weight: NDArray[np.float64]

    @classmethod
    def fit(cls, train: Histories, n_items: int, n_groups: int) -> Self:
        """Count the transitions of the training part (item codes 1..n_items), with weight 0 for every group.

        Raises InputError for codes beyond n_items and fewer than 1 group.
        """
        check_codes(train, n_items)
        check_whole(n_groups, "n_groups")
        after = np.ones(len(train.items), dtype=bool)
        after[train.offsets[:-1][train.counts > 0]] = False  # a first event comes after nothing
        later = np.flatnonzero(after)
        pairs = (np.ones(len(later), np.float32), (train.items[later - 1], train.items[later] - 1))
        counts = sparse.csr_array(pairs, shape=(n_items + 1, n_items), dtype=np.float32)
        counts.sum_duplicates()
        return cls(counts, np.zeros(n_groups))

    def weighing(self, weight: ArrayLike) -> Self:
        """The same counts with other weights (S,). Raises InputError for another number of them, or not finite."""
        w = np.asarray(weight, dtype=np.float64)
        if w.shape != self.weight.shape or not np.isfinite(w).all():
            raise InputError(f"weight is {weight!r}; {len(self.weight)} finite numbers are expected, one a group")
        return replace(self, weight=w)

    def add(
        self,
        scores: NDArray[np.float32],
        histories: Histories,
        rows: NDArray[np.int64],
        group: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Scores (b, n_items) of the histories `rows` (b,) of users in `group` (b,), with the memory added."""
        weight = self.weight[group]
        some = np.flatnonzero((weight != 0) & (histories.counts[rows] > 0))
        if not len(some):
            return scores
        last = histories.items[histories.offsets[1:][rows[some]] - 1]
        found = self.counts[last]
        at = np.repeat(some, np.diff(found.indptr))
        out = scores.copy()
        out[at, found.indices] += (weight[at] * np.log1p(found.data)).astype(np.float32)
        return out
