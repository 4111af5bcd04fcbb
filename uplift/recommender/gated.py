"""Plugins and memory on top of a backbone, group by group, where held-out queries leave no room for harm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uplift.recommender.batches import Windows
from uplift.recommender.full_ranking import SCORES_AT_ONCE, rank_targets
from uplift.recommender.gate import Gate, gate
from uplift.recommender.histories import Histories
from uplift.recommender.memory import WEIGHTS, Memory
from uplift.recommender.net_scorer import NetScorer
from uplift.recommender.plugins import Plugins
from uplift.recommender.ranked_validation import SELECTION, Validation
from uplift.recommender.ranking_metrics import metric
from uplift.recommender.strata import Strata

TRIED = (0.0, *WEIGHTS)


def gated_plugins(
    net: Any, plugins: Plugins, group: NDArray[np.int64], judge: Validation, epsilon: float, level: float
) -> Gate:
    """Judge each group's plugin on queries that did not choose it, and route those that passed."""
    plugins.route(np.ones(len(plugins.of_group), dtype=bool))
    before, after = judge.of_each(NetScorer(net)), judge.of_each(NetScorer(net, plugins, group))
    judged = gate(before, after, group[judge.queries.user], len(plugins.of_group), epsilon=epsilon, level=level)
    plugins.route(judged.passed)
    return judged


def gated_memory(
    below: NetScorer,
    memory: Memory,
    group: NDArray[np.int64],
    validation: Validation,
    seed: int,
    epsilon: float,
    level: float,
) -> tuple[Memory, Gate]:
    """Weigh the memory on top of `below` for each group, the weights cross-fitted for the gate.

    Each half of the queries is judged under the weights that the other half likes best, of 0 and `WEIGHTS`, by
    NDCG@10, so every query judges and none has chosen what it judges. A group that passes gets the weight that all
    its queries like best, any other 0.
    """
    values = weighed(below, memory, group, validation)
    of_query, S = group[validation.queries.user], len(memory.weight)
    first = validation.half(seed)
    by_first, by_second = (_best(values[:, half], of_query[half], S) for half in (first, ~first))
    tried = np.where(first, by_second[of_query], by_first[of_query])
    after = values[tried, np.arange(len(tried))]
    judged = gate(values[0], after, of_query, S, epsilon=epsilon, level=level)
    weight = np.array(TRIED)[_best(values, of_query, S)]
    return memory.weighing(np.where(judged.passed, weight, 0)), judged


def best_weights(below: NetScorer, memory: Memory, group: NDArray[np.int64], choose: Validation) -> Memory:
    """The memory with each group's best weight, of 0 and `WEIGHTS`, on these queries; nothing is judged."""
    values = weighed(below, memory, group, choose)
    best = _best(values, group[choose.queries.user], len(memory.weight))
    return memory.weighing(np.array(TRIED)[best])


def weighed(
    below: NetScorer, memory: Memory, group: NDArray[np.int64], validation: Validation
) -> NDArray[np.float64]:
    """NDCG@10 of every query under every weight of `TRIED`, alike for all groups, (T, q); the net is asked once."""
    queries, n_items = validation.queries, below.net.n_items
    at_once = max(1, SCORES_AT_ONCE // n_items)
    parts = []
    for start in range(0, len(queries), at_once):
        some = queries.take(np.arange(start, min(start + at_once, len(queries))))
        rows = np.arange(len(some))
        scores = below.scores(some.histories, rows, some.user)
        tables = (memory.weighing(np.full(len(memory.weight), a)) for a in TRIED)
        parts.append(
            [
                metric(
                    rank_targets(
                        _Given(table.add(scores, some.histories, rows, group[some.user])),
                        some,
                        n_items,
                        seen=validation.seen,
                    ),
                    SELECTION,
                )
                for table in tables
            ]
        )
        if validation.progress is not None:
            validation.progress(start + len(some), len(queries))
    return np.concatenate([np.stack(part) for part in parts], axis=1) if parts else np.zeros((len(TRIED), 0))


@dataclass(frozen=True, eq=False)
class _Given:
    """Scores that are already there, (q, n_items), as a scorer."""

    table: NDArray[np.float32]

    def scores(
        self, histories: Histories, rows: NDArray[np.int64], users: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """The rows of the table."""
        return self.table[rows]


def _best(values: NDArray[np.float64], of_query: NDArray[np.int64], n_groups: int) -> NDArray[np.int64]:
    """The place in `TRIED` with the largest sum over each group's queries, (S,); 0 for a group without one."""
    sums = [np.bincount(of_query, weights=of_weight, minlength=n_groups) for of_weight in values]
    return np.asarray(np.argmax(np.stack(sums), axis=0), dtype=np.int64)


def learnable(strata: Strata, cut: Windows) -> Strata:
    """The strata, without those in which nobody has two training events: their users join the next one up."""
    has = np.bincount(strata.group[cut.user], minlength=strata.n_groups) > 0
    if has.all():
        return strata
    above = np.array([np.flatnonzero(has[z:])[0] + z for z in range(strata.n_groups)])
    return strata.merged(above)
