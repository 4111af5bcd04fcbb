"""Bootstrap over users or clusters: one set of resamples for every policy, budget and estimate, hence paired."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from allocation.engine import threads
from uplift.seeds import stream

Array = NDArray[np.float64]
CELLS_AT_ONCE = 1 << 25  # counts of users x resamples held at once
LANES = 32  # resamples at once: a user's row of counts is then a few vector registers


def resampled_sums(
    tables: Array,
    decision: NDArray[Any],
    n_policies: int,
    n_bootstrap: int,
    seed: int | np.random.Generator,
    cluster: NDArray[np.int64] | None = None,
) -> tuple[Array, Array]:
    """Sums over resampled users of the cell that each decision picks from each table.

        sums_rqk = sum_i c_ri tables[q, i, decision_ki],   c_r. multinomial: n users drawn from n with replacement

    Parameters
    ----------
    tables : (q, n, K+1). decision : (m, n), the decisions of `n_policies` policies at the first budget, then at the
        second, ...: neighbouring budgets mostly decide alike, and only changes are added up.
    cluster : (n,) codes from 0; then as many clusters as there are are drawn with replacement.

    Returns the sums (n_bootstrap, q, m) and the users drawn (n_bootstrap,), which varies with clusters. More
    resamples with the same seed only add resamples.
    """
    m, n = decision.shape
    rng = stream(seed, "bootstrap")
    groups = n if cluster is None else int(cluster.max()) + 1
    by_user = np.ascontiguousarray(decision.T.reshape(n, m // n_policies, n_policies))
    by_arm = np.ascontiguousarray(tables.transpose(1, 2, 0))
    sums, size = np.empty((n_bootstrap, len(tables), m)), np.empty(n_bootstrap)
    lanes = int(min(LANES, max(1, CELLS_AT_ONCE // max(n, 1))))
    for start in range(0, n_bootstrap, lanes):
        drawn = np.empty((min(lanes, n_bootstrap - start), n))
        for row in drawn:
            count = np.bincount(rng.integers(0, groups, groups), minlength=groups)
            row[:] = count if cluster is None else count[cluster]
        count = np.ascontiguousarray(drawn.T)

        def _piece(at: tuple[int, int], count: Any = count) -> Array:
            into = np.zeros((m, len(tables), count.shape[1]))
            _add_changes(by_arm, by_user, count, *at, into)
            return into

        changes = sum(threads.run(_piece, threads.pieces(n)))
        at_budget = np.asarray(changes).reshape(m // n_policies, n_policies, len(tables), -1).cumsum(axis=0)
        block = slice(start, start + len(drawn))
        sums[block] = at_budget.reshape(m, len(tables), -1).transpose(2, 1, 0)
        size[block] = drawn.sum(axis=1)
    return sums, size


@njit(nogil=True, cache=True)
def _add_changes(table: Any, decision: Any, count: Any, first: int, end: int, into: Any) -> None:
    """Add to into[budget x policy, table, resample] what changes against the same policy's budget before."""
    budgets, policies = decision.shape[1], decision.shape[2]
    lanes = count.shape[1]
    for i in range(first, end):
        for p in range(policies):
            before = -1
            for b in range(budgets):
                arm = decision[i, b, p]
                if arm == before:
                    continue
                for q in range(table.shape[2]):
                    change = table[i, arm, q] - (table[i, before, q] if before >= 0 else 0.0)
                    if change != 0.0:
                        row = into[b * policies + p, q]
                        for r in range(lanes):
                            row[r] += change * count[i, r]
                before = arm


def interval(draws: Array, level: float) -> tuple[Array, Array]:
    """Percentile interval over the first axis; NaN where half of the resamples or more have no estimate."""
    tail = (1 - level) / 2
    missing = np.isnan(draws).mean(axis=0) >= 0.5
    filled = np.where(missing, 0.0, draws)
    low, high = np.nanquantile(filled, [tail, 1 - tail], axis=0)
    return np.where(missing, np.nan, low), np.where(missing, np.nan, high)
