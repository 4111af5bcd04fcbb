"""What the validation says of a net: NDCG@10 of the full ranking, of all users or of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uplift.recommender.full_ranking import Counted, rank_targets
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.ranking_metrics import metric
from uplift.recommender.splitting import Queries
from uplift.seeds import stream

SELECTION = "ndcg@10"


@dataclass(frozen=True, eq=False)
class Validation:
    """Queries to choose by, and how to rank them.

    Attributes
    ----------
    queries : of the validation part alone.
    seen : whether items of the history are candidates; see `rank_targets`.
    progress : told of every ranking how many queries are done, and of how many.
    """

    queries: Queries
    seen: str = "excluded"
    progress: Counted | None = None

    def of_each(self, scorer: NetScorer) -> NDArray[np.float64]:
        """NDCG@10 of each query, (q,)."""
        ranks = rank_targets(scorer, self.queries, scorer.net.n_items, seen=self.seen, progress=self.progress)
        return metric(ranks, SELECTION)

    def of_groups(self, scorer: NetScorer, group: NDArray[np.int64], n_groups: int) -> NDArray[np.float64]:
        """The mean over the queries of each group, (S,); `group` (U,). 0 for a group without a query."""
        of_query = group[self.queries.user]
        count = np.bincount(of_query, minlength=n_groups)
        return np.bincount(of_query, weights=self.of_each(scorer), minlength=n_groups) / np.maximum(count, 1)

    def of(self, net: Any) -> float:
        """The mean over the queries, by the backbone alone."""
        return float(self.of_each(NetScorer(net)).mean())

    def half(self, seed: int) -> NDArray[np.bool_]:
        """Which queries are in the first of two halves, (q,), drawn by user."""
        users = np.unique(self.queries.user)
        first = stream(seed, "validation halves").permutation(users)[: -(-len(users) // 2)]
        return np.isin(self.queries.user, first)

    def halves(self, seed: int) -> tuple[Validation, Validation]:
        """Cut in two: to choose by, and to judge by; queries of one user alone serve as both."""
        chosen = self.half(seed)
        return (self, self) if chosen.all() else (self.take(chosen), self.take(~chosen))

    def sample(self, most: int | None, seed: int | np.random.Generator) -> Validation:
        """At most so many queries, drawn once: for looks in between, which need no more."""
        if most is None or len(self.queries) <= most:
            return self
        rows = stream(seed, "validation sample").choice(len(self.queries), most, replace=False)
        return self.take(np.sort(rows))

    def take(self, rows: ArrayLike) -> Validation:
        """With the queries of the given rows (indices or booleans) alone."""
        return replace(self, queries=self.queries.take(rows))
