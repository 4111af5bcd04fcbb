"""Means over the queries of groups of users, with a percentile bootstrap by user that all columns share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uplift.seeds import stream

Array = NDArray[np.float64]
COUNTS_AT_ONCE = 1 << 22  # users x resamples held at once


class Intervals(NamedTuple):
    """Means (columns, groups, metrics) with the bootstrap's standard errors and percentile intervals, same shape."""

    estimate: Array
    standard_error: Array
    low: Array
    high: Array


def means_by_group(
    by_query: Array,
    user: NDArray[np.int64],
    member: NDArray[np.bool_],
    n_bootstrap: int,
    level: float,
    seed: int | np.random.Generator,
) -> Intervals:
    """Mean of each column over the queries of each group, and its spread over resamples of users.

        mean_g = sum_u c_u s_u / sum_u c_u n_u   over the users u of group g

    s_u sums the user's n_u queries. For the estimate c_u is 1; in a resample it is how often u was drawn when as many
    users as there are were drawn with replacement, the same for every column.

    Parameters
    ----------
    by_query : (C, q, T), C columns such as models and T metrics; a query that is NaN in any column is left out of
        that metric in all.
    user : (q,) codes in 0..U-1. member : (G, U), who is in which group.

    NaN stands for a group without queries, and for the spread of a group with one user. A resample without a group's
    users is left out of that group's spread.
    """
    T, U = by_query.shape[2], member.shape[1]
    defined = np.asarray(~np.isnan(by_query).any(axis=0))
    columns = np.concatenate([np.where(defined, by_query, 0.0), defined[None]]).transpose(1, 0, 2)
    order = np.argsort(user, kind="stable")
    starts = np.searchsorted(user[order], np.arange(U))
    by_user = np.add.reduceat(columns[order], starts, axis=0).reshape(U, -1)  # (U, (C+1) T)
    # Cells of users who are in the same groups: each user is then added up once, not once a group.
    kinds, cell = np.unique(member, axis=1, return_inverse=True)
    cells = [(np.flatnonzero(cell == c), by_user[cell == c]) for c in range(kinds.shape[1])]
    blocks = (_means(counts, cells, kinds, T) for counts in _resamples(U, n_bootstrap, seed))
    draws = np.concatenate(list(blocks))
    estimate = _means(np.ones((1, U)), cells, kinds, T)[0]
    told = (member.sum(axis=1) > 1)[:, None] & ~np.isnan(estimate)
    draws[:, ~told] = 0.0  # without a spread, and NaN throughout would warn
    tail = (1 - level) / 2
    spread = (np.nanstd(draws, axis=0, ddof=1), *np.nanquantile(draws, [tail, 1 - tail], axis=0))
    return Intervals(estimate, *(np.where(told, part, np.nan) for part in spread))


def _resamples(users: int, n_bootstrap: int, seed: int | np.random.Generator) -> Iterator[Array]:
    """How often each user is drawn, (resamples at once, U); one draw of `users` whole numbers a resample."""
    rng = stream(seed, "ranking bootstrap")
    step = max(1, COUNTS_AT_ONCE // users)
    for start in range(0, n_bootstrap, step):
        counts = np.empty((min(step, n_bootstrap - start), users))
        for row in counts:
            row[:] = np.bincount(rng.integers(0, users, users), minlength=users)
        yield counts


def _means(counts: Array, cells: list[tuple[NDArray[np.int64], Array]], kinds: NDArray[np.bool_], T: int) -> Array:
    """Means of every column and group in each resample, (R, C, G, T); the last T sums are the numbers of queries."""
    # (cells, R, (C+1) T); einsum, because a BLAS product depends on the number of threads in its last digit.
    sums = np.stack([np.einsum("ru,uk->rk", counts[:, users], table) for users, table in cells])
    by_group = np.tensordot(kinds.astype(np.float64), sums, axes=1)
    parts = by_group.reshape(len(kinds), len(counts), -1, T).transpose(1, 2, 0, 3)  # (R, C+1, G, T)
    with np.errstate(invalid="ignore"):
        return np.asarray(parts[:, :-1] / parts[:, -1:])
